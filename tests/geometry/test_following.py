"""A surface that is followed from frame to frame is the one that a search of the whole volume finds."""

import numpy as np
import pytest

from tpl.geometry.following import SENTINELS, FollowedSurface
from tpl.geometry.marching import EmptyShape, extract_mesh
from tpl.geometry.primitives import box, sphere, torus, translated, union

SEAT = box((0.8, 0.1, 0.8))


def chair(height, lean):
    """A seat, a back that rises and shifts, a ring below."""
    back = translated(box((0.8, height, 0.12)), (0, height / 2, 0.4 - lean))
    return truncated(union(SEAT, back, translated(torus(0.3, 0.06), (0, -0.3 - lean, 0))))


def truncated(sdf):
    return lambda points: np.clip(sdf(points), -0.1, 0.1)


def assert_same(mesh, other):
    np.testing.assert_array_equal(mesh.faces, other.faces)
    np.testing.assert_array_equal(mesh.vertices, other.vertices)


@pytest.mark.parametrize("resolution", [24, 39])
@pytest.mark.parametrize("step", [0.02, 0.1, 0.4])  # of a cell's tenth, and of several cells: a slider that jumps
def test_each_frame_is_what_the_whole_volume_gives(resolution, step):
    surface = FollowedSurface(resolution)
    for frame in range(4):
        sdf = chair(0.3 + step * frame / 2, 0.1 * np.sin(step * frame))
        assert_same(surface.extract(sdf), extract_mesh(sdf, resolution))


def test_a_frame_that_changes_nothing_is_the_frame_before():
    surface, sdf = FollowedSurface(32), chair(0.5, 0.0)
    assert_same(surface.extract(sdf), surface.extract(sdf))


def test_a_frame_asks_a_small_part_of_the_nodes():
    asked = []

    def counted(sdf):
        def ask(points):
            asked.append(len(points))
            return sdf(points)

        return ask

    surface = FollowedSurface(48)
    surface.extract(chair(0.5, 0.0))
    surface.extract(counted(chair(0.52, 0.01)))
    crossed = len(extract_mesh(chair(0.52, 0.01), 48).faces) / 2  # cells: a cell has two faces on average
    assert sum(asked) < 3 * crossed + (48 / SENTINELS + 1) ** 3


def test_what_appears_apart_is_found_and_what_goes_is_gone():
    ball, far = truncated(sphere(0.25)), truncated(translated(sphere(0.2), (0.6, 0.6, 0.6)))
    surface = FollowedSurface(32)  # the far ball is 6 cells wide
    surface.extract(ball)
    assert_same(surface.extract(union(ball, far)), extract_mesh(union(ball, far), 32))
    assert_same(surface.extract(far), extract_mesh(far, 32))


def test_a_small_part_that_appears_is_found_within_some_frames():
    ball, speck = truncated(sphere(0.3)), truncated(translated(sphere(0.1), (-0.7, 0.7, 0.0)))
    surface = FollowedSurface(32)
    surface.extract(ball)
    whole = extract_mesh(union(ball, speck), 32)
    assert any(len(surface.extract(union(ball, speck)).faces) == len(whole.faces) for _ in range(40))


def test_an_empty_frame_says_so_and_the_next_one_looks_everywhere():
    surface = FollowedSurface(24)
    surface.extract(sphere(0.5))
    with pytest.raises(EmptyShape, match="no surface"):
        surface.extract(lambda points: sphere(0.5)(points) + 1)
    assert_same(surface.extract(sphere(0.4)), extract_mesh(sphere(0.4), 24))


def test_an_interrupted_frame_leaves_the_frame_before():
    def interrupted(points):
        raise InterruptedError

    surface = FollowedSurface(24)
    surface.extract(sphere(0.5))
    with pytest.raises(InterruptedError):
        surface.extract(interrupted)
    assert_same(surface.extract(sphere(0.45)), extract_mesh(sphere(0.45), 24))


def test_numbers_that_are_not_finite_are_refused():
    surface = FollowedSurface(24)
    surface.extract(sphere(0.5))
    with pytest.raises(ValueError, match="not finite"):
        surface.extract(lambda points: np.full(len(points), np.nan))
