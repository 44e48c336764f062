"""Chapter 04: what each ingredient of our encoder is worth, by trainings that lack one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import pandas as pd
import torch

from tpl.chapters.tables.comparison import compare_pairs
from tpl.evaluation.results import read_results, write_results
from tpl.evaluation.rows import COLUMNS, POINTS
from tpl.evaluation.summary import summarize
from tpl.files import digest
from tpl.settings import SettingsError, validated
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, ENCODERS, OUR_ENCODER, TwoPhase
from tpl.study.trained import score_views
from tpl.study.trainings import regress_category, seen_split
from tpl.training import RegressionConfig, side_by_side

WHOLE = "the whole"
"""The name of the trainings that lack nothing."""


@dataclass(frozen=True)
class Ingredient:
    """Something that ours has and the paper's encoder has not, and what takes it away."""

    name: str
    instead: str  # what is in its place then, in words
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the configuration; "encoder.crop" is a field's field
    split: str = ""  # the shapes that are seen then, if others than the configuration says
    method: str = OUR_ENCODER  # the one on whose decoder it stands then


INGREDIENTS = (
    Ingredient("our decoder", "the paper's", method=ENCODER),
    Ingredient("more shapes", "those kept whole", split="train"),
    Ingredient("SDF loss", "codes alone, of shapes that have one", {"sdf_weight": 0.0}),
    Ingredient("crop and its box", "the whole picture", {"encoder.crop": False}),
    Ingredient(
        "grey and mask",
        "colours, varied as the paper's encoder sees them",
        {"encoder.channels": "rgb", "jitter": 0.4, "hue": 0.4, "brightness": 0.0},
    ),
    Ingredient("2 x 2 pool", "a mean over the picture", {"encoder.pool": 1}),
    Ingredient("moved views", "views as they are", {"rotation": 0.0, "zoom": 0.0, "shift": 0.0}),
    Ingredient("brightness", "light as it is", {"brightness": 0.0}),
    Ingredient("Muon", "Adam for all", {"muon_rate": 0.0}),
    Ingredient("camera head", "codes alone", {"camera_weight": 0.0, "encoder.camera": False}),
)
"""In the order of the table; the first is of phase 1."""


class Arm(NamedTuple):
    """One training of the study."""

    name: str  # of what it lacks, or `WHOLE`
    config: RegressionConfig
    seed: int = 0  # a number: how far its seed is above the run's
    split: str = ""
    method: str = OUR_ENCODER

    @property
    def folder(self) -> str:
        """Its run folder within the category's; the first of the whole is the run's own."""
        if self.name == WHOLE and not self.seed:
            return ENCODERS[OUR_ENCODER].folder
        name = f"whole_{self.seed}" if self.name == WHOLE else self.name.lower().replace(" ", "_")
        return f"ingredients/{name}"


def arms(bench: Bench, config: RegressionConfig, seeds: int = 3, only: str = "") -> list[Arm]:
    """The whole with each seed, then without each ingredient, all in as many steps as the run's own encoder took.

    What the configuration does without already has no arm.

    Args:
        bench: Of the category; its encoder is trained.
        config: Of that encoder.
        seeds: Trainings of the whole.
        only: The names of some ingredients, joined by commas; all if empty.

    Raises:
        SettingsError: There is no such ingredient.
        RunError: The encoder is not trained.
    """
    run = bench.run(ENCODERS[OUR_ENCODER].folder)
    run.digest()  # says what is missing
    steps = int(pd.read_csv(run.path / "history.csv").step.iloc[-1])
    equal = config.model_copy(update={"total_steps": steps, "budget_minutes": 0.0})
    whole = [Arm(WHOLE, config)]
    whole += [Arm(WHOLE, equal.model_copy(update={"seed": config.seed + extra}), extra) for extra in range(1, seeds)]
    lacking = [Arm(each.name, changed(equal, each.changes), 0, each.split, each.method) for each in INGREDIENTS]
    if len(bench.shapes("train")) == len(bench.shapes("seen")):  # none is kept small
        lacking = [arm._replace(split="") for arm in lacking]
    names = _chosen(only)
    differ = [arm for arm in lacking if (arm.config, arm.split, arm.method) != (equal, "", OUR_ENCODER)]
    return whole + [arm for arm in differ if arm.name in names]


def _chosen(only: str) -> list[str]:
    known = [ingredient.name for ingredient in INGREDIENTS]
    names = [name.strip() for name in only.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise SettingsError(f"no ingredient is called {name!r}; there are {', '.join(known)}")
    return names or known


def changed(config: RegressionConfig, changes: Mapping[str, Any]) -> RegressionConfig:
    """A configuration with some fields changed, or fields of fields; raises as `validated`."""
    values = config.model_dump()
    for name, value in changes.items():
        *outer, last = name.split(".")
        (values[outer[0]] if outer else values)[last] = value
    return validated(RegressionConfig, values)


def measure(bench: Bench, wanted: Sequence[Arm], count: int, jobs: int = -1) -> pd.DataFrame:
    """Trains and scores those arms that are not kept, side by side on a CPU; returns `kept` of all.

    What is interrupted goes on from its last state.

    Args:
        bench: Of the category.
        wanted: The arms.
        count: As for `kept`.
        jobs: Processes; -1 is one a core.
    """
    files = kept_files(bench, wanted, count)
    missing = [(arm, file) for arm, file in files.items() if not file.exists()]
    if missing:
        work = partial(_measure_one, bench, count)
        side_by_side(work, missing, torch.device(bench.device), jobs=min(joblib.effective_n_jobs(jobs), len(missing)))
    return kept(bench, wanted, count)


def _measure_one(bench: Bench, count: int, item: tuple[Arm, Path]) -> None:
    arm, file = item
    regress_category(bench, arm.config, arm.method, arm.split, arm.folder)
    method = TwoPhase(arm.name, folder=arm.folder, phase_1=ENCODERS[arm.method].decoder)
    rows = score_views(bench, count=count, methods=[method])
    write_results(file, rows, f"{POINTS} points, raw units, grid {bench.resolution}", bench.seed, str(bench.runs))


def kept_files(bench: Bench, wanted: Sequence[Arm], count: int) -> dict[Arm, Path]:
    """Where each arm's rows lie on the shelf: by its configuration, its shapes, its phase 1 and how it is scored."""
    store = bench.store

    @cache
    def seen(split: str, cross: bool) -> str:
        return store.fingerprint(bench.shapes(split), cross)

    scored = (
        code_digest("tpl.study.trained", without=MAKERS),
        store.fingerprint(bench.shapes(bench.trial_split)[:count]),
        (bench.resolution, bench.seed),
    )
    files = {}
    for arm in wanted:
        of_shapes = seen(arm.split or seen_split(arm.config), arm.config.sdf_weight > 0)
        phase_1 = bench.run(ENCODERS[arm.method].decoder).digest()
        key = digest(*scored, arm.name, arm.config.model_dump(), of_shapes, phase_1)
        files[arm] = bench.shelf / "ingredients" / f"{key}.csv"
    return files


def kept(bench: Bench, wanted: Sequence[Arm], count: int) -> pd.DataFrame:
    """The rows of those arms that are measured, `method` the arm's name; a seed's views are draws: fix0, rnd0, fix1.

    Args:
        bench: Of the category.
        wanted: The arms.
        count: Shapes that are judged, of the split that settings are tried on.
    """
    tables = []
    for arm, file in kept_files(bench, wanted, count).items():
        if file.exists():
            rows = read_results(file)
            tables.append(rows.assign(view=rows["view"].str.rstrip("0123456789") + str(arm.seed)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=pd.Index(COLUMNS))


def both_views(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `kept` with fixed and random views as draws of one kind: a shape's figure is the mean of them all."""
    number = rows["view"].str.extract(r"(\d+)$")[0].astype(int)
    return rows.assign(view=["both" + str(place) for place in 2 * number + rows["view"].str.startswith("rnd")])


def ingredients_table(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What each ingredient is worth, as text, Chamfer distance x 1000; no lines where the whole is not measured.

    The difference is the mean over shapes of what it is without the ingredient, over both views, minus that of the
    whole, over both views and all seeds; its interval is by bootstrap over shapes. The verdict is the better one where
    the interval lies on one side of 0, else "open".

    Args:
        rows: Of `kept`.
        seed: Of the bootstrap.
    """
    columns = ["without", "instead", "fix", "rnd", "difference", "95 %", "verdict"]
    if WHOLE not in set(rows["method"]):
        return pd.DataFrame(columns=pd.Index(columns))
    summary = summarize(rows, seed)
    means = dict(zip(zip(summary["method"], summary["view"], strict=True), 1000 * summary["mean"], strict=True))
    names = [each for each in INGREDIENTS if each.name in set(rows["method"])]
    pairs = compare_pairs(both_views(rows), [(each.name, WHOLE) for each in names], seed).set_index("first")
    lines = [("nothing", "", *_fix_and_rnd(means, WHOLE), "", "", "")]
    for each in names:
        pair = pairs.loc[each.name]
        verdict = {"open": "open", WHOLE: "with", each.name: "without"}[pair["verdict"]]
        numbers = (pair["first - second"], pair["95 %"])
        lines.append((each.name, each.instead, *_fix_and_rnd(means, each.name), *numbers, verdict))
    return pd.DataFrame(lines, columns=pd.Index(columns))


def _fix_and_rnd(means: Mapping[tuple[str, str], float], name: str) -> tuple[str, str]:
    return f"{means[name, 'fix']:.2f}", f"{means[name, 'rnd']:.2f}"


def seeds_sentence(rows: pd.DataFrame) -> str:
    """How far the seeds of the whole differ, by their means over both views, Chamfer distance x 1000."""
    of_whole = rows.loc[rows["method"] == WHOLE]
    if of_whole.empty:
        return "Nothing is measured yet."
    by_seed = [
        1000 * summarize(both_views(group))["mean"].iloc[0]
        for _, group in of_whole.groupby(of_whole["view"].str.extract(r"(\d+)$")[0])
    ]
    told = ", ".join(f"{mean:.2f}" for mean in by_seed)
    if len(by_seed) == 1:
        return f"The whole was trained with one seed ({told}): how much of a difference is the seed's is not known."
    spread = max(by_seed) - min(by_seed)
    return (
        f"{len(by_seed)} seeds of the whole come to {told}, {spread:.2f} apart: what is smaller than that may be the "
        "seed's doing, whatever the interval says, which is of shapes alone."
    )
