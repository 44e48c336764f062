"""The object of a picture without its background: by a mask, by alpha, by a network, or found by its colours.

On a plain background (a render, a product picture) the object is what differs from the plane of colour that fits
the picture's edge, less its soft shadow. Anything else is left to GrabCut and its rectangle, which is a guess.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from tpl.photos.judging import HARD_ALPHA, WHOLE, judge_guess, judge_mask, judge_plain, pieces_of, wholeness
from tpl.photos.masking import MaskNetwork
from tpl.photos.reading import ImageError, PictureLike, load_photo
from tpl.photos.shadows import find_shadow

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels of the upright picture; right and bottom are the first ones outside."""

MARGIN = 0.04
"""Share of the picture's sides that is taken for background where no rectangle is given."""

PLAIN = 12.0
"""Grey levels by which a plain background may differ from its own plane of colour: noise, and the traces of JPEG."""

WORKING_SIZE = 640
"""Pixels of the longer side at which an object is searched for: more than any encoder sees, and GrabCut takes a second
or two."""


PLAIN_GROUND = "plain background"


class CutOut(NamedTuple):
    """An object alone."""

    picture: UInt8[np.ndarray, "height width 4"]
    """The object's own colours, and the mask as straight alpha."""

    source: str
    """Where the mask is from: "mask", "alpha", "plain background", "GrabCut", or a network's name."""

    notes: tuple[str, ...]
    """What looks suspicious, a sentence each."""

    @property
    def mask(self) -> UInt8[np.ndarray, "height width"]:
        """0 is background, 255 the object, and its border may lie between."""
        return self.picture[..., 3]


def cut_out(
    picture: UInt8[np.ndarray, "height width 4"],
    mask: PictureLike | None = None,
    rectangle: Sequence[int] | None = None,
    network: MaskNetwork | None = None,
    drop_shadows: bool = True,
) -> CutOut:
    """Separates the object from its background, the same way each time.

    What is given decides: a mask before the picture's own alpha, alpha before a network, and that before a search by
    colours: on a plain ground, or else by GrabCut. A rectangle limits each of them.

    Args:
        picture: As `load_photo` returns it.
        mask: Bright where the object is, of the picture's size.
        rectangle: `Rectangle`; outside of it all is background. For GrabCut the picture less a margin by default.
        network: Finds masks; see `tpl.photos.masking`.
        drop_shadows: Whether soft shadows on a plain ground are taken for ground.

    Raises:
        ImageError: The mask has another size, the rectangle does not fit, or the mask is empty or covers everything.

    Source: GrabCut: Rother, Kolmogorov and Blake 2004, by OpenCV.
    """
    height, width, _ = picture.shape
    box = (0, 0, width, height) if rectangle is None else check_rectangle(rectangle, width, height)
    color, alpha, notes = picture[..., :3], picture[..., 3], ()
    if mask is not None:
        alpha, source = read_mask(mask, width, height), "mask"
    elif np.mean(alpha < HARD_ALPHA) > 0.01:
        source = "alpha"
    elif network is not None:
        alpha, source = network.find(np.ascontiguousarray(color)), network.name
        notes = judge_guess(source)
    else:
        if rectangle is None:
            box = _less_margin(width, height)
        color, alpha, source, notes = _search(color, box, drop_shadows)
        if rectangle is None and source == PLAIN_GROUND:  # what differs there is object, margin or not
            box = (0, 0, width, height)
    inside = np.zeros_like(alpha)
    inside[box[1] : box[3], box[0] : box[2]] = alpha[box[1] : box[3], box[0] : box[2]]
    found = source not in ("mask", "alpha")
    if found:
        inside = _without_specks(inside)
    return CutOut(np.dstack([color, inside]), source, (*judge_mask(inside, box, source, found), *notes))


def check_rectangle(rectangle: Sequence[int], width: int, height: int) -> Rectangle:
    """A rectangle that lies in a picture of this size.

    Raises:
        ImageError: It does not, or is smaller than 4 pixels.
    """
    values = [int(value) for value in rectangle]
    if len(values) == 4:
        left, top, right, bottom = values
        if 0 <= left < right <= width and 0 <= top < bottom <= height and min(right - left, bottom - top) >= 4:
            return left, top, right, bottom
    raise ImageError(
        f"the rectangle {' '.join(map(str, values))} does not lie within a picture of {width} x {height} pixels: "
        "give left, top, right and bottom in pixels, at least 4 apart"
    )


def _less_margin(width: int, height: int) -> Rectangle:
    across, down = (max(1, round(MARGIN * side)) for side in (width, height))
    return across, down, width - across, height - down


def read_mask(mask: PictureLike, width: int, height: int) -> UInt8[np.ndarray, "height width"]:
    """A mask for a picture of this size; what is transparent in it is background, too.

    Raises:
        ImageError: It cannot be read, or has another size.
    """
    read = load_photo(mask)
    name = mask if isinstance(mask, str) or hasattr(mask, "suffix") else "the mask"
    if read.shape[:2] != (height, width):
        raise ImageError(
            f"{name} is {read.shape[1]} x {read.shape[0]} pixels and the picture {width} x {height}: "
            "a mask has the size of its picture"
        )
    grey = cv2.cvtColor(read[..., :3], cv2.COLOR_RGB2GRAY)
    return np.rint(grey * (read[..., 3] / 255.0)).astype(np.uint8)


def _search(
    color: UInt8[np.ndarray, "height width 3"], box: Rectangle, drop_shadows: bool
) -> tuple[UInt8[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"], str, tuple[str, ...]]:
    """Finds the object by its colours: its own colours, its mask, how it was found, and what to say of that."""
    height, width, _ = color.shape
    scale = min(1.0, WORKING_SIZE / max(height, width))
    small = cv2.resize(color, (round(scale * width), round(scale * height)), interpolation=cv2.INTER_AREA)
    left, top, right, bottom = (round(scale * value) for value in box)
    outside = np.ones(small.shape[:2], bool)
    outside[top:bottom, left:right] = False
    if outside.sum() < 16:
        raise ImageError("the rectangle leaves no background around the object: make it smaller, or give a mask")
    plane = _background(small, outside)
    if plane is not None:
        (mask, own, notes), source = _unlike(small, plane, drop_shadows), PLAIN_GROUND
    else:
        (mask, own), source = (_grab(small, (left, top, right, bottom)), small), "GrabCut"
        notes = judge_guess(source)
    if scale == 1:
        return own, mask, source, notes
    return color, np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)), source, notes


# --- a plain background


def _background(
    color: UInt8[np.ndarray, "height width 3"], outside: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"] | None:
    """The plane of colour (even, or with an even gradient) of the pixels outside; nothing if they fit none."""
    height, width, _ = color.shape
    y, x = np.mgrid[:height, :width]
    place = np.stack([np.ones(x.shape), x / width - 0.5, y / height - 0.5], axis=-1)
    places, colors = place[outside], color[outside].astype(float)
    # The object may reach into the edge, so the fit begins from the most common colour and drops what is unlike it.
    kept = np.abs(colors - np.median(colors, axis=0)).max(axis=1) < 4 * PLAIN
    for _ in range(3):
        if kept.mean() < 0.5:
            return None
        plane, *_ = np.linalg.lstsq(places[kept], colors[kept], rcond=None)
        kept = np.abs(colors - places @ plane).max(axis=1) < PLAIN
    return place @ plane if kept.mean() > 0.85 else None


def _unlike(
    color: UInt8[np.ndarray, "height width 3"], background: Float[np.ndarray, "height width 3"], drop_shadows: bool
) -> tuple[UInt8[np.ndarray, "height width"], UInt8[np.ndarray, "height width 3"], tuple[str, ...]]:
    """What differs from a known background: a mask that is soft at the border, and the object's own colours there.

    A pixel of the border mixes the object with the background. Its share of the object is taken to be its difference
    from the background over the largest one beside it; with that share the background is subtracted again.
    """
    unlike = _apart(color, background) > PLAIN
    shadow = find_shadow(color, background, unlike)
    # An object whose own shades fade into the ground would fall apart without them, or leave little.
    rest = unlike & ~shadow.fading
    apart = wholeness(rest) < min(WHOLE, wholeness(unlike)) or rest.sum() < shadow.fading.sum()
    dropped = drop_shadows and not apart
    unlike, behind = (rest, shadow.ground) if dropped else (unlike, background)
    difference, solid = _apart(color, behind), unlike.astype(np.uint8)
    beside = np.ones((3, 3), np.uint8)
    border = unlike & (cv2.erode(solid, beside, borderValue=1) == 0)
    largest = cv2.dilate(np.where(unlike, difference, 0), beside)
    share = np.where(border, difference / np.maximum(largest, 1e-6), solid)
    own = (color - (1 - share[..., None]) * behind) / np.maximum(share[..., None], 1e-6)
    own = np.where(border[..., None], own, color)
    mask = np.rint(255 * share).astype(np.uint8)
    notes = judge_plain(color, background, mask, shadow, dropped)
    return mask, np.rint(np.clip(own, 0, 255)).astype(np.uint8), notes


def _apart(
    color: UInt8[np.ndarray, "height width 3"], background: Float[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width"]:
    return np.abs(color - background).max(axis=-1)


# --- any other background


def _grab(color: UInt8[np.ndarray, "height width 3"], box: Rectangle) -> UInt8[np.ndarray, "height width"]:
    left, top, right, bottom = box
    labels = np.zeros(color.shape[:2], np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its mixtures of colours start from a random clustering
    cv2.grabCut(color, labels, (left, top, right - left, bottom - top), *models, 6, cv2.GC_INIT_WITH_RECT)
    return np.where(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), 255, 0).astype(np.uint8)


def _without_specks(mask: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Pieces below a hundredth of the largest are noise of the search."""
    labels, areas = pieces_of(mask)
    if not len(areas):
        return mask
    kept = np.concatenate([[False], areas >= 0.01 * areas.max()])
    beside = cv2.dilate(kept[labels].astype(np.uint8), np.ones((3, 3), np.uint8))  # the soft border stays
    return np.where(beside > 0, mask, 0).astype(np.uint8)
