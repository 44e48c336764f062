"""Meshes to look at, within the sphere where all shapes lie, and how much of one that sphere had to close."""

import numpy as np
import trimesh
from jaxtyping import Float

from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import SDF

FARTHEST = 1 / 1.03
"""How far from the origin any shape reaches, unit-sphere lengths: `Normalization` moves and scales all so."""

NEAR = 2e-3
"""How far from that sphere a vertex lies at most that marching cubes put on it."""


def extract_whole(sdf: SDF, resolution: int = 128) -> trimesh.Trimesh:
    """The zero level set within the sphere where all shapes lie: a mesh to look at and to use.

    `extract_mesh` makes those that are measured. A learned function may be inside beyond that sphere, where hardly a
    sample was: nobody told it where a wing ends, and its surface goes on through the sides of the cube [-1, 1]^3. That
    no shape does so is known, so that the sphere closes what would go on.

    Args:
        sdf: As for `extract_mesh`.
        resolution: Grid cells along each side of the cube [-1, 1]^3.

    Raises:
        EmptyShape: The function is positive all over the sphere.
        ValueError: As for `extract_mesh`.
    """

    def within(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return np.maximum(sdf(points), np.linalg.norm(points, axis=1) - FARTHEST)

    return extract_mesh(within, resolution)


def share_closed(mesh: trimesh.Trimesh) -> float:
    """The share of a mesh's area (unit-sphere frame) that closes what would go on beyond the sphere of all shapes."""
    there = np.abs(np.linalg.norm(mesh.vertices, axis=1) - FARTHEST) < NEAR
    # Two corners: at the rim a face reaches from the sphere to the surface that it closes.
    return float(mesh.area_faces[there[mesh.faces].sum(axis=1) > 1].sum() / mesh.area)


def notes_of_closing(mesh: trimesh.Trimesh) -> list[str]:
    """What is to be said of a mesh (unit-sphere frame) that the sphere has closed: a sentence, or none."""
    closed = share_closed(mesh)
    told = f"{closed:.1%} of the surface close what would go on beyond the sphere where all shapes lie"
    return [told] if closed else []
