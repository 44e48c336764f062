"""Doubt: intervals hold for as many cases as they say, distances are those of loops, and files keep all of it."""

import numpy as np
import pytest
import torch
import trimesh
from torch import nn

from tpl.inference import Reconstructor
from tpl.pretrained import files
from tpl.pretrained.doubt import (
    LEVEL,
    Calibration,
    Clues,
    Doubt,
    Judgement,
    calibrate,
    coverage_of,
    distances_to,
    doubt_mesh,
    variants,
)
from tpl.pretrained.files import NetworksError
from tpl.pretrained.sorting import Sorter, load_sorter, small_object
from tpl.refinement.answering import Answer


def cases(count: int, seed: int, noise: float = 0.5) -> tuple[list[Clues], np.ndarray, list[str]]:
    """Answers whose distance from the truth grows with their clues, two views a shape."""
    rng = np.random.default_rng(seed)
    clues = [Clues(*rng.uniform(0.05, 1, 3).tolist()) for _ in range(count)]
    logs = np.array([-7 + 1.2 * one.features[2] + 0.4 * one.features[0] for one in clues])
    return clues, np.exp(logs + noise * rng.normal(size=count)), [f"shape-{row // 2}" for row in range(count)]


def test_an_interval_holds_for_as_many_new_cases_as_it_says():
    kept, told = [], []
    for seed in range(10):
        calibration = calibrate(*cases(80, seed))
        kept.append(coverage_of(calibration, *cases(400, 100 + seed)[:2]))
        told.append(calibration.kept)
    assert np.mean(kept) == pytest.approx(LEVEL, abs=0.05) and np.mean(told) == pytest.approx(LEVEL, abs=0.05)


def test_it_is_the_narrower_the_more_the_clues_say():
    def width(noise):
        low, high = calibrate(*cases(400, 0, noise)).interval(Clues(0.3, 0.3, 0.3))
        return np.log(high / low)

    narrow, wide = width(0.1), width(1.0)
    assert narrow < 0.5 < wide and wide == pytest.approx(2 * 1.2816, rel=0.2)  # a tenth beyond either


def test_worse_silhouettes_mean_worse_meshes_where_they_did():
    calibration = calibrate(*cases(200, 1))
    assert calibration.interval(Clues(0.3, 0.3, 0.6))[1] > 2 * calibration.interval(Clues(0.3, 0.3, 0.1))[1]
    assert calibration.shapes == 100


def test_distances_are_those_of_loops():
    rng = np.random.default_rng(0)
    codes, others = rng.normal(size=(30, 4)), rng.normal(size=(5, 4))
    expected = [min(np.sqrt(np.mean((one - code) ** 2)) for code in codes) for one in others]
    np.testing.assert_allclose(distances_to(codes, others), expected)


def test_what_is_farther_than_all_that_was_held_out_is_nonsense():
    near, far = (Judgement(Clues(0.5, 0.1, 0.1), share, (0.001, 0.004)).sentences for share in (0.4, 0.002))
    assert "40% of pictures of unseen made shapes are as far" in near[0] and "between 1 and 4 for 80%" in near[1]
    assert "expect nonsense" in far[0] and far[1].endswith("of which this is none")
    assert "surfaces some 2.2 to 4.5 % of the diagonal apart" in near[1]  # the root of half the squared distance


def test_an_interval_is_that_of_so_many_pictures_fitted_or_not(monkeypatch):
    """Four were never calibrated, and an answer without a camera has no silhouette to judge by."""
    names = ["fitted", "seen", "fitted of 2", "seen of 2", "fitted of 3", "seen of 3"]
    flat = {
        name: Calibration(np.array([0, 0, 0, np.log(number)]), np.log([0.5, 2.0]), 0.8, 0.8, 40)
        for number, name in enumerate(names, 1)
    }
    doubt = Doubt(np.zeros((1, 2), np.float32), np.array([0.1], np.float32), flat)
    clues = Clues(0.1, 0.1, 0.1)
    monkeypatch.setattr(Doubt, "clues", lambda *_: clues)

    def interval(count, fitted):
        seen = torch.zeros(count, 2)
        none, code = np.full(count, np.nan), seen.mean(dim=0) + fitted
        given = Answer(trimesh.Trimesh(), code, seen, None, none, none, np.zeros((2, count, 4, 4), bool))
        return doubt.judge(
            Reconstructor(nn.Module(), nn.Module(), seen), np.zeros((count, 4, 4, 3), np.uint8), given
        ).interval

    for count in (1, 2, 3):
        for number, fitted in ((2 * count - 1, 1.0), (2 * count, 0.0)):
            assert interval(count, fitted) == pytest.approx((number / 2, 2 * number))
    assert interval(4, 1.0) is None and interval(4, 0.0) is None
    clues = Clues(0.1, 0.1, float("nan"))
    assert interval(1, 0.0) is None


def test_a_file_keeps_it(tmp_path):
    codes = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float16).astype(np.float32)
    calibration = calibrate(*cases(40, 3))._replace(tested=0.81)
    of_modes = {"fitted": calibration, "seen of 3": calibration}
    Doubt(codes, np.array([0.1, 0.2], np.float32), of_modes).save(tmp_path / "doubt.safetensors")
    again = Doubt.load(tmp_path / "doubt.safetensors")
    np.testing.assert_array_equal(again.codes, codes)
    assert again.calibrations["fitted"].interval(Clues(0.2, 0.2, 0.2)) == calibration.interval(Clues(0.2, 0.2, 0.2))
    assert set(again.calibrations) == set(of_modes)
    assert isinstance(again.calibrations["fitted"], Calibration) and again.calibrations["fitted"].tested == 0.81


def test_variants_stay_on_white_and_keep_the_object_s_size():
    image = np.full((64, 64, 3), 255, np.uint8)
    image[20:44, 16:48] = (180, 90, 60)
    made = variants(image)
    drawn = (made.min(axis=3) < 250).sum(axis=(1, 2))
    assert (made[:, 0, 0] == 255).all() and (abs(drawn / (24 * 32) - 1) < 0.25).all()


def test_a_mesh_is_red_where_it_is_doubtful():
    mesh = trimesh.creation.icosphere(subdivisions=1)
    colors = np.asarray(doubt_mesh(mesh, (mesh.vertices[:, 1] > 0) * 1.0).visual.vertex_colors)[:, :3].astype(int)
    up = mesh.vertices[:, 1] > 0
    assert (colors[up] == (190, 24, 24)).all() and (colors[~up] == (222, 222, 214)).all()


def drawn(shape: str, left: int = 8, size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A square or a triangle somewhere on white, and its mask."""
    mask = np.zeros((64, 64), np.uint8)
    for row in range(size):
        width = size if shape == "square" else row + 1
        mask[20 + row, left : left + width] = 255
    return np.where(mask[..., None] > 0, np.uint8([120, 110, 100]), np.uint8(255)), mask


def test_small_objects_know_neither_place_nor_size_and_categories_are_told_apart(tmp_path):
    np.testing.assert_allclose(small_object(*drawn("square")), small_object(*drawn("square", 30, 32)), atol=0.02)
    views = {
        shape: np.stack([small_object(*drawn(shape, left, size)) for left in (3, 20) for size in range(14, 30, 2)])
        for shape in ("square", "triangle")
    }
    sorter = Sorter.of(views, components=4)
    sorter.save(tmp_path / "sorter.safetensors")
    for each in (sorter, Sorter.load(tmp_path / "sorter.safetensors")):
        for shape in views:
            name, share = each.votes(*drawn(shape, 11, 21))
            assert name == shape and share > 0.8


def test_without_a_sorter_the_category_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PACKAGED", tmp_path)
    with pytest.raises(NetworksError, match="sorter.safetensors, which tells categories apart, is not there: name the"):
        load_sorter(tmp_path)
