"""Names of a mesh's parts, carried to it from labelled points of the template.

Shapes made by rules know what each of their points belongs to. Their warps put these points on the template, where
they are kept; the warp of any other shape leads from its faces to the same place.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from scipy import sparse
from scipy.spatial import KDTree

from tpl.files import write_file

NEIGHBOURS = 7
"""Labelled points that vote for a face: single ones may have crossed a seam."""

ROUNDS = 4
"""How often a face takes the part of most of its neighbours, by area: seams become straighter."""

LEAST = 0.004
"""Share of the mesh's area below which a patch is an error, and goes to the part around it."""


class PartLabels(NamedTuple):
    """Labelled points of a template."""

    points: Float[np.ndarray, "n 3"]
    """On the template, unit-sphere frame: where warps carry surface points."""

    label: UInt8[np.ndarray, " n"]
    """Of each point, the row of its part's name."""

    names: tuple[str, ...]


def write_labels(labels: PartLabels, path: Path | str) -> None:
    """Writes labels to an NPZ file of three arrays: points (float16, off by 5e-4 at most), label and names.

    Raises:
        OutputError: A folder is there.
    """
    arrays = {"points": labels.points.astype(np.float16), "label": labels.label, "names": np.array(labels.names)}

    def save(partial: Path) -> None:
        with partial.open("wb") as file:  # NumPy puts .npz behind a name that does not end so
            np.savez_compressed(file, **arrays)

    write_file(Path(path), save)


def read_labels(path: Path | str) -> PartLabels:
    """Reads what `write_labels` wrote."""
    with np.load(path) as arrays:
        names = tuple(map(str, arrays["names"]))
        return PartLabels(arrays["points"].astype(np.float64), arrays["label"].astype(np.uint8), names)


def thin_out(labels: PartLabels, cell: float | int = 0.06) -> PartLabels:
    """One point for each cell of a grid, in the middle of its points, with the label that most of them have.

    Args:
        labels: Of several shapes together.
        cell: Side of the cells, unit-sphere lengths.
    """
    cells, of = np.unique(np.floor(labels.points / cell).astype(int), axis=0, return_inverse=True)
    votes = np.zeros((len(cells), len(labels.names)), int)
    np.add.at(votes, (of.ravel(), labels.label), 1)
    sums = np.zeros((len(cells), 3))
    np.add.at(sums, of.ravel(), labels.points)
    return PartLabels(sums / votes.sum(axis=1, keepdims=True), votes.argmax(axis=1).astype(np.uint8), labels.names)


def label_faces(
    mesh: trimesh.Trimesh,
    places: Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n coordinates"]],
    labels: PartLabels,
) -> Int[np.ndarray, " faces"]:
    """The part of each face, as a row of the labels' names.

    Args:
        mesh: Unit-sphere frame.
        places: The warp of its shape: from points to where they lie on the template, in the first three numbers.
        labels: Of this template.
    """
    there = places(np.asarray(mesh.triangles_center, dtype=np.float32))[:, :3]
    _, nearest = KDTree(labels.points).query(there, k=min(NEIGHBOURS, len(labels.points)))
    votes = _one_hot(labels.label[nearest.reshape(len(there), -1)], len(labels.names)).sum(axis=1)
    part = votes.argmax(axis=1)
    area = np.maximum(np.asarray(mesh.area_faces), 1e-12)
    joined = _neighbours(mesh)
    for _ in range(ROUNDS):
        around = joined @ (area[:, None] * _one_hot(part, len(labels.names)))
        around += (area[:, None] * _one_hot(part, len(labels.names))) * 1.01  # a tie leaves a face as it is
        part = around.argmax(axis=1)
    return _without_patches(part, joined, area, len(labels.names))


def _without_patches(part: np.ndarray, joined: sparse.csr_array, area: np.ndarray, count: int) -> np.ndarray:
    """Patches below `LEAST` take the part that most of their border touches, if they touch another."""
    rows, columns = joined.nonzero()
    alike = part[rows] == part[columns]
    same = sparse.coo_array((np.ones(alike.sum()), (rows[alike], columns[alike])), shape=joined.shape)
    number, patch = sparse.csgraph.connected_components(same, directed=False)
    small = np.bincount(patch, area, number) < LEAST * area.sum()
    touched = np.zeros((number, count))
    np.add.at(touched, (patch[rows[~alike]], part[columns[~alike]]), 1)
    replaced = np.where(small & touched.any(axis=1), touched.argmax(axis=1), -1)[patch]
    return np.where(replaced >= 0, replaced, part)


def _neighbours(mesh: trimesh.Trimesh) -> sparse.csr_array:
    """Which faces share an edge, both ways."""
    first, second = np.asarray(mesh.face_adjacency).T
    pairs = np.concatenate([first, second]), np.concatenate([second, first])
    return sparse.csr_array((np.ones(2 * len(first)), pairs), shape=2 * (len(mesh.faces),))


def _one_hot(values: np.ndarray, count: int) -> np.ndarray:
    return (np.asarray(values)[..., None] == np.arange(count)).astype(float)
