"""A bench: where the shapes and trainings of a study lie, and how its networks work."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from tpl.dataset.collection import Collection, open_categories
from tpl.dataset.store import Store
from tpl.files import beside
from tpl.settings import SettingsError
from tpl.shapes import Shape
from tpl.training import RunFolder, cores_each, side_by_side, training_device

Result = TypeVar("Result")


@dataclass(frozen=True)
class Bench:
    """Where the shapes and trainings of a study lie, and how its networks work: what its functions are called with.

    A chapter opens one for all categories that it shows; what is done with one category takes `bench.of(category)`.
    """

    runs: Path  # folder of the trainings and of what is made of them
    collection: Collection
    categories: tuple[str, ...]
    device: str = "cpu"
    resolution: int = 64  # grid cells along each side of a mesh that is measured
    seed: int = 0
    jobs: int = 1  # processes that the work on one category may take on a CPU
    shown_resolution: int = 128  # grid cells along each side of a mesh that is looked at
    kept_in: Path | None = None  # the shelf, where it is not in the folder of the runs

    @classmethod
    def open(
        cls,
        data: Path | str,
        runs: Path | str,
        category: str = "all",
        source: str = "",
        device: str = "auto",
        resolution: int = 64,
        seed: int = 0,
        prepared: bool = True,
        shown_resolution: int = 128,
    ) -> "Bench":
        """The bench that a chapter's parameters ask for.

        Args:
            data: Folder of the shapes; those of another source lie beside it.
            runs: Folder of the trainings; those on another source's shapes lie beside it.
            category: One by its name, or "all" that the source has.
            source: Another source of shapes than that of `data`.
            device: auto, cpu or cuda.
            resolution: Grid cells along each side of a mesh that is measured.
            seed: Of all randomness.
            prepared: Whether shapes that are missing are prepared; otherwise nothing is written.
            shown_resolution: Grid cells along each side of a mesh that is looked at.

        Raises:
            StoreError: The folder's shapes are of another source, or the source has none of the category.
            SettingsError: The category does not exist.
            ValueError: The device is unknown, or is not on this machine.
        """
        where = training_device(device)
        collection, categories = open_categories(beside(str(data), source), category, source, prepared)
        jobs = cores_each(categories, where)
        place = Path(beside(str(runs), source))
        return cls(place, collection, tuple(categories), str(where), resolution, seed, jobs, shown_resolution)

    def of(self, category: str) -> "Bench":
        """The same bench for one category."""
        return replace(self, categories=(category,))

    def each(self, work: Callable[..., Result], *, processes: int = 1, **options: Any) -> dict[str, Result]:
        """What some work comes to on the bench of each category, as `side_by_side` does it.

        Args:
            work: Takes the bench of one category; it and what it returns can be pickled.
            processes: How many share each category's training.
            options: Further arguments of the work.
        """

        def on_one(category: str) -> Result:
            return work(self.of(category), **options)

        return side_by_side(on_one, self.categories, torch.device(self.device), processes=processes)

    @property
    def category(self) -> str:
        """The one category of a bench that has one.

        Raises:
            SettingsError: It has several.
        """
        if len(self.categories) != 1:
            raise SettingsError(f"this is done with one category, not with {', '.join(self.categories)}: name one")
        return self.categories[0]

    @property
    def folder(self) -> Path:
        """Where the category's trainings lie, a folder each."""
        return self.runs / self.category

    @property
    def shelf(self) -> Path:
        """Where what was computed once is kept: meshes, scores, pictures."""
        return self.kept_in or self.runs / "shelf"

    @property
    def store(self) -> Store:
        """Where the shapes are prepared."""
        return self.collection.store

    def run(self, name: str) -> RunFolder:
        """One of the category's trainings by the name of its folder."""
        return RunFolder(self.folder / name)

    def shapes(self, split: str) -> list[Shape]:
        """The prepared shapes of one of the category's splits; raises as `Collection.shapes`."""
        return self.collection.shapes(self.category, split)

    def held_out(self) -> list[Shape]:
        """The shapes that no training sees: those of the validation and of the test split."""
        return [*self.shapes("validation"), *self.shapes("test")]

    @property
    def trial_split(self) -> str:
        """The split that settings are tried on."""
        return self.collection.trial_split(self.category)
