"""Refinement finds what an outline tells of shapes with a formula, and leaves alone what it does not."""

import math

import numpy as np
import pytest
import torch
from fields import SIZE, UNIT, ball, chair, chair_mesh, ellipsoid, ellipsoid_mesh, picture
from pydantic import ValidationError

from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.refinement import (
    Fit,
    RefinementConfig,
    intersection_over_union,
    outlines,
    refine,
    to_cameras,
    to_poses,
)
from tpl.refinement.poses import AZIMUTH, ELEVATION, LOG_DISTANCE, RIGHT
from tpl.rendering import FIXED, Camera

KNOWN = RefinementConfig(camera_known=True)
ESTIMATED = RefinementConfig()
LONG = dict(steps=60)  # until nothing changes any more
ONE = torch.ones(1)


def poses_of(*cameras: Camera) -> torch.Tensor:
    return to_poses(cameras, [UNIT] * len(cameras)).float()


def overlap(field, pictures: torch.Tensor, fit: Fit) -> torch.Tensor:
    return intersection_over_union(0.5 - outlines(field, fit, SIZE), pictures)


def test_a_ball_s_radius_from_one_outline():
    radii = [0.45, 0.52, 0.7]
    pictures = torch.stack([picture(ellipsoid_mesh((r, r, r)), FIXED) for r in radii])
    start = torch.full((3, 1), math.log(0.57))
    result = refine(ball, pictures, start, poses_of(*[FIXED] * 3), 0.3 * ONE, KNOWN)
    assert result.after.codes.exp()[:, 0].tolist() == pytest.approx(radii, abs=0.01)
    before, after = (overlap(ball, pictures, fit) for fit in (result.before, result.after))
    assert (result.after.error < 0.1).all() and (after > 0.97).all() and (before < after).all()
    assert result.seconds > 0
    torch.testing.assert_close(result.before.codes, start)
    torch.testing.assert_close(result.after.poses, poses_of(*[FIXED] * 3))


def test_an_ellipsoid_s_axes_that_the_outline_shows_and_no_other():
    axes = (0.45, 0.6, 0.5)
    front, side = Camera(0, 0, 1.6), Camera(90, 0, 1.6)
    pictures = torch.stack([picture(ellipsoid_mesh(axes), camera) for camera in (front, side)])
    start = torch.tensor([0.5, 0.5, 0.5]).log().expand(2, -1)
    config = RefinementConfig(camera_known=True, **LONG)
    result = refine(ellipsoid, pictures, start, poses_of(front, side), 0.2 * torch.ones(3), config)
    (front_x, front_y, front_z), (side_x, side_y, side_z) = result.after.codes.exp().tolist()
    assert (front_x, front_y) == pytest.approx(axes[:2], abs=0.005)
    assert (side_z, side_y) == pytest.approx((axes[2], axes[1]), abs=0.005)
    # From the front a ball and an egg along the line of sight differ by their perspective alone.
    assert (front_z, side_x) == pytest.approx((0.5, 0.5), abs=0.01)


@pytest.mark.parametrize("off", [-28, 12, 175])
def test_the_azimuth_of_a_chair(off):
    truth = [Camera(324, 25, 1.5), Camera(60, 15, 1.5, shift=(0.05, 0.02, 0.03))]
    pictures = torch.stack([picture(chair_mesh(), camera) for camera in truth])
    start = poses_of(*truth)
    start[:, AZIMUTH] += math.radians(off)
    result = refine(chair, pictures, torch.zeros(2, 1), start, 0.1 * ONE, ESTIMATED)
    turned = (result.after.poses - poses_of(*truth))[:, AZIMUTH]
    assert torch.atan2(turned.sin(), turned.cos()).abs().max() < math.radians(1.5)
    before, after = (overlap(chair, pictures, fit) for fit in (result.before, result.after))
    assert (after > 0.92).all() and (before < 0.85).all()


def test_place_distance_and_elevation_of_a_chair_and_its_size():
    truth = Camera(324, 25, 1.5)
    start = poses_of(truth)
    start[:, RIGHT] += 0.04
    start[:, LOG_DISTANCE] -= 0.08
    start[:, ELEVATION] += 0.1
    result = refine(
        chair, picture(chair_mesh(), truth)[None], torch.zeros(1, 1), start, 0.1 * ONE, RefinementConfig(**LONG)
    )
    assert (result.after.poses - poses_of(truth)).abs().max() < 0.025
    assert result.after.codes.abs().item() < 0.03
    (found,) = to_cameras(result.after.poses, [UNIT])
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (30, 3))
    assert np.abs(found.project(points, SIZE)[0] - truth.project(points, SIZE)[0]).mean() < 0.6


@pytest.mark.parametrize("config", [KNOWN, ESTIMATED])
def test_a_perfect_start_stays(config):
    truth = [FIXED, Camera(70, 10, 1.5)]
    pictures = torch.stack([picture(chair_mesh(0.9), camera) for camera in truth])
    result = refine(chair, pictures, torch.full((2, 1), math.log(0.9)), poses_of(*truth), 0.1 * ONE, config)
    assert (result.after.codes.exp() - 0.9).abs().max() < 0.015
    assert (result.after.poses - poses_of(*truth)).abs().max() < 0.02
    assert (result.before.error < 0.15).all() and (result.after.error <= result.before.error).all()


def test_errors_fall_on_the_whole_with_every_step():
    rng = np.random.default_rng(0)
    axes = rng.uniform(0.4, 0.75, (8, 3))
    pictures = torch.stack([picture(ellipsoid_mesh(tuple(row)), FIXED) for row in axes])
    start, poses = torch.full((8, 3), math.log(0.55)), poses_of(*[FIXED] * 8)
    means = [math.inf]
    for steps in (0, 2, 5, 10, 30):
        config = RefinementConfig(camera_known=True, steps=steps)
        means.append(refine(ellipsoid, pictures, start, poses, 0.3 * torch.ones(3), config).after.error.mean().item())
    assert means == sorted(means, reverse=True) and len(set(means)) == len(means)
    assert means[-1] < 0.05 * means[1]


@pytest.mark.parametrize("config", [KNOWN, ESTIMATED])
def test_a_view_s_result_does_not_depend_on_its_company_and_comes_again(config):
    truth = [FIXED, Camera(70, 10, 1.5), Camera(200, 35, 1.6)]
    pictures = torch.stack([picture(chair_mesh(0.9), camera) for camera in truth])
    start, codes = poses_of(*truth) + 0.03, torch.zeros(3, 1)
    together = refine(chair, pictures, codes, start, 0.1 * ONE, config).after
    again = refine(chair, pictures, codes, start, 0.1 * ONE, config).after
    assert all(torch.equal(a, b) for a, b in zip(together, again, strict=True))
    for view in range(3):
        row = slice(view, view + 1)
        alone = refine(chair, pictures[row], codes[row], start[row], 0.1 * ONE, config).after
        for a, b in zip(alone, together, strict=True):
            torch.testing.assert_close(a, b[row], atol=2e-3, rtol=0)


def test_a_decoder_is_left_as_it_is_and_so_are_the_starts():
    sizes = DeepImplicitTemplateConfig(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=2)
    model = DeepImplicitTemplate(sizes).train()
    model.template.last.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learning = [parameter.requires_grad for parameter in model.parameters()]
    codes, poses = 0.1 * torch.ones(1, 4), poses_of(FIXED)
    kept = codes.clone(), poses.clone()
    config = RefinementConfig(steps=2, camera_steps=1, rays=16)
    refine(model, picture(chair_mesh(), FIXED)[None], codes, poses, torch.ones(4), config)
    assert model.training and learning == [parameter.requires_grad for parameter in model.parameters()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(codes, kept[0]) and torch.equal(poses, kept[1])


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError):
        RefinementConfig(iterations=3)  # pyright: ignore[reportCallIssue]
