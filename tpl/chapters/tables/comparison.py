"""The tables of methods side by side, and what they allow to say."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tpl.evaluation.rows import NO_VIEW
from tpl.evaluation.summary import failures_as_worst, paired_difference
from tpl.study.methods import METHODS


def comparison_table(summary: pd.DataFrame, floors: Mapping[str, float]) -> pd.DataFrame:
    """Mean and median Chamfer distance x 1000 of each method, in the layout of the paper's Table 1.

    Args:
        summary: As `evaluation.summarize` makes it.
        floors: The sampling floor of each category, in squared raw units.

    Returns:
        A row a method and view, two columns a category, as text; among the methods that look at an image, and are told
        no more than it, the smallest of a column is bold, for each kind of view. The last row is the sampling floor.
    """
    categories = list(dict.fromkeys(summary["category"]))
    keys = list(dict.fromkeys(zip(summary["method"], summary["view"], strict=True)))
    table = pd.DataFrame([{"method": method, "view": view} for method, view in keys])
    for category in categories:
        rows = summary.loc[summary["category"] == category].set_index(["method", "view"])
        for column in ("mean", "median"):
            values = 1000 * rows[column].reindex(keys).to_numpy(dtype=float)
            table[f"{category} {column}"] = _bold_smallest(values, keys)
    floor = {f"{category} mean": f"{1000 * floors[category]:.3f}" for category in categories}
    last = {column: floor.get(column, "") for column in table} | {"method": "sampling floor", "view": NO_VIEW}
    table = pd.concat([table, pd.DataFrame([last])], ignore_index=True)
    return table.assign(method=table["method"].map(unbroken))


def unbroken(words: str) -> str:
    """The words with spaces at which no line is broken: rows of a wide table stay one line high."""
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _told_more(method: str) -> bool:
    return method in METHODS and METHODS[method].told_more


def _bold_smallest(values: np.ndarray, keys: Sequence[tuple[str, str]]) -> list[str]:
    texts = _texts(values, 2)
    for view in {view for _, view in keys} - {NO_VIEW}:
        of_view = np.where([other == view and not _told_more(method) for method, other in keys], values, np.inf)
        if np.nanmin(of_view) < np.inf:
            smallest = int(np.nanargmin(of_view))
            texts[smallest] = f"**{texts[smallest]}**"
    return texts


def by_kind(rows: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Mean Chamfer distance x 1000 of methods in the fixed view by kind, the first word of a shape's family.

    A failure counts as the worst distance of the category, as in `summarize`. Kinds come in the order of
    the first method's mean, the hardest first.
    """
    counted = rows.assign(value=1000 * failures_as_worst(rows))
    judged = counted.loc[rows["view"].isin(["fix", NO_VIEW]) & rows["method"].isin(methods)]
    tables = []
    for category, group in judged.groupby("category", sort=False):
        group = group.assign(kind=group["family"].str.split("-").str[0])
        table = group.pivot_table("value", "kind", "method").reindex(columns=list(methods)).dropna(axis=1, how="all")
        table.insert(0, "shapes", group.groupby("kind")["shape_id"].nunique())
        table = table.sort_values(by=table.columns[1], ascending=False).rename_axis(columns=None).reset_index()
        table[[*table.columns[2:]]] = table[[*table.columns[2:]]].map("{:.2f}".format)
        table.insert(0, "category", str(category))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def every_shape(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """One method on every shape, Chamfer distance x 1000 as text: the worst in the fixed view first, failures before.

    Returns:
        `category`, `shape`, `style` (the family), `fix`, `rnd` (the mean of its draws), `F-score` and `normals` in the
        fixed view; an empty cell for a failure, and its `reason` where there is any.
    """
    judged = rows.loc[rows["method"] == method]
    drawn = judged.loc[judged["view"].str.startswith("rnd")]
    of_draws = drawn.groupby(["category", "shape_id"])["chamfer"].apply(lambda draws: draws.mean(skipna=False))
    fixed = judged.loc[judged["view"] == "fix"].sort_values(by="chamfer", ascending=False, na_position="first")
    keys = pd.MultiIndex.from_frame(fixed[["category", "shape_id"]])
    table = pd.DataFrame(
        {
            "category": fixed["category"].to_numpy(),
            "shape": fixed["shape_id"].to_numpy(),
            "style": fixed["family"].to_numpy(),
            "fix": _texts(1000 * fixed["chamfer"].to_numpy(), 2),
            "rnd": _texts(1000 * of_draws.reindex(keys).to_numpy(), 2),
            "F-score": _texts(fixed["f_score"].to_numpy(), 3),
            "normals": _texts(fixed["normal_consistency"].to_numpy(), 3),
        }
    )
    return table.assign(reason=fixed["reason"].to_numpy()) if fixed["reason"].any() else table


def _texts(values: np.ndarray, digits: int) -> list[str]:
    return ["" if np.isnan(value) else f"{value:.{digits}f}" for value in values]


def compare_pairs(rows: pd.DataFrame, pairs: Sequence[tuple[str, str]], seed: int = 0) -> pd.DataFrame:
    """Paired differences of methods, ready to be printed.

    Args:
        rows: As the evaluation makes them.
        pairs: Two methods each; pairs of which one has no rows are left out.
        seed: Of the bootstrap.

    Returns:
        A row a pair, category and view: `first - second` with its `95 %` interval, Chamfer x 1000, as text; the share
        of the shapes that the first is better on; the `verdict`, the better one where the interval lies on one side
        of 0, else "open"; and `difference`, `low` and `high` as numbers.
    """
    known, tables = set(rows["method"]), []
    for first, second in pairs:
        if {first, second} <= known:
            found = paired_difference(rows, first, second, seed)
            tables.append(found.assign(first=first, second=second))
    if not tables:
        return pd.DataFrame(columns=["category", "view", "first", "second", "verdict", "difference", "low", "high"])
    table = pd.concat(tables, ignore_index=True)
    for column in ("difference", "low", "high"):
        table[column] *= 1000
    table["first - second"] = [f"{value:+.2f}" for value in table["difference"]]
    limits = zip(table["low"], table["high"], strict=True)
    table["95 %"] = [f"{low:+.2f} to {high:+.2f}" if np.isfinite(low) else "" for low, high in limits]
    table["first is better on"] = [f"{share:.0%}" for share in table["better"]]
    table["verdict"] = [_verdict(row) for row in table.to_dict("records")]
    columns = ["category", "view", "first", "second", "first - second", "95 %", "first is better on", "verdict"]
    return table.loc[:, [*columns, "difference", "low", "high"]]


def _verdict(row: Mapping) -> str:
    if row["high"] < 0:
        return row["first"]
    return row["second"] if row["low"] > 0 else "open"
