"""What a network makes of shapes that people made, when it was trained on made ones, on real ones, or on both.

Every training takes as many steps as the one on made shapes in the run it is compared with, of the same networks and
settings, and all are judged on the same real shapes, of families (or whole groups of families) never trained on.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

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
from tpl.study.judging import evaluate_category, results_file
from tpl.study.methods import ENCODER_SDF
from tpl.study.trainings import embed_category, regress_category
from tpl.training import EmbeddingConfig, RegressionConfig, RunFolder
from tpl.training.side_by_side import side_by_side, training_device

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

    def folder(self, parent: str) -> str:
        """Its folder of shapes, or of trainings, beside that of the run it is compared with."""
        return beside(beside(parent, self.shapes_of), "by-group" if self.shapes_of and self.held_out == "group" else "")


def arms(categories: Sequence[str], held_out: Sequence[Held] = ("family", "group"), source: str = "open") -> list[Arm]:
    """All trainings of the study."""
    return [
        Arm(category, on, held, source) for held in held_out for on in get_args(TrainedOn) for category in categories
    ]


def prepare_arm(arm: Arm, data: str, jobs: int = -1) -> Collection:
    """The shapes that an arm is trained on; what `data` and other arms have prepared is taken over."""
    made = open_collection(data, [arm.category], jobs=jobs)
    if arm.trained_on == "made":
        return made
    real = arm.trained_on == "real"
    counts = {"coded": ALL, "validation": 0, "test": made.config.test if real else 0}  # "real" has the test shapes
    changes = {"source": arm.shapes_of, "split_by": arm.held_out, **counts}
    collection = open_collection(arm.folder(data), config=made.config.model_copy(update=changes))
    for other in (made, *([] if real else [prepare_arm(arm._replace(trained_on="real"), data, jobs)])):
        collection.adopt(other, [arm.category])
    collection.prepare([arm.category], jobs)
    return collection


def train_arm(arm: Arm, data: str, runs: str, device: str = "cpu") -> Path:
    """Both phases of an arm, with our objective in the second, in as many steps as the run on made shapes took."""
    made, collection = open_collection(data), open_collection(arm.folder(data))
    target = Path(arm.folder(runs))
    if arm.trained_on == "made":
        return target

    def settings(phase: str, kind: type[Config], split: str) -> Config:
        config = validated(kind, RunFolder(Path(runs) / arm.category / phase).config())
        seen, here = (len(place.shapes(arm.category, split)) for place in (made, collection))
        return config.model_copy(update={"epochs": max(1, round(getattr(config, "epochs") * seen / here))})  # noqa: B009

    embed_category(arm.category, collection, settings("embedding", EmbeddingConfig, "coded"), target, device)
    second = settings("encoder_sdf", RegressionConfig, "seen")
    regress_category(arm.category, collection, second, target, device, ENCODER_SDF)
    return target


def judge_arm(
    arm: Arm, data: str, runs: str, device: str = "cpu", resolution: int = 64, oracle: OracleConfig | None = None
) -> Path:
    """An arm on the real test shapes; returns the file of rows."""
    judged = open_collection(arm._replace(trained_on="real").folder(data))
    return evaluate_category(
        arm.category,
        open_collection(arm.folder(data)),
        arm.folder(runs),
        device=device,
        resolution=resolution,
        oracle=oracle,
        judged=judged,
        methods=[ENCODER_SDF],
    )


def rows_of_arm(arm: Arm, data: str, runs: str) -> Path:
    """Where an arm's rows are."""
    return results_file(arm.folder(runs), arm.category, judged=arm._replace(trained_on="real").folder(data))


def run_arm(arm: Arm, data: str, runs: str, device: str, resolution: int, oracle: OracleConfig) -> Path:
    """Trains and judges an arm; what is finished is kept."""
    train_arm(arm, data, runs, device)
    return judge_arm(arm, data, runs, device, resolution, oracle)


def run_study(
    wanted: Sequence[Arm], data: str, runs: str, device: str, resolution: int, oracle: OracleConfig, jobs: int = -1
) -> None:
    """Prepares, trains and judges: on a CPU as many arms at a time as there are cores.

    Raises:
        RunError: The run on made shapes that the others are compared with is missing.
    """
    judged = [arm._replace(trained_on="real") for arm in wanted]
    for arm in dict.fromkeys([*judged, *wanted]):
        prepare_arm(arm, data, jobs)
    where = training_device(device)
    work = partial(run_arm, data=data, runs=runs, device=str(where), resolution=resolution, oracle=oracle)
    side_by_side(work, wanted, where, jobs=os.cpu_count() or 1)


def study_rows(wanted: Sequence[Arm], data: str, runs: str) -> pd.DataFrame:
    """The rows of those arms that have been judged, with the columns `trained_on` and `held_out`."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for arm in wanted:
        file = rows_of_arm(arm, data, runs)
        if file.exists():
            tables.append(read_results(file).assign(trained_on=arm.trained_on, held_out=arm.held_out))
    if len(tables) == 1:
        return tables[0].assign(trained_on="", held_out="")
    return pd.concat(tables[1:], ignore_index=True)


SHOWN = [ENCODER_SDF, "nearest by pixels", "nearest by code", "oracle code"]


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
    columns = [f"{ENCODER_SDF}, {on}" for on in get_args(TrainedOn)] + ["nearest by pixels, both", "oracle code, both"]
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


def varieties(categories: Sequence[str], data: str, source: str = "open", seed: int = 0) -> pd.DataFrame:
    """How far made and real shapes are from their nearest fellow: equally many of each, a row a category and origin.

    The more shapes, the nearer the nearest: means of unequal numbers would say nothing. A category without two
    prepared shapes of both origins has no rows.
    """
    rows = []
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
            chosen = np.random.default_rng(seed).permutation(len(shapes[origin]))[:fewest]
            surfaces = [collection.store.read_surface(shapes[origin][place]) for place in chosen]
            nearest = 1000 * distance_to_nearest_other(surfaces, seed=seed)
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
            told = [f"{1000 * table.loc[(ENCODER_SDF, view), 'mean']:.2f} ({on})" for on, table in means.items()]
            beaten = [
                on
                for on, table in means.items()
                if table.loc[(ENCODER_SDF, view), "mean"] < table.loc[("nearest by pixels", view), "mean"]
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
