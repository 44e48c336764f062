import pickle

import numpy as np
import pandas as pd
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl.evaluation.results import ResultsError, read_results, write_results
from tpl.evaluation.retrieval import distance_to_nearest_other, nearest_by_code, nearest_by_pixels, nearest_by_surface
from tpl.evaluation.rows import COLUMNS, WORST, Case, attempt, case_rng, evaluate_reconstruction, random_views
from tpl.evaluation.summary import (
    bootstrap_mean,
    failures_as_worst,
    format_summary,
    paired_difference,
    summarize,
)
from tpl.geometry.marching import EmptyShape, sample_mesh
from tpl.metrics import chamfer_distance, sampling_floor

CASE = Case("chairs", "test", "0007", "four legs, ladder", "fix", "encoder")
BALL = trimesh.creation.icosphere(4, 0.4)
TRUTH, NORMALS = sample_mesh(BALL, 5000, np.random.default_rng(0))


def evaluate(reconstruction, seed=1, **options):
    options = {"points": 5000} | options
    return evaluate_reconstruction(CASE, reconstruction, TRUTH, NORMALS, np.random.default_rng(seed), **options)


def row(shape_id, chamfer, method="encoder", view="fix", category="chairs", split="test", **others):
    """A row of the table; a chamfer of None is a failure."""
    failed = chamfer is None
    scores = {"chamfer": chamfer, "chamfer_clean": chamfer, "f_score": 0.5, "normal_consistency": 0.8}
    scores = dict.fromkeys(scores, np.nan) if failed else scores
    return {
        "category": category,
        "split": split,
        "shape_id": shape_id,
        "family": "plain",
        "view": view,
        "method": method,
        **scores,
        "seconds": 0.1,
        "reason": "EmptyShape: no surface" if failed else "",
    } | others


def rows_of(*chamfers, **options):
    return [row(f"{place:04d}", chamfer, **options) for place, chamfer in enumerate(chamfers)]


# One row


def test_the_truth_itself_scores_the_sampling_floor():
    result = evaluate(BALL, seconds=0.25)
    assert list(result) == COLUMNS
    assert result["shape_id"] == "0007" and result["seconds"] == 0.25 and result["reason"] == ""
    floor = sampling_floor(BALL, 5000, np.random.default_rng(2))
    assert result["chamfer"] == pytest.approx(floor, rel=0.1)
    assert result["chamfer_clean"] == result["chamfer"]
    assert result["normal_consistency"] > 0.99
    assert evaluate(BALL, threshold=0.05)["f_score"] == 1


def test_a_ball_of_another_size_is_as_far_as_the_difference_of_radii():
    result = evaluate(trimesh.creation.icosphere(4, 0.5), threshold=0.05)
    assert result["chamfer"] == pytest.approx(2 * 0.1**2, rel=0.05)
    assert result["f_score"] == 0


def test_floaters_count_in_one_column_and_not_in_the_other():
    crumb = trimesh.creation.icosphere(2, 0.05)
    crumb.apply_translation((0.9, 0, 0))
    result = evaluate(trimesh.util.concatenate([BALL, crumb]))
    assert result["chamfer"] > 2 * result["chamfer_clean"]
    assert result["chamfer_clean"] == pytest.approx(evaluate(BALL)["chamfer"], rel=0.2)
    kept = evaluate(trimesh.util.concatenate([BALL, crumb]), floater_share=0.001)
    assert kept["chamfer_clean"] == kept["chamfer"]


@pytest.mark.parametrize(
    "failure, reason",
    [
        (EmptyShape("no surface:\n nothing"), "EmptyShape: no surface: nothing"),
        (KeyError(), "KeyError"),
        (trimesh.Trimesh(), "ValueError: a mesh of 0 faces and no area has no surface to sample; drop it"),
    ],
)
def test_a_failure_is_a_row_with_its_reason_and_no_score(failure, reason):
    result = evaluate(failure)
    assert result["reason"] == reason
    assert all(np.isnan(result[score]) for score in ("chamfer", "chamfer_clean", "f_score", "normal_consistency"))


def test_without_true_normals_there_is_no_normal_consistency():
    rng = np.random.default_rng(0)
    result = evaluate_reconstruction(CASE, BALL, TRUTH, None, rng, points=100)
    assert np.isnan(result["normal_consistency"]) and result["chamfer"] > 0


def test_a_faulty_truth_is_not_a_fault_of_the_method():
    with pytest.raises(ValueError, match="shape '0007' has no usable ground truth; prepare it again"):
        evaluate_reconstruction(CASE, BALL, TRUTH[:0], None, np.random.default_rng(0))


def test_rows_are_decided_by_the_seed_and_survive_another_process():
    assert evaluate(BALL, seed=3) == evaluate(BALL, seed=3) != evaluate(BALL, seed=4)
    assert pickle.loads(pickle.dumps(evaluate_reconstruction)) is evaluate_reconstruction
    assert pickle.loads(pickle.dumps(CASE)) == CASE


def test_attempt_returns_the_mesh_or_the_error_and_lets_the_user_stop():
    assert attempt(lambda: BALL).result is BALL
    tried = attempt(lambda: [][0])
    assert isinstance(tried.result, IndexError) and tried.seconds >= 0

    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(stopped)


# Randomness


def test_each_case_has_its_own_generator():
    draw = {names: case_rng(0, *names).random() for names in [("a",), ("b",), ("a", "b"), ("b", "a")]}
    assert len(set(draw.values())) == 4
    assert case_rng(0, "a").random() == draw[("a",)] != case_rng(1, "a").random()


@settings(deadline=None)
@given(available=st.integers(1, 60), draws=st.integers(1, 8), seed=st.integers(0, 9))
def test_random_views_differ_as_long_as_there_are_enough(available, draws, seed):
    views = random_views("0007", available, draws, seed)
    assert views.shape == (draws,)
    assert views.min() >= 0 and views.max() < available
    assert len(set(views.tolist())) == min(draws, available)
    np.testing.assert_array_equal(views, random_views("0007", available, draws, seed))


def test_random_views_are_spread_over_all_views():
    first = [random_views(f"{place}", 10)[0] for place in range(2000)]
    np.testing.assert_allclose(np.bincount(first, minlength=10) / 2000, 0.1, atol=0.03)


def test_a_shape_without_views_is_refused():
    with pytest.raises(ValueError, match="shape 'a' has no views"):
        random_views("a", 0)


# Retrieval


def test_nearest_by_pixels_finds_the_image_under_noise_and_at_another_size():
    rng = np.random.default_rng(0)
    gallery = rng.integers(0, 256, (7, 32, 32, 3)).astype(np.uint8)
    order = np.array([3, 0, 6])
    noisy = np.clip(gallery[order].astype(int) + rng.integers(-20, 20, (3, 32, 32, 3)), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(nearest_by_pixels(noisy, gallery), order)
    larger = noisy.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(nearest_by_pixels(larger, gallery), order)


def test_nearest_by_pixels_is_blind_to_hue():
    luma = np.array([299, 587, 114]) / 1000
    red = np.zeros((1, 32, 32, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    grey = np.full_like(red, round(255 * luma[0]))
    white = np.full_like(red, 255)
    assert nearest_by_pixels(red, np.concatenate([white, grey])) == [1]


def test_with_a_crop_it_is_no_matter_where_the_object_stands_and_how_near():
    def cross_or_disk(disk: bool, side: int, left: int, top: int) -> np.ndarray:
        image = np.full((64, 64, 3), 255, np.uint8)
        x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2)
        shown = x**2 + y**2 <= 1 if disk else np.minimum(abs(x), abs(y)) < 0.3
        image[top : top + side, left : left + side][shown] = 70
        return image

    gallery = np.stack([cross_or_disk(True, 40, 12, 12), cross_or_disk(False, 20, 2, 40)])
    query = cross_or_disk(True, 20, 2, 40)[None]
    assert nearest_by_pixels(query, gallery) == [1]  # where it stands decides
    assert nearest_by_pixels(query, gallery, crop=True) == [0]
    assert nearest_by_pixels(np.full_like(query, 255), gallery, crop=True).shape == (1,)  # nothing to crop to


def test_nearest_by_code_is_the_smallest_distance():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(9, 5)), rng.normal(size=(30, 5))
    expected = [np.argmin([np.sum((code - other) ** 2) for other in gallery]) for code in query]
    np.testing.assert_array_equal(nearest_by_code(query, gallery), expected)
    assert nearest_by_code(query[:0], gallery).shape == (0,)


def on_sphere(radius, count=3000, seed=0):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_nearest_by_surface_is_the_sphere_of_the_nearest_radius():
    gallery = [on_sphere(radius, seed=1) for radius in np.linspace(0.1, 1.0, 19)]  # 0.05 apart
    asked = [on_sphere(radius) for radius in (0.26, 0.44, 2.0)]
    for kept in (1, 4, 100):
        np.testing.assert_array_equal(nearest_by_surface(asked, gallery, few=1000, kept=kept), [3, 7, 18])
    assert nearest_by_surface([], gallery).shape == (0,)


def test_nearest_by_surface_compares_the_best_few_by_many_points():
    gallery = [on_sphere(0.5, seed=seed) for seed in range(12)]  # alike, but for the points: few do not tell them apart
    asked = [gallery[7] + 1e-4, gallery[2] - 1e-4]
    np.testing.assert_array_equal(nearest_by_surface(asked, gallery, few=50, many=3000, kept=12), [7, 2])
    all_points = [np.argmin([chamfer_distance(points, other) for other in gallery]) for points in asked]
    assert all_points == [7, 2]


def test_the_distance_to_the_nearest_other_is_the_least_chamfer_distance():
    surfaces = [on_sphere(radius, seed=seed)[:400] for seed, radius in enumerate((0.2, 0.25, 0.6, 0.9))]
    plain = [min(chamfer_distance(a, b) for b in surfaces if b is not a) for a in surfaces]
    np.testing.assert_allclose(distance_to_nearest_other(surfaces), plain)
    again = distance_to_nearest_other([*surfaces, surfaces[3]], points=400)
    assert again[3] == again[4] < 0.01 < again[2]  # a twin, but for the points that are taken
    with pytest.raises(ValueError, match="1 surfaces have no others"):
        distance_to_nearest_other(surfaces[:1])


def test_an_empty_gallery_is_refused():
    with pytest.raises(ValueError, match="the gallery is empty: nothing to retrieve"):
        nearest_by_code(np.zeros((1, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="the gallery is empty"):
        nearest_by_pixels(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="the gallery is empty"):
        nearest_by_surface([np.zeros((5, 3))], [])


# Summaries


def test_a_summary_of_known_numbers():
    summary = summarize(pd.DataFrame(rows_of(0.001, 0.002, 0.006))).iloc[0]
    assert summary[["category", "split", "method", "view", "shapes", "failed"]].tolist() == [
        "chairs",
        "test",
        "encoder",
        "fix",
        3,
        "0 of 3",
    ]
    assert summary["mean"] == pytest.approx(0.003)
    assert summary["median"] == 0.002
    assert 0.0009 < summary["low"] < 0.003 < summary["high"] < 0.0061
    assert summary["f_score"] == 0.5 and summary["seconds"] == pytest.approx(0.1)
    assert np.isnan(summary["spread"])


def test_a_failure_counts_as_the_worst_of_its_category():
    rows = rows_of(0.001, None, 0.002, None) + rows_of(0.004, 0.009, 0.003, 0.002, method="mean shape")
    rows += rows_of(0.5, category="sofas")
    summary = summarize(pd.DataFrame(rows)).set_index(["category", "method"]).loc[("chairs", "encoder")]
    assert summary["mean"] == pytest.approx((0.001 + 0.009 + 0.002 + 0.009) / 4)
    assert summary["median"] == pytest.approx((0.002 + 0.009) / 2)
    assert summary["f_score"] == pytest.approx(0.25) and summary["normal_consistency"] == pytest.approx(0.4)
    assert summary["failed"] == "2 of 4"


def test_where_nothing_succeeds_the_worst_possible_counts():
    summary = summarize(pd.DataFrame(rows_of(None, None))).iloc[0]
    assert summary["mean"] == summary["median"] == WORST
    opposite = np.array([[0.5, 0, 0]]), np.array([[-0.5, 0, 0]])
    assert chamfer_distance(*opposite) == WORST


def test_the_worst_is_that_of_the_group_or_of_all_or_what_stands_for_it():
    rows = pd.DataFrame({"chamfer": [0.1, np.nan, 0.3, np.nan, np.nan], "category": list("aabbc"), "all": 0})
    assert failures_as_worst(rows, group="all").tolist() == [0.1, 0.3, 0.3, 0.3, 0.3]
    assert failures_as_worst(rows).tolist() == [0.1, 0.1, 0.3, 0.3, WORST]
    assert np.isnan(failures_as_worst(rows, nothing=np.nan)[4])


@settings(deadline=None, max_examples=40)
@given(
    chamfers=st.lists(st.floats(1e-5, 1), min_size=3, max_size=12),
    victim=st.integers(0, 11),
)
def test_no_method_gains_by_failing(chamfers, victim):
    victim %= len(chamfers)
    failed = [None if place == victim else value for place, value in enumerate(chamfers)]
    other = rows_of(*chamfers, method="rival")
    honest, with_failure = (
        summarize(pd.DataFrame(rows_of(*values) + other), resamples=2).iloc[0] for values in (chamfers, failed)
    )
    for figure in ("mean", "median", "mean_clean", "median_clean"):
        assert with_failure[figure] >= honest[figure] - 1e-12
    for figure in ("f_score", "normal_consistency"):
        assert with_failure[figure] <= honest[figure] + 1e-12


def test_without_normals_anywhere_a_failure_does_not_invent_them():
    rows = rows_of(0.001, None, normal_consistency=np.nan)
    assert np.isnan(summarize(pd.DataFrame(rows)).iloc[0]["normal_consistency"])


def test_random_views_are_averaged_by_draw():
    draws = np.array([[1.0, 2, 6], [2, 2, 2], [3, 5, 4]])  # draw, shape
    rows = [r for k, draw in enumerate(draws) for r in rows_of(*draw, view=f"rnd{k}")]
    rows += rows_of(1.0, 1.0, 1.0)
    summary = summarize(pd.DataFrame(rows)).set_index("view")
    assert summary.index.tolist() == ["rnd", "fix"]
    random = summary.loc["rnd"]
    assert random["shapes"] == 3 and random["failed"] == "0 of 9"
    assert random["mean"] == pytest.approx(draws.mean())
    assert random["median"] == pytest.approx(np.median(draws, axis=1).mean())
    assert random["spread"] == pytest.approx(draws.mean(axis=1).std(ddof=1))


def test_the_interval_is_over_shapes_not_over_draws():
    """Repeating every row as another draw brings no new shape, so the interval stays."""
    once = rows_of(*np.linspace(0.001, 0.01, 10), view="rnd0")
    many = [r | {"view": f"rnd{k}"} for k in range(5) for r in once]
    few, repeated = (summarize(pd.DataFrame(rows)).iloc[0] for rows in (once, many))
    assert (few["low"], few["high"]) == (pytest.approx(repeated["low"]), pytest.approx(repeated["high"]))


def test_the_interval_covers_the_mean_of_the_population():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        summary = summarize(pd.DataFrame(rows_of(*rng.gamma(4, 0.25, 40))), seed, resamples=300).iloc[0]
        covered += summary["low"] <= 1 <= summary["high"]
    assert 86 <= covered <= 99


def test_the_interval_is_that_of_95_percent_at_both_ends():
    """Of many values a mean is normal: 1.96 of its standard errors to either side."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    error = values.std() / 20
    low, high = bootstrap_mean(values, seed=0, resamples=20_000)
    assert (values.mean() - low) / error == pytest.approx(1.96, abs=0.06)
    assert (high - values.mean()) / error == pytest.approx(1.96, abs=0.06)


def test_two_shapes_have_an_interval_from_one_to_the_other():
    summary = summarize(pd.DataFrame(rows_of(0.001, 0.002))).iloc[0]
    assert (summary["low"], summary["high"]) == (0.001, 0.002)


def test_figures_without_floaters_are_of_the_meshes_without_them():
    rows = [
        r | {"chamfer_clean": clean}
        for r, clean in zip(rows_of(0.003, 0.008, 0.009), (0.001, 0.002, 0.006), strict=True)
    ]
    summary = summarize(pd.DataFrame(rows)).iloc[0]
    assert summary["mean_clean"] == pytest.approx(0.003) and summary["median_clean"] == 0.002
    assert summary["mean"] == pytest.approx(0.02 / 3) and summary["median"] == 0.008


def test_one_shape_has_no_interval():
    summary = summarize(pd.DataFrame(rows_of(0.001))).iloc[0]
    assert np.isnan(summary["low"]) and summary["mean"] == 0.001


def test_splits_are_kept_apart():
    rows = rows_of(0.001, 0.002) + rows_of(0.1, 0.2, split="train")
    assert summarize(pd.DataFrame(rows))["split"].tolist() == ["test", "train"]


@pytest.mark.parametrize(
    "rows, message",
    [
        (rows_of(0.1, 0.2) + rows_of(0.1), "'encoder' has two rows for '0000', view 'fix'; keep one"),
        (
            rows_of(0.1, 0.2, view="rnd0") + rows_of(0.1, view="rnd1"),
            "'encoder' has no row for '0001', view 'rnd1'; a failure must be a row",
        ),
        (rows_of(np.nan), "'encoder' has neither score nor reason for '0000'"),
        ([{"category": "chairs"}], "these rows are no results: they lack split, shape_id"),
    ],
)
def test_rows_with_gaps_are_refused(rows, message):
    with pytest.raises(ResultsError, match=message):
        summarize(pd.DataFrame(rows))


def test_a_summary_leaves_its_rows():
    rows = pd.DataFrame(rows_of(0.001, None))
    before = rows.copy()
    summarize(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_the_printed_table_is_times_1000_and_has_no_nan():
    rows = rows_of(0.001, 0.002, None) + rows_of(0.003, view="-", method="mean shape")
    table = format_summary(summarize(pd.DataFrame(rows)))
    assert table["mean"].tolist() == ["2.00", "3.00"]
    assert table["failed"].tolist() == ["1 of 3", "0 of 1"]
    assert table["median"].tolist() == ["2.00", "3.00"] and table["mean, no floaters"].tolist() == ["2.00", "3.00"]
    assert table["F-score"].tolist() == ["0.333", "0.500"]  # of shares, as they are
    assert table["normals"].tolist() == ["0.533", "0.800"]
    assert table["95 %"].tolist()[1] == "" and " to " in table["95 %"].tolist()[0]
    assert not table.astype(str).map(lambda cell: "nan" in cell).to_numpy().any()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), count=st.integers(2, 60))
def test_the_interval_is_that_of_means_of_shapes_drawn_again(seed, count):
    """The draws are NumPy's, shape after shape: published intervals stay what they are."""
    values = np.random.default_rng(seed).lognormal(size=count)
    drawn = np.random.default_rng(seed).integers(count, size=(500, count))
    means = [np.mean([values[shape] for shape in row]) for row in drawn]
    assert bootstrap_mean(values, seed, 500) == pytest.approx((np.quantile(means, 0.025), np.quantile(means, 0.975)))


# Pairs


def test_a_constant_gain_has_an_interval_of_no_width():
    rows = rows_of(0.1, 0.5, 0.9) + rows_of(0.2, 0.6, 1.0, method="rival")
    result = paired_difference(pd.DataFrame(rows), "encoder", "rival").iloc[0]
    assert result["difference"] == pytest.approx(-0.1)
    assert result["low"] == pytest.approx(-0.1) and result["high"] == pytest.approx(-0.1)
    assert result["better"] == 1 and result["shapes"] == 3


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 50))
def test_exchanging_the_methods_mirrors_the_difference(seed):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rows_of(*rng.random(8)) + rows_of(*rng.random(8), method="rival"))
    there, back = (paired_difference(rows, *pair).iloc[0] for pair in (("encoder", "rival"), ("rival", "encoder")))
    assert there["difference"] == pytest.approx(-back["difference"])
    assert there["low"] == pytest.approx(-back["high"]) and there["high"] == pytest.approx(-back["low"])
    assert there["better"] + back["better"] == 1


def test_pairs_follow_the_shape_not_the_order_and_average_the_draws():
    encoder = [r for k in range(2) for r in rows_of(0.1 + k, 0.3 + k, view=f"rnd{k}")]
    rival = rows_of(0.5, 0.6, method="mean shape", view="-")[::-1]
    result = paired_difference(pd.DataFrame(encoder + rival), "encoder", "mean shape")
    assert result["view"].tolist() == ["rnd"]
    assert result.iloc[0]["difference"] == pytest.approx(np.mean([0.6 - 0.5, 0.8 - 0.6]))


def test_a_tie_is_nobodys_gain():
    rows = pd.DataFrame(rows_of(0.1, 0.2, 0.3, 0.4) + rows_of(0.1, 0.2, 0.4, 0.3, method="rival"))
    for pair in (("encoder", "rival"), ("rival", "encoder")):
        assert paired_difference(rows, *pair).iloc[0]["better"] == 0.25


def test_a_tie_stays_one_where_one_of_the_methods_has_draws():
    """The mean of five equal numbers is not always that number."""
    scores = np.random.default_rng(0).random(200)
    draws = [row for draw in range(5) for row in rows_of(*scores, view=f"rnd{draw}")]
    rows = pd.DataFrame(draws + rows_of(*scores, method="retrieval", view="-"))
    for pair in (("encoder", "retrieval"), ("retrieval", "encoder")):
        assert paired_difference(rows, *pair).iloc[0]["better"] == 0


def test_a_failure_loses_its_pair():
    rows = rows_of(None, 0.2) + rows_of(0.3, 0.2, method="rival")
    result = paired_difference(pd.DataFrame(rows), "rival", "encoder").iloc[0]
    assert result["difference"] == 0  # the failure costs as much as the worst success: never less
    rows = rows_of(None, 0.4) + rows_of(0.3, 0.2, method="rival")
    assert paired_difference(pd.DataFrame(rows), "rival", "encoder").iloc[0]["better"] == 1


def test_pairs_that_are_none_are_refused():
    rows = pd.DataFrame(rows_of(0.1, 0.2) + rows_of(0.1, method="rival"))
    with pytest.raises(ResultsError, match="no rows of the method 'oracle'; there are encoder, rival"):
        paired_difference(rows, "encoder", "oracle")
    with pytest.raises(ResultsError, match="not evaluated on the same chairs: only one has '0001'"):
        paired_difference(rows, "encoder", "rival")
    apart = pd.DataFrame(rows_of(0.1) + rows_of(0.1, method="rival", category="sofas"))
    with pytest.raises(ResultsError, match="no category and view in common"):
        paired_difference(apart, "encoder", "rival")


# On disk


def test_results_survive_the_disk_to_the_last_bit(tmp_path):
    rows = [row("0012", 1 / 3, seconds=0.1 + 0.2), row("1e5", None), row("NA", 0.2, family='a "b", c')]
    path = tmp_path / "results" / "chairs.csv"
    write_results(path, rows, protocol="30000 points, raw", seed=3, run="quick")
    table = read_results(path)
    expected = pd.DataFrame(rows)[COLUMNS].assign(protocol="30000 points, raw", seed=3, run="quick")
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(summarize(table), summarize(pd.DataFrame(rows)))
    assert [file.name for file in path.parent.iterdir()] == ["chairs.csv"]


def test_a_folder_of_results_is_one_table(tmp_path):
    for category in ("sofas", "chairs"):
        write_results(tmp_path / f"{category}.csv", rows_of(0.1, category=category), "p", 0, "quick")
    assert read_results(tmp_path)["category"].tolist() == ["chairs", "sofas"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "chairs.csv"
    write_results(path, rows_of(0.1), "p", 0, "quick")

    def full_disk(self, target, **options):
        target.write_text("half a")
        raise OSError("no space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_results(path, rows_of(0.2), "p", 0, "quick")
    assert read_results(path)["chamfer"].tolist() == [0.1]
    assert [file.name for file in tmp_path.iterdir()] == ["chairs.csv"]


def test_results_that_are_none_are_refused(tmp_path):
    with pytest.raises(ResultsError, match="no results at .*none.csv; chapter 04_encoder makes them"):
        read_results(tmp_path / "none.csv", made_by="04_encoder")
    with pytest.raises(ResultsError, match="chapter 07_tables makes them: run `tpl run 07_tables`"):
        read_results(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ResultsError, match="other.csv is no table of results: it lacks category"):
        read_results(tmp_path / "other.csv")
    with pytest.raises(ResultsError, match="nothing written to .*new.csv: the rows lack split"):
        write_results(tmp_path / "new.csv", [{"category": "chairs"}], "p", 0, "quick")
    assert not (tmp_path / "new.csv").exists()
