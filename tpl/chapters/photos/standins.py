"""Photographs with a known answer: rendered shapes before backgrounds, for tests and the chapter."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

from tpl.rendering import composite


def before_wall(
    view: UInt8[np.ndarray, "height width 4"],
    colors: Sequence[tuple[int, int, int]],
    noise: float = 2.0,
    seed: int = 0,
) -> UInt8[np.ndarray, "height width 3"]:
    """A view before a plain wall, with the noise of a camera.

    Args:
        view: As `render_view` returns it.
        colors: sRGB of the wall: one, or two for an even gradient from left to right.
        noise: Standard deviation in grey levels.
        seed: Of the noise.
    """
    width = view.shape[1]
    along = np.linspace(0, 1, width)[None, :, None]
    wall = (1 - along) * np.array(colors[0]) + along * np.array(colors[-1])
    return _photographed(view, np.broadcast_to(wall, (*view.shape[:2], 3)), noise, seed)


def in_clutter(
    view: UInt8[np.ndarray, "height width 4"], noise: float = 2.0, seed: int = 0
) -> UInt8[np.ndarray, "height width 3"]:
    """A view in an untidy room: a striped wall with pictures, a floor of boards, and colours as the object has them."""
    height, width, _ = view.shape
    rng = np.random.default_rng(seed)
    own = view[view[..., 3] > 200, :3]
    room = np.zeros((height, width, 3), np.uint8)
    stripe = max(4, width // 14)
    for number, start in enumerate(range(0, width, stripe)):
        room[:, start : start + stripe] = (222, 214, 196) if number % 2 else (198, 186, 164)
    floor = round(0.62 * height)
    for number, start in enumerate(range(-width, 2 * width, 2 * stripe)):
        lean = round(0.4 * (start - width / 2))
        board = np.array([[start, floor], [start + 2 * stripe, floor]] + [[start + 2 * stripe + lean, height]])
        board = np.concatenate([board, [[start + lean, height]]])
        cv2.fillConvexPoly(room, board, (150 - 12 * (number % 3), 112 - 9 * (number % 3), 80 - 6 * (number % 3)))
    for _ in range(7):
        left, top = rng.integers(0, width - stripe), rng.integers(0, floor)
        right, bottom = left + rng.integers(stripe, 4 * stripe), top + rng.integers(stripe, 4 * stripe)
        color = own[rng.integers(len(own))] if len(own) else np.full(3, 128)
        cv2.rectangle(room, (int(left), int(top)), (int(right), int(bottom)), tuple(map(int, color)), -1)
        cv2.rectangle(room, (int(left), int(top)), (int(right), int(bottom)), (52, 46, 44), max(1, stripe // 8))
    return _photographed(view, room, noise, seed)


def _photographed(
    view: UInt8[np.ndarray, "height width 4"], background: np.ndarray, noise: float, seed: int
) -> UInt8[np.ndarray, "height width 3"]:
    picture = composite(view, 0).astype(float) + background * (1 - view[..., 3:] / 255.0)
    picture += noise * np.random.default_rng([seed, 1]).normal(size=picture.shape)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
