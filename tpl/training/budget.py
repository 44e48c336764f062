"""A training's time: how many steps fit into the minutes given, when its state is saved, and when it pauses."""

import copy
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn

from tpl.errors import DEADLINE, OutOfTime
from tpl.files import write_file
from tpl.training.precision import clock
from tpl.training.states import save_state

SAVING = 5.0
"""Seconds that are kept free before a deadline, for saving a state."""

WARM_UP, MEASURED = 5, 24
"""Steps that are taken before the clock starts, and by the clock, where the time given settles their number."""


class SavePoints:
    """Where a training saves its state: every so many steps, and before the time given is over.

    Args:
        accelerator: The processes that share the steps.
        folder: Where states lie.
        every: Steps between two of them.
        first: The step that the training goes on from.
        told: What a state says beside its step.
        label: Name of the training.
    """

    def __init__(
        self, accelerator: Accelerator, folder: Path, every: int, first: int, told: Mapping[str, Any], label: str
    ):
        self.accelerator, self.folder, self.every, self.told, self.label = accelerator, folder, every, told, label
        self.saved_at, self.row_began = first, time.perf_counter()

    def end_row(self, step: int, steps: int, history: list[dict]) -> None:
        """Saves, where a row of the learning curve ends, if it is time to.

        Raises:
            OutOfTime: The next row would not end before `DEADLINE`; the state is saved.
        """
        needed, self.row_began = time.perf_counter() - self.row_began + SAVING, time.perf_counter()
        late = is_late(self.accelerator, needed)
        if step == steps or not (late or step - self.saved_at >= self.every):
            return
        save_state(self.accelerator, self.folder, {"step": step, **self.told}, history)
        self.saved_at = step
        if late:
            raise OutOfTime(
                f"{self.label} has done {step} of {steps} steps and is saved; the time given is over: the same command "
                "goes on from here"
            )


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
        return json.loads(record.read_text())["steps"]
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
