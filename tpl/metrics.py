"""How far one surface is from another: the numbers of the tables."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import trimesh
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from tpl.geometry.marching import evaluate, sample_mesh
from tpl.geometry.primitives import SDF

F_SCORE_THRESHOLD = 0.01
"""One per cent of a raw ShapeNet shape's diagonal, which is 1."""


def chamfer_distance(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"], workers: int = 1) -> float:
    """Symmetric squared Chamfer distance between two point sets.

    The mean squared distance from a point of `a` to its nearest in `b`, plus the same from `b` to `a`:
    a sum, not an average, of squares. Tables of the book show it times 1000.

    Args:
        a: Points, in the frame and unit that the result is wanted in.
        b: Points in the same frame.
        workers: Threads that look for neighbours; -1 for all cores.

    Returns:
        The square of the inputs' length unit; zero for equal sets.

    Raises:
        ValueError: A set is empty or has points that are not finite, so that no nearest neighbour exists.

    Source: the convention of DeepSDF's evaluation code (Park et al. 2019).
    """
    return _chamfer(_neighbours(a, b, workers))


def f_score(
    a: Float[np.ndarray, "n 3"],
    b: Float[np.ndarray, "m 3"],
    threshold: float | int = F_SCORE_THRESHOLD,
    workers: int = 1,
) -> float:
    """Harmonic mean of precision and recall: the shares of each surface that lie close to the other.

    Precision is the share of the points of `a` with a neighbour in `b` no farther than `threshold`, recall
    the same from `b` to `a`. Unlike the Chamfer distance it does not care how far the rest is.

    Args:
        a: Points of the reconstruction.
        b: Points of the ground truth, in the same frame.
        threshold: Length (not its square) in the unit of the points.

    Returns:
        Between 0, also where precision and recall are both 0, and 1.

    Raises:
        ValueError: As `chamfer_distance`, or the threshold is not positive.

    Source: Tatarchenko et al. 2019, "What do single-view 3D reconstruction networks learn?".
    """
    return _f_score(_neighbours(a, b, workers), threshold)


def normal_consistency(
    a: Float[np.ndarray, "n 3"],
    normals_a: Float[np.ndarray, "n 3"],
    b: Float[np.ndarray, "m 3"],
    normals_b: Float[np.ndarray, "m 3"],
    workers: int = 1,
) -> float:
    """How well the normals of two surfaces agree at nearest points.

    The absolute cosine between the normal of a point and that of its nearest neighbour in the other set,
    averaged over a set, then over both directions. Absolute, because collected meshes do not orient their
    faces.

    Args:
        a: Points, with the unit normals of their surface.
        b: Points in the same frame, with theirs.

    Returns:
        Between 0 and 1; 0.5 for directions that know nothing of each other.

    Raises:
        ValueError: As `chamfer_distance`, or a normal's length is not 1 to a thousandth.

    Source: Mescheder et al. 2019 (Occupancy Networks).
    """
    for normals in (normals_a, normals_b):
        length = np.linalg.norm(normals, axis=1)
        if not np.allclose(length, 1, atol=1e-3):
            worst = length[np.argmax(np.abs(length - 1))]
            raise ValueError(f"a normal has length {worst:.3g}; divide normals by their length first")
    return _normal_consistency(_neighbours(a, b, workers), normals_a, normals_b)


class SurfaceMetrics(NamedTuple):
    """What a table says of a pair of surfaces."""

    chamfer: float
    f_score: float
    normal_consistency: float  # NaN where normals are not known


def compare_surfaces(
    a: Float[np.ndarray, "n 3"],
    normals_a: Float[np.ndarray, "n 3"] | None,
    b: Float[np.ndarray, "m 3"],
    normals_b: Float[np.ndarray, "m 3"] | None,
    threshold: float | int = F_SCORE_THRESHOLD,
    workers: int = 1,
) -> SurfaceMetrics:
    """All three at once: the neighbours, which are what costs, are looked for one time."""
    nearest = _neighbours(a, b, workers)
    normals = np.nan
    if normals_a is not None and normals_b is not None:
        normals = _normal_consistency(nearest, normals_a, normals_b)
    return SurfaceMetrics(_chamfer(nearest), _f_score(nearest, threshold), normals)


def iou(first: SDF, second: SDF, resolution: int = 64, bound: float | int = 1.0) -> float:
    """Volume of the intersection over volume of the union, counted on a grid.

    Args:
        first: Signed distances, negative inside.
        second: The same, in the same frame.
        resolution: Cells along each side of the cube [-bound, bound]^3; their centres are asked.
        bound: The part of either shape outside this cube is not seen.

    Returns:
        Between 0 (disjoint) and 1 (the same).

    Raises:
        ValueError: Neither shape holds a cell's centre: 0/0.
    """
    axis = ((np.arange(resolution) + 0.5) / resolution * 2 - 1) * bound
    centres = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    inside_first, inside_second = (evaluate(sdf, centres) < 0 for sdf in (first, second))
    either = np.count_nonzero(inside_first | inside_second)
    if either == 0:
        raise ValueError(f"both shapes are empty on a grid of {resolution} cells a side; use a finer grid")
    return float(np.count_nonzero(inside_first & inside_second) / either)


Sampler = Callable[[int, np.random.Generator], Float[np.ndarray, "count 3"]]
"""Draws points of a surface."""


def sampling_floor(surface: trimesh.Trimesh | Sampler, count: int, rng: np.random.Generator) -> float:
    """Chamfer distance between two samplings of one surface: no reconstruction can be expected below it.

    It falls as one over the number of points, and belongs beside every figure.

    Args:
        surface: A mesh, or a function that draws points of a surface.
        count: Points in each of the two sets, as many as the protocol takes.

    Returns:
        The square of the points' length unit.
    """
    sample = partial(_sample_points, surface) if isinstance(surface, trimesh.Trimesh) else surface
    return chamfer_distance(sample(count, rng), sample(count, rng))


def _sample_points(mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 3"]:
    points, _ = sample_mesh(mesh, count, rng)
    return points


class _Neighbours(NamedTuple):
    """Distance to, and row of, the nearest point in the other set, for each point of each set."""

    a_to_b: Float[np.ndarray, " n"]
    b_to_a: Float[np.ndarray, " m"]
    index_in_b: Int[np.ndarray, " n"]
    index_in_a: Int[np.ndarray, " m"]


def _neighbours(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"], workers: int) -> _Neighbours:
    if len(a) == 0 or len(b) == 0:
        raise ValueError(f"no nearest neighbour in an empty set: {len(a)} and {len(b)} points")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a point is not finite, so its distance is not known; look at the mesh it comes from")
    order_a, tree_a = _tree(a)
    order_b, tree_b = _tree(b)
    a_to_b, index_in_b = tree_b.query(tree_a.data, workers=workers)
    b_to_a, index_in_a = tree_a.query(tree_b.data, workers=workers)
    back_a, back_b = np.argsort(order_a), np.argsort(order_b)
    return _Neighbours(
        a_to_b[back_a], b_to_a[back_b], order_b[np.asarray(index_in_b)[back_a]], order_a[np.asarray(index_in_a)[back_b]]
    )


def _tree(points: Float[np.ndarray, "n 3"]) -> tuple[Int[np.ndarray, " n"], KDTree]:
    """A search tree over points in the order of its own leaves, and that order.

    Points that are close in space then lie close in memory, in the tree as in the queries, and the processor's cache
    serves one query with what the last one fetched: about twice as fast. Cells halved at their middle, not at the
    median, keep surfaces apart better.
    """
    order = KDTree(points, balanced_tree=False, compact_nodes=False).indices
    return order, KDTree(points[order], balanced_tree=False, compact_nodes=False)


def _chamfer(nearest: _Neighbours) -> float:
    return float(np.mean(nearest.a_to_b**2) + np.mean(nearest.b_to_a**2))


def _f_score(nearest: _Neighbours, threshold: float | int) -> float:
    if not threshold > 0:
        raise ValueError(f"a threshold of {threshold} counts nothing as close; take a positive length")
    precision = float(np.mean(nearest.a_to_b <= threshold))
    recall = float(np.mean(nearest.b_to_a <= threshold))
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _normal_consistency(
    nearest: _Neighbours, normals_a: Float[np.ndarray, "n 3"], normals_b: Float[np.ndarray, "m 3"]
) -> float:
    forth = np.abs(np.sum(normals_a * normals_b[nearest.index_in_b], axis=1))
    back = np.abs(np.sum(normals_b * normals_a[nearest.index_in_a], axis=1))
    return float((np.mean(forth) + np.mean(back)) / 2)
