"""The learning curve of a training while it grows."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tpl.errors import PlainError


class TrainingInterrupted(PlainError):
    """The training lost its way (a loss that is not a number); the message says where and what to try."""


class LearningCurve:
    """Rows of `step`, `seconds`, the mean of each term since the last row, and their sum as `loss`.

    Args:
        rows: Those of the pieces before.
        accelerator: The processes that share the steps; a mean is that of all.
        label: Name of the training.
        begun: The row that had begun when the piece before was saved, as `unfinished` told it; none where none had.
    """

    def __init__(self, rows: list[dict], accelerator: Accelerator, label: str, begun: Mapping[str, Any] | None = None):
        self.rows, self.accelerator, self.label = rows, accelerator, label
        begun = begun or {"seconds": rows[-1]["seconds"] if rows else 0.0, "steps": 0, "sums": {}}
        self.started = time.perf_counter() - begun["seconds"]
        self.sums = {name: torch.tensor(value, device=accelerator.device) for name, value in begun["sums"].items()}
        self.steps = begun["steps"]

    def unfinished(self) -> dict[str, Any]:
        """The row that has begun, exactly: of this process alone."""
        sums = {name: value.item() for name, value in self.sums.items()}
        return {"seconds": time.perf_counter() - self.started, "steps": self.steps, "sums": sums}

    def add(self, terms: dict[str, Tensor]) -> None:
        """Counts the terms of a step, on the device: reading a number would wait for it."""
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term
        self.steps += 1

    def end_row(self, step: int) -> None:
        """Writes what was counted as the row of this step.

        Raises:
            TrainingInterrupted: It is not finite.
        """
        row = {
            name: torch.as_tensor(self.accelerator.reduce(value, "mean")).item() / self.steps
            for name, value in self.sums.items()
        }
        loss = sum(row.values())
        if not math.isfinite(loss):
            raise TrainingInterrupted(
                f"{self.label}: the loss is {loss} at step {step} ({row}); lower the learning rate, or train in fp32; "
                "the last saved state is untouched"
            )
        self.rows.append({"step": step, "seconds": time.perf_counter() - self.started, **row, "loss": loss})
        self.sums, self.steps = {}, 0
