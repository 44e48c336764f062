"""From a function back to a mesh: marching cubes that evaluates the function only near its surface."""

from itertools import product
from typing import Literal

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from tpl.primitives import SDF

CHUNK = 65_536
"""Points in one call of a signed distance function: fast, and within the memory that a network has."""


class EmptyShape(ValueError):
    """A function has no surface in the volume that was searched."""


def extract_mesh(
    sdf: SDF,
    resolution: int = 64,
    bound: float | int = 1.0,
    method: Literal["coarse_to_fine", "dense"] = "coarse_to_fine",
    lipschitz: float | int = 1.5,
    truncation: float | int = 0.1,
) -> trimesh.Trimesh:
    """The zero level set of a signed distance function, by marching cubes.

    "dense" evaluates all (resolution + 1)^3 nodes of the grid. "coarse_to_fine" gives the same mesh from a
    fraction of the evaluations: it asks the function at the centres of large blocks, splits those that the
    surface may cross and their neighbours, and evaluates the nodes of what is left. Where the surface then
    runs into nodes that were left out, it is followed. The mesh is the same whenever the function changes by
    at most `lipschitz` per unit of length; where it is steeper, whole surfaces still come out closed, and
    only a part that every block overlooks is lost.

    Args:
        sdf: Signed distances, negative inside; called with at most 65 536 points at a time.
        resolution: Grid cells along each side of the volume; any number, not only powers of two.
        bound: The volume is the cube [-bound, bound]^3. A surface that leaves it is closed by the cube's
            faces.
        method: How nodes are chosen; the result is the same.
        lipschitz: The steepest slope of the function: 1 for true distances, 1.5 to 2 for learned ones.
        truncation: Distance at which the function may have stopped growing, in the unit of `bound`. Blocks
            start small enough to be ruled out by values below it.

    Returns:
        A closed mesh, faces outward, in the frame of the function's points.

    Raises:
        EmptyShape: The function is positive in the whole volume: nothing to mesh.
        ValueError: The function returned numbers that are not finite, or the resolution is below 2.

    Source: Lorensen and Cline 1987, in the variant of Lewiner et al. 2003 (scikit-image).
    """
    if resolution < 2:
        raise ValueError(f"a grid of {resolution} cells a side has no room for a shape; take at least 2")
    if method not in ("coarse_to_fine", "dense"):
        raise ValueError(f"no method {method!r}; take 'coarse_to_fine' or 'dense'")
    spacing = 2 * bound / resolution
    nodes = (resolution + 1,) * 3
    if method == "dense":
        known, volume = np.ones(nodes, bool), np.zeros(nodes, np.float32)
    else:
        known, volume = _nodes_near_surface(sdf, resolution, bound, lipschitz, truncation)
    missing = known
    while missing.any():
        values = evaluate(sdf, np.argwhere(missing) * spacing - bound)
        # A surface through a node makes triangles without area: move it by a hundred thousandth of a cell.
        volume[missing] = np.where(np.abs(values) < 1e-5 * spacing, -1e-5 * spacing, values)
        missing = _corners_of_crossed_cells(volume) & ~known
        known |= missing
    if volume.min() > 0:
        raise EmptyShape(
            f"no surface: the function is positive all over [-{bound:g}, {bound:g}]^3, at {resolution} cells "
            "a side; train longer, or take more cells"
        )
    # A shell of outside, a thousand times the value beneath it, closes what the volume cuts, a thousandth of
    # a cell beyond its faces.
    closed = 1000 * np.abs(np.pad(volume, 1, mode="edge"))
    closed[1:-1, 1:-1, 1:-1] = volume
    vertices, faces, _, _ = marching_cubes(closed, level=0.0, gradient_direction="descent")  # outward faces
    return trimesh.Trimesh((vertices - 1) * spacing - bound, faces, process=False)


def evaluate(sdf: SDF, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Values of a function at any number of points, asked for in chunks that a network has memory for.

    Raises:
        ValueError: A value is not finite.
    """
    chunks = [sdf(points[start : start + CHUNK]) for start in range(0, len(points), CHUNK)]
    values = np.concatenate([np.zeros(0, np.float32), *chunks])
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{bad} of {len(values)} signed distances are not finite; has the training diverged?")
    return values


def _nodes_near_surface(
    sdf: SDF, resolution: int, bound: float | int, lipschitz: float | int, truncation: float | int
) -> tuple[Bool[np.ndarray, "x y z"], Float[np.ndarray, "x y z"]]:
    """Which nodes of the grid to evaluate, and a volume that already has the sign of all others."""
    spacing = 2 * bound / resolution

    def threshold(block: int) -> float:
        """A block whose centre is further from zero than this has no surface; 5 % for rounding."""
        return 1.05 * lipschitz * block * spacing * np.sqrt(3) / 2

    # The largest block that a truncated value can still rule out, and that halves down to 2 or 3 cells.
    sizes = [base * 2**power for power in range(10) for base in (2, 3)]
    fit = [size for size in sizes if threshold(size) < 0.95 * truncation and 4 * size <= resolution]
    block = max(fit, default=1)
    count = -(-resolution // block)
    sign = np.ones((count,) * 3, np.float32)
    active = np.ones((count,) * 3, bool)
    while block > 1:
        # The last blocks may reach past the volume; their centres stay in it, and are as close to its nodes.
        centres = np.minimum((np.argwhere(active) + 0.5) * block * spacing - bound, bound)
        values = evaluate(sdf, centres)
        sign[active] = np.where(values > 0, 1, -1)
        near = np.zeros_like(active)
        near[active] = np.abs(values) <= threshold(block)
        active = binary_dilation(near, np.ones((3, 3, 3), bool))
        if block <= 3:
            break
        block //= 2
        sign, active = (_repeat(array, 2) for array in (sign, active))
    sign, active = (_repeat(array, block)[(slice(resolution),) * 3] for array in (sign, active))
    known = np.zeros((resolution + 1,) * 3, bool)
    for corner in _corners():
        known[corner] |= active
    return known, np.pad(sign, (0, 1), mode="edge")


def _repeat(array: np.ndarray, times: int) -> np.ndarray:
    """Each element becomes a cube of `times` elements a side."""
    return array.repeat(times, 0).repeat(times, 1).repeat(times, 2)


def _corners() -> list[tuple[slice, ...]]:
    """For each of a cell's 8 corners, the slice of the nodes that are this corner of some cell."""
    low, high = slice(None, -1), slice(1, None)
    return list(product((low, high), repeat=3))


def _corners_of_crossed_cells(volume: Float[np.ndarray, "x y z"]) -> Bool[np.ndarray, "x y z"]:
    """Nodes of the cells that marching cubes will draw a face in."""
    outside = volume > 0
    first, *others = (outside[corner] for corner in _corners())
    crossed = np.zeros_like(first)
    for other in others:
        crossed |= first != other
    nodes = np.zeros_like(outside)
    for corner in _corners():
        nodes[corner] |= crossed
    return nodes


def remove_floaters(mesh: trimesh.Trimesh, share: float | int = 0.1) -> trimesh.Trimesh:
    """Drops the connected components that have less than `share` of the area of the largest.

    What a network leaves beside a shape. Keeping the largest only would be wrong: the back of a chair may
    hang apart from its seat. A tenth suits furniture; an airplane's engines are smaller than a tenth of it.

    Args:
        mesh: Stays as it is.
        share: 0 keeps everything, 1 the largest components alone.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no share of an area; take one between 0 and 1")
    component = _component_of_faces(mesh)
    area = np.bincount(component, weights=mesh.area_faces)
    kept = mesh.copy()
    kept.update_faces((area >= share * area.max(initial=0))[component])
    kept.remove_unreferenced_vertices()
    return kept


def _component_of_faces(mesh: trimesh.Trimesh) -> Int[np.ndarray, " faces"]:
    """Faces that share a vertex are in one component."""
    edges = mesh.faces[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), edges.T), shape=(len(mesh.vertices),) * 2)
    _, of_vertex = connected_components(graph, directed=False)
    return of_vertex[mesh.faces[:, 0]]


def sample_mesh(
    mesh: trimesh.Trimesh, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "count 3"], Float[np.ndarray, "count 3"]]:
    """Points spread evenly over a surface, and the unit normals of their faces.

    Raises:
        ValueError: The mesh has no area, or vertices that are not finite.
    """
    area = mesh.area_faces
    if not np.isfinite(area).all():
        raise ValueError("a vertex is not finite, so the surface cannot be sampled; check where the mesh was made")
    if len(area) == 0 or area.sum() == 0:
        raise ValueError(f"a mesh of {len(area)} faces and no area has no surface to sample; drop it")
    face = rng.choice(len(area), size=count, p=area / area.sum())
    corner, first, second = np.moveaxis(mesh.triangles[face], 1, 0)
    across = rng.random((count, 2))
    across = np.where(across.sum(axis=1, keepdims=True) > 1, 1 - across, across)  # fold the square to the triangle
    points = corner + across[:, :1] * (first - corner) + across[:, 1:] * (second - corner)
    normals = np.cross(first - corner, second - corner)
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)
