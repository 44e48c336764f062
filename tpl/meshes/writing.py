"""A mesh to a file, whole or not at all."""

from pathlib import Path

import trimesh

from tpl.files import write_atomically
from tpl.meshes.reading import MeshError

WRITTEN = (".glb", ".obj", ".off", ".ply", ".stl")


def write_mesh(mesh: trimesh.Trimesh, path: Path | str) -> None:
    """Writes a mesh in the format that the file's ending names; an older file is replaced at the end.

    Raises:
        MeshError: The ending is none of GLB, OBJ, OFF, PLY and STL.
    """
    path = check_writable(path)
    write_atomically(path, lambda partial: mesh.export(str(partial), file_type=path.suffix[1:].lower()))


def check_writable(path: Path | str) -> Path:
    """Gives a path back whose ending names a format that meshes are written in; raises as `write_mesh`."""
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise MeshError(f"{path}: a mesh is written as {', '.join(WRITTEN)}; give the file one of these endings")
    return path
