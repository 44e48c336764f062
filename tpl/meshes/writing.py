"""A mesh to a file, whole or not at all."""

from pathlib import Path

import trimesh

from tpl.files import check_file, write_file
from tpl.meshes.reading import MeshError

WRITTEN = (".glb", ".obj", ".off", ".ply", ".stl")


def write_mesh(mesh: trimesh.Trimesh, path: Path | str) -> None:
    """Writes a mesh in the format that the file's ending names; an older file is replaced at the end.

    Raises:
        MeshError: The ending is none of GLB, OBJ, OFF, PLY and STL.
        OutputError: A folder is there.
    """
    path = check_writable(path)
    write_file(path, lambda partial: mesh.export(str(partial), file_type=path.suffix[1:].lower()))


def check_writable(path: Path | str) -> Path:
    """Gives a path back where a mesh can be written: its ending names a format; raises as `write_mesh`."""
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise MeshError(f"{path}: a mesh is written as {', '.join(WRITTEN)}; give the file one of these endings")
    return check_file(path)
