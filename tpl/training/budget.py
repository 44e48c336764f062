"""A training's time: how many steps fit into the minutes given, when its state is saved, and when it pauses."""

import copy
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from pydantic import BaseModel, PositiveInt
from torch import nn

from tpl.border import read_model
from tpl.errors import DEADLINE, OutOfTime
from tpl.files import write_file
from tpl.training.curve import LearningCurve
from tpl.training.precision import clock
from tpl.training.states import save_state
from tpl.watching import Stage, Stopped

SAVING = 5.0
"""Seconds that are kept free before a deadline, for saving a state."""

SAVED_EVERY = 30.0
"""Seconds between two states that one process saves, so that a short training can be stopped and resumed, too."""

SHARE = 0.02
"""The most of a training's time that goes into saving by the clock: where it takes long, it is done less often."""

LOOKED_EVERY = 0.2
"""Seconds between two looks at the clock, and at whether somebody wants the training to stop."""

WARM_UP, MEASURED = 5, 24
"""Steps that are taken before the clock starts, and by the clock, where the time given settles their number."""


class Settled(BaseModel):
    """How many steps the time given was found to be."""

    steps: PositiveInt


class SavePoints:
    """Where a training saves its state: every so many steps, by the clock, when asked to stop, and before a deadline.

    Args:
        accelerator: The processes that share the steps.
        folder: Where states lie; nothing is saved without one.
        every: Steps between two of them.
        told: What a state says beside its step.
        stage: Tells whoever watches, and knows whether the training shall stop.
        networks: What is learnt.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        folder: Path | None,
        every: int,
        told: Mapping[str, Any],
        stage: Stage,
        networks: nn.Module,
    ):
        self.accelerator, self.folder, self.every, self.told = accelerator, folder, every, told
        self.stage, self.networks = stage, networks
        if folder is not None:
            stage.told["folder"] = str(folder.parent.resolve())
        self.saved_at = stage.told["first"]
        self.row_began = self.saved_when = self.looked = time.perf_counter()
        self.saving = 0.0  # seconds that the last state took

    def __enter__(self) -> "SavePoints":
        return self

    def __exit__(self, *_: object) -> None:
        self.stage.end()

    def end_step(self, step: int, curve: LearningCurve, row_ends: bool) -> None:
        """Tells how far the training is, and saves it if it is time to.

        Several processes save where a row of the learning curve ends, since they must agree; one does at any step.

        Raises:
            Stopped: Somebody who watches wants it to stop; the state is saved.
            OutOfTime: The next row would not end before `DEADLINE`; the state is saved.
        """
        now, steps = time.perf_counter(), self.stage.told["total"]
        if now - self.looked > LOOKED_EVERY or step == steps:
            self.looked = now
            if self.accelerator.is_main_process:
                self.stage.tell(step, curve.rows, self._write_networks)
            if self.folder is not None and self.accelerator.num_processes == 1 and step < steps:
                self._by_clock(step, curve, now)
        if row_ends and self.folder is not None:
            self._by_row(step, curve)

    def _by_clock(self, step: int, curve: LearningCurve, now: float) -> None:
        if self.stage.asked_to_stop():
            self._save(step, curve)
            raise Stopped(self._so_far(step, "it was asked to stop"))
        if now - self.saved_when > max(SAVED_EVERY, self.saving / SHARE):
            self._save(step, curve)

    def _by_row(self, step: int, curve: LearningCurve) -> None:
        needed, self.row_began = time.perf_counter() - self.row_began + SAVING, time.perf_counter()
        late = is_late(self.accelerator, needed)
        if step == self.stage.told["total"] or not (late or step - self.saved_at >= self.every):
            return
        self._save(step, curve)
        if late:
            raise OutOfTime(self._so_far(step, "the time given is over"))

    def _save(self, step: int, curve: LearningCurve) -> None:
        if self.folder is None or step == self.saved_at:
            return
        began = time.perf_counter()
        begun = {"row": curve.unfinished()} if curve.steps else {}
        save_state(self.accelerator, self.folder, {"step": step, **begun, **self.told}, curve.rows)
        self.saved_at, self.saved_when = step, time.perf_counter()
        self.saving = self.saved_when - began

    def _so_far(self, step: int, why: str) -> str:
        label, steps = self.stage.told["label"], self.stage.told["total"]
        return f"{label} has done {step} of {steps} steps and is saved; {why}: the same command goes on from here"

    def _write_networks(self, file: Path) -> None:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.networks.state_dict().items()}
        safetensors.torch.save_file(tensors, str(file))


def is_late(accelerator: Accelerator, needed: float) -> bool:
    """Whether less time is left than `needed` seconds, by the clock of the first process: all stop at the same step."""
    if DEADLINE not in os.environ:
        return False
    late = torch.tensor(float(time.time() + needed > float(os.environ[DEADLINE])), device=accelerator.device)
    return bool(torch.as_tensor(broadcast(late)).item())


def settled_steps(
    minutes: float | int,
    take: Callable[[int, int], Any],
    objective: nn.Module,
    optimizers: Sequence[Any],
    accelerator: Accelerator,
    record: Path | None,
) -> int:
    """How many steps of a training fit into so many minutes: as a file says, or measured and written there.

    Args:
        minutes: Of all pieces of the training together, without what lies between them.
        take: Takes one step, by its number and that of all.
        objective: What it changes; it is left as it was, as are the optimizers.
        optimizers: What else it changes.
        accelerator: The processes that share the steps.
        record: The file; none where nothing is kept.
    """
    if record is not None and record.exists():
        return read_model(record, Settled, "move it away, and the steps are measured anew").steps
    before = copy.deepcopy((objective.state_dict(), [optimizer.state_dict() for optimizer in optimizers]))
    # The steps lie in the middle of even stages of the training, since a term may join half-way, and what is done a
    # few times in all (features that are measured at the first step and the last) is not among them.
    numbers = [100 * (2 * stage + 1) for stage in range(MEASURED)]
    for number in [numbers[-1]] * WARM_UP:
        take(number, 200 * MEASURED)
    start = clock(accelerator.device)
    for number in numbers:
        take(number, 200 * MEASURED)
    seconds = (clock(accelerator.device) - start) / MEASURED
    objective.load_state_dict(before[0])
    for optimizer, state in zip(optimizers, before[1], strict=True):
        optimizer.load_state_dict(state)
    found = torch.tensor(max(1, round(60 * minutes / seconds)), device=accelerator.device)
    steps = int(torch.as_tensor(broadcast(found)).item())  # the first process's count is that of all
    if record is not None and accelerator.is_main_process:
        facts = {"steps": steps, "minutes": minutes, "seconds_per_step": seconds}
        write_file(record, lambda path: path.write_text(json.dumps(facts)))
    return steps
