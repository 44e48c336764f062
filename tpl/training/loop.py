"""The one training loop: `fit` an objective on batches drawn on the device, resumable at any step."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from tqdm.auto import tqdm

from tpl.training.budget import SavePoints, settled_steps
from tpl.training.curve import LearningCurve
from tpl.training.memory import keep_freed_memory
from tpl.training.muon import Muon
from tpl.training.precision import half_precision
from tpl.training.sharing import accelerator_on, share
from tpl.training.states import load_state
from tpl.watching import Stage

AtOnce = Annotated[PositiveInt, Field(le=65_536)]
"""How many shapes or views a batch may show: more would be laid out for hours before the first step."""


class TrainingConfig(BaseModel):
    """What every phase has in common.

    An epoch shows each training shape once; schedules run over the share of the training done, whatever its length.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt
    budget_minutes: NonNegativeFloat = 0.0  # as many steps as fit into so many minutes of training; 0: the epochs
    seed: NonNegativeInt = 0
    schedule: Literal["cosine", "halving", "constant"] = "cosine"
    halvings: PositiveInt = 4  # for "halving": the rate halves at this many equal stages
    warmup: float = Field(default=0.0, ge=0, lt=1)  # share of the steps over which the rate rises
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    log_every: PositiveInt = 50  # steps
    save_every: PositiveInt = 1000  # steps; a state is saved where a line of the history ends

    def steps(self, shapes: int, at_once: int) -> int:
        """Steps that the epochs take, if a step shows so many of the shapes."""
        return self.epochs * math.ceil(shapes / at_once)


class Group(NamedTuple):
    """Parameters that share a learning rate, and what they learn by."""

    parameters: Iterable[Tensor]
    rate: float
    optimizer: Literal["adam", "muon"] = "adam"  # Muon is for matrices and convolutions alone


def convolutions_apart(parameters: Iterable[Tensor], rate: float, muon_rate: float) -> list[Group]:
    """What an image network learns by: its convolutions by Muon at that rate, if it is above 0, and all else by Adam.

    Each parameter is in one group.
    """
    learnt = list(parameters)
    if not muon_rate:
        return [Group(learnt, rate)]
    convolutions, rest = ([one for one in learnt if (one.ndim == 4) == wanted] for wanted in (True, False))
    return [Group(rest, rate), Group(convolutions, muon_rate, "muon")]


def fit(
    objective: nn.Module,
    draw: Callable[[torch.Generator, int, int], Any],
    groups: list[Group],
    config: TrainingConfig,
    steps: int,
    state: Path | None = None,
    weight_decay: float = 0.0,
    label: str = "",
    progress: bool = True,
    parts: int = 1,
    about: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Minimises the sum of an objective's terms.

    The randomness of a step is a function of the seed and the step alone. So a training that was killed and goes on
    from its last saved state ends with the very weights of one that was not.

    With `budget_minutes` the number of steps is settled once, before the first: some steps are taken by the clock and
    undone. It is written beside the states and read from there by all that go on, so that schedules, which run by
    step, know of no clock.

    Started by `accelerate launch`, several processes share each batch: all draw the same one, and each takes its part
    of the shapes. Gradients are those of one process with the whole batch, as far as a term is a mean over shapes (or
    gathers what it compares); batch statistics are shared on GPUs and each process's own on CPUs. A saved state can be
    gone on from by another number of processes. Samples and views lie on every device: what is sent between devices is
    gradients alone, and those of the codes are a small part of them.

    Args:
        objective: Called with a batch and the share of the training done; returns named, weighted terms. Its
            parameters, and those of `groups`, are on the device that `draw` draws on.
        draw: Makes a batch, from a generator, the number of the step, and how many there are to be.
        groups: What is learnt, and how fast.
        config: Seed, schedule, precision.
        steps: How many batches there are to be, all in all, if no minutes are given.
        state: Folder of saved states; nothing is saved or resumed without one. Beside it `steps.json` says how many
            steps the minutes were found to be.
        weight_decay: That of AdamW and of Muon; with 0 AdamW is Adam.
        label: Name in the progress bar and in messages.
        progress: Whether to show a bar.
        parts: In how many parts a batch's shapes are taken, one after the other: a step then needs the memory of one
            part. The gradient is the mean of the parts', so that of the whole batch as far as terms are means over
            shapes.
        about: What is learnt from what: each saved state says it, so that nobody takes it for another training's.

    Returns:
        The learning curve: a row every `log_every` steps with `step`, `seconds`, the mean of each term since the
        last row, and their sum as `loss`.

    Raises:
        TrainingInterrupted: A term is not finite.
        OutOfTime: The next steps would not end before `DEADLINE`, or whoever watches wants the training to stop
            (`Stopped`); the state is saved.
        ShareError: Processes or parts cannot share a batch evenly.
    """
    label, (draw, seen) = label or "the training", counting(draw)
    optimizers = make_optimizers(groups, weight_decay)
    full_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    device = optimizers[0].param_groups[0]["params"][0].device
    accelerator = accelerator_on(device)
    settle_device(objective, accelerator)
    network, *optimizers = accelerator.prepare(objective, *optimizers)
    network.train()
    first, history, begun = (0, [], {}) if state is None else load_state(accelerator, state)
    half, generator = half_precision(config.precision, device), torch.Generator(device)

    def take(step: int, steps: int) -> dict[str, Tensor]:
        """One step, which depends on the seed, its number and the weights alone; returns the terms."""
        done = step / steps
        generator.manual_seed(config.seed * 1_000_003 + step)
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout
        set_rates(optimizers, full_rates, rate_factor(config, done))
        batch = share(draw(generator, step, steps), accelerator.process_index, accelerator.num_processes)
        terms: dict[str, Tensor] = {}
        for optimizer in optimizers:
            optimizer.zero_grad()
        for part in range(parts):
            whole = part == parts - 1  # gradients are sent between processes once, when they are whole
            with nullcontext() if whole else accelerator.no_sync(network):
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    found = network(share(batch, part, parts, "parts of a step"), done)
                accelerator.backward(sum(found.values()) / parts)
            for name, term in found.items():
                terms[name] = terms.get(name, 0) + term.detach() / parts
        for optimizer in optimizers:
            optimizer.step()
        return terms

    if config.budget_minutes:
        record = None if state is None else state.with_name("steps.json")
        steps = settled_steps(config.budget_minutes, take, objective, optimizers, accelerator, record)
    curve, told = LearningCurve(history, accelerator, label, begun), {"precision": config.precision, "of": about}
    stage = Stage(label, steps, first, about={"seen": seen, "objective": type(objective).__name__})
    with SavePoints(accelerator, state, config.save_every, told, stage, objective) as saves:
        for step in tqdm(range(first, steps), label, initial=first, total=steps, disable=not progress, mininterval=2):
            curve.add(take(step, steps))
            if row_ends := (step + 1) % config.log_every == 0 or step + 1 == steps:
                curve.end_row(step + 1)
            saves.end_step(step + 1, curve, row_ends)
    objective.eval()
    return pd.DataFrame(curve.rows)


def counting(draw: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, int]]:
    """A way to draw a batch, and how many points and images the last one had."""
    seen: dict[str, int] = {}

    def counted(*arguments: Any) -> Any:
        batch = draw(*arguments)
        seen.update(sizes(batch))
        return batch

    return counted, seen


def sizes(batch: Any) -> dict[str, int]:
    """How many points and how many images a step sees."""
    found = {name: getattr(batch, name, None) for name in ("points", "image", "first", "second")}
    shapes = {name: tensor.shape for name, tensor in found.items() if isinstance(tensor, Tensor)}
    images = sum(shape[0] for name, shape in shapes.items() if name != "points")
    points = math.prod(shapes["points"][:2]) if "points" in shapes else 0
    return {name: count for name, count in (("points", points), ("images", images)) if count}


def settle_device(objective: nn.Module, accelerator: Accelerator) -> None:
    """On a CPU the process keeps the memory that a step frees; processes with a GPU each share batch statistics."""
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    elif accelerator.num_processes > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(objective)


def set_rates(optimizers: Sequence[Any], full_rates: list[list[float]], factor: float) -> None:
    """Gives each group of each optimizer so much of its full learning rate."""
    for optimizer, rates in zip(optimizers, full_rates, strict=True):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor


def make_optimizers(groups: list[Group], weight_decay: float) -> list[torch.optim.Optimizer]:
    """AdamW and, for the groups that ask for it, Muon."""
    kinds = {
        "adam": partial(torch.optim.AdamW, weight_decay=weight_decay, fused=True),
        "muon": partial(Muon, weight_decay=weight_decay),
    }
    of = {
        kind: [{"params": list(group.parameters), "lr": group.rate} for group in groups if group.optimizer == kind]
        for kind in kinds
    }
    return [kinds[kind](members) for kind, members in of.items() if members]


def rate_factor(config: TrainingConfig, done: float) -> float:
    """By what the learning rates are multiplied when this share of the training is done."""
    if done < config.warmup:
        return done / config.warmup + 1e-3  # a step at rate zero would be wasted
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (done - config.warmup) / (1 - config.warmup)))
    if config.schedule == "halving":
        return 0.5 ** math.floor(done * config.halvings)
    return 1.0
