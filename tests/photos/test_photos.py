"""Photographs of every kind become what the encoder expects, and what is none is refused in a sentence."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import trimesh
from PIL import Image

import tpl
from tpl.__main__ import main
from tpl.chapters.photos.stamps import fetch_stamps
from tpl.chapters.photos.standins import before_wall, in_clutter
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.finishing import label_faces
from tpl.photos import (
    FRAMING,
    FetchError,
    ImageError,
    cut_out,
    distance_to_training,
    frame_photo,
    load_photo,
    prepare_photo,
    preview,
    training_views,
)
from tpl.rendering import FIXED, Camera, composite, render_view
from tpl.shapes import list_shapes
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, END_TO_END, OUR_ENCODER, better_encoder, trained_methods
from tpl.study.part_labels import part_labels_of_template
from tpl.study.trained import Trained
from tpl.study.trainings import embed_category, regress_category
from tpl.training import RunError
from tpl.training.presets import embedding_config, regression_config

SHARE = FRAMING["chairs"]
RED, BLUE = (200, 30, 40), (20, 60, 220)


@pytest.fixture(scope="module")
def chair():
    return list_shapes("procedural", "chairs", train=1)[0].load()


@pytest.fixture(scope="module")
def view(chair):
    """A chair as a photographer would like it: 224 pixels, transparent around it."""
    return render_view(chair, FIXED, 224)


def overlap(mask, truth):
    """Intersection over union."""
    mask, truth = mask >= 128, truth >= 128
    return np.sum(mask & truth) / np.sum(mask | truth)


def frame_share(mask):
    """The diagonal of the object's bounding box over the side of its square frame."""
    rows, columns = (np.flatnonzero((mask >= 128).any(axis=axis)) for axis in (1, 0))
    return np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1) / len(mask)


def framed(picture, size=64, **options):
    loaded = load_photo(picture)
    return frame_photo(loaded, cut_out(loaded, **options), size, SHARE).image.astype(float)


def object_on_white(left=30, top=40, width=60, height=80, canvas=(200, 200), scale=1):
    """A red box with a blue stripe, anywhere on a white canvas."""
    picture = np.full((*canvas, 3), 255, np.uint8)
    picture[top : top + scale * height, left : left + scale * width] = RED
    picture[top + scale * height // 2 : top + scale * height, left : left + scale * width // 3] = BLUE
    return picture


# Reading


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera did to the picture before it stored it with this orientation."""


@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_of_a_camera_gives_the_same_picture(tmp_path, orientation):
    upright = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    turn = TURNS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (upright if turn is None else upright.transpose(turn)).save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(load_photo(tmp_path / "photo.png")[..., :3], np.asarray(upright))


def test_grey_pictures_stay_grey_at_8_and_16_bits(tmp_path):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (20, 1))
    Image.fromarray(ramp).save(tmp_path / "eight.png")
    Image.fromarray(ramp.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    with Image.open(tmp_path / "sixteen.png") as file:
        assert file.mode.startswith("I")
    for name in ("eight.png", "sixteen.png"):
        loaded = load_photo(tmp_path / name)
        assert (loaded[..., :3] == ramp[..., None]).all() and (loaded[..., 3] == 255).all()


def test_transparency_is_read_from_every_mode_that_has_it(tmp_path):
    alpha = np.zeros((20, 24), np.uint8)
    alpha[5:15, 6:18] = 255
    rgba = np.dstack([np.full((20, 24, 3), RED, np.uint8), alpha])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([np.full((20, 24), 90, np.uint8), alpha]), "LA").save(tmp_path / "la.png")
    palette = Image.fromarray((alpha > 0).astype(np.uint8)).convert("P")
    palette.putpalette([255, 255, 255, *RED])
    palette.save(tmp_path / "palette.png", transparency=0)
    keyed = Image.fromarray(np.where(alpha > 0, 90, 255).astype(np.uint8))
    keyed.save(tmp_path / "keyed.png", transparency=255)
    modes = {}
    for name, color in {"rgba": RED, "la": (90, 90, 90), "palette": RED, "keyed": (90, 90, 90)}.items():
        with Image.open(tmp_path / f"{name}.png") as file:
            modes[name] = file.mode
        loaded = load_photo(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(loaded[..., 3], alpha, err_msg=name)
        assert (loaded[alpha > 0, :3] == color).all(), name
    assert modes == {"rgba": "RGBA", "la": "LA", "palette": "P", "keyed": "L"}


def test_pictures_of_the_printing_trade_are_read(tmp_path):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "print.tif")
    assert load_photo(tmp_path / "print.tif")[16, 16].tolist() == [255, 0, 0, 255]


def test_a_telephone_s_jpeg_with_a_second_picture_is_its_photograph(tmp_path):
    first, second = Image.new("RGB", (32, 32), RED), Image.new("RGB", (32, 32), BLUE)
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "phone.jpg") as file:
        assert file.n_frames == 2
    np.testing.assert_allclose(load_photo(tmp_path / "phone.jpg")[16, 16, :3], RED, atol=3)


def test_a_picture_in_memory_is_read_and_left_alone():
    array = object_on_white()
    array.flags.writeable = False
    np.testing.assert_array_equal(load_photo(array)[..., :3], array)
    np.testing.assert_array_equal(load_photo(Image.fromarray(array))[..., :3], array)
    np.testing.assert_array_equal(load_photo(array[..., 0])[..., 1], array[..., 0])


def test_what_is_no_picture_is_refused(tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    (tmp_path / "text.jpg").write_text("not a picture")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:1500])
    for name in ("broken.png", "text.jpg", "half.jpg", "missing.jpg", "."):
        with pytest.raises(ImageError, match="cannot be read as an image .*: give a PNG or JPEG file"):
            load_photo(tmp_path / name)
    with pytest.raises(ImageError, match=r"missing.jpg cannot be read as an image \(No such file or directory\)"):
        load_photo(tmp_path / "missing.jpg")
    frames = [Image.new("RGB", (32, 32), color) for color in (RED, BLUE, RED)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="moving.gif has 3 frames: save the one that is meant"):
        load_photo(tmp_path / "moving.gif")
    Image.new("F", (32, 32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="floating point: save it with 8 bits"):
        load_photo(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="the picture is 40 x 3 pixels: it must have at least 16 a side"):
        load_photo(np.zeros((3, 40, 3), np.uint8))
    with pytest.raises(ImageError, match="the picture is 0 x 0 pixels"):
        load_photo(Image.new("RGB", (0, 0)))
    for array in (np.zeros((32, 32, 3)), np.zeros((32, 32, 5), np.uint8), np.zeros(32, np.uint8)):
        with pytest.raises(ImageError, match="is no picture: give uint8 of"):
            load_photo(array)
    for limit in (2000, 1000):  # Pillow warns from the limit on, and refuses from twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        Image.new("L", (50, 50)).save(tmp_path / "bomb.png")
        with pytest.raises(ImageError, match="bomb.png has more than 0 million pixels: shrink it first"):
            load_photo(tmp_path / "bomb.png")


# Cutting out


def test_the_alpha_of_a_picture_is_its_mask(view):
    cut = cut_out(view)
    assert cut.source == "alpha" and cut.notes == ()
    np.testing.assert_array_equal(cut.mask, view[..., 3])


def test_an_alpha_that_is_opaque_is_none(view):
    cut = cut_out(load_photo(composite(view)))
    assert cut.source == "plain background" and overlap(cut.mask, view[..., 3]) > 0.97


@pytest.mark.parametrize(
    "colors", [[(120, 160, 140)], [(20, 20, 30)], [(210, 200, 180), (160, 170, 190)]], ids=["plain", "dark", "gradient"]
)
def test_an_object_before_a_wall_is_found_with_its_own_colours(view, colors):
    cut = cut_out(load_photo(before_wall(view, colors)))
    truth = view[..., 3]
    assert overlap(cut.mask, truth) > 0.95
    inner = cv2.erode(truth, np.ones((3, 3), np.uint8)) == 255
    assert np.abs(cut.picture[inner, :3].astype(int) - view[inner, :3]).mean() < 4  # the noise is of 2
    np.testing.assert_allclose(framed(before_wall(view, colors)).mean(), framed(view).mean(), atol=1.5)


def test_grabcut_finds_an_object_where_a_wall_meets_a_floor(view):
    room = before_wall(view, [(205, 205, 195)])
    floor = np.broadcast_to(np.uint8([90, 120, 90]), (60, 224, 3))
    background = view[164:, :, 3:] == 0
    room[164:] = np.where(background, floor, room[164:])
    first, again = cut_out(load_photo(room)), cut_out(load_photo(room))
    assert first.source == "GrabCut" and overlap(first.mask, view[..., 3]) > 0.9
    np.testing.assert_array_equal(first.mask, again.mask)


def test_clutter_is_where_colours_do_not_suffice_and_a_mask_does(view):
    picture = load_photo(in_clutter(view, seed=3))
    assert overlap(cut_out(picture).mask, view[..., 3]) < 0.8
    np.testing.assert_array_equal(cut_out(picture, mask=view[..., 3]).mask, view[..., 3])


def test_a_large_picture_is_searched_small_and_masked_at_its_own_size(view):
    large = cv2.resize(before_wall(view, [(120, 160, 140)]), (1344, 1344), interpolation=cv2.INTER_CUBIC)
    cut = cut_out(load_photo(large))
    truth = cv2.resize(view[..., 3], (1344, 1344), interpolation=cv2.INTER_LINEAR)
    assert cut.mask.shape == (1344, 1344) and overlap(cut.mask, truth) > 0.95


def test_masks_are_files_pictures_or_arrays(tmp_path, view):
    picture = load_photo(in_clutter(view))
    Image.fromarray(view[..., 3]).save(tmp_path / "grey.png")
    transparent = np.dstack([np.full((224, 224, 3), 255, np.uint8), view[..., 3]])
    for mask in (tmp_path / "grey.png", Image.fromarray(transparent), view[..., 3]):
        np.testing.assert_array_equal(cut_out(picture, mask).mask, view[..., 3])
    with pytest.raises(ImageError, match="grey.png is 224 x 224 pixels and the picture 112 x 224: a mask has the size"):
        cut_out(picture[:, :112], tmp_path / "grey.png")


def test_a_rectangle_chooses_between_two_objects():
    two = object_on_white(10, 40, 60, 80)
    two[40:120, 120:180] = BLUE
    cut = cut_out(load_photo(two))
    assert len(cut.notes) == 1 and "2 pieces of about the same size" in cut.notes[0]
    one = cut_out(load_photo(two), rectangle=(100, 20, 195, 140))
    (note,) = one.notes
    assert note.startswith("GrabCut guessed") and (one.mask >= 128).sum() == 80 * 60
    assert not one.mask[:, :100].any()


def test_rectangles_that_do_not_fit_are_refused():
    picture = load_photo(object_on_white())
    for rectangle in [(0, 0, 201, 50), (50, 50, 40, 90), (-1, 0, 50, 50), (10, 10, 12, 50), (1, 2, 3)]:
        with pytest.raises(ImageError, match="does not lie within a picture of 200 x 200 pixels: give left, top"):
            cut_out(picture, rectangle=rectangle)
    with pytest.raises(ImageError, match="leaves no background around the object"):
        cut_out(picture, rectangle=(0, 0, 200, 200))


def test_masks_that_are_no_object_are_refused():
    picture = load_photo(object_on_white())
    for mask, message in [(0, "no object was found by mask"), (255, "all of the picture is object by mask")]:
        with pytest.raises(ImageError, match=message):
            cut_out(picture, mask=np.full((200, 200), mask, np.uint8))
    with pytest.raises(ImageError, match="no object was found by plain background"):
        cut_out(load_photo(np.full((50, 50, 3), 240, np.uint8)))
    with pytest.raises(ImageError, match="no object was found by alpha"):
        cut_out(np.zeros((50, 50, 4), np.uint8))


def test_an_object_that_leaves_the_picture_is_noted():
    whole = np.zeros((100, 100), np.uint8)
    whole[20:80, 30:70] = 255
    picture = load_photo(np.full((100, 100, 3), 90, np.uint8))
    assert cut_out(picture, mask=whole).notes == ()
    cut = np.zeros_like(whole)
    cut[60:, 30:] = 255
    (note,) = cut_out(picture, mask=cut).notes
    assert note == "the object reaches the right and bottom edges: if it is cut off there, its shape will be, too"


# Framing


def test_framing_forgets_place_and_size():
    """Within 1.5 grey levels on average: edges fall between other pixels."""
    reference = framed(object_on_white(20, 30))
    for picture in (
        object_on_white(90, 70),
        object_on_white(20, 30, canvas=(240, 400)),
        object_on_white(30, 20, canvas=(400, 300), scale=3),
    ):
        assert np.abs(framed(picture) - reference).mean() < 1.5
    assert np.abs(framed(object_on_white(30, 40, 80, 60)) - reference).mean() > 5  # but not the shape


def test_the_object_stands_in_the_middle_at_the_share_asked_for(view):
    for share in (0.5, 0.8):
        photo = frame_photo(view, cut_out(view), 200, share)
        dark = (photo.image < 250).any(axis=-1)
        rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
        diagonal = np.hypot(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
        assert diagonal / 200 == pytest.approx(share, abs=0.02)
        for along in (rows, columns):
            assert along[0] + along[-1] == pytest.approx(199, abs=3)
        assert (photo.image[0] == 255).all() and (photo.image[:, -1] == 255).all()


@pytest.mark.parametrize("category", FRAMING)
def test_a_training_view_comes_back_nearly_as_itself(category):
    """The fixed camera is what the framing is measured for: the object is moved and scaled by a few per cent only."""
    for shape in list_shapes("procedural", category, train=4):
        view = render_view(shape.load(), FIXED, 128)
        assert frame_share(view[..., 3]) == pytest.approx(FRAMING[category], rel=0.08)
        # From the distance at which the share is met exactly, only the centring is left.
        nearer = FIXED.distance * frame_share(view[..., 3]) / FRAMING[category]
        white = composite(render_view(shape.load(), Camera(FIXED.azimuth, FIXED.elevation, nearer), 128))
        photo = prepare_photo(white, category, 128)
        shifted = min(
            np.abs(np.roll(white.astype(float), (down, across), (0, 1)) - photo.image).mean()
            for down in range(-6, 7)
            for across in range(-6, 7)
        )
        assert photo.source == "plain background" and shifted < 5


def test_a_small_object_is_noted_and_a_preview_shows_three_pictures(view):
    small = cv2.resize(view, (40, 40), interpolation=cv2.INTER_AREA)
    photo = frame_photo(small, cut_out(small), 128, SHARE)
    assert len(photo.notes) == 1 and "details are missing" in photo.notes[0]
    shown = preview(photo, 100)
    assert shown.shape[0] == 100 and shown.shape[1] >= 300
    np.testing.assert_array_equal(photo.picture, composite(small))


# Distance


@pytest.fixture(scope="module")
def views():
    shapes = list_shapes("procedural", "chairs", train=4)
    cameras = [Camera(azimuth, 25, 1.4) for azimuth in (20, 140, 260)]
    return np.stack([[composite(render_view(shape.load(), camera, 48)) for camera in cameras] for shape in shapes])


def test_a_training_view_is_at_no_distance(views):
    found = distance_to_training(views[2, 1], views)
    assert found.distance == 0 and found.nearest == (2, 1) and found.farther == 1
    assert (
        found.sentence == "nearer to the training images than every one of the training views to those of other shapes"
    )


def test_noise_is_farther_than_every_view(views):
    noise = np.random.default_rng(0).integers(0, 256, views.shape[2:], np.uint8)
    found = distance_to_training(noise, views)
    assert found.farther == 0 and found.distance > found.among.max()
    assert found.sentence.endswith("expect nonsense")


def test_distances_among_the_views_are_those_of_loops(views):
    def describe(images):
        return images.reshape(len(images), -1)[:, ::7].astype(float)

    flat = describe(views.reshape(-1, *views.shape[2:])).reshape(*views.shape[:2], -1)
    expected = [
        min(
            np.sqrt(np.mean((one - other) ** 2))
            for place, others in enumerate(flat)
            for other in others
            if place != shape
        )
        for shape, own in enumerate(flat)
        for one in own
    ]
    found = distance_to_training(views[0, 0], views, describe)
    np.testing.assert_allclose(found.among, sorted(expected))
    middle = distance_to_training(np.full_like(views[0, 0], 200), views, describe)
    assert middle.farther == np.mean(np.array(expected) > middle.distance)


def test_one_shape_alone_gives_no_percentile(views):
    found = distance_to_training(views[0, 0], views[:1])
    assert np.isnan(found.farther) and "but one training shape" in found.sentence


# From the photograph to the mesh


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A miniature run: a decoder and an encoder that have learnt next to nothing, of two chairs."""
    folder = tmp_path_factory.mktemp("photos")
    amounts = PrepareConfig(sdf_samples=1000, surface_points=2000, easy_views=2, hard_views=1, image_size=32)
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, cross_share=0.0, precision="fp32")
    bench = Bench(folder / "runs", collection, ("chairs",))
    embed_category(bench, embedding_config(model=model, **sizes, **rates))
    config = regression_config(
        encoder=dict(latent_dim=4, width=8), epochs=2, views_per_batch=2, precision="fp32", standardise=True
    )
    regress_category(bench, config)
    return folder


def test_tpl_reconstruct_is_there_at_the_top(folder, view):
    mesh, photo = tpl.reconstruct(view, "chairs", folder / "runs", resolution=16)
    assert len(mesh.faces) and photo.image.shape == (32, 32, 3) and photo.source == "alpha"
    better = better_encoder(trained_methods(folder / "runs" / "chairs"))
    assert better == ENCODER and better_encoder({END_TO_END, ENCODER, OUR_ENCODER}) == OUR_ENCODER
    with pytest.raises(AttributeError, match="no attribute 'reconstruction_of'"):
        tpl.reconstruction_of  # noqa: B018
    with pytest.raises(RunError):
        tpl.reconstruct(view, "sofas", folder / "runs")


def test_importing_tpl_does_not_import_torch():
    code = "import sys, tpl; assert 'torch' not in sys.modules and 'reconstruct' in tpl.__all__"
    subprocess.run([sys.executable, "-c", code], check=True)


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tpl", "reconstruct", *map(str, arguments)])
    main()


def test_the_command_writes_a_mesh_and_a_preview(folder, view, tmp_path, monkeypatch, capsys):
    Image.fromarray(before_wall(view, [(120, 160, 140)])).save(tmp_path / "photo.png")
    places = ["--category", "chairs", "--runs", folder / "runs", "--data", folder / "data", "--resolution", 16]
    out, seen = tmp_path / "new" / "chair.glb", tmp_path / "new" / "seen.png"
    command(monkeypatch, tmp_path / "photo.png", "-o", out, "--preview", seen, *places)
    said = capsys.readouterr().out
    assert "mask: plain background" in said
    assert "distance by pixels: " in said and "distance by codes: " in said and "the training images" in said
    mesh = trimesh.load(out, force="mesh")
    assert f"{len(mesh.faces)} triangles" in said and len(mesh.faces) > 10
    with Image.open(seen) as picture:
        assert picture.height == 256
    command(monkeypatch, tmp_path / "photo.png", "-o", out, *places[:4], "--data", tmp_path, "--resolution", 16)
    assert "distance unknown, since" in capsys.readouterr().out
    command(monkeypatch, tmp_path / "photo.png", "-o", out, "--rectangle", 20, 10, 210, 215, *places)


def test_a_folder_of_pictures_becomes_meshes_and_a_table(folder, view, tmp_path, monkeypatch, capsys):
    photos, out = tmp_path / "photos", tmp_path / "meshes"
    photos.mkdir()
    Image.fromarray(view).save(photos / "a.png")
    Image.fromarray(before_wall(view, [(120, 160, 140)])).save(photos / "b.jpg")
    (photos / "broken.jpg").write_text("not a picture")
    (photos / "notes.txt").write_text("no picture either")
    places = ["--category", "chairs", "--runs", folder / "runs", "--resolution", 16]
    command(monkeypatch, photos, "-o", out, "--format", "ply", "--preview", tmp_path / "seen", *places)
    assert "2 of 3 pictures" in capsys.readouterr().out
    assert sorted(file.name for file in out.iterdir()) == ["a.ply", "b.ply", "results.csv"]
    assert sorted(file.name for file in (tmp_path / "seen").iterdir()) == ["a.png", "b.png"]
    table = pd.read_csv(out / "results.csv").set_index("picture")
    assert list(table.index) == ["a.png", "b.jpg", "broken.jpg"] and list(table["mask"][:2]) == [
        "alpha",
        "plain background",
    ]
    assert table.loc["broken.jpg", "notes"].startswith("failed: ") and np.isnan(table.loc["broken.jpg", "triangles"])
    for name in ("a", "b"):
        assert (
            len(trimesh.load(out / f"{name}.ply").faces)
            == table.loc[f"{name}.png" if name == "a" else "b.jpg", "triangles"]
        )
    shutil.rmtree(out)
    (photos / "a.png").unlink()
    (photos / "b.jpg").unlink()
    with pytest.raises(SystemExit, match="none of 1 pictures became a mesh; .*results.csv says why"):
        command(monkeypatch, photos, "-o", out, *places)


def test_several_photographs_are_one_object(folder, view, tmp_path, monkeypatch, capsys):
    Image.fromarray(view).save(tmp_path / "a.png")
    Image.fromarray(view[:, ::-1].copy()).save(tmp_path / "b.png")
    places = ["--category", "chairs", "--runs", folder / "runs", "--resolution", 16]
    pictures = [tmp_path / "a.png", tmp_path / "b.png"]
    command(monkeypatch, *pictures, "-o", tmp_path / "chair.obj", "--preview", tmp_path / "seen.png", *places)
    said = capsys.readouterr().out
    assert said.count("mask: alpha") == 2 and "names no cameras, so that nothing is refined" in said
    with Image.open(tmp_path / "seen.png") as seen:
        assert seen.height == 512  # a row a photograph
    ready = tpl.load("chairs", folder / "runs")
    one, two, both = (
        ready.reconstruct(*map(str, some), resolution=16) for some in ([pictures[0]], [pictures[1]], pictures)
    )
    torch.testing.assert_close(both.answer.code, (one.answer.code + two.answer.code) / 2)
    assert both.cameras == [] and len(both.photos) == 2 and both.moved.shape == (len(both.mesh.vertices),)


def test_a_page_of_its_own_holds_the_mesh_and_all_that_it_needs(folder, view, tmp_path, monkeypatch):
    Image.fromarray(view).save(tmp_path / "a.png")
    places = ["--category", "chairs", "--runs", folder / "runs", "--resolution", 16]
    command(monkeypatch, tmp_path / "a.png", "-o", tmp_path / "chair", "--format", "html", *places)
    page = (tmp_path / "chair.html").read_text(encoding="utf-8")
    assert "data-snapshot=" in page and "../standalone.js" not in page and len(page) > 2_000_000
    assert page.count("<script>") == page.count("</script>")


def test_what_does_not_fit_together_is_refused_before_anything_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    for arguments, message in [
        ([a, b, "-o", "x.glb", "--mask", a], "belongs to one photograph"),
        ([tmp_path / "photos", "-o", "x", "--mask", a], "is a folder: give it alone"),
        ([tmp_path / "photos", "-o", "x"], "no photographs in .*: files that end in .png"),
        ([a, "-o", "x.glb", "--format", "ply"], "x.glb does not end in .ply"),
        ([a, "-o", "x.glb", "--doubt", "y.gif"], "a preview is written as .png or .jpg"),
        ([a, "-o", "x.glb", "--refine", "-1"], "-1 steps of refinement are not possible"),
    ]:
        with pytest.raises(SystemExit, match=message):
            command(monkeypatch, *arguments)


def test_the_square_that_is_seen_is_where_the_object_is_in_the_photograph():
    picture = object_on_white(30, 40)
    loaded = load_photo(picture)
    photo = frame_photo(loaded, cut_out(loaded), 64, SHARE)
    left, top, side = photo.square
    rows, columns = (np.flatnonzero((photo.covered > 127).any(axis=axis)) for axis in (1, 0))
    found = [left + columns[0] * side / 64, top + rows[0] * side / 64, left + (columns[-1] + 1) * side / 64]
    np.testing.assert_allclose(found, [30, 40, 90], atol=0.75 * side / 64)
    assert (photo.covered[photo.image.min(axis=2) < 200] > 100).all()


def test_a_command_that_fails_leaves_nothing(folder, view, tmp_path, monkeypatch):
    Image.fromarray(view).save(tmp_path / "photo.png")
    (tmp_path / "broken.jpg").write_text("not a picture")
    out = tmp_path / "new" / "chair.glb"
    good = ["--category", "chairs", "--runs", folder / "runs", "--resolution", 16]
    for arguments, message in [
        ([tmp_path / "broken.jpg", "-o", out, *good], "broken.jpg cannot be read as an image"),
        ([tmp_path / "photo.png", "-o", out.with_suffix(".doc"), *good], "a mesh is written as"),
        ([tmp_path / "photo.png", "-o", out, "--preview", tmp_path / "seen.txt", *good], "written as .png or .jpg"),
        ([tmp_path / "photo.png", "-o", out, "--rectangle", 5, 5, 500, 9, *good], "the rectangle 5 5 500 9"),
        ([tmp_path / "photo.png", "-o", out, "--category", "tables", *good[2:]], "no category is called 'tables'"),
        ([tmp_path / "photo.png", "-o", out, "--category", "sofas", *good[2:]], "sofas"),
    ]:
        with pytest.raises(SystemExit, match=f"^tpl: .*{message}"):
            command(monkeypatch, *arguments)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.jpg", "photo.png"]


def test_the_template_knows_its_parts_and_gives_them_back(folder):
    """Labels that a shape's own warp has put on the template come back to it by the same warp."""
    bench = Bench.open(folder / "data", folder / "runs", "chairs", prepared=False)
    points, label, names = labels = part_labels_of_template(bench, points=2000, cell=0.05)
    assert len(points) == len(label) and "seat" in names and "leg" in names and "base" not in names
    shape, trained = bench.shapes("coded")[0], Trained(bench, ())
    raw = shape.load()
    vertices = bench.store.read_normalization(shape).apply(np.asarray(raw.vertices))
    cut, faces, owner = trimesh.remesh.subdivide_to_size(vertices, raw.faces, 0.1, max_iter=20, return_index=True)
    mesh = trimesh.Trimesh(cut, faces, process=False)
    mesh.merge_vertices()
    own = np.array(raw.metadata["parts"])[raw.metadata["part"]][owner]
    true = np.array([{"base": "leg"}.get(str(part), str(part)) for part in own])
    code = trained.embedding.codes[0]
    carried = np.array(names)[label_faces(mesh, lambda at: trained.embedding.model.canonical(at, code), labels)]
    assert np.average(carried == true, weights=mesh.area_faces) > 0.8


# Cut-outs that are fetched


def test_views_of_training_shapes_are_read_in_even_steps(folder):
    collection = open_collection(folder / "data")
    assert training_views(collection, "chairs").shape == (2, 3, 32, 32, 3)
    assert training_views(collection, "chairs", shapes=1, views=2).shape == (1, 2, 32, 32, 3)


PACKAGE_TOOLS = """#!/bin/sh
mkdir -p tree/usr/share/tuxpaint/stamps/vehicles/flight/planes tree/usr/share/tuxpaint/stamps/military/vehicles
mkdir -p tree/usr/share/doc/tuxpaint-stamps-default
for file in vehicles/flight/planes/747.png military/vehicles/f22_raptor.png LAST; do
  [ "$file" = LAST ] || echo "$file" > "tree/usr/share/tuxpaint/stamps/$file"
done
echo GPL-2 > tree/usr/share/doc/tuxpaint-stamps-default/copyright
tar -C tree -cf tuxpaint-stamps-default_1_all.deb .
"""


def tools(folder, **scripts):
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name.replace("_", "-")).write_text(script)
        (folder / name.replace("_", "-")).chmod(0o755)
    return folder


def test_the_stamps_are_taken_out_of_their_package_once(tmp_path, monkeypatch):
    where = tools(tmp_path / "bin", apt_get=PACKAGE_TOOLS, dpkg_deb='#!/bin/sh\ncat "$2"\n')
    monkeypatch.setenv("PATH", str(where), prepend=":")
    files = fetch_stamps(tmp_path / "photos")
    assert {title: file.read_text().strip() for title, file in files.items()} == {
        "747": "vehicles/flight/planes/747.png",
        "F-22": "military/vehicles/f22_raptor.png",
    }
    names = ["747.png", "f22_raptor.png", "tuxpaint-stamps-default-copyright.txt"]
    assert sorted(file.name for file in (tmp_path / "photos").iterdir()) == names
    monkeypatch.setenv("PATH", "")
    assert fetch_stamps(tmp_path / "photos") == files  # nothing is asked for again


def test_stamps_that_cannot_be_fetched_are_a_sentence(tmp_path, monkeypatch):
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "")
        with pytest.raises(FetchError, match="this machine has no apt-get"):
            fetch_stamps(tmp_path / "photos")
    offline = '#!/bin/sh\necho "E: Temporary failure resolving" >&2\nexit 100\n'
    unpack = '#!/bin/sh\ncat "$2"\n'
    monkeypatch.setenv("PATH", str(tools(tmp_path / "offline", apt_get=offline, dpkg_deb=unpack)), prepend=":")
    with pytest.raises(FetchError, match=r"\(Temporary failure resolving\): `apt-get update` and a network may help"):
        fetch_stamps(tmp_path / "photos")
    other = PACKAGE_TOOLS.replace("military/vehicles/f22_raptor.png LAST", "LAST")
    monkeypatch.setenv("PATH", str(tools(tmp_path / "other", apt_get=other, dpkg_deb=unpack)), prepend=":")
    with pytest.raises(FetchError, match="has no usr/share/tuxpaint/stamps/military/vehicles/f22_raptor.png"):
        fetch_stamps(tmp_path / "photos")
    torn = "#!/bin/sh\necho torn > tuxpaint-stamps-default_1_all.deb\n"
    monkeypatch.setenv("PATH", str(tools(tmp_path / "torn", apt_get=torn, dpkg_deb=unpack)), prepend=":")
    with pytest.raises(FetchError, match="is broken"):
        fetch_stamps(tmp_path / "photos")
    assert not (tmp_path / "photos").exists()
