"""The measures of features where their value is known."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.dataset.batches import ViewTable
from tpl.models import resnet18_trunk
from tpl.models.encoder import normalise
from tpl.training.representation import (
    alignment,
    calibrated,
    measure,
    nearest_strangers,
    retrieval_accuracy,
    uniformity,
    view_features,
)

INDEX = torch.tensor([0, 0, 1, 1])


def circle(*turns: float) -> torch.Tensor:
    """Points on a circle, at shares of a whole turn."""
    angle = 2 * math.pi * torch.tensor(turns)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_equal_features_are_wholly_aligned_and_not_spread_at_all():
    features = torch.tensor([[0.3, 0.4, 0.1]]).expand(4, 3)
    assert alignment(features, INDEX) == 0
    assert uniformity(features) == 0


def test_on_a_circle_the_measures_are_known():
    features = circle(0, 0.25, 0.5, 0.75)  # neighbours at squared distance 2, opposites at 4
    assert alignment(features, INDEX) == pytest.approx(2)
    assert alignment(features, torch.tensor([0, 1, 0, 1])) == pytest.approx(4)
    assert uniformity(features) == pytest.approx(math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6))
    assert uniformity(circle(0, 0.5), t=1.0) == pytest.approx(-4)


def test_retrieval_counts_views_whose_nearest_other_view_is_of_the_same_object():
    assert retrieval_accuracy(circle(0, 0.01, 0.5, 0.51), INDEX) == 1
    assert retrieval_accuracy(circle(0, 0.5, 0.01, 0.51), INDEX) == 0
    assert retrieval_accuracy(circle(0, 0.02, 0.03, 0.5), INDEX) == 0.5  # the first and the last


@given(st.floats(0.1, 10), st.integers(0, 99))
def test_lengths_do_not_matter(scale, seed):
    features = torch.randn((6, 5), generator=torch.Generator().manual_seed(seed))
    index = torch.tensor([0, 1, 2, 0, 1, 2])
    longer = features * torch.linspace(1, scale, 6)[:, None]
    assert alignment(longer, index) == pytest.approx(alignment(features, index), abs=1e-4)
    assert uniformity(longer) == pytest.approx(uniformity(features), abs=1e-4)
    assert retrieval_accuracy(longer, index) == retrieval_accuracy(features, index)


def test_the_measures_are_their_formulas_in_loops():
    features = torch.randn((6, 5), generator=torch.Generator().manual_seed(3))
    index = torch.tensor([0, 1, 1, 0, 1, 2])
    unit = [row / row.norm() for row in features]
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    together = [float((unit[i] - unit[j]).norm()) ** 2 for i, j in pairs if index[i] == index[j]]
    potential = [math.exp(-2 * float((unit[i] - unit[j]).norm()) ** 2) for i, j in pairs]
    assert alignment(features, index) == pytest.approx(sum(together) / len(together), rel=1e-5)
    assert uniformity(features) == pytest.approx(math.log(sum(potential) / len(potential)), rel=1e-5)


def test_without_a_second_view_there_is_nothing_to_align():
    with pytest.raises(ValueError, match="no object has two"):
        alignment(circle(0, 0.5), torch.tensor([0, 1]))


def test_neighbours_are_one_of_each_other_object_nearest_first():
    features = circle(0, 0.01, 0.02, 0.04, 0.10, 0.13)
    index = torch.tensor([0, 0, 1, 1, 2, 2])
    assert nearest_strangers(features, index, 2).tolist() == [[2, 4], [2, 4], [1, 4], [1, 4], [3, 1], [3, 1]]


def views(shapes: int = 3, seed: int = 0) -> ViewTable:
    generator = torch.Generator().manual_seed(seed)
    return ViewTable(torch.randint(256, (shapes, 4, 3, 32, 32), generator=generator, dtype=torch.uint8))


def test_calibrated_on_one_block_a_network_sees_it_by_its_own_statistics():
    trunk, table = resnet18_trunk(4), views(60)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    features = view_features(calibrated(trunk, table), table).flatten(0, 1)
    with torch.no_grad():
        by_batch = resnet18_trunk(4)
        by_batch.load_state_dict(before)
        expected = by_batch.train()(normalise(table.images.flatten(0, 1).float() / 255))
    # Running variances are unbiased and a batch's own are not: 240 numbers a channel in the deepest maps.
    torch.testing.assert_close(features, expected, rtol=0.1, atol=0.1)
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items()), "it changed its input"


def test_features_come_in_the_order_of_shapes_and_views_and_leave_the_mode_alone():
    trunk, table = resnet18_trunk(4).train(), views(70)  # more than one block
    features = view_features(trunk, table)
    assert features.shape == (70, 4, 32) and trunk.training
    one = view_features(trunk, ViewTable(table.images[66:67]))
    torch.testing.assert_close(features[66:67], one)


def test_identical_views_are_all_retrieved_and_aligned():
    images = views(5).images[:, :1].expand(-1, 4, -1, -1, -1).contiguous()
    found = measure(calibrated(resnet18_trunk(4), ViewTable(images)), ViewTable(images))
    assert found.retrieval == 1 and found.alignment == pytest.approx(0, abs=1e-6) and found.uniformity < 0
