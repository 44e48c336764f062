"""Files and folders that are whole and on disk or not there, and large ones in parts that travel."""

import errno
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tpl.errors import PlainError


class OutputError(PlainError):
    """Something else stands where a file or a folder is to be written; the message names it and the remedy."""


class UnwritableError(OutputError, OSError):
    """The disk is full, or the place is not ours to write to; what was there stays."""


FULL, DENIED = (errno.ENOSPC, errno.EDQUOT), (errno.EACCES, errno.EPERM, errno.EROFS)


def write_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Lets `write` fill a file beside `path` and moves it there when it is whole and on disk.

    An older file is replaced, a link to one as well; nothing else ever is. The mode is what the umask leaves.

    Raises:
        OutputError: A folder or a device is there; it is left alone.
    """
    check_file(path)
    with _beside(path) as partial:
        write(partial)
        _settle(partial)
        os.replace(partial, path)
        _flush(path.parent)


def write_folder(path: Path, fill: Callable[[Path], Any]) -> None:
    """Lets `fill` make a folder beside `path` and moves it there when it is whole and on disk.

    An older folder is replaced, with all that is in it; nothing else ever is. Files in it have the umask's mode.

    Raises:
        OutputError: A file is there; it is left alone.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file and a folder is to be written there: move it away, or name another folder")
    with _beside(path) as partial:
        fill(partial)
        _settle(partial)
        aside = partial.with_name(f"{path.name}.replaced")
        try:
            if path.is_dir():  # a folder cannot be replaced in one move: the old one steps aside first
                os.replace(path, aside)
            os.replace(partial, path)
        except BaseException:  # what is aside would go with the new one
            if aside.exists() and not path.exists():
                os.replace(aside, path)
            raise
        _flush(path.parent)


def check_file(path: Path) -> Path:
    """Gives a path back where a file can be written, so that work of hours need not find out at its end.

    Raises:
        OutputError: A folder or a device is there.
    """
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "device"
        raise OutputError(f"{path} is a {kind} and a file is to be written there: give the name of a file")
    return path


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A place of the same name on the same disk; what is left there goes."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            yield Path(folder) / path.name


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says of a disk that takes nothing, and of a place that is not ours, what to do."""
    try:
        yield
    except Exception as error:  # a full disk has as many names as there are writers
        number = getattr(error, "errno", None)
        if number in FULL or "No space left on device" in str(error):
            told = "No space left on device"
            raise UnwritableError(f"{path} cannot be written ({told}): free some space and start again") from error
        if number in DENIED:
            told = getattr(error, "strerror", error)
            raise UnwritableError(f"{path} cannot be written ({told}): choose another folder") from error
        raise


def _settle(path: Path) -> None:
    """Gives the files that were written the umask's mode, and waits until they and their folders are on disk.

    Links are left as they are: what they lead to is not ours.
    """
    every = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    probe = path.with_name(f"{path.name}.mode")
    probe.touch()  # asks for the umask without changing it, as os.umask would for all threads
    mode = probe.stat().st_mode
    for file in every:
        if file.is_file() and not file.is_symlink() and file.stat().st_nlink == 1 and file.stat().st_mode != mode:
            file.chmod(mode & 0o777)  # writers that go by way of tempfile, as safetensors', leave 0600
    ours = [file for file in every if not file.is_symlink()]
    with ThreadPoolExecutor(8) as threads:  # many small files at once are one commit of the disk's journal, not many
        list(threads.map(_flush, ours))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        # Not every network disk can flush a folder; whether a file's content is there, it says.
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


class BusyError(PlainError):
    """Another process works on the same folder; the message says which, where and since when."""


@contextmanager
def alone_in(folder: Path, lock: Path | None = None) -> Iterator[None]:
    """Keeps other processes from working on a folder as long as this one does, and tells them who it is.

    The system takes the lock off whoever ends, however that happens. Processes of one `accelerate launch` wait for each
    other, since all of them do the same, and so do the chapters of one `tpl run`: the second finds the work done.

    Args:
        folder: What is worked on.
        lock: The lock's file, where `<folder>/.lock` would not do: one beside the folder outlasts its removal.

    Raises:
        BusyError: Another process is there.
        UnwritableError: The disk is full, or the folder is not ours to write to.
    """
    lock = lock or folder / ".lock"
    with _writing(folder):
        lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock, timeout=1, poll_interval=0.05)  # a second for who is just ending
    while not held.is_locked:
        try:
            with _writing(folder):
                held.acquire()
        except Timeout:
            there = _who(lock)
            if not there["launch"] or there["launch"] != _launch():
                told = "process {process} on {host} has been working in {folder} since {since} ({command})"
                raise BusyError(
                    f"{told.format_map(there | {'folder': folder})}: wait until it has ended, or end it"
                ) from None
    try:
        with _writing(folder):
            lock.write_text(json.dumps(_me()))
        yield
    finally:
        lock.unlink(missing_ok=True)  # who waits for the file that was there sees that it is gone, and asks anew
        held.release()


def _me() -> dict[str, Any]:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M"),
        "command": shlex.join([name, *sys.argv[1:]]),
        "launch": _launch(),
    }


def _who(lock: Path) -> dict[str, Any]:
    unknown = {"process": "?", "host": "this or another machine", "since": "now", "command": "unknown", "launch": ""}
    try:
        return unknown | json.loads(lock.read_text())
    except (OSError, ValueError):  # it has only just come, or goes
        return unknown


RUN = "TPL_RUN"
"""The environment variable that the chapters of one `tpl run` have in common."""


def _launch() -> str:
    """What the processes of one `accelerate launch` have in common, or those of one `tpl run`; nothing without one."""
    if "LOCAL_RANK" not in os.environ:
        return os.environ.get(RUN, "")
    return f"{os.environ.get('MASTER_ADDR', '')}:{os.environ.get('MASTER_PORT', '')}"


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
            write_file(
                file.with_name(f"{file.name}.part{number:03d}"), lambda path, content=content: path.write_bytes(content)
            )
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
