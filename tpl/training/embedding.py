"""Phase 1: codes, warp and template from signed distances alone (section 3.1 of the paper)."""

from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from tpl.dataset.batches import SDFBatch, SDFTable
from tpl.losses import CURRICULUM, code_prior, curriculum_l1, pointpair_warp, pointwise_warp
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.models.implicit import project_to_ball
from tpl.training.denormals import flushed_denormals
from tpl.training.loop import AtOnce, Group, TrainingConfig
from tpl.training.runs import RunFolder, train_or_load
from tpl.training.sharing import launched_processes

POINTS_AT_ONCE = 8192
"""Points that a CPU takes at once. Of more, the paper's networks keep gigabytes, whose pages take time to be had."""


class DecoderTrainingConfig(TrainingConfig):
    """What learning warp and template depends on, wherever the codes come from: sizes, samples and Eq. 9's terms."""

    model: DeepImplicitTemplateConfig = DeepImplicitTemplateConfig()
    inside_share: float = Field(default=0.4, ge=0, le=1)
    cross_share: float = Field(default=0.4, ge=0, lt=1)  # ours; needs cross samples
    truncation: float = Field(default=0.1, gt=0)
    one_sided: bool = True  # ours: a prediction beyond the truncation on the wrong side is still pulled back
    outputs: Literal["curriculum", "last"] = "curriculum"  # "last": plain L1 on the last step's output
    pointwise_weight: NonNegativeFloat = 0.005
    pointwise_outputs: Literal["all", "last"] = "all"
    pointwise_boost: float = Field(default=10.0, ge=1)  # how much stiffer the warp is at the start
    pointpair_weight: NonNegativeFloat = 0.0547  # on the mean over pairs
    code_weight: NonNegativeFloat = 1e-4
    ambient_weight: NonNegativeFloat = 0.01  # ours: price of coordinates beside space, so that the warp does its part
    ambient_from: float = Field(default=0.0, ge=0, lt=1)  # share of the training before they are let in
    ramp: float = Field(default=0.05, ge=0, le=1)  # share of the training until the regularisers are at full weight
    warp_rate: float = Field(default=5e-4, gt=0)
    template_rate: float = Field(default=5e-4, gt=0)
    muon_rate: NonNegativeFloat = 0.0  # ours: hidden matrices of both learn by Muon; 0: by Adam, as all else
    schedule: Literal["cosine", "halving", "constant"] = "halving"
    # Of the weights at positions and codes when the training starts: by how many of each there are, or by the size of
    # the LSTM's state, as in PyTorch and the published code, where positions start as almost nothing.
    input_scale: Literal["fan_in", "hidden"] = "fan_in"
    compiled: bool = False  # the warp's LSTM cell by torch.compile: fewer passes over memory, after a minute


class EmbeddingConfig(DecoderTrainingConfig):
    """Everything that phase 1 depends on; the defaults are the preset `fixed` at the paper's size."""

    epochs: PositiveInt = 2001
    shapes_per_batch: AtOnce = 24
    points_per_shape: PositiveInt = 5000
    batch_split: NonNegativeInt = 0  # parts in which a step takes its shapes; 0: as many as suit the device
    code_rate: float = Field(default=1e-3, gt=0)
    code_radius: float = Field(default=1.0, gt=0)  # codes are brought back into this ball whenever they are drawn


class EmbeddingRun(NamedTuple):
    """What phase 1 leaves."""

    model: DeepImplicitTemplate
    codes: Float[Tensor, "shapes dim"]
    history: pd.DataFrame


class EmbeddingObjective(nn.Module):
    """The template model and the table of codes under the loss of Eq. 9.

    Where several processes share a training, the whole table lies in each, and its gradient is averaged densely like
    any weight's: a batch draws shapes from all over the table, and 50 000 codes of 256 numbers, all of ShapeNet, are
    51 MB beside the networks' 7. With millions of shapes rows should live where their shapes are drawn.
    """

    def __init__(self, shapes: int, config: EmbeddingConfig):
        super().__init__()
        self.config = config
        self.model = new_decoder(config)
        dim = config.model.latent_dim
        self.codes = nn.Embedding(shapes, dim)
        nn.init.normal_(self.codes.weight, std=dim**-0.5)

    def forward(self, batch: SDFBatch, done: float) -> dict[str, Tensor]:
        """The weighted terms of the loss when a share `done` of the training is over."""
        latent = self.codes(batch.index)
        path = self.model.warp(batch.points, latent)
        return warp_terms(self.model, path, batch.points, batch.sdf, latent, done, self.config)

    @torch.no_grad()
    def keep_in_ball(self, rows: Int[Tensor, " shapes"]) -> None:
        """Shortens the codes in these rows of the table, in place, where they are longer than the radius.

        Shortened where they are read, a code outside would have no gradient along its own direction: nothing could
        bring it back, and steps to its sides would make it longer and longer.

        Source: the published code of Deep Implicit Templates, by an embedding's `max_norm`.
        """
        self.codes.weight[rows] = project_to_ball(self.codes.weight[rows], self.config.code_radius)


def new_decoder(config: DecoderTrainingConfig) -> DeepImplicitTemplate:
    """Warp and template as a training starts with them."""
    model = DeepImplicitTemplate(config.model)
    model.warp.compiled = config.compiled
    if config.input_scale == "fan_in":
        model.warp.scale_inputs()
    return model


def warp_terms(
    model: DeepImplicitTemplate,
    path: Float[Tensor, "steps shapes points coordinates"],
    points: Float[Tensor, "shapes points 3"],
    sdf: Float[Tensor, "shapes points"],
    latent: Float[Tensor, "shapes dim"],
    done: float,
    config: DecoderTrainingConfig,
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 9: reconstruction, point-wise and point-pair regularisation, code prior.

    Where the model has coordinates beside space, a price on them is a term more.
    """
    path, ambient = path[..., :3], path[..., 3:]
    if done < config.ambient_from:
        ambient = torch.zeros_like(ambient)
    steps = output_steps(len(path)) if config.outputs == "curriculum" else [len(path) - 1]
    levels = CURRICULUM[-len(steps) :] if config.outputs == "curriculum" else [(0.0, 0.0)]
    read = _at(ambient, steps)
    predicted = model.template(torch.cat([_at(path, steps), read], dim=-1))  # all outputs' evaluations are one batch
    errors = [
        curriculum_l1(output, sdf, epsilon, hardness, config.truncation, config.one_sided)
        for output, (epsilon, hardness) in zip(predicted, levels, strict=True)
    ]
    ramp = min(1.0, done / config.ramp) if config.ramp else 1.0
    terms = {"sdf": torch.stack(errors).mean()}
    if config.pointwise_weight:
        moved = _at(path, output_steps(len(path))) if config.pointwise_outputs == "all" else path[-1:]
        boost = max(1.0, config.pointwise_boost * (1 - ramp))
        terms["pointwise"] = config.pointwise_weight * boost * pointwise_warp(moved, points)
    if config.pointpair_weight:
        terms["pointpair"] = config.pointpair_weight * ramp * pointpair_warp(path[-1], points)
    if config.code_weight:
        terms["code"] = config.code_weight * ramp * code_prior(latent)
    if model.config.ambient_dim:
        model.observe(ambient[-1])
        if config.ambient_weight:
            terms["ambient"] = config.ambient_weight * read.abs().mean()
    return terms


def decoder_groups(model: DeepImplicitTemplate, config: DecoderTrainingConfig) -> list[Group]:
    """What warp and template learn by, and how fast; each of their parameters is in one group."""
    matrices = model.hidden_matrices() if config.muon_rate else []
    by_muon = {id(matrix) for matrix in matrices}
    groups = [
        Group([parameter for parameter in network.parameters() if id(parameter) not in by_muon], rate)
        for network, rate in ((model.warp, config.warp_rate), (model.template, config.template_rate))
    ]
    return [*groups, Group(matrices, config.muon_rate, "muon")] if matrices else groups


def _at(path: Tensor, steps: list[int]) -> Tensor:
    """Some positions of a path. Indexing by the list itself would make a GPU wait for it at each step."""
    return torch.stack([path[step] for step in steps])


def output_steps(steps: int) -> list[int]:
    """Which positions of the path the losses look at: four, evenly spaced, up to the last (2, 4, 6, 8 of 8)."""
    return sorted({round(steps * quarter / 4) - 1 for quarter in (1, 2, 3, 4)} - {-1})


def train_embedding(
    table: SDFTable,
    config: EmbeddingConfig,
    folder: Path | str | None = None,
    data: str = "",
    label: str = "phase 1",
    progress: bool = True,
) -> EmbeddingRun:
    """Trains phase 1, goes on where it was interrupted, or loads it where it is finished.

    Args:
        table: SDF samples of the training shapes, on the device to train on.
        config: Sizes, weights and schedule.
        folder: The run's folder; without one nothing is kept.
        data: Hash of the samples, so that a run on other data is not taken for this one.
        label: Name in the progress bar.
        progress: Whether to show one.

    Returns:
        The model and the codes, on the table's device, in the order of the table's shapes, and the learning curve.
    """
    torch.manual_seed(config.seed)
    objective = EmbeddingObjective(len(table), config).to(table.device)
    model, codes = objective.model, objective.codes

    def draw(generator: torch.Generator, step: int, steps: int) -> SDFBatch:
        rows = draw_rows(len(table), config.shapes_per_batch, generator)
        objective.keep_in_ball(rows)  # of the whole batch, so that all who share it go on with one table
        return table.draw(rows, config.points_per_shape, generator, config.inside_share, config.cross_share)

    groups = [*decoder_groups(model, config), Group(codes.parameters(), config.code_rate)]
    steps = config.steps(len(table), config.shapes_per_batch)
    options = {"label": label, "progress": progress, "parts": parts_of_a_step(config, table.device)}
    with flushed_denormals():
        history = train_or_load(objective, draw, groups, config, steps, folder, data, **options)
    with torch.no_grad():
        return EmbeddingRun(model.eval(), project_to_ball(codes.weight.detach(), config.code_radius), history)


def parts_of_a_step(config: EmbeddingConfig, device: torch.device) -> int:
    """In how many parts, one after the other, a process takes its shapes of a batch.

    A GPU takes all at once. A CPU takes as few parts as keep a part at `POINTS_AT_ONCE` points, if shapes are not
    larger: DeepSDF's `batch_split`, found.
    """
    if config.batch_split or device.type != "cpu":
        return config.batch_split or 1
    shapes = max(1, config.shapes_per_batch // launched_processes())
    fits = (
        parts
        for parts in range(1, shapes)
        if shapes % parts == 0 and shapes // parts * config.points_per_shape <= POINTS_AT_ONCE
    )
    return next(fits, shapes)


def load_embedding(folder: Path | str, device: torch.device | str = "cpu") -> EmbeddingRun:
    """The finished phase 1 of a run folder.

    Raises:
        RunError: There is none, or it is broken.
    """
    run = RunFolder(folder)
    config = run.configured(EmbeddingConfig)
    objective = EmbeddingObjective(run.shape_of("codes.weight")[0], config)
    history = run.load(objective)
    objective.to(device).eval()
    codes = project_to_ball(objective.codes.weight.detach(), config.code_radius)
    return EmbeddingRun(objective.model, codes, history)


def draw_rows(total: int, count: int, generator: torch.Generator) -> Tensor:
    """Rows of a table, no row twice as long as there are enough."""
    rounds = -(-count // total)
    order = [torch.randperm(total, generator=generator, device=generator.device) for _ in range(rounds)]
    return torch.cat(order)[:count]
