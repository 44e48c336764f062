"""Errors that need no traceback."""

import difflib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class PlainError(ValueError):
    """Something that whoever runs this can mend: the message names the thing and the remedy in one sentence.

    JupyterLab and executed chapters show that sentence alone. Elsewhere it is an exception like any other.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in the place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


DEADLINE = "TPL_DEADLINE"
"""The environment variable that says until when, in seconds since 1970, chapters and trainings may go on."""


class OutOfTime(PlainError):
    """The time that was given is over; everything done is kept, and the same command goes on from there."""


def check_time(done: str) -> None:
    """Lets go on who has time left until `DEADLINE`; all have where none is set.

    Raises:
        OutOfTime: There is none left; the message begins with what is done.
    """
    if DEADLINE in os.environ and time.time() > float(os.environ[DEADLINE]):
        raise OutOfTime(f"{done}; the time given is over: the same command goes on from here")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses a word: "; did you mean paper?", or nothing where no known word is like it."""
    by_small_letters = {name.lower(): name for name in known if name}
    found = difflib.get_close_matches(word.lower(), by_small_letters, n=1)
    return f"; did you mean {by_small_letters[found[0]]}?" if found else ""


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Ends a command on a wrong input with one sentence and exit status 1, and 75 where its time is over."""
    try:
        yield
    except OutOfTime as error:
        print(f"tpl: {error}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except (ValueError, OSError) as error:
        sys.exit(f"tpl: {error}")
    except KeyboardInterrupt:
        sys.exit("tpl: interrupted; what was finished is kept, and the same command goes on from there")
