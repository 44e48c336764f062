"""What the rows of an evaluation say together: means, intervals, paired differences."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import bootstrap

from tpl.evaluation.results import ResultsError
from tpl.evaluation.rows import COLUMNS, NO_VIEW, WORST


def summarize(rows: pd.DataFrame, seed: int = 0, resamples: int = 2000) -> pd.DataFrame:
    """Means over shapes, with what is needed to judge them.

    A failure counts as the worst: its Chamfer distances are the largest that any method reached on the
    category in the rows given, its F-score and normal consistency 0. So a method never gains by failing, and
    one failure does not drown the mean. Of the random views every draw is a table of its own: the figures are
    means over the draws, the spread is that of the draws, and the interval is over shapes, each with all its
    draws.

    Args:
        rows: `COLUMNS`, one row a shape, view and method. Every shape has every view of a method, failed or
            not.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        One row per category, split, method and view ("fix", "rnd", "-"), in order of appearance: `shapes`;
        `mean`, with its 95 % interval `low` to `high` (NaN for a single shape), `median` and `spread`
        (standard deviation over draws; NaN without draws) of the Chamfer distance in squared raw units;
        `mean_clean` and `median_clean` without floaters; means of `f_score`, `normal_consistency` and
        `seconds`; `failed`, as in "2 of 44".

    Raises:
        ResultsError: Columns are missing, a key occurs twice, or a shape lacks a view that others have.
    """
    summaries = []
    scored = _count_failures_as_worst(rows)
    for _, group in scored.groupby(["category", "split", "method", "kind"], sort=False):
        first = group.iloc[0]
        table = _by_shape_and_draw(group, "chamfer")
        low, high = bootstrap_mean(table.mean(axis=1).to_numpy(), seed, resamples)
        clean = _by_shape_and_draw(group, "chamfer_clean")
        summaries.append(
            {
                "category": first["category"],
                "split": first["split"],
                "method": first["method"],
                "view": first["kind"],
                "shapes": len(table),
                "mean": table.to_numpy().mean(),
                "low": low,
                "high": high,
                "median": table.median().mean(),
                "spread": table.mean().std() if table.shape[1] > 1 else np.nan,
                "mean_clean": clean.to_numpy().mean(),
                "median_clean": clean.median().mean(),
                "f_score": group["f_score"].mean(),
                "normal_consistency": group["normal_consistency"].mean(),
                "seconds": group["seconds"].mean(),
                "failed": f"{np.count_nonzero(group['failed'])} of {len(group)}",
            }
        )
    return pd.DataFrame(summaries)


def paired_difference(rows: pd.DataFrame, a: str, b: str, seed: int = 0, resamples: int = 2000) -> pd.DataFrame:
    """How much the Chamfer distance of one method is above another's on the same shapes.

    Paired, because shapes differ more in difficulty than methods differ in quality. A method that looks at no
    view is compared with each kind of view of the other.

    Args:
        rows: As for `summarize`; failures count as there.
        a: A method.
        b: Another one; both need the same shapes.

    Returns:
        One row per category, split and view: `shapes`; `difference`, the mean of a - b in squared raw units,
        negative where `a` is better, with its 95 % interval `low` to `high` by bootstrap over shapes;
        `better`, the share of the shapes on which `a` is strictly better. A tie counts for neither, also where the
        means over draws of equal numbers differ in their last digits.

    Raises:
        ResultsError: A method has no rows, or they are of other shapes.
    """
    scored = _count_failures_as_worst(rows)
    for method in (a, b):
        if method not in set(scored["method"]):
            known = ", ".join(sorted(scored["method"].unique()))
            raise ResultsError(f"no rows of the method {method!r}; there are {known}")
    differences = []
    for _, group in scored.groupby(["category", "split"], sort=False):
        category, split = group["category"].iloc[0], group["split"].iloc[0]
        of_a, of_b = (_mean_of_draws(group.loc[group["method"] == method]) for method in (a, b))
        for view in dict.fromkeys([*of_a, *of_b]):
            first, second = (of_method.get(view, of_method.get(NO_VIEW)) for of_method in (of_a, of_b))
            if first is None or second is None:
                continue
            odd = sorted(set(first.index) ^ set(second.index))
            if odd:
                raise ResultsError(
                    f"{a!r} and {b!r} were not evaluated on the same {category}: only one has {odd[0]!r}; "
                    "evaluate both on all"
                )
            second = second[first.index]
            difference = (first - second).to_numpy()
            tied = np.isclose(first, second, rtol=1e-12, atol=0)
            low, high = bootstrap_mean(difference, seed, resamples)
            differences.append(
                {
                    "category": category,
                    "split": split,
                    "view": view,
                    "shapes": len(difference),
                    "difference": difference.mean(),
                    "low": low,
                    "high": high,
                    "better": np.mean((difference < 0) & ~tied),
                }
            )
    if not differences:
        raise ResultsError(f"{a!r} and {b!r} have no category and view in common; evaluate both on the same")
    return pd.DataFrame(differences)


def failures_as_worst(
    rows: pd.DataFrame, column: str = "chamfer", group: str = "category", nothing: float = WORST
) -> pd.Series:
    """Distances in which a failure (NaN) counts as the worst that was reached, so that no method gains by failing.

    Args:
        rows: Of a method or of several.
        column: The distances, in one unit.
        group: The column within whose equal values the worst is looked for.
        nothing: What a failure counts as where nothing succeeded; in squared raw units by default.
    """
    worst = rows.groupby(group)[column].transform("max").fillna(nothing)
    return rows[column].fillna(worst)  # pyright: ignore  # a column is a series


def _count_failures_as_worst(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every score in place, and columns `kind` ("fix", "rnd", "-") and `failed`."""
    missing = [column for column in COLUMNS if column not in rows]
    if missing:
        raise ResultsError(f"these rows are no results: they lack {', '.join(missing)}")
    scored = rows.reset_index(drop=True).copy()
    scored["failed"] = scored["reason"] != ""
    scored["kind"] = scored["view"].str.rstrip("0123456789")
    silent = scored[~scored["failed"] & scored["chamfer"].isna()]
    if len(silent):
        first = silent.iloc[0]
        raise ResultsError(
            f"{first['method']!r} has neither score nor reason for {first['shape_id']!r}; evaluate it again"
        )
    for column in ("chamfer", "chamfer_clean"):
        scored[column] = scored[column].mask(scored["failed"])
        scored[column] = failures_as_worst(scored, column)
    for column in ("f_score", "normal_consistency"):
        known = scored.groupby("category")[column].transform("max").notna()  # without normals it stays NaN
        scored[column] = scored[column].where(~(scored["failed"] & known), 0.0)
    return scored


def _by_shape_and_draw(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """One method on one kind of view: a row a shape, a column a draw, and no gaps."""
    method = rows["method"].iloc[0]
    twice = rows[rows.duplicated(["shape_id", "view"])]
    if len(twice):
        first = twice.iloc[0]
        raise ResultsError(f"{method!r} has two rows for {first['shape_id']!r}, view {first['view']!r}; keep one")
    table = rows.pivot(index="shape_id", columns="view", values=column)
    if table.isna().to_numpy().any():
        row, column_of_gap = np.argwhere(table.isna().to_numpy())[0]
        shape_id, view = table.index[row], table.columns[column_of_gap]
        raise ResultsError(
            f"{method!r} has no row for {shape_id!r}, view {view!r}; a failure must be a row with its reason"
        )
    return table


def _mean_of_draws(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """For each kind of view of one method, the Chamfer distance of each shape."""
    kinds = rows.groupby("kind", sort=False)
    return {str(kind): _by_shape_and_draw(group, "chamfer").mean(axis=1) for kind, group in kinds}


def bootstrap_mean(values: Float[np.ndarray, " n"], seed: int, resamples: int = 2000) -> tuple[float, float]:
    """The 95 % percentile interval of a mean; one value says nothing of its spread."""
    if len(values) < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    low, high = bootstrap((values,), np.mean, n_resamples=resamples, method="percentile", rng=rng).confidence_interval
    return float(low), float(high)


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as it is printed: Chamfer distances times 1000, two digits after the point."""

    def numbers(column: str, digits: int = 2, scale: int = 1000) -> list[str]:
        return [f"{scale * value:.{digits}f}" if pd.notna(value) else "" for value in summary[column]]

    limits = zip(numbers("low"), numbers("high"), strict=True)
    return pd.DataFrame(
        {
            "category": summary["category"],
            "method": summary["method"],
            "view": summary["view"],
            "shapes": summary["shapes"],
            "mean": numbers("mean"),
            "95 %": [f"{low} to {high}" if low else "" for low, high in limits],
            "median": numbers("median"),
            "spread of draws": numbers("spread"),
            "mean, no floaters": numbers("mean_clean"),
            "median, no floaters": numbers("median_clean"),
            "F-score": numbers("f_score", 3, 1),
            "normals": numbers("normal_consistency", 3, 1),
            "failed": summary["failed"],
        }
    )
