"""A worker that always does what was wished for last: intermediate wishes of a slider are dropped, never the last."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Wish = TypeVar("Wish")


class Turn:
    """A wish's turn: it ends early where a newer wish has come."""

    def __init__(self, latest: "Latest", number: int):
        self._latest, self._number = latest, number

    @property
    def overtaken(self) -> bool:
        """Whether a newer wish waits."""
        return self._latest.number != self._number

    def settles(self, seconds: float | int) -> bool:
        """Waits for so long; whether no newer wish has come meanwhile."""
        with self._latest.changed:
            return not self._latest.changed.wait_for(lambda: self.overtaken, seconds)


class Latest(Generic[Wish]):
    """Works off wishes one at a time in a thread of its own, so that whoever wishes never waits.

    Wishes may come from any thread: those of a front end arrive in several.

    Args:
        work: Told a wish and its turn, which it may ask whether it is still of interest.
    """

    def __init__(self, work: Callable[[Wish, Turn], object]):
        self.changed = threading.Condition()
        self.number = 0  # of wishes so far
        self._work, self._wish, self._done = work, None, 0
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="playground").start()

    def ask(self, wish: Wish) -> None:
        """Wishes; one that waits is dropped, one that is at work learns that it is overtaken."""
        with self.changed:
            self._wish, self.number = wish, self.number + 1
            self.changed.notify_all()

    def wait(self, seconds: float | int = 60) -> None:
        """Waits until the last wish is worked off.

        Raises:
            TimeoutError: It takes longer.
            Exception: What the work on the last wish raised.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self._done == self.number, seconds):
                raise TimeoutError(f"not done within {seconds:g} seconds")
            if self._error is not None:
                raise self._error

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._done != self.number)
                wish, number = self._wish, self.number
            error = None
            try:
                self._work(wish, Turn(self, number))  # pyright: ignore[reportArgumentType]  # there was a wish
            except Exception as met:  # whoever waits gets it
                error = met
            with self.changed:
                self._done, self._error = number, error
                self.changed.notify_all()


class Pace:
    """How finely something is drawn while it moves: as finely as keeps a rate, as far as the last frames tell.

    Args:
        grids: From fine to coarse.
        seconds: That a frame may take.
    """

    PATIENCE = 3  # frames in a row that are too slow, or quick enough for the next finer grid
    QUICK = 0.4  # of the time a frame may take: the next finer grid has about twice as many faces

    def __init__(self, grids: tuple[int, ...], seconds: float | int):
        self.grids, self.seconds, self.place = grids, seconds, 0
        self._slow = self._quick = 0

    @property
    def grid(self) -> int:
        return self.grids[self.place]

    def told(self, seconds: float | int) -> None:
        """Learns what a frame took."""
        self._slow = self._slow + 1 if seconds > self.seconds else 0
        self._quick = self._quick + 1 if seconds < self.QUICK * self.seconds else 0
        step = (self._slow >= self.PATIENCE) - (self._quick >= self.PATIENCE)
        if step:
            self.place = min(max(self.place + step, 0), len(self.grids) - 1)
            self._slow = self._quick = 0
