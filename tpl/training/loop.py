"""The one training loop: `fit` an objective on batches drawn on the device, resumable at any step."""

import copy
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import torch
import torch.distributed.nn.functional
from accelerate import Accelerator
from accelerate.utils import broadcast
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor, nn
from tqdm.auto import tqdm

from tpl.errors import DEADLINE, OutOfTime, PlainError
from tpl.files import cut_into_parts, join_parts, write_atomically
from tpl.training.memory import keep_freed_memory
from tpl.training.muon import Muon

SAVING = 5.0
"""Seconds that are kept free before a deadline, for saving a state."""

WARM_UP, MEASURED = 5, 24
"""Steps that are taken before the clock starts, and by the clock, where the time given settles their number."""


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


class Group(NamedTuple):
    """Parameters that share a learning rate, and what they learn by."""

    parameters: Iterable[Tensor]
    rate: float
    optimizer: Literal["adam", "muon"] = "adam"  # Muon is for matrices and convolutions alone


class TrainingInterrupted(RuntimeError):
    """The training lost its way (a loss that is not a number); the message says where and what to try."""


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
        label: Name in the progress bar.
        progress: Whether to show one.
        parts: In how many parts a batch's shapes are taken, one after the other: a step then needs the memory of one
            part. The gradient is the mean of the parts', so that of the whole batch as far as terms are means over
            shapes.

    Returns:
        The learning curve: a row every `log_every` steps with `step`, `seconds`, the mean of each term since the
        last row, and their sum as `loss`.

    Raises:
        TrainingInterrupted: A term is not finite.
        OutOfTime: The next steps would not end before `DEADLINE`; the state is saved.
        ShareError: Processes or parts cannot share a batch evenly.
    """
    optimizers = make_optimizers(groups, weight_decay)
    full_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    device = optimizers[0].param_groups[0]["params"][0].device
    if device.type == "cpu":
        keep_freed_memory()
    accelerator = accelerator_on(device)
    if accelerator.num_processes > 1 and device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(objective)
    half = half_precision(config.precision, device)
    prepared, *optimizers = accelerator.prepare(objective, *optimizers)
    prepared.train()
    history, first = [], 0
    if state is not None and (saved := latest_state(state)):
        with _whole(saved) as folder:
            accelerator.load_state(str(folder), load_kwargs={"weights_only": True})
        history = pd.read_csv(saved / "history.csv").to_dict("records")
        first = json.loads((saved / "progress.json").read_text())["step"]

    generator = torch.Generator(device)

    def take(step: int, steps: int) -> dict[str, Tensor]:
        """One step, which depends on the seed, its number and the weights alone; returns the terms."""
        done = step / steps
        generator.manual_seed(config.seed * 1_000_003 + step)
        torch.manual_seed(config.seed * 1_000_003 + step)  # dropout
        factor = rate_factor(config, done)
        for optimizer, rates in zip(optimizers, full_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        batch = share(draw(generator, step, steps), accelerator.process_index, accelerator.num_processes)
        for optimizer in optimizers:
            optimizer.zero_grad()
        terms: dict[str, Tensor] = {}
        for part in range(parts):
            shared = part == parts - 1  # gradients are sent between processes once, when they are whole
            with nullcontext() if shared else accelerator.no_sync(prepared):
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    found = prepared(share(batch, part, parts, "parts of a step"), done)
                accelerator.backward(sum(found.values()) / parts)
            for name, term in found.items():
                terms[name] = terms.get(name, 0) + term.detach() / parts
        for optimizer in optimizers:
            optimizer.step()
        return terms

    if config.budget_minutes:
        record = None if state is None else state.with_name("steps.json")
        steps = settled_steps(config.budget_minutes, take, objective, optimizers, accelerator, record)
    started = time.perf_counter() - (history[-1]["seconds"] if history else 0)
    saved_at, line_began = first, time.perf_counter()
    sums: dict[str, Tensor] = {}
    for step in tqdm(range(first, steps), desc=label, initial=first, total=steps, disable=not progress, mininterval=2):
        terms = take(step, steps)
        for name, term in terms.items():  # summed on the device: reading a number would wait for it
            sums[name] = sums.get(name, 0) + term

        if (step + 1) % config.log_every == 0 or step + 1 == steps:
            averaged = step % config.log_every + 1
            row = {
                name: torch.as_tensor(accelerator.reduce(value, "mean")).item() / averaged
                for name, value in sums.items()
            }
            loss = sum(row.values())
            if not math.isfinite(loss):
                raise TrainingInterrupted(
                    f"{label or 'the training'}: the loss is {loss} at step {step + 1} ({row}); lower the learning "
                    "rate, or train in fp32; the last saved state is untouched"
                )
            history.append({"step": step + 1, "seconds": time.perf_counter() - started, **row, "loss": loss})
            sums = {}
            needed, line_began = time.perf_counter() - line_began + SAVING, time.perf_counter()
            since_saved, late = step + 1 - saved_at, state is not None and is_late(accelerator, needed)
            if state is not None and (late or since_saved >= config.save_every) and step + 1 < steps:
                saved_at = step + 1
                _save_state(accelerator, state, step + 1, history)
                if late:
                    raise OutOfTime(
                        f"{label or 'the training'} has done {step + 1} of {steps} steps and is saved; the time given "
                        "is over: the same command goes on from here"
                    )
    objective.eval()
    return pd.DataFrame(history)


def make_optimizers(groups: list[Group], weight_decay: float) -> list[torch.optim.Optimizer]:
    """AdamW and, for the groups that ask for it, Muon.

    Muon's step is the orthogonal matrix nearest to the gradient's average: it moves a matrix as much along directions
    in which the gradient is weak as along the strong ones. It is scaled so that its rates mean what Adam's do.
    """
    kinds = {
        "adam": partial(torch.optim.AdamW, weight_decay=weight_decay, fused=True),
        "muon": partial(Muon, weight_decay=weight_decay),
    }
    of = {
        kind: [{"params": list(group.parameters), "lr": group.rate} for group in groups if group.optimizer == kind]
        for kind in kinds
    }
    return [kinds[kind](members) for kind, members in of.items() if members]


def accelerator_on(device: torch.device) -> Accelerator:
    """accelerate settles devices, processes and saved states.

    It fixes one precision for a whole process, where phases of one session may differ: that choice is made in `fit`.
    """
    return Accelerator(cpu=device.type == "cpu", mixed_precision="no")


def launched_processes() -> int:
    """How many processes `accelerate launch` started to share each training; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class ShareError(PlainError):
    """A batch that processes, or the parts of a step, cannot share evenly."""


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
    start = _clock(accelerator.device)
    for number in numbers:
        take(number, 200 * MEASURED)
    seconds = (_clock(accelerator.device) - start) / MEASURED
    objective.load_state_dict(before[0])
    for optimizer, state in zip(optimizers, before[1], strict=True):
        optimizer.load_state_dict(state)
    found = torch.tensor(max(1, round(60 * minutes / seconds)), device=accelerator.device)
    steps = int(torch.as_tensor(broadcast(found)).item())  # the first process's count is that of all
    if record is not None and accelerator.is_main_process:
        facts = {"steps": steps, "minutes": minutes, "seconds_per_step": seconds}
        write_atomically(record, lambda path: path.write_text(json.dumps(facts)))
    return steps


def _clock(device: torch.device) -> float:
    """Seconds, once the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def rate_factor(config: TrainingConfig, done: float) -> float:
    """By what the learning rates are multiplied when this share of the training is done."""
    if done < config.warmup:
        return done / config.warmup + 1e-3  # a step at rate zero would be wasted
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (done - config.warmup) / (1 - config.warmup)))
    if config.schedule == "halving":
        return 0.5 ** math.floor(done * config.halvings)
    return 1.0


def half_precision(precision: str, device: torch.device) -> bool:
    """Whether matrices are multiplied in bfloat16; "auto" is yes where that is faster."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # On a CPU bfloat16 pays only with instructions for it; without them it is emulated and slower.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def latest_state(folder: Path) -> Path | None:
    """The newest whole state below a folder; a state half-written when the process died does not count."""
    states = [path for path in folder.glob("[0-9]*") if path.is_dir()]
    return max(states, key=lambda path: int(path.name), default=None)


def _save_state(accelerator: Accelerator, folder: Path, step: int, history: list[dict]) -> None:
    partial, whole = folder / f".partial-{step}", folder / f"{step:08d}"
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    for file in list(partial.iterdir()):
        cut_into_parts(file)
    pd.DataFrame(history).to_csv(partial / "history.csv", index=False)
    (partial / "progress.json").write_text(json.dumps({"step": step}))
    os.replace(partial, whole)  # the move is what makes it a state
    for older in folder.glob("[0-9]*"):
        if older != whole:
            shutil.rmtree(older)


@contextmanager
def _whole(saved: Path) -> Iterator[Path]:
    """A saved state with its files joined again from the parts that they were cut into."""
    with tempfile.TemporaryDirectory() as folder:
        join_parts(saved, Path(folder))
        yield Path(folder)
