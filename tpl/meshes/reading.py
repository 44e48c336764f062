"""Mesh files, plain or in a zip archive: one welded mesh, one colour a face, or one clear sentence why not."""

import io
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import trimesh
from trimesh.resolvers import FilePathResolver, Resolver, ZipResolver
from trimesh.visual.color import ColorVisuals, uv_to_color

from tpl.meshes.ac3d import read_ac3d
from tpl.meshes.binary import read_3ds, read_md2
from tpl.meshes.cleaning import weld
from tpl.meshes.normalization import MeshError
from tpl.meshes.parts import Textures

FORMATS = {".obj", ".off", ".ply", ".glb", ".stl", ".ac", ".3ds", ".md2"}
GREY = np.array([[128, 128, 128, 255]], np.uint8)  # of parts without a colour beside parts with one


def load_mesh(path: str | Path, drop: Collection[str] = ()) -> trimesh.Trimesh:
    """One welded mesh of all that a file shows, in the file's own frame and unit.

    Reads OBJ, OFF, PLY, GLB, STL, AC3D, 3DS and MD2, also inside a zip archive of any extension:
    `"sofas.zip!red/sofa.obj"`, or `"sofa.zip"` where it holds a single mesh. Materials, textures and vertex
    colours become one colour a face, textures by their colour at the face's centre; a file without any colour
    gives a mesh without. Vertices are merged by position, and those of no face dropped.

    Args:
        path: The file, or the archive with the file's name in it.
        drop: Names of objects of an AC3D file that are left out.

    Raises:
        MeshError: The file is missing, of another format, unreadable, without faces, or its faces refer to
            vertices that are missing or not finite.
    """
    with _open(str(path)) as (file, kind, resolver), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's complaints about oddities that do no harm
        try:
            parts = [part for part in _parts(file, kind, resolver, drop) if len(part.faces)]
            colors = [_face_colors(part) for part in parts]
        except MeshError as error:
            raise MeshError(f"{path}: {error}; fetch or export it again") from error
        except Exception as error:  # every reader has its own ways to fail
            reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
            raise MeshError(f"{path}: cannot be read as {kind.upper()} ({reason}); export it again") from error
    if not parts:
        raise MeshError(f"{path}: has no faces; export it as triangles or polygons")
    first = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, first[:-1], strict=True)])
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(f"{path}: a face names vertex {faces.max()} of {len(vertices)}; the file is damaged, repair it")
    if not np.isfinite(vertices[faces]).all():
        broken = int((~np.isfinite(vertices)).any(axis=1).sum())
        raise MeshError(f"{path}: {broken} of {len(vertices)} vertices are NaN or infinite; repair and export it")
    vertices, faces = weld(vertices, faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if any(color is not None for color in colors):
        each = [
            np.broadcast_to(GREY if c is None else c, (len(p.faces), 4)) for p, c in zip(parts, colors, strict=True)
        ]
        mesh.visual = ColorVisuals(mesh, face_colors=np.concatenate(each))
    return mesh


def _parts(file: BinaryIO, kind: str, resolver: Resolver | None, drop: Collection[str]) -> list[trimesh.Trimesh]:
    textures = Textures(resolver.get if resolver else None)
    if kind == "ac":
        return read_ac3d(file.read(), textures, drop)
    if kind in ("3ds", "md2"):
        return (read_3ds if kind == "3ds" else read_md2)(file.read(), textures)
    scene = trimesh.load_scene(file, file_type=kind, resolver=resolver, process=False)
    return [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]


@contextmanager
def _open(path: str) -> Iterator[tuple[BinaryIO, str, Resolver | None]]:
    """The bytes of a mesh file, its format in lower case, and where to look for its materials."""
    outer, inner = path, ""
    if "!" in path and not Path(path).exists():
        outer, _, inner = path.rpartition("!")
    if not Path(outer).is_file():
        raise MeshError(f"{path}: there is no file {outer}; check the path")
    if not inner and (Path(outer).suffix.lower() in FORMATS or not is_zipfile(outer)):
        kind = _format(path, outer)
        with open(outer, "rb") as file:
            yield file, kind, FilePathResolver(outer)
        return
    try:
        with ZipFile(outer) as opened:
            archive = _Archive(opened)
            inner = inner or _only_mesh(path, archive)
            if inner not in archive:
                some = ", ".join(list(archive)[:3])
                raise MeshError(f"{path}: there is no {inner} in {outer}; it holds {some}, ...")
            kind = _format(path, inner)
            folder = inner.rpartition("/")[0]
            yield archive[inner], kind, ZipResolver(archive, namespace=folder or None)  # pyright: ignore
    except (BadZipFile, NotImplementedError, RuntimeError, OSError) as error:  # damaged, encrypted, cut off
        raise MeshError(f"{path}: the archive {outer} cannot be read ({error}); fetch it again") from error


def _only_mesh(path: str, archive: "_Archive") -> str:
    meshes = sorted(name for name in archive if Path(name).suffix.lower() in FORMATS)
    if not meshes:
        raise MeshError(f"{path}: the archive holds no mesh; add one as OBJ, OFF, PLY, GLB or STL")
    if len(meshes) > 1:
        raise MeshError(f"{path}: the archive holds {len(meshes)} meshes; name one, such as {path}!{meshes[0]}")
    return meshes[0]


def _format(path: str, name: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix not in FORMATS:
        what = f"{suffix or 'a file without a suffix'} is not read"
        raise MeshError(f"{path}: {what}; convert it to OBJ, OFF, PLY, GLB or STL")
    return suffix[1:]


class _Archive(Mapping):
    """The members of a zip archive as open files, each read when it is asked for."""

    def __init__(self, archive: ZipFile):
        self.archive = archive

    def __getitem__(self, name: str) -> io.BytesIO:
        return io.BytesIO(self.archive.read(name))

    def __contains__(self, name: object) -> bool:
        return name in self.archive.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return iter(self.archive.namelist())

    def __len__(self) -> int:
        return len(self.archive.namelist())


def _face_colors(part: trimesh.Trimesh) -> np.ndarray | None:
    """RGBA a face, (faces, 4) or (1, 4), or None where the file gives no colour."""
    visual: Any = part.visual
    if visual.kind in ("face", "vertex"):
        return visual.face_colors
    if visual.kind != "texture":
        return None
    material, uv = visual.material, visual.uv
    image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
    if image is not None and uv is not None and len(uv) == len(part.vertices):
        return uv_to_color(uv[part.faces].mean(axis=1), image)
    color = np.array(material.main_color, np.uint8).reshape(1, 4)
    opacity = getattr(material, "kwargs", {}).get("d")  # OBJ keeps it apart from the colour
    if opacity is not None:
        color[0, 3] = round(255 * float(np.ravel(opacity)[0]))
    return color
