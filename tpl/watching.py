"""Work that can be watched: it says how far it is, and whoever watches can ask it to stop.

Whoever watches makes a folder and names it in the environment variable `WATCH`; every process started from there on
finds it. Each stage of work, a training or the preparation of shapes, keeps one file in it. Where nobody watches,
nothing is written.
"""

import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tpl.errors import OutOfTime

WATCH = "TPL_WATCH"
"""The environment variable that names the folder of whoever watches."""

EVERY = 0.5
"""Seconds between two things that a stage says."""

SMOOTHED = 20.0
"""Seconds over which a rate is taken."""

_STOP, _NETWORKS = "stop", "networks"
_numbers = itertools.count()


class Stopped(OutOfTime):
    """Whoever watches asked the work to stop; what is done is kept, and the same cell or command goes on from there."""


class Stage:
    """Work of so many parts, as the process that does it tells of it.

    Args:
        label: What it is, as "chairs, our_embedding".
        total: Parts.
        first: How many were done before.
        unit: What a part is, as "steps".
        about: What else a watcher is told, such as where a training's folder is.
    """

    def __init__(self, label: str, total: int, first: int = 0, unit: str = "steps", about: Mapping[str, Any] = {}):  # noqa: B006
        folder = os.environ.get(WATCH, "")
        self.folder = Path(folder) if folder and Path(folder).is_dir() else None
        self.file = (self.folder or Path()) / f"{os.getpid()}-{next(_numbers)}.json"
        self.told = {"label": label, "total": total, "first": first, "unit": unit, **about, "began": time.time()}
        self.told |= {"rows": [], "ended": False, "process": os.getpid()}
        self.next = 0.0
        self.marks = [(time.time(), first)]
        self.tell(first)

    def tell(
        self,
        done: int,
        rows: Sequence[Mapping[str, Any]] = (),
        networks: Callable[[Path], Any] | None = None,
    ) -> None:
        """Says how many parts are done, at most twice a second.

        Args:
            done: Parts.
            rows: The learning curve so far.
            networks: Writes what is learnt to a file, for who asked to see it.
        """
        now = time.time()
        if self.folder is None or (now < self.next and done < self.told["total"]):
            return
        self.next = now + EVERY
        self.marks = [mark for mark in self.marks if now - mark[0] < SMOOTHED] or self.marks[-1:]
        (then, before), rate = self.marks[0], 0.0
        if now > then:
            rate = (done - before) / (now - then)
        self.marks.append((now, done))
        if networks is not None and (self.folder / _NETWORKS).exists():
            _replaced(self.file.with_suffix(".safetensors"), networks)
        self._write({"done": done, "rate": rate, "now": now, "rows": thinned(rows)})

    def asked_to_stop(self) -> bool:
        """Whether whoever watches wants the work to stop."""
        return self.folder is not None and (self.folder / _STOP).exists()

    def end(self) -> None:
        """Says that no more will come."""
        if self.folder is not None:
            self._write({"ended": True})

    def _write(self, news: Mapping[str, Any]) -> None:
        self.told |= news
        text = json.dumps(self.told)
        with suppress(OSError):  # whoever watched has gone, and the folder with it
            _replaced(self.file, lambda path: path.write_text(text))


@contextmanager
def stage(label: str, total: int, unit: str = "steps", about: Mapping[str, Any] = {}) -> Iterator[Stage]:  # noqa: B006
    """A stage that ends with the block."""
    told = Stage(label, total, 0, unit, about)
    try:
        yield told
    finally:
        told.end()


def thinned(rows: Sequence[Mapping[str, Any]], most: int = 300) -> list[dict[str, Any]]:
    """At most so many rows of a table, evenly taken, the last among them."""
    apart = -(-len(rows) // most) or 1
    return [dict(row) for row in rows[::-1][::apart]][::-1]


class Told(NamedTuple):
    """What a stage has said."""

    label: str
    done: int
    total: int
    unit: str
    rate: float  # parts a second
    ended: bool
    rows: list[dict[str, Any]]  # the learning curve so far
    about: dict[str, Any]  # all that was said
    networks: Path  # where what is learnt lies, for who asked

    @property
    def share(self) -> float:
        """How much of it is done."""
        return self.done / self.total if self.total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate of the last seconds; unknown before there is one."""
        if self.done >= self.total:
            return 0.0
        return (self.total - self.done) / self.rate if self.rate > 0 else None


class Watcher:
    """Reads what the stages say that were started by this process or below it.

    Args:
        folder: The one that `watched` made.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def stages(self) -> list[Told]:
        """All that have said something and whose process is there, in the order in which they began."""
        found = []
        for file in self.folder.glob("*.json"):
            with suppress(OSError, ValueError):
                told = json.loads(file.read_text())
                if told["ended"] or _is_there(told["process"]):
                    found.append(told | {"networks": file.with_suffix(".safetensors")})
        found.sort(key=lambda told: told["began"])
        said = ("label", "done", "total", "unit", "rate", "ended", "rows", "networks")
        return [Told(**{name: told[name] for name in said}, about=told) for told in found]

    def forget(self) -> None:
        """Clears what was said, so that the next work begins with nothing."""
        for file in self.folder.iterdir():
            file.unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """Asks all stages that can be stopped: trainings, which save their state."""
        (self.folder / _STOP).touch()

    def let_go_on(self) -> None:
        """Takes the wish to stop back."""
        (self.folder / _STOP).unlink(missing_ok=True)

    def ask_for_networks(self, wanted: bool = True) -> None:
        """Whether trainings shall write down what they have learnt every time that they say something."""
        (self.folder / _NETWORKS).touch() if wanted else (self.folder / _NETWORKS).unlink(missing_ok=True)


@contextmanager
def watched() -> Iterator[Watcher]:
    """Watches all that this process does and starts within the block."""
    before = os.environ.get(WATCH)
    with tempfile.TemporaryDirectory(prefix="tpl-watch-", ignore_cleanup_errors=True) as folder:
        os.environ[WATCH] = folder
        try:
            yield Watcher(Path(folder))
        finally:
            os.environ.pop(WATCH) if before is None else os.environ.update({WATCH: before})


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _replaced(file: Path, write: Callable[[Path], Any]) -> None:
    """A file that readers find whole; it need not outlast a loss of power, so it is not flushed to disk."""
    partial = file.with_name(f".{file.name}")
    write(partial)
    os.replace(partial, file)
