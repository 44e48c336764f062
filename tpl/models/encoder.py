"""The encoder E: an image to the latent code of its shape (Eq. 2)."""

import pickle
import socket
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from tpl.dataset.batches import LUMA, constant, crop
from tpl.errors import PlainError
from tpl.rendering.boxes import object_box, object_mask
from tpl.rendering.pose import NUMBERS
from tpl.settings import SettingsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PATIENCE = 20.0  # seconds until a download that does not answer is given up


class WeightsUnavailable(PlainError):
    """Weights of others are neither on this machine nor to be had; the message says where to put the file."""


class EncoderConfig(BaseModel):
    """Size of the encoder; the defaults are the paper's ResNet-18."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latent_dim: PositiveInt = 256
    image_size: PositiveInt = 224  # pixels a side of the images it learns from
    # Channels of the first stage: 64 is ResNet-18, 32 costs a quarter of it. Below 8 the backward pass of torch's CPU
    # kernel for strided 1 x 1 convolutions in channels-last order was seen to write outside its memory.
    width: int = Field(default=64, ge=8)
    head_layers: Literal[1, 2] = 1  # the paper has one linear layer; some of the authors' scripts have two
    pool: PositiveInt = 1  # ours: features are averaged over pool x pool parts of the picture, 4 times as many with 2
    crop: bool = False  # ours: it looks at the box around the object, and the head is told where that box was
    channels: Literal["rgb", "mask"] = "rgb"  # ours: "mask" is luma, where the object is, and the mean of both
    camera: bool = False  # ours: a second head names the view's camera


BOX_NUMBERS = 3
"""What the head is told of the box: 4 times its middle's places, and 2 (side - .6), in sides of the image."""


class Encoder(nn.Module):
    """ResNet-18 and a head, linear by default, predicting codes in units of their spread.

    The head's output is scaled and shifted by the codes' standard deviation and mean (`standardise`), so that an
    untrained head predicts the mean shape; until that is called it predicts the code itself, as the paper does. Ours,
    as the configuration asks: it crops its images to the object, sees luma and mask instead of colours, keeps where in
    the picture a feature was, and has a second head for the camera.

    Source: the paper, section 3.2; ResNet: He et al. 2016.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: EncoderConfig | None = None):
        super().__init__()
        self.config = config = config or EncoderConfig()
        self.trunk = resnet18_trunk(config.width, config.pool)
        features = 8 * config.width * config.pool**2 + (BOX_NUMBERS if config.crop else 0)
        hidden = [nn.Linear(features, features), nn.ReLU()] if config.head_layers == 2 else []
        last = nn.Linear(features, config.latent_dim)
        self.head = nn.Sequential(*hidden, last) if hidden else last
        self.camera = nn.Linear(features, NUMBERS) if config.camera else None
        self.register_buffer("latent_mean", torch.zeros(config.latent_dim))
        self.register_buffer("latent_std", torch.ones(config.latent_dim))

    def forward(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views dim"]:
        """Codes of images (RGB in 0 to 1, on white)."""
        return self.latent(self.features(images))

    def latent(self, features: Float[Tensor, "views channels"]) -> Float[Tensor, "views dim"]:
        """Codes of features."""
        return self.latent_mean + self.latent_std * self.head(features).float()

    def pose(self, features: Float[Tensor, "views channels"]) -> Float[Tensor, "views 7"]:
        """The numbers of the camera (`tpl.rendering.pose`) of features.

        Raises:
            SettingsError: The encoder has no head for it.
        """
        if self.camera is None:
            raise SettingsError("this encoder names no cameras: train one with encoder.camera and a camera_weight")
        return self.camera(features).float()

    def features(self, images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views channels"]:
        """What the trunk sees in images, averaged over the picture or its parts; and the box, where it crops."""
        seen, box = self.looked_at(images)
        features = self.trunk(normalise(seen))
        return torch.cat([features, box.to(features.dtype)], dim=1) if self.config.crop else features

    def looked_at(
        self, images: Float[Tensor, "views 3 height width"]
    ) -> tuple[Float[Tensor, "views 3 height width"], Float[Tensor, "views numbers"]]:
        """What the trunk is given of images, and what the head is told of where that was (nothing without a crop)."""
        if self.config.channels == "mask":
            luma = (constant(LUMA, images.device)[:, None, None] * images).sum(dim=1)
            ground = (~object_mask(images)).float()  # white where nothing is, so that a window may look beyond
            images = torch.stack([luma, ground, (luma + ground) / 2], dim=1)
        if not self.config.crop:
            return images, images.new_zeros((len(images), 0))
        side, middle = object_box(images)
        return crop(images, side, middle), torch.cat([4 * middle, 2 * (side - 0.6)[:, None]], dim=1)

    def standardise(self, codes: Float[Tensor, "shapes dim"]) -> None:
        """Predicts in units of these codes' spread from now on."""
        self.latent_mean.copy_(codes.mean(dim=0))
        self.latent_std.copy_(codes.std(dim=0, correction=0).clamp_min(1e-6))


def normalise(images: Float[Tensor, "views 3 height width"]) -> Float[Tensor, "views 3 height width"]:
    """Images (RGB in 0 to 1, on white) as a trunk takes them: in ImageNet's units, channels last."""
    mean, std = (constant(values, images.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, under the names of torchvision's block.

    It is written out since importing torchvision takes longer than a photograph: 2 s of one core.

    Source: He et al. 2016, Fig. 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, downsample: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample

    def forward(
        self, images: Float[Tensor, "views inputs height width"]
    ) -> Float[Tensor, "views outputs rows columns"]:
        beside = images if self.downsample is None else self.downsample(images)
        inner = self.relu(self.bn1(self.conv1(images)))
        return self.relu(self.bn2(self.conv2(inner)) + beside)


def resnet18_trunk(width: int = 64, pool: int = 1) -> nn.Sequential:
    """ResNet-18 without its classifier, `width` channels in the first stage; 8 x width x pool^2 features an image.

    They are averages over the picture, or over pool x pool parts of it. At width 64 its parameters bear torchvision's
    names, so that torchvision's weights load strictly.
    """

    def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        shortcut = None
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        return nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs))

    trunk = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, width, 7, 2, 3, bias=False),
            bn1=nn.BatchNorm2d(width),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, 2, 1),
            layer1=stage(width, width, 1),
            layer2=stage(width, 2 * width, 2),
            layer3=stage(2 * width, 4 * width, 2),
            layer4=stage(4 * width, 8 * width, 2),
            avgpool=nn.AdaptiveAvgPool2d(pool),
            flatten=nn.Flatten(1),
        )
    )
    for module in trunk.modules():  # as He et al. 2015 and torchvision
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk.to(memory_format=torch.channels_last)


def imagenet_trunk(width: int = 64) -> nn.Sequential:
    """The trunk of torchvision's ResNet-18 as ImageNet trained it (`ResNet18_Weights.IMAGENET1K_V1`).

    The file is taken from torch's cache, or downloaded into it.

    Raises:
        SettingsError: The width is not that of ResNet-18.
        WeightsUnavailable: The file is not in the cache and cannot be downloaded, or it is another network's.
    """
    from torchvision.models import ResNet18_Weights

    if width != 64:
        raise SettingsError(f"ImageNet's weights are of width 64, not {width}: set width to 64, or start at random")
    weights = ResNet18_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(PATIENCE)  # without it, a network that swallows requests is waited for for minutes
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise WeightsUnavailable(
            f"torchvision's ImageNet weights cannot be had ({reason}): put {file.name} into {file.parent}"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)
    trunk = resnet18_trunk(width)
    try:
        trunk.load_state_dict({name: state[name] for name in state if not name.startswith("fc.")}, strict=True)
    except RuntimeError as error:
        raise WeightsUnavailable(f"{file} does not hold torchvision's ResNet-18: remove it, or replace it") from error
    return trunk
