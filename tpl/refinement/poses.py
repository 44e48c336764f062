"""Cameras that can be fitted: five numbers a view, and the rays that they send through an image.

An image shows a shape's unit ball, wherever that stands in the world and however large it is there: the distance and
the scale act as their product alone, a shift and the ball's own centre as their sum. So a pose is all that an image
can tell of a camera that does not roll:

    azimuth, elevation    radians, as a `Camera`'s
    right, up             where the ball's centre stands in the camera's axes, in units of its depth
    log_distance          logarithm of that depth in unit-sphere lengths
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tpl.errors import PlainError
from tpl.meshes import Normalization
from tpl.rendering.cameras import Camera, focal_pixels

AZIMUTH, ELEVATION, RIGHT, UP, LOG_DISTANCE = range(5)
"""The columns of poses."""

Poses = Float[Tensor, "views 5"]


class RefinementError(PlainError):
    """Something that cannot be refined; the message names it and the remedy."""


class Rays(NamedTuple):
    """Rays of some views in the unit-sphere frame."""

    origins: Float[Tensor, "views 3"]
    directions: Float[Tensor, "views rays 3"]  # of length 1


def to_poses(cameras: Sequence[Camera], frames: Sequence[Normalization]) -> Poses:
    """What images show of cameras, in float64.

    Args:
        cameras: One a view, in ShapeNet units.
        frames: The normalisation of the shape that each looks at.

    Raises:
        RefinementError: A camera rolls, or stands in the plane of the shape's centre or beyond.
    """
    poses = np.zeros((len(cameras), 5))
    for pose, camera, frame in zip(poses, cameras, frames, strict=True):
        if camera.roll:
            raise RefinementError(f"a camera that rolls by {camera.roll:g} degrees has no pose: turn its image upright")
        right, up, back = camera.axes @ (-frame.offset - camera.origin)  # of the ball's centre
        if back >= 0:
            raise RefinementError(f"{camera} does not see the shape's centre: move it away from the shape")
        turn = (camera.azimuth + 180) % 360 - 180
        pose[:] = *np.radians([turn, camera.elevation]), -right / back, -up / back, np.log(-back * frame.scale)
    return torch.from_numpy(poses)


def to_cameras(poses: Poses, frames: Sequence[Normalization]) -> list[Camera]:
    """Cameras that show what poses say, for shapes of these normalisations: `to_poses`, the other way.

    Of the many with the same image each is the one that a shift along its axis does not move.
    """
    cameras = []
    for pose, frame in zip(poses.detach().double().cpu().tolist(), frames, strict=True):
        azimuth, elevation = np.degrees(pose[:2])
        depth = np.exp(pose[LOG_DISTANCE]) / frame.scale
        shift = np.array([pose[RIGHT], pose[UP], 0]) * depth @ Camera(azimuth, elevation, 1).axes + frame.offset
        cameras.append(Camera(azimuth % 360, elevation, depth, shift=tuple(shift.tolist())))
    return cameras


def rays(poses: Poses, pixels: Float[Tensor, "views rays 2"], size: int) -> Rays:
    """The rays through image positions (x, y) of views `size` pixels wide; it can be differentiated by the poses."""
    (sin_a, sin_e), (cos_a, cos_e) = poses[:, :2].T.sin(), poses[:, :2].T.cos()
    zero = torch.zeros_like(sin_a)
    right = torch.stack([-cos_a, zero, -sin_a], dim=1)
    up = torch.stack([-sin_e * sin_a, cos_e, sin_e * cos_a], dim=1)
    back = torch.stack([cos_e * sin_a, sin_e, -cos_e * cos_a], dim=1)
    centre = poses[:, RIGHT, None] * right + poses[:, UP, None] * up - back
    x, y = (pixels - size / 2).split(1, dim=2)
    toward = (x * right[:, None] - y * up[:, None]) / focal_pixels(size) - back[:, None]
    origins = -poses[:, LOG_DISTANCE, None].exp() * centre
    return Rays(origins, toward / toward.norm(dim=2, keepdim=True))


def pixel_width(poses: Poses, size: int) -> Float[Tensor, " views"]:
    """What a pixel measures at the depth of the ball's centre, in unit-sphere lengths."""
    return poses[:, LOG_DISTANCE].exp() / focal_pixels(size)
