"""Meshes to look at, with nothing cut off, and what of them lies where no shape is."""

import numpy as np
import trimesh

from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import SDF

WIDEST = 1.5
"""Half the side of the largest cube, unit-sphere lengths: a surface that goes on there is cut."""


def extract_whole(sdf: SDF, resolution: int = 128, widest: float | int = WIDEST) -> trimesh.Trimesh:
    """The zero level set with nothing cut off: a mesh to look at, where `extract_mesh` makes those that are measured.

    All shapes lie in the unit sphere, but a learned function may be inside beyond it, up to the sides of the cube
    [-1, 1]^3 and through them. The grid then grows by cells of the same size until the surface ends.

    Args:
        sdf: As for `extract_mesh`.
        resolution: Grid cells along each side of the cube [-1, 1]^3.
        widest: Where the cube [-widest, widest]^3 is reached, its sides close what still goes on.

    Raises:
        EmptyShape: The function is positive all over the cube [-1, 1]^3.
        ValueError: As for `extract_mesh`.
    """
    bound, added = 1.0, 0
    mesh = extract_mesh(sdf, resolution)
    while np.abs(mesh.vertices).max() > bound and bound < widest:
        added += max(1, resolution // 16)  # cells at each side
        bound = 1 + 2 * added / resolution
        mesh = extract_mesh(sdf, resolution + 2 * added, bound)
    return mesh


def share_outside(mesh: trimesh.Trimesh) -> float:
    """The share of a mesh's area (unit-sphere frame) that lies outside the unit sphere: phantoms, for no shape does."""
    outside = np.linalg.norm(mesh.triangles_center, axis=1) > 1
    return float(mesh.area_faces[outside].sum() / mesh.area)
