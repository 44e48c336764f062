"""What the parameters of chapters that are no fields of a configuration may be.

A chapter's parameters cell names them, says what they are for, and has their defaults; the fields of a training, of a
collection or of a fit are known by their own configurations (`tpl.book.bounds`). A chapter in which a name means more
or less than in the others has a class of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from tpl.settings import Preset, Resolution, Seed
from tpl.shapes import SOURCES, SPLITS

OF_COLLECTION = {name: f"{name}_shapes" for name in (*SPLITS, "coded", "small")} | {
    name: name for name in ("small_sdf_samples", "small_cross_samples", "seed", "folder")
}
"""Fields of a collection's configuration, and the parameters of the chapter of shapes that they come from."""

OF_ORACLE = {name: f"oracle_{name}" for name in ("iterations", "points", "rate")}
"""The same of the oracle's fit of a code."""

OF_REFINEMENT = {"steps": "refinement_steps"}
"""And of a fit to an outline."""


@dataclass(frozen=True)
class Among:
    """Text that is one of these names, or several of them joined, or of this pattern."""

    names: Callable[[], Sequence[str]]  # asked when they are needed: where they are written may take seconds to import
    joined: str = ""  # what stands between several
    pattern: str = ""  # of further values
    example: str = ""  # of such a value


@dataclass(frozen=True)
class Place:
    """Text that names a file or a folder; one that is not there is found out by whoever reads it."""

    kind: Literal["file", "folder"]


def _ingredients() -> Sequence[str]:
    from tpl.chapters.ingredients import INGREDIENTS

    return ["", *(ingredient.name for ingredient in INGREDIENTS)]


def _disagreements() -> Sequence[str]:
    from tpl.chapters.paper_and_code.disagreements import DISAGREEMENTS

    return ["", *(row.name for row in DISAGREEMENTS)]


def _encoders() -> Sequence[str]:
    from tpl.study.methods import ENCODERS

    return list(ENCODERS)


def _two_phase_encoders() -> Sequence[str]:
    from tpl.study.methods import ENCODERS, TwoPhase

    return ["auto", *(name for name, method in ENCODERS.items() if isinstance(method, TwoPhase))]


Category = Literal["chairs", "sofas", "airplanes"]
File = Annotated[str, Place("file")]
Folder = Annotated[str, Place("folder")]


class Places(BaseModel):
    """Which shapes, where everything lies, and on what machine it works."""

    category: Literal["all"] | Category
    source: Annotated[str, Among(lambda: ["", *SOURCES], joined="+")]
    data: Folder
    runs: Folder
    longer_runs: Folder
    folder: Folder
    splits: Folder
    photos: Folder
    networks: Literal["auto", "run", "committed"]
    device: Annotated[str, Among(lambda: ["auto", "cpu", "cuda"], pattern=r"cuda:\d+", example="cuda:1")]
    jobs: Annotated[int, Field(ge=-1)]
    processes: PositiveInt


class Pages(BaseModel):
    """What is measured and shown."""

    resolution: Resolution
    shown_resolution: Resolution
    seed: Seed
    seeds: PositiveInt
    draws: Annotated[int, Field(ge=1, le=1000)]
    split: Literal["test", "validation"]
    shown_shapes: PositiveInt
    scored_shapes: PositiveInt
    train_shapes: PositiveInt
    test_shapes: PositiveInt
    apart_shapes: PositiveInt
    example: NonNegativeInt
    size: PositiveInt  # pixels

    real_shapes: str
    measured: NonNegativeInt

    measure: bool
    evaluate: bool
    fetch: bool
    show_collapse: bool

    measured_category: Literal[""] | Category
    measured_shapes: PositiveInt
    measured_seeds: PositiveInt
    refined_shapes: NonNegativeInt

    neighbours: PositiveInt

    fig5_category: Category
    fig5_seeds: PositiveInt
    fig5_epochs: PositiveInt
    fig5_boxed: bool

    worst_shapes: NonNegativeInt
    other_shapes: NonNegativeInt
    drawn_shapes: PositiveInt
    per_row: PositiveInt

    shown: Category
    instances: Annotated[int, Field(ge=2)]
    unseen: Annotated[int, Field(ge=2)]
    perplexity: PositiveFloat
    thumbnails: PositiveInt
    path_steps: Annotated[int, Field(ge=2)]
    other_steps: Annotated[int, Field(ge=2)]
    sectors: PositiveInt
    chamfer_shapes: PositiveInt
    folds: Annotated[int, Field(ge=2)]
    completed_shapes: PositiveInt

    exemplars: PositiveInt
    coded_targets: PositiveInt
    test_targets: PositiveInt
    points: PositiveInt

    photo: File
    mask: File
    rectangle: Annotated[str, Among(lambda: [""], pattern=r" *\d+ *(, *\d+ *){3}", example="40,20,600,470")]
    photo_size: PositiveInt  # pixels
    compared_shapes: PositiveInt

    held_out: Literal["family", "group", "both"]
    tile: PositiveInt  # pixels

    paths: PositiveInt


class Toy(BaseModel):
    """Chapter 2: its second toy is about coordinates beside space, and takes a quarter of the points."""

    ambient_dim: PositiveInt
    points_per_shape: Annotated[int, Field(ge=4)]


class Ingredients(BaseModel):
    """Chapter 4: those that it leaves out."""

    only: Annotated[str, Among(_ingredients, joined=",")]


class Gallery(BaseModel):
    """Chapter 8: whose meshes it shows."""

    method: Annotated[str, Among(_encoders)]


class Correspondence(BaseModel):
    """Chapter 10: what coordinates beside space weigh where points are matched."""

    beside: NonNegativeFloat


class Photos(BaseModel):
    """Chapter 11: whose meshes it shows, and how many of the project's own pictures."""

    method: Annotated[str, Among(_two_phase_encoders)]
    several_shapes: PositiveInt
    real: Annotated[str, Among(lambda: list(SOURCES))]
    own_pictures: PositiveInt


class RealShapes(BaseModel):
    """Chapter 12: one source, whose shapes are compared with made ones."""

    source: Annotated[str, Among(lambda: list(SOURCES))]


class Playground(BaseModel):
    """Chapter 13: two decoders, and what of them is seen."""

    decoder: Folder
    beside: Folder
    beside_runs: Folder
    live: bool
    test_example: NonNegativeInt
    directions: PositiveInt
    way_steps: Annotated[int, Field(ge=2)]
    grids: Annotated[str, Among(lambda: [""], pattern=r" *\d+( +\d+)* *", example="32 64 128")]
    fit_steps: PositiveInt
    fit_points: PositiveInt
    fit_seconds: Annotated[int, Field(ge=1, le=600)]


class InThePage(BaseModel):
    """Chapter 14: what its page holds beside the networks."""

    views: PositiveInt
    truth_faces: Annotated[int, Field(ge=16, le=20_000)]  # corners are counted in 16 bits
    directions: PositiveInt


class Appendix(BaseModel):
    """Appendix A: trials of one category."""

    category: Category
    only: Annotated[str, Among(_disagreements)]


class Presets(BaseModel):
    """Chapters that train."""

    preset: Preset


OF_ALL: Mapping[str, type[BaseModel]] = {
    "shapes, folders, machine": Places,
    "training": Presets,
    "measured and shown": Pages,
}
"""By the group that they stand in where they are listed."""

OF_ONE: Mapping[str, type[BaseModel]] = {
    "02": Toy,
    "04": Ingredients,
    "08": Gallery,
    "10": Correspondence,
    "11": Photos,
    "12": RealShapes,
    "13": Playground,
    "14": InThePage,
    "A": Appendix,
}
"""By the number of the chapter; both what this says of a name and what `OF_ALL` does must hold."""
