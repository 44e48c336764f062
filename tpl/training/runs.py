"""Run folders: a training that is finished is loaded, one that was interrupted goes on, another starts anew.

runs/<name>/<category>/<phase>/
    config.json         what was asked, and the hash of the data it was asked of
    model.safetensors   the weights; if it is large, model.safetensors.part000 and so on, each below 16 MB
    history.csv         the learning curve
    run.json            written last: device, versions, seconds, peak memory, git commit, chosen precision
    state/              while it trains: the last saved state, which says what it is of
    steps.json          how many steps the time given was found to be, where minutes were given
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from pydantic import BaseModel, ValidationError
from torch import nn

from tpl.border import Model, border, read_json
from tpl.errors import PlainError
from tpl.files import BusyError, alone_in, cut_into_parts, read_whole, write_file
from tpl.provenance import describe_run
from tpl.training.loop import Group, TrainingConfig, fit
from tpl.training.precision import half_precision
from tpl.training.sharing import accelerator_on
from tpl.training.states import read_progress


class RunError(PlainError):
    """A run folder is not what is needed; the message names it and the remedy."""


class RunFolder:
    """The folder of one phase's training for one category."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.state = self.path / "state"
        self.about: dict[str, Any] = {}  # what is trained here on what, once it has begun

    def begin(self, config: BaseModel, data: str) -> bool:
        """Makes the folder ready for a training of this configuration on data of this hash.

        A folder of another configuration is set aside under a name of its own, with a warning that says what
        differs; so is one that has lost its configuration, as a folder has that was removed while it was written to, or
        whose configuration cannot be read, unless the state in it says that it is of this very training. Nothing is
        overwritten.

        Returns:
            Whether the training is finished already, so that its weights can be loaded.
        """
        self.about = {"data": data, **config.model_dump(mode="json")}
        if reason := self._foreign(type(config)):
            aside = self._set_aside()
            warnings.warn(
                f"{self.path} held {reason}; it is kept as {aside.name}, and the training starts anew", stacklevel=3
            )
        if self._told() is not None:
            return (self.path / "run.json").exists()
        self._write_config()
        return False

    def finish(self, weights: nn.Module, history: pd.DataFrame, seconds: float, precision: str) -> None:
        """Writes the result of a training; `run.json`, which says that it is whole, comes last."""
        if not (self.path / "config.json").exists():  # removed while it trained
            self._write_config()
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.state_dict().items()}
        file = self.path / "model.safetensors"
        write_file(file, lambda path: safetensors.torch.save_file(tensors, str(path)))
        cut_into_parts(file)
        write_file(self.path / "history.csv", lambda path: history.to_csv(path, index=False))
        facts = {**describe_run(next(weights.parameters()).device, seconds), "precision": precision}
        write_file(self.path / "run.json", lambda path: path.write_text(json.dumps(facts, indent=1)))
        shutil.rmtree(self.state, ignore_errors=True)

    def write_half(self, folder: Path) -> int:
        """Copies a finished run, with weights of 16 bits and a hundred rows of its learning curve; `load` reads it.

        Returns:
            The bytes of its weights.

        Raises:
            RunError: There is no finished run, or a weight is too large for 16 bits.
        """
        halved = {name: t.half() if t.is_floating_point() else t for name, t in self._tensors().items()}
        if wrong := [name for name, tensor in halved.items() if not tensor.isfinite().all()]:
            raise RunError(f"{self.path}: {wrong[0]} does not fit into 16-bit floats")
        history = self.history()
        folder.mkdir(parents=True)
        safetensors.torch.save_file(halved, str(folder / "model.safetensors"))
        history.iloc[:: -max(1, len(history) // 100)][::-1].to_csv(folder / "history.csv", index=False)
        for name in ("config.json", "run.json"):
            shutil.copyfile(self.path / name, folder / name)
        return (folder / "model.safetensors").stat().st_size

    def load(self, weights: nn.Module) -> pd.DataFrame:
        """Puts a finished run's weights into a model of the same configuration; returns the learning curve.

        Raises:
            RunError: There is no finished run, its files are broken, or it is of another model.
        """
        tensors = self._tensors()
        try:
            weights.load_state_dict(tensors, strict=True)
        except RuntimeError as error:
            file = self.path / "model.safetensors"
            raise RunError(f"{file} holds another model than its config.json asks for: train it anew") from error
        return self.history()

    def shape_of(self, tensor: str) -> list[int]:
        """The shape of one tensor of a finished run."""
        with border(self.path / "model.safetensors", self._anew, RunError):
            return list(self._tensors()[tensor].shape)

    def digest(self) -> str:
        """A hash of a finished run's weights, for what is trained on top of them."""
        self._require_finished()
        return hashlib.sha256(read_whole(self.path / "model.safetensors")).hexdigest()[:16]

    def config(self) -> dict[str, Any]:
        """What the run was asked to do: the fields of its configuration.

        Raises:
            RunError: There is no run.
        """
        if not (self.path / "config.json").exists():
            raise RunError(f"no training in {self.path}: run its chapter or `tpl train` first")
        stored = read_json(self.path / "config.json", self._anew, RunError)
        return {name: value for name, value in stored.items() if name != "data"}

    def configured(self, kind: type[Model]) -> Model:
        """What the run was asked to do, as a configuration of this kind.

        Raises:
            RunError: There is no run, or one of another kind.
        """
        with border(self.path / "config.json", self._anew, RunError):
            return kind.model_validate(self.config())

    def data(self) -> str:
        """The hash of what the run learns from, and of the trainings that it stands on; empty where there is no run."""
        file = self.path / "config.json"
        return str(read_json(file, self._anew, RunError).get("data", "")) if file.exists() else ""

    def history(self) -> pd.DataFrame:
        """The learning curve of a finished run."""
        self._require_finished()
        with border(self.path / "history.csv", self._anew, RunError):
            return pd.read_csv(self.path / "history.csv")

    def facts(self) -> dict[str, Any]:
        """What `run.json` says: device, versions, seconds, peak memory, git commit, the precision that was chosen."""
        self._require_finished()
        return read_json(self.path / "run.json", self._anew, RunError)

    def _foreign(self, kind: type[BaseModel]) -> str:
        """What in the folder is not of the training that begins; nothing where all is."""
        told = {"a run of another configuration": self._told(), "a state of another training": self._told_by_state()}
        for what, found in told.items():
            if found is not None and (differences := _differences(_completed(kind, found), self.about)):
                return f"{what} ({differences})"
        remains = self.path.is_dir() and any(self.path.iterdir())
        return "" if any(told.values()) or not remains else "what is left of a run without its config.json"

    def _told(self) -> dict[str, Any] | None:
        try:
            return read_json(self.path / "config.json", self._anew)
        except PlainError:  # there is none, or none that says anything
            return None

    @property
    def _anew(self) -> str:
        return f"move {self.path} away and train anew, or put a whole copy there"

    def _told_by_state(self) -> dict[str, Any] | None:
        return read_progress(self.state).get("of")  # states did not say it before

    def _write_config(self) -> None:
        text = json.dumps(self.about, indent=1)
        write_file(self.path / "config.json", lambda path: path.write_text(text))

    def _tensors(self) -> dict[str, torch.Tensor]:
        self._require_finished()
        file = self.path / "model.safetensors"
        with border(file, self._anew, RunError):
            return safetensors.torch.load(read_whole(file))

    def _require_finished(self) -> None:
        if not (self.path / "run.json").exists():
            raise RunError(f"no finished training in {self.path}: run its chapter or `tpl train` first")

    def _set_aside(self) -> Path:
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        os.replace(self.path, aside)
        return aside


def train_or_load(
    objective: nn.Module,
    draw: Callable,
    groups: list[Group],
    config: TrainingConfig,
    steps: int,
    folder: Path | str | None,
    data: str,
    **options,
) -> pd.DataFrame:
    """Fits an objective within a run folder, or loads what the folder holds; returns the learning curve.

    Where several processes train together, the first alone writes; all return the same.
    """
    if folder is None:
        return fit(objective, draw, groups, config, steps, **options)
    run = RunFolder(folder)
    accelerator = accelerator_on(next(objective.parameters()).device)
    with _alone(run, accelerator):
        with accelerator.main_process_first():  # the others find its configuration
            finished = run.begin(config, data)
        if finished:
            return run.load(objective)
        config = config.model_copy(update={"precision": _settled_precision(config, run, accelerator)})
        history = fit(objective, draw, groups, config, steps, run.state, about=run.about, **options)
        if accelerator.is_main_process:
            seconds = float(history["seconds"].iloc[-1])  # of all pieces
            run.finish(objective, history, seconds, config.precision)
        accelerator.wait_for_everyone()
    return history


def _settled_precision(config: TrainingConfig, run: RunFolder, accelerator: Accelerator) -> str:
    """What a training multiplies in from its first step to its last, wherever it goes on; one choice for all processes.

    Saved states know it, so that the weights do not depend on where a training was interrupted.
    """
    chosen = "bf16" if half_precision(config.precision, accelerator.device) else "fp32"
    return broadcast_object_list([read_progress(run.state).get("precision", chosen)])[0]


@contextmanager
def _alone(run: RunFolder, accelerator: Accelerator) -> Iterator[None]:
    """Keeps other trainings out of a run folder; of processes that train together, the first does for all.

    The lock lies beside the folder, so that it holds while the folder is set aside, or removed by somebody.

    Raises:
        BusyError: Another training is there; all processes learn of it.
    """
    with ExitStack() as held:
        busy = ""
        if accelerator.is_main_process:
            try:
                held.enter_context(alone_in(run.path, run.path.with_name(f".{run.path.name}.lock")))
            except BusyError as error:
                busy = str(error)
        if busy := broadcast_object_list([busy])[0]:
            raise BusyError(busy)
        yield


def _completed(kind: type[BaseModel], found: dict[str, Any]) -> dict[str, Any]:
    """What was asked for once, as it would be said now.

    What was trained before the library had a field was trained with the field's default, however deep it is nested.
    """
    fields = {name: value for name, value in found.items() if name != "data"}
    try:
        return {"data": found.get("data"), **kind.model_validate(fields).model_dump(mode="json")}
    except ValidationError:  # the library has lost a field, or refuses a value
        return found


def _differences(found: dict, wanted: dict, prefix: str = "") -> str:
    parts = []
    for name in sorted(found.keys() | wanted.keys()):
        old, new = found.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := _differences(old, new, f"{prefix}{name}."):
                parts.append(inner)
        elif old != new:
            parts.append(f"{prefix}{name}: {old} there, {new} here")
    return ", ".join(parts)
