"""Refinement of what an encoder sees in images."""

import time
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tpl.inference import Reconstructor, encode, estimate_cameras
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.refinement.fitting import Fit, Refined, RefinementConfig, refine
from tpl.refinement.hypotheses import Start
from tpl.refinement.poses import to_poses
from tpl.refinement.silhouettes import NoOutline, Outlines, coverage


def seen_in(arm: Reconstructor, images: UInt8[np.ndarray, "views size size 3"]) -> Start:
    """The codes and the cameras that an encoder sees in images on white.

    Raises:
        SettingsError: The encoder has no head for the camera.
    """
    codes = encode(arm.encoder, images)
    return Start(codes, to_poses(*zip(*estimate_cameras(arm.encoder, images), strict=True)).to(codes))


def refine_views(
    arm: Reconstructor,
    images: UInt8[np.ndarray, "views height width 3"],
    start: Start,
    config: RefinementConfig | None = None,
    jobs: int = 1,
) -> Refined:
    """Fits codes, and poses if they are not known, to the outlines in images: where they are not white.

    On a GPU all views are one batch; on a CPU, which is no faster by batches, each is fitted alone, in some processes,
    so that what comes of a view depends on no other. An image without an outline keeps its start, its error NaN.

    Args:
        arm: Its decoder makes the shapes, its codes' spread is what the prior measures by.
        images: On white, any size that the encoder takes.
        start: A code and a pose for each, on the decoder's device.
        config: Of the fit.
        jobs: Processes on a CPU.

    Raises:
        RefinementError: An image is not square.
    """
    began, config = time.perf_counter(), config or RefinementConfig()
    pictures = {row: covered for row, image in enumerate(images) if (covered := _covered(image)) is not None}
    blocks = [list(pictures)] if start.codes.is_cuda and pictures else [[row] for row in pictures]
    tasks = [
        (torch.cat([pictures[row] for row in rows]).to(start.codes), start.codes[rows], start.poses[rows])
        for rows in blocks
    ]
    spread = arm.codes.std(dim=0, correction=0)
    if start.codes.is_cuda or jobs == 1:
        fits = [refine(arm.model, *task, spread, config) for task in tasks]
    else:
        weights = arm.model.state_dict()  # a network with weight norm itself cannot be sent
        parts = [tasks[first::jobs] for first in range(jobs)]
        done: Any = joblib.Parallel(n_jobs=jobs)(
            joblib.delayed(_refine_each)(arm.model.config, weights, part, spread, config) for part in parts if part
        )
        fits = [done[place % jobs][place // jobs] for place in range(len(tasks))]
    before, after = (_as_seen(start) for _ in range(2))
    for rows, fit in zip(blocks, fits, strict=True):
        for whole, part in zip((*before, *after), (*fit.before, *fit.after), strict=True):
            whole[rows] = part
    return Refined(before, after, time.perf_counter() - began)


def _covered(image: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "1 size size"] | None:
    """What a shape covers of an image, or nothing where that has no outline."""
    try:
        covered = coverage(image[None], len(image))
        Outlines(covered)
    except NoOutline:
        return None
    return covered


def _as_seen(start: Start) -> Fit:
    return Fit(start.codes.clone(), start.poses.clone(), torch.full_like(start.codes[:, 0], torch.nan))


def _refine_each(
    sizes: DeepImplicitTemplateConfig,
    weights: dict[str, Tensor],
    tasks: Sequence[tuple[Tensor, Tensor, Tensor]],
    spread: Tensor,
    config: RefinementConfig,
) -> list[Refined]:
    model = DeepImplicitTemplate(sizes)
    model.load_state_dict(weights, strict=True)
    return [refine(model, *task, spread, config) for task in tasks]
