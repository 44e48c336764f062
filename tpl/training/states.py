"""Saved states of a training: folders of small files that are whole or not there, and say what they are states of."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import Accelerator

from tpl.border import border, read_json
from tpl.files import cut_into_parts, join_parts, write_folder


def latest_state(folder: Path) -> Path | None:
    """The newest whole state below a folder; a state half-written when the process died does not count."""
    states = [path for path in folder.glob("[0-9]*") if path.is_dir()]
    return max(states, key=lambda path: int(path.name), default=None)


def read_progress(folder: Path) -> dict[str, Any]:
    """How far the newest state below a folder has come, and what it is a state of; nothing where there is none."""
    saved = latest_state(folder)
    return read_json(saved / "progress.json", _anew(saved)) if saved else {}


def save_state(accelerator: Accelerator, folder: Path, progress: Mapping[str, Any], history: list[dict]) -> None:
    """Saves what a training goes on from, in the place of the state before.

    Args:
        accelerator: The processes that share the training, each of which calls this.
        folder: Where states lie.
        progress: `step`, how many are done, and what else the state shall say.
        history: The learning curve so far.
    """
    partial, whole = (folder / name.format(progress["step"]) for name in (".partial-{}", "{:08d}"))
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
    (partial / "progress.json").write_text(json.dumps(progress))
    write_folder(whole, lambda path: os.replace(partial, path))  # the move is what makes it a state
    for older in folder.glob("[0-9]*"):
        if older != whole:
            shutil.rmtree(older)


def load_state(accelerator: Accelerator, folder: Path) -> tuple[int, list[dict], dict[str, Any]]:
    """Puts the newest state back.

    Returns:
        How many steps are done, the learning curve, and what it says of the row that had begun: nothing of all where
        there is no state.
    """
    saved = latest_state(folder)
    if saved is None:
        return 0, [], {}
    progress = read_progress(folder)
    with border(saved, _anew(saved)):
        with _whole(saved) as whole:
            accelerator.load_state(str(whole), load_kwargs={"weights_only": True})
        return int(progress["step"]), _rows(saved / "history.csv"), progress.get("row", {})


def _anew(saved: Path) -> str:
    return f"move {saved} away, and the training goes on from the state before it or begins anew"


def _rows(file: Path) -> list[dict]:
    try:
        return pd.read_csv(file).to_dict("records")
    except pd.errors.EmptyDataError:  # the first row had not ended
        return []


@contextmanager
def _whole(saved: Path) -> Iterator[Path]:
    """A saved state with its files joined again from the parts that they were cut into."""
    with tempfile.TemporaryDirectory() as folder:
        join_parts(saved, Path(folder))
        yield Path(folder)
