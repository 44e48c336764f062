"""Claims of the paper about its own numbers, each judged by paired differences on the same shapes and views."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tpl.chapters.tables.reported import PAPER
from tpl.evaluation.rows import NO_VIEW
from tpl.evaluation.summary import bootstrap_mean, failures_as_worst
from tpl.study.methods import ENCODER, END_TO_END, END_TO_END_CONTRASTIVE, NEAREST_CROPS, NEAREST_PIXELS

MARGIN = 0.25
"""How much above another a Chamfer distance may be, as a share of it, and still be called comparable."""

HOLDS, FAILS, UNSETTLED, PARTLY, NOT_RUN = "borne out", "not borne out", "open", "in part", "not run"
VIEWS = ("fix", "rnd")
PREVIOUS = "previous"


class Claim(NamedTuple):
    """That one method is better than others, or comparable with them."""

    name: str
    words: str  # the paper's, as short as they stay true
    place: str  # in the paper
    chapter: str  # where the book looks at it, as a reference
    methods: tuple[str, str]  # the first is claimed to be below the second; a view after a colon
    rivals: tuple[str, ...] = ()  # the best of these stands in the second one's place
    comparable: bool = False  # not below, but above by no more than `MARGIN`
    reported: tuple[str, ...] = ()  # the paper's labels of the two; `PREVIOUS` is the best of those that it copied


TITLE = "contrast helps"
"""The claim of the paper's title."""

APART = Claim(
    "contrast tells shapes apart",
    "instances are not distinguishable in latent space without contrastive pre-training",
    "section 5.2, Fig. 6",
    "{ref}`latent-space`",
    (END_TO_END_CONTRASTIVE, END_TO_END),
)
"""The claim about codes, which `told_apart` judges."""

CLAIMS = (
    Claim(
        "two phases win",
        "both frameworks surpass all previous works",
        "abstract, Table 1",
        "{ref}`tables`",
        (ENCODER, ""),
        (NEAREST_PIXELS, NEAREST_CROPS),
        reported=("2-phase", PREVIOUS),
    ),
    Claim(
        "any view will do",
        "there is not too much discrepancy between a fixed view and random ones",
        "section 4, Table 1",
        "{ref}`tables`",
        (f"{ENCODER}:rnd", f"{ENCODER}:fix"),
        comparable=True,
        reported=("2-phase:rnd", "2-phase:fix"),
    ),
    Claim(
        "end to end alone is worse",
        "without contrastive learning, end-to-end training usually produces worse results than two phases",
        "section 6, Table 2",
        "{ref}`end_to_end`",
        (ENCODER, END_TO_END),
        reported=("2-phase", "end-to-end"),
    ),
    Claim(
        "contrast makes up for it",
        "with it, end-to-end training is comparable to two phases",
        "section 6, Table 2",
        "{ref}`end_to_end`",
        (END_TO_END_CONTRASTIVE, ENCODER),
        comparable=True,
        reported=("end-to-end", "2-phase"),
    ),
    Claim(
        TITLE,
        "an encoder that was pre-trained by contrast makes end-to-end training better: the title's claim",
        "title, section 5.2, Fig. 5",
        "{ref}`contrastive`",
        (END_TO_END_CONTRASTIVE, END_TO_END),
    ),
)


def judge(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every claim in every category.

    A claim that a method is better is borne out where the 95 % interval of the paired difference lies below 0, and not
    borne out where it lies above; one that two are comparable, where it lies below, or reaches beyond, a difference of
    `MARGIN`. Otherwise these shapes do not settle it. Both kinds of views must agree, else it is so in part.

    Args:
        rows: As `evaluation.read_results` gives them, of one split.
        seed: Of the bootstrap.

    Returns:
        A row a claim and category: `claim`, `category`, `verdict`, `paper` (its numbers) and `here` (ours, Chamfer
        x 1000: the two means, with the difference and its interval, for each kind of view).
    """
    scored = rows.assign(chamfer=failures_as_worst(rows), kind=rows["view"].str.rstrip("0123456789"))
    categories = [(str(name), of) for name, of in scored.groupby("category", sort=False)]
    return pd.DataFrame([_judge(claim, name, of, seed) for claim in CLAIMS for name, of in categories])


def verdict_table(judged: pd.DataFrame) -> pd.DataFrame:
    """The verdicts alone: a row a claim, a column a category, and where the book looks at it."""
    table = judged.pivot(index="claim", columns="category", values="verdict")
    table = table.loc[list(dict.fromkeys(judged["claim"])), list(dict.fromkeys(judged["category"]))].reset_index()
    known = {claim.name: claim for claim in (*CLAIMS, APART)}
    words = [f"**{name}**: {known[name].words} ({known[name].place})" for name in table["claim"]]
    where = [known[name].chapter for name in table["claim"]]
    return table.assign(claim=words, see=where).rename_axis(columns=None)


def title_s_claim(judged: pd.DataFrame) -> str:
    """What the run says to the claim in the paper's title, in one sentence."""
    found = judged.loc[judged["claim"] == TITLE]
    verdicts, what = set(found["verdict"]), "The claim of the paper's title, that contrastive pre-training helps,"
    if verdicts <= {NOT_RUN}:
        return f"{what} was **not tried** in this run."
    if verdicts == {UNSETTLED}:
        where = ", ".join(found["category"])
        return f"{what} is **not borne out** at this budget, and not refuted: these shapes leave it open ({where})."
    told = ", ".join(f"{row['category']} {row['verdict']}" for row in found.to_dict("records"))
    said = "is **borne out**" if verdicts == {HOLDS} else "is borne out **in part**"
    return f"{what} {said if verdicts & {HOLDS, PARTLY} else 'is **not borne out**'} at this budget: {told}."


def _judge(claim: Claim, category: str, rows: pd.DataFrame, seed: int) -> dict[str, str]:
    verdicts, here = [], []
    for view in _views(claim):
        scores = [_of_shapes(rows, method, view) for method in claim.methods]
        if claim.rivals:
            rivals = {name: _of_shapes(rows, name, view) for name in claim.rivals}
            rivals = {name: of for name, of in rivals.items() if len(of)}
            best = min(rivals, key=lambda name: rivals[name].mean(), default="")
            scores[1] = rivals.get(best, scores[1])
        first, second = scores
        if not len(first) or not len(second):
            continue
        difference = (first - second).to_numpy()
        low, high = bootstrap_mean(difference, seed)
        bound = MARGIN * second.mean() if claim.comparable else 0.0
        verdicts.append(HOLDS if high < bound else FAILS if low > bound else UNSETTLED)
        told = f"{1000 * first.mean():.2f} against {1000 * second.mean():.2f}"
        told += f" ({1000 * difference.mean():+.2f}, {1000 * low:+.2f} to {1000 * high:+.2f})"
        here.append(f"{view}: {told}" if view else told)
    verdict = NOT_RUN if not verdicts else verdicts[0] if len(set(verdicts)) == 1 else PARTLY
    reported = _reported(claim, category)
    cells = {"claim": claim.name, "category": category, "verdict": verdict}
    return cells | {"paper": reported or "no number", "here": "; ".join(here) or NOT_RUN}


def _views(claim: Claim) -> Sequence[str]:
    return ("",) if ":" in claim.methods[0] else VIEWS


def _of_shapes(rows: pd.DataFrame, method: str, view: str) -> pd.Series:
    """A method's distance to each shape, over the draws of a kind of view."""
    name, _, own = method.partition(":")
    of_method = rows.loc[(rows["method"] == name) & rows["kind"].isin([own or view, NO_VIEW])]
    return of_method.groupby("shape_id")["chamfer"].mean().sort_index()


def _reported(claim: Claim, category: str) -> str:
    """The paper's two numbers for each kind of view, if it has both."""
    told = []
    for view in _views(claim):
        numbers = [_number(label, category, view) for label in claim.reported]
        if numbers and np.isfinite(numbers).all():
            told.append(f"{view}: " * bool(view) + " against ".join(f"{number:.2f}" for number in numbers))
    return "; ".join(told)


def _number(label: str, category: str, view: str) -> float:
    name, _, own = label.partition(":")
    of_category = [entry for entry in PAPER if entry.category == category]
    if name == PREVIOUS:
        return min(entry.mean for entry in of_category if not entry.method)
    return next((e.mean for e in of_category if e.label == name and e.view == (own or view)), np.nan)
