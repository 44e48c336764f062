"""The border between us and what comes from outside: nothing passes it but what was read, or one plain sentence."""

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tpl.errors import OutOfTime, PlainError

logging.getLogger("trimesh").setLevel(logging.CRITICAL)  # what it would log about a file, our sentence says

REASON = 160
"""Letters of another library's message that a sentence of ours takes in, at the most."""

Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def border(what: object, remedy: str, kind: type[PlainError] = PlainError, read_as: str = "") -> Iterator[None]:
    """Turns whatever a reader raises into one sentence that names the thing and the remedy.

    A plain error passes as it is, since its sentence is written already; so do interruptions, which are no errors.

    Args:
        what: The file, or what else is read.
        remedy: What whoever runs this can do: "remove it and train anew".
        kind: Of the error.
        read_as: What it should have been: " as an image".

    Raises:
        PlainError: Anything at all was raised inside, `MemoryError` and the errors of native libraries included.
    """
    try:
        yield
    except PlainError:
        raise
    except Exception as error:
        if is_memory(error):
            raise kind(f"{what} needs more memory than there is: {remedy}") from error
        raise kind(f"{what} cannot be read{read_as} ({reason(error)}): {remedy}") from error


def is_memory(error: BaseException) -> bool:
    """Whether an error says that memory is at its end, as torch and OpenCV do in words of their own."""
    told = str(error)
    words = ("can't allocate memory", "Insufficient memory", "Failed to allocate")
    return (
        isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or any(word in told for word in words)
    )


def reason(error: BaseException) -> str:
    """What an error of another library says, in one line: of pydantic's and OpenCV's many lines the telling ones."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        text = f"{place}: {first['msg']}" if place else first["msg"]
    else:
        text = getattr(error, "err", None) or getattr(error, "strerror", None) or str(error)  # cv2.error has an `err`
    text = " ".join(str(text).split()) or type(error).__name__
    return text if len(text) <= REASON else f"{text[:REASON]}..."


def in_a_line(error: BaseException) -> str:
    """What an error says in one line; of a configuration that pydantic refuses without the address of its manual."""
    return reason(error) if isinstance(error, ValidationError) else " ".join(str(error).split())


def last_words(error: BaseException) -> str:
    """One sentence about an error that nobody foresaw, after its traceback was written to a file of its own."""
    text = "".join(traceback.format_exception(error))
    said = f"{type(error).__name__}, which nobody foresaw ({reason(error)})"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="tpl-", suffix=".log", delete=False, encoding="utf-8") as file:
            file.write(text)
    except OSError:  # nowhere to write to
        return f"{said}:\n{text}"
    return f"{said}: the details are in {file.name}"


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Ends a command on any error with one sentence and exit status 1, and with 75 where its time is over.

    Who is asked to end by SIGTERM ends as by Ctrl-C, and takes along what was started and what is half-written.
    """
    ours = threading.current_thread() is threading.main_thread()  # others may not say what a signal does
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if ours else None
    try:
        yield
    except OutOfTime as error:
        print(f"tpl: {error}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except (ValueError, OSError) as error:
        sys.exit(f"tpl: {in_a_line(error)}")
    except BrokenExecutor:  # joblib's among them
        sys.exit(
            "tpl: a process at work was ended from outside, or by the system for want of memory: "
            "what was finished is kept, and the same command goes on from there; fewer jobs need less memory"
        )
    except Exception as error:
        if is_memory(error):
            sys.exit("tpl: this needs more memory than there is: ask for less; what was finished is kept")
        sys.exit(f"tpl: {last_words(error)}")
    except KeyboardInterrupt:
        sys.exit("tpl: interrupted; what was finished is kept, and the same command goes on from there")
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def read_json(file: Path, remedy: str, kind: type[PlainError] = PlainError) -> dict[str, Any]:
    """The object that a JSON file holds; raises as `border` where it is missing, broken, or no object."""
    with border(file, remedy, kind):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not valid JSON: {error}") from error
        if not isinstance(found, dict):
            raise TypeError(f"it holds {found!r:.40}, not names with values")
    return found


def read_model(file: Path, model: type[Model], remedy: str, kind: type[PlainError] = PlainError) -> Model:
    """What a JSON file says, by a typed model; raises as `border` where it is missing or is none such."""
    with border(file, remedy, kind):
        return model.model_validate_json(file.read_bytes())
