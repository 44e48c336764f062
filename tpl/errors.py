"""Errors that need no traceback."""

import os
import time


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
