"""A small decoder of balls, an untrained encoder, and the page of both: for tests of chapter 14."""

import base64
from functools import cache
from typing import Literal

import numpy as np
import torch
from PIL import Image

from tpl.chapters.in_the_page.page import LivePage
from tpl.chapters.in_the_page.weights import encoded, pack_decoder, pack_encoder
from tpl.look.scenes import _png
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig

SIZE = 32


@cache
def ball_decoder(beside: int = 2) -> DeepImplicitTemplate:
    """Balls of a radius near .5 around a place that the code moves, learnt in a second."""
    torch.manual_seed(0)
    sizes = {"latent_dim": 4, "warp_hidden": 12, "warp_steps": 3, "template_hidden": 20, "template_layers": 3}
    config = DeepImplicitTemplateConfig.model_validate({**sizes, "dropout": 0, "ambient_dim": beside})
    model = DeepImplicitTemplate(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        points, codes = 2 * torch.rand(8, 200, 3) - 1, torch.randn(8, 4)
        truth = (points - 0.1 * codes[:, None, :3]).norm(dim=-1) - 0.5
        loss = (model(points, codes) - truth).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@cache
def plain_encoder(pool: int = 2, crop: bool = True, channels: Literal["rgb", "mask"] = "mask") -> Encoder:
    """Untrained, with statistics of its own in each normalisation; its width is no multiple of eight."""
    torch.manual_seed(1)
    config = EncoderConfig(latent_dim=4, image_size=SIZE, width=12, pool=pool, crop=crop, channels=channels)
    encoder = Encoder(config)
    encoder.train()
    with torch.no_grad():
        encoder.latent_std.fill_(0.5)
        for _ in range(20):
            encoder(torch.rand(8, 3, SIZE, SIZE))
    return encoder.eval()


def picture() -> np.ndarray:
    """A patch of colours on white, off the middle."""
    image = np.full((SIZE, SIZE, 3), 255, np.uint8)
    image[8:26, 4:17] = np.random.default_rng(0).integers(0, 240, (18, 13, 3))
    return image


def ball_page(decoder: DeepImplicitTemplate, encoder: Encoder) -> LivePage:
    """The page of these networks as category `balls`, with one view."""
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], np.uint16)
    corners = np.array([[-1, -1, -1], [1, 1, -1], [-1, 1, 1], [1, -1, 1]]) * 15000
    data = base64.b64encode(_png(picture())).decode()
    packed = {
        "networks": {"encoder": pack_encoder(encoder, eight_bits=False), "decoder": pack_decoder(decoder)},
        "directions": [[0.5, 0.0, 0.0, 0.0]],
        "share": 0.8,
        "clay": (200, 140, 100),
        "views": [
            {
                "name": "a patch",
                "picture": f"data:image/png;base64,{data}",
                "pixels": encoded(picture()),
                "truth": {"vertices": encoded(corners.astype(np.int16)), "faces": encoded(faces)},
            }
        ],
    }
    return LivePage("balls", {"balls": packed}, _png(np.asarray(Image.new("RGB", (60, 20)))))
