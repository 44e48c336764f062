"""What the figures of the latent space show, read back from their Axes."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.offsetbox import AnnotationBbox

from tpl.chapters.latent_space.figures import SIDES, instance_style, plot_by_azimuth, plot_by_elevation, plot_instances

GREY = np.full((16, 16, 3), 128, np.uint8)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_twenty_shapes_differ_and_neighbours_in_the_list_by_colour_and_marker():
    styles = [instance_style(number) for number in range(40)]
    assert len(set(styles)) == 40
    for (color, marker), (next_color, next_marker) in zip(styles, styles[1:], strict=False):
        assert color != next_color and marker != next_marker


def test_each_shape_has_its_own_dots_and_the_picture_points_at_one_of_them():
    rng = np.random.default_rng(0)
    places, shape = rng.normal(size=(12, 2)) * 40 + 100, np.repeat([0, 1, 2], [3, 4, 5])
    fig, ax = plt.subplots()
    plot_instances(ax, places, shape, {2: GREY, 0: GREY, 1: None})
    assert [len(dots.get_offsets()) for dots in ax.collections] == [3, 4, 5]
    drawn = np.concatenate([dots.get_offsets() for dots in ax.collections])
    spread = [np.linalg.norm(table - table.mean(axis=0), axis=1) for table in (drawn, places)]
    assert np.allclose(spread[0] / spread[0].max(), spread[1] / spread[1].max())  # moved and scaled, not bent
    pictures = [artist for artist in ax.artists if isinstance(artist, AnnotationBbox)]
    assert len(pictures) == 2
    for picture, number in zip(pictures, (2, 0), strict=True):
        own = np.asarray(ax.collections[number].get_offsets())
        assert np.linalg.norm(own - picture.xy, axis=1).min() < 1e-9
        assert picture.patch.get_edgecolor()[:3] == pytest.approx(instance_style(number)[0])
    fig.canvas.draw()


def test_pictures_sit_apart_from_each_other_wherever_their_dots_are():
    places = np.array([[0.0, 0], [1, 0], [1.01, 0.01], [1.02, 0]])
    _, ax = plt.subplots()
    plot_instances(ax, places, np.arange(4), dict.fromkeys(range(4), GREY))
    seats = np.array([artist.xybox for artist in ax.artists])
    apart = np.linalg.norm(seats[:, None] - seats, axis=-1)[~np.eye(4, dtype=bool)]
    assert apart.min() > 1 and np.allclose(np.linalg.norm(seats, axis=1), 1.42)


def test_the_front_is_up_the_right_is_right_and_the_line_closes():
    _, ax = plt.subplots(subplot_kw={"projection": "polar"})
    plot_by_azimuth(ax, np.array([1.0, 2, np.nan, 4]), "#005baa", "encoder")
    (line,) = ax.lines
    assert np.allclose(np.degrees(line.get_xdata()), [0, 90, 180, 270, 360])
    assert line.get_ydata()[0] == line.get_ydata()[-1] == 1 and np.isnan(line.get_ydata()[2])
    assert ax.get_theta_direction() == -1 and ax.get_theta_offset() == pytest.approx(np.pi / 2)
    assert tuple(label.get_text() for label in ax.get_xticklabels()) == SIDES


def test_elevations_are_drawn_in_the_middle_of_their_intervals():
    _, ax = plt.subplots()
    plot_by_elevation(ax, np.array([1.0, 2]), (0, 10, 30), "#005baa", "encoder", dashed=True)
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [5, 20] and line.get_ydata().tolist() == [1, 2]
    assert line.get_linestyle() == "--" and line.get_label() == "encoder"


def test_a_later_and_higher_line_is_not_cut_off():
    _, ring = plt.subplots(subplot_kw={"projection": "polar"})
    _, plain = plt.subplots()
    for values in (np.array([1.0, 0.5]), np.array([3.0, np.nan])):
        plot_by_azimuth(ring, values, "#005baa", "a")
        plot_by_elevation(plain, values, (0, 10, 30), "#005baa", "a")
    for ax in (ring, plain):
        bottom, top = ax.get_ylim()
        assert bottom == 0 and top > 3


def test_a_thumbnail_is_cut_to_what_is_drawn():
    picture = np.full((40, 40, 3), 255, np.uint8)
    picture[2:6, 10:31] = 90
    _, ax = plt.subplots()
    plot_instances(ax, np.random.default_rng(0).normal(size=(4, 2)), np.arange(4), {1: picture, 2: 0 * picture + 255})
    first, blank = (artist.offsetbox.get_data() for artist in ax.artists)
    assert first.shape == (21, 21, 3) and np.count_nonzero(first[..., 0] == 90) == 4 * 21
    assert blank.shape == (40, 40, 3)
