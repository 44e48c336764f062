"""Paper and code: every row is there, a switch changes what it names, and verdicts are Student's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from test_trials import setup  # noqa: F401

from tpl.chapters.paper_and_code import disagreements
from tpl.chapters.paper_and_code.disagreements import (
    DISAGREEMENTS,
    MATTERS,
    OF_PHASE,
    SILENT,
    choose,
    effects,
    measure,
    measured_file,
    read_measured,
    t_interval,
    told,
    trials_of,
)
from tpl.chapters.paper_and_code.trials import CONFIGS, POINTS_PER_SHAPE, kept_trial, run_trial, trial_config, trial_key
from tpl.losses import pointpair_warp
from tpl.models.encoder import WeightsUnavailable
from tpl.settings import SettingsError
from tpl.training.embedding import new_decoder
from tpl.training.presets import EMBEDDING, PAIRS_PER_POINT, pairs_per_point

WHERE = {  # the rows of METHOD.md 8, in its order
    "eq9_labels": "Eq. 9",
    "eq8_sum": "Eq. 5 to 8",
    "eq5_images": "Eq. 5",
    "eq7_outputs": "Eq. 7",
    "code_prior": "Eq. 9",
    "eq10_target": "Eq. 10",
    "hard_views": "section 4.1",
    "pairs": "Fig. 4",
    "eq13_self": "Eq. 13",
    "contrastive_start": "section 5.2",
    "trunk": "section 5.1",
    "encoder_head": "section 3.2",
    "table2": "Table 2",
}
SWITCHES = [row for row in DISAGREEMENTS if row.phase != "none"]
each_switch = pytest.mark.parametrize("row", SWITCHES, ids=lambda row: row.name)


@pytest.fixture
def fresh(setup, tmp_path, monkeypatch):  # noqa: F811
    """The prepared shapes with an empty run folder, and every training in this process."""
    monkeypatch.setattr("tpl.chapters.paper_and_code.disagreements.joblib.cpu_count", lambda: 1)
    return setup._replace(bench=replace(setup.bench, runs=tmp_path / "runs"))


def flat(config) -> dict:
    """A configuration's fields, `encoder.width` for the field of a field."""
    names = {}
    for name, value in config.model_dump().items():
        inner = value.items() if isinstance(value, dict) else ()
        names |= {f"{name}.{field}": kept for field, kept in inner} or {name: value}
    return names


def test_every_row_is_there_and_says_something():
    assert {row.name: row.where for row in DISAGREEMENTS if row.name != "eq9_stiffness"} == WHERE
    for row in DISAGREEMENTS:
        assert row.paper and row.code and row.ours
        assert bool(row.first) == bool(row.second) == (row.phase in CONFIGS) == (not row.no_switch)


@each_switch
def test_the_two_settings_differ_in_the_fields_named_and_in_no_other(row, setup):  # noqa: F811
    first, second = (trials_of(row, setup)[setting, 1].config for setting in ("first", "second"))
    assert type(first) is type(second) is CONFIGS[row.phase] and first.seed == second.seed == 1
    first, second = flat(first), flat(second)
    assert set(row.first) | set(row.both) <= set(first)
    assert {name for name in first if first[name] != second[name]} == set(row.first) == set(row.second)
    if row.default:
        ours = trial_config(row.phase, row.both, setup, seed=1)
        assert flat(ours) == (first if row.default == "first" else second)


def test_the_weights_of_eq_9_are_the_presets_and_the_literal_one_is_far_too_stiff():
    weights = {row.name: (row.first, row.second) for row in SWITCHES}
    literal, ours = (setting["pointpair_weight"] for setting in weights["eq9_labels"])
    authors = weights["eq9_stiffness"][0]["pointpair_weight"]
    assert literal == EMBEDDING["paper"]["pointpair_weight"] == pytest.approx(2.73, abs=0.01)
    assert ours == EMBEDDING["fixed"]["pointpair_weight"] and authors == EMBEDDING["authors"]["pointpair_weight"]
    assert literal / ours == pytest.approx(50) and literal / authors == pytest.approx(250)


@pytest.mark.parametrize(("shapes", "points"), [(3, 16), (2, 21), (1, POINTS_PER_SHAPE)])
def test_a_sum_over_pairs_divided_by_the_points_is_the_mean_times_the_factor(shapes, points):
    rng = np.random.default_rng(points)
    before = rng.uniform(-1, 1, (shapes, points, 3))
    after = before + rng.normal(0, 0.5, before.shape)
    total, first = 0.0, points // 8
    for shape in range(shapes):
        for i in range(first):
            for j in range(first, points):
                apart = np.linalg.norm(before[shape, i] - before[shape, j])
                moved = (after - before)[shape, i] - (after - before)[shape, j]
                total += min(max(np.linalg.norm(moved) / (apart + 1e-3) - 0.5, 0), 5)
    mean = pointpair_warp(torch.tensor(after), torch.tensor(before)).item()
    assert total / (shapes * points) == pytest.approx(pairs_per_point(points) * mean, rel=1e-6)


def test_at_the_code_s_own_batch_the_factor_is_625_pairs_of_4375_each():
    assert PAIRS_PER_POINT == pairs_per_point(5000) == 625 * 4375 / 5000


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.5], [-0.3, 0.1], [5.0, 5.1, 4.9, 5.3]])
def test_the_interval_is_student_s(values):
    found = t_interval(values)
    expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    assert (found.low > 0 or found.high < 0) == (stats.ttest_1samp(values, 0).pvalue < 0.05)
    assert np.isnan(t_interval(values[:1]).low)


def rows_of(name: str, column: str, first: list[float], second: list[float], reason: str = "") -> pd.DataFrame:
    values = {("first", seed): value for seed, value in enumerate(first)}
    values |= {("second", seed): value for seed, value in enumerate(second)}
    rows = [dict(disagreement=name, setting=s, seed=n, reason=reason) | {column: v} for (s, n), v in values.items()]
    return pd.DataFrame(rows).reindex(columns=disagreements.MEASURED_COLUMNS)


def test_effects_are_paired_and_sorted_by_their_size_against_their_spread():
    # Seeds differ by far more than settings do: only pairs see it.
    loud = rows_of("trunk", "sdf_error", [0.011, 0.021, 0.0311], [0.010, 0.020, 0.030])
    silent = rows_of("pairs", "retrieval", [0.50, 0.40, 0.45], [0.45, 0.45, 0.45])
    table = effects(choose(), pd.concat([silent, loud])).set_index("disagreement")
    assert list(table.index) == ["trunk", "pairs"]
    assert table.loc["trunk", "verdict"] == MATTERS and table.loc["pairs", "verdict"] == SILENT
    assert table.loc["trunk", "mean"] == pytest.approx(1000 * (0.001 + 0.001 + 0.0011) / 3)
    assert table.loc["trunk", "harm"] == pytest.approx([5, 5, 5.5])
    assert table.loc["trunk", "harm_low"] < np.mean([5, 5, 5.5]) < table.loc["trunk", "harm_high"]


def test_harm_is_positive_where_the_first_setting_is_worse_whatever_better_means():
    retrieval = rows_of("pairs", "retrieval", [0.2, 0.3], [0.4, 0.4])
    harm = effects(choose("pairs"), retrieval).loc[0, "harm"]
    assert harm == pytest.approx([50, 25])


def test_one_seed_says_nothing_and_a_seed_that_failed_is_left_out():
    rows = rows_of("trunk", "sdf_error", [0.02], [0.01])
    assert effects(choose("trunk"), rows).loc[0, "verdict"] == "one seed says nothing"
    rows = rows_of("trunk", "sdf_error", [0.02, float("nan"), 0.02], [0.01, 0.01, 0.01])
    found = effects(choose("trunk"), rows).loc[0]
    assert found["seeds"] == 2 and found["mean"] == pytest.approx(10)


def test_an_unknown_name_is_told_which_there_are():
    assert [row.name for row in choose("trunk")] == ["trunk"] and choose() == list(DISAGREEMENTS)
    with pytest.raises(SettingsError, match="no disagreement is called 'eq99'; there are eq9_labels, eq9_stiffness, "):
        choose("eq99")


def test_a_switch_is_measured_once_then_read_and_what_is_shared_is_trained_once(fresh):
    both = [*choose("code_prior"), *choose("eq7_outputs")]
    assert read_measured(both[0], fresh) is None
    measured = measure(both[:1], fresh)
    assert [(row.setting, row.seed) for row in measured.itertuples()] == [
        (setting, seed) for setting in ("first", "second") for seed in range(2)
    ]
    assert np.isfinite(measured[list(OF_PHASE["embedding"])].to_numpy()).all()
    files = {path: path.stat().st_mtime_ns for path in fresh.bench.runs.rglob("*") if path.is_file()}
    assert len(list(fresh.bench.runs.rglob("trials/*.json"))) == 4 and measured_file(both[0], fresh) in files
    again = measure(both, fresh)
    pd.testing.assert_frame_equal(again[:4], measured)
    assert len(list(fresh.bench.runs.rglob("trials/*.json"))) == 6  # two of the second switch's four were there
    assert {path: path.stat().st_mtime_ns for path in files} == files
    other = fresh._replace(budget=fresh.budget.model_copy(update={"scored_shapes": 2}))
    assert read_measured(both[0], other) is None and read_measured(both[0], fresh) is not None


def test_the_template_is_told_nothing_the_warp_s_state_or_the_code(setup):  # noqa: F811
    dim, points = setup.budget.latent_dim, torch.randn(2, 5, 3)
    trials = {setting: trial for (setting, seed), trial in trials_of(told(dim), setup).items() if seed == 0}
    widths, of_the_code = {}, set()
    for setting, trial in trials.items():
        beside = new_decoder(trial.config).warp(points, torch.randn(2, dim))[-1, ..., 3:]
        widths[setting] = beside.shape[-1]
        if beside.numel() and (beside == beside[:, :1]).all():  # the same at all points of a shape
            of_the_code.add(setting)
    assert list(widths.values()) == [0, 8, 8, 8, dim]
    assert of_the_code == {"8 numbers of the code", "the code"}
    priced = {name for name, trial in trials.items() if widths[name] and trial.config.ambient_weight}
    assert priced == {"8 numbers of the warp's state, at a price"}


def test_what_the_template_is_told_is_measured_beside_being_told_nothing(fresh):
    variants = told(fresh.budget.latent_dim)
    assert read_measured(variants, fresh) is None
    measured = measure([variants], fresh)
    assert list(measured["setting"]) == [setting for setting in variants.settings for seed in range(2)]
    assert np.isfinite(measured[list(OF_PHASE["embedding"])].to_numpy()).all()
    pd.testing.assert_frame_equal(read_measured(variants, fresh), measured)


def test_interrupted_it_goes_on_and_ends_with_the_same_numbers(fresh, tmp_path, monkeypatch):
    rows, calls = choose("eq13_self"), []

    def die_at_the_third(key, trials, setup):  # noqa: F811
        calls.append(key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_trial(key, trials, setup)

    monkeypatch.setattr(disagreements, "run_trial", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        measure(rows, fresh)
    done = {kept_trial(key, fresh): kept_trial(key, fresh).stat().st_mtime_ns for key in calls[:2]}
    assert not measured_file(rows[0], fresh).exists()
    interrupted = measure(rows, fresh)
    assert len(calls) == 5 and {path: path.stat().st_mtime_ns for path in done} == done
    assert {trial_key(trial, fresh) for trial in trials_of(rows[0], fresh).values()} == set(calls)
    whole = measure(rows, fresh._replace(bench=replace(fresh.bench, runs=tmp_path / "other")))
    pd.testing.assert_frame_equal(interrupted.drop(columns="seconds"), whole.drop(columns="seconds"))


def test_weights_that_cannot_be_had_are_rows_with_a_reason_and_no_file(fresh, monkeypatch):
    def refuse(width):
        raise WeightsUnavailable("the weights cannot be had (no network): put file.pth into /a/folder")

    monkeypatch.setattr(disagreements, "imagenet_trunk", refuse)
    rows = choose("contrastive_start")
    measured = measure(rows, fresh)
    assert len(measured) == 4 and measured["retrieval"].isna().all()
    assert not fresh.bench.runs.exists()
    found = effects(rows, measured)
    assert found.loc[0, "seeds"] == 0 and found.loc[0, "verdict"] == "not tried: the weights cannot be had"


def test_what_is_no_switch_is_not_measured(fresh):
    assert measure(choose("table2"), fresh).empty and not fresh.bench.runs.exists()
    assert effects(choose("table2"), measure(choose("table2"), fresh)).empty
