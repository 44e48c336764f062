"""Mesh files, plain or in a zip archive: one welded mesh, one colour a face, or one clear sentence why not."""

import io
import os
import stat
import warnings
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import trimesh
from PIL import Image
from trimesh.resolvers import FilePathResolver, Resolver, ZipResolver
from trimesh.visual.color import ColorVisuals, uv_to_color

from tpl.meshes.ac3d import read_ac3d
from tpl.meshes.binary import read_3ds, read_md2
from tpl.meshes.checking import LARGEST, MOST_FACES, ClaimError, as_utf8, checked
from tpl.meshes.cleaning import weld
from tpl.meshes.normalization import MeshError
from tpl.meshes.parts import Textures

FORMATS = {".obj", ".off", ".ply", ".glb", ".stl", ".ac", ".3ds", ".md2"}
FARTHEST = 1e30  # single precision ends at 3e38, and lengths are squared
GREY = np.array([[128, 128, 128, 255]], np.uint8)  # of parts without a colour beside parts with one


def load_mesh(path: str | Path, drop: Collection[str] = ()) -> trimesh.Trimesh:
    """One welded mesh of all that a file shows, in the file's own frame and unit.

    Reads OBJ, OFF, PLY, GLB, STL, AC3D, 3DS and MD2, also inside a zip archive of any extension:
    `"sofas.zip!red/sofa.obj"`, or `"sofa.zip"` where it holds a single mesh. Materials, textures and vertex colours
    become one colour a face, textures by their colour at the face's centre; a file without any colour gives a mesh
    without. Vertices are merged by position, and those of no face dropped. A material or texture that is missing or
    broken costs its colours only. No archive is unpacked to disk, whatever its members are called.

    Args:
        path: The file, or the archive with the file's name in it.
        drop: Names of objects of an AC3D file that are left out.

    Raises:
        MeshError: The file is missing, of another format, too large, unreadable, cut off, without faces, or
            its faces refer to vertices that are missing or not finite.
    """
    with _open(str(path)) as (file, kind, resolver), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's complaints about oddities that do no harm
        try:
            parts = [part for part in _parts(checked(file, kind), kind, resolver, drop) if len(part.faces)]
            colors = [_face_colors(part) for part in parts]
        except ClaimError as error:
            raise MeshError(f"{path}: {error}") from error
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
    if len(faces) > MOST_FACES:
        raise MeshError(f"{path}: has {len(faces):,} faces, and {MOST_FACES:,} is the most; simplify the mesh")
    sound = np.all(np.abs(vertices) < FARTHEST, axis=1)  # false for NaN, too
    if not sound[faces].all():
        broken = int((~sound).sum())
        raise MeshError(f"{path}: {broken} of {len(vertices)} vertices are NaN or infinite; repair and export it")
    vertices, faces = weld(vertices, faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if any(color is not None for color in colors):
        each = [
            np.broadcast_to(GREY if c is None else c, (len(p.faces), 4)) for p, c in zip(parts, colors, strict=True)
        ]
        mesh.visual = ColorVisuals(mesh, face_colors=np.concatenate(each))
    return mesh


def _parts(file: BufferedIOBase, kind: str, files: Resolver, drop: Collection[str]) -> list[trimesh.Trimesh]:
    if kind == "ac":
        return read_ac3d(file.read(), Textures(files.get), drop)
    if kind in ("3ds", "md2"):
        return (read_3ds if kind == "3ds" else read_md2)(file.read(), Textures(files.get))
    scene = trimesh.load_scene(file, file_type=kind, resolver=_Utf8(files), process=False)  # pyright: ignore
    return [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]


def missing_files(path: str | Path) -> list[str]:
    """What an OBJ file names and cannot be used: material libraries and textures, as the file names them.

    A mesh that lacks them can be read; it is grey, or has fewer colours than its author meant.

    Raises:
        MeshError: The file itself, or its archive, cannot be read.
    """
    with _open(str(path)) as (file, _, resolver):
        libraries = _named(file.read(), b"mtllib")
        textures, missing = [], []
        for name in dict.fromkeys(libraries):
            try:
                textures += _named(resolver.get(name), b"map_Kd")
            except (OSError, KeyError, ValueError):
                missing.append(name)
        for name in dict.fromkeys(textures):
            try:
                Image.open(io.BytesIO(resolver.get(name))).verify()
            except Exception:  # not there, or broken in one of Pillow's many ways
                missing.append(name)
    return missing


def _named(text: bytes, keyword: bytes) -> list[str]:
    """The file names behind a keyword of an OBJ or MTL file; options before a texture's name are skipped."""
    rest = [line.split(None, 1)[1].strip() for line in text.splitlines() if line.strip().startswith(keyword + b" ")]
    names = [name.split()[-1] if name.startswith(b"-") else name for name in rest if name]
    return [name.decode("utf-8", "replace") for name in names]


@contextmanager
def _open(path: str) -> Iterator[tuple[BufferedIOBase, str, Resolver]]:
    """The bytes of a mesh file, its format in lower case, and where to look for its materials."""
    outer, inner = path, ""
    if "!" in path and not Path(path).exists():
        outer, _, inner = path.rpartition("!")
    try:
        mode = os.stat(outer).st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            what = "a folder; name a file in it" if stat.S_ISDIR(mode) else "no file with contents; check the path"
            raise MeshError(f"{path}: {outer} is {what}")
        open(outer, "rb").close()
    except FileNotFoundError as error:
        raise MeshError(f"{path}: there is no file {outer}; check the path") from error
    except OSError as error:  # no permission, a link in a circle
        raise MeshError(f"{path}: {outer} cannot be opened ({error.strerror}); check what it is") from error
    suffix = Path(outer).suffix.lower()
    if not inner and (suffix in FORMATS or (suffix != ".zip" and not is_zipfile(outer))):
        kind = _format(path, outer)
        with open(outer, "rb") as file:
            yield file, kind, _Beside(outer)
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
    except ClaimError as error:
        raise MeshError(f"{path}: {error}") from error
    except (BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error) as error:
        # damaged, of an unknown compression, encrypted, cut off
        raise MeshError(f"{path}: the archive {outer} cannot be read ({error}); fetch or pack it again") from error


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


class _Beside(FilePathResolver):
    """Materials and textures below the folder of the mesh, or beside it: ShapeNet's are in ../images."""

    def absolute(self, name: str) -> Path:
        folder = Path(self.parent).resolve()
        path = (folder / name.strip()).resolve()
        if not path.is_relative_to(folder.parent):
            raise ValueError(f"{name} leaves {folder.parent}")
        return path


class _Archive(Mapping):
    """The members of a zip archive as open files, each read when it is asked for."""

    def __init__(self, archive: ZipFile):
        self.archive = archive

    def __getitem__(self, name: str) -> io.BytesIO:
        size = self.archive.getinfo(name).file_size
        if size > LARGEST:  # no more than that is ever unpacked, whatever comes out
            most = f"{LARGEST / 1e6:,.0f} MB"
            raise ClaimError(f"{name} has {size / 1e6:,.0f} MB unpacked, and {most} is the most; simplify it")
        return io.BytesIO(self.archive.read(name))

    def __contains__(self, name: object) -> bool:
        return name in self.archive.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return iter(self.archive.namelist())

    def __len__(self) -> int:
        return len(self.archive.namelist())


class _Utf8:
    """A resolver that hands out material libraries in UTF-8, like the mesh that names their materials, and pictures
    that can be shown: a broken one counts as missing."""

    def __init__(self, files: Resolver):
        self.files = files

    def get(self, key: str) -> bytes:
        data = self.files.get(key)
        if key.strip().lower().endswith(".mtl"):
            return as_utf8(data)
        Image.open(io.BytesIO(data)).load()
        return data

    __getitem__ = get


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
