"""The categories' trainings at the same time, where cores allow, or each shared by several processes."""

import os
import tempfile
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import joblib
import torch
from accelerate import notebook_launcher
from accelerate.utils import is_cuda_available

from tpl.errors import OutOfTime, PlainError
from tpl.training.sharing import launched_processes
from tpl.watching import WATCH

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")

attendants: list[Callable[[Callable[[], Any]], Any]] = []
"""Whoever attends to trainings that a notebook starts, the last of them: gets the work, calls it, and may call it again
when it was stopped. The work is then done in processes of its own even where one alone trains, so that whoever attends
has this one to draw in."""


def training_device(wanted: str = "auto") -> torch.device:
    """The device to train on: "auto" is a GPU where there is one, and of several processes each has its own.

    Raises:
        ValueError: The device is unknown, or is not on this machine.
    """
    if wanted == "auto":  # asked without starting CUDA, which could not be used in forked processes then
        wanted = "cuda" if is_cuda_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ValueError(f"no device is called {wanted!r}; try auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda", "mps", "xpu"):  # "meta" has no memory, others are of other libraries
        raise ValueError(f"nothing can be trained on {wanted!r}; try auto, cpu or cuda")
    if device.type == "cuda" and not is_cuda_available():
        raise ValueError(f"{wanted!r} was asked for and this machine has no CUDA device; use auto or cpu")
    if wanted == "cuda" and "LOCAL_RANK" in os.environ:  # one of the processes of `accelerate launch`
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def side_by_side(
    function: Callable[[Item], Result],
    categories: Sequence[Item],
    device: torch.device,
    jobs: int = 0,
    processes: int = 1,
) -> dict[Item, Result]:
    """Calls a function for each category, or whatever is trained by itself: on a CPU in a process each.

    On a GPU one after the other, and so, too, where several processes share each training: those of `accelerate
    launch`, or `processes` that accelerate's `notebook_launcher` starts from here, each with a GPU of its own if the
    device is one. They are forks, which know what a chapter has defined; CUDA must not have been used here before.

    A process has one thread: two threads on two busy cores were slower than one.

    Args:
        function: Takes a category; it and what it returns can be pickled, so it returns paths and tables, no models.
        categories: Which.
        device: Where the function trains.
        jobs: Processes at a time, for what is more than the machine should do at once; 0 is all of them.
        processes: How many share each training, which must be able to share its batches evenly.

    Raises:
        ValueError: There are fewer GPUs than processes.
    """

    def work() -> dict[Item, Result]:
        return _side_by_side(function, categories, device, jobs, processes)

    return attendants[-1](work) if attendants else work()


def _side_by_side(
    function: Callable[[Item], Result], categories: Sequence[Item], device: torch.device, jobs: int, processes: int
) -> dict[Item, Result]:
    if processes > 1 and launched_processes() == 1:
        return {category: _launch(function, category, device, processes) for category in categories}
    alone = len(categories) == 1
    if device.type != "cpu" or (alone and not attendants) or launched_processes() > 1:
        return {category: function(category) for category in categories}
    # All at once even on fewer cores: the system shares them, and all end together.
    parallel = joblib.Parallel(n_jobs=2 if alone else jobs or len(categories), backend="loky")  # 1 is this process
    threads, watch = torch.get_num_threads() if alone else 1, os.environ.get(WATCH, "")
    with warnings.catch_warnings():
        # A worker that has grown by 300 MB is replaced before its next item: nothing is lost, nobody need be told.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
        results: Any = parallel(joblib.delayed(_apart)(function, category, threads, watch) for category in categories)
    for result in results:
        if isinstance(result, OutOfTime):
            raise result
    return dict(zip(categories, results, strict=True))


def cores_each(categories: Sequence[str], device: torch.device) -> int:
    """How many processes the work on one category may take, beside that on the others."""
    together = len(categories) if device.type == "cpu" else 1
    return max(1, joblib.cpu_count() // together)


def _apart(function: Callable[[Item], Result], category: Item, threads: int, watch: str) -> Result | OutOfTime:
    """Calls a function in a process that outlasts it, as another work's may have left it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ[WATCH] = watch
    torch.set_num_threads(threads)
    try:
        return function(category)
    except OutOfTime as error:  # raised here it would end the others before they have saved their state
        return error


def _launch(function: Callable[[Item], Result], category: Item, device: torch.device, processes: int) -> Result:
    """Calls a function in several processes at once, which find each other by their environment; the first answers."""
    if device.type == "cuda" and torch.cuda.device_count() < processes:
        raise ValueError(f"{processes} processes need a GPU each, and this machine has {torch.cuda.device_count()}")
    with tempfile.NamedTemporaryFile() as file:

        def work() -> None:
            rank = int(os.environ["LOCAL_RANK"])
            if device.type == "cuda":
                torch.cuda.set_device(rank)
            try:
                result = function(category)
            except PlainError as error:  # OutOfTime among them: all processes have met it, and all have stopped
                result = error
            if rank == 0:
                joblib.dump(result, file.name)

        # A free port is chosen where the address names none.
        notebook_launcher(work, num_processes=processes, rdzv_backend="c10d", rdzv_endpoint="localhost:0")
        result: Any = joblib.load(file.name)
    if isinstance(result, PlainError):
        raise result
    return result
