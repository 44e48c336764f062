"""Files that are whole or not there."""

import os
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
