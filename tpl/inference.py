"""With what was trained: an image to a code to a mesh, and the code that fits a shape best (the oracle)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int, UInt8
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from tpl.dataset.batches import SDFBatch, SDFTable
from tpl.geometry.whole import extract_whole
from tpl.losses import curriculum_l1
from tpl.meshes import Normalization
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.rendering import Camera
from tpl.rendering.pose import pose_of


class OracleConfig(BaseModel):
    """How a code is fitted to a shape at test time; the defaults are DeepSDF's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: PositiveInt = 800
    points: PositiveInt = 8000
    rate: float = Field(default=5e-3, gt=0)  # a tenth of it after half of the iterations
    start_std: NonNegativeFloat = 0.1
    truncation: float = Field(default=0.1, gt=0)
    prior: NonNegativeFloat = 1e-4
    cross_share: float = Field(default=0.4, ge=0, lt=1)  # ours: of a step's samples, where the table has such samples
    seed: NonNegativeInt = 0


def fit_codes(
    model: DeepImplicitTemplate,
    table: SDFTable,
    config: OracleConfig | None = None,
    learnt: Float[Tensor, "codes dim"] | None = None,
) -> Float[Tensor, "shapes dim"]:
    """The codes whose decoded distances fit each shape's samples best: what no encoder can beat by much.

    All shapes are fitted at once, each on its own samples, half of them inside. Near its own surface a shape has no
    sample that says that it lacks a part which others have; where the table has cross samples, they say it.

    Args:
        model: The trained decoder; it is left as it is.
        table: Samples of the shapes, on the model's device.
        config: Length and rate of the fit.
        learnt: Codes of training shapes. The fit starts from the one that suits a shape best, which a few hundred
            steps from a random code do not always reach; without them it starts at random, as DeepSDF's does.

    Source: Park et al. 2019 (DeepSDF), section 4.3.
    """
    config = config or OracleConfig()
    generator = torch.Generator(table.device).manual_seed(config.seed)
    rows = torch.arange(len(table), device=table.device)
    if learnt is None:
        noise = torch.randn((len(table), model.config.latent_dim), generator=generator, device=table.device)
        start = config.start_std * noise
    else:
        few = table.draw(rows, min(config.points, 256), generator, cross_share=config.cross_share)
        start = learnt[_best_codes(model, few, learnt, config.truncation)]
    latent = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=config.rate)
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval().requires_grad_(False)
    try:
        for iteration in range(config.iterations):
            if iteration == config.iterations // 2:
                optimizer.param_groups[0]["lr"] = config.rate / 10
            batch = table.draw(rows, config.points, generator, cross_share=config.cross_share)
            error = curriculum_l1(model(batch.points, latent), batch.sdf, truncation=config.truncation, one_sided=True)
            # A mean over shapes would weaken each one's step; Adam does not mind, the prior would.
            loss = len(table) * error + config.prior * latent.square().mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    return latent.detach()


def _best_codes(
    model: DeepImplicitTemplate, batch: SDFBatch, codes: Float[Tensor, "codes dim"], truncation: float
) -> Int[Tensor, " shapes"]:
    """For each shape of a batch the row of the code that decodes nearest to its distances."""
    model.eval()
    with torch.no_grad():
        truth = batch.sdf.clamp(-truncation, truncation)
        errors = []
        for code in codes:
            predicted = model(batch.points, code.expand(len(truth), -1)).clamp(-truncation, truncation)
            errors.append((predicted - truth).abs().mean(dim=1))
    return torch.stack(errors).argmin(dim=0)


def encode(encoder: Encoder, images: UInt8[np.ndarray, "views height width 3"]) -> Float[Tensor, "views dim"]:
    """Codes of images (bytes, on white)."""
    return _in_blocks(encoder, encoder, images)


def estimate_cameras(
    encoder: Encoder, images: UInt8[np.ndarray, "views height width 3"]
) -> list[tuple[Camera, Normalization]]:
    """The camera that an encoder sees in each image (bytes, on white), and the frame of the shape before it.

    Raises:
        SettingsError: The encoder has no head for the camera.
    """
    numbers = _in_blocks(encoder, lambda block: encoder.pose(encoder.features(block)), images)
    return [pose_of(of_image) for of_image in numbers.double().cpu().numpy()]


def _in_blocks(
    encoder: Encoder, see: Callable[[Tensor], Tensor], images: UInt8[np.ndarray, "views height width 3"]
) -> Float[Tensor, "views numbers"]:
    """What an encoder, as it is used after training, makes of images, in blocks that fit any device."""
    device = next(encoder.parameters()).device
    encoder.eval()
    with torch.inference_mode():
        blocks = torch.from_numpy(images).permute(0, 3, 1, 2).split(256)
        return torch.cat([see(block.to(device).float() / 255) for block in blocks]).clone()


class Reconstructor(NamedTuple):
    """An arm of the experiment: a category's trained encoder and the decoder that belongs to it, ready for images."""

    encoder: Encoder
    model: DeepImplicitTemplate
    codes: Float[Tensor, "shapes dim"]  # those learnt in phase 1; an end-to-end training has none (0 rows)

    def reconstruct(self, image: UInt8[np.ndarray, "height width 3"], resolution: int = 128) -> trimesh.Trimesh:
        """The mesh (unit-sphere frame) that the networks see in one image: RGB on white, framed as the views are.

        It is one to look at, as `extract_whole` makes it.

        Raises:
            EmptyShape: The decoded function has no surface.
        """
        return extract_whole(self.model.shape(encode(self.encoder, image[None])[0]), resolution)


def to_raw(mesh: trimesh.Trimesh, normalization: Normalization) -> trimesh.Trimesh:
    """A mesh of the unit-sphere frame in a shape's raw frame, as the evaluation wants it."""
    moved = mesh.copy()
    moved.vertices = normalization.undo(np.asarray(mesh.vertices))
    return moved


def mean_code(codes: Float[Tensor, "shapes dim"]) -> Float[Tensor, " dim"]:
    """The code whose shape is the baseline that looks at no image."""
    return codes.mean(dim=0)
