"""What processes that train together share: a batch, its statistics, and the rows that a term compares."""

import os
from typing import Any

import torch
import torch.distributed.nn.functional
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor

from tpl.errors import PlainError


class ShareError(PlainError):
    """A batch that processes, or the parts of a step, cannot share evenly."""


def accelerator_on(device: torch.device) -> Accelerator:
    """accelerate settles devices, processes and saved states.

    It fixes one precision for a whole process, where phases of one session may differ: that choice is made in `fit`.
    """
    return Accelerator(cpu=device.type == "cpu", mixed_precision="no")


def launched_processes() -> int:
    """How many processes `accelerate launch` started to share each training; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def share(batch: Any, number: int, sharers: int, called: str = "processes") -> Any:
    """The part of a batch that one of its sharers takes: every `sharers`-th shape of each of its fields.

    Raises:
        ShareError: The shapes of the batch cannot be shared evenly, so that a mean of means would not be the mean.
    """
    if sharers == 1:
        return batch
    shapes = len(batch[0])
    if shapes % sharers:
        raise ShareError(f"{sharers} {called} cannot share a batch of {shapes} evenly: make it a multiple of {sharers}")
    return type(batch)(*(field[number::sharers] for field in batch))


def gathered(values: Float[Tensor, "shapes dim"]) -> Float[Tensor, "everywhere dim"]:
    """The rows of all processes, with gradients that find their way back; the rows themselves in a single process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return values
    return torch.cat(torch.distributed.nn.functional.all_gather(values))
