"""Each number of the paper has one cell, and ours beside it are the summary's."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tpl.chapters.tables.reported import NOT_REPORTED, NOT_RUN, OTHER_PROTOCOL, PAPER, beside_ours, provenance
from tpl.evaluation.results import ResultsError
from tpl.evaluation.rows import COLUMNS
from tpl.evaluation.summary import summarize

# As the two tables are printed: chairs, sofas, planes, each a mean and a median.
TABLE_1 = """
3D CNN       11.15 NA   9.76 NA   10.47 NA
DISN          7.54 NA   8.71 NA    9.01 NA
Pixel2mesh   11.13 NA   6.54 NA    6.10 NA
fix           1.61 1.02 1.50 0.72  4.19 0.16
rnd           1.82 1.16 1.49 0.63  4.52 0.18
"""
TABLE_2 = """
2-phase-fix     1.61 1.02 1.50 0.72 4.19 0.16
2-phase-rnd     1.82 1.16 1.49 0.63 4.52 0.18
end-to-end-fix  1.53 0.93 2.01 1.40 1.76 0.29
end-to-end-rnd  1.59 1.00 2.54 1.26 1.75 0.28
"""
CATEGORIES = ("chairs", "sofas", "airplanes")


def printed(table):
    """(row, category, "mean" or "median") -> the number as it is printed."""
    cells = {}
    for line in table.strip().splitlines():
        words = line.split()
        name, numbers = " ".join(words[:-6]), words[-6:]
        for place, number in enumerate(numbers):
            cells[name, CATEGORIES[place // 2], ("mean", "median")[place % 2]] = number
    return cells


def make_rows(methods, categories=CATEGORIES, split="test"):
    rng = np.random.default_rng(0)
    rows = [
        dict.fromkeys(COLUMNS, 0.5)
        | dict(category=category, split=split, shape_id=f"s{shape}", family="f", view=view, method=method, reason="")
        | dict(chamfer=rng.uniform(0, 0.01), protocol="30000 points, raw units", seed=0, run="runs/quick")
        for category in categories
        for method in methods
        for shape in range(3)
        for view in ("fix", "rnd0", "rnd1")
    ]
    return pd.DataFrame(rows)


def test_every_number_of_the_papers_tables_has_exactly_one_cell():
    table = beside_ours(make_rows(["encoder"]))
    first, second = (table[table["table"].str.contains(number)] for number in "12")
    expected = printed(TABLE_1)
    found = Counter()
    for row in first.to_dict("records"):
        name = row["view"] or row["paper"]
        for what in ("mean", "median"):
            assert row[f"{what}, paper"] == expected[name, row["category"], what]
            found[name, row["category"], what] += 1
    assert found == Counter(expected.keys())
    expected, found = printed(TABLE_2), Counter()
    for row in second.to_dict("records"):
        for what in ("mean", "median"):
            key = f"{row['paper']}-{row['view']}", row["category"], what
            assert row[f"{what}, paper"] == expected[key]
            found[key] += 1
    assert found == Counter(expected.keys())


def test_ours_are_the_summarys_mean_and_median_of_the_same_training_and_view():
    rows = make_rows(["encoder", "end to end", "end to end (contrastive)", "mean shape"])
    summary = summarize(rows).set_index(["category", "method", "view"])
    table = beside_ours(rows)
    ours = table[table["ours"] != ""]
    assert len(ours) == 3 * 3 * 2
    for row in ours.to_dict("records"):
        expected = summary.loc[(row["category"], row["ours"], row["view"])]
        assert row["mean, ours"] == f"{1000 * expected['mean']:.2f}"
        assert row["median, ours"] == f"{1000 * expected['median']:.2f}"


def test_the_papers_planes_started_contrastively_and_its_furniture_did_not():
    table = beside_ours(make_rows(["encoder"]))
    end = table[(table["paper"] == "end-to-end") & (table["view"] == "fix")].set_index(["category", "ours"])
    reported = end["mean, paper"].to_dict()
    assert reported["airplanes", "end to end (contrastive)"] == "1.76"
    assert reported["chairs", "end to end"] == "1.53"
    assert reported["airplanes", "end to end"] == reported["sofas", "end to end (contrastive)"] == NOT_REPORTED


def test_what_has_not_been_run_says_so_and_copied_numbers_have_no_counterpart():
    table = beside_ours(make_rows(["encoder"], categories=["chairs"]))
    cells = table.groupby(["category", "ours"])["mean, ours"].agg(set).to_dict()
    assert cells["chairs", "end to end"] == cells["sofas", "encoder"] == {NOT_RUN}
    assert NOT_RUN not in cells["chairs", "encoder"]
    assert all(cells[category, ""] == {OTHER_PROTOCOL} for category in CATEGORIES)
    assert len(PAPER) == 3 * 3 + 4 * 3


def test_rows_of_two_splits_are_refused():
    rows = pd.concat([make_rows(["encoder"]), make_rows(["encoder"], split="validation")])
    with pytest.raises(ResultsError, match="of the splits test, validation; take one"):
        beside_ours(rows)


def test_data_set_profile_and_protocol_are_named():
    words = provenance(make_rows(["encoder"]), "procedural")
    for part in ("ShapeNetCore v2", "procedural", "runs/quick", "30000 points, raw units", "3 chairs"):
        assert part in words
