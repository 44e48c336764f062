import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from scipy.stats import ortho_group

from tpl.chapters.latent_space.figures import plot_kinds
from tpl.chapters.latent_space.measures import principal_components, spread_of_views
from tpl.chapters.pictures import made_to_fit, picture_grid, posters, solid, spread_out
from tpl.look.plotting import CLAY, use_style
from tpl.look.scenes import steps_scene

BALL, CUBE = trimesh.creation.icosphere(2, 0.4), trimesh.creation.box((0.5, 0.5, 0.5))
GREY = np.full((8, 8, 3), 128, np.uint8)


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        use_style()
        yield
        plt.close("all")


def test_posters_are_drawn_once_for_each_mesh_colour_and_size(tmp_path, monkeypatch):
    ball, nothing, cube = posters([BALL, None, CUBE], CLAY["chairs"], tmp_path, 24, jobs=1)
    assert nothing is None and ball.shape == (24, 24, 3) and not np.array_equal(ball, cube)
    posters([BALL], CLAY["sofas"], tmp_path, 24, jobs=1)
    posters([BALL], CLAY["chairs"], tmp_path, 16, jobs=1)
    assert len(list((tmp_path / "posters").glob("*.png"))) == 4
    monkeypatch.setattr("tpl.chapters.pictures.render_poster", lambda *_, **__: pytest.fail("drawn again"))
    again = posters([CUBE, BALL.copy()], CLAY["chairs"], tmp_path, 24, jobs=1)
    assert np.array_equal(again[0], cube) and np.array_equal(again[1], ball)


def test_a_poster_in_the_meshs_own_colours_knows_them(tmp_path):
    red, blue = (
        trimesh.Trimesh(BALL.vertices, BALL.faces, vertex_colors=color) for color in ([255, 0, 0], [0, 0, 255])
    )
    first, second = posters([red, blue], "vertex", tmp_path, 16, jobs=1)
    assert first[8, 8, 0] > first[8, 8, 2] and second[8, 8, 2] > second[8, 8, 0]


def test_a_scene_draws_its_poster_once_for_each_content(tmp_path, monkeypatch):
    made = solid({"ball": BALL}, "one", tmp_path, CLAY["chairs"])
    solid({"ball": BALL}, "two", tmp_path, CLAY["sofas"])
    solid({"cube": CUBE}, "three", tmp_path, CLAY["chairs"])
    steps = solid({"ball": BALL, "cube": CUBE}, "steps", tmp_path, CLAY["chairs"], steps_scene)
    assert steps.steps == ("ball", "cube") and len(list((tmp_path / "scenes").iterdir())) == 4
    monkeypatch.setattr("tpl.look.scenes._poster", lambda *_: pytest.fail("drawn again"))
    again = solid({"ball": BALL}, "another-name", tmp_path, CLAY["chairs"])
    assert again.poster == made.poster and again.name == "another-name"


def test_a_grid_has_a_place_for_each_picture_and_words_where_there_is_none():
    figure = picture_grid({"chairs": [GREY, None], "sofas": [GREY]}, ["truth", "made"], {"chairs": ["a", "b"]})
    figure.canvas.draw()
    top, missing, below, unused = figure.axes
    assert top.get_ylabel() == "chairs" and below.get_ylabel() == "sofas"
    assert [ax.get_title() for ax in (top, missing)] == ["truth", "made"]
    assert missing.texts[0].get_text() == "no surface" and not missing.images
    assert top.get_xlabel() == "a" and below.get_xlabel() == ""
    assert not unused.axison


@given(st.integers(0, 12), st.integers(0, 6), st.integers(0, 6))
def test_a_gallery_begins_with_the_worst_and_ends_with_the_best(count, worst, others):
    rows = pd.DataFrame({"rank": range(count)})
    shown = spread_out(rows, worst, others)["rank"].tolist()
    assert shown == sorted(set(shown))
    assert shown[:worst] == list(range(min(worst, count)))
    assert len(shown) == min(count, worst + others)
    if others and count:
        assert shown[-1] == count - 1


def test_components_are_ordered_keep_distances_and_ignore_a_turn():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(20, 4)) * [3, 2, 1, 0.1]
    places, share = principal_components(codes)
    assert share.sum() == pytest.approx(1) and (np.diff(share) <= 0).all()
    apart = [np.linalg.norm(table[:, None] - table, axis=-1) for table in (places, codes)]
    assert np.allclose(*apart)
    assert np.allclose(share, principal_components(codes @ ortho_group.rvs(4, random_state=0) + 7)[1])


def test_equal_codes_have_no_spread():
    places, share = principal_components(np.ones((3, 2)))
    assert np.allclose(places, 0) and np.allclose(share, 0)


def test_the_rarest_kinds_share_one_grey():
    _, ax = plt.subplots()
    kinds = ["stool"] * 3 + ["office"] * 2 + ["bench"]
    plot_kinds(ax, np.arange(12.0).reshape(6, 2), kinds, most=2)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["stool", "office", "others"]
    assert [len(dots.get_offsets()) for dots in ax.collections] == [3, 2, 1]


def test_spread_within_and_between_shapes_by_hand():
    codes = np.array([[[1.0, 0], [3, 0]], [[-1.0, 0], [-3, 0]]])  # means at +-2, views 1 away from them
    assert spread_of_views(codes) == pytest.approx((1, 2))
    assert spread_of_views(codes[:, :1]) == pytest.approx((0, 1))


def test_other_code_of_the_ray_caster_draws_anew_and_other_words_do_not(tmp_path, edit_code):
    def drawn() -> int:
        posters([BALL], CLAY["chairs"], tmp_path / "shelf", 16, jobs=1)
        solid({"ball": BALL}, "one", tmp_path / "shelf", CLAY["chairs"])
        return len(list((tmp_path / "shelf").rglob("*.png")))

    assert drawn() == 2
    edit_code("tpl.rendering.raycast")
    assert drawn() == 2
    edit_code("tpl.look.scenes", "HEIGHT = 7")
    assert drawn() == 3
    edit_code("tpl.rendering.raycast", "LIGHT = 7")
    assert drawn() == 5


def test_meshes_are_made_to_fit_by_one_factor_and_small_ones_are_left():
    large, small = (trimesh.creation.box(extents=[size, 0.1, 0.1]) for size in (4.0, 1.0))
    fitted = made_to_fit([large, None, small])
    assert fitted[1] is None and fitted[0].scale == pytest.approx(1.0)
    assert fitted[2].extents[0] / fitted[0].extents[0] == pytest.approx(1 / 4) and large.extents[0] == 4
    (left,) = made_to_fit([trimesh.creation.box(extents=[0.3, 0.3, 0.3])])
    assert left.extents[0] == pytest.approx(0.3)
