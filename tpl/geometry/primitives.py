"""Shapes with a formula: a shape is a function from points to signed distances, negative inside."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

SDF = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, " n"]]
"""A shape: maps points to their signed distances, in the points' unit, negative inside."""


SDFs = Callable[[Sequence[Float[np.ndarray, "_ 3"]]], Sequence[Float[np.ndarray, " _"]]]
"""Several shapes that are asked at once: maps the points for each to their signed distances from it."""


def sphere(radius: float | int) -> SDF:
    """The exact signed distance of a ball around the origin."""

    def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return np.linalg.norm(points, axis=-1) - radius

    return sdf


def box(extents: Sequence[float | int]) -> SDF:
    """The exact signed distance of a box around the origin, given its three side lengths."""
    half = np.asarray(extents, dtype=float) / 2

    def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        beyond = np.abs(points) - half  # how far past each pair of faces
        outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
        inside = np.minimum(beyond.max(axis=-1), 0)
        return outside + inside

    return sdf


def torus(major: float | int, minor: float | int) -> SDF:
    """The exact distance of a tube of radius `minor` along a circle of radius `major` in the xy plane."""

    def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        from_circle = np.hypot(points[:, 0], points[:, 1]) - major
        return np.hypot(from_circle, points[:, 2]) - minor

    return sdf


def union(first: SDF, *others: SDF) -> SDF:
    """The solid that all parts make together.

    Exact outside; inside, where parts overlap, the true depth is larger than the one returned.
    """

    def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return np.min([part(points) for part in (first, *others)], axis=0)

    return sdf


def translated(sdf: SDF, offset: Sequence[float | int]) -> SDF:
    """The same solid, moved by `offset`."""
    shift = np.asarray(offset, dtype=float)
    return lambda points: sdf(points - shift)
