import numpy as np
import pandas as pd

from tpl.chapters.tables.comparison import by_kind, compare_pairs, comparison_table, every_shape, unbroken
from tpl.evaluation.rows import WORST
from tpl.evaluation.summary import summarize


def row(shape_id, chamfer, method, view="fix", category="chairs", family="stool-star-low"):
    failed = chamfer is None
    score = np.nan if failed else chamfer / 1000
    return {
        "category": category,
        "split": "test",
        "shape_id": shape_id,
        "family": family,
        "view": view,
        "method": method,
        "chamfer": score,
        "chamfer_clean": score,
        "f_score": np.nan if failed else 0.5,
        "normal_consistency": np.nan if failed else 0.8,
        "seconds": 0.1,
        "reason": "EmptyShape: no surface" if failed else "",
    }


def table(**scores):
    """Rows of one category: for each method the distances x 1000 of its shapes, in the fixed and two random views."""
    rows = []
    for method, values in scores.items():
        views = ["-"] if method in ("mean shape", "oracle code") else ["fix", "rnd0", "rnd1"]
        rows += [row(f"s{place}", value, method, view) for place, value in enumerate(values) for view in views]
    return pd.DataFrame(rows)


SCORES = {
    "encoder": [2.0, 4.0, 6.0, 8.0],
    "nearest by code": [3.0, 5.0, 7.0, 9.5],
    "mean shape": [20.0, 20.0, 20.0, 20.0],
    "oracle code": [1.0, 1.0, 1.0, 1.0],
}


def test_a_method_that_is_told_the_camera_is_never_called_the_best():
    told, alone = "our encoder, refined, camera known", "our encoder, refined"
    summary = summarize(table(**{alone: [2.0, 4.0], told: [1.0, 3.0]}))
    made = comparison_table(summary, {"chairs": 0.00002}).set_index("method")["chairs mean"]
    assert set(made[unbroken(alone)]) == {"**3.00**"} and set(made[unbroken(told)]) == {"2.00"}


def test_the_comparison_has_the_layout_of_the_papers_table_and_marks_the_best_of_each_view():
    made = comparison_table(summarize(table(**SCORES)), {"chairs": 0.00002})
    assert list(made.columns) == ["method", "view", "chairs mean", "chairs median"]
    cells = made.set_index([made["method"].str.replace("\xa0", " "), "view"])["chairs mean"].to_dict()
    assert cells == {
        ("encoder", "fix"): "**5.00**",
        ("encoder", "rnd"): "**5.00**",
        ("nearest by code", "fix"): "6.12",
        ("nearest by code", "rnd"): "6.12",
        ("mean shape", "-"): "20.00",
        ("oracle code", "-"): "1.00",
        ("sampling floor", "-"): "0.020",
    }


def test_a_method_that_a_category_lacks_leaves_its_cells_empty():
    rows = pd.concat([table(**SCORES), table(encoder=[1.0, 2.0]).assign(category="sofas")])
    made = comparison_table(summarize(rows), {"chairs": 0.0, "sofas": 0.0}).set_index(["method", "view"])
    assert made.loc[(unbroken("nearest by code"), "fix"), "sofas mean"] == ""
    assert made.loc[("encoder", "fix"), "sofas median"] == "**1.50**"


def test_kinds_stand_hardest_first_and_a_failure_counts_as_the_worst():
    rows = [
        row("a", 2.0, "encoder", family="frame-sled"),
        row("b", 4.0, "encoder", family="frame-slab"),
        row("c", None, "encoder", family="stool-star"),
        row("c", 10.0, "mean shape", "-", family="stool-star"),
        row("c", 99.0, "encoder", "rnd0", family="stool-star"),  # another view: not in this table
    ]
    made = by_kind(pd.DataFrame(rows).iloc[:4], ["encoder", "oracle code"])
    assert made.to_dict("records") == [
        {"category": "chairs", "kind": "stool", "shapes": 1, "encoder": "10.00"},
        {"category": "chairs", "kind": "frame", "shapes": 2, "encoder": "3.00"},
    ]
    with_random = by_kind(pd.DataFrame(rows), ["encoder"])
    assert with_random.set_index("kind").loc["frame", "encoder"] == "3.00"


def test_where_nothing_succeeds_a_kind_has_the_worst_there_can_be():
    made = by_kind(pd.DataFrame([row("a", None, "encoder")]), ["encoder"])
    assert made["encoder"].tolist() == [f"{1000 * WORST:.2f}"]


def test_every_shape_stands_once_the_worst_first_and_a_failure_before_all():
    rows = table(encoder=[2.0, 9.0, 4.0], **{"mean shape": [20.0] * 3})
    rows.loc[(rows["shape_id"] == "s0") & (rows["view"] == "rnd1"), "chamfer"] = 0.005
    made = every_shape(rows, "encoder")
    assert made[["shape", "fix", "rnd", "F-score"]].values.tolist() == [
        ["s1", "9.00", "9.00", "0.500"],
        ["s2", "4.00", "4.00", "0.500"],
        ["s0", "2.00", "3.50", "0.500"],
    ]
    assert "reason" not in made
    failed = every_shape(table(encoder=[2.0, None]), "encoder")
    assert failed[["shape", "fix", "rnd", "reason"]].values.tolist() == [
        ["s1", "", "", "EmptyShape: no surface"],
        ["s0", "2.00", "2.00", ""],
    ]


def test_a_pair_is_decided_only_where_the_interval_excludes_zero():
    rows = table(**SCORES, **{"nearest by pixels": [1.0, 5.5, 5.0, 9.0]})
    pairs = [("encoder", "nearest by code"), ("encoder", "nearest by pixels"), ("encoder", "nobody")]
    made = compare_pairs(rows, pairs)
    fix = made[made["view"] == "fix"].set_index("second")
    assert fix["verdict"].to_dict() == {"nearest by code": "encoder", "nearest by pixels": "open"}
    assert fix.loc["nearest by code", "first - second"] == "-1.12"
    assert fix.loc["nearest by code", "first is better on"] == "100%"
    backwards = compare_pairs(rows, [("nearest by code", "encoder")])
    assert set(backwards["verdict"]) == {"encoder"}


def test_no_pair_with_rows_is_an_empty_table_with_its_columns():
    assert {"verdict", "difference"} <= set(compare_pairs(table(encoder=[1.0]), [("encoder", "nobody")]).columns)
