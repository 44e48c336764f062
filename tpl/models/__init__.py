"""The networks: template, warp, their composition, the image encoder, and the heads of contrastive learning."""

from tpl.models.encoder import Encoder, EncoderConfig, WeightsUnavailable, imagenet_trunk, resnet18_trunk
from tpl.models.heads import predictor, projection_head
from tpl.models.implicit import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.models.template import Template
from tpl.models.warp import Warp

__all__ = [
    "DeepImplicitTemplate",
    "DeepImplicitTemplateConfig",
    "Encoder",
    "EncoderConfig",
    "Template",
    "Warp",
    "WeightsUnavailable",
    "imagenet_trunk",
    "predictor",
    "projection_head",
    "resnet18_trunk",
]
