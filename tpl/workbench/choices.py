"""What a form says: a profile to start from, what was turned since, and what is wrong with it."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from tpl.book.book import DEFAULT_PROFILE, Book, BookError, Value
from tpl.book.bounds import Parameter, check, parameters_of
from tpl.book.hyperparameters import GIVEN
from tpl.files import write_file

IN_THE_LAB: dict[str, Value] = {"live": True}
"""What chapters start with in JupyterLab, where it is not as on a page: what can move, moves."""


class Choices:
    """The values of a chapter's parameters as they are chosen, kept in a file from one kernel to the next.

    Args:
        book: Whose chapter.
        name: The chapter's.
        file: Where the choices are kept; nothing is without one.
    """

    def __init__(self, book: Book, name: str, file: Path | None = None):
        self.book, self.chapter, self.file = book, book.find(name), file
        self.parameters: dict[str, Parameter] = parameters_of(self.chapter)
        self.profile = DEFAULT_PROFILE
        self.turned: dict[str, Value] = {}  # what was set by hand to something else than the profile has
        self.refused: dict[str, tuple[str, str]] = {}  # what was typed, and why it cannot be
        self._remember()

    @property
    def profiles(self) -> list[str]:
        """Those that there are, the chapters' own defaults first."""
        folder = self.book.folder / "profiles"
        others = sorted(path.name for path in folder.glob("*") if path.is_dir() and path.name != DEFAULT_PROFILE)
        return [DEFAULT_PROFILE, *others]

    @property
    def start(self) -> dict[str, Value]:
        """The values of the profile."""
        asked = self.book.profile(self.profile, self.chapter)
        own = {name: parameter.default for name, parameter in self.parameters.items()}
        own |= {name: value for name, value in IN_THE_LAB.items() if name in own}
        return own | {name: check(self.parameters[name], value) for name, value in asked.items()}

    @property
    def now(self) -> dict[str, Value]:
        """The values, those that are refused as they were before."""
        return self.start | self.turned

    @property
    def values(self) -> dict[str, Value]:
        """What the chapter shall run with; what was given by hand is told to it as `tpl run` tells it.

        Raises:
            BookError: A value is refused.
        """
        if self.refused:
            name, (typed, why) = next(iter(self.refused.items()))
            raise BookError(f"the form refuses {name} = {typed!r}: {why}")
        os.environ[GIVEN] = " ".join(self.turned)
        return self.now

    @property
    def command(self) -> str:
        """The command line that does the same."""
        words = ["tpl", "run", self.chapter.name.partition("_")[0]]
        if self.profile != DEFAULT_PROFILE:
            words += ["--profile", self.profile]
        for name, value in self.turned.items():
            words += ["-p", name, str(value)]
        return shlex.join(words)

    def turn(self, name: str, value: Any) -> str:
        """Sets a parameter; returns why it cannot be that, or nothing. What it was before holds then."""
        try:
            checked = check(self.parameters[name], value)
        except BookError as error:
            self.refused[name] = (str(value), str(error))
            return str(error)
        self.refused.pop(name, None)
        if checked == self.start[name]:
            self.turned.pop(name, None)
        else:
            self.turned[name] = checked
        self._keep()
        return ""

    def begin(self, profile: str) -> None:
        """Starts from a profile; what was turned stays turned where it differs."""
        self.profile = profile
        self.turned = {name: value for name, value in self.turned.items() if value != self.start[name]}
        self._keep()

    def reset(self, name: str = "") -> None:
        """Puts one parameter back, or all of them."""
        for one in [name] if name else list(self.parameters):
            self.turned.pop(one, None)
            self.refused.pop(one, None)
        self._keep()

    def _keep(self) -> None:
        if self.file is not None:
            text = json.dumps({"profile": self.profile, "turned": self.turned}, indent=1)
            write_file(self.file, lambda path: path.write_text(text))

    def _remember(self) -> None:
        """Takes what was chosen before, as far as the chapter still has it and it still may be."""
        try:
            kept = json.loads(self.file.read_text()) if self.file is not None else {}
            if kept["profile"] in self.profiles:
                self.profile = kept["profile"]
            turned = dict(kept["turned"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        for name, value in turned.items():
            if name in self.parameters:
                self.turn(name, value)
        self.refused.clear()
