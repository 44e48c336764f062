"""The categories' trainings at the same time, where cores allow."""

import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import joblib
import torch

from tpl.errors import OutOfTime
from tpl.training.loop import launched_processes

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")


def training_device(wanted: str = "auto") -> torch.device:
    """The device to train on: "auto" is a GPU where there is one, and of several processes each has its own.

    Raises:
        ValueError: The device is unknown, or is not on this machine.
    """
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ValueError(f"no device is called {wanted!r}; try auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{wanted!r} was asked for and this machine has no CUDA device; use auto or cpu")
    if wanted == "cuda" and "LOCAL_RANK" in os.environ:  # one of the processes of `accelerate launch`
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def side_by_side(
    function: Callable[[Item], Result], categories: Sequence[Item], device: torch.device, jobs: int = 0
) -> dict[Item, Result]:
    """Calls a function for each category, or whatever is trained by itself: on a CPU in a process each.

    On a GPU one after the other, and so, too, where the processes of `accelerate launch` share each training.

    A process has one thread: two threads on two busy cores were slower than one.

    Args:
        function: Takes a category; it and what it returns can be pickled, so it returns paths and tables, no models.
        categories: Which.
        device: Where the function trains.
        jobs: Processes at a time, for what is more than the machine should do at once; 0 is all of them.
    """
    if device.type != "cpu" or len(categories) == 1 or launched_processes() > 1:
        return {category: function(category) for category in categories}
    # All at once even on fewer cores: the system shares them, and all end together.
    parallel = joblib.Parallel(n_jobs=jobs or len(categories), backend="loky")
    results: Any = parallel(joblib.delayed(_single_threaded)(function, category) for category in categories)
    for result in results:
        if isinstance(result, OutOfTime):
            raise result
    return dict(zip(categories, results, strict=True))


def _single_threaded(function: Callable[[Item], Result], category: Item) -> Result | OutOfTime:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    try:
        return function(category)
    except OutOfTime as error:  # raised here it would end the others before they have saved their state
        return error
