"""Measuring: rounds that alternate between the rivals, medians, and what the machine itself can do."""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

ROUNDS = 5


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call, until the device has finished."""
    start = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each function. They take turns, so that a busy moment of the machine meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for round_ in range(rounds + 1):
        for name, function in functions.items():
            spent = seconds(function)
            if round_:  # the first one warms up
                times[name].append(spent)
    return {name: statistics.median(spent) for name, spent in times.items()}


def matrix_peak(dtype: torch.dtype = torch.float32, size: int = 1536, device: str = "cpu") -> float:
    """Operations a second in a product of two large matrices, by the threads that are set."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return 2 * size**3 / interleaved({"product": lambda: a @ b})["product"]


def operations(function: Callable[[], object]) -> int:
    """Operations of the matrix products and convolutions in one call, backward passes included."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def memory_peak(size: int = 2**25) -> float:
    """Bytes a second of a copy that no cache holds, read and written."""
    source, target = np.ones(size), np.empty(size)
    return 2 * source.nbytes / interleaved({"copy": lambda: np.copyto(target, source)})["copy"]


def table(head: str, rows: list[tuple]) -> list[str]:
    """A table in Markdown: the first column is text, numbers are right-aligned."""
    names = [name.strip() for name in head.split("|")]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "--:|" * (len(names) - 1)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]
