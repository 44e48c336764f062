"""Poses are what images show of cameras: the rays go where `Camera` says that the points are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl.meshes import Normalization
from tpl.refinement import RefinementError, to_cameras, to_poses
from tpl.refinement.poses import LOG_DISTANCE, pixel_width, rays
from tpl.rendering import FIXED, Camera

cameras = st.builds(
    Camera,
    azimuth=st.floats(0, 360),
    elevation=st.floats(-80, 80),
    distance=st.floats(1.05, 2.5),
    shift=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
)
frames = st.builds(
    lambda offset, scale: Normalization(np.array(offset), scale),
    offset=st.tuples(*[st.floats(-0.1, 0.1)] * 3),
    scale=st.floats(1, 3),
)


@settings(deadline=None)  # the first call waits for torch
@given(camera=cameras, frame=frames, size=st.integers(8, 300), seed=st.integers(0, 99))
def test_a_ray_through_a_projected_pixel_passes_through_the_point(camera, frame, size, seed):
    raw = np.random.default_rng(seed).uniform(-0.29, 0.29, (20, 3))
    pixels, _ = camera.project(raw, size)
    points = torch.from_numpy(frame.apply(raw))
    origins, directions = rays(to_poses([camera], [frame]), torch.from_numpy(pixels)[None], size)
    toward = points - origins[0]
    along = (toward * directions[0]).sum(dim=1, keepdim=True)
    assert (along > 0).all()
    torch.testing.assert_close(along * directions[0], toward, atol=1e-6, rtol=0)
    torch.testing.assert_close(directions.norm(dim=2), torch.ones(1, 20, dtype=torch.float64))


@settings(deadline=None)  # the first call waits for torch
@given(camera=cameras, frame=frames)
def test_the_origin_is_the_camera_s(camera, frame):
    origins, _ = rays(to_poses([camera], [frame]), torch.zeros((1, 1, 2), dtype=torch.float64), 64)
    np.testing.assert_allclose(origins[0], frame.apply(camera.origin), atol=1e-6)


@settings(deadline=None)  # the first call waits for torch
@given(camera=cameras, frame=frames, other=frames)
def test_a_camera_of_a_pose_shows_the_same(camera, frame, other):
    pose = to_poses([camera], [frame])
    torch.testing.assert_close(to_poses(to_cameras(pose, [other]), [other]), pose, atol=1e-6, rtol=0)
    points = np.random.default_rng(0).uniform(-0.29, 0.29, (20, 3))
    (again,) = to_cameras(pose, [frame])
    for found, expected in zip(again.project(points), camera.project(points), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6 * 224)


def test_distance_and_scale_act_as_their_product_alone():
    near, far = (to_poses([Camera(30, 20, d)], [Normalization(np.zeros(3), 2.4 / d)]) for d in (1.2, 1.6))
    torch.testing.assert_close(near, far)
    assert near[0, LOG_DISTANCE].exp() == pytest.approx(2.4)


def test_a_pixel_measures_what_two_rays_are_apart_at_the_centre():
    poses = torch.tensor([[0.3, 0.2, 0.0, 0.0, 1.0]], dtype=torch.float64)
    origins, directions = rays(poses, torch.tensor([[[32.0, 32.0], [33.0, 32.0]]], dtype=torch.float64), 64)
    depth = poses[0, LOG_DISTANCE].exp()
    places = origins + depth / (directions[0] @ directions[0, 0])[:, None] * directions[0]
    assert (places[1] - places[0]).norm() == pytest.approx(pixel_width(poses, 64).item())


def test_rays_can_be_differentiated_by_the_pose():
    poses = torch.tensor([[0.4, 0.3, 0.1, -0.05, 1.1], [2.0, -0.2, 0.0, 0.2, 0.9]], dtype=torch.float64)
    pixels = torch.tensor([[[3.0, 50.0], [20.0, 31.0]]], dtype=torch.float64).expand(2, -1, -1)
    assert torch.autograd.gradcheck(lambda pose: rays(pose, pixels, 64), poses.requires_grad_())


def test_cameras_without_a_pose_are_refused():
    frame = Normalization(np.zeros(3), 2.0)
    with pytest.raises(RefinementError, match="rolls by 5 degrees .* turn its image upright"):
        to_poses([Camera(0, 0, 1, roll=5)], [frame])
    with pytest.raises(RefinementError, match="does not see the shape's centre: move it away"):
        to_poses([FIXED], [Normalization(-FIXED.origin, 2.0)])
