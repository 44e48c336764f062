"""Where the paper says one thing and its code does another: each a switch, tried in both settings (appendix A)."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from scipy import stats

from tpl.chapters.paper_and_code.trials import (
    POINTS_PER_SHAPE,
    PhaseName,
    Setup,
    Trial,
    kept_trial,
    make_starts,
    run_trial,
    trial_config,
    trial_key,
)
from tpl.files import digest, write_file
from tpl.models.encoder import WeightsUnavailable, imagenet_trunk
from tpl.settings import SettingsError
from tpl.training import side_by_side
from tpl.training.presets import PAIRS_PER_POINT, pairs_per_point

LEVEL = 0.95
"""Of the intervals: one of twenty that hold nothing excludes zero all the same."""

SETTINGS = ("first", "second")


@dataclass(frozen=True)
class Disagreement:
    """A place where text and code differ, and the two settings of the switch that it is here."""

    name: str
    where: str  # in the paper
    paper: str
    code: str
    ours: str
    phase: PhaseName | Literal["none"] = "none"
    first: Mapping[str, Any] = field(default_factory=dict)  # the paper's setting, as changes of the small configuration
    second: Mapping[str, Any] = field(default_factory=dict)  # the code's
    both: Mapping[str, Any] = field(default_factory=dict)  # what either needs
    default: Literal["first", "second"] | None = None  # ours
    no_switch: str = ""  # why it is none, where it is none

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """What `first` and `second` change of the small configuration; empty where there is no switch."""
        return {} if self.no_switch else {name: {**self.both, **getattr(self, name)} for name in SETTINGS}


@dataclass(frozen=True)
class Variants:
    """Settings of one phase that are tried beside each other, without paper and code disagreeing."""

    name: str
    phase: PhaseName
    settings: Mapping[str, Mapping[str, Any]]  # as changes of the small configuration


DISAGREEMENTS = (
    Disagreement(
        "eq9_labels",
        "Eq. 9",
        "0.005 on the point-pair term, 0.00002 on the point-wise term; sums",
        "the two labels the other way round",
        "0.005 point-wise, 0.0547 point-pair, on means",
        "embedding",
        {"pointwise_weight": 0.00002, "pointpair_weight": 0.005 * PAIRS_PER_POINT},
        {"pointwise_weight": 0.005, "pointpair_weight": 0.0001 * PAIRS_PER_POINT},
        default="second",
    ),
    Disagreement(
        "eq9_stiffness",
        "Eq. 9",
        "0.00002, which the authors' code has on the point-pair term: 0.0109 on the mean over pairs",
        "0.0001 in the release of Deep Implicit Templates: 0.0547",
        "0.0547",
        "embedding",
        {"pointpair_weight": 0.00002 * PAIRS_PER_POINT},
        {"pointpair_weight": 0.0001 * PAIRS_PER_POINT},
        default="second",
    ),
    Disagreement(
        "eq8_sum",
        "Eq. 5 to 8",
        "sums over points and pairs, so that the weight of the pairs grows with the points in a step",
        "sums divided by the number of points; the mean of four outputs",
        "means, weights converted once at 5000 points a shape",
        "embedding",
        # As the sum over pairs divided by the points of this book's small steps.
        {"pointpair_weight": 0.0001 * pairs_per_point(POINTS_PER_SHAPE)},
        {"pointpair_weight": 0.0001 * PAIRS_PER_POINT},
        default="second",
    ),
    Disagreement(
        "eq5_images",
        "Eq. 5",
        "N is the number of images",
        "N is the number of SDF samples",
        "points in Eq. 5 and 7, views in Eq. 10",
        no_switch="wording: phase 1 sees no image",
    ),
    Disagreement(
        "eq7_outputs",
        "Eq. 7",
        "the warp after its last step",
        "the warp after each of four steps",
        "four steps",
        "embedding",
        {"pointwise_outputs": "last"},
        {"pointwise_outputs": "all"},
        default="second",
    ),
    Disagreement(
        "code_prior",
        "Eq. 9",
        "no term for the codes",
        "0.0001 times the codes' norm",
        "the term",
        "embedding",
        {"code_weight": 0.0},
        {"code_weight": 1e-4},
        default="second",
    ),
    Disagreement(
        "eq10_target",
        "Eq. 10",
        "the target is c_{k,i}, a code of each view",
        "the target is c_k, the code of the shape",
        "c_k",
        no_switch="phase 1 learns one code a shape: a view has none of its own",
    ),
    Disagreement(
        "hard_views",
        "section 4.1",
        "hard: larger change between sequential images",
        "the same steps of 7.2 degrees; wider elevation and distance, and a shift",
        "the code's ranges, written down in the chapter on shapes",
        no_switch="wording: the published images are the code's",
    ),
    Disagreement(
        "pairs",
        "Fig. 4",
        "two augmentations of one image",
        "two renders of one object",
        "two renders",
        "contrastive",
        {"pairs": "augmentations"},
        {"pairs": "views"},
        default="second",
    ),
    Disagreement(
        "eq13_self",
        "Eq. 13",
        "the sum runs over all k, the view itself included",
        "k = i is left out",
        "k = i is left out",
        "contrastive",
        {"include_self": True},
        {"include_self": False},
        default="second",
    ),
    Disagreement(
        "contrastive_start",
        "section 5.2",
        "contrastive weights against ImageNet's",
        "contrastive training starts from ImageNet's weights",
        "four starts, compared in the chapter on end-to-end training",
        "contrastive",
        {"start": "random"},
        {"start": "imagenet"},
        both={"encoder.width": 64},  # ImageNet's weights are of no other
    ),
    Disagreement(
        "trunk",
        "section 5.1",
        "all parts are jointly optimised",
        "the ResNet's trunk is frozen, only the head of the encoder learns",
        "the trunk learns",
        "end_to_end",
        {"trunk": "trained"},
        {"trunk": "frozen"},
        default="first",
    ),
    Disagreement(
        "encoder_head",
        "section 3.2",
        "one encoder",
        "its head has one layer or two, by script",
        "one layer, configurable",
        "regression",
        {"encoder.head_layers": 1},
        {"encoder.head_layers": 2},
        default="first",
    ),
    Disagreement(
        "table2",
        "Table 2",
        "the end-to-end column beside the two-phase one",
        "category, contrastive start, head and views all differ between the two columns",
        "one change at a time",
        no_switch="a table's make-up: each of the four is a switch of its own",
    ),
)
"""Every row of the comparison of text and code; `eq9_stiffness` is where two codes differ."""


def told(latent_dim: int) -> Variants:
    """What the template is told of a shape besides the place where the warp has put a point.

    Args:
        latent_dim: Numbers in a code: as many coordinates from the code are the code in the template's first layer.
    """
    state = {"model.ambient_dim": 8, "ambient_weight": 0.0}
    code = {**state, "model.ambient_source": "code"}
    settings = {
        "nothing": {},
        "8 numbers of the warp's state, at a price": {**state, "ambient_weight": 0.01},
        "8 numbers of the warp's state": state,
        "8 numbers of the code": code,
        "the code": {**code, "model.ambient_dim": latent_dim},
    }
    return Variants("told", "embedding", settings)


class Measure(NamedTuple):
    """What a column of measured rows says."""

    label: str
    scale: float  # by which it is multiplied where it is shown
    better: Literal["lower", "higher"]


MEASURES: dict[str, Measure] = {
    "chamfer": Measure("Chamfer x 1000", 1000, "lower"),
    "sdf_error": Measure("SDF error x 1000", 1000, "lower"),
    "label_iou": Measure("label IoU, %", 100, "higher"),
    "code_error": Measure("code error x 1000", 1000, "lower"),
    "retrieval": Measure("retrieval, %", 100, "higher"),
}
OF_PHASE: dict[str, tuple[str, ...]] = {
    "embedding": ("chamfer", "sdf_error", "label_iou"),
    "regression": ("code_error", "sdf_error"),
    "contrastive": ("retrieval",),
    "end_to_end": ("sdf_error",),
}
MEASURED_COLUMNS = ["category", "disagreement", "setting", "seed", *MEASURES, "seconds", "reason", "digest"]


def choose(only: str = "") -> list[Disagreement]:
    """The disagreement of this name, or all of them.

    Raises:
        SettingsError: There is none of this name.
    """
    chosen = [row for row in DISAGREEMENTS if only in ("", row.name)]
    if not chosen:
        names = ", ".join(row.name for row in DISAGREEMENTS)
        raise SettingsError(f"no disagreement is called {only!r}; there are {names}")
    return chosen


def trials_of(row: Disagreement | Variants, setup: Setup) -> dict[tuple[str, int], Trial]:
    """The trainings of all settings of a switch, by setting and seed; none where there is no switch."""
    if row.phase == "none":
        return {}
    return {
        (setting, seed): Trial(row.phase, trial_config(row.phase, changes, setup, seed))
        for setting, changes in row.settings.items()
        for seed in range(setup.budget.seeds)
    }


def measured_file(row: Disagreement | Variants, setup: Setup) -> Path:
    """Where the measured rows of a switch lie."""
    return setup.bench.runs / "results" / "appendix" / f"{setup.bench.category}_{row.name}.csv"


def read_measured(row: Disagreement | Variants, setup: Setup) -> pd.DataFrame | None:
    """What was measured of a switch at this very budget, from these very shapes; None if nothing was."""
    file = measured_file(row, setup)
    if row.phase == "none" or not file.exists():
        return None
    found = pd.read_csv(file, keep_default_na=False, na_values={name: "" for name in MEASURES})
    if list(found.columns) != MEASURED_COLUMNS or set(found["digest"]) != {_digest(row, setup)}:
        return None
    return found


def measure(rows: Sequence[Disagreement | Variants], setup: Setup) -> pd.DataFrame:
    """Tries each switch in all its settings, as often as the budget has seeds; a row a switch, setting and seed.

    Trainings that several switches have in common are made once. Each keeps what it came to as soon as it is done, and
    a switch whose trainings are all done has a file of its own: what is interrupted goes on from there, and what is
    finished is read. A switch whose weights cannot be had here gives rows with the reason, and is tried again the
    next time.
    """
    obstacles = {row.name: reason for row in rows if (reason := _obstacle(row))}
    missing: dict[str, Trial] = {}
    for row in rows:
        if row.name not in obstacles and read_measured(row, setup) is None:
            keyed = {trial_key(trial, setup): trial for trial in trials_of(row, setup).values()}
            missing |= {key: trial for key, trial in keyed.items() if not kept_trial(key, setup).exists()}
    if missing:
        make_starts({trial.phase for trial in missing.values()}, setup)
        work = functools.partial(run_trial, trials=missing, setup=setup)
        side_by_side(work, list(missing), torch.device(setup.bench.device), jobs=min(joblib.cpu_count(), len(missing)))
    tables = [_measured(row, setup, obstacles.get(row.name, "")) for row in rows if row.phase != "none"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=pd.Index(MEASURED_COLUMNS))


def _measured(row: Disagreement | Variants, setup: Setup, obstacle: str) -> pd.DataFrame:
    if not obstacle and (found := read_measured(row, setup)) is not None:
        return found
    made = []
    for (setting, seed), trial in trials_of(row, setup).items():
        kept = kept_trial(trial_key(trial, setup), setup)
        outcome = {"reason": obstacle} if obstacle else json.loads(kept.read_text())
        made.append(
            {"category": setup.bench.category, "disagreement": row.name, "setting": setting, "seed": seed, **outcome}
        )
    table = pd.DataFrame(made).reindex(columns=MEASURED_COLUMNS)
    table["digest"] = _digest(row, setup)
    if obstacle:
        return table
    write_file(measured_file(row, setup), lambda path: table.to_csv(path, index=False))
    found = read_measured(row, setup)  # what is returned is the same, measured or read
    assert found is not None
    return found


def _digest(row: Disagreement | Variants, setup: Setup) -> str:
    return digest([(*place, trial_key(trial, setup)) for place, trial in trials_of(row, setup).items()])


def _obstacle(row: Disagreement | Variants) -> str:
    """What stands in the way of a switch on this machine; nothing ("") if it can be tried."""
    wanted = [changes for changes in row.settings.values() if changes.get("start") == "imagenet"]
    if not wanted:
        return ""
    try:
        imagenet_trunk(wanted[0]["encoder.width"])
    except WeightsUnavailable as error:
        return str(error)
    return ""


# --- what the rows say


class Interval(NamedTuple):
    """A mean, the standard deviation of the values, and the interval of the mean; NaN where there is one value."""

    mean: float
    deviation: float
    low: float
    high: float


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's interval of a mean. With few values it is wide: at 95 % and three values, 2.5 standard deviations."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), float("nan"))
    deviation = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * deviation / count**0.5
    return Interval(mean, deviation, mean - half, mean + half)


MATTERS, SILENT = "matters", "does not show at this budget"


def effects(rows: Sequence[Disagreement], measured: pd.DataFrame) -> pd.DataFrame:
    """What each switch does to each measure of its phase, the strongest effect against its spread first.

    Args:
        rows: Switches.
        measured: What `measure` returned of them.

    Returns:
        Means of both settings, the differences first - second of equal seeds with their mean, deviation and interval,
        and a verdict: whether the interval excludes zero. `harm` has the same differences in per cent of the second
        mean, turned so that positive is worse in the first setting, with `harm_low` and `harm_high`. `strength` is
        the size of the mean difference over the deviation. Measures are in the unit of `MEASURES`.
    """
    found = []
    for row in rows:
        table = measured[measured["disagreement"] == row.name]
        for name in OF_PHASE.get(row.phase, ()) if len(table) else ():
            by_seed = MEASURES[name].scale * table.pivot(index="seed", columns="setting", values=name)
            by_seed = by_seed.reindex(columns=list(SETTINGS)).astype(float).dropna()
            reasons = [reason for reason in table["reason"] if reason]
            found.append(
                {"disagreement": row.name, "phase": row.phase, "measure": name} | _effect(name, by_seed, reasons)
            )
    table = pd.DataFrame(found)
    return table.sort_values("strength", ascending=False, kind="stable", ignore_index=True) if len(table) else table


def _short(reasons: Sequence[str]) -> str:
    """Why nothing was measured, without the remedy, which names files of a machine."""
    return "not tried: " + reasons[0].partition(" (")[0] if reasons else "not measured"


def _effect(name: str, by_seed: pd.DataFrame, reasons: Sequence[str]) -> dict[str, Any]:
    if not len(by_seed):
        return {"seeds": 0, "strength": float("nan"), "harm": [], "verdict": _short(reasons)}
    first, second = by_seed["first"].to_numpy(), by_seed["second"].to_numpy()
    spread = t_interval(list(first - second))
    turn = 100 / abs(second.mean()) if second.mean() else float("nan")
    turn = turn if MEASURES[name].better == "lower" else -turn
    low, high = sorted((turn * spread.low, turn * spread.high))
    verdict = "one seed says nothing" if np.isnan(spread.low) else SILENT
    if spread.low > 0 or spread.high < 0:
        verdict = MATTERS
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = float(np.abs(spread.mean) / np.float64(spread.deviation)) if spread.mean else 0.0
    return {
        "seeds": len(by_seed),
        "first": float(first.mean()),
        "second": float(second.mean()),
        **spread._asdict(),
        "strength": strength,
        "harm": list(turn * (first - second)),
        "harm_low": low,
        "harm_high": high,
        "verdict": verdict,
    }
