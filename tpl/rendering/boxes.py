"""Where the object stands in a picture on white."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

WHITE = 0.98
"""From this value on, in all channels, a pixel is background."""

MARGIN = 1.1
"""The side of a box over the object's longer one."""


def object_mask(images: Float[Tensor, "views channels height width"]) -> Bool[Tensor, "views height width"]:
    """Which pixels show the object: those that are not white."""
    return (images < WHITE).any(dim=1)


def object_box(images: Float[Tensor, "views channels height width"]) -> tuple[Tensor, Tensor]:
    """The square around the object of each image, a little larger than the object; of an empty one, the whole image.

    Args:
        images: 0 to 1, on white, as wide as high.

    Returns:
        The squares' sides, and their middles' places (views, 2), from the image's middle to the right and down: all
        in sides of the image. A square may reach beyond the image.
    """
    mask = object_mask(images)
    spans = [_span(mask.any(dim=1)), _span(mask.any(dim=2))]  # of the columns, and of the rows
    first, last = (torch.stack(ends, dim=1) for ends in zip(*spans, strict=True))
    side = MARGIN * (last - first).amax(dim=1) / images.shape[-1]
    middle = (first + last) / (2 * images.shape[-1]) - 0.5
    empty = ~mask.flatten(1).any(dim=1)
    return torch.where(empty, 1.0, side), torch.where(empty[:, None], 0.0, middle)


def _span(taken: Bool[Tensor, "views places"]) -> tuple[Float[Tensor, " views"], Float[Tensor, " views"]]:
    """Where the taken places begin and end."""
    ones = taken.float()
    return ones.argmax(dim=1).float(), taken.shape[1] - ones.flip(1).argmax(dim=1).float()
