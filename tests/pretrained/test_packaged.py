"""The networks that come with the package: whole, small, and as good as they say on what they have not seen."""

import numpy as np
import pytest
import torch

import tpl
from tpl.photos import find_category
from tpl.pretrained.files import DECODER, ENCODER, LARGEST, PACKAGED, check_networks, file_hash, read_manifest
from tpl.pretrained.loading import load_networks
from tpl.rendering import FIXED, Camera, render_view
from tpl.shapes import list_shapes
from tpl.shapes.shape import CATEGORIES
from tpl.study.methods import ENCODERS, OUR_ENCODER


def test_nothing_is_there_that_the_manifest_does_not_tell_of():
    there = {path.relative_to(PACKAGED).as_posix(): path for path in PACKAGED.rglob("*") if path.is_file()}
    told = read_manifest(there.pop("manifest.json"))["files"]
    assert told == {name: file_hash(path) for name, path in there.items()}


@pytest.mark.parametrize("category", CATEGORIES)
def test_they_are_small_and_load_as_the_run_that_they_are_of(category):
    place = check_networks(category)
    weights = [place / name / "model.safetensors" for name in (DECODER, ENCODER)]
    assert sum(file.stat().st_size for file in weights) <= LARGEST
    quick, slow = load_networks(category), ENCODERS[OUR_ENCODER].load(place)
    for one, other in zip(quick[:2], slow[:2], strict=True):
        others = other.state_dict()
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, others[name]), name
    torch.testing.assert_close(quick.codes, slow.codes)
    assert not any(parameter.requires_grad for parameter in quick.model.parameters())


def test_a_chair_of_an_unseen_style_is_answered_with_its_silhouette_and_a_doubt():
    shape = list_shapes("procedural", "chairs", train=1, test=1)[-1]
    view = render_view(shape.load(), FIXED, 192)
    made = tpl.load("chairs").reconstruct(view, resolution=64)
    assert made.answer.after[0] < made.answer.before[0] + 0.01 and made.answer.after[0] < 0.35
    assert made.judgement and made.judgement.interval and made.judgement.as_far > 0.01
    (camera,) = made.cameras
    placed, _ = camera.project(np.asarray(made.mesh.vertices), 64)
    covered = made.photo.covered[tuple(np.clip(placed[:, ::-1].astype(int), 0, 63).T)]
    assert np.mean(covered > 0) > 0.7  # the camera puts the mesh where the object is in the picture


@pytest.mark.parametrize("category", CATEGORIES)
def test_categories_are_told_apart(category):
    shapes = [shape for shape in list_shapes("procedural", category, train=1, test=4) if shape.split == "test"]
    views = [render_view(shape.load(), Camera(azimuth, 25, 1.4), 96) for shape in shapes for azimuth in (40, 300)]
    found = [find_category(view)[0] for view in views]
    assert np.mean(np.array(found) == category) >= 0.75
