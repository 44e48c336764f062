"""What is there, what is missing, what is broken: of ShapeNet's tree, and of a collection that was prepared from it.

A shape is `good`, `flawed` (and used all the same), `broken` (and left out), `missing`, or `extra` (in no split).
"""

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from tpl.dataset.collection import Collection
from tpl.dataset.prepare import PrepareConfig, prepare
from tpl.dataset.store import Store
from tpl.meshes import load_mesh, missing_files
from tpl.shapes import ALL, CATEGORIES, Shape, SourceOptions, list_shapes
from tpl.shapes.preprocessed import KINDS, find_preprocessed
from tpl.shapes.shapenet import Model, ShapeNetError, find_models
from tpl.shapes.splits import SplitError, read_split

STATES = ("good", "flawed", "broken", "missing")
OFF = 0.02  # of the diagonal: a frame that differs by more from ShapeNet's is reported


class Cost(NamedTuple):
    """What a shape takes to prepare, with one process; measured on some."""

    shapes: int  # so many were measured
    seconds: float
    size: float  # bytes


class Report(NamedTuple):
    """What was found in a folder."""

    title: str
    rows: pd.DataFrame  # a row a shape: category, split, shape_id, status, reason
    notes: list[str]
    remaining: int  # shapes that can be prepared and are not
    cost: Cost | None  # of each of these

    @property
    def usable(self) -> int:
        """Shapes that training can use, now or when they are prepared."""
        states = self.rows["status"].tolist()
        return states.count("good") + states.count("flawed") + (self.remaining if self.cost else 0)

    def table(self) -> pd.DataFrame:
        """How many shapes of each category and split are in which state."""
        columns = [self.rows[name] for name in ("category", "split", "status")]
        rows = [row for row in zip(*columns, strict=True) if row[2] != "extra"]
        counted = Counter(rows)
        table = []
        for place in dict.fromkeys(row[:2] for row in rows):
            counts = [counted[(*place, state)] for state in STATES]
            table.append([*place, sum(counts), *counts])
        return pd.DataFrame(table, columns=["category", "split", "shapes", *STATES])

    def text(self, most: int = 5) -> str:
        """All of it to read; of each state at most so many shapes by name."""
        lines = [self.title, "", self.table().to_string(index=False) if len(self.rows) else "nothing", ""]
        for status, what in _MEANING.items():
            found = self.rows[self.rows["status"] == status]
            if len(found):
                lines.append(f"{len(found)} {what}")
                first = zip(*(found[column][:most] for column in ("category", "shape_id", "reason")), strict=True)
                lines += [
                    f"    {category} {shape_id}{reason and ': ' + reason}" for category, shape_id, reason in first
                ]
                lines += ["    ..."] if len(found) > most else []
        return "\n".join([*lines, *self.notes, self.forecast()])

    def forecast(self) -> str:
        """Time and disk of the rest of the preparation, in a sentence."""
        if not self.remaining:
            return "Nothing is left to prepare."
        left, cost = f"Shapes left to prepare: {self.remaining:,}", self.cost
        if cost is None:
            return f"{left}."
        return (
            f"{left}, in about {_duration(self.remaining * cost.seconds)} of one process, and "
            f"{self.remaining * cost.size / 1e9:.2g} GB. Extrapolated from {cost.shapes} that were prepared here just "
            f"now, {cost.seconds:.2g} s and {cost.size / 1e6:.2g} MB each; there are {os.cpu_count()} processors."
        )


_MEANING = {
    "flawed": "flawed, used as they are:",
    "broken": "broken, left out:",
    "missing": "missing:",
    "extra": "in no split, not used:",
}


def check_shapenet(
    options: SourceOptions, categories: Sequence[str], config: PrepareConfig, measured: int = 3, jobs: int = -1
) -> Report:
    """Reads every model of the splits in a tree of ShapeNet, and prepares a few to see what all will take.

    Args:
        options: `folder` and where its split files and prepared files of others lie.
        categories: Those to look at.
        config: What will be prepared of a shape.
        measured: So many shapes are prepared, in a temporary folder.
        jobs: Processes that read; -1 is one a core.

    Raises:
        ShapeNetError: There is no such folder.
    """
    folder = Path(options.folder)
    if not folder.is_dir():
        raise ShapeNetError(f"there is no folder {folder}: name the one that holds {', '.join(CATEGORIES.values())}")
    rows, notes, tasks, listed = [], [], [], []
    for category in categories:
        try:
            models = find_models(folder, CATEGORIES[category])
        except ShapeNetError as error:
            models = {}
            notes.append(f"{error}.")
        try:
            split = read_split(category, folder, options.splits)
        except SplitError as error:
            split = {"": list(models)}
            notes.append(f"{error}.")
        only_files = find_preprocessed(options.preprocessed, CATEGORIES[category])
        only_files = {i for i, files in only_files.items() if i not in models and files.keys() == KINDS.keys()}
        for name, ids in split.items():
            tasks += [(category, name, shape_id, models[shape_id]) for shape_id in ids if shape_id in models]
            absent = [shape_id for shape_id in ids if shape_id not in models]
            rows += [
                _row(category, name, i, "flawed", "it has no mesh, only files that others prepared")
                if i in only_files
                else _row(category, name, i, "missing")
                for i in absent
            ]
        wanted = {shape_id for ids in split.values() for shape_id in ids}
        rows += [_row(category, "", shape_id, "extra") for shape_id in models if shape_id not in wanted]
        if "" not in split and wanted & {*models, *only_files}:
            listed += list_shapes("shapenet", category, train=ALL, test=ALL, options=options)
    rows += _in_parallel(_check_model, tasks, jobs)
    found = _frame(rows, categories)
    usable = found[found["status"].isin(["good", "flawed"])]
    usable = set(zip(usable["category"], usable["shape_id"], strict=True))
    todo = [shape for shape in listed if (shape.category, shape.id) in usable]
    return Report(f"ShapeNetCore.v2 in {folder}", found, notes, len(todo), measure_cost(todo, config, measured))


def check_collection(collection: Collection, categories: Sequence[str], measured: int = 3, jobs: int = -1) -> Report:
    """Reads every file of a collection's prepared shapes, and prepares a few of the missing ones elsewhere.

    Args:
        collection: Of any source.
        categories: Those to look at.
        measured: So many of the missing shapes are prepared, in a temporary folder, to see what all will take.
        jobs: Processes that read.
    """
    rows, tasks, todo = [], [], []
    for category in categories:
        shapes = collection.listed(category)
        for shape in shapes:
            if collection.is_prepared(shape):
                tasks.append((shape, collection.store))
            else:
                todo.append(shape)
                rows.append(_row(category, shape.split, shape.id, "missing", "not prepared"))
        known = {(shape.source, shape.id) for shape in shapes}
        records = collection.folder.glob(f"Prepared/*/{CATEGORIES[category]}/*.json")
        there = {(file.parents[1].name, file.stem) for file in records}
        rows += [_row(category, "", shape_id, "extra") for _, shape_id in sorted(there - known)]
    rows += _in_parallel(_check_files, tasks, jobs)
    cost = measure_cost(todo, collection.config.prepare, measured)
    free = shutil.disk_usage(collection.folder).free / 1e9
    title = f"the collection {collection.folder}, source {collection.config.source}"
    notes = [f"Its disk has {free:.3g} GB left."]
    return Report(title, _frame(rows, categories), notes, len(todo), cost)


def measure_cost(shapes: Sequence[Shape], config: PrepareConfig, count: int) -> Cost | None:
    """What preparing takes, from some of these shapes, evenly picked and prepared in a folder that is removed again.

    Links to files of others take no space and are not counted. None where no shape could be prepared.
    """
    picked = [shapes[place] for place in np.linspace(0, len(shapes) - 1, min(count, len(shapes))).astype(int)]
    if not picked:
        return None
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        report = prepare(picked, Store(folder), config, jobs=1)
        seconds = time.perf_counter() - start
        done = report["status"].tolist().count("made")
        size = sum(path.lstat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
    return Cost(done, seconds / done, size / done) if done else None


def _check_model(category: str, split: str, shape_id: str, model: Model) -> dict:
    try:
        mesh = load_mesh(model.path)
        absent = missing_files(model.path)
    except Exception as error:  # whatever is wrong with one model is its row's reason
        return _row(category, split, shape_id, "broken", str(error).removeprefix(f"{model.path}: "))
    flaws = [f"{name} is missing or broken" for name in absent]
    diagonal, center = np.linalg.norm(mesh.extents), np.linalg.norm(mesh.bounds.mean(axis=0))
    if abs(diagonal - 1) > OFF:
        flaws.append(f"its bounding box has a diagonal of {diagonal:.3g}, not 1")
    if center > OFF:
        flaws.append(f"its centre is {center:.3g} off the origin")
    return _row(category, split, shape_id, "flawed" if flaws else "good", "; ".join(flaws))


def _check_files(shape: Shape, store: Store) -> dict:
    try:
        store.read_sdf(shape)
        store.read_surface(shape)
        store.read_normalization(shape)
        for kind in ("easy", "hard", "fixed"):
            if shape.has_mesh or (store.path("Views", shape) / kind).exists():  # without a mesh none can be made
                store.read_views(shape, kind)
    except Exception as error:  # as above
        return _row(shape.category, shape.split, shape.id, "broken", str(error))
    return _row(shape.category, shape.split, shape.id, "good")


def _duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds:.2g} seconds"


def _row(category: str, split: str, shape_id: str, status: str, reason: str = "") -> dict:
    return {"category": category, "split": split, "shape_id": shape_id, "status": status, "reason": reason}


def _frame(rows: list[dict], categories: Sequence[str]) -> pd.DataFrame:
    """The rows by category, and in each by split, training first."""
    frame = pd.DataFrame(rows, columns=["category", "split", "shape_id", "status", "reason"])
    order = {name: place for place, name in enumerate([*categories, "train", "validation", "test", ""])}
    return frame.sort_values(["category", "split"], key=lambda column: column.map(order), kind="stable")


def _in_parallel(function, tasks: list[tuple], jobs: int) -> list:
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    results: Iterable = parallel(joblib.delayed(function)(*task) for task in tasks)
    return list(tqdm(results, total=len(tasks), desc="reading", mininterval=1.0))
