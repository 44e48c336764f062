"""The networks as numbers for the page: what `reconstruction.js` multiplies, in text that a script can carry."""

import base64
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from tpl.dataset.batches import LUMA
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.models.encoder import IMAGENET_MEAN, IMAGENET_STD
from tpl.rendering import boxes
from tpl.settings import SettingsError

Packed = dict[str, Any]
"""Something that JSON can hold."""


def pack_decoder(model: DeepImplicitTemplate) -> Packed:
    """A decoder's layers, each a matrix that stands to the right of the points' rows, and its bias.

    The warp's gates are one product of (state, position, 1) with one matrix, whose last row is the code's share; the
    code's own matrix makes that row, once a shape.

    Raises:
        SettingsError: The page does not know such a decoder.
    """
    config, warp, template = model.config, model.warp, model.template
    if config.ambient_dim and config.ambient_source != "state":
        raise SettingsError("the page reads coordinates beside space of the warp's state, not of the code")
    if config.warp_hidden % 4:
        raise SettingsError(f"the page counts in fours: a warp_hidden of {config.warp_hidden} is no multiple of 4")
    with torch.no_grad():
        beside = [] if warp.ambient is None else [warp.ambient]
        weight = torch.cat([layer.weight for layer in (warp.affine, *beside)])
        bias = torch.cat([layer.bias for layer in (warp.affine, *beside)])
        hidden = [template.first, *template.hidden, template.last]
        return {
            "latent": config.latent_dim,
            "hidden": config.warp_hidden,
            "steps": config.warp_steps,
            "beside": config.ambient_dim,
            "code": _layer(warp.code_weight, warp.input_bias + warp.hidden_bias),
            "gates": pack(torch.cat([warp.hidden_weight, warp.point_weight], dim=1).T),
            "readout": _layer(weight, bias),
            "template": [_layer(torch.as_tensor(layer.weight), torch.as_tensor(layer.bias)) for layer in hidden],
        }


def pack_encoder(encoder: Encoder, eight_bits: bool = True) -> Packed:
    """An encoder's layers, each convolution with its normalisation in it. The head answers with the code itself.

    Args:
        encoder: What is packed.
        eight_bits: Whether a convolution's weight is a whole number times its channel's own scale: a quarter of the
            size. Codes of quick's chairs moved by less than a hundredth of their spread.

    Raises:
        SettingsError: The page does not know such an encoder.
    """
    config, last = encoder.config, encoder.head
    trunk: Any = encoder.trunk  # its parts are known by torchvision's names
    if not isinstance(last, nn.Linear):
        raise SettingsError("the page knows encoders whose head is one layer: train one with head_layers 1")
    with torch.no_grad():
        blocks = [block for layer in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4) for block in layer]
        return {
            "size": config.image_size,
            "pool": config.pool,
            "crop": config.crop,
            "mask": config.channels == "mask",
            "luma": LUMA,
            "white": boxes.WHITE,
            "margin": boxes.MARGIN,
            "mean": IMAGENET_MEAN,
            "std": IMAGENET_STD,
            "stem": _convolution(trunk.conv1, trunk.bn1, eight_bits),
            "blocks": [_block(block, eight_bits) for block in blocks],
            "head": _layer(
                encoder.latent_std[:, None] * last.weight, encoder.latent_mean + encoder.latent_std * last.bias
            ),
        }


def _block(block: Any, eight_bits: bool) -> Packed:
    """A basic block of torchvision's ResNet."""
    layers: Packed = {
        "first": (block.conv1, block.bn1),
        "second": (block.conv2, block.bn2),
        "shortcut": block.downsample,
    }
    return {name: _convolution(layer[0], layer[1], eight_bits) for name, layer in layers.items() if layer is not None}


def _convolution(convolution: nn.Conv2d, norm: nn.BatchNorm2d, eight_bits: bool) -> Packed:
    """As a matrix from patches (rows, columns, channels in) to channels out, after the normalisation that follows."""
    variance, mean = norm.running_var, norm.running_mean
    assert variance is not None and mean is not None
    scale = norm.weight / (variance + norm.eps).sqrt()
    weight = scale[:, None, None, None] * convolution.weight
    size, stride, padding = convolution.kernel_size[0], convolution.stride[0], convolution.padding[0]
    packed = _layer(weight.permute(0, 2, 3, 1).flatten(1), norm.bias - scale * mean, eight_bits)
    return {**packed, "size": size, "stride": stride, "padding": padding}


def _layer(
    weight: Float[torch.Tensor, "out in"], bias: Float[torch.Tensor, " out"], eight_bits: bool = False
) -> Packed:
    return {"matrix": pack(weight.T, eight_bits), "bias": pack(bias[None])}


def pack(matrix: Float[torch.Tensor, "rows columns"], eight_bits: bool = False) -> Packed:
    """A matrix in base64: as 16-bit floats where these hold its numbers exactly, else of 32 bits, or of 8 when asked.

    Args:
        matrix: What is packed.
        eight_bits: Whether a number may become the nearest of 255 steps up to its column's largest.
    """
    values = matrix.detach().cpu().float().numpy()
    if eight_bits:
        scale = np.maximum(np.abs(values).max(axis=0), 1e-12) / 127
        steps = np.round(values / scale).astype(np.int8)
        return {"shape": values.shape, "bits": 8, "data": encoded(steps), "scale": encoded(scale.astype("<f4"))}
    half = values.astype("<f2")
    exact = bool((half == values).all())
    return {"shape": values.shape, "bits": 16 if exact else 32, "data": encoded(half if exact else values)}


def encoded(values: np.ndarray) -> str:
    """The bytes of an array in base64, little end first."""
    return base64.b64encode(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()).decode()
