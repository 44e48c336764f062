"""A collection: which shapes an experiment uses and where they are prepared. Its folder says so itself."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from tpl.border import read_json
from tpl.dataset.prepare import PrepareConfig, is_current, is_rejected, prepare
from tpl.dataset.store import FILES, Store, StoreError
from tpl.files import alone_in, write_file
from tpl.settings import SettingsError, validated
from tpl.shapes import Shape, SourceOptions, list_shapes
from tpl.shapes.shape import categories_of, check_category

MOST = 1_000_000
"""Shapes of a split that rules can be asked for: ShapeNet has 50,000 in all."""


class CollectionConfig(SourceOptions):
    """What a collection holds of each category; the defaults are the profile `quick`, but for its small shapes."""

    source: str = "procedural"  # or several, joined by "+"
    train: Annotated[int, Field(ge=1, le=MOST)] = 256
    coded: PositiveInt = 224  # so many of the training shapes take part in phase 1 and get a code
    validation: Annotated[int, Field(ge=0, le=MOST)] = 40
    test: Annotated[int, Field(ge=0, le=MOST)] = 16
    # More training shapes, kept small: no code of phase 1, few samples, the same views. Our encoder learns from them.
    small: Annotated[int, Field(ge=0, le=MOST)] = 0
    small_sdf_samples: PositiveInt = 1500
    small_cross_samples: NonNegativeInt = 800
    small_surface_points: PositiveInt = 5000
    seed: NonNegativeInt = 0
    prepare: PrepareConfig = PrepareConfig(
        sdf_samples=12_000, cross_samples=6000, easy_views=8, hard_views=4, image_size=64
    )

    @property
    def prepare_small(self) -> PrepareConfig:
        """How much is kept of a small shape."""
        amounts = {
            "sdf_samples": self.small_sdf_samples,
            "cross_samples": self.small_cross_samples if self.prepare.cross_samples else 0,
            "surface_points": self.small_surface_points,
        }
        return self.prepare.model_copy(update=amounts)


QUICK = CollectionConfig(small=768)
"""All of the profile `quick`."""


class Collection(NamedTuple):
    """The prepared shapes of an experiment."""

    folder: Path
    config: CollectionConfig

    @property
    def store(self) -> Store:
        return Store(self.folder)

    def listed(self, category: str) -> list[Shape]:
        """All shapes that the collection asks for, prepared or not, but the small ones."""
        c = self.config
        return list_shapes(
            c.source, category, train=c.train, validation=c.validation, test=c.test, seed=c.seed, options=c
        )

    def listed_small(self, category: str) -> list[Shape]:
        """The training shapes that are kept small, prepared or not: those made after the others, none of the found."""
        c = self.config
        if not c.small:
            return []
        larger = list_shapes(c.source, category, train=c.train, seed=c.seed, options=c)
        return list_shapes(c.source, category, train=c.train + c.small, seed=c.seed, options=c)[len(larger) :]

    def shapes(self, category: str, split: str) -> list[Shape]:
        """The prepared shapes of a split.

        Of the training shapes `coded` are those that phase 1 learns, `train` these and all others that are kept whole,
        `seen` these and the small ones.

        Raises:
            StoreError: None is prepared.
        """
        if split == "seen":
            small = [shape for shape in self.listed_small(category) if self.is_prepared(shape, small=True)]
            return self.shapes(category, "train") + small
        of_split = "train" if split == "coded" else split
        wanted = [shape for shape in self.listed(category) if shape.split == of_split]
        found = [shape for shape in wanted if self.is_prepared(shape)]
        if not found and (wanted or of_split == "train"):
            raise StoreError(f"no {split} shape of {category} is prepared in {self.folder}: run chapter 01")
        return found[: self.config.coded] if split == "coded" else found

    def trial_split(self, category: str) -> str:
        """The split that settings are tried on: `validation`, or `coded` where the source has no such shapes."""
        return "validation" if self.shapes(category, "validation") else "coded"

    def categories(self, category: str = "all") -> list[str]:
        """The categories that a parameter asks for, one by its name or "all", as far as the source has shapes of them.

        Raises:
            StoreError: It has none.
            SettingsError: The category does not exist.
        """
        found = [name for name in categories_of(category) if self.listed(name)]
        if not found:
            wanted = "shapes" if category == "all" else category
            raise StoreError(f"the source {self.config.source} of {self.folder} has no {wanted}: name another category")
        return found

    def prepare(
        self, categories: Sequence[str], jobs: int = -1, timeout: float | int | None = None, cluster: str = ""
    ) -> pd.DataFrame:
        """Prepares what is missing, as `prepare` says; returns the report, a row a shape."""
        for category in categories:
            check_category(category)
        for shape in (shape for category in categories for shape, _ in self._asked(category)):
            self._forget_where_torn(shape)
        shapes = [shape for category in categories for shape in self.listed(category)]
        report = prepare(shapes, self.store, self.config.prepare, jobs, timeout, cluster)
        if small := [shape for category in categories for shape in self.listed_small(category)]:
            whole = [shape for category in categories for shape in self.shapes(category, "train")]
            more = prepare(small, self.store, self.config.prepare_small, jobs, timeout, cluster, near=whole)
            report = pd.concat([report, more], ignore_index=True)
        return report

    def adopt(self, other: "Collection", categories: Sequence[str]) -> None:
        """Takes over what another folder has prepared, in the same way, of the shapes that this one lacks."""
        for shape, small in (each for category in categories for each in self._asked(category)):
            record = other.store.read_record(shape)
            useful = record is not None and is_current(record, shape, self._amounts(small))
            if useful and not self.is_prepared(shape, small):
                self.store.adopt(shape, other.store)

    def is_complete(self, category: str) -> bool:
        """Whether every shape that is asked for was prepared or rejected."""
        return all(
            self.is_prepared(shape, small) or self._is_rejected(shape, small) for shape, small in self._asked(category)
        )

    def is_prepared(self, shape: Shape, small: bool = False) -> bool:
        """Whether a shape's files were written as they would be now, as a small one's or whole; none if rejected."""
        record, amounts = self.store.read_record(shape), self._amounts(small)
        if record is None or not is_current(record, shape, amounts) or is_rejected(record):
            return False
        return not amounts.cross_samples or "cross" in record

    def _forget_where_torn(self, shape: Shape) -> None:
        """Withdraws a shape's record where files that it tells of are gone, as after a folder was removed."""
        record = self.store.read_record(shape)
        if record is None or is_rejected(record):
            return
        kinds = [
            "SdfSamples",
            "SurfaceSamples",
            "NormalizationParameters",
            *(["CrossSamples"] if "cross" in record else []),
        ]
        files = [self.store.path(kind, shape, FILES[kind]) for kind in kinds]
        views = self.store.path("Views", shape)
        files += [views / kind for kind in ("easy", "hard", "fixed") if shape.has_mesh]
        if not all(file.exists() for file in files):
            self.store.forget(shape)

    def _is_rejected(self, shape: Shape, small: bool) -> bool:
        record = self.store.read_record(shape)
        return record is not None and is_current(record, shape, self._amounts(small)) and is_rejected(record)

    def _amounts(self, small: bool) -> PrepareConfig:
        return self.config.prepare_small if small else self.config.prepare

    def _asked(self, category: str) -> list[tuple[Shape, bool]]:
        """All shapes that the collection asks for, and whether each is kept small."""
        whole = [(shape, False) for shape in self.listed(category)]
        return whole + [(shape, True) for shape in self.listed_small(category)]


def is_collection(folder: Path | str) -> bool:
    """Whether a folder says that it is one; `open_collection` would make it one."""
    return _description(folder).exists()


def _description(folder: Path | str) -> Path:
    return Path(folder) / "collection.json"


def open_collection(
    folder: Path | str,
    categories: Sequence[str] = (),
    config: CollectionConfig | None = None,
    jobs: int = -1,
    source: str = "",
) -> Collection:
    """The collection of a folder; what is missing of the named categories is prepared.

    Args:
        folder: Where it lies; `collection.json` there says what it holds.
        categories: Those whose shapes must be there.
        config: What it shall hold from now on. Without it a folder keeps what its file says, and a new one gets the
            defaults.
        jobs: Processes; -1 is one a core.
        source: Of the shapes of a new folder; one that is there must have this source.

    Raises:
        StoreError: `collection.json` is broken, or its shapes come from another source.
        BusyError: Another process prepares shapes in the folder.
        SettingsError: A category does not exist.
    """
    file, asked = _description(folder), config is not None
    config = config or _described(file)
    config = config or validated(CollectionConfig, {"source": source} if source else {})
    if source and config.source != source:
        raise StoreError(f"{folder} holds shapes of the source {config.source}, not {source}: choose another folder")
    text = _from_anywhere(config).model_dump_json(indent=1)
    if asked or (categories and not file.exists()):  # who only looks leaves a folder as it is
        with alone_in(Path(folder)):  # who prepares there does so by what the file says
            write_file(file, lambda path: path.write_text(text))
    collection = Collection(Path(folder), config)
    if not all(collection.is_complete(check_category(category)) for category in categories):
        collection.prepare(categories, jobs)
    return collection


def _from_anywhere(config: CollectionConfig) -> CollectionConfig:
    """The same, with paths that hold wherever a command is run, and from whatever machine sees the same disk."""
    paths = {name: value for name in ("folder", "splits", "preprocessed", "views") if (value := getattr(config, name))}
    return config.model_copy(update={name: os.path.abspath(path) for name, path in paths.items()})


def _described(file: Path) -> CollectionConfig | None:
    if not file.exists():
        return None
    try:
        return validated(CollectionConfig, read_json(file, "remove it and prepare anew", StoreError))
    except SettingsError as error:
        raise StoreError(f"{file} does not describe a collection ({error}): remove it and prepare anew") from error


def options_of(folder: Path | str, source: str) -> dict[str, Any]:
    """What a folder's `collection.json` tells this source, such as where your own meshes lie and which way they look.

    Nothing if the folder is new or has shapes of another source. Who describes the collection anew starts from it.

    Raises:
        StoreError: The file is broken.
    """
    config = _described(_description(folder))
    if config is None or config.source != source:
        return {}
    return config.model_dump(include=set(SourceOptions.model_fields))


def open_categories(
    folder: Path | str, category: str, source: str = "", prepared: bool = True
) -> tuple[Collection, list[str]]:
    """The collection of a folder and the categories that a chapter's parameter asks for, as far as it has shapes.

    Args:
        folder: As for `open_collection`.
        category: One by its name, or "all".
        source: As for `open_collection`.
        prepared: Whether what is missing of them is prepared; otherwise nothing is written.

    Raises:
        StoreError: As `open_collection`, or the source has no such shapes.
        SettingsError: The category does not exist.
    """
    categories = open_collection(folder, source=source).categories(category)
    return open_collection(folder, categories if prepared else (), source=source), categories
