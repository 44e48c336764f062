"""Blender's views beside the default renderer's, and clear sentences where Blender is not as it should be."""

import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tpl.dataset.prepare import PrepareConfig, prepare, prepare_shape
from tpl.dataset.store import Store
from tpl.rendering import FIXED, Camera, blender, easy_camera, hard_camera, raycast
from tpl.rendering.blender import BlenderError
from tpl.shapes import list_shapes

SIZE = 112


def missing() -> str:
    try:
        blender.blender_version()
    except BlenderError as error:
        return str(error)
    return ""


needs_blender = pytest.mark.skipif(bool(missing()), reason=missing() or "Blender is there")


def crooked() -> trimesh.Trimesh:
    """Three boxes of three colours, alike from no two sides."""
    parts = []
    for size, place, color in (
        ((0.5, 0.1, 0.3), (0, -0.2, 0), [200, 40, 30, 255]),
        ((0.1, 0.4, 0.1), (0.2, 0.05, 0.1), [40, 160, 60, 255]),
        ((0.2, 0.06, 0.06), (0.05, 0.2, 0.1), [50, 70, 190, 255]),
    ):
        box = trimesh.creation.box(size)
        box.apply_translation(place)
        box.visual.face_colors = color
        parts.append(box)
    return trimesh.util.concatenate(parts)


@pytest.fixture(scope="module")
def pictures() -> dict[str, tuple[list[Camera], np.ndarray, np.ndarray]]:
    """Cameras, the default renderer's views with 64 rays a pixel, and Blender's."""
    rng, made = np.random.default_rng(3), {}
    chair = list_shapes("procedural", "chairs", train=3)[2].load()
    for name, mesh in {"chair": chair, "crooked": crooked()}.items():
        cameras = [
            FIXED,
            easy_camera(11, rng),
            hard_camera(20, np.asarray(mesh.vertices), rng),
            hard_camera(37, np.asarray(mesh.vertices), rng),
            Camera(50.0, 30.0, 1.6, roll=35.0),
            Camera(200.0, -20.0, 1.5, roll=-110.0, shift=(0.1, -0.15, 0.2)),
        ]
        rays = raycast.render_views(mesh, cameras, SIZE, samples=8)
        made[name] = (cameras, rays, blender.render_views(mesh, cameras, SIZE))
    return made


@needs_blender
@pytest.mark.parametrize("name", ["chair", "crooked"])
def test_both_renderers_see_the_same_silhouette(pictures, name):
    """Thin slats are a pixel or two wide here, so that a shift by a fifth of a pixel would show."""
    cameras, rays, paths = pictures[name]
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    for camera, a, b in zip(cameras, rays, paths, strict=True):
        first, second = a[..., 3] > 127, b[..., 3] > 127
        assert np.sum(first & second) / np.sum(first | second) >= 0.97, camera
        centres = [[np.average(axis, weights=image[..., 3]) for axis in (x, y)] for image in (a, b)]
        np.testing.assert_allclose(*centres, atol=0.15, err_msg=str(camera))
        assert (b[0, 0] == 0).all()  # nothing there: transparent


@needs_blender
def test_colours_of_faces_show_and_are_as_bright_as_the_default_renderer_s(pictures):
    """On the crooked boxes: shadows darken some places, but a red face is red, and its bright half as bright."""
    cameras, rays, paths = pictures["crooked"]
    seen = np.zeros(3, int)
    for a, b in zip(rays, paths, strict=True):
        inside = (a[..., 3] == 255) & (b[..., 3] == 255)
        strongest = a[..., :3].argmax(axis=-1)
        for channel in range(3):
            region = inside & (strongest == channel)
            if region.sum() < 60:
                continue
            seen[channel] += 1
            assert (b[region][:, :3].argmax(axis=1) == channel).mean() > 0.95
            upper = [np.percentile(image[region][:, channel], 75) for image in (a, b)]
            assert upper[1] == pytest.approx(upper[0], abs=20)
    assert (seen >= 2).all()


@needs_blender
def test_a_level_plate_is_lit_as_by_the_default_renderer():
    """Nothing shades it, so the lamps and the sky must add up to the very same colour, up to 16 paths' noise."""
    plate = trimesh.creation.box((0.6, 0.02, 0.6))
    plate.visual.face_colors = [120, 90, 200, 255]
    camera = Camera(0.0, 80.0, 1.75)
    first, second = (renderer.render_views(plate, [camera], 64)[0] for renderer in (raycast, blender))
    inside = (first[..., 3] == 255) & (second[..., 3] == 255)
    inside[:20] = inside[-20:] = False  # its rim
    np.testing.assert_allclose(second[inside].mean(axis=0), first[inside].mean(axis=0), atol=2)


@needs_blender
def test_shapes_are_prepared_with_it_and_again_with_the_other(tmp_path):
    store, shape = Store(tmp_path), list_shapes("procedural", "sofas", train=1)[0]
    amounts = {"sdf_samples": 100, "surface_points": 100, "easy_views": 1, "hard_views": 1, "image_size": 32}
    config = PrepareConfig(**amounts, renderer="blender")
    assert prepare_shape(shape, store, config)["status"] == "made"
    first, cameras = store.read_views(shape, "easy")
    assert prepare_shape(shape, store, config)["status"] == "kept"
    assert prepare_shape(shape, store, PrepareConfig(**amounts))["status"] == "made"
    second, others = store.read_views(shape, "easy")
    assert cameras == others and not np.array_equal(first, second)
    assert np.abs(first.astype(int) - second).mean() < 8


# --- Blender not as it should be


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a program called blender before all others: a shell script of these lines."""

    def put(*lines: str) -> None:
        program = tmp_path / "bin" / "blender"
        program.parent.mkdir()
        program.write_text("\n".join(["#!/bin/sh", *lines]))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("TPL_BLENDER", raising=False)

    return put


VERSION = '[ "$1" = --version ] && echo "Blender 3.6.2" && exit 0'


def render(**options) -> np.ndarray:
    return blender.render_views(crooked(), [FIXED], 16, **options)


def test_none_at_all(monkeypatch, tmp_path):
    monkeypatch.setenv("TPL_BLENDER", str(tmp_path / "nowhere"))
    with pytest.raises(BlenderError, match="no program .*nowhere' was found .*apt-get install.*TPL_BLENDER"):
        render()
    shape = list_shapes("procedural", "sofas", train=1)
    with pytest.raises(BlenderError, match="no program"):  # once, before any work, and not once a shape
        prepare(shape, Store(tmp_path / "data"), PrepareConfig(renderer="blender"), jobs=1)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("version", ["2.79", "5.1.0"])
def test_another_version(fake, version):
    fake(f'echo "Blender {version}"')
    with pytest.raises(BlenderError, match=f"blender is Blender {version}, and the renderer blender needs 3.4 to 4.x"):
        render()


def test_one_that_is_something_else(fake):
    fake('echo "a kitchen machine"', "exit 3")
    with pytest.raises(BlenderError, match="does not say which Blender it is .a kitchen machine."):
        render()


def test_one_that_crashes(fake):
    fake(VERSION, "echo out of cheese", "kill -SEGV $$")
    with pytest.raises(BlenderError, match="status -11 before all views were rendered .out of cheese."):
        render()


def test_one_that_writes_nothing(fake):
    fake(VERSION, "exit 0")
    with pytest.raises(BlenderError, match="status 0 before all views were rendered .it said nothing."):
        render()


def test_one_that_hangs(fake, tmp_path):
    fake(VERSION, "exec sleep 3602")
    start = time.monotonic()
    with pytest.raises(BlenderError, match="did not render 1 views in 0.5 s and was ended"):
        render(timeout=0.5)
    assert time.monotonic() - start < 600


def test_what_cannot_be_rendered_is_refused_before_blender_is_asked(fake):
    fake("exit 1")
    with pytest.raises(ValueError, match="without faces"):
        blender.render_views(trimesh.Trimesh(), [FIXED])


def test_blender_s_script_is_no_part_of_the_library():
    library = Path(blender.__file__).parents[1]
    for source in library.rglob("*.py"):
        assert source.name == "blender_scene.py" or "import bpy\n" not in source.read_text()
    assert "tpl" not in (library / "rendering" / "blender_scene.py").read_text()
