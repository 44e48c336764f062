"""What minutes buy, on rows whose differences are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tpl.chapters.tables.minutes import longer_run, minutes_table
from tpl.dataset.collection import Collection, CollectionConfig
from tpl.evaluation.results import write_results
from tpl.evaluation.rows import COLUMNS
from tpl.pretrained import files
from tpl.study.bench import Bench
from tpl.study.judging import results_file
from tpl.study.methods import NEAREST_PIXELS, ORACLE_CODE, OUR_ENCODER

VALUES = np.array([1.0, 2.0, 6.0]) / 1000


def rows_of(minus: float, views: int = 2, shapes: int = 3) -> pd.DataFrame:
    """Our encoder and the oracle, so much better than `VALUES` by shape; pixels always the same."""
    rows = []
    for shape, value in enumerate(VALUES[:shapes]):
        for method in (OUR_ENCODER, NEAREST_PIXELS, ORACLE_CODE):
            better = 0 if method == NEAREST_PIXELS else minus / 1000
            for view in ["-"] if method == ORACLE_CODE else ["fix", *(f"rnd{draw}" for draw in range(views))]:
                row = dict.fromkeys(COLUMNS, 0.5) | dict(category="chairs", split="test", reason="", family="a")
                known = dict(shape_id=f"shape-{shape}", view=view, method=method)
                rows.append(row | known | dict(chamfer=value - better, chamfer_clean=value - better))
    return pd.DataFrame(rows)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PACKAGED", tmp_path / "none")
    return Bench(tmp_path / "short", Collection(tmp_path / "data", CollectionConfig()), ("chairs",))


def judged(bench, runs, rows, protocol="30000 points"):
    file = results_file(replace(bench, runs=runs))
    write_results(file, rows, protocol, 0, "run")
    return pd.read_csv(file, keep_default_na=False, na_values={"chamfer": ""})


def test_the_difference_is_that_of_the_same_shapes_and_views(bench, tmp_path):
    rows = judged(bench, bench.runs, rows_of(0.0, views=2))
    judged(bench, tmp_path / "long", rows_of(0.5, views=5))  # three draws more, which this run does not have
    longer = longer_run(bench, tmp_path / "long")
    assert longer
    table = minutes_table(rows, longer).map(lambda text: text.replace("\N{NO-BREAK SPACE}", " "))
    found = table.set_index(["method", "view"])
    assert list(found.index) == [
        (OUR_ENCODER, "fix"),
        (OUR_ENCODER, "rnd"),
        (NEAREST_PIXELS, "fix"),
        (NEAREST_PIXELS, "rnd"),
        (ORACLE_CODE, "-"),
    ]
    assert found["this run"].iloc[0].startswith("3.00 (") and found["longer"].iloc[0].startswith("2.50 (")
    assert found["medians"].iloc[0] == "2.00, 1.50"
    for method, gap in ((OUR_ENCODER, "-0.50"), (NEAREST_PIXELS, "+0.00")):
        assert found.loc[(method, "rnd"), "longer - this"] == f"{gap} ({gap} to {gap})"


def test_shapes_that_one_run_lacks_are_not_counted(bench, tmp_path):
    rows = judged(bench, bench.runs, rows_of(0.0, shapes=2))
    judged(bench, tmp_path / "long", rows_of(0.5))
    longer = longer_run(bench, tmp_path / "long")
    assert longer and set(minutes_table(rows, longer)["shapes"]) == {"2"}


def test_rows_of_another_protocol_are_not_compared(bench, tmp_path):
    rows = judged(bench, bench.runs, rows_of(0.0), "30000 points, grid 24")
    judged(bench, tmp_path / "long", rows_of(0.5), "30000 points, grid 64")
    longer = longer_run(bench, tmp_path / "long")
    assert longer and minutes_table(rows, longer).empty


def test_there_is_no_longer_run_where_none_is_judged_nor_of_itself(bench, tmp_path):
    assert longer_run(bench, tmp_path / "long") is None
    judged(bench, bench.runs, rows_of(0.0))
    assert longer_run(bench, bench.runs) is None
    judged(bench, tmp_path / "long", rows_of(0.5))
    found = longer_run(bench, tmp_path / "long")
    assert found and found.runs == tmp_path / "long"
