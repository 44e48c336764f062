"""What a trunk's features are worth before anything is learnt from them: retrieval, alignment, uniformity."""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from tpl.dataset.batches import ViewTable
from tpl.models.encoder import normalise

BLOCK = 256  # images that go through a trunk at once


class Measures(NamedTuple):
    """Three numbers about the features of the views of some shapes."""

    retrieval: float  # share of views whose nearest other view is of the same shape
    alignment: float  # mean squared distance between views of a shape; 0 is best
    uniformity: float  # logarithm of the mean potential between any two views; the lower, the more evenly spread


def measure(trunk: nn.Module, views: ViewTable) -> Measures:
    """The three measures of all views of some shapes."""
    features = view_features(trunk, views)
    shapes, per_shape, _ = features.shape
    index = torch.arange(shapes, device=features.device).repeat_interleave(per_shape)
    flat = features.flatten(0, 1)
    return Measures(retrieval_accuracy(flat, index), alignment(flat, index), uniformity(flat))


def view_features(trunk: nn.Module, views: ViewTable) -> Float[Tensor, "shapes views channels"]:
    """What a trunk, as it is used after training, sees in all views of some shapes."""
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.inference_mode():
            blocks = views.images.flatten(0, 1).split(BLOCK)
            features = torch.cat([trunk(normalise(block.float() / 255)) for block in blocks])
    finally:
        trunk.train(was_training)
    return features.clone().unflatten(0, views.images.shape[:2])


def calibrated(trunk: nn.Module, views: ViewTable) -> nn.Module:
    """A copy whose batch normalisation has the statistics of these views (at most 256 of them, evenly chosen).

    An untrained network has none of its own, and would be compared with a handicap; one in training lags behind.
    """
    copied = copy.deepcopy(trunk)
    flat = views.images.flatten(0, 1)
    chosen = torch.linspace(0, len(flat) - 1, min(BLOCK, len(flat)), device=flat.device).round().long()
    update_bn([normalise(flat[chosen].float() / 255)], copied)
    return copied


def retrieval_accuracy(features: Float[Tensor, "views channels"], index: Int[Tensor, " views"]) -> float:
    """The share of views whose nearest other view, by the cosine, is of the same object.

    Args:
        features: Of any length.
        index: Which object a view is of.
    """
    nearest = _cosines_to_others(features).argmax(dim=1)
    return (index[nearest] == index).float().mean().item()


def alignment(features: Float[Tensor, "views channels"], index: Int[Tensor, " views"]) -> float:
    """The mean squared distance between two views of one object, on the unit sphere.

    Args:
        features: Of any length.
        index: Which object a view is of.

    Raises:
        ValueError: No object has two views.

    Source: Wang and Isola 2020, the alignment loss with alpha = 2.
    """
    same = _pairs(index[:, None] == index)
    if not same.any():
        raise ValueError("alignment is between two views of an object, and no object has two")
    return _squared_distances(features)[same].mean().item()


def uniformity(features: Float[Tensor, "views channels"], t: float = 2.0) -> float:
    """How evenly features lie on the unit sphere: log of the mean of exp(-t d^2) over all pairs; 0 if all are equal.

    Source: Wang and Isola 2020, the uniformity loss.
    """
    distances = _squared_distances(features)
    others = _pairs(torch.ones_like(distances, dtype=torch.bool))
    return (-t * distances[others]).exp().mean().log().item()


def nearest_strangers(
    features: Float[Tensor, "views channels"], index: Int[Tensor, " views"], count: int
) -> Int[Tensor, "views count"]:
    """For each view the views nearest by the cosine, one of each other object, nearest first.

    Args:
        features: Of any length.
        index: Which object a view is of: 0, 1, 2, ...
        count: How many; less than there are objects.
    """
    cosines = _cosines_to_others(features).masked_fill(index[:, None] == index, -torch.inf)
    objects = range(int(index.max()) + 1)
    of_objects = [cosines.masked_fill(index != which, -torch.inf).max(dim=1) for which in objects]
    nearest = torch.stack([found.values for found in of_objects], dim=1).topk(count).indices
    return torch.stack([found.indices for found in of_objects], dim=1).gather(1, nearest)


def _cosines_to_others(features: Tensor) -> Tensor:
    unit = F.normalize(features.float(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-torch.inf)


def _squared_distances(features: Tensor) -> Float[Tensor, "views views"]:
    """Through differences, not products, so that equal features are at distance zero."""
    unit = F.normalize(features.float(), dim=1)
    return torch.cdist(unit, unit, compute_mode="donot_use_mm_for_euclid_dist").square()


def _pairs(chosen: Bool[Tensor, "views views"]) -> Bool[Tensor, "views views"]:
    """Each pair once, and none of a view with itself."""
    return chosen.triu(diagonal=1)
