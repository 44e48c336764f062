"""The networks: template, warp, their composition, and the image encoder."""

from tpl.models.encoder import Encoder, EncoderConfig
from tpl.models.implicit import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.models.template import Template
from tpl.models.warp import Warp

__all__ = ["DeepImplicitTemplate", "DeepImplicitTemplateConfig", "Encoder", "EncoderConfig", "Template", "Warp"]
