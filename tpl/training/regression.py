"""Phase 2: an image encoder onto the codes of phase 1 (section 3.2), and our variant that learns by the decoder."""

import copy
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from tpl.dataset.batches import (
    SDFTable,
    ViewSDFBatch,
    ViewTable,
    brighten,
    color_jitter,
    crop,
    crop_sharply,
    pose_in_window,
    random_windows,
)
from tpl.losses import curriculum_l1, latent_l1
from tpl.models import DeepImplicitTemplate, Encoder, EncoderConfig
from tpl.training.embedding import EmbeddingRun, draw_rows
from tpl.training.loop import AtOnce, TrainingConfig, convolutions_apart
from tpl.training.runs import RunFolder, train_or_load


class VariedViews(TrainingConfig):
    """How the views that an encoder learns from are varied."""

    jitter: float = Field(default=0.4, ge=0, le=1)
    hue: float = Field(default=0.4, ge=0, le=0.5)
    rotation: float = Field(default=0.0, ge=0, le=180)  # ours: views are turned by up to so many degrees,
    zoom: float = Field(default=0.0, ge=0, lt=1)  # scaled by up to this share,
    shift: float = Field(default=0.0, ge=0, le=1)  # and moved by up to this share of a side
    sharp: bool = False  # ours: moved views keep sharp outlines, for an encoder that looks at the mask
    brightness: float = Field(default=0.0, ge=0, lt=1)  # ours: the object alone is brighter or darker by up to this

    def vary(
        self, images: Float[Tensor, "views 3 height width"], generator: torch.Generator
    ) -> Float[Tensor, "views 3 height width"]:
        """Each image (RGB in 0 to 1, on white) in another place and in other colours."""
        return self.vary_posed(images, images.new_zeros((len(images), 0)), generator)[0]

    def vary_posed(
        self,
        images: Float[Tensor, "views 3 height width"],
        pose: Float[Tensor, "views numbers"],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, "views 3 height width"], Float[Tensor, "views numbers"]]:
        """The same, and the numbers of the cameras that see the images so, if those of the views are given."""
        if self.rotation or self.zoom or self.shift:
            windows = random_windows(len(images), generator, self.rotation, self.zoom, self.shift)
            images = crop_sharply(images, windows) if self.sharp else crop(images, *windows)
            pose = pose_in_window(pose, windows) if pose.shape[1] else pose
        jittered = color_jitter(images, generator, self.jitter, self.hue)
        return brighten(jittered, generator, self.brightness), pose


class RegressionConfig(VariedViews):
    """Everything that phase 2 depends on beside phase 1; the defaults are the paper's objective.

    With `sdf_weight` above 0 it is our variant: after a share `sdf_from` of the training the encoder also learns
    from signed distances through the frozen decoder, and then from all shapes, those without a code included.
    """

    epochs: PositiveInt = 5000  # the paper's 100 over all of a shape's 50 views; an epoch here is one view a shape
    encoder: EncoderConfig = EncoderConfig()
    views_per_batch: AtOnce = 512
    learning_rate: float = Field(default=1e-3, gt=0)
    muon_rate: NonNegativeFloat = 0.0  # ours: convolutions learn by Muon; 0: by Adam, as all else
    weight_decay: NonNegativeFloat = 0.0
    standardise: bool = False  # predict codes in units of their spread
    latent_weight: NonNegativeFloat = 1.0
    sdf_weight: NonNegativeFloat = 0.0
    sdf_from: float = Field(default=0.6, ge=0, le=1)
    sdf_latent_weight: NonNegativeFloat = 1.0  # the code term's weight once the SDF term has joined
    points_per_view: PositiveInt = 64
    inside_share: float = Field(default=0.4, ge=0, le=1)
    cross_share: float = Field(default=0.4, ge=0, lt=1)
    truncation: float = Field(default=0.1, gt=0)
    camera_weight: NonNegativeFloat = 0.0  # ours: of the error in the camera's numbers, where the encoder names them
    total_steps: NonNegativeInt = 0  # so many steps, however many shapes are seen; 0: the epochs

    def steps(self, shapes: int, at_once: int) -> int:
        return self.total_steps or super().steps(shapes, at_once)


class RegressionRun(NamedTuple):
    """What phase 2 leaves."""

    encoder: Encoder
    history: pd.DataFrame


class RegressionObjective(nn.Module):
    """The encoder under Eq. 10, and under the SDF of the frozen decoder in our variant."""

    def __init__(self, embedding: EmbeddingRun, config: RegressionConfig):
        super().__init__()
        length = embedding.codes.shape[1]
        if config.encoder.latent_dim != length:
            raise ValueError(
                f"the encoder makes codes of {config.encoder.latent_dim} numbers and those of phase 1 have {length}: "
                f"give encoder.latent_dim = {length}"
            )
        if bool(config.camera_weight) != config.encoder.camera:
            raise ValueError(
                f"camera_weight is {config.camera_weight:g} and encoder.camera {config.encoder.camera}: a head for the "
                "camera needs a weight to learn with, and the other way round"
            )
        self.config = config
        self.encoder = Encoder(config.encoder)
        if config.standardise:
            self.encoder.standardise(embedding.codes)
        # Held in a tuple, so that the frozen decoder is no part of the weights that this phase learns and saves.
        decoder = copy.deepcopy(embedding.model).requires_grad_(False).eval()
        self._frozen: tuple[DeepImplicitTemplate, Tensor] = (decoder, embedding.codes)

    def forward(self, batch: ViewSDFBatch, done: float) -> dict[str, Tensor]:
        """The weighted terms of the loss when a share `done` of the training is over."""
        config = self.config
        decoder, codes = self._frozen
        features = self.encoder.features(batch.image)
        latent = self.encoder.latent(features)
        terms = {}
        if config.camera_weight:
            terms["camera"] = config.camera_weight * (self.encoder.pose(features) - batch.pose).abs().mean()
        target, has_code = codes[batch.index.clamp(max=len(codes) - 1)], (batch.index < len(codes)).float()
        latent_term = latent_l1(latent, target, has_code)  # Eq. 10 over the shapes that have a code
        if not uses_decoder(config, done):
            return {"latent": config.latent_weight * latent_term, **terms}
        predicted = decoder(batch.points, latent)
        sdf_term = curriculum_l1(predicted, batch.sdf, truncation=config.truncation, one_sided=True)
        return {"sdf": config.sdf_weight * sdf_term, "latent": config.sdf_latent_weight * latent_term, **terms}


def uses_decoder(config: RegressionConfig, done: float) -> bool:
    """Whether the SDF term takes part when a share `done` of the training is over."""
    return config.sdf_weight > 0 and done >= config.sdf_from


def train_regression(
    embedding: EmbeddingRun,
    views: ViewTable,
    table: SDFTable | None,
    config: RegressionConfig,
    folder: Path | str | None = None,
    data: str = "",
    label: str = "phase 2",
    progress: bool = True,
) -> RegressionRun:
    """Trains phase 2, goes on where it was interrupted, or loads it where it is finished.

    Args:
        embedding: Phase 1; its decoder is frozen.
        views: Views of the training shapes; the first `len(embedding.codes)` are those with a code, in its order.
        table: SDF samples of the same shapes as `views`, needed where `sdf_weight` is above 0.
        config: Sizes, weights and schedule.
        folder: The run's folder; without one nothing is kept.
        data: Hash of phase 1, views and samples.
        label: Name in the progress bar.
        progress: Whether to show one.
    """
    if config.sdf_weight and table is None:
        raise ValueError("learning through the decoder (sdf_weight > 0) needs the shapes' SDF samples")
    if config.camera_weight and views.poses is None:
        raise ValueError("learning the camera (camera_weight > 0) needs the views' poses: read the table with them")
    if table is not None and len(table) != len(views):
        raise ValueError(f"{len(views)} shapes have views and {len(table)} have SDF samples: give the same shapes")
    torch.manual_seed(config.seed)
    objective = RegressionObjective(embedding, config).to(views.device)
    coded, nothing = len(embedding.codes), torch.zeros((config.views_per_batch, 0, 3), device=views.device)

    def draw(generator: torch.Generator, step: int, steps: int) -> ViewSDFBatch:
        if table is not None and uses_decoder(config, step / steps):
            rows = draw_rows(len(views), config.views_per_batch, generator)
            samples = table.draw(rows, config.points_per_view, generator, config.inside_share, config.cross_share)
            points, sdf = samples.points, samples.sdf
        else:  # Eq. 10 knows only shapes with a code
            rows = draw_rows(coded, config.views_per_batch, generator)
            points, sdf = nothing, nothing[..., 0]
        image, pose = config.vary_posed(*views.draw_posed(rows, generator), generator)
        return ViewSDFBatch(image, points, sdf, rows, pose)

    groups = convolutions_apart(objective.encoder.parameters(), config.learning_rate, config.muon_rate)
    steps = config.steps(len(views), config.views_per_batch)
    options = {"weight_decay": config.weight_decay, "label": label, "progress": progress}
    history = train_or_load(objective, draw, groups, config, steps, folder, data, **options)
    return RegressionRun(objective.encoder.eval(), history)


def load_regression(folder: Path | str, embedding: EmbeddingRun, device: torch.device | str = "cpu") -> RegressionRun:
    """The finished phase 2 of a run folder.

    Args:
        folder: The run's folder.
        embedding: The phase 1 that it was trained on.
        device: Where the encoder shall live.

    Raises:
        RunError: There is none, or it is broken.
    """
    run = RunFolder(folder)
    config = run.configured(RegressionConfig)
    objective = RegressionObjective(embedding, config)
    history = run.load(objective)
    return RegressionRun(objective.encoder.to(device).eval(), history)
