"""The signed distance of a mesh as it is, points on its surface, and DeepSDF's samples around it."""

from typing import NamedTuple

import igl
import numpy as np
import trimesh
from jaxtyping import Float, Float32, Int

from tpl.geometry.primitives import SDF
from tpl.meshes import CleanMesh, MeshError, Normalization, clean_mesh
from tpl.meshes.cleaning import points_on
from tpl.meshes.rays import RayScene

NEAR_VARIANCES = (
    0.005,
    0.0005,
)  # of the noise, squared unit-sphere lengths: standard deviations 0.0707, 0.0224
NEAR_SHARE = 0.47  # of the samples, for each of the two; what is left lies uniformly in the cube


class MeshSDF:
    """The signed distance of a cleaned mesh, as a function of points in the unit-sphere frame.

    Inside is where the winding number of the solid faces, buried ones included, exceeds one half: that of a closed
    solid is 1 or 0, and that of an open shell is still near them. The distance is to the nearest face, solid or sheet.

    A grid of cells of length `cell` cannot see parts thinner than a cell, so they are thickened, with t = 0.6
    cells: a sheet becomes a plate of thickness 2 t, and so does a solid part that is thinner than that. A
    watertight mesh (`keeps_thin`) keeps its exact distance, thin as its parts may be: somebody modelled
    it as a solid. `cell=0` thickens nothing, and a sheet then has no inside.

    Args:
        clean: The mesh, in RAW.
        normalization: The way to UNIT, in which points, distances and `cell` are given.
        cell: Length of a cell of the grid that will look at this function, 2 / 128 for one of 128^3.

    Source: generalised winding numbers (Jacobson et al. 2013), evaluated by Barill et al. (2018).
    """

    def __init__(self, clean: CleanMesh, normalization: Normalization, cell: float | int = 2 / 128):
        vertices = normalization.apply(clean.vertices)
        offset = np.where(clean.is_sheet, 0.6 * cell, 0.6 * cell - clean.thickness * normalization.scale / 2)
        thin = (offset > 0) & (not clean.keeps_thin)
        self.offset = np.where(thin, offset, 0)
        self.surface = _Surface(vertices, clean.faces)
        self.thin = _Surface(vertices, clean.faces[thin]) if thin.any() else None
        self.thin_offset = offset[thin]
        solid = clean.faces[~clean.is_sheet].astype(np.int64)
        self.winding = igl.FastWindingNumberBVH() if len(solid) else None
        if self.winding:
            corners = normalization.apply(clean.buried.reshape(-1, 3))
            buried = len(vertices) + np.arange(len(corners)).reshape(-1, 3)
            self.winding.init(np.concatenate([vertices, corners]), np.concatenate([solid, buried]))

    def __call__(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Signed distances in unit-sphere lengths, negative inside."""
        if len(points) == 0:
            return np.zeros(0)
        points = np.ascontiguousarray(points, dtype=float)
        distance, nearest = self.surface.distance(points)
        inside = self._inside(points)
        sdf = np.where(inside, -distance - self.offset[nearest], distance)
        if self.thin:
            to_thin, nearest_thin = self.thin.distance(points[~inside])
            sdf[~inside] = np.minimum(sdf[~inside], to_thin - self.thin_offset[nearest_thin])
        return sdf

    def _inside(self, points: Float[np.ndarray, "n 3"]) -> np.ndarray:
        if not self.winding:
            return np.zeros(len(points), bool)
        # igl's accuracy 1 takes a quarter of the time of 2, its default, and is wrong by up to 0.2
        number = np.asarray(self.winding.winding_number(points, 1.0))
        unsure = np.abs(number - 0.5) < 0.4
        number[unsure] = self.winding.winding_number(points[unsure], 2.0)
        return number > 0.5


class _Surface:
    """Triangles in a tree that finds the nearest."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.vertices, self.faces = (
            np.ascontiguousarray(vertices),
            np.ascontiguousarray(faces, dtype=np.int64),
        )
        self.tree = igl.AABB()
        self.tree.init(self.vertices, self.faces)

    def distance(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the nearest triangle, and which one it is."""
        if len(points) == 0:
            return np.zeros(0), np.zeros(0, int)
        squared, nearest, _ = self.tree.squared_distance(self.vertices, self.faces, points)
        return np.sqrt(squared), np.asarray(nearest)


def signed_distance(mesh: trimesh.Trimesh, cell: float | int = 2 / 128) -> SDF:
    """The signed distance of any mesh in its own frame and unit: cleaned with a fixed seed, then `MeshSDF`.

    Raises:
        MeshError: Nothing of the mesh can be seen.
    """
    return MeshSDF(clean_mesh(mesh, np.random.default_rng(0)), Normalization(np.zeros(3), 1.0), cell)


def sample_surface(
    clean: CleanMesh, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "count 3"], Int[np.ndarray, " count"], Float[np.ndarray, "count 3"]]:
    """Points distributed evenly over the visible surface.

    Where parts of a mesh cut into each other, a face may be visible at one end and buried at the other: a
    point counts as visible if one of 24 rays from it escapes, of a sheet from either side. The points of a
    closed mesh in one piece (`all_visible`) need no rays.

    Args:
        clean: The mesh.
        count: How many points.
        rng: Where they fall.

    Returns:
        Points in the frame of `clean` (RAW), the face of each, and the unit normals of these faces, which
        look out of a solid and to either side of a sheet.

    Raises:
        MeshError: Hardly any point is visible.
    """
    triangles = clean.vertices[clean.faces]
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    double_area = np.linalg.norm(cross, axis=1)
    until = np.cumsum(double_area)
    scene = None if clean.all_visible else RayScene(clean.vertices, clean.faces)
    points, faces = np.zeros((0, 3)), np.zeros(0, int)
    for _ in range(100):
        face = np.searchsorted(until, rng.random(count) * until[-1], side="right")
        point = points_on(triangles[face], rng)
        if scene is not None:
            seen = _visible(scene, point, cross[face] / double_area[face, None], clean.is_sheet[face], rng)
            face, point = face[seen], point[seen]
        points, faces = np.concatenate([points, point])[:count], np.concatenate([faces, face])[:count]
        if len(points) == count:
            return points, faces, cross[faces] / double_area[faces, None]
    raise MeshError(f"only {len(points)} visible points after {100 * count} trials, {count} wanted; drop the shape")


def _visible(
    scene: RayScene, points: np.ndarray, normals: np.ndarray, is_sheet: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Whether one of 24 rays escapes; most points are settled by the first 4."""
    seen = np.zeros(len(points), bool)
    for rays in (4, 20):
        for side, candidates in ((1, ~seen), (-1, ~seen & is_sheet)):
            rest = np.flatnonzero(candidates)
            seen[rest] |= scene.sky(points[rest], side * normals[rest], rays, rng) > 0
    return seen


class SdfSamples(NamedTuple):
    """Points and their signed distances, unit-sphere frame and lengths, single precision as in the files."""

    points: Float32[np.ndarray, "n 3"]
    sdf: Float32[np.ndarray, " n"]


def sample_sdf(sdf: SDF, surface: Float[np.ndarray, "m 3"], count: int, rng: np.random.Generator) -> SdfSamples:
    """DeepSDF's samples: dense near the surface, sparse in the cube around it.

    47 % are surface points plus Gaussian noise of variance 0.005, 47 % of variance 0.0005 (variances, not
    standard deviations), and the rest lies uniformly in [-1, 1]^3. They come in this order: shuffle them
    before you take a part.

    Args:
        sdf: The shape, in UNIT. Where it has no answer (NaN), as `VotedSDF` may have none, the sample is dropped.
        surface: Points on it, in UNIT, such as `sample_surface` gives; drawn with replacement.
        count: How many samples, those that are dropped included.
        rng: All choices.

    Source: DeepSDF's preprocessing (Park et al. 2019).
    """
    near = round(NEAR_SHARE * count)
    noisy = [
        surface[rng.integers(len(surface), size=near)] + rng.normal(scale=variance**0.5, size=(near, 3))
        for variance in NEAR_VARIANCES
    ]
    uniform = rng.uniform(-1, 1, (count - 2 * near, 3))
    points = np.concatenate([*noisy, uniform]).astype(np.float32)
    values = sdf(points.astype(float)).astype(np.float32)
    known = ~np.isnan(values)
    return SdfSamples(points[known], values[known])
