"""A step of phase 1.

Plain is the published formulation, written here with the weights of ours: the code concatenated to every point,
PyTorch's own cell, one template evaluation after the other, weight norm and dropout as in the paper, fp32.
"""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.measuring import interleaved, matrix_peak, table
from tpl.losses import CURRICULUM, curriculum_l1
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.training.embedding import EmbeddingConfig, decoder_groups, output_steps
from tpl.training.loop import half_precision, make_optimizers

Sizes = tuple[int, int, int]
SIZES: dict[str, Sizes] = {
    "32, 64, 128 (quick)": (32, 64, 128),
    "64, 128, 128": (64, 128, 128),
    "128, 256, 256": (128, 256, 256),
    "256, 512, 256 (paper)": (256, 512, 256),
}
SHAPES = 16


class Plain(nn.Module):
    """The published formulation."""

    def __init__(self, model: DeepImplicitTemplate):
        super().__init__()
        warp = model.warp
        self.template, self.affine, self.steps = model.template, warp.affine, warp.steps
        self.cell = nn.LSTMCell(model.config.latent_dim + 3, model.config.warp_hidden)
        with torch.no_grad():
            self.cell.weight_ih.copy_(torch.cat([warp.code_weight, warp.point_weight], dim=1))
            self.cell.weight_hh.copy_(warp.hidden_weight)
            self.cell.bias_ih.copy_(warp.input_bias)
            self.cell.bias_hh.copy_(warp.hidden_bias)

    def outputs(self, points: torch.Tensor, latent: torch.Tensor, seen: list[int]) -> list[torch.Tensor]:
        codes = latent[:, None].expand(-1, points.shape[1], -1).flatten(0, 1)
        position, state, found = points.flatten(0, 1), None, []
        for step in range(self.steps):
            state = self.cell(torch.cat([codes, position], dim=1), state)
            change = self.affine(state[0])
            position = (1 + change[:, :3]) * position + change[:, 3:]
            if step in seen:
                found.append(self.template(position).view(points.shape[:2]))
        return found


def matrix_operations(sizes: Sizes, steps: int, outputs: int, points: int) -> float:
    """Matrix operations of a step with the split, a point: three products a weight, forward and backward.

    The code's share of the input product is done once a shape, so its part a point shrinks with the points of a
    shape; the first step has no hidden state to multiply.
    """
    latent, hidden, template = sizes
    warp = 4 * hidden * ((steps - 1) * hidden + steps * 3 + latent / points) + steps * 6 * hidden
    return 2 * 3 * (warp + outputs * (3 * template + 4 * template**2 + template))


def decoder(sizes: Sizes, steps: int, published: bool) -> DeepImplicitTemplate:
    latent, hidden, template = sizes
    model = DeepImplicitTemplate(
        DeepImplicitTemplateConfig(
            latent_dim=latent,
            warp_hidden=hidden,
            template_hidden=template,
            warp_steps=steps,
            dropout=0.05 if published else 0.0,
            weight_norm=published,
        )
    )
    with torch.no_grad():
        model.warp.affine.weight.normal_(std=0.02)  # a warp that has left the identity
    return model


def rates(
    sizes: Sizes, points_per_shape: int, steps: int = 8, last_alone: bool = False, compiled: bool = False
) -> tuple[float, float, float]:
    """Points a second, plain and ours, and how far the two losses are apart, relatively.

    With `last_alone` ours takes `steps` steps and looks at the last as the quick profile does; plain stays published.
    With `compiled` the pointwise part of our cell is torch.compile's; that it takes its time once is not counted.
    """
    torch.manual_seed(0)
    plain, model = Plain(decoder(sizes, 8, published=True)), decoder(sizes, steps, published=False)
    model.warp.compiled = compiled
    points = torch.rand(SHAPES, points_per_shape, 3) * 2 - 1
    latent, sdf = 0.1 * torch.randn(SHAPES, sizes[0]), 0.1 * torch.randn(SHAPES, points_per_shape)
    half = half_precision("auto", points.device)

    def loss(outputs, levels=CURRICULUM) -> torch.Tensor:
        return sum(curriculum_l1(output, sdf, *level) for output, level in zip(outputs, levels, strict=True))

    def ours() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            path = model.warp(points, latent)
            seen = [steps - 1] if last_alone else output_steps(steps)
            return loss(model.template(path[seen]), [(0.0, 0.0)] if last_alone else CURRICULUM)

    def published() -> torch.Tensor:
        return loss(plain.outputs(points, latent, output_steps(8)))

    apart = 0.0
    if not last_alone:
        with torch.no_grad():
            reference = loss(Plain(model).outputs(points, latent, output_steps(8)))
            apart = float((ours() - reference).abs() / reference)
    found = interleaved({"plain": lambda: published().backward(), "ours": lambda: ours().backward()})
    total = SHAPES * points_per_shape
    return total / found["plain"], total / found["ours"], apart


def updates(sizes: Sizes) -> tuple[float, float]:
    """Seconds in which warp and template are changed once their gradients are there: by Adam alone, and with Muon."""
    model = decoder(sizes, 8, published=False)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)

    def update(muon_rate: float) -> Callable[[], object]:
        config = EmbeddingConfig(muon_rate=muon_rate)
        optimizers = make_optimizers(decoder_groups(model, config), weight_decay=0.0)
        return lambda: [optimizer.step() for optimizer in optimizers]

    found = interleaved({"adam": update(0.0), "muon": update(1e-3)})
    return found["adam"], found["muon"]


def phase_1() -> list[str]:
    """a step of phase 1, forward and backward, against the published formulation."""
    peak = matrix_peak(torch.bfloat16 if half_precision("auto", torch.device("cpu")) else torch.float32)
    rows = []
    *_, paper = SIZES
    for name, compiled in [*((name, False) for name in SIZES), (paper, True)]:
        sizes = SIZES[name]
        plain, ours, apart = rates(sizes, 64, compiled=compiled)
        share = ours * matrix_operations(sizes, 8, 4, 64) / peak
        name = f"{name}, its cell compiled" if compiled else name
        rows.append((name, f"{plain:,.0f}", f"{ours:,.0f}", f"{ours / plain:.2f}", f"{share:.0%}", f"{apart:.0e}"))
    plain, ours, _ = rates(SIZES["32, 64, 128 (quick)"], 40, steps=4, last_alone=True)
    share = ours * matrix_operations(SIZES["32, 64, 128 (quick)"], 4, 1, 40) / peak
    ratio = f"{ours / plain:.2f}"
    rows.append(
        ("as quick trains: 4 steps, the last one's loss", f"{plain:,.0f}", f"{ours:,.0f}", ratio, f"{share:.0%}", "-")
    )
    half = "bfloat16" if half_precision("auto", torch.device("cpu")) else "fp32"
    lines = table("latent, LSTM, template | plain, points/s | ours | ratio | of the matrix peak | losses apart", rows)
    growth = [
        (points, *(f"{rate:,.0f}" for rate in rates(SIZES["64, 128, 128"], points)[:2])) for points in (16, 64, 256)
    ]
    note = (
        f"{SHAPES} shapes of 64 points, ours in {half}, without dropout and weight norm (preset `fixed` for the last)."
    )
    optimizers = []
    for name in (next(iter(SIZES)), paper):
        adam, muon = updates(SIZES[name])
        optimizers.append((name, f"{1000 * adam:.2f}", f"{1000 * muon:.2f}"))
    return [
        *lines,
        "",
        note,
        "",
        *table("points of a shape (64, 128, 128) | plain, points/s | ours", growth),
        "",
        *table("optimizers, which come on top | Adam alone, ms | with Muon", optimizers),
    ]


PARTS = {"phase_1": phase_1}
