"""What was seen of a shape, and what that says of its signed distance: an interval at each of many points."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from trimesh.exchange.ply import load_ply

from tpl.errors import PlainError
from tpl.meshes.checking import checked as checked_claims

OUTERMOST = 1.2
"""Free space is looked at within this distance of the origin of the unit-sphere frame, where decoders were trained."""

FEWEST = 10
"""Points that a completion needs."""


class CompletionError(PlainError):
    """Points that cannot be completed; the message says why and what to do."""


class Observation(NamedTuple):
    """Points of the part of a surface that was seen, in one frame."""

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"] | None = None  # unit, outward
    viewpoint: Float[np.ndarray, "3"] | None = None  # from where all of them were seen


class Intervals(NamedTuple):
    """Bounds of a signed distance at points: what an observation says, and no more."""

    points: Float[np.ndarray, "n 3"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


def read_points(file: Path | str) -> Observation:
    """The vertices of a PLY file, with their normals if it has them.

    Raises:
        CompletionError: It is missing or no PLY file, has too few points, or a number that is not finite.
    """
    try:
        with Path(file).open("rb") as stream:
            found = load_ply(checked_claims(stream, "ply"), skip_materials=True)
        vertex = found["metadata"]["_ply_raw"]["vertex"]["data"]
        points, normals = _columns(vertex, "x", "y", "z"), _columns(vertex, "nx", "ny", "nz")
    except Exception as error:  # trimesh fails in a dozen ways
        raise CompletionError(f"{file} cannot be read as a PLY file of points: {error}") from error
    if points is None:
        raise CompletionError(f"{file} has no points: its vertices have no x, y and z")
    return checked(Observation(points, normals), str(file))


def _columns(vertex: Any, *names: str) -> Float[np.ndarray, "n 3"] | None:
    """Properties of a PLY file's vertices side by side, if all of them are there."""
    known = vertex.keys() if isinstance(vertex, dict) else vertex.dtype.names or ()
    if not set(names) <= set(known):
        return None
    return np.stack([np.asarray(vertex[name], dtype=np.float64).reshape(-1) for name in names], axis=1)


def checked(seen: Observation, name: str = "the points") -> Observation:
    """An observation with unit normals, which look towards the viewpoint where there is one.

    Raises:
        CompletionError: Too few points, numbers that are not finite, or normals without a direction.
    """
    points, normals, viewpoint = seen
    if len(points) < FEWEST:
        raise CompletionError(f"{name}: {len(points)} points are too few to complete: give at least {FEWEST}")
    parts = [part for part in seen if part is not None]
    if not all(np.isfinite(part).all() for part in parts):
        raise CompletionError(f"{name}: a number is not finite: leave out such points")
    if normals is not None:
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        if len(normals) != len(points) or not (lengths > 0).all():
            raise CompletionError(
                f"{name}: some of the normals have no direction: leave such points out, or all normals"
            )
        normals = normals / lengths
        if viewpoint is not None:
            towards = ((viewpoint - points) * normals).sum(axis=1, keepdims=True)
            normals = np.where(towards < 0, -normals, normals)
    return Observation(points, normals, viewpoint)


def intervals(seen: Observation, count: int, offset: float, free_share: float, rng: np.random.Generator) -> Intervals:
    """Points about an observation (unit-sphere frame), with what it says of the signed distance s there.

    Near a seen point p with normal n, s(p + t n) = t for small t. Without normals, s(p) = 0. On the way from a seen
    point to the viewpoint nothing is in the way, so s >= 0; and nowhere is the surface farther than the nearest seen
    point, so s is at most the distance to that.

    Args:
        seen: The part of the surface.
        count: How many points.
        offset: Standard deviation of t, which shall be below the shape's thickness.
        free_share: Share of the points in free space, where there is a viewpoint.
        rng: Draws them.

    Raises:
        CompletionError: There are neither normals nor a viewpoint: then nothing says where outside is.

    Source: Park et al. 2019, section 6.3 and supplement, with the distance to the nearest seen point beside it.
    """
    if seen.normals is None and seen.viewpoint is None:
        raise CompletionError(
            "points without normals do not say where outside is: give normals, or the viewpoint that saw them"
        )
    free = int(round(free_share * count)) if seen.viewpoint is not None else 0
    rows = rng.integers(len(seen.points), size=count - free)
    at, zero = seen.points[rows], np.zeros(count - free)
    if seen.normals is None:
        near = Intervals(at, zero, zero)
    else:
        t = offset * rng.standard_normal(count - free)
        near = Intervals(at + t[:, None] * seen.normals[rows], t, t)
    if not free:
        return near
    there = _on_the_way(seen, free, rng)
    high = KDTree(seen.points).query(there)[0]
    parts = near, Intervals(there, np.zeros(free), np.asarray(high, dtype=np.float64))
    return Intervals(*(np.concatenate(pair) for pair in zip(*parts, strict=True)))


def _on_the_way(seen: Observation, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    """Points between seen points and the viewpoint, evenly along each way, as far as it is in the sphere."""
    assert seen.viewpoint is not None
    start = seen.points[rng.integers(len(seen.points), size=count)]
    way = seen.viewpoint - start
    # |start + u way| = OUTERMOST has its larger root here; a start outside of the sphere has none.
    a, b = (way**2).sum(axis=1), (start * way).sum(axis=1)
    c = (start**2).sum(axis=1) - OUTERMOST**2
    root = np.sqrt(np.maximum(b**2 - a * c, 0))
    farthest = np.clip((root - b) / np.maximum(a, 1e-12), 0, 1)
    return start + (rng.random(count) * farthest)[:, None] * way
