"""Random views are easy or hard; their rows do not say which, but the draws can be made again."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from tpl.evaluation.rows import random_views
from tpl.evaluation.summary import failures_as_worst


def difficulty(rows: pd.DataFrame, easy: int, hard: int) -> pd.Series:
    """Whether the view of each row is "easy" or "hard"; empty where it is no random view.

    Args:
        rows: As `evaluation.read_results` gives them: `seed` is that of the draws.
        easy: Easy views of each shape; they stand before the hard ones where views are drawn from.
        hard: Hard views of each shape.
    """
    drawn = rows["view"].str.fullmatch(r"rnd\d+")
    kinds = pd.Series("", index=rows.index, name="difficulty")
    for key, group in rows[drawn].groupby(["shape_id", "view", "seed"]):
        shape_id, view, seed = key  # pyright: ignore  # the key is a tuple
        draw = int(str(view).removeprefix("rnd"))
        place = random_views(str(shape_id), easy + hard, draw + 1, int(seed))[draw]  # more draws leave the first ones
        kinds[group.index] = "easy" if place < easy else "hard"
    return kinds


def by_difficulty(
    rows: pd.DataFrame, methods: Sequence[str], easy: int, hard: int, seed: int = 0, resamples: int = 2000
) -> pd.DataFrame:
    """Mean Chamfer distance x 1000 of methods over easy and over hard views, with 95 % intervals.

    The same draws as "rnd" in the other tables, each counted once; a failure counts as the worst distance of the
    category. The interval is over shapes, each drawn again with all its views of the kind. The two kinds see the
    shapes as chance has drawn them: not all shapes have views of both.

    Args:
        rows: As for `difficulty`.
        methods: Those that look at views; others have no rows here.
        easy: As for `difficulty`.
        hard: As for `difficulty`.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        A row a category, method and kind of view, as text: `views`, `shapes`, `mean` and `95 %`.
    """
    scored = rows.assign(difficulty=difficulty(rows, easy, hard))
    scored["chamfer"] = 1000 * failures_as_worst(scored)
    table = []
    for category in dict.fromkeys(scored["category"]):
        for method in methods:
            for kind in ("easy", "hard"):
                chosen = (scored["category"] == category) & (scored["method"] == method)
                views = scored.loc[chosen & (scored["difficulty"] == kind)]
                if len(views) == 0:
                    continue
                of_shape = views.groupby("shape_id")["chamfer"]
                low, high = _bootstrap(of_shape.sum().to_numpy(), of_shape.size().to_numpy(float), seed, resamples)
                table.append(
                    {
                        "category": category,
                        "method": method,
                        "view": kind,
                        "views": len(views),
                        "shapes": len(of_shape),
                        "mean": f"{views['chamfer'].mean():.2f}",
                        "95 %": "" if np.isnan(low) else f"{low:.2f} to {high:.2f}",
                    }
                )
    return pd.DataFrame(table, columns=["category", "method", "view", "views", "shapes", "mean", "95 %"])


def _bootstrap(
    sums: Float[np.ndarray, " shapes"], counts: Float[np.ndarray, " shapes"], seed: int, resamples: int
) -> tuple[float, float]:
    """The interval of a mean over views when shapes, of which each has some views, are drawn again."""
    if len(sums) < 2:
        return np.nan, np.nan
    picks = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))
    low, high = np.percentile(sums[picks].sum(axis=1) / counts[picks].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)
