"""End to end: encoder, warp and template in one training, without learnt codes (section 5 of the paper)."""

from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from tpl.dataset.batches import SDFTable, ViewSDFBatch, ViewTable
from tpl.models import DeepImplicitTemplate, Encoder, EncoderConfig
from tpl.training.denormals import flushed_denormals
from tpl.training.embedding import (
    DecoderTrainingConfig,
    EmbeddingRun,
    decoder_groups,
    draw_rows,
    new_decoder,
    warp_terms,
)
from tpl.training.loop import AtOnce, Group
from tpl.training.regression import VariedViews
from tpl.training.runs import RunFolder, train_or_load

Start = Literal["random", "imagenet", "contrastive", "imagenet+contrastive"]
"""What the trunk knows before the training: nothing, ImageNet's classes, which views show one object, or both."""


class EndToEndConfig(DecoderTrainingConfig, VariedViews):
    """Everything that the end-to-end training depends on; the defaults are the preset `fixed` at the paper's size."""

    epochs: PositiveInt = 2001
    encoder: EncoderConfig = EncoderConfig()
    views_per_batch: AtOnce = 24
    points_per_view: PositiveInt = 5000
    trunk: Literal["trained", "frozen"] = "trained"  # the authors freeze it: then only the head of the encoder learns
    start: Start = "random"  # of the trunk
    # "embedding" is ours, for small budgets: warp, template and the scale of the codes are those of phase 1.
    decoder_start: Literal["random", "embedding"] = "random"
    trunk_rate: float = Field(default=1e-3, gt=0)
    head_rate: float = Field(default=1e-3, gt=0)
    weight_decay: NonNegativeFloat = 0.0


class EndToEndRun(NamedTuple):
    """What the end-to-end training leaves: an encoder, and the decoder that belongs to it."""

    encoder: Encoder
    model: DeepImplicitTemplate
    history: pd.DataFrame


class EndToEndObjective(nn.Module):
    """Image to code to warp to template in one graph, s = T(W(p, E(x))), under the loss of phase 1 (Eq. 9 and 12)."""

    def __init__(self, config: EndToEndConfig):
        super().__init__()
        if config.encoder.latent_dim != config.model.latent_dim:
            raise ValueError(
                f"the encoder makes codes of {config.encoder.latent_dim} numbers and the warp reads "
                f"{config.model.latent_dim}: give encoder.latent_dim and model.latent_dim the same value"
            )
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.model = new_decoder(config)
        self.encoder.trunk.requires_grad_(config.trunk == "trained")

    def train(self, mode: bool = True) -> "EndToEndObjective":
        """A frozen trunk stays in evaluation mode, or its batch norms would go on collecting statistics."""
        super().train(mode)
        if self.config.trunk == "frozen":
            self.encoder.trunk.eval()
        return self

    def forward(self, batch: ViewSDFBatch, done: float) -> dict[str, Tensor]:
        """The weighted terms of the loss when a share `done` of the training is over."""
        latent = self.encoder(batch.image)
        path = self.model.warp(batch.points, latent)
        return warp_terms(self.model, path, batch.points, batch.sdf, latent, done, self.config)


def train_end_to_end(
    views: ViewTable,
    table: SDFTable,
    config: EndToEndConfig,
    folder: Path | str | None = None,
    data: str = "",
    trunk: nn.Module | None = None,
    embedding: EmbeddingRun | None = None,
    label: str = "end to end",
    progress: bool = True,
) -> EndToEndRun:
    """Trains encoder, warp and template together, goes on where it was interrupted, or loads what is finished.

    Args:
        views: Views of the training shapes, on the device to train on.
        table: SDF samples of the same shapes.
        config: Sizes, weights and schedule.
        folder: The run's folder; without one nothing is kept.
        data: Hash of views, samples and whatever the training starts from.
        trunk: What the encoder's trunk starts from, where `config.start` is not "random"; it is copied.
        embedding: Phase 1, where `config.decoder_start` is "embedding": its warp and template are copied, and the
            untrained head predicts in units of its codes' spread.
        label: Name in the progress bar.
        progress: Whether to show one.

    Raises:
        ValueError: The shapes are not the same, or what the training shall start from is missing or of another size.
    """
    if len(table) != len(views):
        raise ValueError(f"{len(views)} shapes have views and {len(table)} have SDF samples: give the same shapes")
    torch.manual_seed(config.seed)
    objective = EndToEndObjective(config)
    _start(objective, trunk, embedding)
    objective.to(views.device)

    def draw(generator: torch.Generator, step: int, steps: int) -> ViewSDFBatch:
        rows = draw_rows(len(views), config.views_per_batch, generator)
        samples = table.draw(rows, config.points_per_view, generator, config.inside_share, config.cross_share)
        image = config.vary(views.draw(rows, generator), generator)
        return ViewSDFBatch(image, samples.points, samples.sdf, rows)

    encoder, model = objective.encoder, objective.model
    groups = [Group(encoder.head.parameters(), config.head_rate), *decoder_groups(model, config)]
    if config.trunk == "trained":
        groups.append(Group(encoder.trunk.parameters(), config.trunk_rate))
    steps = config.steps(len(views), config.views_per_batch)
    options = {"weight_decay": config.weight_decay, "label": label, "progress": progress}
    with flushed_denormals():
        history = train_or_load(objective, draw, groups, config, steps, folder, data, **options)
    return EndToEndRun(encoder.eval(), model.eval(), history)


def load_end_to_end(folder: Path | str, device: torch.device | str = "cpu") -> EndToEndRun:
    """The finished end-to-end training of a run folder.

    Raises:
        RunError: There is none, or it is broken.
    """
    run = RunFolder(folder)
    objective = EndToEndObjective(run.configured(EndToEndConfig))
    history = run.load(objective)
    objective.to(device).eval()
    return EndToEndRun(objective.encoder, objective.model, history)


def _start(objective: EndToEndObjective, trunk: nn.Module | None, embedding: EmbeddingRun | None) -> None:
    """Copies what the configuration asks to start from into the networks."""
    config = objective.config
    given = {"start": (config.start, trunk), "decoder_start": (config.decoder_start, embedding)}
    for field, (origin, source) in given.items():
        if source is None and origin != "random":
            raise ValueError(f"{field} = {origin!r} needs the networks of that training: give them")
        if source is not None and origin == "random":
            raise ValueError(f"{field} = 'random' and networks to start from do not go together: leave out one of them")
    if trunk is not None:
        try:
            objective.encoder.trunk.load_state_dict(trunk.state_dict(), strict=True)
        except RuntimeError as error:
            raise ValueError(
                f"the trunk to start from is no ResNet of encoder.width = {config.encoder.width}: give that "
                "training's width"
            ) from error
    if embedding is not None:
        if embedding.model.config != config.model:
            raise ValueError(
                f"phase 1 has another decoder ({embedding.model.config}) than is asked for ({config.model}): "
                "give `model` the sizes of phase 1"
            )
        objective.model.load_state_dict(embedding.model.state_dict(), strict=True)
        objective.encoder.standardise(embedding.codes.to(objective.encoder.latent_mean.device))
