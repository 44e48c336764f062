"""Your own meshes: what lies in a folder, its subfolders and zip archives, each mesh a shape.

    my_chairs/stool.obj                       a chair, if the folder's category is chairs
    my_meshes/sofas/oak/bench (1).glb         a sofa, of the kind "oak", in one family with "bench (2).glb"
    my_meshes/test/chairs/old.zip             its meshes are chairs of the test split

Folders, or archives, called like a category ("chairs" or "chair") or a split say so of what is in them. A table
`fronts.csv` (columns file, front, and up if it must be) tells where single files look that differ from the others.
Where no split is said, families are divided by a hash of their names: files whose names differ in a number, a version
or "copy" at the end are one family.
"""

import csv
import functools
import hashlib
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, get_args
from zipfile import BadZipFile

import numpy as np
import trimesh
from jaxtyping import Float
from trimesh.visual.color import ColorVisuals

from tpl.border import border
from tpl.errors import PlainError
from tpl.gate import Gate, GateError, open_archive
from tpl.meshes import MeshError, load_mesh
from tpl.meshes.checking import LARGEST
from tpl.meshes.reading import FORMATS
from tpl.shapes.options import Axis, SourceOptions
from tpl.shapes.procedural import split_of
from tpl.shapes.shape import CATEGORIES, SPLITS, Shape
from tpl.source_code import code_digest

COLORLESS = [184, 184, 184, 255]  # of meshes whose file gives no colour
SAID = {name: name for name in CATEGORIES} | {name.removesuffix("s"): name for name in CATEGORIES}
FACING = {".glb": "+z", ".gltf": "+z"}  # where the specification of a format says that a front looks; others: -z
OTHERS = set(
    ".3dm .3mf .blend .c4d .dae .dxf .fbx .iges .igs .lwo .max .obj.gz .skp .step .stp .usd .usdz .wrl .x3d".split()
)
TABLE = "fronts.csv"
VARIANT = re.compile(r"[\s_.-]*(?:\(\d+\)|(?:(?<![a-z])(?:v|ver|version|var|variant))?[\s_.-]*\d+|(?<![a-z])copy)$")
REFERENCE = re.compile(rb"(?im)^[ \t]*(?:mtllib|map_Kd|comment[ \t]+TextureFile|texture)[ \t]+\"?(.+?)\"?[ \t]*\r?$")


class FolderError(PlainError):
    """A folder of meshes that cannot be used as it is; the message says what to add."""


class _Found(NamedTuple):
    """A mesh, before its split is known."""

    path: str  # as `load_mesh` takes it
    category: str
    split: str  # said by a folder, or empty
    folders: tuple[str, ...]  # on the way to it, those that say category or split left out
    stem: str


def folder_shapes(category: str, counts: Mapping[str, int], seed: int, options: SourceOptions) -> list[Shape]:
    """The meshes of `options.folder` that belong to a category, at most so many of each split.

    They are divided by families, by the first folder on the way to a mesh (`split_by="group"`), or one by one, by the
    seed (`"random"`). Where there are two families or more, one is tested with and one trained with.

    Raises:
        FolderError: There is no such folder, it holds no mesh, the category of a mesh is not said, or all meshes are
            one family.
    """
    meshes = _found(options)
    fronts = _fronts(options)
    ids = _ids(meshes, options.folder)
    own = [mesh for mesh in meshes if mesh.category == category]
    kinds = [_safe(mesh.folders[0] if mesh.folders else Path(options.folder).resolve().name) for mesh in own]
    names = [_safe("-".join([*mesh.folders[1:], _base(mesh.stem)])) for mesh in own]
    if options.split_by == "random":
        names = [ids[mesh.path] for mesh in own]
    families = [f"{kind.replace('-', '_')}-{name}" for kind, name in zip(kinds, names, strict=True)]
    held_out = kinds if options.split_by == "group" else families
    salt = f"{category} {seed}" if options.split_by == "random" else category
    said = [mesh.split for mesh in own]
    splits = _divided(held_out, said, salt)
    if len(own) > 1 and len(set(splits)) == 1 and not any(said):
        raise FolderError(
            f"all {len(own)} {category} of {options.folder} look like variants of one, {own[0].stem}, so none can be "
            "held out to judge with: divide them by --split-by random, or put some into a folder test/"
        )
    shapes = [
        Shape(
            ids[mesh.path],
            category,
            family,
            split,
            functools.partial(load_turned, mesh.path, rotation(*fronts(mesh.path)), Path(options.folder)),
            source="folder",
            version=_version(mesh.path, options, fronts(mesh.path)),
        )
        for mesh, family, split in zip(own, families, splits, strict=True)
    ]
    shapes.sort(key=lambda shape: _hash(shape.id))  # a smaller count is a mixture, too
    return [shape for split in SPLITS for shape in [s for s in shapes if s.split == split][: counts.get(split, 0)]]


def remarks(options: SourceOptions) -> list[str]:
    """What is worth a line to whoever prepares a folder: formats that are not read, fronts assumed."""
    files = [Path(place, name) for place, _, names in os.walk(options.folder) for name in names]
    left = Counter(path.suffix.lower() for path in files if path.suffix.lower() in OTHERS - FORMATS)
    lines = []
    if left:
        each = ", ".join(f"{count} {suffix}" for suffix, count in sorted(left.items()))
        extra = "; pip install 'tpl[collada]' reads .dae" if ".dae" in left else ""
        lines.append(f"left out: {sum(left.values())} files of formats that are not read ({each}); convert them{extra}")
    facing = sum(path.suffix.lower() in FACING for path in files)
    if facing and options.front == "auto":
        lines.append(f"{facing} files of GLB or glTF look along +z, as their form says; --front says otherwise")
    return lines


def load_turned(path: str, turn: Float[np.ndarray, "3 3"], fence: Path | None = None) -> trimesh.Trimesh:
    """The mesh of a file in RAW: turned, centred, its bounding box of diagonal 1, with colours.

    Args:
        path: As `load_mesh` takes it.
        turn: As `rotation` gives it.
        fence: As `load_mesh` takes it.

    Raises:
        MeshError: It cannot be read, or is a single point.
    """
    mesh = load_mesh(path, fence=fence)
    vertices = np.asarray(mesh.vertices) @ turn.T
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    diagonal = np.linalg.norm(high - low)
    if diagonal == 0:
        raise MeshError(f"{path}: all of its vertices are one point; drop the shape")
    mesh.vertices = (vertices - (low + high) / 2) / diagonal
    visual: Any = mesh.visual
    if visual.kind is None:
        mesh.visual = ColorVisuals(mesh, face_colors=COLORLESS)
    return mesh


def rotation(up: Axis, front: Axis) -> Float[np.ndarray, "3 3"]:
    """Turns a mesh whose top and front look along these axes to +y up, front -z: `vertices @ rotation.T`.

    Raises:
        FolderError: They are not perpendicular.
    """
    if up[1] == front[1]:
        raise FolderError(f"up {up} and front {front} lie on one axis: give two, such as --up +z --front -y")
    top, ahead = (np.eye(3)["xyz".index(axis[1])] * (1 if axis[0] == "+" else -1) for axis in (up, front))
    return np.stack([np.cross(ahead, top), top, -ahead])


def _fronts(options: SourceOptions) -> Callable[[str], tuple[Axis, Axis]]:
    """Tells of a mesh's path where its top and its front look: by the table, by the options, by its format."""
    table = _table(Path(options.folder) / TABLE)

    def of(path: str) -> tuple[Axis, Axis]:
        told = table.get(Path(os.path.relpath(path, options.folder)).as_posix(), {})
        by_form = FACING.get(PurePosixPath(path).suffix.lower(), "-z")
        front = told.get("front") or (by_form if options.front == "auto" else options.front)
        return told.get("up") or options.up, front  # pyright: ignore

    return of


def _table(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    with border(file, "give it the columns file and front, such as `red/chair.obj,+x`", FolderError):
        text = Gate(bytes_left=2**24).read(file).decode("utf-8-sig")
        rows = {row["file"]: row for row in csv.DictReader(io.StringIO(text), restval="")}
        for name, row in rows.items():
            for column in ("front", "up"):
                if (axis := row.get(column)) and axis not in get_args(Axis):
                    raise ValueError(f"{name} has {column} {axis!r}; there are {', '.join(get_args(Axis))}")
    return rows


def _found(options: SourceOptions) -> list[_Found]:
    folder = Path(options.folder)
    if not options.folder or not folder.is_dir():
        raise FolderError(f"there is no folder {options.folder!r} of meshes: name yours by --folder")
    meshes = []
    for path, place in _files(folder):
        said = [part.lower() for part in place.parts[:-1]]
        category = next((SAID[part] for part in said if part in SAID), options.folder_category)
        if category not in CATEGORIES:
            raise FolderError(
                f"what is {path}? Say it for the whole folder, by --category chairs, or put it into a folder "
                f"called {', '.join(CATEGORIES)}"
            )
        split = next((part for part in said if part in SPLITS), "")
        folders = tuple(part for part in place.parts[:-1] if part.lower() not in (*SAID, *SPLITS))
        meshes.append(_Found(path, category, split, folders, place.parts[-1]))
    if not meshes:
        raise FolderError(f"{folder} holds no mesh: put {', '.join(sorted(FORMATS))} or .zip files there")
    return meshes


def _files(folder: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Each mesh: how `load_mesh` finds it, and its place below the folder, without the ending. Links to folders are
    not followed, so that none can lead round in a circle."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_aside(name))
        for name in sorted(names):
            path, suffix = Path(place, name), Path(name).suffix.lower()
            below = PurePosixPath(path.relative_to(folder).with_suffix(""))
            if _is_aside(name):
                continue
            if suffix in FORMATS:
                yield str(path), below
            elif suffix == ".zip":
                yield from _members(path, below)


def _members(path: Path, below: PurePosixPath) -> Iterator[tuple[str, PurePosixPath]]:
    try:
        with open_archive(path) as archive:
            names = sorted(archive.namelist())
    except Exception:  # whatever is wrong with it, reading it as a shape will say so
        yield str(path), below
        return
    for name in names:
        parts = [part for part in re.split(r"[/\\]+", name) if part not in ("", ".", "..")]
        if parts and PurePosixPath(name).suffix.lower() in FORMATS and not any(map(_is_aside, parts)):
            yield f"{path}!{name}", below.joinpath(*parts).with_suffix("")


def _is_aside(name: str) -> bool:
    """What systems leave behind: .DS_Store, ._chair.obj, __MACOSX."""
    return name.startswith((".", "__"))


def _base(stem: str) -> str:
    """A file name without what tells variants apart: "chair_v2", "chair (1)" and "Chair-03" are "chair"."""
    base = stem.lower()
    while (shorter := VARIANT.sub("", base)) != base and shorter:
        base = shorter
    return base


def _safe(text: str) -> str:
    """ASCII letters, digits, and `_ . -` within; of what has none of them, a hash."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", plain).strip("_.-")
    if len(plain) > 80:
        plain = f"{plain[:70]}-{_hash(text)[:8]}"
    return plain or f"mesh_{_hash(text)[:8]}"


def _ids(meshes: list[_Found], folder: str) -> dict[str, str]:
    """A name for each mesh, by its path: that of its folders and file, and a hash where two would be called alike."""
    plain = {mesh.path: _safe("-".join([*mesh.folders, mesh.stem])) for mesh in meshes}
    count = Counter(name.lower() for name in plain.values())
    return {
        path: name if count[name.lower()] == 1 else f"{name}-{_hash(os.path.relpath(path, folder))[:8]}"
        for path, name in plain.items()
    }


def _divided(keys: list[str], said: list[str], salt: str) -> list[str]:
    """The split of each mesh: what its folder says, else that of its key, so that there is one to train and to test.

    From three keys on there is one to try settings on, too.
    """
    size = Counter(key for key, split in zip(keys, said, strict=True) if not split)
    split = {key: split_of(salt, key) for key in size}
    by_size = sorted(size, key=lambda key: (size[key], _hash(key)))

    def of(name: str) -> list[str]:
        return [key for key in by_size if split[key] == name]

    if len(by_size) > 1 and not of("train") and "train" not in said:
        split[by_size[-1]] = "train"
    if len(by_size) > 1 and not of("test") and "test" not in said:
        split[(of("validation") or of("train"))[0]] = "test"
    if len(of("train")) > 1 and not of("validation") and "validation" not in said:
        split[of("train")[0]] = "validation"
    return [of_folder or split[key] for key, of_folder in zip(keys, said, strict=True)]


def _version(path: str, options: SourceOptions, axes: tuple[Axis, Axis]) -> str:
    """A hash of a file, what it names (materials, textures), the axes, our code; nothing where it is unreadable."""
    outer, _, inner = path.rpartition("!")
    try:
        if inner and not Path(path).exists():  # the archive lists a sum of each of its members
            with open_archive(outer) as archive:
                members = {info.filename: info.CRC for info in archive.infolist()}
            others = {name: crc for name, crc in members.items() if Path(name).suffix.lower() not in FORMATS}
            contents = repr((members[inner], sorted(others.items())))
        else:
            contents = repr(_contents(Path(path), Path(options.folder).resolve()))
    except (OSError, KeyError, ValueError, GateError, BadZipFile):
        return ""
    code = code_digest(__name__, without=("tpl.shapes.procedural",))
    return _hash(f"{contents} {' '.join(axes)} {code}")[:16]


def _contents(path: Path, within: Path, steps: int = 2) -> list:
    """A hash of a file's bytes, and of the files it names and they name, as far as they lie in this folder."""
    if not path.is_file() or not path.resolve().is_relative_to(within):
        return []
    status = path.stat()
    digest, named = _digest(str(path), status.st_size, status.st_mtime_ns)
    return [digest, *(_contents(path.parent / name, within, steps - 1) for name in named if steps)]


@functools.cache
def _digest(path: str, size: int, changed: int) -> tuple[str, tuple[str, ...]]:
    """A hash of a file as it was at that time, and what it names: a collection is listed many times in a run."""
    if size > LARGEST:
        return str(size), ()
    data = Gate(bytes_left=LARGEST).read(path)
    text = data if path.lower().endswith((".obj", ".mtl", ".ac")) else data[:4096]
    named = tuple(name.decode("utf-8", "replace") for name in dict.fromkeys(REFERENCE.findall(text)))
    return hashlib.sha256(data).hexdigest(), named


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
