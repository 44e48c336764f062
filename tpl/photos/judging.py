"""Whether a mask looks like that of an object; what it seldom looks like is said in a sentence with its remedy."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from tpl.photos.reading import ImageError
from tpl.photos.shadows import Shadow

HARD_ALPHA = 128
"""Where a soft mask counts as object."""

CUT_OFF = 0.01
"""Share of an edge that the object must cover, and two pixels, to look cut off there: a leg does."""

FULL, MOST = 0.98, 0.8
"""Shares of the frame that no object fills, and that few do."""

WHOLE = 0.8
"""Share of a found mask that its largest piece holds, if it is that of one object."""

SPECK = 0.01
"""Pieces below this share of the largest are noise."""

REMEDY = "give a mask of the object alone, or a tighter rectangle"


def judge_mask(
    mask: UInt8[np.ndarray, "height width"], box: tuple[int, int, int, int], source: str, found: bool
) -> tuple[str, ...]:
    """Refuses a mask that cannot be an object, and notes what one seldom looks like.

    Args:
        mask: 0 is background, 255 the object.
        box: Left, top, right, bottom of where it may lie.
        source: What made it, in words.
        found: Whether it was searched for, and not given.

    Raises:
        ImageError: It is empty, or covers everything.
    """
    left, top, right, bottom = box
    solid: Bool[np.ndarray, "rows columns"] = mask[top:bottom, left:right] >= HARD_ALPHA
    if solid.sum() < 16:
        raise ImageError(f"no object was found by {source}: {REMEDY}")
    if solid.mean() > FULL:
        raise ImageError(f"all of the picture is object by {source}: {REMEDY}")
    notes = []
    edges = {"left": solid[:, 0], "top": solid[0], "right": solid[:, -1], "bottom": solid[-1]}
    reached = [name for name, edge in edges.items() if edge.sum() >= 2 and edge.mean() > CUT_OFF]
    if reached:
        sides = f"the {' and '.join(reached)} edge{'s' if len(reached) > 1 else ''}"
        notes.append(f"the object reaches {sides}: if it is cut off there, its shape will be, too")
    if solid.mean() > MOST:
        notes.append(f"the mask fills {solid.mean():.0%} of the frame, as few objects do: {REMEDY}")
    _, areas = pieces_of(mask)
    areas = areas[areas >= SPECK * areas.max()]
    largest, alike = areas.max() / areas.sum(), int(np.sum(areas > 0.5 * areas.max()))
    if found and len(areas) > 2 and largest < WHOLE:
        notes.append(
            f"the mask falls apart into {len(areas)} pieces, the largest {largest:.0%} of it, perhaps since the object "
            f"has the ground's colour: {REMEDY}, or photograph it before another colour"
        )
    elif alike > 1:
        notes.append(f"the mask has {alike} pieces of about the same size: if they are several objects, {REMEDY}")
    return tuple(notes)


def judge_guess(source: str) -> tuple[str, ...]:
    """What is said of every mask that was guessed."""
    return (f"{source} guessed the mask: look at it in the preview, and where it is wrong {REMEDY}",)


def judge_plain(
    color: UInt8[np.ndarray, "height width 3"],
    ground: Float[np.ndarray, "height width 3"],
    mask: UInt8[np.ndarray, "height width"],
    shadow: Shadow,
    dropped: bool,
) -> tuple[str, ...]:
    """What is said of a mask that was found on a plain ground: of shadows, and of holes of the ground's colour.

    Args:
        color: The picture.
        ground: Its ground's colour in each pixel, without shadows.
        mask: What was found, before specks go.
        shadow: What may be shadow.
        dropped: Whether its soft part is no longer in the mask.
    """
    solid = mask >= HARD_ALPHA
    if not solid.any():
        return ()
    notes = []
    faded = shadow.fading.sum() / solid.sum()
    if dropped and faded > 0.02:
        notes.append(f"a soft shadow on the ground, {faded:.0%} of the object's size, was left out of the mask")
    elif not dropped and faded > 0.02:
        notes.append(
            f"{min(faded, 1):.0%} of the mask fades into the ground as soft shadows do: if it is one, and none of the "
            "object, give a mask"
        )
    elif (left := _broad(shadow.tinted & solid, solid)) and left < 0.6:
        notes.append(
            f"{left:.0%} of the mask is a darker shade of the ground: if that is a shadow, give a mask of the object "
            "alone, or photograph it in softer light"
        )
    if holes := _doubtful_holes(color, ground, solid, shadow):
        notes.append(
            f"the mask has holes of nearly the ground's colour, {holes:.0%} of it: if they belong to the object, give "
            "a mask, or photograph it before another colour"
        )
    return tuple(notes)


def _broad(part: Bool[np.ndarray, "height width"], solid: Bool[np.ndarray, "height width"]) -> float:
    """The share of a mask that a part of it takes, without what is as thin as legs are; 0 below 0.15."""
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    width = max(3, round(0.05 * np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    share = float(cv2.morphologyEx(part.astype(np.uint8), cv2.MORPH_OPEN, disc).sum() / solid.sum())
    return share if share > 0.15 else 0.0


def _doubtful_holes(
    color: UInt8[np.ndarray, "height width 3"],
    ground: Float[np.ndarray, "height width 3"],
    solid: Bool[np.ndarray, "height width"],
    shadow: Shadow,
) -> float:
    """The share of a mask that its holes take which differ from the ground, if by little.

    Through a hole one sees the ground as it is elsewhere, or its shadow. A part of the object that nearly has its
    colour does not have it exactly.
    """
    _, labels, statistics, _ = cv2.connectedComponentsWithStats((~solid).astype(np.uint8), connectivity=4)
    height, width = solid.shape
    left, top, wide, high, area = statistics.T
    enclosed = (left > 0) & (top > 0) & (left + wide < width) & (top + high < height) & (area > 0.015 * solid.sum())
    # The ring of a hole mixes the object's colour in.
    inner = np.where(cv2.erode((~solid).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0, labels, 0)
    apart, shaded = color - ground, shadow.fading.sum() > 0.02 * solid.sum()
    outer = ~np.isin(labels, np.flatnonzero(enclosed)) & ~solid & ~shadow.tinted
    noise = float(np.abs(apart[outer]).mean()) if outer.any() else 0.0
    doubtful = 0
    for hole in np.flatnonzero(enclosed[1:]) + 1:
        within = (inner == hole) & ~shadow.tinted
        if within.sum() < 9:
            continue
        off = np.median(apart[within], axis=0)  # a JPEG's echoes of an edge are large, and few
        toward = ground[within].mean(axis=0)
        if shaded:  # then a hole may be darker as well
            off -= min(0.0, float(off @ toward)) / max(float(toward @ toward), 1.0) * toward
        if np.abs(off).max() > 2.5 + 2 * noise:
            doubtful += int(area[hole])
    return doubtful / float(solid.sum())


def wholeness(mask: Bool[np.ndarray, "height width"]) -> float:
    """The share of a mask that its largest piece holds, specks not counted; 0 of an empty one."""
    _, areas = pieces_of(np.where(mask, 255, 0).astype(np.uint8))
    return float(areas.max() / areas[areas >= SPECK * areas.max()].sum()) if len(areas) else 0.0


def pieces_of(mask: UInt8[np.ndarray, "height width"]) -> tuple[Any, Any]:
    """Connected pieces of a mask: their labels (0 is background), and the area of each."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats((mask >= HARD_ALPHA).astype(np.uint8))
    return labels, statistics[1:, cv2.CC_STAT_AREA]
