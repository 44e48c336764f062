"""What a network makes of shapes that people made, when it was trained on made ones, on real ones, or on both.

Every training takes as many steps as the one on made shapes in the run it is compared with, of the same networks and
settings, and all are judged on the same real shapes, of families (or whole groups of families) never trained on.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch

from tpl.chapters.tables.comparison import by_kind, unbroken
from tpl.dataset.collection import Collection, is_collection, open_collection
from tpl.evaluation.results import read_results
from tpl.evaluation.retrieval import distance_to_nearest_other
from tpl.evaluation.rows import COLUMNS
from tpl.evaluation.summary import format_summary, summarize
from tpl.files import beside
from tpl.inference import OracleConfig
from tpl.settings import Config, validated
from tpl.shapes import ALL, Shape
from tpl.study.bench import Bench
from tpl.study.judging import evaluate_category, results_file
from tpl.study.methods import NEAREST_CODE, NEAREST_PIXELS, ORACLE_CODE, OUR_ENCODER, OUR_PHASE_1
from tpl.study.trainings import embed_category, regress_category
from tpl.training import EmbeddingConfig, RegressionConfig, side_by_side

TrainedOn = Literal["made", "real", "both"]
"""Made shapes are those of the run that the others are compared with."""

Held = Literal["family", "group"]


class Arm(NamedTuple):
    """One training of the study."""

    category: str
    trained_on: TrainedOn
    held_out: Held  # what of the real shapes is never trained on
    source: str = "open"  # of the real shapes

    @property
    def shapes_of(self) -> str:
        """The source of its training shapes; "" is that of the run it is compared with."""
        return {"made": "", "real": self.source, "both": f"procedural+{self.source}"}[self.trained_on]

    def folder(self, parent: Path | str) -> Path:
        """Its folder of shapes, or of trainings, beside that of the run it is compared with."""
        of_group = self.shapes_of and self.held_out == "group"
        return Path(beside(beside(str(parent), self.shapes_of), "by-group" if of_group else ""))

    def bench(self, bench: Bench) -> Bench:
        """Its own bench, beside that of the run it is compared with, and judged like it; arms share the cores."""
        own, runs = open_collection(self.folder(bench.collection.folder)), self.folder(bench.runs)
        return replace(bench, runs=runs, collection=own, categories=(self.category,), seed=0, jobs=1)

    def judged(self, bench: Bench) -> Collection:
        """The collection whose test shapes it is judged on."""
        return open_collection(self._replace(trained_on="real").folder(bench.collection.folder))


def arms(categories: Sequence[str], held_out: Sequence[Held] = ("family", "group"), source: str = "open") -> list[Arm]:
    """All trainings of the study."""
    return [
        Arm(category, on, held, source) for held in held_out for on in get_args(TrainedOn) for category in categories
    ]


def prepare_arm(arm: Arm, bench: Bench, jobs: int = -1) -> Collection:
    """The shapes that an arm is trained on; what the run on made shapes and other arms have prepared is taken over."""
    data = bench.collection.folder
    made = open_collection(data, [arm.category], jobs=jobs)
    if arm.trained_on == "made":
        return made
    real = arm.trained_on == "real"
    counts = {"coded": ALL, "validation": 0, "test": made.config.test if real else 0}  # "real" has the test shapes
    changes = {"source": arm.shapes_of, "split_by": arm.held_out, **counts}
    collection = open_collection(arm.folder(data), config=made.config.model_copy(update=changes))
    for other in (made, *([] if real else [prepare_arm(arm._replace(trained_on="real"), bench, jobs)])):
        collection.adopt(other, [arm.category])
    collection.prepare([arm.category], jobs)
    return collection


def train_arm(arm: Arm, bench: Bench) -> None:
    """Both phases of an arm, with our objective in the second, in as many steps as the run on made shapes took."""
    if arm.trained_on == "made":
        return
    made, own = bench.of(arm.category), arm.bench(bench)

    def settings(phase: str, kind: type[Config], split: str) -> Config:
        config = validated(kind, made.run(phase).config())
        seen, here = (len(place.shapes(split)) for place in (made, own))
        return config.model_copy(update={"epochs": max(1, round(getattr(config, "epochs") * seen / here))})  # noqa: B009

    embed_category(own, settings(OUR_PHASE_1, EmbeddingConfig, "coded"), OUR_PHASE_1)
    regress_category(own, settings("our_encoder", RegressionConfig, "seen"), OUR_ENCODER)


def judge_arm(arm: Arm, bench: Bench, oracle: OracleConfig | None = None) -> Path:
    """An arm on the real test shapes; returns the file of rows."""
    return evaluate_category(arm.bench(bench), oracle=oracle, judged=arm.judged(bench), methods=[OUR_ENCODER])


def rows_of_arm(arm: Arm, bench: Bench) -> Path:
    """Where an arm's rows are."""
    return results_file(arm.bench(bench), judged=arm.judged(bench).folder)


def run_arm(arm: Arm, bench: Bench, oracle: OracleConfig | None = None) -> Path:
    """Trains and judges an arm; what is finished is kept."""
    train_arm(arm, bench)
    return judge_arm(arm, bench, oracle)


def run_study(wanted: Sequence[Arm], bench: Bench, oracle: OracleConfig | None = None, jobs: int = -1) -> None:
    """Prepares, trains and judges: on a CPU as many arms at a time as there are cores.

    Args:
        wanted: The arms.
        bench: Of the run on made shapes that they are compared with.
        oracle: How codes are fitted.
        jobs: Processes that prepare; -1 is one a core.

    Raises:
        RunError: The run on made shapes is missing.
    """
    judged = [arm._replace(trained_on="real") for arm in wanted]
    for arm in dict.fromkeys([*judged, *wanted]):
        prepare_arm(arm, bench, jobs)
    work = partial(run_arm, bench=bench, oracle=oracle)
    side_by_side(work, wanted, torch.device(bench.device), jobs=os.cpu_count() or 1)


def study_rows(wanted: Sequence[Arm], bench: Bench) -> pd.DataFrame:
    """The rows of those arms that have been judged, with the columns `trained_on` and `held_out`."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for arm in wanted:
        file = rows_of_arm(arm, bench)
        if file.exists():
            tables.append(read_results(file).assign(trained_on=arm.trained_on, held_out=arm.held_out))
    if len(tables) == 1:
        return tables[0].assign(trained_on="", held_out="")
    return pd.concat(tables[1:], ignore_index=True)


SHOWN = [OUR_ENCODER, NEAREST_PIXELS, NEAREST_CODE, ORACLE_CODE]


def study_table(rows: pd.DataFrame, seed: int = 0, methods: Sequence[str] = SHOWN) -> pd.DataFrame:
    """Mean Chamfer distance x 1000 and its 95 % interval, as text: a row a method and view, a column a training.

    A line may be broken between the two alone.
    """
    if rows.empty:
        return pd.DataFrame(columns=["held out", "category", "method", "view", *get_args(TrainedOn)])
    tables = []
    for on, of_arms in rows.loc[rows["method"].isin(methods)].groupby("trained_on", sort=False):
        for held, group in of_arms.groupby("held_out", sort=False):
            table = format_summary(summarize(group, seed))
            text = table["mean"] + " (" + table["95 %"].map(unbroken) + ")"
            tables.append(table.assign(**{"held out": held, "trained_on": on, "text": text}))
    keys = ["held out", "category", "shapes", "method", "view"]
    joined = pd.concat(tables, ignore_index=True)
    wide = joined.pivot_table("text", keys, "trained_on", aggfunc="first", sort=False)
    table = wide.fillna("").reset_index()
    return table.loc[:, [*keys, *(on for on in get_args(TrainedOn) if on in table)]]


def study_by_kind(rows: pd.DataFrame, category: str, held_out: Held) -> pd.DataFrame:
    """Mean Chamfer distance x 1000 in the fixed view by group of families: a column for what was trained on."""
    of_study = rows.loc[(rows["category"] == category) & (rows["held_out"] == held_out)]
    named = of_study.assign(method=of_study["method"] + ", " + of_study["trained_on"])
    columns = [f"{OUR_ENCODER}, {on}" for on in get_args(TrainedOn)]
    columns += [f"{method}, both" for method in (NEAREST_PIXELS, ORACLE_CODE)]
    table = by_kind(named, [column for column in columns if column in set(named["method"])])
    return table.drop(columns="category")


def counted(shapes: Sequence[Shape]) -> pd.DataFrame:
    """How many shapes, families and kinds each split of each category has."""
    keys = [(shape.category, shape.split, shape.family, shape.family.split("-")[0]) for shape in shapes]
    table = pd.DataFrame(keys, columns=["category", "split", "family", "kind"])
    grouped = table.groupby(["category", "split"], sort=False)
    return grouped.agg(
        shapes=("family", "size"), families=("family", "nunique"), kinds=("kind", "nunique")
    ).reset_index()


def varieties(categories: Sequence[str], bench: Bench, source: str = "open") -> pd.DataFrame:
    """How far made and real shapes are from their nearest fellow: equally many of each, a row a category and origin.

    The more shapes, the nearer the nearest: means of unequal numbers would say nothing. A category without two
    prepared shapes of both origins has no rows.
    """
    rows, data = [], bench.collection.folder
    for category in categories:
        folders = {"made": data, "real": Arm(category, "real", "family", source).folder(data)}
        if not all(map(is_collection, folders.values())):
            continue
        collections = {origin: open_collection(folder) for origin, folder in folders.items()}
        shapes = {origin: list(filter(c.is_prepared, c.listed(category))) for origin, c in collections.items()}
        fewest = min(map(len, shapes.values()))
        if fewest < 2:
            continue
        for origin, collection in collections.items():
            chosen = np.random.default_rng(bench.seed).permutation(len(shapes[origin]))[:fewest]
            surfaces = [collection.store.read_surface(shapes[origin][place]) for place in chosen]
            nearest = 1000 * distance_to_nearest_other(surfaces, seed=bench.seed)
            rows.append((category, origin, fewest, f"{nearest.mean():.2f}", f"{np.median(nearest):.2f}"))
    return pd.DataFrame(rows, columns=["category", "origin", "shapes", "mean", "median"])


def study_sentences(rows: pd.DataFrame, seed: int = 0) -> list[str]:
    """What the rows say, a sentence a category and kind of split."""
    if rows.empty:
        return ["Nothing is measured yet: `make real` fetches the shapes, trains and judges."]
    sentences = []
    for _, group in rows.groupby(["held_out", "category"], sort=False):
        first, parts = group.iloc[0], []
        means = {
            str(on): summarize(of_arm, seed).set_index(["method", "view"])
            for on, of_arm in group.groupby("trained_on", sort=False)
        }
        for view in ("fix", "rnd"):
            told = [f"{1000 * table.loc[(OUR_ENCODER, view), 'mean']:.2f} ({on})" for on, table in means.items()]
            beaten = [
                on
                for on, table in means.items()
                if table.loc[(OUR_ENCODER, view), "mean"] < table.loc[(NEAREST_PIXELS, view), "mean"]
            ]
            words = "its pixel neighbour is ahead throughout"
            if beaten:
                *others, last = beaten
                named = f"{', '.join(others)} and {last}" if others else last
                words = f"ahead of its pixel neighbour when trained on {named}"
            parts.append(f"{view} {', '.join(told)}; {words}")
        kind = "families" if first["held_out"] == "family" else "whole groups"
        sentences.append(f"**{first['category']}**, {kind} held out: {'. '.join(parts)}.")
    return sentences
