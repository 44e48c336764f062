"""Processes end with the one that started them, however that one ends."""

import multiprocessing
import os
import threading
import time

EVERY = 0.5
"""Seconds between two looks at whether it is there."""


def end_with_parent() -> None:
    """In a process of joblib's: ends it once the one that started it is gone. Elsewhere it does nothing.

    joblib's own processes outlive a parent that is killed, and go on with what they do, hours of a training perhaps.
    The package calls this as it is imported: by a worker, with the first piece of work that comes.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid and multiprocessing.current_process().name.startswith("LokyProcess"):
        end_with(parent.pid)


def end_with(parent: int) -> None:
    """Ends this process, from now on, once the one that started it is gone.

    Args:
        parent: The number of that one.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)
