"""Tables of what more pictures and the fit to their outlines are worth, on made shapes and on real ones."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from tpl.chapters.real_shapes.study import Arm
from tpl.chapters.tables.comparison import unbroken
from tpl.dataset.collection import is_collection
from tpl.evaluation.summary import format_summary, paired_difference, summarize
from tpl.study.bench import Bench
from tpl.study.methods import OUR_ENCODER, trained_methods
from tpl.study.photographs import WAYS, score_pictures

MADE, OUTSIDE, REAL = "made", "real, learnt from made", "real, learnt from real"


def benches_of_pictures(bench: Bench, source: str = "open") -> dict[str, Bench]:
    """The benches whose test shapes are pictured, by what their shapes are and what the networks have learnt from.

    Real shapes are there where a folder beside that of the made ones has some prepared, as chapter 12 leaves it.

    Args:
        bench: Of one category.
        source: Of the real shapes.
    """
    found = {MADE: bench}
    real = Arm(bench.category, "real", "family", source)
    if not is_collection(real.folder(bench.collection.folder)):
        return found
    judged = real.judged(bench)
    if any(shape.split == "test" and judged.is_prepared(shape) for shape in judged.listed(bench.category)):
        found[OUTSIDE] = replace(bench, collection=judged)
        if OUR_ENCODER in trained_methods(real.folder(bench.runs) / bench.category):
            found[REAL] = real.bench(bench)
    return found


def score_pictures_of(bench: Bench, count: int = 8, source: str = "open") -> dict[str, pd.DataFrame]:
    """The rows of `score_pictures` by what the shapes are; none where our encoder is not trained.

    Args:
        bench: Of one category.
        count: Of the first test shapes.
        source: Of the real shapes.
    """
    if OUR_ENCODER not in trained_methods(bench.folder):
        return {}
    return {origin: score_pictures(of, count) for origin, of in benches_of_pictures(bench, source).items()}


def table_of_pictures(rows: Mapping[str, pd.DataFrame], seed: int = 0) -> pd.DataFrame:
    """Chamfer distance x 1000, as text: the mean, its 95 % interval and the median; a column for each way to a code.

    Args:
        rows: Of several categories, by what the shapes are.
        seed: Of the intervals.
    """
    tables = []
    for origin, of_origin in rows.items():
        table = format_summary(summarize(of_origin, seed))
        text = table["mean"] + " (" + table["95 %"].map(unbroken) + "), " + table["median"]
        tables.append(table.assign(**{"shapes are": origin, "text": text}))
    keys = ["shapes are", "category", "shapes", "view"]
    wide = pd.concat(tables, ignore_index=True).pivot_table("text", keys, "method", aggfunc="first", sort=False)
    return wide.reset_index().loc[:, [*keys, *WAYS]]


def gains_of_pictures(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """By how much each way is better than the answer to one picture as it is seen: paired, Chamfer distance x 1000.

    Args:
        rows: As for `table_of_pictures`, of one kind of shapes.
        seed: Of the intervals.

    Returns:
        Columns `category`, `view`, `way`, `difference` (negative: better) and its 95 % interval `low` to `high`.
    """
    first, *others = WAYS
    tables = [paired_difference(rows, way, first, seed).assign(way=way) for way in others]
    table = pd.concat(tables, ignore_index=True)
    table[["difference", "low", "high"]] *= 1000
    return table.loc[:, ["category", "view", "way", "difference", "low", "high"]]
