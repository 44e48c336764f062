"""Several starts for one image, of which the outline chooses."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tpl.refinement.fitting import RefinementConfig, refine
from tpl.refinement.poses import AZIMUTH, Poses
from tpl.refinement.silhouettes import Field


class Start(NamedTuple):
    """A code and a pose for each view, as one source has them."""

    codes: Float[Tensor, "views dim"]
    poses: Poses


class Choice(NamedTuple):
    """The starts whose outlines agree best."""

    start: Start
    names: list[str]  # the source of each view's
    errors: dict[str, Float[Tensor, " views"]]  # pixels, of each source after the trial


def choose_starts(
    field: Field,
    covered: Float[Tensor, "views size size"],
    starts: Mapping[str, Start],
    spread: Float[Tensor, " dim"],
    config: RefinementConfig,
    margin: float = 0.0,
) -> Choice:
    """For each view the start from which a short refinement comes nearest to the outline.

    Args:
        field: The shapes.
        covered: Share of each pixel that the shape covers.
        starts: The sources by name, the trusted one first.
        spread: Standard deviation of the codes that the decoder was trained with.
        config: The short refinement; without steps the starts are compared as they are.
        margin: Pixels by which another source has to be better than the first.
    """
    tried = {name: refine(field, covered, *start, spread, config).after.error for name, start in starts.items()}
    scores = torch.stack(list(tried.values()))
    scores[1:] += margin
    best = scores.argmin(dim=0)
    views = torch.arange(len(best), device=best.device)
    codes, poses = (torch.stack(parts)[best, views] for parts in zip(*starts.values(), strict=True))
    names = list(starts)
    return Choice(Start(codes, poses), [names[row] for row in best.tolist()], tried)


def mirrored(poses: Poses) -> Poses:
    """The camera at the other side of the shape's plane of symmetry, its picture's middle where it was."""
    flipped = poses.clone()
    flipped[:, AZIMUTH] *= -1
    return flipped
