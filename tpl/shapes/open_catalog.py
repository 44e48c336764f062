"""The catalogue of the open collection: `open_shapes.json` and `packages.json` beside this file."""

import functools
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

CATALOG = Path(__file__).with_name("open_shapes.json")
PACKAGES = Path(__file__).with_name("packages.json")
FETCHED = Path("data/fetched")
PACKAGE_FILE = "package.sha256"  # in the folder of a shape: which package it came from


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
    return [OpenShape(**entry) for entry in json.loads(CATALOG.read_text(encoding="utf-8"))]


@functools.cache
def read_packages() -> dict[str, Package]:
    """The packages that they come from, by name."""
    entries = json.loads(PACKAGES.read_text(encoding="utf-8"))
    return {name: Package(**entry) for name, entry in entries.items()}


def is_fetched(entry: OpenShape, fetched: Path) -> bool:
    """Whether a shape's files are there, out of the package that the catalogue describes."""
    try:
        origin = (entry.folder(fetched) / PACKAGE_FILE).read_text()
    except OSError:
        return False
    return origin == read_packages()[entry.package].sha256
