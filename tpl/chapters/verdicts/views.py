"""Whether codes tell shapes apart: the paper's Fig. 6, in numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.neighbors import NearestNeighbors

from tpl.chapters.latent_space.measures import ViewCodes, view_codes
from tpl.chapters.verdicts.claims import APART, FAILS, HOLDS, NOT_RUN, UNSETTLED
from tpl.evaluation.summary import bootstrap_mean


def told_apart(trained: Mapping[str, Any], shapes: int = 20, seed: int = 0) -> pd.DataFrame:
    """The claim that codes of end-to-end training tell shapes apart only after contrastive pre-training.

    Of every view of some test shapes it is asked whether the nearest other view is one of the same shape. Borne out
    where more of them are with pre-training, by the 95 % interval of the paired difference over shapes.

    Args:
        trained: `study.Trained` of each category.
        shapes: So many; the paper's figure has 20.
        seed: Of the bootstrap.

    Returns:
        Rows of the columns that `judge` has, with shares in percent.
    """
    rows = []
    for category, of_category in trained.items():
        told, verdict = "", NOT_RUN
        if set(APART.methods) <= set(of_category.encoders):
            some = of_category.bench.shapes("test")[:shapes]
            codes = [view_codes(of_category, method, some) for method in APART.methods]
            first, second = (_own_nearest(of_method) for of_method in codes)
            low, high = bootstrap_mean(first - second, seed)
            verdict = HOLDS if low > 0 else FAILS if high < 0 else UNSETTLED
            difference = f"{100 * (first - second).mean():+.0f}, {100 * low:+.0f} to {100 * high:+.0f}"
            told = f"{100 * first.mean():.0f} % against {100 * second.mean():.0f} % ({difference})"
        cells = {"claim": APART.name, "category": category, "verdict": verdict}
        rows.append(cells | {"paper": "no number", "here": told or NOT_RUN})
    return pd.DataFrame(rows)


def _own_nearest(views: ViewCodes) -> Float[np.ndarray, " shapes"]:
    """For each shape the share of its views whose nearest other view is one of the same shape."""
    nearest = NearestNeighbors(n_neighbors=1).fit(views.codes).kneighbors(return_distance=False)[:, 0]
    same = views.shape[nearest] == views.shape
    return np.array([same[views.shape == number].mean() for number in range(int(views.shape.max()) + 1)])
