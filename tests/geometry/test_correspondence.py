"""Matching and carrying on sets of points with known answers; the scores against their formulas in loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.geometry.correspondence import (
    judged_points,
    majority,
    match_boxes,
    match_points,
    score_labels,
    transfer,
    transfer_points,
)
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig

SEEDS = st.integers(0, 999)


def cloud(seed, count=60):
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (count, 3))


def test_a_match_is_the_nearest_by_brute_force():
    source, target = cloud(0), cloud(1, 40)
    apart = np.linalg.norm(target[:, None] - source, axis=-1)
    match = match_points(source, target)
    assert np.array_equal(match.index, apart.argmin(axis=1))
    assert np.allclose(match.distance, apart.min(axis=1))


@given(SEEDS)
def test_a_shape_onto_itself_gives_every_value_back(seed):
    points, labels = cloud(seed), np.random.default_rng(seed).integers(4, size=60)
    assert np.array_equal(transfer(labels, points, points), labels)
    assert np.array_equal(transfer(points, points, points), points)
    assert score_labels(labels, labels, labels) == (1, 1, 1)


@given(SEEDS)
def test_the_order_of_the_points_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    source, target, labels = cloud(seed), cloud(seed + 1, 40), rng.integers(4, size=60)
    carried = transfer(labels, source, target)
    shuffle, mix = rng.permutation(60), rng.permutation(40)
    assert np.array_equal(transfer(labels[shuffle], source[shuffle], target[mix]), carried[mix])
    truth = rng.integers(4, size=40)
    assert score_labels(carried, truth, labels) == score_labels(carried[mix], truth[mix], labels[shuffle])


def test_several_exemplars_put_together_are_asked_for_the_nearest_of_all():
    first, second = np.zeros((1, 3)), np.ones((1, 3))
    target = np.array([[0.1, 0, 0], [0.9, 1, 1]])
    assert transfer(np.array([7, 8]), np.concatenate([first, second]), target).tolist() == [7, 8]


def test_by_way_of_a_fresh_template_everything_is_nearest_point_transfer():
    """The warp starts as the identity, so the template's space is the shapes' own."""
    sizes = DeepImplicitTemplateConfig(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=1)
    torch.manual_seed(0)
    model = DeepImplicitTemplate(sizes)
    source, target = cloud(3, 300), cloud(4, 200)
    labels = (source[:, 1] > 0).astype(np.int64)
    first, second = (
        model.canonical(points, code) for points, code in zip((source, target), torch.randn(2, 4), strict=True)
    )
    assert np.abs(first - source).max() < 1e-4
    assert np.array_equal(transfer(labels, first, second), transfer(labels, source, target))
    keypoints = cloud(5, 6)
    carried = transfer_points(model.canonical(keypoints, torch.randn(4)), second, target)
    assert np.array_equal(carried, transfer_points(keypoints, target, target))


class Stretched:
    """A model whose shapes are all one box: `latent` says by how much each is stretched along each axis."""

    def canonical(self, points, latent):
        return points / latent


def test_a_warp_that_undoes_a_stretch_carries_perfectly_where_nearest_points_fail():
    """Bands on a flat box and on a tall one: the same bands lie at other heights."""
    base = cloud(6, 400)
    bands = np.floor(10 * (base[:, 1] + 0.6)).astype(np.int64)  # 12 bands over the height
    flat, tall = np.array([1, 0.3, 1]), np.array([0.5, 1.5, 0.5])
    model, source, target = Stretched(), base * flat, base * tall
    places = model.canonical(source, flat), model.canonical(target, tall)
    assert score_labels(transfer(bands, *places), bands, bands) == (1, 1, 1)
    assert score_labels(transfer(bands, source, target), bands, bands).accuracy < 0.5
    assert np.allclose(transfer_points(places[0][:9], places[1], target), target[:9])
    assert not np.allclose(transfer_points(source[:9], target, target), target[:9], atol=0.1)
    # Both boxes stretched to one do it as well, for this stretch runs along the axes.
    boxes = match_boxes(source, source), match_boxes(target, target)
    assert score_labels(transfer(bands, *boxes), bands, bands) == (1, 1, 1)


def test_coordinates_beside_space_tell_apart_what_meets_in_space():
    """An arm's point and a seat's lie at one place of the template, in other slices of it."""
    source = np.array([[0.0, 0, 0, 1], [0, 0, 0.1, -1]])
    target = np.array([[0.0, 0, 0.1, 1], [0, 0, 0, -1]])
    assert transfer(np.array([7, 8]), source, target).tolist() == [7, 8]
    assert transfer(np.array([7, 8]), source[:, :3], target[:, :3]).tolist() == [8, 7]
    assert np.allclose(transfer_points(source, target, np.array([[5.0, 0, 0], [6.0, 0, 0]])), [[5, 0, 0], [6, 0, 0]])


def test_points_in_a_box_go_to_the_cube():
    corners = np.array([[0.0, 1, 2], [4.0, 2, 6]])
    middle = corners.mean(axis=0, keepdims=True)
    assert np.allclose(match_boxes(np.concatenate([corners, middle]), corners), [[-1] * 3, [1] * 3, [0] * 3])


@given(SEEDS)
def test_scores_are_their_formulas_in_loops(seed):
    rng = np.random.default_rng(seed)
    carried, truth, known = rng.integers(5, size=50), rng.integers(1, 5, size=50), rng.integers(3, size=30)
    common = sorted(set(truth.tolist()) & set(known.tolist()))
    judged = [place for place in range(50) if truth[place] in common]
    ious = []
    for part in common:
        both = sum(carried[place] == part and truth[place] == part for place in judged)
        either = sum(carried[place] == part or truth[place] == part for place in judged)
        ious.append(both / either)
    score = score_labels(carried, truth, known)
    assert score.accuracy == pytest.approx(sum(carried[place] == truth[place] for place in judged) / len(judged))
    assert score.mean_iou == pytest.approx(sum(ious) / len(ious))
    assert score.judged == pytest.approx(len(judged) / 50)


def test_parts_of_one_side_alone():
    known = np.array([0, 0, 1])  # seat and back
    truth = np.array([0, 0, 0, 1, 2])  # and arms, which no exemplar has: not judged
    assert judged_points(truth, known).tolist() == [True, True, True, True, False]
    assert score_labels(np.array([0, 0, 0, 1, 1]), truth, known) == (1, 1, 0.8)
    # Now the exemplar has arms (2), the target none; one of its seat points is taken for an arm.
    score = score_labels(np.array([0, 0, 2, 1]), np.array([0, 0, 0, 1]), np.array([0, 1, 2]))
    assert score.accuracy == 0.75 and score.mean_iou == pytest.approx((2 / 3 + 1) / 2) and score.judged == 1


def test_the_majority():
    assert majority(np.array([3, 1, 1, 3, 2])) == 1
    assert majority(np.array([3, 1, 3])) == 3


def test_what_cannot_be_carried_is_refused():
    points, none = cloud(0, 3), np.zeros((0, 3))
    with pytest.raises(ValueError, match="the source has no points"):
        match_points(none, points)
    with pytest.raises(ValueError, match="the target has no points"):
        match_points(points, none)
    with pytest.raises(ValueError, match="a place of the target is not finite"):
        match_points(points, points * np.nan)
    with pytest.raises(ValueError, match="2 values for 3 source points"):
        transfer(np.zeros(2), points, points)
    with pytest.raises(ValueError, match="2 surface points and 3 places"):
        transfer_points(points, points, points[:2])
    with pytest.raises(ValueError, match="1 carried labels for 2 points"):
        score_labels(np.zeros(1, int), np.zeros(2, int), np.zeros(2, int))
    with pytest.raises(ValueError, match="no part in common"):
        score_labels(np.zeros(2, int), np.zeros(2, int), np.ones(2, int))
    with pytest.raises(ValueError, match="none is the most frequent"):
        majority(np.zeros(0, int))
    with pytest.raises(ValueError, match="cannot be stretched"):
        match_boxes(points, points * [1, 0, 1])
    with pytest.raises(ValueError, match="an empty set has no bounding box"):
        match_boxes(points, none)
