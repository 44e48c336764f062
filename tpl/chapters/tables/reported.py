"""What the paper reports, and each of its numbers beside ours for the same cell."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tpl.evaluation.results import ResultsError
from tpl.evaluation.summary import summarize
from tpl.study.methods import ENCODER, END_TO_END, END_TO_END_CONTRASTIVE

NOT_RUN = "not run"
NOT_REPORTED = "not reported"
OTHER_PROTOCOL = "other protocol"
"""In our columns, for the numbers that the paper copied from DISN's table."""


class Reported(NamedTuple):
    """One pair of the paper's numbers, Chamfer distance x 1000."""

    tables: str  # the paper's tables that it stands in
    label: str  # its name there
    method: str  # the method of ours that is trained in this way; none for a copied number
    view: str  # "fix", "rnd", or nothing where the paper says nothing
    category: str
    mean: float
    median: float | None  # NA in Table 1


def _row(tables: str, label: str, methods: tuple[str, str, str], view: str, *numbers: float | None) -> list[Reported]:
    """One line of a table: mean and median for chairs, sofas and planes."""
    categories = ("chairs", "sofas", "airplanes")
    pairs = zip(methods, categories, numbers[::2], numbers[1::2], strict=True)
    return [
        Reported(tables, label, method, view, category, mean, median)
        for method, category, mean, median in pairs
        if mean is not None
    ]


COPIED = ("", "", "")
PHASE_2 = (ENCODER, ENCODER, ENCODER)
IN_ONE = (END_TO_END, END_TO_END, END_TO_END_CONTRASTIVE)  # "not applied for the chairs and the sofas"

PAPER = (
    *_row("1", "3D CNN", COPIED, "", 11.15, None, 9.76, None, 10.47, None),
    *_row("1", "DISN", COPIED, "", 7.54, None, 8.71, None, 9.01, None),
    *_row("1", "Pixel2mesh", COPIED, "", 11.13, None, 6.54, None, 6.10, None),
    *_row("1, 2", "2-phase", PHASE_2, "fix", 1.61, 1.02, 1.50, 0.72, 4.19, 0.16),
    *_row("1, 2", "2-phase", PHASE_2, "rnd", 1.82, 1.16, 1.49, 0.63, 4.52, 0.18),
    *_row("2", "end-to-end", IN_ONE, "fix", 1.53, 0.93, 2.01, 1.40, 1.76, 0.29),
    *_row("2", "end-to-end", IN_ONE, "rnd", 1.59, 1.00, 2.54, 1.26, 1.75, 0.28),
)
"""Tables 1 and 2 of "Template is all you need": test shapes of ShapeNetCore v2; 2-phase is "Ours" in Table 1."""


def beside_ours(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every number of the paper's Tables 1 and 2 beside ours.

    Args:
        rows: As `evaluation.read_results` gives them, of one split; ours are the means and medians of `summarize`.
        seed: Of its bootstrap, which does not touch them.

    Returns:
        A row a category, training and view, as text: `category`, `paper` (the name there), `table`, `ours` (the
        method), `view`, and `mean` and `median`, the paper's before ours. Where ours has no rows its cells say
        "not run". Trainings that the paper reports for other categories alone have rows, too, and say "not reported".
    """
    if len(set(rows["split"])) > 1:
        raise ResultsError(f"these rows are of the splits {', '.join(sorted(rows['split'].unique()))}; take one")
    keys = ["category", "method", "view"]
    summary = summarize(rows, seed)
    ours = {tuple(row[key] for key in keys): row for row in summary.to_dict("records")}
    table = []
    for category in dict.fromkeys(entry.category for entry in PAPER):
        reported = [entry for entry in PAPER if entry.category == category]
        known = {(entry.method, entry.view) for entry in reported}
        others = [entry for entry in PAPER if entry.method and (entry.method, entry.view) not in known]
        unreported = {(e.method, e.view): e._replace(category=category, tables="", mean=np.nan) for e in others}
        for entry in [*reported, *unreported.values()]:
            found = ours.get((entry.category, entry.method, entry.view))
            no_score = OTHER_PROTOCOL if not entry.method else NOT_RUN
            no_number = NOT_REPORTED if not entry.tables else "NA"
            cells = {"category": category, "paper": entry.label, "table": entry.tables, "ours": entry.method}
            cells["view"] = entry.view
            for column in ("mean", "median"):
                number = getattr(entry, column) if entry.tables else None
                cells[f"{column}, paper"] = no_number if number is None else f"{number:.2f}"
                cells[f"{column}, ours"] = no_score if found is None else f"{1000 * found[column]:.2f}"
            table.append(cells)
    return pd.DataFrame(table)


def provenance(rows: pd.DataFrame, data_set: str) -> str:
    """What the two halves of `beside_ours` are measured on: data set, profile, protocol and number of shapes."""
    counts = rows.groupby("category", sort=False)["shape_id"].nunique()
    shapes = ", ".join(f"{count} {category}" for category, count in counts.items())
    runs, protocols = (", ".join(dict.fromkeys(rows[column])) for column in ("run", "protocol"))
    return (
        f"Paper: ShapeNetCore v2, test shapes of DeepSDF's split, 30000 points, raw units. "
        f"Ours: data set {data_set}, {rows['split'].iloc[0]} shapes ({shapes}), run {runs}, {protocols}."
    )
