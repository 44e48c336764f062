"""All shapes of a category as one template, seen through a warp: s(p) = T(W(p, c))."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from tpl.geometry.primitives import SDF, SDFs
from tpl.models.template import Template
from tpl.models.warp import Warp

CHUNK = 16_384  # points evaluated at once: larger blocks fall out of a CPU's cache and gain nothing
GPU_CHUNK = 65_536
ROW = 256  # points of one shape that stand together where several shapes are evaluated at once


OBSERVED = 0.01
"""Weight of a batch in the running mean and covariance of the coordinates beside space."""


class DeepImplicitTemplateConfig(BaseModel):
    """Sizes of warp and template; the defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent_dim: PositiveInt = 256
    warp_hidden: PositiveInt = 512
    warp_steps: PositiveInt = 8
    template_hidden: PositiveInt = 256
    template_layers: PositiveInt = 5
    dropout: float = Field(default=0.05, ge=0, lt=1)
    weight_norm: bool = True
    ambient_dim: NonNegativeInt = 0  # ours: coordinates beside space, in which the template differs from shape to shape
    # Of these: the warp's last state, or the code alone. As many from the code as it has numbers are the code in the
    # template's first layer: a DeepSDF behind a warp, and no template any more.
    ambient_source: Literal["state", "code"] = "state"


class DeepImplicitTemplate(nn.Module):
    """The template after the warp (Eq. 3 and 4): the signed distance of every shape of a category."""

    ambient_mean: Tensor
    ambient_covariance: Tensor

    def __init__(self, config: DeepImplicitTemplateConfig | None = None):
        super().__init__()
        self.config = config = config or DeepImplicitTemplateConfig()
        beside = config.ambient_dim
        self.warp = Warp(config.latent_dim, config.warp_hidden, config.warp_steps, beside, config.ambient_source)
        sizes = config.template_hidden, config.template_layers, config.dropout, config.weight_norm
        self.template = Template(*sizes, beside)
        if beside:  # what a training has seen of the coordinates beside space: their mean and covariance
            self.register_buffer("ambient_mean", torch.zeros(beside))
            self.register_buffer("ambient_covariance", torch.zeros(beside, beside))

    def forward(
        self, points: Float[Tensor, "shapes points 3"], latent: Float[Tensor, "shapes dim"]
    ) -> Float[Tensor, "shapes points"]:
        """Signed distances (unit-sphere lengths, negative inside) of each shape's points."""
        return self.template(self.warp(points, latent)[-1])

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The weights at features and codes, without those at points and distances."""
        layers = [self.warp.code_weight, self.warp.hidden_weight, *self.template.hidden.parameters()]
        return [weight for weight in layers if weight.ndim == 2 and min(weight.shape) > 1]

    def shape(self, latent: Float[Tensor, " dim"], step: int = -1) -> SDF:
        """The signed distance function of one shape, on NumPy points in the unit-sphere frame.

        Args:
            latent: The shape's code.
            step: Which step of the warp to stop after; -1 is the last.
        """

        def evaluate(points: Tensor) -> Tensor:
            return self.template(self.warp(points[None], latent[None])[step])[0]

        return self._sdf(evaluate)

    def shapes(self, latent: Float[Tensor, "shapes dim"]) -> SDFs:
        """The signed distance functions of several shapes, evaluated as one batch.

        The points for each are filled up to rows of one length, with a code a row: the code's share of the warp's
        products is computed once a row.

        Args:
            latent: The shapes' codes, on the model's device.
        """

        def sdfs(requests: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
            counts = [-(-len(points) // ROW) for points in requests]
            rows = np.zeros((sum(counts), ROW, 3), np.float32)
            ends = np.cumsum(counts)
            for points, count, end in zip(requests, counts, ends, strict=True):
                rows[end - count : end].reshape(-1, 3)[: len(points)] = points
            owner = np.repeat(np.arange(len(requests)), counts)
            values = self._on_device(lambda chunk, of: self(chunk, latent[of]), rows, owner, length=ROW)
            return [
                values[end - count : end].reshape(-1)[: len(points)]
                for points, count, end in zip(requests, counts, ends, strict=True)
            ]

        return sdfs

    def template_shape(self, ambient: Float[Tensor, " ambient"] | None = None) -> SDF:
        """The template alone, without any warp (Fig. 8).

        Args:
            ambient: Coordinates beside space at which the template is cut, on the model's device; by default their mean
                over the training.
        """
        if ambient is None and self.config.ambient_dim:
            ambient = self.ambient_mean

        def evaluate(points: Tensor) -> Tensor:
            if ambient is not None:
                points = torch.cat([points, ambient.expand(len(points), -1)], dim=-1)
            return self.template(points)

        return self._sdf(evaluate)

    def ambient_directions(self) -> Float[Tensor, "directions ambient"]:
        """The principal directions of the coordinates beside space, each as long as their spread along it.

        The longest comes first. `template_shape(mean + 2 * direction)` is the template of what lies far out that way.

        Raises:
            ValueError: The model has no coordinates beside space.
        """
        if not self.config.ambient_dim:
            raise ValueError("this model has no coordinates beside space: its ambient_dim is 0")
        variance, directions = torch.linalg.eigh(self.ambient_covariance)
        return (directions * variance.clamp_min(0).sqrt()).T.flip(0)

    @torch.no_grad()
    def observe(self, ambient: Float[Tensor, "*batch ambient"]) -> None:
        """Takes a batch's coordinates beside space into their running mean and covariance.

        A batch counts a hundredth, as much as the older ones have to give up: after 1000 nothing is left of the start.
        Processes that share a batch all take in the whole of it; its parts, one after the other, count as batches.
        """
        with torch.autocast(ambient.device.type, enabled=False):
            apart = (ambient - self.ambient_mean).flatten(0, -2)
            seen = torch.cat([apart.mean(dim=0, keepdim=True), apart.T @ apart / len(apart)])
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.all_reduce(seen)
                seen /= torch.distributed.get_world_size()
            self.ambient_mean.add_(seen[0], alpha=OBSERVED)
            self.ambient_covariance.lerp_(seen[1:], OBSERVED)

    def canonical(self, points: Float[np.ndarray, "n 3"], latent: Float[Tensor, " dim"]) -> Float[np.ndarray, "n 3"]:
        """Where the warp of one shape carries points (unit-sphere frame) on the template."""
        return self.places(points, latent)[:, :3]

    def places(
        self, points: Float[np.ndarray, "n 3"], latent: Float[Tensor, " dim"], beside: float = 1.0
    ) -> Float[np.ndarray, "n coordinates"]:
        """Where the warp of one shape carries points, and after the three coordinates those beside space, if any.

        Args:
            points: Unit-sphere frame.
            latent: The shape's code.
            beside: What the coordinates beside space are multiplied by: their weight where nearest places are looked
                for.
        """
        found = self._on_device(lambda chunk: self.warp(chunk[None], latent[None])[-1, 0], points)
        found[:, 3:] *= beside
        return found

    def _sdf(self, evaluate) -> SDF:
        def sdf(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
            return self._on_device(evaluate, points)

        return sdf

    def _on_device(self, evaluate: Callable[..., Tensor], *arrays: np.ndarray, length: int = 1) -> np.ndarray:
        """Evaluates rows of arrays in blocks that a device has memory for; a row is `length` points."""
        device = self.template.last.weight.device
        size = (CHUNK if device.type == "cpu" else GPU_CHUNK) // length
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                chunks = zip(*(_tensor(array).split(size) for array in arrays), strict=True)
                blocks = [evaluate(*(part.to(device) for part in chunk)).float() for chunk in chunks]
                return torch.cat(blocks).cpu().numpy()
        finally:
            self.train(was_training)


def _tensor(array: np.ndarray) -> Tensor:
    tensor = torch.as_tensor(array)
    return tensor.float() if tensor.is_floating_point() else tensor


def project_to_ball(latent: Float[Tensor, "shapes dim"], radius: float) -> Float[Tensor, "shapes dim"]:
    """Codes longer than the radius are shortened to it."""
    return latent * (radius / latent.norm(dim=-1, keepdim=True).clamp_min(radius))
