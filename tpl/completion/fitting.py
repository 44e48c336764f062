"""The code whose signed distance agrees best with what an observation says, and the frame where that is not known.

With [l, h] the interval that the observation leaves to the signed distance at a point x (`tpl.completion.observation`),
and z the code in units of the learnt codes' spread, the objective is

    mean over x of max(l - f(x, c), 0) + max(f(x, c) - h, 0)    + prior |z|^2 / dim,    c = mean + spread z,

where l below minus the truncation and h above it are no bounds, since decoders know nothing of farther distances. Where
the frame is not known, x goes into the unit-sphere frame by x -> exp(a) (x + b), lengths with it, and a and b are
fitted as well, with a prior of their own.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from tpl.completion.observation import Intervals, Observation, checked, intervals
from tpl.meshes import Normalization
from tpl.refinement.fitting import frozen

SHIFTS = np.concatenate([np.zeros((1, 3)), 0.25 * np.eye(3), -0.25 * np.eye(3)])
"""Where the middle of the whole may lie, from that of the seen part's box, in unit-sphere lengths."""

SCALES = (1.0, 0.8, 0.65)
"""How large the seen part may be beside the whole."""

SDFField = Callable[[Float[Tensor, "rows points 3"], Float[Tensor, "rows dim"]], Float[Tensor, "rows points"]]
"""Shapes with codes: points (unit-sphere frame) and codes to signed distances, as a decoder does."""


class CompletionConfig(BaseModel):
    """How a code is fitted to a part of a surface."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: PositiveInt = 100
    points: PositiveInt = 300  # a step
    pool: PositiveInt = 4000  # from which they are drawn
    rate: float = Field(default=0.05, gt=0)  # of Adam, on codes in units of their spread; it falls as a cosine
    frame_rate: float = Field(default=0.01, gt=0)  # the same on the frame
    offset: float = Field(default=0.015, gt=0)  # of points along normals, unit-sphere lengths
    free_share: float = Field(default=0.4, ge=0, lt=1)  # of points in free space, where there is a viewpoint
    truncation: float = Field(default=0.1, gt=0)
    prior: NonNegativeFloat = 1e-3  # weight of the code's squared distance from the mean, in units of the spread
    frame_prior: NonNegativeFloat = 1e-2  # of the squares of a and b
    starts: PositiveInt = 2  # learnt codes, and frames, from which the fit is tried; the best end counts
    compared: PositiveInt = 100  # points by which starts are chosen
    seed: NonNegativeInt = 0


class Completed(NamedTuple):
    """Codes of some observations, and the frames that the points were found to be in."""

    codes: Float[Tensor, "shapes dim"]
    frames: Sequence[Normalization]  # from each observation's own frame to the unit-sphere frame
    errors: Float[np.ndarray, " shapes"]  # the objective's first term, unit-sphere lengths
    seconds: float  # all of them together


class _Problem(NamedTuple):
    """Rows to be fitted side by side, several starts of each observation among them."""

    points: Float[Tensor, "rows pool 3"]
    low: Float[Tensor, "rows pool"]
    high: Float[Tensor, "rows pool"]

    def of(self, rows: Tensor, columns: Tensor | slice) -> "_Problem":
        return _Problem(*(part[:, columns][rows] for part in self))


def complete(
    field: SDFField,
    seen: Sequence[Observation | Intervals],
    learnt: Float[Tensor, "codes dim"],
    frames: Sequence[Normalization] | None = None,
    config: CompletionConfig | None = None,
) -> Completed:
    """Fits a code to each observation, and the frame where none is given; a decoder is left as it is.

    A fit starts from those learnt codes that agree best. Without a frame it starts from pairs of a code and a frame:
    the box of the seen points in the middle of the whole or off it, the whole as large as they or larger.

    Args:
        field: The shapes.
        seen: Up +y and front -z, as the shapes of the field; in any unit and place where frames are not given. Or what
            is known already of a shape's signed distances, in the unit-sphere frame: then frames are given.
        learnt: Codes of training shapes, on the field's device.
        frames: From the observations' frames to the unit-sphere frame.
        config: Steps, points and weights.

    Raises:
        CompletionError: An observation cannot be used.
    """
    config, start = config or CompletionConfig(), time.perf_counter()
    seen = [one if isinstance(one, Intervals) else checked(one) for one in seen]
    candidates = [[frame] for frame in frames] if frames is not None else [_candidates(one) for one in seen]
    with frozen(field):
        found = [_fit(field, *pair, learnt, frames is None, config) for pair in zip(seen, candidates, strict=True)]
    codes, kept, errors = zip(*found, strict=True)
    return Completed(torch.stack(codes), kept, np.array(errors), time.perf_counter() - start)


def _candidates(seen: Observation | Intervals) -> list[Normalization]:
    """Frames that the whole may have, the one in which the seen part is the whole first."""
    whole = Normalization.of(seen.points)
    frames = []
    for share in SCALES:
        for shift in SHIFTS:
            scale = whole.scale * share
            frames.append(Normalization(whole.offset + shift / scale, scale))
    return frames


def _fit(
    field: SDFField,
    seen: Observation | Intervals,
    candidates: Sequence[Normalization],
    learnt: Float[Tensor, "codes dim"],
    moves: bool,
    config: CompletionConfig,
) -> tuple[Tensor, Normalization, float]:
    """The code of one observation, its frame and its error: the best of several starts."""
    rng = np.random.default_rng(config.seed)
    mean, spread = learnt.mean(dim=0), learnt.std(dim=0, correction=0).clamp_min(1e-6)
    pools = [_pool(seen, frame, config, rng) for frame in candidates]
    problem = _Problem(*(learnt.new_tensor(np.stack(part)) for part in zip(*pools, strict=True)))
    of_frame, of_code = _starts(field, problem, learnt, config)
    problem = _Problem(*(part[of_frame] for part in problem))
    z = ((learnt[of_code] - mean) / spread).requires_grad_()
    a, b = torch.zeros(len(z), 1).to(z), torch.zeros(len(z), 1, 3).to(z)
    groups = [{"params": [z], "lr": config.rate}]
    if moves:
        groups.append({"params": [a.requires_grad_(), b.requires_grad_()], "lr": config.frame_rate})
    optimizer = torch.optim.Adam(groups)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    generator, rows = torch.Generator().manual_seed(config.seed), torch.arange(len(z), device=z.device)
    for _ in range(config.steps):
        columns = torch.randint(config.pool, (min(config.points, config.pool),), generator=generator).to(z.device)
        error = _error(field, problem.of(rows, columns), mean + spread * z, a, b, config.truncation)
        priors = config.prior * z.square().mean(dim=1)
        if moves:
            priors = priors + config.frame_prior * (a.square().sum(dim=1) + b.square().sum(dim=(1, 2)))
        optimizer.zero_grad()
        (error + priors).sum().backward()  # not the mean: each start is on its own
        optimizer.step()
        falling.step()
    with torch.no_grad():
        error = _error(field, problem.of(rows, slice(None)), mean + spread * z, a, b, config.truncation)
        total = error + config.prior * z.square().mean(dim=1)
        best = int(total.argmin())
        scale = float(a[best].exp())
        frame = candidates[int(of_frame[best])]
        offset = b[best, 0].cpu().numpy().astype(np.float64)
        # exp(a) ((x + o) s + b) = (x + o + b / s) exp(a) s
        frame = Normalization(frame.offset + offset / frame.scale, scale * frame.scale)
        return (mean + spread * z)[best].clone(), frame, float(error[best] * scale)


def _pool(
    seen: Observation | Intervals, frame: Normalization, config: CompletionConfig, rng: np.random.Generator
) -> Intervals:
    """What is said of so many points in the unit-sphere frame."""
    if isinstance(seen, Intervals):
        rows = rng.integers(len(seen.points), size=config.pool)
        return Intervals(*(part[rows] for part in seen))
    viewpoint = None if seen.viewpoint is None else frame.apply(seen.viewpoint)
    there = Observation(frame.apply(seen.points), seen.normals, viewpoint)
    return intervals(there, config.pool, config.offset, config.free_share, rng)


def _starts(field: SDFField, problem: _Problem, learnt: Tensor, config: CompletionConfig) -> tuple[Tensor, Tensor]:
    """Rows of the frames and of the learnt codes with the least errors, at most one pair a code."""
    columns = torch.arange(min(config.compared, config.pool), device=learnt.device)
    with torch.no_grad():
        errors = []
        for row in range(len(problem.points)):
            part = problem.of(torch.tensor([row], device=learnt.device).expand(len(learnt)), columns)
            nothing = torch.zeros(len(learnt), 1).to(learnt)
            errors.append(_error(field, part, learnt, nothing, nothing[:, None], config.truncation))
        least, of_frame = torch.stack(errors).min(dim=0)
    of_code = least.argsort()[: config.starts]
    return of_frame[of_code], of_code


def _error(
    field: SDFField, problem: _Problem, codes: Tensor, a: Tensor, b: Tensor, truncation: float
) -> Float[Tensor, " rows"]:
    """How far the signed distances are from their intervals, in the mean, in the observation's lengths.

    In these lengths, for in the field's a shape that shrinks to nothing would be without error.
    """
    scale = a.exp()
    values = field(scale[..., None] * (problem.points + b), codes) / scale
    limit = truncation / scale
    low = torch.where(problem.low < -limit, -torch.inf, problem.low)
    high = torch.where(problem.high > limit, torch.inf, problem.high)
    return ((low - values).clamp_min(0) + (values - high).clamp_min(0)).mean(dim=1)
