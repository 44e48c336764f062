"""A mesh to a file, whole or not at all."""

from pathlib import Path

import numpy as np
import trimesh

from tpl.files import check_file, write_file
from tpl.meshes.reading import MeshError

FACING_Z = np.diag([-1.0, 1.0, -1.0, 1.0])  # half a turn around +y: our fronts look along -z, those of GLB along +z
WRITTEN = (".glb", ".obj", ".off", ".ply", ".stl")


def write_mesh(mesh: trimesh.Trimesh, path: Path | str) -> None:
    """Writes a mesh in the format that the file's ending names; an older file is replaced at the end.

    Its front looks along -z, as ours do, in all formats but GLB, whose specification has it look along +z.

    Raises:
        MeshError: The ending is none of GLB, OBJ, OFF, PLY and STL.
        OutputError: A folder is there.
    """
    path = check_writable(path)
    kind = path.suffix[1:].lower()
    turned = mesh.copy().apply_transform(FACING_Z) if kind == "glb" else mesh
    write_file(path, lambda partial: turned.export(str(partial), file_type=kind))


def check_writable(path: Path | str) -> Path:
    """Gives a path back where a mesh can be written: its ending names a format; raises as `write_mesh`."""
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise MeshError(f"{path}: a mesh is written as {', '.join(WRITTEN)}; give the file one of these endings")
    return check_file(path)
