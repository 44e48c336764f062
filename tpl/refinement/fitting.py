"""Single-view fitting: a code, and the camera if it is not known, so that the shape has the outline of an image.

Source of the idea: SDFit (Antić et al. 2025, ICCV) fits a shape's code and pose to an image at test time.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic import Field as Setting
from torch import Tensor, nn

from tpl.refinement.adam import Adam
from tpl.refinement.poses import AZIMUTH, Poses, pixel_width, rays
from tpl.refinement.silhouettes import (
    CLOSER,
    Field,
    Look,
    Outlines,
    distances_at,
    look_along,
    look_closer,
    outline_errors,
    silhouettes,
)


class RefinementConfig(BaseModel):
    """How a code is fitted to an outline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera_known: bool = False
    steps: NonNegativeInt = 30
    camera_steps: NonNegativeInt = 15  # before them, on the camera alone, where it is not known
    turns: tuple[float, ...] = (
        0.25,
        -0.25,
        0.5,
        -0.5,
        math.pi,
    )  # radians from the start's azimuth that are tried first
    turn_margin: NonNegativeFloat = 0.03  # pixels by which one of them must be better than the start
    rate: float = Setting(default=0.02, gt=0)  # of Adam, on radians and logarithms; it falls as a cosine
    code_rate: float = Setting(default=0.07, gt=0)  # the same on codes, in units of their spread
    rays: PositiveInt = 160  # a view and step
    parts: PositiveInt = 2  # in which a bundle is used, a step a part
    look_every: PositiveInt = 10  # steps until a new bundle is drawn and looked along
    places: PositiveInt = 24  # along a ray
    near_share: float = Setting(default=0.8, ge=0, le=1)  # of rays, through pixels near the outline
    prior_known: NonNegativeFloat = 0.03  # weight of the code's squared distance from its start, in units of its spread
    prior: NonNegativeFloat = 0.3  # the same where the camera is fitted, too
    one_shape: bool = False  # whether all views are of one shape, which has one code
    seed: NonNegativeInt = 0


class Fit(NamedTuple):
    """Codes and poses, and how far their outlines are from the images'."""

    codes: Float[Tensor, "views dim"]
    poses: Poses
    error: Float[Tensor, " views"]  # pixels, mean over rays that are mostly near the outline


class Refined(NamedTuple):
    """What a refinement began with and ended with."""

    before: Fit
    after: Fit
    seconds: float  # all views together


class Bundle(NamedTuple):
    """Pixels of some views, and where the rays through them come nearest to the shapes."""

    pixels: Float[Tensor, "views rays 2"]
    covered: Float[Tensor, "views rays"]
    along: Float[Tensor, "views rays"]
    reach: Float[Tensor, "views rays"]

    def part(self, number: int, parts: int) -> "Bundle":
        """Every so many-th ray; what is changed in it is changed in the whole."""
        return Bundle(*(tensor[:, number % parts :: parts] for tensor in self))


class Change(NamedTuple):
    """What is fitted of some views."""

    start: Float[Tensor, "views dim"]
    spread: Float[Tensor, " dim"]
    moved: Float[Tensor, "codes dim"]  # from their starts, in units of their spread: one a view, or one for all
    poses: Poses

    @property
    def codes(self) -> Float[Tensor, "views dim"]:
        return self.start + self.spread * self.moved


class Problem:
    """The outlines of some views, and how far from them codes and poses are.

    The random numbers are the same for each view and each device, so that no view's result depends on its company.
    """

    def __init__(self, field: Field, covered: Float[Tensor, "views size size"], config: RefinementConfig):
        self.field, self.config = field, config
        self.outlines = Outlines(covered, config.near_share)
        self.generator = torch.Generator().manual_seed(config.seed)

    def look(self, codes: Tensor, poses: Tensor, generator: torch.Generator, count: int) -> Bundle:
        """A bundle of so many rays that are drawn anew and looked along."""
        numbers = torch.rand((count, 1 + self.config.places), generator=generator).to(codes)
        even = torch.arange(count, dtype=codes.dtype, device=codes.device)
        pixels, covered = self.outlines.draw((even + numbers[:, 0]) / count)
        beams = rays(poses, pixels, self.outlines.size)
        return Bundle(pixels, covered, *look_along(self.field, codes, beams, numbers[:, 1:]))

    def look_closer(self, bundle: Bundle, codes: Tensor, poses: Tensor) -> None:
        """Looks again where the rays of a bundle come nearest, and notes it there."""
        beams = rays(poses, bundle.pixels, self.outlines.size)
        look = look_closer(self.field, codes, beams, Look(bundle.along, bundle.reach))
        bundle.along.copy_(look.along)
        bundle.reach.copy_(look.reach)

    def errors(self, bundle: Bundle, codes: Tensor, poses: Tensor) -> Tensor:
        """The mean error of each view, in pixels; it can be differentiated by codes and poses."""
        beams = rays(poses, bundle.pixels, self.outlines.size)
        least = distances_at(self.field, codes, beams, bundle.along)
        return outline_errors(least, pixel_width(poses, self.outlines.size), bundle.covered).mean(dim=1)

    def judge(self, codes: Tensor, poses: Tensor, count: int) -> Tensor:
        """The mean error of each view over so many rays, which are the same each time."""
        with torch.no_grad():
            bundle = self.look(codes, poses, torch.Generator().manual_seed(self.config.seed + 1), count)
            for _ in range(CLOSER):
                self.look_closer(bundle, codes, poses)
            return self.errors(bundle, codes, poses)


def refine(
    field: Field,
    covered: Float[Tensor, "views size size"],
    codes: Float[Tensor, "views dim"],
    poses: Poses,
    spread: Float[Tensor, " dim"],
    config: RefinementConfig | None = None,
) -> Refined:
    """Fits codes, and poses if they are not known, to the silhouettes of images.

    Where the camera is not known, other azimuths are tried first and the best is kept; then the camera is fitted alone,
    then both. A view whose outline agrees no better in the end than at the start keeps its start. Views of one shape
    start from the mean of their codes, share the code that is fitted, and keep it or their start together.

    Args:
        field: The shapes; a decoder is left as it is.
        covered: Share of each pixel that the shape covers, of square images.
        codes: Where the fit starts, such as what an encoder sees. All tensors are on one device.
        poses: Those of the images, or estimates of them.
        spread: Standard deviation of the codes that the decoder was trained with, by which the prior measures.
        config: Steps, rays and weights.

    Raises:
        NoOutline: A view has none.
    """
    config = config or RefinementConfig()
    codes, poses = codes.detach(), poses.detach().to(codes)
    if config.one_shape:
        codes = codes.mean(dim=0).expand_as(codes)
    with frozen(field):
        problem = Problem(field, covered.to(codes), config)
        began = time.perf_counter()
        count = config.rays * config.parts
        error = problem.judge(codes, poses, count)
        new_codes, new_poses = _descend(problem, codes, poses, spread)
        new_error = problem.judge(new_codes, new_poses, count)
        better = (new_error.sum() < error.sum() if config.one_shape else new_error < error).expand(len(codes))[:, None]
        kept_codes, kept_poses = torch.where(better, new_codes, codes), torch.where(better, new_poses, poses)
        seconds = time.perf_counter() - began
    kept_error = torch.where(better[:, 0], new_error, error)
    return Refined(Fit(codes, poses, error), Fit(kept_codes, kept_poses, kept_error), seconds)


def outlines(field: Field, fit: Fit, size: int) -> Float[Tensor, "views {size} {size}"]:
    """The silhouettes of a fit, as `silhouettes` has them; a decoder is left as it is."""
    with frozen(field):
        return silhouettes(field, fit.codes, fit.poses, size)


def _descend(problem: Problem, codes: Tensor, poses: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    config = problem.config
    if not config.camera_known:
        poses = _best_turns(problem, codes, poses)
    moved = torch.zeros_like(codes[:1] if config.one_shape else codes)
    change = Change(codes, spread, moved, poses.clone())
    code, camera = (change.moved, config.code_rate), (change.poses, config.rate)
    if config.camera_known:
        _adam(problem, change, [code], config.steps, config.prior_known)
    else:
        _adam(problem, change, [camera], config.camera_steps, config.prior)
        _adam(problem, change, [code, camera], config.steps, config.prior)
    return change.codes, change.poses


def _best_turns(problem: Problem, codes: Tensor, poses: Tensor) -> Tensor:
    """Poses at those of the azimuths to try that agree best with the outlines."""
    turns = poses.new_tensor((0.0, *problem.config.turns))
    tried = poses.repeat(len(turns), 1, 1)
    tried[..., AZIMUTH] += turns[:, None]
    errors = torch.stack([problem.judge(codes, turned, problem.config.rays) for turned in tried])
    errors[1:] += problem.config.turn_margin  # with a code that is wrong, a wrong azimuth can have the better outline
    best = errors.argmin(dim=0)
    return tried[best, torch.arange(len(poses), device=poses.device)]


def _adam(problem: Problem, change: Change, fitted: list[tuple[Tensor, float]], steps: int, prior: float) -> None:
    """Steps that change the fitted parts, each at its rate, in place."""
    config, bundle = problem.config, None
    for tensor, _ in fitted:
        tensor.requires_grad_(True)
    optimizer = Adam(fitted, betas=(0.7, 0.9))  # a short memory: with the usual one steps overshoot
    for step in range(steps):
        if bundle is None or step % config.look_every == 0:
            bundle = problem.look(change.codes, change.poses, problem.generator, config.rays * config.parts)
        part = bundle.part(step, config.parts)
        codes = change.codes
        problem.look_closer(part, codes, change.poses)
        errors = problem.errors(part, codes, change.poses) + prior * change.moved.square().mean(dim=1)
        errors.sum().backward()  # not the mean: each view is fitted on its own
        optimizer.step((1 + math.cos(math.pi * step / steps)) / 2)
    for tensor, _ in fitted:
        tensor.requires_grad_(False)


@contextmanager
def frozen(field: Field) -> Iterator[None]:
    """A decoder in evaluation, its parameters without gradients, and afterwards as before."""
    if not isinstance(field, nn.Module):
        yield
        return
    learning, training = [p for p in field.parameters() if p.requires_grad], field.training
    field.eval().requires_grad_(False)
    try:
        yield
    finally:
        field.train(training)
        for parameter in learning:
            parameter.requires_grad_(True)
