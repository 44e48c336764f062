"""Whether a training can fit into memory: found out before anything is begun, and said where it is found out later."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from pydantic import BaseModel
from torch import nn

from tpl.border import is_memory
from tpl.errors import PlainError
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.settings import SettingsError
from tpl.training import TrainingConfig

MOST = 10**9
"""Of whatever a training counts; seeds of more are refused by PyTorch."""

WIDEST, DEEPEST = 65_536, 1_000
"""Numbers in a layer, and layers or steps: beyond, only to set a network up takes hours."""

DEPTHS = ("warp_steps", "template_layers")
BYTES, COPIES = 4, 4  # a weight, its gradient, and Adam's two moments
OF_CELL = 5  # gates and state of an LSTM's step, which the way back needs

NETWORKS: dict[str, type[nn.Module]] = {"model": DeepImplicitTemplate, "encoder": Encoder}
"""By the fields that hold their configurations."""


def check_sizes(config: TrainingConfig, memory: int = 0) -> None:
    """Refuses what no machine can count to, and what this one has not the memory for, however it is computed.

    Args:
        config: What is asked for.
        memory: Bytes that there are; by default those of this machine, or of its GPU if that has more.

    Raises:
        SettingsError: The setting's name, or those that are largest beside the paper's, and the remedy.
    """
    for name, (value, _) in _counts(config).items():
        _, _, last = name.rpartition(".")
        most = DEEPEST if last in DEPTHS else WIDEST if last != name else MOST
        if value > most:
            raise SettingsError(f"{name} = {value} is refused: it must be at most {most:,}")
    needed, there = _least_bytes(config), memory or _memory()
    if needed > there > 0:
        told = f"this training needs {needed / 1e9:,.0f} GB of memory at least, and there are {there / 1e9:,.0f}"
        raise SettingsError(f"{told}: lower {_largest(config)}")


@contextmanager
def enough_memory(config: TrainingConfig) -> Iterator[None]:
    """Says of a training that runs out of memory which of its settings to lower.

    Raises:
        SettingsError: It has; a state that was saved is kept.
    """
    try:
        yield
    except PlainError:
        raise
    except Exception as error:  # torch's own is a RuntimeError of many kinds
        if not is_memory(error):
            raise
        told = f"this training needs more memory than there is: lower {_largest(config)}"
        raise SettingsError(f"{told}; what was finished is kept") from error


def _least_bytes(config: TrainingConfig) -> int:
    """Of weights with all that learns them, of a batch's points, and of one shape's way through the warp."""
    fields = dict(config)
    with torch.device("meta"):  # shapes without numbers
        networks = [kind(fields[name]) for name, kind in NETWORKS.items() if name in fields]
    weights = sum(parameter.numel() for network in networks for parameter in network.parameters())
    points = fields.get("points_per_shape", fields.get("points_per_view", 0))
    batch = 4 * points * fields.get("shapes_per_batch", fields.get("views_per_batch", 0))
    warp = fields["model"].warp_hidden * fields["model"].warp_steps if "model" in fields else 0
    return BYTES * (COPIES * weights + batch + OF_CELL * warp * points)


def _largest(config: TrainingConfig) -> str:
    """The two settings that are furthest above their defaults, the paper's; where none is, the nearest one."""
    apart = ("seed", "epochs", "log_every", "save_every", "halvings", "total_steps")
    counts = {name: pair for name, pair in _counts(config).items() if name not in apart and pair[1]}
    shares = {name: value / usual for name, (value, usual) in counts.items()}
    first, *others = sorted(shares, key=lambda name: shares[name], reverse=True)
    named = [first, *(name for name in others[:1] if shares[name] > 1)]
    return " or ".join(f"{name} = {counts[name][0]}" for name in named)


def _counts(config: BaseModel) -> dict[str, tuple[int, int]]:
    """The whole numbers of a configuration and of those in it, each with its default, 0 where it has none."""
    found: dict[str, tuple[int, int]] = {}
    for name, value in config:
        if isinstance(value, BaseModel):
            found |= {f"{name}.{inner}": pair for inner, pair in _counts(value).items()}
        elif isinstance(value, int) and not isinstance(value, bool):
            usual = type(config).model_fields[name].default
            found[name] = (value, usual if isinstance(usual, int) else 0)
    return found


def _memory() -> int:
    """Bytes of this machine's memory, or of its GPU's where that is larger."""
    whole = psutil.virtual_memory().total
    return max(whole, torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0)
