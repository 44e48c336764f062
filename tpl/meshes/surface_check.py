"""The check afterwards: does the mesh of a signed distance show the surface that one sees?

No property of a mesh known before predicts whether its signed distance is right; this does.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from tpl.geometry.marching import EmptyShape, extract_mesh, sample_mesh
from tpl.geometry.primitives import SDF

CELLS = 96  # of the grid, along each side
NEAR = 1.5  # cells: a point is found again by a point of the other surface within this distance
REAL = 0.96  # at least this share of the result must be real
FOUND = 0.85  # at least this share of the visible surface must be in the result
CHAMFER = 0.3e-3  # squared unit-sphere lengths, both ways: at most


@dataclass(frozen=True)
class SurfaceCheck:
    """How the zero level set of a signed distance compares with the visible surface."""

    found: float  # share of the visible surface that the result shows
    real: float  # share of the result that is visible surface
    chamfer: float  # squared unit-sphere lengths, the sum of both ways, beyond what random points of one surface have

    @property
    def reason(self) -> str:
        """Why the shape is to be rejected; empty where it is accepted."""
        if self.real < REAL:
            return f"only {self.real:.1%} of the surface of its signed distance is there to be seen ({REAL:.0%} needed)"
        if not self.chamfer <= CHAMFER:
            return (
                f"the surface of its signed distance is {1000 * self.chamfer:.2f} from the visible one "
                f"(Chamfer x 1000; {1000 * CHAMFER:.1f} allowed), and shows {self.found:.1%} of it"
            )
        if self.found < FOUND:
            return f"the surface of its signed distance shows {self.found:.1%} of the visible one ({FOUND:.0%} needed)"
        return ""


def check_surface(
    sdf: SDF, visible: Float[np.ndarray, "n 3"], rng: np.random.Generator, cells: int = CELLS
) -> SurfaceCheck:
    """Meshes a signed distance on a grid and compares the result with points of the visible surface.

    Args:
        sdf: In UNIT; thin parts must be thick enough for the grid, as `MeshSDF` with `cell=2 / cells` makes them.
        visible: Points of the surface that can be seen, in UNIT, evenly spread; 30 000 are enough.
        rng: Where points of the result fall.
        cells: Of the grid, along each side.

    Source: the limits were found by looking at some 220 shapes one by one.
    """
    try:
        mesh = extract_mesh(sdf, cells, lipschitz=1.0)
    except EmptyShape:
        return SurfaceCheck(0.0, 0.0, float("inf"))
    result, _ = sample_mesh(mesh, len(visible), rng)
    to_result, _ = KDTree(result).query(visible)
    to_visible, _ = KDTree(visible).query(result)
    near = NEAR * 2 / cells
    floor = 2 * mesh.area / (np.pi * len(visible))  # points of density r have their next at a mean square of 1 / (pi r)
    return SurfaceCheck(
        found=float(np.mean(to_result < near)),
        real=float(np.mean(to_visible < near)),
        chamfer=max(0.0, float(np.mean(to_result**2) + np.mean(to_visible**2) - floor)),
    )
