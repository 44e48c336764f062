"""The camera of a view as seven numbers that a network can learn, and back.

Source: ours. Each number is shifted and scaled so that an error in it moves the picture about as far as one in another.
"""

import numpy as np
from jaxtyping import Float

from tpl.meshes import Normalization
from tpl.rendering.cameras import Camera

NUMBERS = 7
"""sin az, cos az, 3 el - 1, 4 x/z, 4 y/z, 4 (log z - .37), 8 (log scale - .8).

Azimuth and elevation in radians; x (to the right), y (up) and z (the depth) place the centre of the object's unit
sphere before the camera, in ShapeNet units; scale is that of the object's normalisation.
"""

LOG_DEPTH, LOG_SCALE = 0.37, 0.8  # in the middle of those of training views


def pose_numbers(camera: Camera, frame: Normalization) -> Float[np.ndarray, " 7"]:
    """The numbers of a view of a shape; a roll is not among them.

    Args:
        camera: Of the view, in the raw frame.
        frame: Normalisation of the shape, from there to the unit-sphere frame.

    Raises:
        ValueError: The shape's centre is not in front of the camera.
    """
    x, y, back = camera.axes @ (-frame.offset - camera.origin)
    depth = -back
    if depth <= 0:
        raise ValueError(f"the object's centre has depth {depth:.3g}: it must be in front of the camera")
    azimuth, elevation = np.radians([camera.azimuth, camera.elevation])
    where = [4 * x / depth, 4 * y / depth, 4 * (np.log(depth) - LOG_DEPTH), 8 * (np.log(frame.scale) - LOG_SCALE)]
    return np.array([np.sin(azimuth), np.cos(azimuth), 3 * elevation - 1, *where])


def pose_of(numbers: Float[np.ndarray, " 7"]) -> tuple[Camera, Normalization]:
    """The camera and the frame of seven numbers: of a shape whose bounding box is centred at the raw frame's origin.

    The object is shifted in the picture's plane alone: what a true camera's shift does along the axis is distance here.
    Only the direction of the first two numbers counts.
    """
    sine, cosine, tilt, across, up, far, size = map(float, numbers)
    depth = np.exp(far / 4 + LOG_DEPTH)
    azimuth, elevation = np.degrees(np.arctan2(sine, cosine)) % 360, np.degrees((tilt + 1) / 3)
    right, upward, _ = Camera(azimuth, elevation, depth).axes
    shift = depth * (across / 4 * right + up / 4 * upward)
    frame = Normalization(np.zeros(3), float(np.exp(size / 8 + LOG_SCALE)))
    return Camera(azimuth, elevation, float(depth), shift=tuple(shift.tolist())), frame
