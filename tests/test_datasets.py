"""Batches: the shares asked for, the right shape's samples, and colours that change as they should."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.datasets import SDFTable, ViewTable, color_jitter


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(inside: tuple[int, ...] = (30, 50), total: int = 100, cross: int = 40) -> SDFTable:
    """Samples that name themselves: x is the shape, y the row, z tells own (0) from cross (1)."""
    own = torch.zeros(len(inside), total, 4)
    for shape, count in enumerate(inside):
        own[shape, :, 0] = shape
        own[shape, :, 1] = torch.arange(total)
        own[shape, :, 3] = 0.5
        own[shape, torch.randperm(total, generator=generator())[:count], 3] = -0.5
    others = torch.zeros(len(inside), cross, 4)
    others[..., 0] = torch.arange(len(inside))[:, None]
    others[..., 2] = 1
    return SDFTable.from_rows(own, others, "cpu")


@given(inside=st.floats(0, 1), cross=st.floats(0, 0.9), points=st.integers(8, 60), seed=st.integers(0, 99))
def test_a_batch_has_the_shares_asked_for(inside, cross, points, seed):
    rows = torch.tensor([1, 0])
    batch = table().draw(rows, points, generator(seed), inside, cross)
    own = points - round(cross * points)
    is_own = batch.points[..., 2] == 0
    assert (is_own.sum(dim=1) == own).all()
    assert ((batch.sdf[is_own].view(2, own) < 0).sum(dim=1) == round(inside * own)).all()
    assert (batch.points[..., 0] == rows[:, None]).all(), "a sample of another shape"
    assert torch.equal(batch.index, rows)


def test_every_sample_can_be_drawn_and_none_is_preferred():
    batch = table().draw(torch.tensor([0]), 40_000, generator(), inside_share=0.3)
    counts = torch.bincount(batch.points[0, :, 1].long(), minlength=100).float()
    assert counts.min() > 300 and counts.max() < 500  # 400 expected


def test_a_shape_without_inside_gives_outside_and_the_other_way():
    batch = table(inside=(0, 100)).draw(torch.tensor([0, 1]), 20, generator(), inside_share=0.5)
    assert (batch.sdf[0] > 0).all() and (batch.sdf[1] < 0).all()


def test_points_come_shuffled_for_the_pair_term():
    firsts = [table().draw(torch.tensor([0]), 16, generator(seed)).sdf[0, 0] < 0 for seed in range(60)]
    assert 10 < sum(map(int, firsts)) < 50


def test_the_same_generator_draws_the_same_batch():
    first, second = (table().draw(torch.tensor([0, 1]), 24, generator(5), 0.4, 0.4) for _ in range(2))
    assert torch.equal(first.points, second.points)


def test_views_of_a_shape_are_its_own_and_all_are_drawn():
    images = torch.zeros(3, 4, 3, 2, 2, dtype=torch.uint8)
    for shape in range(3):
        for view in range(4):
            images[shape, view] = 10 * shape + view
    drawn = torch.cat([ViewTable(images).draw(torch.tensor([2, 0]), generator(seed)) for seed in range(50)])
    values = (drawn[:, 0, 0, 0] * 255).round().int()
    assert set(values.tolist()) == {20, 21, 22, 23, 0, 1, 2, 3}
    assert drawn.max() <= 1


def test_no_jitter_changes_nothing():
    images = torch.rand((2, 3, 5, 5), generator=generator())
    assert torch.equal(color_jitter(images, generator(), 0, 0), images)


def test_grey_stays_grey_whatever_the_hue_and_saturation():
    grey = torch.rand((8, 1, 6, 6), generator=generator()).expand(-1, 3, -1, -1)
    jittered = color_jitter(grey, generator(1), strength=0.4, hue=0.4)
    torch.testing.assert_close(jittered[:, :1].expand(-1, 3, -1, -1), jittered, atol=1e-5, rtol=0)


def test_a_third_of_a_turn_swaps_the_primaries():
    """With the hue alone, red turned by 120 degrees is green: the rotation is about the grey axis."""
    red = torch.tensor([1.0, 0, 0])[None, :, None, None].expand(400, 3, 2, 2)
    jittered = color_jitter(red, generator(), strength=0.0, hue=1 / 3)[:, :, 0, 0]
    strongest = jittered.argmax(dim=1)
    assert set(strongest.tolist()) == {0, 1, 2}
    torch.testing.assert_close(jittered.amax(dim=1).max(), torch.tensor(1.0), atol=0.02, rtol=0)


def test_brightness_and_contrast_are_torchvisions():
    from torchvision.transforms.v2 import functional as F

    image = 0.3 + 0.4 * torch.rand((1, 3, 8, 8), generator=generator())
    for seed in range(5):
        drawn = (2 * torch.rand((4, 1, 1, 1), generator=generator(seed)) - 1).flatten()
        factors = 1 + 0.2 * drawn[:3]
        expected = F.adjust_brightness(image, float(factors[0]))
        expected = F.adjust_contrast(expected, float(factors[1]))
        expected = F.adjust_saturation(expected, float(factors[2]))
        jittered = color_jitter(image, generator(seed), strength=0.2, hue=0.0)
        torch.testing.assert_close(jittered, expected, atol=3e-3, rtol=0)


def test_jitter_differs_from_image_to_image():
    images = torch.full((6, 3, 2, 2), 0.5)
    means = color_jitter(images, generator()).mean(dim=(1, 2, 3))
    assert len(np.unique(means.numpy().round(4))) == 6


def test_a_table_says_which_shape_is_empty(tmp_path):
    from tpl.sdf import SdfSamples
    from tpl.shapes import list_shapes
    from tpl.store import Store, StoreError

    shape = list_shapes("procedural", "chairs", train=1)[0]
    store = Store(tmp_path)
    store.write_sdf(shape, SdfSamples(np.zeros((0, 3), np.float32), np.zeros(0, np.float32)))
    with pytest.raises(StoreError, match=f"{shape.id} has no sample"):
        SDFTable.read([shape], store, "cpu", cross=False)
