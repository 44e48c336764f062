"""Work side by side: each piece once all that it waits for is done, the most urgent first, within cores and memory."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

LOOK_EVERY = 2.0
"""Seconds after which it is looked anew whether there is room for a further piece."""


class Plan(NamedTuple):
    """What is to be done, and how."""

    waits: Mapping[str, set[str]]  # for each piece those that must be done before
    urgency: Mapping[str, float]  # of pieces that could begin, the one with the largest does
    jobs: int = 1  # pieces at a time
    room: Callable[[], bool] = lambda: True  # whether a further one may begin beside others


def work_through(
    plan: Plan,
    begin: Callable[[str], Callable[[], Any] | None],
    end: Callable[[str, Any, BaseException | None], None],
    stop: Callable[[], None],
    going: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Does all pieces of work, each in a thread; what waits for one that failed is left out.

    All but the work itself happens in the calling thread, so that the two functions need not share what they know.

    Args:
        plan: The pieces, in an order in which they could be done one after the other.
        begin: Called with a piece when its turn has come; returns the work, or None where nothing is to be done.
        end: Called with a piece, with what its work returned, and with the error that it ended with.
        stop: Ends what is running: called where this is interrupted, or `begin` or `end` raises.
        going: Whether further pieces may begin.

    Returns:
        The pieces that did not begin.
    """
    waiting = sorted(plan.waits, key=lambda name: -plan.urgency[name])
    running: dict[Future, str] = {}
    failed: set[str] = set()
    with ThreadPoolExecutor(plan.jobs) as threads:
        try:
            while True:
                missing = {*waiting, *running.values(), *failed}
                ready = next((name for name in waiting if not plan.waits[name] & missing), None)
                if ready and going() and len(running) < plan.jobs and (not running or plan.room()):
                    waiting.remove(ready)
                    if work := begin(ready):
                        running[threads.submit(work)] = ready
                    continue
                if not running:
                    return [name for name in plan.waits if name in waiting]
                for future in wait(running, LOOK_EVERY, FIRST_COMPLETED).done:
                    name, error = running.pop(future), future.exception()
                    failed |= {name} if error else set()
                    end(name, None if error else future.result(), error)
        except BaseException:
            stop()  # or the threads would be waited for until all is done
            raise
