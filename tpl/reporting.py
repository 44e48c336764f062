"""What watched work says in a terminal: which stages go on, how much of each is done, and how long the rest takes."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tpl.watching import Told, Watcher, watched

ON_A_TERMINAL, ELSEWHERE = 1.0, 30.0
"""Seconds between two lines: on a terminal each is written over the one before."""


def sentence(stages: Sequence[Told]) -> str:
    """The stages that go on, in one line: "chairs, our_embedding 62 % (1:20 left)"; nothing where none does."""
    going = [told for told in stages if not told.ended and told.done < told.total]
    return " · ".join(f"{told.label} {told.share:.0%}{_left(told.seconds_left)}" for told in going)


def duration(seconds: float | int) -> str:
    """A time as people read it: "0:07", "12:30", "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def reported(whole: Callable[[], str] = str, out: Any = None) -> Iterator[Watcher]:
    """Watches all that is done within the block and says how far it is.

    On a terminal in one line, which is written over every second; elsewhere in a line every half minute.

    Args:
        whole: What is said before the stages, such as what they are part of; nothing by default.
        out: Where to; by default the standard error.
    """
    out = out or sys.stderr
    ended, live = threading.Event(), out.isatty()

    def tell() -> None:
        while not ended.wait(ON_A_TERMINAL if live else ELSEWHERE):
            if line := " · ".join(part for part in (whole(), sentence(watcher.stages())) if part):
                _write(out, line, live)

    with watched() as watcher:
        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield watcher
        finally:
            ended.set()
            thread.join()
            if live:
                _write(out, "", live)


def say(sentence: str, out: Any = None) -> None:
    """Prints a line that stays, where another is written over."""
    out = out or sys.stdout
    print("\r\x1b[K" * out.isatty() + sentence, file=out, flush=True)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f" ({duration(seconds)} left)"


def _write(out: Any, line: str, live: bool) -> None:
    if live:
        line = line[: shutil.get_terminal_size().columns - 1]
    out.write(f"\r\x1b[K{line}" if live else f"{time.strftime('%H:%M:%S')} {line}\n")
    out.flush()
