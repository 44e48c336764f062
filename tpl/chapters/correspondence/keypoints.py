"""Key points of procedural shapes, known from their labelled parts: the truth that carried key points are measured by.

A key point is the extreme of one part in one direction, so it needs no more than the labels. In RAW the sitter and
the pilot look to -z, with +x at their right.
"""

from typing import NamedTuple

import numpy as np
import trimesh
from jaxtyping import Float

TIE = 1e-3
"""Vertices that are so close to the extreme (raw units, diagonal 1) share it: their mean is the key point."""


class Extreme(NamedTuple):
    """The point of a part that lies farthest in a direction (right, up, back)."""

    part: str
    direction: tuple[float, float, float]


FURNITURE = {
    # Down and outwards at once: the outer lower corner of the leg that stands there, or of whatever else stands there.
    "foot, front left": Extreme("base", (-1, -1, -1)),
    "foot, front right": Extreme("base", (1, -1, -1)),
    "foot, rear left": Extreme("base", (-1, -1, 1)),
    "foot, rear right": Extreme("base", (1, -1, 1)),
    "seat, front left": Extreme("seat", (-1, 1, -1)),
    "seat, front right": Extreme("seat", (1, 1, -1)),
    "back, top left": Extreme("back", (-1, 1, 0)),
    "back, top right": Extreme("back", (1, 1, 0)),
    "arm, front left": Extreme("arm", (-1, 1, -1)),
    "arm, front right": Extreme("arm", (1, 1, -1)),
}
AIRPLANE = {
    "nose": Extreme("fuselage", (0, 0, -1)),
    "rear end": Extreme("fuselage", (0, 0, 1)),
    "fin tip": Extreme("tail", (0, 1, 0)),
    "wing tip, left": Extreme("wing", (-1, 0, 0)),
    "wing tip, right": Extreme("wing", (1, 0, 0)),
}
KEYPOINTS = {"chairs": FURNITURE, "sofas": FURNITURE, "airplanes": AIRPLANE}


def find_keypoints(category: str, mesh: trimesh.Trimesh) -> dict[str, Float[np.ndarray, "3"]]:
    """The key points of a procedural shape, by name.

    Args:
        category: Which points are looked for.
        mesh: In RAW, its faces labelled as `parts.assemble` leaves them.

    Returns:
        Points in raw units; those of parts that the shape does not have are left out. Where the extreme is an edge
        or a face, such as the end of a wing, the point is the mean of its vertices and may lie a little inside.

    Raises:
        ValueError: The mesh has no labels, or the category has no key points.
    """
    if category not in KEYPOINTS:
        raise ValueError(f"no key points are known of {category!r}; there are {', '.join(KEYPOINTS)}")
    label, names = labels_of(mesh)
    vertices, found = np.asarray(mesh.vertices, dtype=np.float64), {}
    for keypoint, (part, direction) in KEYPOINTS[category].items():
        of_part = vertices[np.unique(mesh.faces[label == names.index(part)])]
        if len(of_part):
            reach = of_part @ (np.array(direction) / np.linalg.norm(direction))
            found[keypoint] = of_part[reach > reach.max() - TIE].mean(axis=0)
    return found


def labels_of(mesh: trimesh.Trimesh) -> tuple[np.ndarray, list[str]]:
    """For each face the number of its part, and the names of the parts.

    Raises:
        ValueError: The mesh has no labels.
    """
    if "part" not in mesh.metadata or "parts" not in mesh.metadata:
        raise ValueError("the faces of this mesh do not say which part they belong to: take procedural shapes")
    return np.asarray(mesh.metadata["part"]), list(mesh.metadata["parts"])
