"""Errors that need no traceback."""


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
