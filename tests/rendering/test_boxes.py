"""The square around the object of an image, where the answer is known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tpl.rendering.boxes import MARGIN, object_box, object_mask


def rectangle(left: int, top: int, right: int, bottom: int, size: int = 64) -> torch.Tensor:
    image = torch.ones((1, 3, size, size))
    image[:, 1:, top:bottom, left:right] = 0.3  # red: white in one channel
    return image


def test_the_box_of_a_rectangle_is_known():
    side, middle = object_box(rectangle(8, 16, 24, 48))
    assert side.item() == pytest.approx(MARGIN * 32 / 64)
    assert middle[0].tolist() == pytest.approx([-0.25, 0.0])


@given(left=st.integers(0, 40), top=st.integers(0, 40), width=st.integers(1, 24), height=st.integers(1, 24))
def test_the_box_follows_the_object(left, top, width, height):
    side, middle = object_box(rectangle(left, top, left + width, top + height))
    assert side.item() == pytest.approx(MARGIN * max(width, height) / 64)
    assert middle[0].tolist() == pytest.approx([(left + width / 2) / 64 - 0.5, (top + height / 2) / 64 - 0.5])


def test_images_of_a_batch_do_not_see_each_other():
    images = torch.cat([rectangle(8, 16, 24, 48), torch.ones((1, 3, 64, 64)), rectangle(0, 0, 64, 64)])
    side, middle = object_box(images)
    assert side.tolist() == pytest.approx([0.55, 1.0, 1.1])
    assert middle[1:].abs().max() == 0


def test_nearly_white_is_ground():
    image = rectangle(8, 16, 24, 48)
    image[:, :, 0, 0] = 0.99
    assert object_mask(image).sum() == 16 * 32
