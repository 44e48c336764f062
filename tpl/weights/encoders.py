"""The authors' image encoders: torchvision's ResNet-18 under several prefixes, with a head of one or two layers.

    encoder.conv1 ... encoder.layer4, encoder.fc       "v1"; the trunk's tensors again under feature_extractor.<n>
    encoder.0, .1, .4 ... .7, and fc.0, fc.2           "v2": a Sequential, its head of two layers beside it
    <name>.conv1 ... or <name>.0 ...                   contrastive pre-training: a trunk, and a head that is dropped

They take images as ours do: RGB on white, in ImageNet's units, 224 pixels a side.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tpl.models import Encoder, EncoderConfig, resnet18_trunk
from tpl.weights.files import WeightsError, is_state, read_tensors, without_prefix

SEQUENTIAL = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""The parts of a ResNet by their places in a Sequential of its children."""

PARTS = (*SEQUENTIAL.values(), *SEQUENTIAL)
HEADS = {"fc": "head", "fc.0": "head.0", "fc.2": "head.2"}
KEYS = ("latent_codes", "model_state_dict")
"""Where an encoder lies in a checkpoint: among phase 1's files it has the place of the codes."""


def read_encoder(file: Path | str) -> Encoder:
    """The encoder in a `LatentCodes/*.pth` of the authors' experiments.

    Raises:
        WeightsError: The file cannot be read, or holds no ResNet-18 with a head of one or two layers.
    """
    state = _state(file)
    trunk, prefixes = _trunk(state, file), _prefixes(state)
    head = {}
    for name, tensor in state.items():
        owner, _, kind = name.rpartition(".")
        bare = owner if owner in HEADS else owner.partition(".")[2]
        if bare in HEADS:
            head[f"{HEADS[bare]}.{kind}"] = tensor
        elif not _of_trunk(name, prefixes):
            raise WeightsError(f"{file}: {name} belongs to no ResNet-18 with a head fc, and ours has none such")
    weights = {name: tensor for name, tensor in head.items() if name.endswith("weight")}
    if not weights:
        raise WeightsError(
            f"{file} holds a trunk without a head fc, as contrastive pre-training leaves it: read_trunk reads it"
        )
    latent_dim = len(weights[max(weights)])
    config = EncoderConfig(latent_dim=latent_dim, width=len(trunk["conv1.weight"]), head_layers=len(weights))  # pyright: ignore[reportArgumentType]
    encoder = Encoder(config)
    whole = {f"trunk.{name}": tensor for name, tensor in trunk.items()} | head
    kept = {name: tensor for name, tensor in encoder.state_dict().items() if name.startswith("latent_")}
    _load(encoder, whole | kept, file)
    return encoder.eval()


def read_trunk(file: Path | str) -> nn.Sequential:
    """The ResNet-18 in a checkpoint, without any head: what an end-to-end training can start from; raises as above."""
    weights = _trunk(_state(file), file)
    trunk = resnet18_trunk(len(weights["conv1.weight"]))
    _load(trunk, weights, file)
    return trunk.eval()


def _state(file: Path | str) -> dict[str, Tensor]:
    content = read_tensors(file)
    found: Iterable[Any] = (content.get(key) for key in KEYS) if isinstance(content, Mapping) else ()
    state = next(filter(is_state, found), None)
    if state is None:
        raise WeightsError(f"{file} holds no encoder: neither {' nor '.join(KEYS)} is a network's weights")
    return without_prefix(state)


def _trunk(state: Mapping[str, Tensor], file: Path | str) -> dict[str, Tensor]:
    """The trunk under torchvision's names. Kept twice, both must be the same.

    Raises:
        WeightsError: There is none, or there are several.
    """
    trunk: dict[str, Tensor] = {}
    prefixes = _prefixes(state)
    for name, tensor in state.items():
        if _of_trunk(name, prefixes):
            _, part, rest = name.split(".", 2)
            place = f"{SEQUENTIAL.get(part, part)}.{rest}"
            if place in trunk and not torch.equal(trunk[place], tensor):
                raise WeightsError(f"{file} holds more than one trunk: {name} differs from another {place}")
            trunk[place] = tensor
    if "conv1.weight" not in trunk:
        raise WeightsError(f"{file} holds no ResNet-18: there is no first convolution <name>.conv1.weight")
    return trunk


def _prefixes(state: Mapping[str, Tensor]) -> set[str]:
    """What trunks are called: the first parts of the names of convolutions that read three channels."""
    return {name.partition(".")[0] for name, tensor in state.items() if tensor.ndim == 4 and tensor.shape[1] == 3}


def _of_trunk(name: str, prefixes: set[str]) -> bool:
    prefix, _, rest = name.partition(".")
    return prefix in prefixes and rest.partition(".")[0] in PARTS and "." in rest


def _load(network: nn.Module, state: Mapping[str, Tensor], file: Path | str) -> None:
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise WeightsError(f"{file} does not hold a ResNet-18 with a head fc as it should be: {reason}") from error
