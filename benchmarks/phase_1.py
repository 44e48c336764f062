"""A step of phase 1.

Plain is the published formulation, written here with the weights of ours: the code concatenated to every point,
PyTorch's own cell, one template evaluation after the other, weight norm and dropout as in the paper, fp32.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import joblib
import torch
from torch import nn

from benchmarks.measuring import interleaved, matrix_peak, table
from tpl.losses import CURRICULUM, curriculum_l1
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.training.embedding import EmbeddingConfig, decoder_groups, output_steps, parts_of_a_step
from tpl.training.loop import make_optimizers
from tpl.training.memory import keep_freed_memory
from tpl.training.precision import half_precision
from tpl.training.sharing import share

Sizes = tuple[int, int, int]
PAPER = "256, 512, 256 (paper)"
SIZES: dict[str, Sizes] = {
    "32, 64, 128 (quick)": (32, 64, 128),
    "64, 128, 128": (64, 128, 128),
    "128, 256, 256": (128, 256, 256),
    PAPER: (256, 512, 256),
}
SHAPES = 16
START = 30.0  # seconds in which a process imports torch and takes a first step
BATCHES = {(24, 256): 3, (6, 5000): 2}  # shapes, and points of each, at the paper's size; rounds


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


class Batch(NamedTuple):
    """Points of some shapes, with codes and distances of no meaning."""

    points: torch.Tensor
    latent: torch.Tensor
    sdf: torch.Tensor


def random_batch(sizes: Sizes, shapes: int, points: int) -> Batch:
    return Batch(
        torch.rand(shapes, points, 3) * 2 - 1, 0.1 * torch.randn(shapes, sizes[0]), 0.1 * torch.randn(shapes, points)
    )


def loss_of(outputs, sdf: torch.Tensor, levels=CURRICULUM) -> torch.Tensor:
    return sum(curriculum_l1(output, sdf, *level) for output, level in zip(outputs, levels, strict=True))


def published_loss(plain: Plain, batch: Batch) -> torch.Tensor:
    return loss_of(plain.outputs(batch.points, batch.latent, output_steps(8)), batch.sdf)


def our_loss(model: DeepImplicitTemplate, batch: Batch, last_alone: bool = False) -> torch.Tensor:
    half = half_precision("auto", batch.points.device)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        path = model.warp(batch.points, batch.latent)
        seen = [len(path) - 1] if last_alone else output_steps(len(path))
        return loss_of(model.template(path[seen]), batch.sdf, [(0.0, 0.0)] if last_alone else CURRICULUM)


def learn(loss: Callable[[Batch], torch.Tensor], batch: Batch, parts: int = 1) -> Callable[[], object]:
    """A step forward and backward, its shapes in so many parts one after the other."""
    return lambda: [(loss(share(batch, part, parts)) / parts).backward() for part in range(parts)]


def rates(
    sizes: Sizes, points_per_shape: int, steps: int = 8, last_alone: bool = False, compiled: bool = False
) -> tuple[float, float, float]:
    """Points a second, plain and ours, and how far the two losses are apart, relatively.

    With `last_alone` ours takes `steps` steps and looks at the last as the quick profile does; plain stays published.
    With `compiled` the pointwise part of our cell is torch.compile's; that it takes its time once is not counted.
    """
    torch.compiler.reset()  # kernels for this size alone, as in a training
    torch.manual_seed(0)
    plain, model = Plain(decoder(sizes, 8, published=True)), decoder(sizes, steps, published=False)
    model.warp.compiled = compiled
    batch = random_batch(sizes, SHAPES, points_per_shape)
    apart = 0.0
    if not last_alone:
        with torch.no_grad():
            reference = published_loss(Plain(model), batch)
            apart = float((our_loss(model, batch) - reference).abs() / reference)
    found = interleaved(
        {
            "plain": learn(partial(published_loss, plain), batch),
            "ours": learn(partial(our_loss, model, last_alone=last_alone), batch),
        }
    )
    total = SHAPES * points_per_shape
    return total / found["plain"], total / found["ours"], apart


def by_batch(shapes: int, points: int, rounds: int) -> tuple[int, dict[str, float]]:
    """In how many parts a training takes a batch at the paper's size, and points a second with it and without."""
    torch.compiler.reset()
    torch.manual_seed(0)
    sizes = SIZES[PAPER]
    plain = partial(published_loss, Plain(decoder(sizes, 8, published=True)))
    model, fused = (decoder(sizes, 8, published=False) for _ in range(2))
    fused.warp.compiled = True
    batch = random_batch(sizes, shapes, points)
    config = EmbeddingConfig(shapes_per_batch=shapes, points_per_shape=points)
    parts = parts_of_a_step(config, batch.points.device)
    found = interleaved(
        {
            "plain": learn(plain, batch),
            "plain in parts": learn(plain, batch, parts),
            "ours": learn(partial(our_loss, model), batch, parts),
            "ours compiled": learn(partial(our_loss, fused), batch, parts),
        },
        rounds,
    )
    return parts, {name: shapes * points / spent for name, spent in found.items()}


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
    keep_freed_memory()  # as a training does; plain gains by it, too
    rows = []
    for name, compiled in [*((name, False) for name in SIZES), (PAPER, True)]:
        sizes = SIZES[name]
        plain, ours, apart = rates(sizes, 64, compiled=compiled)
        of_peak = ours * matrix_operations(sizes, 8, 4, 64) / peak
        name = f"{name}, its cell compiled" if compiled else name
        rows.append((name, f"{plain:,.0f}", f"{ours:,.0f}", f"{ours / plain:.2f}", f"{of_peak:.0%}", f"{apart:.0e}"))
    plain, ours, _ = rates(SIZES["32, 64, 128 (quick)"], 40, steps=4, last_alone=True)
    of_peak = ours * matrix_operations(SIZES["32, 64, 128 (quick)"], 4, 1, 40) / peak
    ratio = f"{ours / plain:.2f}"
    rows.append(
        ("as quick trains: 4 steps, the last one's loss", f"{plain:,.0f}", f"{ours:,.0f}", ratio, f"{of_peak:.0%}", "-")
    )
    half = "bfloat16" if half_precision("auto", torch.device("cpu")) else "fp32"
    lines = table("latent, LSTM, template | plain, points/s | ours | ratio | of the matrix peak | losses apart", rows)
    growth = [
        (points, *(f"{rate:,.0f}" for rate in rates(SIZES["64, 128, 128"], points)[:2])) for points in (16, 64, 256)
    ]
    note = (
        f"{SHAPES} shapes of 64 points, ours in {half}, without dropout and weight norm (preset `fixed` for the last)."
    )
    batches = []
    for (shapes, points), rounds in BATCHES.items():
        parts, found = by_batch(shapes, points, rounds)
        ratios = (f"{found['ours compiled'] / found[name]:.2f}" for name in ("plain", "plain in parts"))
        batches.append((f"{shapes} x {points:,}", parts, *(f"{rate:,.0f}" for rate in found.values()), *ratios))
    optimizers = []
    for name in (next(iter(SIZES)), PAPER):
        adam, muon = updates(SIZES[name])
        optimizers.append((name, f"{1000 * adam:.2f}", f"{1000 * muon:.2f}"))
    return [
        *lines,
        "",
        note,
        "",
        *table("points of a shape (64, 128, 128) | plain, points/s | ours", growth),
        "",
        *table(
            "batch (paper's network) | parts | plain, points/s | plain in parts | ours in parts | its cell compiled "
            "| times plain | times plain in parts",
            batches,
        ),
        "",
        "Parts are those of a training on a CPU (`batch_split`), one after the other; the sum of their gradients is "
        "that of the batch. A batch of the paper is 24 x 5,000; a quarter of one is what the plain step has room for.",
    ]


def steady_rate(name: str, points: int, threads: int, begin: float, seconds: float = 8.0) -> float:
    """Points a second of our step in this process, between two times that it has in common with others."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    sizes = SIZES[name]
    step = learn(partial(our_loss, decoder(sizes, 8, published=False)), random_batch(sizes, SHAPES, points))
    step()
    if time.time() > begin:
        raise RuntimeError("the processes took longer to start than they were given")
    time.sleep(begin - time.time())
    taken, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        step()
        taken += 1
    return taken * SHAPES * points / spent


def cores() -> list[str]:
    """a step of phase 1 on several cores: threads that share it, or processes with a training each."""
    rows = []
    counts = [2**power for power in range(1, joblib.cpu_count().bit_length())]
    for name in (next(iter(SIZES)), PAPER):
        alone = 0.0
        for processes, threads in [(1, 1), *((1, count) for count in counts), *((count, 1) for count in counts)]:
            begin = time.time() + START
            work = (joblib.delayed(steady_rate)(name, 64, threads, begin) for _ in range(processes))
            rate = sum(
                joblib.Parallel(n_jobs=max(2, processes), backend="loky")(work)
            )  # with 1 it would be this process
            alone = alone or rate
            rows.append((name, processes, threads, f"{rate:,.0f}", f"{rate / alone:.2f}"))
    return table("latent, LSTM, template | processes | threads of each | points/s in all | times one thread", rows)


PARTS = {"phase_1": phase_1, "cores": cores}
