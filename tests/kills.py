"""Trainings of every phase, ended at random moments until they are whole: seeded, but for what the clock does.

    python tests/kills.py 40

Each is ended by SIGKILL, SIGTERM or Ctrl-C, given again, ended again, and so on; what it leaves at last is compared,
byte by byte, with what the same training leaves that nothing happens to.
"""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

sys.path.append(str(Path(__file__).parent / "training"))

import test_contrastive as contrastive
import test_end_to_end as end_to_end
import test_training as phases
from endings import hear_interrupts

from tpl.models import EncoderConfig
from tpl.training import (
    RegressionConfig,
    load_embedding,
    train_contrastive,
    train_embedding,
    train_end_to_end,
    train_regression,
)
from tpl.training.contrastive import METHODS

OFTEN = dict(log_every=5, save_every=5)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST = 2.5
"""Seconds after which a training that has begun is ended at the latest."""


def embed(folder: Path) -> None:
    """Our phase 1: dropout, Muon beside Adam, coordinates beside space."""
    config = phases.BESIDE_SPACE.model_copy(update={"epochs": 400, **OFTEN})
    train_embedding(phases.balls(), config, folder, data="balls", progress=False)


def regress(folder: Path) -> None:
    """Phase 2 with its error of signed distances, on a phase 1 of its own."""
    decoder = folder.parent / "decoder"
    short = phases.SMALL.model_copy(update={"epochs": 20})
    train_embedding(phases.balls(), short, decoder, data="balls", progress=False)
    config = RegressionConfig(
        epochs=120,
        encoder=EncoderConfig(latent_dim=4, width=8),
        views_per_batch=3,
        points_per_view=16,
        sdf_weight=10.0,
        cross_share=0.0,
        precision="fp32",
        **OFTEN,
    )
    train_regression(
        load_embedding(decoder), phases.disks(), phases.balls(), config, folder, data="disks", progress=False
    )


def join(folder: Path) -> None:
    """End to end, from a random start."""
    model = end_to_end.MODEL.model_copy(update={"dropout": 0.2, "ambient_dim": 2})
    config = end_to_end.SHORT.model_copy(update={"epochs": 80, "model": model, **OFTEN})
    train_end_to_end(end_to_end.disks(), end_to_end.balls(), config, folder, "balls", progress=False)


def contrast(method: str) -> Callable[[Path], None]:
    def train(folder: Path) -> None:
        config = contrastive.small(method).model_copy(update={"epochs": 120, **OFTEN})
        watched = contrastive.figures(seed=1)
        train_contrastive(contrastive.figures(), config, folder, data="figures", watched=watched, progress=False)

    return train


PHASES: dict[str, Callable[[Path], None]] = {
    "phase 1": embed,
    "phase 2": regress,
    "end to end": join,
    **{f"contrastive, {method}": contrast(method) for method in METHODS},
}


def started(phase: str, folder: Path) -> subprocess.Popen:
    """A training in a process of its own, one thread."""
    command = [sys.executable, "-W", "ignore", __file__, phase, str(folder)]
    return subprocess.Popen(command, preexec_fn=hear_interrupts, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended(phase: str, folder: Path, times: int, rng: np.random.Generator) -> Counter[str]:
    """A training that is ended so many times, if it lasts, and then left alone; the signals that it was ended by."""
    given: Counter[str] = Counter()
    for _ in range(times):
        process, seen = started(phase, folder), _traces(folder)
        while process.poll() is None and _traces(folder) == seen:
            time.sleep(0.01)
        try:
            process.wait(rng.uniform(0, LONGEST))
        except subprocess.TimeoutExpired:
            how = SIGNALS[rng.integers(len(SIGNALS))]
            process.send_signal(how)
            process.wait(120)
            given[how.name] += 1
        if (folder / "run.json").exists():
            break
    if started(phase, folder).wait(600) != 0:
        raise AssertionError(f"{phase}: what was ended by {dict(given)} does not go on")
    return given


def _traces(folder: Path) -> set[str]:
    """What tells that a training is at work: its states, by their names."""
    return {path.name for path in folder.glob("state/*")} | {path.name for path in folder.glob("*.json")}


def left(folder: Path) -> tuple[bytes, str, dict]:
    """What a training leaves, without its times."""
    curve = pd.read_csv(folder / "history.csv").drop(columns="seconds").to_csv()
    return (folder / "model.safetensors").read_bytes(), curve, json.loads((folder / "config.json").read_text())


def compare(phase: str, place: Path, times: int, seed: int) -> Counter[str]:
    """Ends a training so many times; what it leaves is what one leaves that nobody ended.

    Raises:
        AssertionError: It is not, or something else is left in its folder.
    """
    if started(phase, place / "straight" / "run").wait(600) != 0:
        raise AssertionError(f"{phase}: does not end well alone")
    given = ended(phase, place / "ended" / "run", times, np.random.default_rng(seed))
    files = [sorted(path.name for path in (place / name / "run").iterdir()) for name in ("straight", "ended")]
    assert files[0] == files[1], f"{phase}: {files[1]} is left in place of {files[0]}"
    assert left(place / "straight" / "run") == left(place / "ended" / "run"), f"{phase}: not the same, after {given}"
    return given


def main(count: int) -> None:
    """Tries all phases in turn until so many trainings have been ended."""
    total: Counter[str] = Counter()
    by_phase: Counter[str] = Counter()
    seed = 0
    while total.total() < count:
        phase = list(PHASES)[seed % len(PHASES)]
        with TemporaryDirectory() as place:
            given = compare(phase, Path(place), 3, seed)
        total += given
        by_phase[phase] += given.total()
        seed += 1
        print(phase, dict(given), flush=True)
    print(f"{total.total()} ends ({dict(total)}) of {seed} trainings ({dict(by_phase)}): all bit-equal")


if __name__ == "__main__":
    if sys.argv[1] in PHASES:
        torch.set_num_threads(1)
        Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
        PHASES[sys.argv[1]](Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
