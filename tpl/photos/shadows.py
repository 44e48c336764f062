"""Shadows on an even ground: what is darker than the ground, of its hue, and fades out into it.

A shadow multiplies the ground's colour, c = k b with 0 < k < 1. So does the face of a grey object before a grey ground;
but a shadow of a lamp that is not a point begins at nothing, while an object begins with an edge. Shadows are
therefore followed from the ground inwards, by small steps of k.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

DARKEST = 0.25
"""The least k: what is darker is an object even where it has the ground's hue."""

OFF_HUE = 0.05
"""Of a shadow's own brightness, how far a channel of it may be from the ground's colour times k, besides `NOISE`."""

NOISE = 3.0
"""Grey levels, after colours are smoothed by a pixel."""

EDGE = 5.0
"""Grey levels a pixel, of 640 to a side: what rises faster is an edge. More in smaller pictures, whose pixels are
larger, up to `COARSEST` times."""

COARSEST = 1.6


class Shadow(NamedTuple):
    """What an object does to the ground around it."""

    fading: Bool[np.ndarray, "height width"]
    """Pixels of soft shadows: no object."""

    tinted: Bool[np.ndarray, "height width"]
    """Pixels that could be shadows by their colour, these among them: also grey faces, and shadows with hard edges."""

    ground: Float[np.ndarray, "height width 3"]
    """The ground with its soft shadows; behind the object as dark as it is beside it."""


def find_shadow(
    color: UInt8[np.ndarray, "height width 3"],
    ground: Float[np.ndarray, "height width 3"],
    unlike: Bool[np.ndarray, "height width"],
) -> Shadow:
    """Divides what is unlike an even ground.

    Args:
        color: The picture.
        ground: Its ground's colour in each pixel.
        unlike: What is not ground.
    """
    bright = np.maximum((ground**2).sum(axis=2), 1.0)
    seen = cv2.GaussianBlur(color.astype(float), (0, 0), 1.0)
    k = (seen * ground).sum(axis=2) / bright
    off = np.abs(seen - k[..., None] * ground).max(axis=2)
    level = k * ground.max(axis=2)
    tinted = unlike & (k > DARKEST) & (k < 1) & (off < NOISE + OFF_HUE * level)
    grey = seen.mean(axis=2)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0) / 8, cv2.Sobel(grey, -1, 0, 1) / 8)
    steepest = EDGE * np.clip(640 / max(color.shape[:2]), 1, COARSEST)
    gentle = tinted & (slope < steepest)
    # Pieces of what is gentle or ground, of which those with ground in them are reached from it; a spot on the object
    # that happens to look like ground is none.
    wide = cv2.erode((~unlike).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    _, pieces = cv2.connectedComponents((gentle | ~unlike).astype(np.uint8), connectivity=4)
    reached = np.zeros(int(pieces.max()) + 1, bool)
    reached[np.unique(pieces[wide])] = True
    fading = gentle & reached[pieces]
    shade = _spread(np.where(fading, k, 1.0), ~unlike | fading)
    return Shadow(fading, tinted, ground * shade[..., None])


def _spread(values: Float[np.ndarray, "height width"], known: Bool[np.ndarray, "height width"]) -> np.ndarray:
    """Values where they are known, and elsewhere that of the nearest pixel at which they are."""
    if known.all() or not known.any():
        return values
    away = (~known).astype(np.uint8)
    labels = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1]
    nearest = np.asarray(labels, np.int64)
    of_label = np.zeros(int(nearest.max()) + 1)
    of_label[nearest[known]] = values[known]
    return of_label[nearest]
