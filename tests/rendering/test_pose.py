"""The numbers of a camera come back as one that sees the same picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.dataset.batches import Windows, pose_in_window
from tpl.meshes import Normalization
from tpl.rendering import FIXED, Camera, easy_camera, hard_camera
from tpl.rendering.pose import pose_numbers, pose_of

POINTS = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 3))
CORNERS = np.array([[x, y, z] for x in (-0.3, 0.3) for y in (-0.3, 0.3) for z in (-0.2, 0.2)])


@given(index=st.integers(0, 49), seed=st.integers(0, 99))
def test_a_camera_comes_back_as_one_that_sees_the_same(index, seed):
    rng = np.random.default_rng(seed)
    camera, frame = hard_camera(index, CORNERS, rng), Normalization(rng.uniform(-0.05, 0.05, 3), rng.uniform(1.9, 2.6))
    found, found_frame = pose_of(pose_numbers(camera, frame))
    pixels, depth = camera.project(POINTS - frame.offset)
    found_pixels, found_depth = found.project(POINTS)
    np.testing.assert_allclose(found_pixels, pixels, atol=1e-6)
    np.testing.assert_allclose(found_depth, depth, atol=1e-9)
    assert found.azimuth == pytest.approx(camera.azimuth) and found.elevation == pytest.approx(camera.elevation)
    assert found_frame.scale == pytest.approx(frame.scale)
    np.testing.assert_allclose(found_frame.apply(POINTS), frame.apply(POINTS - frame.offset))


def test_a_camera_that_is_not_shifted_comes_back_itself():
    found, _ = pose_of(pose_numbers(FIXED, Normalization(np.zeros(3), 2.0)))
    given_, seen = np.array(FIXED.axes), np.array(found.axes)
    np.testing.assert_allclose(seen, given_, atol=1e-12)
    assert found.distance == pytest.approx(FIXED.distance) and found.shift == pytest.approx((0, 0, 0))


def test_numbers_of_training_views_are_of_order_one():
    rng = np.random.default_rng(0)
    frame = Normalization(np.zeros(3), 2.1)
    cameras = [easy_camera(i, rng) for i in range(50)] + [hard_camera(i, CORNERS, rng) for i in range(50)]
    spread = np.std([pose_numbers(camera, frame) for camera in cameras], axis=0)[:6]
    assert (spread > 0.1).all() and (spread < 1).all()


def test_only_the_direction_of_the_azimuths_numbers_counts():
    numbers = pose_numbers(Camera(200, 10, 1.5), Normalization(np.zeros(3), 2.0))
    shorter = numbers * [0.1, 0.1, 1, 1, 1, 1, 1]
    assert pose_of(shorter)[0].azimuth == pytest.approx(200)


def test_what_is_behind_the_camera_has_no_numbers():
    with pytest.raises(ValueError, match="must be in front of the camera"):
        pose_numbers(Camera(0, 0, 1, shift=(0.0, 0.0, -2.0)), Normalization(np.zeros(3), 2.0))


def test_a_window_is_seen_by_the_camera_that_the_numbers_say():
    """Points of a plane that faces the camera, so that nearer is larger and nothing else."""
    camera, frame = Camera(40, 25, 1.5, shift=(0.1, -0.05, 0.02)), Normalization(np.zeros(3), 2.0)
    side, shift, turn = 0.8, np.array([0.06, -0.03]), np.radians(4)
    pose = torch.tensor(pose_numbers(camera, frame))[None].float()
    windows = Windows(torch.tensor([side]), torch.tensor(shift)[None].float(), torch.tensor([turn]).float())
    found, _ = pose_of(pose_in_window(pose, windows)[0].double().numpy())

    flat = np.random.default_rng(1).uniform(-0.3, 0.3, (9, 2)) @ camera.axes[:2]
    pixels, _ = camera.project(flat, 1)
    cos, sin = np.cos(turn), np.sin(turn)
    in_window = (pixels - 0.5 - shift) @ np.array([[cos, -sin], [sin, cos]]) / side + 0.5
    rolled = Camera(found.azimuth, found.elevation, found.distance, -np.degrees(turn), found.shift)
    seen, _ = rolled.project(flat, 1)
    # The camera's roll turns the picture about the image's middle, to where the numbers have put the object already.
    place, _ = found.project(np.zeros((1, 3)), 1)
    start, _ = rolled.project(np.zeros((1, 3)), 1)
    np.testing.assert_allclose(seen - start + place, in_window, atol=2e-3)
