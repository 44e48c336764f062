"""The terms of the training objectives, each as the paper states it, as means.

The paper writes sums; the published code divides them again. Means make the weights independent of the number of
points and shapes, and are what both presets are expressed in (appendix A of the book).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CURRICULUM = ((0.025, 0.0), (0.01, 0.1), (0.0025, 0.2), (0.0, 0.5))
"""Tolerance epsilon and hardness lambda of the outputs after warp steps 2, 4, 6 and 8 (Deep Implicit Templates)."""

HUBER_DELTA = 0.25
PAIR_EPSILON = 0.5
PAIR_LIMIT = 5.0
PAIR_SHARE = 8  # the first eighth of the points is paired with the other seven
PAIRS_AT_ONCE = 2**22  # of which distances are in memory; DIT's batch has 66 million, 262 MB a tensor


def curriculum_l1(
    predicted: Float[Tensor, "*batch"],
    target: Float[Tensor, "*batch"],
    epsilon: float = 0.0,
    hardness: float = 0.0,
    truncation: float = 0.1,
    one_sided: bool = False,
) -> Float[Tensor, ""]:
    """L1 between truncated distances, forgiving below epsilon and stricter where the sign is wrong or nearly so.

    `max(|f - s| - epsilon, 0) * (1 + hardness * sgn(s) * sgn(s - f))`, averaged. With epsilon and hardness at zero
    it is DeepSDF's truncated L1.

    Args:
        predicted: Predicted signed distances f.
        target: True signed distances s, negative inside.
        epsilon: Errors up to here cost nothing.
        hardness: Share by which half-hearted predictions cost more, and overshooting ones less.
        truncation: Both are clamped to this distance from zero.
        one_sided: A prediction is clamped only where the target is, and on its side alone. The published clamp has no
            gradient wherever a prediction lies beyond the truncation, right or wrong, so that a network that starts
            or strays there with all its outputs never comes back.

    Source: Eq. 5; Duan et al. 2020 (Curriculum DeepSDF), Eq. 4 and 5.
    """
    if one_sided:
        far = float("inf")
        low = torch.where(target <= -truncation, -truncation, -far)
        high = torch.where(target >= truncation, truncation, far)
        predicted = predicted.clamp(low, high)
    else:
        predicted = predicted.clamp(-truncation, truncation)
    target = target.clamp(-truncation, truncation)
    error = F.relu((predicted - target).abs() - epsilon)
    if hardness:
        error = error * (1 + hardness * target.sign() * (target - predicted).sign())
    return error.mean()


def pointwise_warp(
    path: Float[Tensor, "steps shapes points 3"], points: Float[Tensor, "shapes points 3"]
) -> Float[Tensor, ""]:
    """Huber norm of how far the warp moves a point, averaged over points and outputs (Eq. 7)."""
    moved = (path - points).norm(dim=-1)
    return F.huber_loss(moved, torch.zeros_like(moved), delta=HUBER_DELTA)


def pointpair_warp(
    canonical: Float[Tensor, "shapes points 3"], points: Float[Tensor, "shapes points 3"]
) -> Float[Tensor, ""]:
    """How much more two points of a shape move apart than half their distance, averaged over pairs (Eq. 8).

    The first eighth of a shape's points, which come shuffled, against the others; a pair counts at most 5. Of a large
    batch a block of pairs is looked at after the other, and again for the gradient, so that none of the tensors over
    all pairs is ever there.
    """
    count = points.shape[1] // PAIR_SHARE
    if count == 0:
        raise ValueError(f"point pairs need at least {PAIR_SHARE} points a shape, not {points.shape[1]}")
    shift = canonical - points
    pairs = len(points) * count * (points.shape[1] - count)
    if pairs <= PAIRS_AT_ONCE:
        return _strains(shift[:, :count], shift[:, count:], points[:, :count], points[:, count:]) / pairs
    rows = max(1, PAIRS_AT_ONCE * count // pairs)
    total = shift.new_zeros(())
    for first, at in zip(shift[:, :count].split(rows, dim=1), points[:, :count].split(rows, dim=1), strict=True):
        total = total + checkpoint(
            _strains, first, shift[:, count:], at, points[:, count:], use_reentrant=False, preserve_rng_state=False
        )
    return total / pairs


def _strains(shift: Tensor, other_shift: Tensor, points: Tensor, other_points: Tensor) -> Tensor:
    """Sum of Eq. 8 over all pairs of two sets of points of each shape."""
    apart = torch.cdist(points, other_points)
    strain = _distance(shift, other_shift) / (apart + 1e-3)
    return F.relu(strain - PAIR_EPSILON).clamp(max=PAIR_LIMIT).sum()


def code_prior(latent: Float[Tensor, "shapes dim"]) -> Float[Tensor, ""]:
    """Mean norm of the codes: the pull towards the mean code that Eq. 9 leaves out and the code has."""
    return latent.norm(dim=-1).mean()


def latent_l1(
    predicted: Float[Tensor, "views dim"],
    target: Float[Tensor, "views dim"],
    counted: Float[Tensor, " views"] | None = None,
) -> Float[Tensor, ""]:
    """Mean absolute difference between the encoder's codes and the shapes' (Eq. 10).

    Args:
        predicted: By the encoder.
        target: Of phase 1.
        counted: How much a view counts in the mean over all of them: 0 where its shape has no code. All count 1 if not
            given.
    """
    error = (predicted - target).abs().mean(dim=1)
    return (error if counted is None else counted * error).mean()


def nt_xent_loss(
    first: Float[Tensor, "pairs dim"],
    second: Float[Tensor, "pairs dim"],
    temperature: float = 0.07,
    include_self: bool = False,
) -> Float[Tensor, ""]:
    """How hard it is to find each view's partner among the other views of a batch, averaged over all of them.

    `-log(exp(sim(z_i, z_j) / t) / sum_k exp(sim(z_i, z_k) / t))` over the 2N views, with the cosine as `sim`. With
    all embeddings equal it is ln(2N - 1); it nears 0 as partners meet and all others part.

    Args:
        first: A view of each object.
        second: Another view of each, in the same order.
        temperature: t; the smaller, the more the nearest strangers count.
        include_self: Let k = i take part in the sum, as Eq. 13 is written: then nobody is nearer to a view than the
            view itself, and the loss cannot fall below ln 2.

    Source: Eq. 13; Chen et al. 2020 (SimCLR), Eq. 1, which leaves k = i out.
    """
    both = torch.cat([first, second])
    similarity = _cosines(both, both) / temperature
    if not include_self:
        similarity = similarity.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), -torch.inf)
    partner = torch.arange(len(both), device=both.device).roll(len(first))
    return F.cross_entropy(similarity, partner)


def info_nce_loss(
    query: Float[Tensor, "pairs dim"],
    key: Float[Tensor, "pairs dim"],
    queue: Float[Tensor, "keys dim"],
    temperature: float = 0.07,
    same: Bool[Tensor, "pairs keys"] | None = None,
) -> Float[Tensor, ""]:
    """How hard it is to find each query's key among the keys of earlier batches, averaged over the queries.

    Args:
        query: A view of each object.
        key: Another view of each, in the same order.
        queue: The keys of earlier batches.
        temperature: As in `nt_xent_loss`.
        same: Where a key in the queue is of the query's own object, and so no stranger: it is left out.

    Source: He et al. 2020 (MoCo), Eq. 1.
    """
    strangers = _cosines(query, queue)
    if same is not None:
        strangers = strangers.masked_fill(same, -torch.inf)
    logits = torch.cat([_cosine(query, key)[:, None], strangers], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


def byol_loss(predicted: Float[Tensor, "pairs dim"], target: Float[Tensor, "pairs dim"]) -> Float[Tensor, ""]:
    """Mean squared distance between predictions and targets on the unit sphere: 2 - 2 cos.

    Source: Grill et al. 2020 (BYOL), Eq. 2.
    """
    return 2 - 2 * _cosine(predicted, target).mean()


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosines between all rows of a and all of b, in full precision: a temperature enlarges every error."""
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines between the rows of a and those of b, one by one."""
    with torch.autocast(a.device.type, enabled=False):
        return (F.normalize(a.float(), dim=1) * F.normalize(b.float(), dim=1)).sum(dim=1)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Distances between all of a and all of b, with a zero gradient where they coincide (the warp starts so)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
