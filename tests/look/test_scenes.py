"""Scenes: what is shown is the mesh that was given, and what a notebook gets of it can be shown anywhere."""

import base64
import io

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.look.scenes import BARE, FOLDER_VARIABLE, MIME, libraries, mesh_scene, steps_scene
from tpl.rendering.cameras import POSTER

BLANK = np.full((8, 8, 3), 255, dtype=np.uint8)
BOX = trimesh.creation.box((0.5, 0.6, 0.6))
BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.4)


def shown(mesh, **options) -> trimesh.Trimesh:
    return mesh_scene(mesh, name="a", poster=BLANK, **options).panels[0].meshes[0]


def test_a_box_keeps_its_edges_and_a_ball_is_smooth():
    assert len(shown(BOX).vertices) == 6 * 4  # each side has corners of its own
    assert len(shown(BALL).vertices) == len(BALL.vertices)


def test_the_surface_is_the_given_one():
    for mesh in (BOX, BALL):
        assert shown(mesh).area == pytest.approx(mesh.area)
        assert shown(mesh).volume == pytest.approx(mesh.volume)


def test_a_large_mesh_is_decimated_and_keeps_its_colors():
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.4)
    rgb = np.where(ball.vertices[:, :1] > 0, [250, 0, 0], [0, 0, 250]).astype(np.uint8)
    ball.visual.vertex_colors = np.c_[rgb, np.full(len(rgb), 255, dtype=np.uint8)]
    few = shown(ball, max_faces=2000)
    assert len(few.faces) <= 2000
    assert few.volume == pytest.approx(ball.volume, rel=0.01)
    away = np.abs(few.vertices[:, 0]) > 0.05
    red = np.asarray(few.visual.vertex_colors)[:, 0] > 128
    assert np.array_equal(red[away], (few.vertices[:, 0] > 0)[away])


def test_colors_of_faces_those_asked_for_and_clay():
    box = BOX.copy()
    box.visual.face_colors = np.c_[np.arange(12) * 20, np.zeros((12, 2)), np.full(12, 255)].astype(np.uint8)
    assert set(np.asarray(shown(box).visual.vertex_colors)[:, 0]) == set(range(0, 240, 20))
    assert {tuple(color[:3]) for color in np.asarray(shown(BOX).visual.vertex_colors)} == {BARE}
    assert {tuple(c[:3]) for c in np.asarray(shown(box, color=(1, 2, 3)).visual.vertex_colors)} == {(1, 2, 3)}


def test_the_given_mesh_is_left_as_it_was():
    before = BALL.vertices.copy(), BALL.faces.copy()
    shown(BALL, max_faces=100)
    assert np.array_equal(BALL.vertices, before[0]) and np.array_equal(BALL.faces, before[1])


def test_in_a_run_the_output_is_a_picture_and_a_page(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    bundle = mesh_scene({"truth": BOX, "ours": BALL}, name="pair", poster=BLANK)._repr_mimebundle_()
    assert bundle[MIME] == {"name": "pair", "panels": 2, "steps": 1}
    assert bundle["text/plain"] == "3D scene 'pair': truth, ours"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))), BLANK)
    page = (tmp_path / "pair.html").read_text()
    assert page.count('class="canvas"') == 2 and "<span>truth</span>" in page and "range" not in page
    assert [path.name for path in tmp_path.iterdir()] == ["pair.html"]


def test_the_same_scene_leaves_the_same_page():
    first, second = (steps_scene({"one": BOX, "two": BALL}, name="s", poster=BLANK).page() for _ in range(2))
    assert first == second


def test_in_jupyterlab_the_output_is_live(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    for scene in (
        mesh_scene(BOX, name="a", poster=BLANK),
        steps_scene({"1": BOX, "2": BALL}, name="b", poster=BLANK),
    ):
        bundle = scene._repr_mimebundle_()
        assert {"application/vnd.jupyter.widget-view+json", "image/png"} <= set(bundle) and MIME not in bundle


def test_the_slider_of_the_live_scene_shows_one_step():
    widget = steps_scene({"one": BOX, "two": BALL}, name="s", poster=BLANK).widget()
    columns, slider = widget.children
    plot = columns.children[0].children[1]
    assert [mesh.visible for mesh in plot.objects] == [False, True]
    slider.value = "one"
    assert [mesh.visible for mesh in plot.objects] == [True, False]


def test_captions_are_text_not_html():
    scene = mesh_scene({"<b>a & b": BOX}, name="a", poster=BLANK)
    assert "<span>&lt;b&gt;a &amp; b</span>" in scene.page()


def test_a_poster_is_drawn_from_the_scene_s_camera(monkeypatch):
    monkeypatch.setattr("tpl.look.scenes.TILE", 96)
    scene = mesh_scene({"box": BOX, "ball": BALL}, name="a", max_faces=500)
    image = np.asarray(Image.open(io.BytesIO(scene.poster)).convert("L"))
    assert image.shape[1] == 2 * image.shape[0]
    left = image[:, : image.shape[0]]
    pixels, _ = POSTER.project(np.zeros((1, 3)), size=len(image))
    column, row = pixels[0].astype(int)
    assert left[row, column] < 245 and left[5, 5] > 245


def test_what_cannot_be_shown_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="a mesh without faces cannot be shown"):
        mesh_scene(trimesh.Trimesh(), name="a", poster=BLANK)
    with pytest.raises(ValueError, match="scene 'a' has no mesh"):
        mesh_scene({}, name="a", poster=BLANK)
    with pytest.raises(ValueError, match="scene 'a' has no mesh"):
        steps_scene({}, name="a", poster=BLANK)
    for name in ("", "A b", "../a", "a/b"):
        with pytest.raises(ValueError, match="a scene's name is a file's"):
            mesh_scene(BOX, name=name, poster=BLANK)


def test_the_scripts_of_the_pages_are_k3d_s():
    assert all(path.exists() for path in libraries())
