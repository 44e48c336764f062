"""What machines take: which format a training chooses on each, and what a step of quick's phase 1 costs there."""

from functools import partial

import torch

from benchmarks.measuring import interleaved, table
from tpl.dataset.batches import SDFTable
from tpl.geometry.primitives import sphere
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.provenance import cpu_name
from tpl.training.embedding import EmbeddingConfig, train_embedding
from tpl.training.muon import Muon
from tpl.training.precision import GATES, POINTS, WIDTH, half_precision, has_bfloat16, product_seconds

HEAD = (
    "processor | bfloat16 instructions | product in fp32, GFLOP/s | in bfloat16 | auto takes | step in fp32, ms | "
    "in bfloat16 | 8 coordinates beside space, fp32 | Muon's share, ms | the same by torch.optim.Muon"
)
QUICK = DeepImplicitTemplateConfig(
    latent_dim=32, warp_hidden=64, warp_steps=4, template_hidden=128, dropout=0.0, weight_norm=False
)
"""The networks of quick's phase 1."""

STEPS = 300


def machines() -> list[str]:
    """the format that each machine's trainings take, and a step of quick's phase 1; a row a machine that turned up."""
    cpu = torch.device("cpu")
    operations = 3 * 2 * POINTS * WIDTH * GATES / 1e9  # there, and back to both factors
    rates = [operations / product_seconds(half, cpu) for half in (False, True)]
    ours, theirs = (seconds * 1e3 for seconds in muon_seconds())
    row = (
        cpu_name(),
        "yes" if has_bfloat16(cpu) else "no",
        *(f"{rate:.0f}" for rate in rates),
        "bfloat16" if half_precision("auto", cpu) else "fp32",
        *(f"{step_seconds(precision, 0) * 1e3:.1f}" for precision in ("fp32", "bf16")),
        f"{step_seconds('fp32', 8) * 1e3:.1f}",
        f"{ours:.1f}",
        f"{theirs:.1f}",
    )
    return [*table(HEAD, [*rows_of_others(), row]), "", "16 shapes of 40 points, hidden matrices by Muon, one thread."]


def rows_of_others() -> list[tuple[str, ...]]:
    """The rows of other processors, as they stand in RESULTS.md."""
    from benchmarks.__main__ import read_sections

    lines = [line for line in read_sections().get("machines", "").splitlines() if line.startswith("| ")][1:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in rows if row[0] != cpu_name()]


def step_seconds(precision: str, beside: int) -> float:
    """What a step takes with so many coordinates beside space, the data drawn as in a training: 32 balls."""
    points = torch.rand(32, 2000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    radii = torch.linspace(0.3, 0.7, 32).tolist()
    sdf = torch.stack([torch.from_numpy(sphere(r)(p.numpy())) for r, p in zip(radii, points, strict=True)])
    rows = torch.cat([points, sdf[..., None].float()], dim=2)
    config = EmbeddingConfig(
        epochs=STEPS // 2,
        model=QUICK.model_copy(update={"ambient_dim": beside}),
        shapes_per_batch=16,
        points_per_shape=40,
        outputs="last",
        pointpair_weight=0.0,
        muon_rate=0.008,
        cross_share=0.4,
        precision=precision,
    )
    history = train_embedding(SDFTable.from_rows(rows, rows, "cpu"), config, progress=False).history
    return (history.seconds.iloc[-1] - history.seconds.iloc[0]) / (history.step.iloc[-1] - history.step.iloc[0])


def muon_seconds() -> tuple[float, float]:
    """A change of all hidden matrices: by ours, stacked and in fp32, and by `torch.optim.Muon`, one after the other."""
    model = DeepImplicitTemplate(QUICK)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    matrices = model.hidden_matrices()
    optimizers = {
        "ours": Muon(matrices, lr=1e-4),
        "torch": torch.optim.Muon(matrices, lr=1e-4, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    }
    found = interleaved({name: partial(optimizer.step) for name, optimizer in optimizers.items()})
    return found["ours"], found["torch"]


PARTS = {"machines": machines}
