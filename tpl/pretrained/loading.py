"""Packaged networks ready for images, without anything that trains: so that a command begins within seconds."""

import json
from pathlib import Path

import safetensors.torch
from torch import Tensor, nn

from tpl.inference import Reconstructor
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig
from tpl.models.implicit import project_to_ball
from tpl.pretrained.files import DECODER, ENCODER, check_networks
from tpl.shapes.shape import check_category


def load_networks(category: str, device: str = "cpu", folder: Path | None = None) -> Reconstructor:
    """The networks of a category that come with the package, of 32 bits in memory.

    Args:
        category: chairs, sofas or airplanes.
        device: cpu or cuda.
        folder: Where networks lie that `tpl networks` wrote, if not in the package.

    Raises:
        SettingsError: The category does not exist.
        NetworksError: There are none, or they are not as they were written.
    """
    place = check_networks(check_category(category), folder)
    learnt, encoders = (_tensors(place / name) for name in (DECODER, ENCODER))
    config = _config(place / DECODER)
    model = DeepImplicitTemplate(DeepImplicitTemplateConfig(**config["model"]))
    encoder = Encoder(EncoderConfig(**_config(place / ENCODER)["encoder"]))
    for network, tensors, prefix in ((model, learnt, "model."), (encoder, encoders, "encoder.")):
        _fill(network, tensors, prefix, device)
    codes = project_to_ball(learnt["codes.weight"].float(), config["code_radius"])
    return Reconstructor(encoder, model, codes.to(device))


def _fill(network: nn.Module, tensors: dict[str, Tensor], prefix: str, device: str) -> None:
    named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    network.load_state_dict(named, strict=True)
    network.to(device).eval().requires_grad_(False)


def _config(run: Path) -> dict:
    return json.loads((run / "config.json").read_text())


def _tensors(run: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(run / "model.safetensors")
