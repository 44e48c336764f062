"""Files that are whole or not there, and large ones in parts that travel."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Lets `write` fill a file or folder beside `path` and moves it there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        partial = Path(folder) / path.name
        write(partial)
        if path.is_dir():  # a folder cannot be replaced in one move: the old one steps aside first
            os.replace(path, Path(folder) / "replaced")
        os.replace(partial, path)


def beside(folder: str, source: str) -> str:
    """Where the shapes of a source, or what is made of them, lie: "data/quick" and "open" give "data/quick-open".

    Without a source it is the folder itself, whatever its shapes are.
    """
    return f"{folder}-{source}" if source else folder


PART = 15_000_000
"""Bytes of a file at the most, where it shall pass through what takes no file of 16 MB."""


def cut_into_parts(file: Path) -> None:
    """Cuts a file that is larger than `PART` bytes into `<name>.part000` and so on."""
    if file.stat().st_size <= PART:
        return
    with file.open("rb") as whole:
        for number, content in enumerate(iter(lambda: whole.read(PART), b"")):
            file.with_name(f"{file.name}.part{number:03d}").write_bytes(content)
    file.unlink()


def read_whole(file: Path) -> bytes:
    """What is in a file, or in the parts that `cut_into_parts` has left of it."""
    parts = [] if file.exists() else sorted(file.parent.glob(f"{file.name}.part*"))
    return b"".join(part.read_bytes() for part in parts or [file])


def join_parts(folder: Path, target: Path) -> None:
    """Copies the files of a folder into another one, those cut by `cut_into_parts` as they were."""
    for file in sorted(folder.iterdir()):  # the parts of a file follow each other
        name, _, number = file.name.partition(".part")
        with file.open("rb") as source, (target / name).open("ab" if number else "wb") as whole:
            shutil.copyfileobj(source, whole)


def digest(*values: Any) -> str:
    """A hash of values by what they say (`repr`), or by their bytes."""
    state = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        state.update(f"{len(content)}:".encode() + content)
    return state.hexdigest()[:24]
