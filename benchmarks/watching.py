"""What it costs to watch trainings: three of quick's size side by side, as a notebook's cell starts them."""

import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from benchmarks.measuring import interleaved, table
from tpl.dataset.batches import SDFTable
from tpl.training import EmbeddingConfig, embedding_config, side_by_side, train_embedding
from tpl.watching import watched
from tpl.workbench.attending import Panel

STEPS, SHAPES, SAMPLES, ROUNDS = 500, 64, 2000, 3
NAMES = ("chairs", "sofas", "airplanes")


def config() -> EmbeddingConfig:
    """Our decoder as profile quick trains it."""
    model = {"latent_dim": 32, "warp_hidden": 64, "warp_steps": 4, "template_hidden": 128, "ambient_dim": 8}
    sizes = {"shapes_per_batch": 16, "points_per_shape": 80, "epochs": STEPS * 16 // SHAPES}
    return embedding_config(**sizes, outputs="last", muon_rate=0.008, precision="fp32", model=model, log_every=10)


def train(folder: Path, name: str) -> float:
    """Trains on random distances, since what is learnt costs the same; returns the seconds of the steps."""
    torch.manual_seed(0)
    samples, cross = (torch.rand(SHAPES, SAMPLES, 4) * 2 - 1 for _ in range(2))
    samples[..., 3] = samples[..., 3].abs()
    samples[:, SAMPLES // 2 :, 3] *= -1  # those outside come first
    shapes = SDFTable(samples, torch.full((SHAPES,), SAMPLES // 2), cross)
    run = train_embedding(shapes, config(), folder / name, "random", label=f"{name}, our_embedding", progress=False)
    return float(run.history.seconds.iloc[-1])


def trained(watch: bool) -> list[float]:
    """The seconds of each training."""
    with tempfile.TemporaryDirectory() as folder:
        work = partial(side_by_side, partial(train, Path(folder)), NAMES, torch.device("cpu"))
        if not watch:
            return list(work().values())
        with watched() as watcher:
            panel = Panel(watcher, Path(folder))
            with panel.drawing():
                return list(work().values())


def watching() -> list[str]:
    """Trainings that are watched, against those that are not."""
    spent: dict[str, list[float]] = {"nobody watches": [], "watched": []}

    def once(name: str) -> None:
        spent[name].append(max(trained(name == "watched")))
        time.sleep(0.5)

    interleaved({name: partial(once, name) for name in spent}, ROUNDS)
    alone, seen = (sorted(times[1:])[len(times) // 2 - 1] for times in spent.values())
    rows = [("nobody watches", f"{alone:.2f}", ""), ("watched", f"{seen:.2f}", f"{seen / alone - 1:+.1%}")]
    note = (
        f"{len(NAMES)} trainings of {STEPS} steps of our decoder in profile quick's size, side by side; the longest of "
        "them. Watched is with all that a notebook's cell shows but the browser: lines every second, curves as often "
        "as the drawing's share of a core allows, what is learnt written down twice a second."
    )
    return [*table("trainings | seconds | dearer by", rows), "", note]


PARTS = {"watching": watching}
