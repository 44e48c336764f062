"""What the field calls the Chamfer distance: four protocols, which measure the same two surfaces in four ways.

A protocol takes both surfaces in the raw frame, draws points of each, and brings lengths to its own unit. Where its
points are at the vertices of a mesh, it matters how the mesh was made: `isosurface` makes it as the protocols' authors
did.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import trimesh
from jaxtyping import Float
from scipy.spatial import KDTree

from tpl.geometry.marching import extract_mesh, sample_mesh
from tpl.meshes import MeshError, Normalization
from tpl.meshes.sdf import signed_distance
from tpl.metrics import chamfer_distance

CELLS = 96
"""Grid cells a side of `isosurface`, for the cube [-1, 1]^3 of the unit-sphere frame (DISN: 256)."""

Points = Float[np.ndarray, "points 3"]
Draw = Callable[[trimesh.Trimesh, int, np.random.Generator], Points]
"""At most so many points of a mesh."""


def from_areas(mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> Points:
    """Spread evenly over the surface."""
    return sample_mesh(mesh, count, rng)[0]


def from_vertices(mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> Points:
    """Vertices, with replacement: where triangles crowd, points crowd."""
    vertices = _used_vertices(mesh)
    return vertices[rng.integers(len(vertices), size=count)]


def from_vertices_once(mesh: trimesh.Trimesh, count: int, rng: np.random.Generator) -> Points:
    """Vertices, each at most once; all of them where there are no more than asked for."""
    vertices = _used_vertices(mesh)
    return vertices if len(vertices) <= count else vertices[rng.choice(len(vertices), size=count, replace=False)]


def _used_vertices(mesh: trimesh.Trimesh) -> Points:
    return np.asarray(mesh.vertices, dtype=np.float64)[np.unique(mesh.faces)]


def raw(truth: trimesh.Trimesh, normalization: Normalization) -> float:
    """The unit that shapes come in: ShapeNet v2's, where the diagonal of the bounding box is 1."""
    return 1.0


def unit_sphere(truth: trimesh.Trimesh, normalization: Normalization) -> float:
    """The truth's farthest vertex is 1 away from the centre: the book's frame without DeepSDF's margin of 3 %."""
    return 1.03 * normalization.scale


def pixel2mesh_unit(truth: trimesh.Trimesh, normalization: Normalization) -> float:
    """0.57 of the raw unit. The axes are a camera's there, which turns and moves both surfaces and no distance."""
    return 0.57


def unit_cube(truth: trimesh.Trimesh, normalization: Normalization) -> float:
    """The longest side of the truth's bounding box is 1."""
    return float(1 / np.ptp(_used_vertices(truth), axis=0).max())


def mean_distance(a: Float[np.ndarray, "n 3"], b: Float[np.ndarray, "m 3"]) -> float:
    """The mean distance to the nearest point of the other set, averaged over both directions: nothing is squared."""
    return float((KDTree(b).query(a)[0].mean() + KDTree(a).query(b)[0].mean()) / 2)


@dataclass(frozen=True)
class Protocol:
    """One way to measure how far a reconstruction is from the truth."""

    name: str
    points: int  # of each surface
    of_reconstruction: Draw
    of_truth: Draw
    unit: Callable[[trimesh.Trimesh, Normalization], float]  # what a raw length is multiplied with
    distance: Callable[[Points, Points], float]
    factor: int  # that the published tables multiply with

    def sample(
        self,
        reconstruction: trimesh.Trimesh,
        truth_mesh: trimesh.Trimesh,
        normalization: Normalization,
        rng: np.random.Generator,
    ) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "m 3"]]:
        """The two sets of points, in the protocol's unit, that `measure` compares; it says what the arguments are."""
        for what, mesh in (("reconstruction", reconstruction), ("truth", truth_mesh)):
            if len(mesh.faces) == 0:
                raise MeshError(f"the {what} has no faces: {self.name} has nothing to measure; count it as a failure")
            if not np.isfinite(mesh.vertices).all():
                raise MeshError(f"the {what} has vertices that are not finite; look at what made it")
        unit = self.unit(truth_mesh, normalization)
        truth = isosurface(truth_mesh, normalization) if self.of_truth is from_vertices else truth_mesh
        first = self.of_reconstruction(reconstruction, self.points, rng)
        return unit * first, unit * self.of_truth(truth, self.points, rng)

    def measure(
        self,
        reconstruction: trimesh.Trimesh,
        truth_mesh: trimesh.Trimesh,
        normalization: Normalization,
        rng: np.random.Generator,
    ) -> float:
        """How far a reconstruction is from the truth.

        Args:
            reconstruction: In the raw frame, meshed as it is to be judged.
            truth_mesh: The true surface, raw frame, watertight.
            normalization: The truth's, from the raw to the unit-sphere frame.
            rng: Draws the points: first those of the reconstruction.

        Returns:
            In the protocol's unit or its square, without the factor that tables are printed with.

        Raises:
            MeshError: One of the meshes has no faces, or vertices that are not finite.
        """
        return self.distance(*self.sample(reconstruction, truth_mesh, normalization, rng))

    def floor(self, truth_mesh: trimesh.Trimesh, normalization: Normalization, rng: np.random.Generator) -> float:
        """What the truth itself scores: no reconstruction can be expected below it.

        Where vertices of the reconstruction count, the truth is first meshed as reconstructions are.
        """
        by_vertices = self.of_reconstruction is not from_areas
        perfect = isosurface(truth_mesh, normalization) if by_vertices else truth_mesh
        return self.measure(perfect, truth_mesh, normalization, rng)


BOOK = Protocol("this book", 30_000, from_areas, from_areas, raw, chamfer_distance, 1000)
"""DeepSDF, Deep Implicit Templates, the paper and this book: area samples, squares, both directions summed.

Unit: the square of a raw length; printed x 1000.
Source: Park et al. 2019 (DeepSDF), `deep_sdf/metrics/chamfer.py` of their code.
"""

DISN = Protocol("DISN", 2048, from_vertices, from_vertices, unit_sphere, chamfer_distance, 1000)
"""Vertices drawn with replacement, of the reconstruction and of a mesh of the truth's own isosurface.

Unit: the square of a length in the unit sphere around the truth; printed x 1000. DISN centres at the mean of area
samples, we at the centre of the bounding box; its isosurface is where the distance is 0.003, ours where it is 0.
Source: Xu et al. 2019, `test/test_cd_emd.py` and `preprocessing/create_point_sdf_grid.py` of their code.
"""

PIXEL2MESH = Protocol("Pixel2Mesh", 2466, from_vertices_once, from_areas, pixel2mesh_unit, chamfer_distance, 1000)
"""The 2 466 vertices that each mesh of Pixel2Mesh has, against points of the truth.

A mesh of another method has more: as many are drawn, none twice.
Unit: the square of 0.57 raw lengths, camera axes; printed x 1000.
Source: Wang et al. 2018, `eval_testset.py` and `data_generation/3_camera_transform.py` of their code.
"""

ONET = Protocol("Occupancy Networks", 100_000, from_areas, from_areas, unit_cube, mean_distance, 10)
"""Area samples against those of the watertight truth: distances, not squares, and the mean of both directions.

Unit: a length, where the longest side of the truth's bounding box is 1; printed x 10.
Source: Mescheder et al. 2019, `im2mesh/eval.py` of their code ("chamfer-L1").
"""

PROTOCOLS = (BOOK, DISN, PIXEL2MESH, ONET)


def isosurface(mesh: trimesh.Trimesh, normalization: Normalization, cells: int = CELLS) -> trimesh.Trimesh:
    """A closed mesh anew, by marching cubes of its signed distance: vertices all over it, as reconstructions have.

    Args:
        mesh: Watertight, in the raw frame.
        normalization: The mesh's own.
        cells: Grid cells a side of the cube [-1, 1]^3 of the unit-sphere frame; parts thinner than a cell may go.

    Returns:
        In the raw frame.
    """
    inside = normalization.apply(np.asarray(mesh.vertices, dtype=np.float64))
    vertices, faces = _march(inside.tobytes(), np.asarray(mesh.faces, dtype=np.int64).tobytes(), cells)
    return trimesh.Trimesh(normalization.undo(vertices), faces, process=False)


@lru_cache(maxsize=1)  # two protocols and their floors ask for the same shape one after the other
def _march(vertices: bytes, faces: bytes, cells: int) -> tuple[np.ndarray, np.ndarray]:
    solid = trimesh.Trimesh(
        np.frombuffer(vertices).reshape(-1, 3).copy(),
        np.frombuffer(faces, np.int64).reshape(-1, 3).copy(),
        process=False,
    )
    # A true distance: it grows by 1 per unit of length and is nowhere cut off.
    marched = extract_mesh(signed_distance(solid), cells, lipschitz=1.0, truncation=2.0)
    return np.asarray(marched.vertices), np.asarray(marched.faces)
