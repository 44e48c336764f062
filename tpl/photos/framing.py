"""A cut-out object as the encoder is used to see it: on white, in the middle of a square, as large as in its views."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from tpl.photos.cutting import HARD_ALPHA, CutOut
from tpl.rendering import composite

FRAMING = {"chairs": 0.82, "sofas": 0.85, "airplanes": 0.60}
"""How large an object stands in its frame: the diagonal of its bounding box there, over the side of the frame.

Medians of the fixed views of procedural shapes. The fixed camera stands at four fifths of the reference distance, in
the middle of what the easy cameras range over. The diagonal varies less from shape to shape than the box's longer side
does, since shapes are scaled by their own diagonals; and an airplane is wider than it seems from its front quarter, so
that each category has a number of its own. A photograph does not tell its distance: this constant stands for it.
"""


class Photo(NamedTuple):
    """What became of a photograph on its way to the encoder."""

    image: UInt8[np.ndarray, "size size 3"]
    """What the encoder sees: the object on white."""

    mask: UInt8[np.ndarray, "height width"]
    """Of the picture as it came: 0 is background, 255 the object."""

    picture: UInt8[np.ndarray, "height width 3"]
    """As it came, upright; on white where it was transparent."""

    source: str
    """Where the mask is from."""

    notes: tuple[str, ...]
    """What looks suspicious, a sentence each."""

    covered: UInt8[np.ndarray, "size size"]
    """The mask as the image is framed."""

    square: tuple[float, float, float]
    """Left, top and side of what the image shows, in pixels of the picture; it may reach beyond that."""


def frame_photo(picture: UInt8[np.ndarray, "height width 4"], cut: CutOut, size: int, share: float) -> Photo:
    """Centres the object's bounding box in a square, at the size that it has in the training views.

    Args:
        picture: As `load_photo` returns it.
        cut: Its object, as `cut_out` returns it.
        size: Pixels a side of the result, what the encoder takes.
        share: The diagonal of the object's bounding box over the side of the square, as `FRAMING[category]`.
    """
    left, top, right, bottom = bounding_box(cut.mask)
    side = np.hypot(right - left, bottom - top) / share
    notes = cut.notes
    if side < 0.5 * size:
        pixels = f"{right - left} x {bottom - top} pixels"
        notes = (*notes, f"the object is only {pixels} and is enlarged to {size / side:.1f} times: details are missing")
    # A canvas of whole pixels, two more than needed, around the object alone; then the square in fractions of a pixel.
    extent = int(np.ceil(side)) + 2
    across, down = (extent - (right - left)) // 2, (extent - (bottom - top)) // 2
    canvas = Image.new("RGB", (extent, extent), "white")
    canvas.paste(Image.fromarray(composite(cut.picture[top:bottom, left:right])), (across, down))
    center = np.array([across + (right - left) / 2, down + (bottom - top) / 2])
    box = (*(center - side / 2), *(center + side / 2))
    object_ = Image.new("L", canvas.size)
    object_.paste(Image.fromarray(cut.mask[top:bottom, left:right]), (across, down))
    image, covered = (
        np.array(part.resize((size, size), Image.Resampling.HAMMING, box=box)) for part in (canvas, object_)
    )
    square = (float(left - across + box[0]), float(top - down + box[1]), float(side))
    return Photo(image, cut.mask, composite(picture), cut.source, notes, covered, square)


def bounding_box(mask: UInt8[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is object in a mask; right and bottom are the first pixels outside."""
    rows, columns = (np.flatnonzero((mask >= HARD_ALPHA).any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def preview(photo: Photo, height: int = 256) -> UInt8[np.ndarray, "height width 3"]:
    """The picture, its mask and what the encoder sees, side by side at one height."""
    mask = np.repeat(photo.mask[..., None], 3, axis=-1)
    return np.concatenate([_at_height(tile, height) for tile in (photo.picture, mask, photo.image)], axis=1)


def _at_height(picture: UInt8[np.ndarray, "rows columns 3"], height: int) -> UInt8[np.ndarray, "height width 3"]:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    smaller = height < picture.shape[0]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
    gap = np.full((height, max(2, height // 32), 3), 255, np.uint8)
    return np.concatenate([resized, gap], axis=1)
