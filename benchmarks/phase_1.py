"""A step of phase 1 against a plain statement of the same computation, in one run, interleaved.

    python benchmarks/phase_1.py           prints a table and writes it to benchmarks/phase_1.md

Plain: the code concatenated to every point, PyTorch's own cell, one template evaluation after the other, fp32 (the
published formulation). Ours: `tpl`'s warp and template as they train. Both compute the same four outputs and losses.
"""

import statistics
import time
from pathlib import Path

import torch
from torch import nn

from tpl.losses import CURRICULUM, curriculum_l1
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.training.loop import half_precision
from tpl.training.runs import cpu_name

SIZES = {"64, 128, 128": (64, 128, 128), "128, 256, 256": (128, 256, 256), "256, 512, 256 (paper)": (256, 512, 256)}
SHAPES, POINTS, ROUNDS = 8, 128, 5


class Plain(nn.Module):
    """The published formulation with the weights of ours."""

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

    def outputs(self, points: torch.Tensor, latent: torch.Tensor) -> list[torch.Tensor]:
        codes = latent[:, None].expand(-1, points.shape[1], -1).flatten(0, 1)
        position, state, found = points.flatten(0, 1), None, []
        for step in range(self.steps):
            state = self.cell(torch.cat([codes, position], dim=1), state)
            change = self.affine(state[0])
            position = (1 + change[:, :3]) * position + change[:, 3:]
            if step % 2:
                found.append(self.template(position).view(points.shape[:2]))
        return found


def loss_of(outputs, sdf: torch.Tensor) -> torch.Tensor:
    return sum(curriculum_l1(output, sdf, *level) for output, level in zip(outputs, CURRICULUM, strict=True))


def seconds(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(sizes: tuple[int, int, int]) -> tuple[float, float, float]:
    """Points a second, plain and ours, and how far their losses are apart."""
    latent_dim, warp, template = sizes
    torch.manual_seed(0)
    config = DeepImplicitTemplateConfig(latent_dim=latent_dim, warp_hidden=warp, template_hidden=template, dropout=0.0)
    model = DeepImplicitTemplate(config)
    with torch.no_grad():
        model.warp.affine.weight.normal_(std=0.02)  # a warp that has left the identity
    plain = Plain(model)
    points, latent = torch.rand(SHAPES, POINTS, 3) * 2 - 1, 0.1 * torch.randn(SHAPES, latent_dim)
    sdf = 0.1 * torch.randn(SHAPES, POINTS)
    half = half_precision("auto", points.device)

    def ours() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return loss_of(model.template(model.warp(points, latent)[1::2]), sdf)

    def published() -> torch.Tensor:
        return loss_of(plain.outputs(points, latent), sdf)

    with torch.no_grad():
        apart = float((ours() - published()).abs() / published())
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for round_ in range(ROUNDS + 1):
        for name, function in {"plain": published, "ours": ours}.items():
            spent = seconds(lambda function=function: function().backward())
            if round_:  # the first warms up
                times[name].append(spent)
    rates = {name: SHAPES * POINTS / statistics.median(spent) for name, spent in times.items()}
    return rates["plain"], rates["ours"], apart


def main() -> None:
    torch.set_num_threads(1)
    half = "bfloat16" if half_precision("auto", torch.device("cpu")) else "fp32"
    lines = [
        f"One thread of {cpu_name()}, torch {torch.__version__}; {SHAPES} x {POINTS} points, 8 steps, forward and "
        f"backward, four outputs; medians of {ROUNDS}; ours in {half}.",
        "",
        "| latent, LSTM, template | plain, points/s | ours, points/s | ratio | losses apart (relative) |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, sizes in SIZES.items():
        plain, ours, apart = measure(sizes)
        lines.append(f"| {name} | {plain:,.0f} | {ours:,.0f} | {ours / plain:.2f} | {apart:.1e} |")
    text = "\n".join(lines) + "\n"
    print(text)
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
