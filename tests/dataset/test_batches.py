"""Batches: the shares asked for, the right shape's samples, and colours that change as they should."""

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from tpl.dataset.batches import (
    SDFTable,
    ViewTable,
    brighten,
    color_jitter,
    crop,
    crop_sharply,
    random_affine,
    random_resized_crop,
    random_windows,
)
from tpl.dataset.store import Store
from tpl.meshes.sdf import SdfSamples
from tpl.rendering.boxes import object_mask
from tpl.shapes import Shape


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


def read_table(folder, counts: list[tuple[int, int]]) -> SDFTable:
    """Of shapes with so many samples outside and inside, as they lie on disk; x is the sample's row there."""
    store, shapes = Store(folder), []
    for number, (outside, inside) in enumerate(counts):
        shapes.append(Shape(f"shape-{number}", "chairs", "any", "train", trimesh.Trimesh, "balls"))
        points = np.zeros((outside + inside, 3), np.float32)
        points[:, 0] = np.arange(outside + inside)
        store.write_sdf(shapes[-1], SdfSamples(points, np.repeat(np.float32([1, -1]), [outside, inside])))
    return SDFTable.read(shapes, store, "cpu", cross=False)


@pytest.mark.parametrize("counts", [[(60, 40), (25, 15)], [(20, 5), (500, 500), (30, 0)]])
def test_shapes_with_more_samples_are_thinned_evenly_to_the_fewest(tmp_path, counts):
    """Whatever a shape's number of samples, as many of each are kept, all over its rows and with its share inside."""
    found = read_table(tmp_path, counts)
    fewest = min(map(sum, counts))
    assert found.samples.shape == (len(counts), fewest, 4)
    for samples, kept_outside, (outside, inside) in zip(found.samples, found.outside, counts, strict=True):
        total = outside + inside
        rows = samples[:, 0].sort().values
        ideal = torch.linspace(0, total - 1, fewest)
        assert (rows - ideal).abs().max() <= 0.5 + 1e-4 and len(rows.unique()) == fewest
        assert abs(int(kept_outside) / fewest - outside / total) <= 1 / fewest
        assert (samples[:kept_outside, 3] > 0).all() and (samples[kept_outside:, 3] <= 0).all()


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
    from tpl.dataset.store import Store, StoreError
    from tpl.meshes.sdf import SdfSamples
    from tpl.shapes import list_shapes

    shape = list_shapes("procedural", "chairs", train=1)[0]
    store = Store(tmp_path)
    store.write_sdf(shape, SdfSamples(np.zeros((0, 3), np.float32), np.zeros(0, np.float32)))
    with pytest.raises(StoreError, match=f"{shape.id} has no sample"):
        SDFTable.read([shape], store, "cpu", cross=False)


def numbered_views(shapes: int = 3, views: int = 4) -> ViewTable:
    """Views whose colour is their number: 10 a shape and 1 a view."""
    numbers = 10 * torch.arange(shapes)[:, None] + torch.arange(views)
    return ViewTable(numbers[:, :, None, None, None].expand(-1, -1, 3, 2, 2).to(torch.uint8))


def numbers(images: torch.Tensor) -> torch.Tensor:
    return (255 * images[:, 0, 0, 0]).round().int()


def test_a_pair_is_two_different_views_of_the_same_shape_and_all_pairs_are_drawn():
    rows = torch.tensor([2, 0])
    seen = set()
    for seed in range(200):
        batch = numbered_views().draw_pairs(rows, generator(seed))
        first, second = numbers(batch.first), numbers(batch.second)
        assert torch.equal(first // 10, rows) and torch.equal(second // 10, rows) and (first != second).all()
        assert torch.equal(batch.index, rows)
        seen |= set(zip(first.tolist(), second.tolist(), strict=True))
    assert len(seen) == 2 * 4 * 3


def test_a_pair_of_augmentations_begins_with_one_view_twice():
    batch = numbered_views(views=1).draw_pairs(torch.tensor([1, 2]), generator(), "augmentations")
    assert torch.equal(batch.first, batch.second) and numbers(batch.first).tolist() == [10, 20]
    with pytest.raises(ValueError, match="needs two views a shape and there is one"):
        numbered_views(views=1).draw_pairs(torch.tensor([1, 2]), generator())


def test_a_window_as_large_as_the_image_is_the_image():
    images = torch.rand((3, 3, 9, 9), generator=generator())
    whole = crop(images, torch.ones(3), torch.zeros(3, 2))
    torch.testing.assert_close(whole, images, atol=1e-5, rtol=0)
    assert torch.equal(random_resized_crop(images, generator(), 0), images)


def test_a_moved_window_shows_white_outside():
    images = torch.rand((2, 3, 8, 8), generator=generator())
    right, down = crop(images, torch.ones(2), torch.tensor([[2 / 8, 0.0], [0.0, 3 / 8]]))
    torch.testing.assert_close(right[:, :, :6], images[0, :, :, 2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(right[:, :, 6:], torch.ones(3, 8, 2))
    torch.testing.assert_close(down[:, :5], images[1, :, 3:], atol=1e-5, rtol=0)
    torch.testing.assert_close(down[:, 5:], torch.ones(3, 3, 8))


def test_a_smaller_window_is_torchvisions_crop_scaled_up():
    from torchvision.transforms.v2 import functional as F

    image = torch.rand((1, 3, 16, 16), generator=generator())
    expected = F.resized_crop(image, 2, 4, 8, 8, [16, 16], antialias=False)
    found = crop(image, torch.tensor([0.5]), torch.tensor([[0.0, -2 / 16]]))  # rows 2 to 10: their middle 2 above
    # Apart from the edge, where torchvision has cut and we still see the neighbour.
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_a_turned_window_shows_the_image_turned_the_other_way():
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    image = torch.rand((1, 3, 17, 17), generator=generator())
    upright = torch.ones(1), torch.zeros(1, 2)
    quarter = crop(image, *upright, torch.tensor([torch.pi / 2]))
    torch.testing.assert_close(quarter, image.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    expected = F.rotate(image, 25.0, InterpolationMode.BILINEAR, fill=[1.0])
    found = crop(image, *upright, torch.deg2rad(torch.tensor([25.0])))
    inner = (slice(None), slice(None), slice(5, 12), slice(5, 12))  # at the rim torchvision blends another way
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-4, rtol=0)


def test_random_affine_stays_within_what_is_allowed():
    """A dot off the middle of a large image: where it can come to, by turns, by zoom and by moves alone."""
    side = 101
    image = torch.ones(1, 3, side, side)
    image[..., 50, 80] = 0  # 30 pixels right of the middle
    many = image.expand(200, -1, -1, -1)
    y, x = torch.meshgrid(torch.arange(side) - 50.0, torch.arange(side) - 50.0, indexing="ij")

    def places(**limits) -> tuple[torch.Tensor, torch.Tensor]:
        limits = {"rotation": 0, "zoom": 0, "shift": 0, **limits}
        ink = 1 - random_affine(many, generator(), **limits)[:, 0]
        total = ink.sum(dim=(1, 2))
        return (ink * x).sum(dim=(1, 2)) / total, (ink * y).sum(dim=(1, 2)) / total

    right, down = places(rotation=20)
    angle = torch.rad2deg(torch.atan2(down, right))
    torch.testing.assert_close(right.hypot(down), torch.full((200,), 30.0), atol=0.5, rtol=0)
    assert 18 < angle.max() < 20.5 and -20.5 < angle.min() < -18
    right, down = places(zoom=0.2)
    assert 24.5 < right.min() < 26 and 36 < right.max() < 38 and down.abs().max() < 0.5
    right, down = places(shift=0.1)
    for moved in (right - 30, down):
        assert 9 < moved.max() < 10.6 and -10.6 < moved.min() < -9
    assert torch.equal(random_affine(many, generator(), 0, 0, 0), many)


@given(strength=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_random_affine_leaves_white_white_and_colours_colours(strength, seed):
    limits = 90 * strength, strength, strength
    white = random_affine(torch.ones(2, 3, 6, 6), generator(seed), *limits)
    torch.testing.assert_close(white, torch.ones(2, 3, 6, 6))
    noise = random_affine(torch.rand((2, 3, 6, 6), generator=generator()), generator(seed), *limits)
    assert noise.min() >= 0 and noise.max() <= 1


@given(strength=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_crops_leave_white_white_and_stay_colours(strength, seed):
    white = random_resized_crop(torch.ones(2, 3, 6, 6), generator(seed), strength)
    torch.testing.assert_close(white, torch.ones(2, 3, 6, 6))
    noise = random_resized_crop(torch.rand((2, 3, 6, 6), generator=generator()), generator(seed), strength)
    assert noise.min() >= 0 and noise.max() <= 1


def test_crops_differ_from_image_to_image():
    image = torch.rand((1, 3, 12, 12), generator=generator()).expand(6, -1, -1, -1)
    cropped = random_resized_crop(image, generator(), 0.4)
    assert len(np.unique(cropped.flatten(1).numpy().round(4), axis=0)) == 6


def test_boxed_the_same_object_looks_the_same_wherever_it_stands_and_however_large_it_is():
    images = torch.full((1, 3, 3, 44, 44), 255, dtype=torch.uint8)
    colors = torch.tensor([200, 100, 50], dtype=torch.uint8)[:, None, None]
    for view, (top, left, side) in enumerate(((0, 0, 20), (20, 11, 20), (2, 3, 40))):
        images[0, view, :, top : top + side, left : left + side // 2] = colors  # twice as high as wide
    near, moved, large = ViewTable(images).boxed().images[0]
    assert torch.equal(near, moved)
    inside = (large[2] < 150).nonzero()
    assert (inside.amin(dim=0) - 0.5).tolist() == pytest.approx([2 - 0.5, 12 - 0.5], abs=1)
    assert (near.float() - large.float()).abs().mean() < 8  # but for the seam of the coarser one


def test_grey_views_are_as_bright_and_have_no_colour():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 200]], dtype=torch.uint8)
    images = colours[:, None, :, None, None].expand(-1, 2, -1, 3, 3).contiguous()
    grey = ViewTable(images).grey().images
    assert grey.shape == images.shape and torch.equal(grey[:, :, :1].expand_as(grey), grey)
    assert grey[:, 0, 0, 0, 0].tolist() == [76, 150, 29, 200]


@given(strength=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_an_object_gets_brighter_or_darker_and_its_ground_stays(strength, seed):
    images = torch.ones((5, 3, 8, 8))
    images[:, :, 2:6, 2:6] = torch.linspace(0.1, 0.97, 16).view(4, 4)
    changed = brighten(images, generator(seed), strength)
    assert torch.equal(object_mask(changed), object_mask(images))
    assert torch.equal(changed[:, :, :2], images[:, :, :2])
    factor = changed[:, 0, 2, 2] / 0.1
    assert ((factor - 1).abs() <= strength + 1e-5).all() and factor.std() > 0
    assert torch.equal(brighten(images, generator(seed), 0), images)


def test_a_posed_view_is_the_one_drawn_without_its_pose():
    views = numbered_views()
    poses = views.images[:, :, 0, 0, :1].float().expand(3, 4, 7)
    rows = torch.tensor([2, 0, 1, 2])
    image, pose = ViewTable(views.images, poses).draw_posed(rows, generator(3))
    assert torch.equal(image, views.draw(rows, generator(3)))
    assert torch.equal(numbers(image).flatten().long(), pose[:, 0].long())
    assert views.draw_posed(rows, generator(3))[1].shape == (4, 0)


@pytest.mark.parametrize("left, width, height", [(12, 24, 24), (18, 30, 30), (12, 24, 30), (15, 27, 25)])
def test_a_moved_object_is_as_large_as_before_where_its_outline_stays_sharp(left, width, height):
    images = torch.ones((40, 3, 64, 64))
    images[:, :, 16 : 16 + height, left : left + width] = 0.4
    windows = random_windows(40, generator(), 10, 0.1, 0.05)
    expected = width * height / windows.side**2
    sharp = object_mask(crop_sharply(images, windows)).sum(dim=(1, 2)) / expected
    blurred = object_mask(crop(images, *windows)).sum(dim=(1, 2)) / expected
    assert ((sharp - 1).abs() < 0.05).all()
    assert blurred.mean() > sharp.mean() + 0.04
