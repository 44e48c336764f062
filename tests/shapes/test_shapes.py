"""Sources of shapes: what they list, how it is split, and what they refuse."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl.shapes import CATEGORIES, SPLITS, list_shapes, procedural_shapes
from tpl.shapes.procedural import split_of

category = st.sampled_from(list(CATEGORIES))


@settings(max_examples=12, deadline=None)
@given(category=category, few=st.integers(0, 3), more=st.integers(0, 3), seed=st.integers(0, 5))
def test_a_larger_count_keeps_the_shapes_of_a_smaller_one(category, few, more, seed):
    small = list_shapes("procedural", category, train=few, test=few, seed=seed)
    large = list_shapes("procedural", category, train=few + more, validation=more, test=few + 1, seed=seed)
    assert [shape.split for shape in small] == ["train"] * few + ["test"] * few
    for split in SPLITS:
        ids = [shape.id for shape in small if shape.split == split]
        assert ids == [shape.id for shape in large if shape.split == split][: len(ids)]


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_style_is_in_two_splits_and_ids_are_unique(category):
    shapes = list_shapes("procedural", category, train=300, validation=60, test=60)
    assert Counter(shape.split for shape in shapes) == {"train": 300, "validation": 60, "test": 60}
    assert len({shape.id for shape in shapes}) == len(shapes)
    families = {split: {shape.family for shape in shapes if shape.split == split} for split in SPLITS}
    assert not families["train"] & families["validation"]
    assert not families["train"] & families["test"]
    assert not families["validation"] & families["test"]
    for shape in shapes:
        assert shape.category == category
        assert shape.split == split_of(category, shape.family)
        assert shape.id.endswith(shape.family)


def test_seven_styles_in_ten_are_trained_on():
    share = Counter(split_of("chairs", f"style {number}") for number in range(2000))
    assert share["train"] / 2000 == pytest.approx(0.7, abs=0.04)
    assert share["validation"] / 2000 == pytest.approx(0.15, abs=0.03)


def test_seeds_give_other_shapes_under_other_ids():
    first, second = (list_shapes("procedural", "chairs", train=5, seed=seed) for seed in (0, 1))
    assert not {shape.id for shape in first} & {shape.id for shape in second}


@pytest.mark.parametrize("category", CATEGORIES)
def test_loading_is_deterministic_also_after_pickling(category):
    (shape,) = list_shapes("procedural", category, validation=1)
    twin = pickle.loads(pickle.dumps(shape))
    assert twin.id == shape.id
    one, other = shape.load(), twin.load()
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)
    np.testing.assert_array_equal(one.visual.face_colors, other.visual.face_colors)


def test_what_does_not_exist_is_refused_with_what_does():
    with pytest.raises(ValueError, match="'shapnet'; there is .*procedural"):
        list_shapes("shapnet", "chairs", train=1)
    with pytest.raises(ValueError, match="'tables'; there are chairs, sofas, airplanes"):
        list_shapes("procedural", "tables", train=1)
    with pytest.raises(ValueError, match="-2 shapes for test asked for; ask for 0 or more"):
        list_shapes("procedural", "sofas", test=-2)
    with pytest.raises(ValueError, match="'tests'; there are train, validation, test"):
        procedural_shapes("sofas", {"tests": 1})
    with pytest.raises(ValueError, match="seed is -1"):
        list_shapes("procedural", "sofas", train=1, seed=-1)


def test_made_shapes_are_others_when_the_code_that_makes_them_is(edit_code):
    def version() -> str:
        return procedural_shapes("chairs", {"train": 1})[0].version

    first = version()
    edit_code("tpl.shapes.procedural.chair_backs")
    edit_code("tpl.meshes.reading", "LONGEST = 7")
    assert version() == first
    edit_code("tpl.shapes.procedural.parts", "ROUND = 7")
    assert version() != first
