"""Verdicts about the paper's claims: each follows from the scores alone, and the paper's numbers are the paper's."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_comparison import table

from tpl.chapters.latent_space.measures import ViewCodes
from tpl.chapters.verdicts import judge, title_s_claim, told_apart, verdict_table, views
from tpl.rendering import FIXED

ENCODER = np.array([2.0, 4.0, 6.0, 8.0])
WOBBLE = np.array([0.1, -0.1, 0.2, -0.2])


def verdicts(**scores):
    """The verdict on each claim from the distances of methods; names with spaces are given with underscores."""
    judged = judge(table(**{name.replace("_", " "): list(values) for name, values in scores.items()}))
    return judged.set_index("claim")["verdict"].to_dict(), judged


def test_clear_scores_have_clear_verdicts():
    found, judged = verdicts(
        encoder=ENCODER,
        nearest_by_pixels=ENCODER + 1,
        nearest_by_cropped_pixels=ENCODER + 9,
        end_to_end=ENCODER + 3 + WOBBLE,
        **{"end to end (contrastive)": ENCODER + 0.2 + WOBBLE},
    )
    assert set(found.values()) == {"borne out"}
    assert "**borne out**" in title_s_claim(judged)
    first = judged.iloc[0]
    assert first["paper"] == "fix: 1.61 against 7.54; rnd: 1.82 against 7.54"  # DISN is the best of the previous ones
    assert first["here"].startswith("fix: 5.00 against 6.00 (-1.00, ")  # the better of the two rivals


def test_the_opposite_scores_have_the_opposite_verdicts():
    found, judged = verdicts(
        encoder=ENCODER,
        nearest_by_pixels=ENCODER - 1,
        end_to_end=ENCODER - 1 + WOBBLE,
        **{"end to end (contrastive)": 3 * ENCODER},
    )
    any_view = found.pop("any view will do")
    assert any_view == "borne out" and set(found.values()) == {"not borne out"}
    assert "**not borne out** at this budget: chairs not borne out." in title_s_claim(judged)


def test_equal_methods_are_comparable_and_neither_is_better():
    found, judged = verdicts(
        encoder=ENCODER,
        nearest_by_pixels=ENCODER + 30 * WOBBLE,
        end_to_end=ENCODER + WOBBLE,
        **{"end to end (contrastive)": ENCODER - WOBBLE},
    )
    assert found["contrast makes up for it"] == "borne out"
    assert found["contrast helps"] == found["two phases win"] == found["end to end alone is worse"] == "open"
    assert "**not borne out** at this budget, and not refuted: " in title_s_claim(judged)


def test_views_that_disagree_are_said_to():
    rows = table(**{"end to end": [5.0, 6.0, 7.0], "end to end (contrastive)": [4.0, 5.0, 6.0]})
    rows.loc[rows["method"].str.contains("contrastive") & (rows["view"] != "fix"), "chamfer"] += 0.003
    judged = judge(rows)
    assert judged.set_index("claim").loc["contrast helps", "verdict"] == "in part"
    assert "**in part**" in title_s_claim(judged)


def test_what_was_not_run_has_no_verdict():
    found, judged = verdicts(encoder=ENCODER)
    assert found.pop("any view will do") == "borne out" and set(found.values()) == {"not run"}
    assert "**not tried**" in title_s_claim(judged)


def test_a_failure_counts_as_the_worst():
    rows = table(**{"end to end": [5.0, 6.0, 7.0], "end to end (contrastive)": [4.9, 5.9, None]})
    judged = judge(rows).set_index("claim").loc["contrast helps"]
    assert judged["here"].startswith(f"fix: {(4.9 + 5.9 + 7.0) / 3:.2f} against 6.00")


def codes_of(spread: float) -> ViewCodes:
    """Codes of 6 shapes in 5 views each: `spread` between the views of one, 1 between shapes."""
    rng = np.random.default_rng(0)
    shape = np.repeat(np.arange(6), 5)
    codes = np.eye(6)[shape] + spread * rng.standard_normal((30, 6))
    return ViewCodes(codes, shape, np.tile(np.arange(5), 6), ("easy",) * 30, (FIXED,) * 30)


@pytest.mark.parametrize(("spreads", "verdict"), [((0.01, 3.0), "borne out"), ((3.0, 0.01), "not borne out")])
def test_codes_that_stay_with_their_shape_are_told_apart(monkeypatch, spreads, verdict):
    codes = {"end to end (contrastive)": codes_of(spreads[0]), "end to end": codes_of(spreads[1])}
    monkeypatch.setattr(views, "view_codes", lambda trained, method, shapes: codes[method])
    trained = SimpleNamespace(encoders=codes, bench=SimpleNamespace(shapes=lambda split: []))
    (row,) = told_apart({"airplanes": trained}).to_dict("records")
    assert row["verdict"] == verdict and "100 %" in row["here"]


def test_every_claim_has_its_line_and_its_categories_in_order():
    both = [table(encoder=ENCODER), table(encoder=ENCODER).assign(category="airplanes")]
    shown = verdict_table(judge(pd.concat(both, ignore_index=True)))
    assert list(shown.columns) == ["claim", "chairs", "airplanes", "see"]
    assert len(shown) == 5 and shown["claim"].str.contains("title").sum() == 1
    assert shown["see"].str.match(r"\{ref\}`[\w-]+`").all()
