"""The same reconstructions under all protocols: measured, kept as rows, and what the rows say of the protocols."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from tpl.evaluation.protocols import BOOK, CELLS, PROTOCOLS
from tpl.evaluation.results import ResultsError
from tpl.evaluation.rows import KEYS, attempt, case_rng, describe
from tpl.evaluation.summary import failures_as_worst
from tpl.files import digest, write_file
from tpl.look.plotting import INK
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.methods import ENCODERS
from tpl.study.trained import Trained

VIEW = "fix"
RATIO = "x this book's"
PROTOCOL_COLUMNS = [*KEYS, "protocol", "distance", "floor", "factor", "reason", "seed", "run"]


def protocols_file(bench: Bench, split: str) -> Path:
    """Where the rows of a category are kept."""
    return bench.runs / "results" / "protocols" / f"{bench.category}_{split}.csv"


def measure_category(bench: Bench, method: str, split: str = "test") -> Path:
    """Measures one encoder's reconstructions from the fixed view by every protocol; returns the file of rows.

    What was measured by the same code with the same weights, shapes and settings is not measured again.
    """
    file, key_file = (protocols_file(bench, split).with_suffix(suffix) for suffix in (".csv", ".json"))
    shapes, store, seed = bench.shapes(split), bench.store, bench.seed
    runs = [bench.run(name) for name in (ENCODERS[method].decoder, ENCODERS[method].folder)]
    settings = [method, VIEW, bench.resolution, seed, CELLS, [(p.name, p.points, p.factor) for p in PROTOCOLS]]
    code = code_digest("tpl.chapters.tables.protocol_study", without=(*MAKERS, "tpl.look"))
    key = digest(code, store.fingerprint(shapes), [run.digest() for run in runs], settings)
    if file.exists() and key_file.exists() and json.loads(key_file.read_text()) == key:
        return file
    key_file.unlink(missing_ok=True)
    trained = Trained(bench)
    views = np.concatenate([store.read_views(shape, "fixed")[0][:1] for shape in shapes])
    rows = []
    for shape, code in zip(shapes, trained.encode(method, views), strict=True):
        truth, normalization = shape.load(), store.read_normalization(shape)
        made = attempt(partial(trained.decode, code, normalization, method=method, measured=True)).result
        for protocol in PROTOCOLS:
            distance, reason = np.nan, ""  # a failure is a row with its reason, as in the evaluation
            if isinstance(made, Exception):
                reason = describe(made)
            else:
                try:
                    rng = case_rng(seed, "protocol", protocol.name, shape.id)
                    distance = protocol.measure(made, truth, normalization, rng)
                except ValueError as error:
                    reason = describe(error)
            floor = protocol.floor(truth, normalization, case_rng(seed, "floor", protocol.name, shape.id))
            keys = (shape.category, shape.split, shape.id, shape.family, VIEW, method)
            rows.append((*keys, protocol.name, distance, floor, protocol.factor, reason, seed, str(bench.runs)))
    table = pd.DataFrame(rows, columns=PROTOCOL_COLUMNS)
    write_file(file, lambda path: table.to_csv(path, index=False))
    write_file(key_file, lambda path: path.write_text(json.dumps(key)))
    return file


def read_protocols(files: Sequence[Path]) -> pd.DataFrame:
    """Reads what `measure_category` wrote.

    Raises:
        ResultsError: A file is missing, or something else.
    """
    tables = []
    for file in files:
        if not file.exists():
            raise ResultsError(f"no measurements at {file}; chapter 07_tables makes them: run `tpl run 07_tables`")
        text = {"shape_id": str, "reason": str}
        table = pd.read_csv(file, dtype=text, keep_default_na=False, na_values={"distance": [""]})  # pyright: ignore
        if list(table.columns) != PROTOCOL_COLUMNS:
            raise ResultsError(f"{file} holds no measurements by protocol: delete it and run `tpl run 07_tables`")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def protocol_table(rows: pd.DataFrame, again: pd.Series | None = None) -> pd.DataFrame:
    """What each protocol makes of the same reconstructions, in the numbers that it is printed with.

    Args:
        rows: As `read_protocols` gives them. A failure counts as the worst distance of its category and protocol.
        again: The Chamfer distance of the same reconstructions by category and shape from other points, for the row of
            this book's protocol: how far chance alone changes the order.

    Returns:
        A row a category and protocol, as text: `mean`, `median` and `floor` (the mean of the shapes'), `x this book's`,
        the ratio of the means, and `pairs in order`, the share of all pairs of shapes of which the same one is better
        as by this book's protocol.
    """
    if again is not None:
        named = again.rename("chamfer").rename_axis(["category", "shape_id"]).reset_index()
        again = failures_as_worst(named).set_axis(again.index)
    tables = []
    for category, distances in _distances(rows).items():
        of_book = distances[BOOK.name]
        for name, values in distances.items():
            of_protocol = rows.loc[(rows["category"] == category) & (rows["protocol"] == name)]
            other: Any = values
            if name == BOOK.name:
                other = None if again is None else again[category]
            tables.append(
                {
                    "category": category,
                    "protocol": name,
                    "mean": _number(values.mean()),
                    "median": _number(values.median()),
                    "floor": f"{(of_protocol['floor'] * of_protocol['factor']).mean():.3f}",
                    RATIO: _number(values.mean() / of_book.mean()),
                    "pairs in order": "" if other is None else _percent(pairs_in_order(of_book, other)),
                }
            )
    return pd.DataFrame(tables)


def protocol_sentences(table: pd.DataFrame) -> list[str]:
    """What `protocol_table` says of each category, one sentence each, true whatever the numbers are."""
    sentences = []
    for category, rows in table.groupby("category", sort=False):
        others = rows.loc[rows["protocol"] != BOOK.name].to_dict("records")
        ratios = ", ".join(f"{row[RATIO] or 'no number'} by {row['protocol']}" for row in others)
        sentence = f"**{category}**: where this book's protocol says 1, the same reconstructions have {ratios}"
        orders = [f"{row['pairs in order']} by {row['protocol']}" for row in others if row["pairs in order"]]
        if orders:
            sentence += f"; pairs of shapes that keep their order: {', '.join(orders)}"
        sentences.append(f"{sentence}.")
    return sentences


def pairs_in_order(first: pd.Series, second: pd.Series) -> float:
    """The share of all pairs of shapes that two lists of distances put in the same order; a tie is half a pair."""
    if len(first) < 2:
        return np.nan
    one, other = np.triu_indices(len(first), 1)
    aligned = (np.asarray(first), np.asarray(second[first.index]))
    signs = [np.sign(values[one] - values[other]) for values in aligned]
    return float(np.mean((signs[0] * signs[1] + 1) / 2))


def plot_ranks(ax: Axes, rows: pd.DataFrame) -> None:
    """A line a shape through its rank by each protocol, the best at the top; dark where this book's is best.

    Args:
        ax: Its lines are level where all protocols agree.
        rows: Of one category, as `read_protocols` gives them.
    """
    (distances,) = _distances(rows).values()
    ranks = pd.DataFrame(distances).rank(method="first")
    places = np.arange(ranks.shape[1])
    shade = (ranks[BOOK.name] - 1) / max(1, len(ranks) - 1)
    for (_, line), pale in zip(ranks.iterrows(), shade, strict=True):
        color = colormaps["viridis"](0.92 * pale)
        ax.plot(places, line, "o-", color=color, linewidth=max(0.4, 2 - len(ranks) / 60), markersize=4)
    ax.set_xticks(places, [name.replace(" ", "\n") for name in ranks.columns])
    ax.set_yticks([1, len(ranks)] if len(ranks) > 1 else [1])
    ax.set(ylim=(len(ranks) + 0.6, 0.4), xlim=(-0.2, places[-1] + 0.2), ylabel="rank")
    ax.tick_params(axis="x", length=0, colors=INK)
    ax.spines["bottom"].set_visible(False)


def _distances(rows: pd.DataFrame) -> dict[str, dict[str, pd.Series]]:
    """By category and protocol: the printed distance of each shape, failures as the worst."""
    found = {}
    for category, group in rows.groupby("category", sort=False):
        # No number stands for a protocol by which nothing succeeded: each has a unit of its own.
        printed = group.assign(printed=group["distance"] * group["factor"])
        printed["printed"] = failures_as_worst(printed, "printed", "protocol", nothing=np.nan)
        table = printed.pivot(index="shape_id", columns="protocol", values="printed")
        found[str(category)] = {name: table[name] for name in dict.fromkeys(group["protocol"])}
    return found


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{share:.0%}"
