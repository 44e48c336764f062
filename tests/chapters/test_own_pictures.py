"""The project's own pictures are what their recipes make, small, and never wrong without a word."""

import io

import numpy as np
import pytest
from PIL import Image

from tpl.chapters.photos.own import FOLDER, LARGEST, OWN, make_picture, make_pictures
from tpl.photos import cut_out, load_photo

DRAWN = {own.name: own for own in OWN}


def overlap(own):
    found, truth = cut_out(load_photo(own.file)), own.read_mask()
    mask = found.mask >= 128
    return np.sum(mask & truth) / np.sum(mask | truth), found


def test_the_pictures_are_all_there_small_and_credited():
    assert len(OWN) >= 10 and {own.category for own in OWN} == {"chairs", "sofas", "airplanes"}
    names = {own.file.name for own in OWN} | {own.file.with_suffix(".png").name for own in OWN} | {"CREDITS.txt"}
    assert {file.name for file in FOLDER.iterdir()} == names
    assert max(file.stat().st_size for file in FOLDER.iterdir()) <= LARGEST
    assert "made by this project" in (FOLDER / "CREDITS.txt").read_text()


@pytest.mark.parametrize("name", ["chair_shadow"])
def test_they_are_what_their_recipes_make(name, tmp_path):
    made, own = make_picture(DRAWN[name]), DRAWN[name]
    assert np.mean(made.mask == own.read_mask()) > 0.999
    with Image.open(own.file) as shipped:
        again = io.BytesIO()
        Image.fromarray(made.picture).save(again, "JPEG", quality=82)
        apart = np.abs(np.asarray(shipped, int) - np.asarray(Image.open(again), int))
    assert apart.mean() < 1
    make_pictures([], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["CREDITS.txt"]


def test_shadows_on_even_grounds_cost_nothing():
    for name in ("chair_white", "chair_shadow", "chair_warm", "chair_far", "sofa_shadow", "airplane_sky"):
        share, found = overlap(DRAWN[name])
        assert found.source == "plain background" and share > 0.93, name


def test_no_mask_is_wrong_without_a_word():
    """Within a tenth of the true one, or with a note; and what is right has none but of its shadow."""
    assert overlap(DRAWN["chair_white"])[1].notes == overlap(DRAWN["airplane_sky"])[1].notes == ()
    for name in ("chair_shadow", "chair_warm", "chair_far", "sofa_shadow"):
        (note,) = overlap(DRAWN[name])[1].notes
        assert "soft shadow" in note and "left out" in note
    for own in OWN:
        share, found = overlap(own)
        assert share > 0.9 or found.notes, own.name
    assert any("bottom edge" in note for note in overlap(DRAWN["chair_cropped"])[1].notes)
    for name in ("chair_room", "chair_untidy"):
        assert any("GrabCut guessed" in note for note in overlap(DRAWN[name])[1].notes)
