"""A shape of the open collection, from its files to a mesh in RAW."""

import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import trimesh
from trimesh.visual.color import ColorVisuals

from tpl.files import write_file
from tpl.meshes import load_mesh
from tpl.shapes.open_catalog import OpenShape, read_packages
from tpl.source_code import code_digest

WHITEST = 204  # of 255, the brightest colour of a face: views lie on white, and a white wing would vanish there
UNPAINTED = (150, 150, 150, 255)  # of meshes without any colour


def load_open_shape(entry: OpenShape, fetched: Path) -> trimesh.Trimesh:
    """The mesh of a shape in RAW, with face colours; made once and kept beside the files, as text is slow to read.

    Faces that cannot be seen (opacity 0) are left out, and no colour is brighter than `WHITEST`.
    """
    kept = fetched / "open" / "meshes" / f"{entry.id}.npz"
    version = mesh_version(entry)
    mesh = _read_kept(kept, version)
    if mesh is None:
        mesh = _make(entry, fetched)
        visual: Any = mesh.visual
        arrays = {"vertices": mesh.vertices, "faces": mesh.faces, "colors": visual.face_colors}
        write_file(kept, lambda path: np.savez(path, version=version, **arrays))
    return mesh


def mesh_version(entry: OpenShape) -> str:
    """A hash of what makes the mesh of a shape: its package, its entry in the catalogue, our code."""
    code = code_digest(__name__, without=("tpl.shapes.open_catalog", "tpl.shapes.packages"))
    text = read_packages()[entry.package].sha256 + entry.model_dump_json() + code
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_kept(file: Path, version: str) -> trimesh.Trimesh | None:
    try:
        with np.load(file) as arrays:
            if str(arrays["version"]) != version:
                return None
            return _colored(arrays["vertices"], arrays["faces"], arrays["colors"])
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def _make(entry: OpenShape, fetched: Path) -> trimesh.Trimesh:
    folder = entry.folder(fetched)
    mesh = load_mesh(folder / next(iter(entry.files)), drop=entry.drop_objects, fence=folder)
    faces, colors = mesh.faces, np.full((len(mesh.faces), 4), UNPAINTED, np.uint8)
    visual: Any = mesh.visual
    if visual.kind == "face":
        colors = np.asarray(visual.face_colors)
        seen = colors[:, 3] > 0
        faces, colors = (faces[seen], colors[seen]) if seen.any() else (faces, colors)
    used, faces = np.unique(faces, return_inverse=True)
    vertices = mesh.vertices[used] @ np.array(entry.rotation).T
    extents = np.ptp(vertices, axis=0)
    if entry.size_cm:
        vertices = vertices * (np.array(entry.size_cm) / extents)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    vertices = (vertices - (low + high) / 2) / np.linalg.norm(high - low)
    return _colored(vertices, faces.reshape(-1, 3), _dimmed(colors))


def _dimmed(colors: np.ndarray) -> np.ndarray:
    """Colours that are brighter than `WHITEST` in any channel, darker in all."""
    brightest = colors[:, :3].max(axis=1, keepdims=True).astype(float)
    rgb = np.rint(colors[:, :3] * np.minimum(1, WHITEST / np.maximum(brightest, 1)))
    return np.column_stack([rgb, colors[:, 3]]).astype(np.uint8)


def _colored(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.visual = ColorVisuals(mesh, face_colors=colors)
    return mesh
