"""The open collection: 252 freely licensed chairs, sofas and airplanes that people made, out of Debian's packages.

`data/open_shapes.json` is its catalogue: of each shape its name, creator and licence, its files in their package, how
it is turned to our frame, its kind and family. The meshes are not part of this repository; `tpl fetch open` brings
them below `data/fetched/open`.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import trimesh
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from trimesh.visual.color import ColorVisuals

from tpl.files import write_atomically
from tpl.meshes import load_mesh
from tpl.packages import FetchError
from tpl.shapes.options import SourceOptions
from tpl.shapes.shape import Shape

DATA = Path(__file__).parents[2] / "data"
FETCHED = DATA / "fetched"
PACKAGE_FILE = "package.sha256"  # in the folder of a shape: which package it came from
MESH_CODE = ("shapes/open_collection.py", *(f"meshes/{name}.py" for name in ("ac3d", "binary", "parts", "reading")))

HELD_OUT = {
    "chairs": {"office chair", "swivel chair", "bar stool", "bar chair"},
    "sofas": {"corner sofa", "armless", "armless module"},
    "airplanes": {"military-jet", "game-jet", "biplane"},
}
"""The kinds that the split by group tests on: 14 of 70 chairs, 7 of 29 sofas, 33 of 153 airplanes.

Chairs that stand on one column, sofas without arms or around a corner, fighters and biplanes: outlines that training
on the other kinds never shows.
"""
VALIDATION = 0.2  # at most this share of the training shapes goes to validation
WHITEST = 204  # of 255, the brightest colour of a face: views lie on white, and a white wing would vanish there


class Package(BaseModel):
    """A package as the catalogue describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    size: int  # bytes
    sha256: str


class OpenShape(BaseModel):
    """A shape of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    category: str
    name: str
    creator: str
    licence: str
    package: str
    archive: str = ""  # the zip archive in the package that holds the files; none: they lie in the package itself
    files: dict[str, str]  # by the names that the mesh gives them, the mesh itself first; paths in archive or package
    kind: str  # what it is, among those of its category
    family: str  # shapes of one family are variants of each other
    split: str  # by family
    rotation: list[list[float]]  # a column of coordinates, multiplied by it from the left, gets to +y up, front -z
    size_cm: list[float] | None = None  # width, height and depth, where its makers stretch the mesh to them
    drop_objects: list[str] = []  # propeller discs, beams of light, hoses
    also_sofa: bool = False  # an upholstered armchair, which may count as a sofa
    notes: str = ""

    def folder(self, fetched: Path) -> Path:
        """Where its files lie once they are fetched."""
        return fetched / "open" / "files" / self.id

    @property
    def members(self) -> set[str]:
        """The files of the package that hold it."""
        return {self.archive} if self.archive else set(self.files.values())


@functools.cache
def read_catalog() -> list[OpenShape]:
    """All shapes of the collection."""
    return [OpenShape(**entry) for entry in json.loads((DATA / "open_shapes.json").read_text())]


@functools.cache
def read_packages() -> dict[str, Package]:
    """The packages that they come from, by name."""
    entries = json.loads((DATA / "packages.json").read_text())
    return {name: Package(**entry) for name, entry in entries.items()}


def open_shapes(
    category: str, counts: Mapping[str, int], seed: int, options: SourceOptions, fetched: Path | None = None
) -> list[Shape]:
    """Shapes of the open collection, at most as many of each split as asked for.

    `options.split_by` is "family", where the catalogue's test split holds out whole families, four shapes in five being
    trained on, or "group", the harder one, which tests on whole kinds (`HELD_OUT`). Validation is made of families of
    the training shapes, and only where it is asked for. `options.armchairs_as_sofas` lists upholstered armchairs among
    the sofas as well, in the split that they have as chairs.

    Args:
        category: chairs, sofas or airplanes.
        counts: By split.
        seed: Of no effect here.
        options: As above.
        fetched: Where the files lie, `data/fetched` by default.

    Raises:
        FetchError: They are not fetched.
    """
    fetched = fetched or FETCHED
    entries = [entry for entry in read_catalog() if _category(entry, category, options)]
    entries.sort(key=lambda entry: _hash(entry.id))  # a part of them is a mixture
    missing = sorted({entry.package for entry in entries if not is_fetched(entry, fetched)})
    if missing:
        raise FetchError(f"the open collection's {category} ({', '.join(missing)}) are not here: run `tpl fetch open`")
    splits = _splits(entries, category, counts.get("validation", 0), options.split_by)
    shapes = []
    for split, count in counts.items():
        listed = [entry for entry in entries if splits[entry.family, entry.kind] == split]
        shapes += [_shape(entry, category, split, fetched) for entry in listed[:count]]
    return shapes


def is_fetched(entry: OpenShape, fetched: Path) -> bool:
    """Whether a shape's files are there, out of the package that the catalogue describes."""
    try:
        origin = (entry.folder(fetched) / PACKAGE_FILE).read_text()
    except OSError:
        return False
    return origin == read_packages()[entry.package].sha256


def load_open_shape(entry: OpenShape, fetched: Path) -> trimesh.Trimesh:
    """The mesh of a shape in RAW, with face colours; made once and kept beside the files, as text is slow to read.

    Faces that cannot be seen (opacity 0) are left out, and no colour is brighter than `WHITEST`.
    """
    kept = fetched / "open" / "meshes" / f"{entry.id}.npz"
    version = _version(entry)
    mesh = _read_kept(kept, version)
    if mesh is None:
        mesh = _make(entry, fetched)
        arrays = {"vertices": mesh.vertices, "faces": mesh.faces, "colors": mesh.visual.face_colors}
        write_atomically(kept, lambda path: np.savez(path, version=version, **arrays))
    return mesh


def _category(entry: OpenShape, category: str, options: SourceOptions) -> bool:
    return entry.category == category or (category == "sofas" and options.armchairs_as_sofas and entry.also_sofa)


def _splits(entries: list[OpenShape], category: str, validation: int, split_by: str) -> dict[tuple[str, str], str]:
    """The split of each family and kind."""
    test = HELD_OUT[category] if split_by == "group" else set()
    splits = {}
    families: dict[str, int] = {}
    for entry in entries:
        held_out = entry.kind in test if split_by == "group" else entry.split == "test"
        splits[entry.family, entry.kind] = "test" if held_out else "train"
    training = [entry.family for entry in entries if splits[entry.family, entry.kind] == "train"]
    families = {family: training.count(family) for family in training}
    room = min(validation, int(VALIDATION * len(training)))
    for family in sorted(families, key=_hash):
        room -= families[family]
        if room < 0:
            break
        splits.update({key: "validation" for key in splits if key[0] == family and splits[key] == "train"})
    return splits


def _shape(entry: OpenShape, category: str, split: str, fetched: Path) -> Shape:
    kind = entry.kind.replace("-", "_").replace(" ", "_")
    load = functools.partial(load_open_shape, entry, fetched)
    return Shape(entry.id, category, f"{kind}-{entry.family}", split, load, "open", _version(entry))


def _hash(name: str) -> int:
    return crc32(name.encode())


@functools.cache
def _code() -> str:
    """A hash of the code that makes meshes of files."""
    folder = Path(__file__).parents[1]
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in MESH_CODE)).hexdigest()


def _version(entry: OpenShape) -> str:
    text = read_packages()[entry.package].sha256 + entry.model_dump_json() + _code()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_kept(file: Path, version: str) -> trimesh.Trimesh | None:
    try:
        with np.load(file) as arrays:
            if str(arrays["version"]) != version:
                return None
            return _colored(arrays["vertices"], arrays["faces"], arrays["colors"])
    except (OSError, ValueError, KeyError):
        return None


def _make(entry: OpenShape, fetched: Path) -> trimesh.Trimesh:
    mesh = load_mesh(entry.folder(fetched) / next(iter(entry.files)), drop=entry.drop_objects)
    faces, colors = mesh.faces, np.full((len(mesh.faces), 4), [150, 150, 150, 255], np.uint8)
    if mesh.visual.kind == "face":
        colors = np.asarray(mesh.visual.face_colors)
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


def _colored(vertices: Float[np.ndarray, "v 3"], faces: np.ndarray, colors: np.ndarray) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.visual = ColorVisuals(mesh, face_colors=colors)
    return mesh
