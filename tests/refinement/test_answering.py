"""Answers to pictures: silhouettes are those of the ray caster, a fit makes them agree, several views are one shape."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fields import SIZE, UNIT, ellipsoid, ellipsoid_mesh, picture

from tpl.inference import Reconstructor
from tpl.refinement import RefinementConfig, Start, answering, intersection_over_union, refine, to_poses
from tpl.refinement.answering import answer, silhouettes_of
from tpl.rendering import Camera

AXES = (0.45, 0.6, 0.5)
FRONT, SIDE = Camera(0, 0, 1.6), Camera(90, 0, 1.6)


def poses_of(*cameras: Camera) -> torch.Tensor:
    return to_poses(cameras, [UNIT] * len(cameras)).float()


class Ellipsoids(torch.nn.Module):
    """A decoder whose codes are the logarithms of half axes."""

    def forward(self, points, codes):
        return ellipsoid(points, codes)

    def shape(self, code):
        def sdf(points):
            with torch.no_grad():
                return ellipsoid(torch.from_numpy(points).float()[None], code[None])[0].double().numpy()

        return sdf


@pytest.fixture
def arm(monkeypatch):
    """Networks that see a ball before the right camera."""
    encoder = SimpleNamespace(config=SimpleNamespace(camera=True))
    learnt = torch.tensor(AXES).log() + 0.2 * torch.randn((50, 3), generator=torch.Generator().manual_seed(0))
    start = torch.full((2, 3), 0.55).log()
    monkeypatch.setattr(answering, "seen_in", lambda arm, images: Start(start[: len(images)], SEEN[: len(images)]))
    return Reconstructor(encoder, Ellipsoids(), learnt)


SEEN = poses_of(FRONT, SIDE)


def test_silhouettes_are_those_of_the_renderer():
    mesh = ellipsoid_mesh(AXES)
    drawn = torch.from_numpy(silhouettes_of(mesh, SEEN, SIZE)).float()
    pictures = torch.stack([picture(mesh, camera) for camera in (FRONT, SIDE)])
    assert (intersection_over_union(drawn, pictures) > 0.99).all()


def test_views_of_one_shape_share_a_code_that_has_what_either_shows():
    pictures = torch.stack([picture(ellipsoid_mesh(AXES), camera) for camera in (FRONT, SIDE)])
    start = torch.tensor([[0.6, 0.5, 0.4], [0.5, 0.5, 0.6]]).log()
    config = RefinementConfig(camera_known=True, one_shape=True, steps=60)
    before, after, _ = refine(ellipsoid, pictures, start, SEEN, 0.2 * torch.ones(3), config)
    assert torch.equal(before.codes[0], before.codes[1]) and torch.equal(after.codes[0], after.codes[1])
    torch.testing.assert_close(before.codes[0], start.mean(dim=0))
    assert after.codes[0].exp().tolist() == pytest.approx(AXES, abs=0.01)
    alone = refine(ellipsoid, pictures, start, SEEN, 0.2 * torch.ones(3), RefinementConfig(camera_known=True, steps=60))
    assert abs(alone.after.codes[0].exp()[2] - AXES[2]) > 0.02  # the front does not show the depth


def test_an_answer_s_silhouettes_agree_better_after_the_fit(arm):
    pictures = torch.stack([picture(ellipsoid_mesh(AXES), camera) for camera in (FRONT, SIDE)])
    images = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    fitted, plain = (answer(arm, images, pictures, steps, 32) for steps in (30, 0))
    assert (fitted.after < 0.09).all() and fitted.after.sum() < fitted.before.sum() / 2 and not fitted.note
    np.testing.assert_allclose(plain.after, fitted.before, atol=0.02)  # of a finer mesh
    assert torch.equal(plain.code, fitted.seen.mean(dim=0)) and plain.poses is not None
    assert fitted.outlines.shape == (2, 2, SIZE, SIZE)


def test_a_picture_of_nothing_is_answered_and_noted(arm):
    given = answer(arm, np.full((1, SIZE, SIZE, 3), 255, np.uint8), torch.zeros((1, SIZE, SIZE)), 30, 24)
    assert "without an outline" in given.note and torch.equal(given.code, given.seen[0])
