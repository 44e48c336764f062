"""What was found to be the object: shadows go, and what looks unlike an object is said in one sentence."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from tpl.meshes import Normalization
from tpl.photos import ImageError, cut_out, load_photo, rembg_network
from tpl.photos.framing import OUTLINE, frame_photo, frame_square, preview, sight_of
from tpl.photos.pipeline import cut_photo
from tpl.photos.shadows import find_shadow
from tpl.rendering import Camera

BROWN, WHITE, GREY = (139, 90, 60), (252, 252, 252), (190, 190, 190)
SIZE = 320


def chair(color=BROWN, side=0.75, front=0.5):
    """A drawn chair: its picture on black, and its mask. Its seat, its sides and its slats differ in brightness."""
    picture, mask = np.zeros((SIZE, SIZE, 3), np.uint8), np.zeros((SIZE, SIZE), np.uint8)
    seat = [(100, 170), (160, 150), (225, 165), (165, 190)]
    faces = [(seat, 1.0), ([(100, 170), (165, 190), (165, 205), (100, 185)], side)]
    faces += [([(165, 190), (225, 165), (225, 180), (165, 205)], front)]
    for x, top, bottom in [(102, 180, 260), (160, 200, 285), (215, 180, 255)]:
        faces.append(([(x, top), (x + 8, top), (x + 8, bottom), (x, bottom)], side))
    faces += [([(x, 60), (x + 6, 60), (x + 6, 160), (x, 160)], side) for x in (155, 178, 201, 219)]
    faces.append(([(150, 45), (230, 50), (230, 68), (150, 64)], 1.0))
    for corners, light in faces:
        shade = tuple(int(light * channel) for channel in color)
        cv2.fillConvexPoly(picture, np.array(corners), shade)
        cv2.fillConvexPoly(mask, np.array(corners), 255)
    return picture, mask


def on_ground(ground, color=BROWN, shadow=0.0, soft=12.0, noise=1.5, **light):
    """The chair before an even ground, with a shadow on it that is dark by `shadow` and fades over `soft` pixels."""
    picture, mask = chair(color, **light)
    dark = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(dark, (190, 255), (75, 28), 0, 0, 360, 1.0, -1)
    if soft:
        dark = cv2.GaussianBlur(dark, (0, 0), soft)
    floor = np.array(ground, float) * (1 - shadow * dark[..., None])
    photograph = np.where(mask[..., None] > 0, picture, floor)
    photograph += noise * np.random.default_rng(0).normal(size=photograph.shape)
    return np.rint(np.clip(photograph, 0, 255)).astype(np.uint8), mask


def found(picture, **options):
    return cut_out(load_photo(picture), **options)


def overlap(mask, truth):
    mask, truth = mask >= 128, truth >= 128
    return np.sum(mask & truth) / np.sum(mask | truth)


@pytest.mark.parametrize("ground", [GREY, (225, 215, 196), (150, 170, 190)])
def test_a_soft_shadow_goes_and_that_is_said(ground):
    picture, truth = on_ground(ground, shadow=0.5)
    cut = found(picture)
    assert cut.source == "plain background" and overlap(cut.mask, truth) > 0.93
    (note,) = cut.notes
    assert "soft shadow on the ground" in note and "left out" in note
    kept = found(picture, drop_shadows=False)
    assert overlap(kept.mask, truth) < 0.75
    without, _ = on_ground(ground)
    assert found(without).notes == ()


def test_the_ground_behind_is_as_dark_as_beside():
    picture, mask = on_ground(GREY, shadow=0.5, noise=0)
    ground = np.broadcast_to(np.array(GREY, float), picture.shape)
    shadow = find_shadow(picture, ground, np.abs(picture - ground).max(axis=2) > 12)
    assert not (shadow.fading & (mask > 0)).any()
    beside, behind = shadow.ground[255, 176, 0], shadow.ground[255, 163, 0]
    assert beside == pytest.approx(float(picture[255, 176, 0]), abs=4) and behind == pytest.approx(beside, abs=12)


def test_a_hard_shadow_stays_and_is_noted():
    """Its edge is an object's, too: no colour tells it from a grey cushion."""
    picture, _ = on_ground(GREY, shadow=0.4, soft=0)
    assert any("darker shade of the ground: if that is a shadow, give a mask" in note for note in found(picture).notes)


@pytest.mark.parametrize("color", [(90, 90, 90), (60, 60, 62), (20, 20, 20)])
def test_a_grey_object_with_edges_is_no_shadow(color):
    picture, truth = on_ground(WHITE, color, noise=1)
    assert overlap(found(picture).mask, truth) > 0.95


def test_an_object_that_fades_into_the_ground_is_not_torn_apart():
    """A pale bolster whose shades end where the ground's begins, with two dark feet."""
    along = np.linspace(0, 1, 200)[None, :, None]
    picture = np.full((SIZE, SIZE, 3), 252, np.uint8)
    picture[100:200, 60:260] = 252 - 110 * np.sin(np.pi * along) ** 2
    picture[200:250, 90:110] = picture[200:250, 210:230] = (40, 40, 44)
    cut = found(picture)
    assert (cut.mask[120:180, 110:210] >= 128).all()
    assert any("fades into the ground as soft shadows do: if it is one" in note for note in cut.notes)


def test_white_on_white_falls_apart_and_is_noted():
    picture, truth = on_ground(WHITE, WHITE, noise=0.5, side=0.8, front=0.99)
    cut = found(picture)
    assert overlap(cut.mask, truth) < 0.7
    (note,) = [note for note in cut.notes if "falls apart into" in note]
    assert "the ground's colour" in note and "photograph it before another colour" in note


def test_holes_of_nearly_the_ground_s_colour_are_noted_and_what_one_sees_through_is_not():
    through, _ = on_ground(WHITE)
    assert found(through).notes == ()  # between the slats and under the seat is ground
    cushion = through.copy()
    cv2.ellipse(cushion, (163, 170), (30, 9), 0, 0, 360, (246, 245, 243), -1)
    (note,) = found(cushion).notes
    assert "holes of nearly the ground's colour" in note and "if they belong to the object, give a mask" in note


def test_an_object_at_the_border_and_one_that_fills_the_frame_are_noted():
    picture, _ = on_ground(WHITE)
    cropped = picture[:270]  # through one leg, which is thin
    assert any("reaches the bottom edge" in note for note in found(cropped).notes)
    filled = np.zeros((SIZE, SIZE), np.uint8)
    filled[8:-8, 8:-8] = 255
    (note,) = found(picture, mask=filled).notes
    assert "fills 90% of the frame" in note and "give a mask" in note


def test_grabcut_is_said_to_be_a_guess_every_time():
    picture, mask = chair()
    room = np.full((SIZE, SIZE, 3), (205, 196, 180), np.uint8)
    room[200:] = (112, 82, 60)
    room[:120, 180:260] = (70, 110, 160)
    noise = np.random.default_rng(0).normal(0, 5, room.shape)
    room = np.clip(np.where(mask[..., None] > 0, picture, room) + noise, 0, 255).astype(np.uint8)
    cut = found(room)
    assert cut.source == "GrabCut" and cut.notes[-1].startswith("GrabCut guessed the mask: look at it in the preview")
    assert found(room, mask=mask).notes == ()


def test_a_network_finds_what_colours_cannot(monkeypatch):
    picture, truth = on_ground(WHITE, WHITE, side=1.0, front=1.0)
    asked = []

    def new_session(name):
        if name == "nonsense":
            raise ValueError(f"No session class found for model '{name}'")
        return name

    def remove(data, session=None, only_mask=False):  # as rembg's: an array for an array
        asked.append((session, only_mask, data.dtype, data.shape))
        return truth.copy()

    monkeypatch.setitem(sys.modules, "rembg", SimpleNamespace(new_session=new_session, remove=remove))
    cut = found(picture, network=rembg_network("u2net"))
    assert asked == [("u2net", True, np.uint8, (SIZE, SIZE, 3))]
    assert cut.source == "network u2net" and overlap(cut.mask, truth) == 1 and "guessed" in cut.notes[-1]
    assert found(picture, mask=truth, network=rembg_network()).source == "mask" and len(asked) == 1
    with pytest.raises(ImageError, match="cannot start its network nonsense .*: name another, or give a mask"):
        rembg_network("nonsense")
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(ImageError, match=r"needs the package rembg: `pip install 'tpl\[masks\]'`"):
        rembg_network()


def test_heic_is_named_or_read(tmp_path, monkeypatch):
    file = tmp_path / "iphone.heic"
    file.write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(64))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(
        ImageError, match="iphone.heic is HEIC, .*: save it as JPEG or PNG, or `pip install pillow-heif`"
    ):
        load_photo(file)
    called = []
    opener = SimpleNamespace(register_heif_opener=lambda: called.append("registered"))
    monkeypatch.setitem(sys.modules, "pillow_heif", opener)
    with pytest.raises(ImageError, match="cannot be read as an image"):  # this one holds no picture
        load_photo(file)
    assert called == ["registered"]


@pytest.mark.parametrize("shape", [(21000, 16), (16, 21000), (20, 400)])
def test_a_strip_is_refused_in_a_sentence(tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "strip.png")
    with pytest.raises(ImageError, match="strip.png is .* a strip more than 16 times as long as it is wide: cut it"):
        load_photo(tmp_path / "strip.png")


def test_long_pictures_that_are_no_strips_are_searched():
    long = np.full((1600, 110, 3), 240, np.uint8)
    long[700:900, 30:80] = BROWN
    assert overlap(found(long).mask, np.where(long[..., 0] == BROWN[0], 255, 0)) > 0.95


def test_a_large_photograph_is_made_smaller_with_its_mask_and_its_rectangle():
    """As a telephone's: what is found, and what is framed, is that of the small picture."""
    picture, truth = on_ground(GREY, noise=0.0)
    large, whole = (cv2.resize(each, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC) for each in (picture, truth))
    loaded, cut = cut_photo(large)
    assert loaded.shape == (2048, 2048, 4) and cut.picture.shape == loaded.shape
    assert overlap(cut.mask, cv2.resize(truth, (2048, 2048))) > 0.9
    np.testing.assert_array_equal(cut_photo(picture)[0], load_photo(picture))  # a small one stays as it is
    by_mask = cut_photo(large, mask=whole)[1]
    assert by_mask.source == "mask" and overlap(by_mask.mask, cv2.resize(truth, (2048, 2048))) > 0.97
    with pytest.raises(ImageError, match="the mask is 320 x 320 pixels and the picture 3200 x 3200"):
        cut_photo(large, mask=truth)
    inside = cut_photo(large, rectangle=(900, 400, 2400, 1800))[1].mask > 0
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    scale = 2048 / 3200
    assert rows[-1] <= scale * 1800 and columns[0] >= scale * 900 - 1 and rows[0] >= scale * 400 - 1
    with pytest.raises(ImageError, match="does not lie within a picture of 3200 x 3200"):
        cut_photo(large, rectangle=(0, 0, 3201, 3200))
    frames = [frame_photo(*cut_photo(each), 64, 1.2).covered for each in (picture, large)]
    assert overlap(*frames) > 0.9


def test_the_preview_names_the_mask_and_outlines_it_and_the_square_leads_back():
    picture, _ = on_ground(GREY, shadow=0.5)
    loaded = load_photo(picture)
    photo = frame_photo(loaded, cut_out(loaded), 64, 0.8)
    shown = preview(photo, 256)
    assert shown.shape[0] == 256 and (shown[:, : shown.shape[1] // 3] == OUTLINE).all(axis=2).sum() > 200
    label = shown[: 256 // 16, 256 + 8 : 2 * 256]
    assert (label > 250).mean() > 0.5 and (label < 60).any()
    center, side = frame_square(photo.mask, 0.8)
    middle = (photo.image < 250).any(axis=2)
    rows, columns = (np.flatnonzero(middle.any(axis=axis)) for axis in (1, 0))
    corner = center + (np.array([columns[0], rows[0]]) / 64 - 0.5) * side
    np.testing.assert_allclose(corner, [100, 45], atol=1.5 * side / 64)
    sight = sight_of(photo, 0.8, Camera(324, 25, 1.4), Normalization(np.zeros(3), 2.0))
    middle_of_ball = sight.project(np.zeros((1, 3)))  # it stands in the middle of what the camera sees
    np.testing.assert_allclose(middle_of_ball[0], center, atol=1e-6)
