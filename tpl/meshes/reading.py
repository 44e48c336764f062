"""Mesh files, plain or in a zip archive: one welded mesh, one colour a face, or one clear sentence why not."""

import importlib.util
import io
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import trimesh
from trimesh.resolvers import ZipResolver
from trimesh.visual.color import ColorVisuals, uv_to_color

from tpl.border import reason
from tpl.gate import Gate, GateError, NotRegularError, open_archive, open_regular
from tpl.meshes.ac3d import read_ac3d
from tpl.meshes.binary import read_3ds, read_md2
from tpl.meshes.checking import LARGEST, MOST_FACES, ClaimError, as_utf8, checked, few_lines
from tpl.meshes.cleaning import weld
from tpl.meshes.gltf import as_glb
from tpl.meshes.normalization import MeshError
from tpl.meshes.parts import Textures

FORMATS = {".obj", ".off", ".ply", ".glb", ".gltf", ".stl", ".ac", ".3ds", ".md2"}
if HAS_COLLADA := importlib.util.find_spec("collada") is not None:  # an extra
    FORMATS.add(".dae")
FARTHEST = 1e30  # single precision ends at 3e38, and lengths are squared
NO_NUMBER = re.compile(rb"(?im)^[ \t]*(?:K[ades]|d|Tr|N[si])[ \t].*(?:nan|inf).*$")  # of a material library
GREY = np.array([[128, 128, 128, 255]], np.uint8)  # of parts without a colour beside parts with one


def load_mesh(path: str | Path, drop: Collection[str] = (), fence: Path | None = None) -> trimesh.Trimesh:
    """One welded mesh of all that a file shows, in the file's own frame and unit.

    Reads OBJ, OFF, PLY, GLB, glTF, STL, AC3D, 3DS and MD2, and DAE with the extra `collada`, also inside a zip archive
    of any extension: `"sofas.zip!red/sofa.obj"`, or `"sofa.zip"` where it holds a single mesh. Materials, textures and
    vertex colours become one colour a face, textures by their colour at the face's centre; a file without any colour
    gives a mesh without. Vertices are merged by position, and those of no face dropped. A material or texture that is
    missing or broken costs its colours only. No archive is unpacked to disk, whatever its members are called.

    What reading found odd but took is said in `metadata["notes"]`, a sentence each.

    Args:
        path: The file, or the archive with the file's name in it.
        drop: Names of objects of an AC3D file that are left out.
        fence: The folder that materials, textures and buffers lie in; by default that of the mesh, or the one above
            where that is called "models", as ShapeNet's is.

    Raises:
        MeshError: The file is missing, of another format, too large, unreadable, cut off, without faces, or
            its faces refer to vertices that are missing or not finite.
    """
    notes: list[str] = []
    with _open(str(path), fence) as (file, kind, files), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's complaints about oddities that do no harm
        try:
            parts = [part for part in _parts(checked(file, kind), kind, files, drop, notes) if len(part.faces)]
            if any(part.vertices.shape[1:] != (3,) or part.faces.shape[1:] != (3,) for part in parts):
                raise ClaimError("has vertices of more or fewer than three numbers; export it again")
            colors = [_face_colors(part) for part in parts]
        except (ClaimError, GateError) as error:
            raise MeshError(f"{path}: {error}") from error
        except MeshError as error:
            raise MeshError(f"{path}: {error}; fetch or export it again") from error
        except MemoryError as error:
            raise MeshError(f"{path}: needs more memory than there is; simplify the mesh") from error
        except Exception as error:  # every reader has its own ways to fail
            told = " ".join(f"{type(error).__name__} {error}".split())[:120]
            raise MeshError(f"{path}: cannot be read as {kind.upper()} ({told}); export it again") from error
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
    mesh.metadata["notes"] = notes
    return mesh


def _parts(
    file: BufferedIOBase, kind: str, files: "_Files", drop: Collection[str], notes: list[str]
) -> list[trimesh.Trimesh]:
    if kind == "ac":
        return read_ac3d(file.read(), Textures(files.picture), drop, notes)
    if kind in ("3ds", "md2"):
        return (read_3ds if kind == "3ds" else read_md2)(file.read(), Textures(files.picture))
    if kind in ("glb", "gltf"):
        file, kind = io.BytesIO(as_glb(file.read(), files.raw, files.gate)), "glb"
    scene = trimesh.load_scene(file, file_type=kind, resolver=files, process=False)  # pyright: ignore
    drawn = [scene.geometry[scene.graph[node][1]] for node in scene.graph.nodes_geometry]
    if (count := sum(len(getattr(each, "faces", ())) for each in drawn)) > MOST_FACES:  # before each is copied
        raise ClaimError(f"draws {count:,} faces, and {MOST_FACES:,} is the most; simplify the mesh")
    return [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]


def missing_files(path: str | Path, fence: Path | None = None) -> list[str]:
    """What an OBJ file names and cannot be used: material libraries and textures, as the file names them.

    A mesh that lacks them can be read; it is grey, or has fewer colours than its author meant. `fence` as for
    `load_mesh`.

    Raises:
        MeshError: The file itself, or its archive, cannot be read.
    """
    with _open(str(path), fence) as (file, _, files):
        libraries = _named(file.read(), b"mtllib")
        textures, missing = [], []
        for name in dict.fromkeys(libraries):
            try:
                textures += _named(files.raw(name), b"map_Kd")
            except (OSError, KeyError, ValueError):
                missing.append(name)
        for name in dict.fromkeys(textures):
            try:
                files.picture(name)
            except Exception:  # not there, or broken in one of Pillow's many ways
                missing.append(name)
    return missing


def _named(text: bytes, keyword: bytes) -> list[str]:
    """The file names behind a keyword of an OBJ or MTL file; options before a texture's name are skipped."""
    rest = [line.split(None, 1)[1].strip() for line in text.splitlines() if line.strip().startswith(keyword + b" ")]
    names = [name.split()[-1] if name.startswith(b"-") else name for name in rest if name]
    return [name.decode("utf-8", "replace") for name in names]


@contextmanager
def _open(path: str, fence: Path | None) -> Iterator[tuple[BufferedIOBase, str, "_Files"]]:
    """The bytes of a mesh file, its format in lower case, and where to look for its materials."""
    outer, inner = path, ""
    if "!" in path and not Path(path).exists():
        outer, _, inner = path.rpartition("!")
    gate = Gate(bytes_left=LARGEST)
    try:
        opened = open_regular(outer)
    except FileNotFoundError as error:
        raise MeshError(f"{path}: there is no file {outer}; check the path") from error
    except IsADirectoryError as error:
        raise MeshError(f"{path}: {outer} is a folder; name a file in it") from error
    except NotRegularError as error:  # a pipe would be waited for
        raise MeshError(f"{path}: {outer} is no file with contents; check the path") from error
    except (OSError, ValueError) as error:  # no permission, a link in a circle
        raise MeshError(f"{path}: {outer} cannot be opened ({reason(error)}); check what it is") from error
    suffix = Path(outer).suffix.lower()
    with opened as file:
        if not inner and (suffix in FORMATS or (suffix != ".zip" and not is_zipfile(file))):
            kind = _format(path, outer)
            file.seek(0)
            yield file, kind, _Beside(gate, Path(outer), fence)  # pyright: ignore
            return
    try:
        with open_archive(outer) as listed:
            archive = _Archive(listed, gate)
            inner = inner or _only_mesh(path, archive)
            if inner not in archive:
                some = ", ".join(list(archive)[:3])
                raise MeshError(f"{path}: there is no {inner} in {outer}; it holds {some}, ...")
            kind = _format(path, inner)
            yield archive[inner], kind, _Inside(gate, archive, inner)
    except (ClaimError, GateError) as error:
        raise MeshError(f"{path}: {error}") from error
    except MeshError:
        raise
    except Exception as error:  # damaged, of an unknown compression, encrypted, cut off
        raise MeshError(
            f"{path}: the archive {outer} cannot be read ({reason(error)}); fetch or pack it again"
        ) from error


def _only_mesh(path: str, archive: "_Archive") -> str:
    meshes = sorted(name for name in archive if Path(name).suffix.lower() in FORMATS)
    if not meshes:
        raise MeshError(f"{path}: the archive holds no mesh; add one as OBJ, OFF, PLY, GLB or STL")
    if len(meshes) > 1:
        raise MeshError(f"{path}: the archive holds {len(meshes)} meshes; name one, such as {path}!{meshes[0]}")
    return meshes[0]


def _format(path: str, name: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix == ".dae" and not HAS_COLLADA:
        raise MeshError(f"{path}: .dae is read by an extra; pip install 'tpl[collada]', or convert it to GLB")
    if suffix not in FORMATS:
        what = f"{suffix or 'a file without a suffix'} is not read"
        raise MeshError(f"{path}: {what}; convert it to OBJ, OFF, PLY, GLB or STL")
    return suffix[1:]


class _Files:
    """What a mesh names, by the names it has there: each file passes the gate, and none is waited for.

    trimesh asks `get` and gets material libraries in UTF-8, with finite numbers alone, and pictures that can be shown:
    others count as missing.
    """

    def __init__(self, gate: Gate):
        self.gate = gate

    def raw(self, name: str) -> bytes:
        """The bytes of a file; raises where it cannot be had."""
        raise NotImplementedError

    def picture(self, name: str) -> Any:
        """A picture, decoded; raises where it cannot be had or shown."""
        return self.gate.picture(self.raw(name))

    def get(self, key: str) -> bytes:
        data = self.raw(key)
        if key.strip().lower().endswith(".mtl"):
            return NO_NUMBER.sub(b"", as_utf8(few_lines(data)))
        self.gate.picture(data)
        return data

    __getitem__ = get


class _Beside(_Files):
    """Files within the fence of a mesh on disk."""

    def __init__(self, gate: Gate, mesh: Path, fence: Path | None):
        super().__init__(gate)
        self.folder = mesh.parent.resolve()
        # ShapeNet's textures lie in ../images
        gate.fence = fence or (self.folder.parent if self.folder.name == "models" else self.folder)

    def raw(self, name: str) -> bytes:
        return self.gate.read(self.folder / name.strip())


class _Inside(_Files):
    """Members of the archive that a mesh lies in."""

    def __init__(self, gate: Gate, archive: "_Archive", mesh: str):
        super().__init__(gate)
        folder = mesh.rpartition("/")[0]
        self.members = ZipResolver(archive, namespace=folder or None)  # pyright: ignore

    def raw(self, name: str) -> bytes:
        return self.members.get(name)


class _Archive(Mapping):
    """The members of a zip archive as open files, each read when it is asked for."""

    def __init__(self, archive: ZipFile, gate: Gate):
        self.archive, self.gate = archive, gate

    def __getitem__(self, name: str) -> io.BytesIO:
        size = self.archive.getinfo(name).file_size
        if size > LARGEST:  # no more than that is ever unpacked, whatever comes out
            most = f"{LARGEST / 1e6:,.0f} MB"
            raise ClaimError(f"{name} has {size / 1e6:,.0f} MB unpacked, and {most} is the most; simplify it")
        return io.BytesIO(self.gate.member(self.archive, name))

    def __contains__(self, name: object) -> bool:
        return name in self.archive.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return iter(self.archive.namelist())

    def __len__(self) -> int:
        return len(self.archive.namelist())


def _face_colors(part: trimesh.Trimesh) -> np.ndarray | None:
    """RGBA a face, (faces, 4) or (1, 4), or None where the file gives no colour, or none that can be shown."""
    try:
        colors = _told_colors(part)
        return colors if colors is None or np.isfinite(colors).all() else None
    except Exception:  # a material costs its colours only, and each has its own ways to be broken
        return None


def _told_colors(part: trimesh.Trimesh) -> np.ndarray | None:
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
