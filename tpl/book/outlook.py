"""How far a run of chapters is, and how long the rest of it takes: by earlier runs, at this machine's own pace."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tpl.book.needs import urgency
from tpl.reporting import duration


@dataclass
class Outlook:
    """What a run has done and still has to do, told while it goes on."""

    waits: Mapping[str, set[str]]  # all chapters, and for which of them each waits
    earlier: Mapping[str, float]  # the seconds that they took in earlier runs, as far as they are known
    jobs: int = 1  # chapters at a time
    began: dict[str, float] = field(default_factory=dict)  # those that go on, and when they began
    took: dict[str, float] = field(default_factory=dict)  # the seconds of those that are done

    def begin(self, name: str) -> None:
        """A chapter has begun."""
        self.began[name] = time.monotonic()

    def end(self, name: str, kept: bool = False) -> None:
        """A chapter has ended; one that was kept says nothing of the machine's pace."""
        self.took[name] = 0.0 if kept else time.monotonic() - self.began.pop(name)

    @property
    def pace(self) -> float:
        """How much longer than in earlier runs chapters take here and now; 1 as long as nothing is known of it."""
        known = [name for name, seconds in self.took.items() if seconds and self.earlier.get(name)]
        before = sum(self.earlier[name] for name in known)
        return sum(self.took[name] for name in known) / before if before > 0 else 1.0

    @property
    def seconds_left(self) -> float | None:
        """By the chapters together, shared among the jobs, or the longest chain of those that wait for each other.

        None if it is not known of every chapter that is left how long it takes.
        """
        rest = [name for name in self.waits if name not in self.took]
        if any(name not in self.earlier for name in rest):
            return None
        now = time.monotonic()
        seconds = {name: self.pace * self.earlier[name] for name in rest}
        for name, began in self.began.items():
            seconds[name] = max(0.0, seconds[name] - (now - began))
        chains = urgency({name: self.waits[name] & {*rest} for name in rest}, seconds)
        return max([sum(seconds.values()) / self.jobs, *chains.values()], default=0.0)

    def __str__(self) -> str:
        now = time.monotonic()
        going = ", ".join(f"{name} {duration(now - began)}" for name, began in list(self.began.items()))
        left = self.seconds_left
        rest = "" if left is None else f", about {duration(left)} left"
        return f"{len(self.took)} of {len(self.waits)} chapters{rest}" + (f": {going}" if going else "")
