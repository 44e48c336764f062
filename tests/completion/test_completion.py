"""Parts of known shapes are completed to the whole, as far as they tell of it, and what cannot be completed says so."""

import math

import numpy as np
import pytest
import torch
import trimesh

from tpl.completion.fitting import CompletionConfig, complete
from tpl.completion.observation import CompletionError, Intervals, Observation, intervals, read_points
from tpl.meshes import Normalization

UNIT = Normalization(np.zeros(3), 1.0)
RADII = torch.tensor([0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
FREE = CompletionConfig(prior=0.0, frame_prior=0.0, steps=150, pool=2000)


def ball(points: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """A ball; the code is the logarithm of its radius."""
    return points.norm(dim=2) - codes[:, :1].exp()


def ellipsoid(points: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """An ellipsoid, exact to first order at its surface; the code holds the logarithms of its half axes."""
    axes = codes[:, None].exp()
    inner, outer = (points / axes).norm(dim=2), (points / axes**2).norm(dim=2)
    return inner * (inner - 1) / outer.clamp_min(1e-6)


def on_ellipsoid(axes: tuple[float, float, float], count: int = 3000) -> Observation:
    directions = np.random.default_rng(2).standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    normals = directions / np.array(axes)
    return Observation(directions * axes, normals / np.linalg.norm(normals, axis=1, keepdims=True))


def half(seen: Observation, axis: int = 2) -> Observation:
    rows = seen.points[:, axis] < 0
    return Observation(seen.points[rows], None if seen.normals is None else seen.normals[rows])


def bare(seen: Observation, viewpoint=None) -> Observation:
    return Observation(seen.points, None, None if viewpoint is None else np.array(viewpoint, dtype=float))


LEARNT_AXES = torch.tensor(
    [[0.4, 0.6, 0.5], [0.6, 0.4, 0.5], [0.5, 0.5, 0.5], [0.7, 0.5, 0.6], [0.5, 0.7, 0.4], [0.4, 0.5, 0.7]]
).log()


def test_half_of_a_ball_has_its_radius():
    seen = [
        half(on_ellipsoid((radius,) * 3), axis=radius_axis) for radius_axis, radius in enumerate((0.37, 0.52, 0.74))
    ]
    found = complete(ball, seen, RADII.log()[:, None], [UNIT] * 3, FREE)
    assert found.codes.exp()[:, 0].tolist() == pytest.approx([0.37, 0.52, 0.74], abs=0.003)
    assert (found.errors < 0.003).all() and found.seconds > 0


def test_half_of_an_ellipsoid_has_its_three_axes_with_normals_and_without():
    axes = (0.45, 0.65, 0.55)
    seen = half(on_ellipsoid(axes))
    front = bare(seen, (0.0, 0.0, -2.0))
    found = complete(ellipsoid, [seen, front], LEARNT_AXES, [UNIT] * 2, FREE)
    for codes in found.codes.exp().tolist():
        assert codes == pytest.approx(axes, abs=0.01)


def test_known_distances_are_fitted_as_they_are():
    points = np.random.default_rng(3).uniform(-1, 1, (4000, 3))
    sdf = np.linalg.norm(points, axis=1) - 0.43
    found = complete(ball, [Intervals(points, sdf, sdf)], RADII.log()[:, None], [UNIT], FREE)
    assert float(found.codes.exp()) == pytest.approx(0.43, abs=0.003) and found.errors[0] < 0.003


def test_what_was_not_seen_is_as_it_usually_is():
    """A patch at the front does not say how far the shape goes to the right; the prior does."""

    def boxes(points: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The part of space with z > -0.5 and x < exp(code)."""
        return torch.maximum(-points[..., 2] - 0.5, points[..., 0] - codes[:, :1].exp())

    whole = on_ellipsoid((0.5, 0.5, 0.5))
    rows = whole.points[:, 2] < -0.49
    seen = Observation(whole.points[rows], whole.normals[rows])  # pyright: ignore
    learnt = torch.tensor([0.3, 0.5, 0.7]).log()[:, None]
    found = complete(boxes, [seen], learnt, [UNIT], CompletionConfig(prior=0.1, steps=150, pool=2000))
    assert found.codes[0, 0] == pytest.approx(float(learnt.mean()), abs=0.02)


def test_free_space_tells_what_is_not_there():
    """A seen wall says nothing of a ball before it; that it was seen past the ball, says how large that can be."""

    def beam(points: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """A wall at z = 0.3 and before it a ball of the code's radius, touching nothing."""
        wall = 0.3 - points[..., 2]
        return torch.minimum(wall, (points - points.new_tensor([0.0, 0.0, -0.3])).norm(dim=2) - codes[:, :1].exp())

    grid = np.stack(np.meshgrid(*[np.linspace(-0.6, 0.6, 40)] * 2), axis=-1).reshape(-1, 2)
    wall = np.column_stack([grid, np.full(len(grid), 0.3)])
    # From far away in front, a ball of radius 0.2 hides the middle of the wall.
    wall = wall[np.linalg.norm(wall[:, :2], axis=1) > 0.2]
    seen = bare(Observation(wall), (0.0, 0.0, -50.0))
    config = CompletionConfig(prior=1e-5, steps=150, points=600, free_share=0.8, starts=1)
    found = complete(beam, [seen], torch.tensor([0.35, 0.45, 0.55]).log()[:, None], [UNIT], config)
    assert 0.1 < float(found.codes.exp()) < 0.28  # from 0.35 and more


def test_place_and_size_of_points_in_a_frame_of_their_own():
    axes = (0.45, 0.65, 0.55)
    seen = half(on_ellipsoid(axes))
    moved = Observation(seen.points * 30 + [5.0, -8.0, 100.0], seen.normals)
    config = CompletionConfig(prior=1e-4, frame_prior=1e-4, pool=2000, steps=300, frame_rate=0.02, starts=3)
    found = complete(ellipsoid, [moved], LEARNT_AXES, None, config)
    (frame,) = found.frames
    half_axes = found.codes[0].exp().numpy() / frame.scale
    # An ellipsoid twice as large in a frame half as large is the same one: only what is in the points' unit is known.
    assert half_axes == pytest.approx(30 * np.array(axes), rel=0.03)
    assert -frame.offset == pytest.approx([5.0, -8.0, 100.0], abs=0.6)


def test_an_observation_s_result_does_not_depend_on_its_company_and_comes_again():
    seen = [half(on_ellipsoid((0.45, 0.65, 0.55))), half(on_ellipsoid((0.6, 0.4, 0.5)), axis=0)]
    together = complete(ellipsoid, seen, LEARNT_AXES, [UNIT] * 2, FREE)
    alone = complete(ellipsoid, seen[1:], LEARNT_AXES, [UNIT], FREE)
    assert torch.equal(together.codes[1], alone.codes[0])


def test_intervals_hold_for_the_true_shape():
    """What is said of a ball that was seen from one side is true of the ball."""
    whole = on_ellipsoid((0.5, 0.5, 0.5))
    viewpoint = np.array([0.3, 0.4, -1.7])
    rows = (whole.points * (viewpoint - whole.points)).sum(axis=1) > 0
    for normals in (whole.normals, None):
        seen = Observation(whole.points[rows], None if normals is None else normals[rows], viewpoint)
        said = intervals(seen, 5000, 0.02, 0.5, np.random.default_rng(0))
        true = np.linalg.norm(said.points, axis=1) - 0.5
        assert (said.low <= true + 1e-9).all() and (true <= said.high + 1e-9).all()
        assert np.count_nonzero(said.low != said.high) == 2500
        assert np.linalg.norm(said.points, axis=1).max() < 1.2 + 1e-9


def test_normals_are_turned_towards_the_viewpoint():
    whole = on_ellipsoid((0.5, 0.5, 0.5))
    assert whole.normals is not None
    rows = whole.points[:, 2] < -0.2
    viewpoint = np.array([0.0, 0.0, -3.0])
    flipped = Observation(whole.points[rows], -whole.normals[rows], viewpoint)
    found = complete(ball, [flipped], RADII.log()[:, None], [UNIT], FREE)
    assert float(found.codes.exp()) == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("normals", [True, False])
@pytest.mark.parametrize("faces", [True, False])
def test_a_ply_file_is_read_with_its_normals_if_it_has_them(tmp_path, normals, faces):
    mesh = trimesh.creation.icosphere(subdivisions=2)
    thing = mesh if faces else trimesh.PointCloud(mesh.vertices)
    names = ["x", "y", "z"] + (["nx", "ny", "nz"] if normals else [])
    if faces:
        thing.export(tmp_path / "points.ply", vertex_normal=normals)
    else:
        rows = np.hstack([mesh.vertices, *([mesh.vertices] if normals else [])])
        head = ["ply", "format ascii 1.0", f"element vertex {len(rows)}", *(f"property float {n}" for n in names)]
        text = "\n".join([*head, "end_header", *(" ".join(map(str, row)) for row in rows.tolist())])
        (tmp_path / "points.ply").write_text(text + "\n")
    seen = read_points(tmp_path / "points.ply")
    assert np.allclose(seen.points, mesh.vertices, atol=1e-5)
    assert (seen.normals is None) != normals
    if seen.normals is not None:
        assert ((seen.normals * mesh.vertices).sum(axis=1) > 0.99).all()


def test_what_cannot_be_completed_says_so_in_a_sentence(tmp_path):
    whole = on_ellipsoid((0.5, 0.5, 0.5), 50)
    assert whole.normals is not None
    wrong = {
        "neither": bare(whole),
        "few": Observation(whole.points[:5], whole.normals[:5]),
        "finite": Observation(whole.points * math.nan, whole.normals),
        "no direction": Observation(whole.points, 0 * whole.normals),
    }
    told = {"neither": "normals, or the viewpoint", "few": "too few", "finite": "not finite"}
    for name, seen in wrong.items():
        with pytest.raises(CompletionError, match=told.get(name, name)) as caught:
            complete(ball, [seen], RADII.log()[:, None], [UNIT], FREE)
        assert len(str(caught.value).splitlines()) == 1
    (tmp_path / "broken.ply").write_text("nonsense")
    for file in ("broken.ply", "missing.ply"):
        with pytest.raises(CompletionError, match=file):
            read_points(tmp_path / file)
