import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from tpl.chapters.end_to_end import plot_outcomes, plot_seeds
from tpl.chapters.paper_and_code.figures import plot_effects
from tpl.chapters.tables.figures import plot_chamfer_distribution, plot_mean_chamfer
from tpl.evaluation.summary import summarize
from tpl.geometry.primitives import box, sphere
from tpl.look.plotting import (
    CLAY,
    error_colors,
    plot_error_bar,
    plot_history,
    plot_sdf_slice,
    plot_triplets,
    position_colors,
    use_style,
)
from tpl.study.methods import GREY, MEAN_SHAPE, METHODS, method_color

COLOR_BLIND = {  # Machado, Oliveira and Fernandes 2009, complete dichromacy, on linear RGB
    "everyone": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        use_style()
        figure, axes = plt.subplots(dpi=50)
        yield axes
        figure.canvas.draw()  # what was drawn can be drawn: no warning on the way
        plt.close(figure)


def lightness(colors):
    return rgb2lab(np.asarray(colors, float)[None])[0, :, 0]


def linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def srgb(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


# Colours


def test_methods_are_told_apart_in_grey():
    colors = np.array([to_rgb(method.color) for method in METHODS.values() if method.color != GREY])
    colors = colors[np.argsort(lightness(colors))]  # from dark to light
    assert np.diff(lightness(colors)).min() > 5
    assert np.diff(colors @ [0.299, 0.587, 0.114]).min() > 0.04  # as printers turn colours to grey
    assert lightness(colors).max() < 85  # and all from white paper


@pytest.mark.parametrize("eyes", COLOR_BLIND)
def test_methods_are_told_apart_by_everyone(eyes):
    colors = np.array([to_rgb(method.color) for method in METHODS.values() if method.color != GREY])
    lab = rgb2lab(srgb(linear(colors) @ COLOR_BLIND[eyes].T)[None])[0]
    difference = deltaE_ciede2000(lab[:, None], lab[None])
    assert difference[~np.eye(len(lab), dtype=bool)].min() > 10


def test_a_method_that_the_book_does_not_know_is_grey():
    assert method_color("encoder") == METHODS["encoder"].color
    red, green, blue = to_rgb(method_color("a new idea"))
    assert red == green == blue


def test_each_category_has_a_light_clay_of_its_own():
    colors = np.array(list(CLAY.values())) / 255
    assert list(CLAY) == ["chairs", "sofas", "airplanes"]
    assert (lightness(colors) > 55).all() and (lightness(colors) < 75).all()


def test_position_colors_are_one_to_one_smooth_and_muted():
    axis = np.linspace(-1, 1, 7)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    colors = position_colors(points)
    assert colors.dtype == np.uint8
    assert len(np.unique(colors, axis=0)) == len(points)
    ball = np.linalg.norm(points, axis=1) <= 1
    step = np.abs(position_colors(points[ball] * 0.99).astype(int) - colors[ball]).max()
    assert step <= 6
    assert (lightness(colors / 255) > 40).all() and (lightness(colors / 255) < 85).all()


def test_position_colors_say_where_up_right_and_front_are():
    centre, up, right, front = position_colors(np.array([[0.0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, -1]])).astype(int)
    assert up.sum() > centre.sum()
    assert right[0] > right[1]  # rose
    assert front[2] > front[0]  # blue
    np.testing.assert_array_equal(position_colors(np.full((1, 3), 0.5), extent=0.5), position_colors(np.ones((1, 3))))
    np.testing.assert_array_equal(position_colors(np.full((1, 3), 9.0)), position_colors(np.ones((1, 3))))


def test_error_colors_darken_evenly_and_stop_at_the_limit():
    distance = np.linspace(0, 0.03, 50)
    shades = lightness(error_colors(distance, 0.03) / 255)
    steps = -np.diff(shades)
    assert (steps > 0).all() and steps.max() < 3 * steps.mean()
    np.testing.assert_array_equal(error_colors(np.array([0.03, 1.0]), 0.03)[0], error_colors(np.array([9.0]), 0.03)[0])
    with pytest.raises(ValueError, match="an error scale cannot end at 0"):
        error_colors(distance, 0)


# Figures


def history(steps=100):
    step = np.arange(1, steps + 1)
    return pd.DataFrame({"step": step, "seconds": step * 0.1, "sdf": 1 / step, "code": 1e-3, "loss": 1e-3 + 1 / step})


def test_a_learning_curve_has_a_labelled_line_a_term(ax):
    plot_history(ax, history())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["sdf", "code", "loss"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("step", "loss", "log")
    assert ax.get_xlim()[1] == 100
    assert len({line.get_linestyle() for line in ax.get_lines() if line.get_label() in ("sdf", "code", "loss")}) == 3


def test_a_short_learning_curve_is_drawn_as_it_is(ax):
    plot_history(ax, history(10), terms=["sdf"])
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), 1 / np.arange(1, 11))
    assert ax.get_legend() is None


def test_the_strong_line_is_the_running_median(ax):
    spiked = history(20)
    spiked.loc[10, "code"] = 1e3
    plot_history(ax, spiked, terms=["code"], smooth=5)
    raw, smooth = ax.get_lines()
    assert raw.get_ydata().max() == 1e3 and smooth.get_ydata().max() == 1e-3


def test_terms_that_are_zero_at_first_or_always_can_be_drawn(ax):
    ramped = history().assign(code=np.linspace(0, 1, 100))
    plot_history(ax, ramped)
    assert ax.get_yscale() == "log"
    ax.clear()
    plot_history(ax, ramped.assign(code=0.0))
    assert ax.get_yscale() == "linear"


def test_a_term_that_is_not_there_is_named(ax):
    with pytest.raises(ValueError, match="the history has no column 'nt_xent'; it has step, seconds, sdf"):
        plot_history(ax, history(), terms=["nt_xent"])


@pytest.mark.parametrize("axis, labels", [("x", ("z", "y")), ("y", ("x", "z")), ("z", ("x", "y"))])
def test_a_slice_shows_the_plane_that_was_asked_for(ax, axis, labels):
    plot_sdf_slice(ax, box((0.2, 0.6, 1.4)), axis=axis, resolution=41)
    half = dict(zip("xyz", (0.1, 0.3, 0.7), strict=True))
    values = ax.images[0].get_array()
    inside = np.argwhere(values <= 0) / 20 - 1  # rows are vertical
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    np.testing.assert_allclose(np.abs(inside).max(axis=0)[::-1], [half[name] for name in labels], atol=0.051)
    assert ax.images[0].origin == "lower" and ax.get_aspect() == 1


def test_a_slice_at_a_height_draws_the_surface_as_its_strongest_line(ax):
    plot_sdf_slice(ax, sphere(0.5), axis="y", height=0.3, extent=0.8, colorbar=False)
    strongest = max(ax.collections, key=lambda lines: max(np.atleast_1d(lines.get_linewidths())))
    vertices = np.concatenate([path.vertices for path in strongest.get_paths()])
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 0.4, atol=1e-3)
    assert ax.get_xlim() == (-0.8, 0.8)
    assert len(ax.figure.axes) == 1


def test_a_slice_beside_the_shape_has_no_surface_and_a_scale(ax):
    plot_sdf_slice(ax, sphere(0.2), height=0.5)
    assert max(max(np.atleast_1d(lines.get_linewidths())) for lines in ax.collections) < 1
    assert ax.figure.axes[1].get_ylabel() == "signed distance"


@pytest.fixture
def grid():
    figure, axes = plt.subplots(2, 6, dpi=40)
    yield axes
    figure.canvas.draw()
    plt.close(figure)


def picture(shade, channels=3):
    return np.full((8, 8, channels), shade, np.uint8)


def test_triplets_keep_their_order_row_by_row(grid):
    triplets = [tuple(picture(30 * number + k) for k in range(3)) for number in range(3)]
    plot_triplets(grid, triplets, captions=["one", "two", "three"])
    assert [ax.get_title() for ax in grid[0]] == ["image", "ground truth", "reconstruction"] * 2
    shown = [ax.images[0].get_array().flat[0] for ax in [*grid[0], *grid[1, :3]]]
    assert shown == [30 * number + k for number in range(3) for k in range(3)]
    captions = [[text.get_text() for text in ax.texts if text.get_text().strip()] for ax in grid.ravel()]
    assert captions == [[], ["one"], [], [], ["two"], [], [], ["three"], [], [], [], []]
    assert not any(ax.has_data() for ax in grid[1, 3:])
    assert not any(ax.axison for ax in grid.ravel())


def test_a_missing_reconstruction_is_shown_as_missing(grid):
    plot_triplets(grid, [(picture(0), picture(1), None)])
    assert grid[0, 2].texts[-1].get_text() == "none" and not grid[0, 2].images


def test_triplets_that_do_not_fit_are_refused(grid):
    triplet = (picture(0),) * 3
    with pytest.raises(ValueError, match="5 triplets do not fit into 4 places"):
        plot_triplets(grid, [triplet] * 5)
    with pytest.raises(ValueError, match="need 3, 6, 9, ... columns of axes, not 5"):
        plot_triplets(grid[:, :5], [triplet])
    with pytest.raises(ValueError, match="2 captions for 1 triplets"):
        plot_triplets(grid, [triplet], captions=["one", "two"])


def rows(**chamfers):
    """Rows of methods, by name, with their Chamfer distances; None is a failure."""
    table = [
        {
            "category": "chairs",
            "split": "test",
            "shape_id": f"{place}",
            "family": "plain",
            "view": view,
            "method": method.replace("_", " "),
            **dict.fromkeys(["chamfer", "chamfer_clean", "f_score", "normal_consistency"], value or np.nan),
            "seconds": 0.1,
            "reason": "" if value else "EmptyShape",
        }
        for method, values in chamfers.items()
        for view in (["-"] if method == "mean_shape" else ["fix", "rnd0", "rnd1"])
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(table)


def test_a_curve_of_seeds_is_their_mean_within_their_band(ax):
    runs = {"random": [pd.DataFrame({"step": [1, 2], "loss": loss}) for loss in ([4.0, 1.0], [8.0, 2.0])]}
    plot_seeds(ax, runs, {"random": "#2d9d7c"})
    (line,), (band,) = ax.get_lines(), ax.collections
    np.testing.assert_allclose(line.get_ydata(), [6, 1.5])
    corners = band.get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} == {(1, 4), (1, 8), (2, 1), (2, 2)}
    uneven = [pd.DataFrame({"step": [1, steps], "loss": [1.0, 1.0]}) for steps in (2, 3)]
    with pytest.raises(ValueError, match="seeds of 'random' were not logged at the same steps"):
        plot_seeds(ax, {"random": uneven}, {"random": "#2d9d7c"})


def test_outcomes_are_a_dot_a_seed_and_their_mean(ax):
    plot_outcomes(ax, {"random": [1.0, 2.0, 6.0], "contrastive": [2.0]}, {"random": "red", "contrastive": "blue"})
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], [1, 2, 6])
    assert [line.get_ydata()[0] for line in ax.get_lines()] == [3, 2]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["random", "contrastive"]


def test_the_distribution_shows_every_shape_its_median_and_the_failures(ax):
    table = rows(encoder=[0.001, 0.002, None, 0.004, 0.003], mean_shape=[0.01, 0.02, 0.03])
    plot_chamfer_distribution(ax, table[table["view"].isin(["fix", "-"])], floor=5e-5)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["encoder", "mean shape"]
    encoder, failed, mean_shape = ax.collections
    np.testing.assert_allclose(encoder.get_offsets()[:, 0], [1, 2, 4, 3])
    np.testing.assert_allclose(mean_shape.get_offsets()[:, 0], [10, 20, 30])
    assert failed.get_offsets()[0, 0] > 30
    assert to_rgb(encoder.get_facecolor()[0]) == pytest.approx(to_rgb(METHODS["encoder"].color))
    medians = [line.get_xdata()[0] for line in ax.get_lines()[:2]]
    np.testing.assert_allclose(medians, [3, 20])  # the failure counts as the worst
    assert ax.get_xscale() == "log" and "x 1000" in ax.get_xlabel()
    assert "failed" in [text.get_text() for text in ax.texts]
    assert ax.get_lines()[2].get_xdata()[0] == pytest.approx(0.05)  # the floor


def test_a_method_that_only_failed_is_still_there(ax):
    plot_chamfer_distribution(ax, rows(encoder=[None, None]))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["encoder"]


def test_means_stand_with_their_intervals_filled_for_fix_and_hollow_for_random(ax):
    summary = summarize(rows(encoder=[0.001, 0.002, 0.006], mean_shape=[0.01, 0.02, 0.03]))
    plot_mean_chamfer(ax, summary, floor=5e-5)
    dots = [line for line in ax.get_lines() if line.get_marker() == "o" and len(line.get_xdata())]
    np.testing.assert_allclose([dot.get_xdata()[0] for dot in dots], [3, 3, 20])
    assert [dot.get_markerfacecolor() for dot in dots] == ["#005baa", "white", METHODS[MEAN_SHAPE].color]
    bars = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() == 2]
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], 1000 * summary[["low", "high"]])
    assert [text.get_text() for text in ax.texts][:2] == ["3.00 / 3.00", "20.00"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fixed view", "random view"]


def test_one_shape_has_a_mean_without_an_interval(ax):
    plot_mean_chamfer(ax, summarize(rows(mean_shape=[0.01])))
    assert len(ax.get_lines()) == 1 and ax.get_legend() is None


@pytest.mark.parametrize("size, lying", [((6, 1), True), ((1, 6), False)])
def test_the_error_bar_follows_its_axes_and_is_in_per_cent(size, lying):
    figure, ax = plt.subplots(figsize=size)
    plot_error_bar(ax, 0.03, label="error")
    assert (ax.get_xlabel() if lying else ax.get_ylabel()) == "error"
    assert (ax.get_xlim() if lying else ax.get_ylim()) == (0, 3)
    plt.close(figure)


def test_the_style_is_white_and_stays_within_its_context(ax):
    assert matplotlib.rcParams["figure.facecolor"] == "white"
    assert not ax.spines["top"].get_visible()


def test_effects_have_a_lane_each_and_zero_in_the_middle(ax):
    effects = pd.DataFrame(
        {
            "harm": [[400.0, 420.0], [-3.0, 2.0]],
            "harm_low": [300.0, -8.0],
            "harm_high": [520.0, 7.0],
            "verdict": ["matters", "does not show at this budget"],
        }
    )
    plot_effects(ax, effects, ["loud", "silent"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["loud", "silent"]
    low, high = ax.get_xlim()
    assert low == pytest.approx(-high) and high > 520
    dots = [collection.get_offsets()[:, 0].tolist() for collection in ax.collections]
    assert dots == [[400.0, 420.0], [-3.0, 2.0]]
    strong, weak = (collection.get_facecolor()[0] for collection in ax.collections)
    assert strong[:3].sum() < weak[:3].sum()
