"""From a function back to a mesh: marching cubes that evaluates the function only near its surface."""

from collections.abc import Generator
from itertools import product
from typing import Any, Literal

import joblib
import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from tpl.geometry.primitives import SDF, SDFs

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
    fraction of the evaluations: it asks the function at nodes far apart, each of which settles the sign of those
    around it that its value says are on its side of the surface, then at nodes less far apart among the unsettled
    ones, and at last at all that are left. Where the surface then runs into nodes that were left out, it is
    followed. The mesh is the same whenever the function changes by at most `lipschitz` per unit of length; where
    it is steeper, whole surfaces still come out closed, and only a part that every node asked overlooks is lost.

    Args:
        sdf: Signed distances, negative inside; called with at most 65 536 points at a time.
        resolution: Grid cells along each side of the volume; any number, not only powers of two.
        bound: The volume is the cube [-bound, bound]^3. A surface that leaves it is closed by the cube's
            faces.
        method: How nodes are chosen; the result is the same.
        lipschitz: The steepest slope of the function: 1 for true distances, 1.5 to 2 for learned ones.
        truncation: Distance at which the function may have stopped growing, in the unit of `bound`. The first
            nodes are so near each other that values below it settle all between them.

    Returns:
        A closed mesh, faces outward, in the frame of the function's points.

    Raises:
        EmptyShape: The function is positive in the whole volume: nothing to mesh.
        ValueError: The function returned numbers that are not finite, or the resolution is below 2.

    Source: Lorensen and Cline 1987, in the variant of Lewiner et al. 2003 (scikit-image).
    """
    if method not in ("coarse_to_fine", "dense"):
        raise ValueError(f"no method {method!r}; take 'coarse_to_fine' or 'dense'")
    grid = _Grid(resolution, bound)
    search = _search(grid, lipschitz, truncation) if method == "coarse_to_fine" else _ask_everywhere(grid)
    _answer([search], lambda requests: [evaluate(sdf, points) for points in requests])
    return _polygonise(grid)


def extract_meshes(
    sdfs: SDFs,
    count: int,
    resolution: int = 64,
    bound: float | int = 1.0,
    lipschitz: float | int = 1.5,
    truncation: float | int = 0.1,
    jobs: int = 1,
) -> list[trimesh.Trimesh | Exception]:
    """The zero level sets of several functions, each as `extract_mesh` gives it, side by side.

    What one function is asked next depends on its last answers alone, so that each question goes to all of them at
    once: a device gets one large batch where it would get one small batch a function.

    Args:
        sdfs: Signed distances of all shapes at points for each.
        count: How many shapes they are.
        resolution: As for `extract_mesh`, with `bound`, `lipschitz` and `truncation`.
        jobs: Processes for marching cubes.

    Returns:
        A mesh a function, or the error that `extract_mesh` would raise.
    """
    grids = [_Grid(resolution, bound) for _ in range(count)]
    errors = _answer([_search(grid, lipschitz, truncation) for grid in grids], sdfs)
    tasks = (joblib.delayed(_attempt)(grid, error) for grid, error in zip(grids, errors, strict=True))
    meshes: Any = joblib.Parallel(n_jobs=jobs)(tasks)
    return meshes


def _attempt(grid: "_Grid", error: Exception | None) -> trimesh.Trimesh | Exception:
    try:
        return error or _polygonise(grid)
    except EmptyShape as empty:
        return empty


def _polygonise(grid: "_Grid") -> trimesh.Trimesh:
    """Marching cubes on the nodes of a grid."""
    volume, bound = grid.volume, grid.bound
    if volume.min() > 0:
        raise EmptyShape(
            f"no surface: the function is positive all over [-{bound:g}, {bound:g}]^3, at {grid.resolution} cells "
            "a side; train longer, or take more cells"
        )
    # A shell of outside, a thousand times the value beneath it, closes what the volume cuts, a thousandth of
    # a cell beyond its faces.
    closed = 1000 * np.abs(np.pad(volume, 1, mode="edge"))
    closed[1:-1, 1:-1, 1:-1] = volume
    vertices, faces, _, _ = marching_cubes(closed, level=0.0, gradient_direction="descent")  # outward faces
    return trimesh.Trimesh((vertices - 1) * grid.spacing - bound, faces, process=False)


def evaluate(sdf: SDF, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Values of a function at any number of points, asked for in chunks that a network has memory for.

    Raises:
        ValueError: A value is not finite.
    """
    chunks = [sdf(points[start : start + CHUNK]) for start in range(0, len(points), CHUNK)]
    return _finite(np.concatenate([np.zeros(0, np.float32), *chunks]))


def _finite(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"{bad} of {len(values)} signed distances are not finite; has the training diverged?")
    return values


Search = Generator[Float[np.ndarray, "_ 3"], Float[np.ndarray, " _"], Any]
"""Yields points, and is sent the values of a function there, until it knows enough."""


def _answer(searches: list[Search], sdfs: SDFs) -> list[Exception | None]:
    """Answers several searches in step until the last one ends; returns the error that each has met, if any."""
    errors: list[Exception | None] = [None] * len(searches)
    nothing = np.zeros((0, 3))
    asked = [next(search) for search in searches]
    open_ = set(range(len(searches)))
    while open_:
        answers = sdfs(asked)
        for number in list(open_):
            try:
                asked[number] = searches[number].send(_finite(answers[number]))
                continue
            except StopIteration:
                pass
            except ValueError as error:
                errors[number] = error
            asked[number] = nothing
            open_.remove(number)
    return errors


class _Grid:
    """The nodes of a cube, by their rows in one long array: what is known of a function there."""

    def __init__(self, resolution: int, bound: float | int):
        if resolution < 2:
            raise ValueError(f"a grid of {resolution} cells a side has no room for a shape; take at least 2")
        self.resolution, self.bound = resolution, bound
        self.spacing = 2 * bound / resolution
        self.shape = (resolution + 1,) * 3
        self.volume = np.zeros(self.shape, np.float32)  # a value, a settled sign (1 or -1), or 0: unsettled
        self.known = np.zeros(self.shape, bool)  # where it is a value

    def ask(self, rows: np.ndarray) -> Generator[np.ndarray, np.ndarray, np.ndarray]:
        """Asks for the function's values at nodes, and keeps them."""
        nodes = np.stack(np.unravel_index(rows, self.shape), axis=1)
        values = yield nodes * self.spacing - self.bound
        # A surface through a node makes triangles without area: move it by a hundred thousandth of a cell.
        values = np.where(np.abs(values) < 1e-5 * self.spacing, -1e-5 * self.spacing, values)
        self.volume.ravel()[rows] = values
        self.known.ravel()[rows] = True
        return values

    def unsettled(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
        """Those among some nodes of which not even the sign is known."""
        return rows[self.volume.ravel()[rows] == 0]

    def settle(
        self,
        rows: Int[np.ndarray, " n"],
        values: Float[np.ndarray, " n"],
        steps: Int[np.ndarray, "steps 3"],
        slope: float | int,
    ) -> None:
        """Signs of the nodes that are some steps away, and less far than the values allow.

        Args:
            rows: Nodes that were asked.
            values: What they answered.
            steps: Where the other nodes lie, in cells along each axis.
            slope: By how much the function changes at most per unit of length.
        """
        place = np.stack(np.unravel_index(rows, self.shape))
        reach = np.abs(values) / (slope * self.spacing)  # in cells
        sign = np.sign(values).astype(np.float32)
        volume = self.volume.ravel()
        for step in steps:
            there = place + step[:, None]
            near = (reach > np.linalg.norm(step)) & ((there >= 0) & (there <= self.resolution)).all(axis=0)
            target = np.asarray(np.ravel_multi_index(tuple(there[:, near]), self.shape))
            open_ = volume[target] == 0
            volume[target[open_]] = sign[near][open_]


def _ask_everywhere(grid: _Grid) -> Search:
    yield from grid.ask(np.arange(grid.volume.size))


def _search(grid: _Grid, lipschitz: float | int, truncation: float | int) -> Search:
    """Asks at as few nodes as settle the sign of all others."""
    slope = 1.05 * lipschitz  # 5 % for rounding
    resolution, every = grid.resolution, np.arange(grid.volume.size).reshape(grid.shape)
    # A lattice of every (2 m + 1)th node has each node at most m cells along each axis from one of its own. The first
    # lattice is the widest that a truncated value can still settle.
    margin = min(int(0.95 * truncation / (slope * grid.spacing * 3**0.5)), (resolution // 4 - 1) // 2)
    while margin > 0:
        centres = np.minimum(np.arange(margin, resolution + margin + 1, 2 * margin + 1), resolution)
        rows = grid.unsettled(every[np.ix_(centres, centres, centres)].ravel())
        around = np.array(list(product(range(-margin, margin + 1), repeat=3)))
        grid.settle(rows, (yield from grid.ask(rows)), around, slope)
        margin //= 2
    # Every second node, as on a chessboard, settles some of those beside it; what is left is asked.
    rows = grid.unsettled(every.ravel())
    even = rows[np.stack(np.unravel_index(rows, grid.shape)).sum(axis=0) % 2 == 0]
    beside = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    grid.settle(even, (yield from grid.ask(even)), beside, slope)
    yield from grid.ask(grid.unsettled(rows))
    # A surface that runs into nodes which seemed to be far from it is followed.
    while len(missing := np.flatnonzero(_corners_of_crossed_cells(grid.volume) & ~grid.known)):
        yield from grid.ask(missing)


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
