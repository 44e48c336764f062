"""A cut-out object as the encoder is used to see it: on white, in the middle of a square, as large as in its views."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from tpl.finishing import Sight, bounding_box
from tpl.meshes import Normalization
from tpl.photos.cutting import CutOut
from tpl.photos.judging import HARD_ALPHA
from tpl.rendering import Camera, composite

FRAMING = {"chairs": 0.82, "sofas": 0.85, "airplanes": 0.60}
"""How large an object stands in its frame: the diagonal of its bounding box there, over the side of the frame.

Medians of the fixed views of procedural shapes. The fixed camera stands at four fifths of the reference distance, in
the middle of what the easy cameras range over. The diagonal varies less from shape to shape than the box's longer side
does, since shapes are scaled by their own diagonals; and an airplane is wider than it seems from its front quarter, so
that each category has a number of its own. A photograph does not tell its distance: this constant stands for it.
"""

CANVAS = 4096
"""Pixels a side of the canvas that an object is put on, about: a larger one is shrunk before, not after."""


OUTLINE = (230, 30, 200)
"""sRGB of a mask's outline in the preview: few objects have it."""


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
    _, side = frame_square(cut.mask, share)
    notes = cut.notes
    if side < 0.5 * size:
        pixels = f"{right - left} x {bottom - top} pixels"
        notes = (*notes, f"the object is only {pixels} and is enlarged to {size / side:.1f} times: details are missing")
    crop = Image.fromarray(composite(cut.picture[top:bottom, left:right]))
    if (times := int(side // CANVAS)) > 1:  # a canvas is square, and so large a one would take gigabytes
        crop, side = crop.reduce(times), side / times
    width, height = crop.size
    # A canvas of whole pixels, two more than needed, around the object alone; then the square in fractions of a pixel.
    extent = int(np.ceil(side)) + 2
    across, down = (extent - width) // 2, (extent - height) // 2
    canvas = Image.new("RGB", (extent, extent), "white")
    canvas.paste(crop, (across, down))
    center = np.array([across + width / 2, down + height / 2])
    box = (*(center - side / 2), *(center + side / 2))
    object_ = Image.new("L", canvas.size)
    object_.paste(Image.fromarray(cut.mask[top:bottom, left:right]), (across, down))
    image, covered = (
        np.array(part.resize((size, size), Image.Resampling.HAMMING, box=box)) for part in (canvas, object_)
    )
    square = (float(left - across + box[0]), float(top - down + box[1]), float(side))
    return Photo(image, cut.mask, composite(picture), cut.source, notes, covered, square)


def frame_square(mask: UInt8[np.ndarray, "height width"], share: float) -> tuple[Float[np.ndarray, "2"], float]:
    """Centre (x, y) and side, in pixels of the picture, of the square that `frame_photo` shows: the way back to it."""
    left, top, right, bottom = bounding_box(mask)
    return np.array([left + right, top + bottom]) / 2, float(np.hypot(right - left, bottom - top) / share)


def sight_of(photo: Photo, share: float, camera: Camera, frame: Normalization) -> Sight:
    """What `tpl.finishing.finish` takes the photograph's colours by.

    Args:
        photo: As `frame_photo` made it.
        share: That it was framed with, `FRAMING[category]`.
        camera: The one that an encoder sees in `photo.image`, or a refined one.
        frame: Of the shape before it, as `estimate_cameras` gives both.
    """
    return Sight(photo.picture, photo.mask, camera, frame, *frame_square(photo.mask, share))


def preview(photo: Photo, height: int = 256) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with its mask's outline, the mask and where it is from, and what the encoder sees, at one height."""
    picture, mask = _at_height(photo.picture, height), _at_height(np.repeat(photo.mask[..., None], 3, axis=-1), height)
    inside = (mask[..., 0] >= HARD_ALPHA).astype(np.uint8)
    inside[:, -_gap(height) :] = 0
    outline = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    outlined = np.where(outline[..., None], np.array(OUTLINE, np.uint8), picture)
    named = Image.fromarray(mask)
    brush, letters = ImageDraw.Draw(named), max(9, height // 18)
    label = (0, 0, mask.shape[1] - _gap(height), round(1.5 * letters))
    brush.rectangle(label, fill="white")
    brush.text((3, 1), photo.source, fill="black", font=ImageFont.load_default(letters))
    return np.concatenate([outlined, np.asarray(named), _at_height(photo.image, height)], axis=1)


def _gap(height: int) -> int:
    return max(2, height // 32)


def _at_height(picture: UInt8[np.ndarray, "rows columns 3"], height: int) -> UInt8[np.ndarray, "height width 3"]:
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    smaller = height < picture.shape[0]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
    gap = np.full((height, _gap(height), 3), 255, np.uint8)
    return np.concatenate([resized, gap], axis=1)
