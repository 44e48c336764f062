"""Commands that are ended from outside, and who outlives them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def start(code: str, *arguments: object) -> subprocess.Popen:
    """A Python process, the first of a group of its own as a terminal's commands are, that runs this code."""
    paths = os.pathsep.join(map(str, (ROOT, Path(__file__).parent)))
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": paths}
    options = {"start_new_session": True, "preexec_fn": hear_interrupts, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **options)


def hear_interrupts() -> None:
    """Gives Ctrl-C back its meaning: who runs the tests in a shell's background starts them deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(there: Callable[[], object], process: subprocess.Popen, seconds: float = 240) -> None:
    """Waits until something is there that a process makes."""
    end = time.monotonic() + seconds
    while not there():
        if process.poll() is not None:
            raise AssertionError(f"it ended before it could be ended: {process.communicate()[1]}")
        assert time.monotonic() < end, "what is waited for never came"
        time.sleep(0.02)


def end(process: subprocess.Popen, how: signal.Signals) -> tuple[str, list[psutil.Process]]:
    """Ends a process by a signal, as Ctrl-C ends all of its group.

    Returns:
        Its last words, and whoever of those that it has started outlives it by half a minute.
    """
    started = _children(process)
    if not started:
        process.kill()
        raise AssertionError(f"nobody is at work: {process.communicate()[1]}")
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    process.wait(120)
    _, alive = psutil.wait_procs(started, timeout=30)
    for one in alive:
        one.kill()
    return process.communicate()[1], alive


def _children(process: subprocess.Popen, seconds: float = 60) -> list[psutil.Process]:
    """Whoever it has started; a file that says that work has begun may be there a moment before them."""
    end = time.monotonic() + seconds
    while not (found := psutil.Process(process.pid).children(recursive=True)) and time.monotonic() < end:
        time.sleep(0.02)
    return found
