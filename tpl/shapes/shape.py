"""What every source of shapes yields: a `Shape`, which knows its mesh but does not hold it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trimesh

from tpl.settings import SettingsError

CATEGORIES = {"chairs": "03001627", "sofas": "04256520", "airplanes": "02691156"}  # with their ShapeNet synsets
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Shape:
    """One shape of a data set.

    Shapes of one `family` are variants of each other, so a family lies in one split as a whole. A family's name begins
    with its kind, up to the first hyphen: "stool-round-no_arms".

    `load()` makes or reads the mesh: in RAW (+y up, front -z, bounding-box diagonal 1, centred), with face
    colours. Procedural shapes also say what each face belongs to: `metadata["part"]` indexes
    `metadata["parts"]`.

    Its files lie in the folder of its `source`. `version` tells two shapes of one id apart: a hash of the code or of
    the file that makes the mesh.

    `given` are files of the shape that others prepared, by their kind in the store (`SdfSamples`, `SurfaceSamples`,
    `NormalizationParameters`, and `easy` and `hard` for folders of views): they are used instead of computed.

    Without a mesh (`has_mesh`) a shape is what these files say of it: the first three are given, `load()` raises, and
    what is rendered or measured on faces cannot be had.
    """

    id: str
    category: str
    family: str
    split: str
    load: Callable[[], trimesh.Trimesh]
    source: str = "procedural"
    version: str = ""
    given: Mapping[str, Path] = field(default_factory=dict, compare=False)
    has_mesh: bool = True


def categories_of(category: str) -> list[str]:
    """The categories that a chapter's parameter asks for: one by its name, or "all"."""
    return list(CATEGORIES) if category == "all" else [check_category(category)]


def check_category(category: str) -> str:
    """Gives the category back.

    Raises:
        SettingsError: It does not exist.
    """
    if category not in CATEGORIES:
        raise SettingsError(f"no category is called {category!r}; there is all, {', '.join(CATEGORIES)}")
    return category
