"""Calls in processes that may hang or die without harm: a time limit each, tries again, on one machine or a cluster.

Every call is made in a *child*, a Python process of its own that serves one call after the other. A child that takes
too long is ended by the system's alarm clock, whatever native code it is in; one that dies (a crash in a library, no
memory left) is replaced and the call made again. Neither joblib nor dask can do this: to end a call that hangs, joblib
gives up all of its processes and their work, and dask runs calls in threads, which cannot be ended at all. So both are
used for what they are good at: a pool of threads deals calls to the children of this machine, and dask's scheduler
deals them to those of a cluster, where it moves the calls of a machine that is lost to another one.

Pebble's pool of processes (5.2.3) was tried in place of the children, and kept less. A process that dies before the
pool has noted that it is at work breaks the pool, with all calls that wait in it: on a loaded EPYC in 3 of 5 runs of 60
to 90 calls of which each third died at once (started by `spawn` or by loky). What a call has started, such as Blender,
outlives its time limit. And the workers of dask are daemons, which may not start processes by `multiprocessing`.
"""

import io
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import cloudpickle
import psutil
from tqdm.auto import tqdm

from tpl.errors import OutOfTime, PlainError, check_time
from tpl.watching import stage

TIMEOUT = 1800  # seconds of a call
LONGEST = 10**8  # seconds that may be asked for: three years, and the system's alarm clock can be set to it
LEAST_MEMORY = 2**32  # bytes that a child may have on the smallest of machines
TRIES = 3  # of a call whose process dies
WAIT = 30  # seconds for a cluster to answer


class ClusterError(PlainError):
    """The cluster cannot be reached, or its software is missing; the message says what to do."""


@dataclass(frozen=True)
class Lost:
    """The result of a call that has none: why, and after how many seconds."""

    reason: str
    seconds: float = float("nan")


class Pool(NamedTuple):
    """Who makes calls: this process, children of it, or those of a cluster's workers. See `open_pool`."""

    executor: Executor | None  # threads that wait for children; none where this process makes the calls
    call: Callable[[bytes, float], Any]
    size: int
    timeout: float

    def call_all(self, function: Callable[..., Any], tasks: Sequence[tuple], label: str) -> list[Any]:
        """The results of `function(*task)`, in the order of the tasks, while a bar shows how far it is.

        Args:
            function: Any, with arguments and results that can be pickled.
            tasks: The arguments of each call.
            label: What the bar counts.

        Returns:
            For each task its result, or `Lost` where the call raised, took too long, or its process died three times.

        Raises:
            OutOfTime: The time given is over; calls that were begun have ended.
        """
        if self.executor is None:
            results: list[Any] = []
            with stage(label, len(tasks), "shapes") as told:
                for task in tqdm(tasks, desc=label, mininterval=1.0):
                    check_time(f"{len(results)} of {len(tasks)} {label} are done")
                    results.append(_attempt(function, task))
                    told.tell(len(results))
            return results
        place = pickle.dumps((os.getcwd(), sys.path))
        futures: list[Future] = []
        waiting = threading.Semaphore(4 * self.size)  # a call may carry megabytes, so few of them wait at a time
        with tqdm(total=len(tasks), desc=label, mininterval=1.0) as bar, stage(label, len(tasks), "shapes") as told:

            def finish(_: Future) -> None:
                waiting.release()
                bar.update()
                told.tell(int(bar.n))

            for task in tasks:
                waiting.acquire()
                try:
                    check_time(f"{len(futures)} of {len(tasks)} {label} are done")
                except OutOfTime:
                    wait(futures)
                    raise
                payload = place + cloudpickle.dumps((function, task))
                futures.append(self.executor.submit(self.call, payload, self.timeout))
                futures[-1].add_done_callback(finish)
            return [_outcome(future) for future in futures]


@contextmanager
def open_pool(jobs: int = -1, timeout: float | int | None = None, cluster: str = "") -> Iterator[Pool]:
    """Gets processes ready, and ends them when all is done or interrupted.

    Args:
        jobs: Processes on this machine; -1 is one a core.
        timeout: Seconds that a call may take. None is half an hour; but with `jobs` 1, None is no limit at all, because
            this very process makes the calls then.
        cluster: Address of a dask scheduler whose workers make the calls instead, as "tcp://10.0.0.1:8786".

    Raises:
        ClusterError: The cluster does not answer.
        ValueError: A number of jobs or a timeout that means nothing.
    """
    if jobs < -1 or jobs == 0 or (timeout is not None and not 0 < timeout <= LONGEST):
        raise ValueError(
            f"jobs = {jobs} and timeout = {timeout}: jobs are 1 or more, or -1 for one a core, "
            f"and a timeout is more than 0 seconds and at most {LONGEST:,}"
        )
    limit = float(timeout or TIMEOUT)
    if cluster:
        with _connect(cluster) as client:
            yield Pool(client.get_executor(pure=False), _call_on_worker, sum(client.nthreads().values()), limit)
            client.run(_release_worker)
        return
    from joblib import cpu_count  # here, because children do without and start the sooner

    cores = cpu_count()
    size = cores if jobs == -1 else jobs
    children = Children(max(1, cores // size), _share_of_memory(size))
    if jobs == 1 and timeout is None:
        yield Pool(None, children.call, size, limit)
        return
    executor = ThreadPoolExecutor(size)
    try:
        yield Pool(executor, children.call, size, limit)
    finally:
        children.close()
        executor.shutdown(cancel_futures=True)
        children.release()


class Child:
    """A Python process that serves calls. It ends with the process that started it, even in the middle of a call.

    Args:
        threads: Of each numerical library in it, unless the environment says how many.
        memory: Bytes that it may have; 0 for any.
    """

    def __init__(self, threads: int, memory: int = 0) -> None:
        few = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL", "IGL")}
        code = f"import sys; sys.path = {sys.path!r}; from {__name__} import serve; serve({memory})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**few, **os.environ},
            start_new_session=True,  # so that it can be ended with whatever it has started, such as Blender
        )

    def call(self, payload: bytes, timeout: float) -> Any:
        """Makes a call. After `TimeoutError` and `EOFError`, which says how it died, the child is gone."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        try:
            pickle.dump((timeout, payload), stdin)
            stdin.flush()
            return pickle.load(stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            self.end()
            status = self.process.returncode
            if status == -signal.SIGALRM:
                raise TimeoutError(f"took longer than {timeout:g} s and was ended") from None
            raise EOFError(signal.Signals(-status).name if status < 0 else f"exit status {status}") from error

    def end(self) -> None:
        """Ends it, and all that it has started."""
        with suppress(OSError, ValueError):  # what was not sent yet
            self.process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)  # without its input it ends by itself, and its own end says more than ours
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()  # pyright: ignore[reportOptionalMemberAccess]


class Children:
    """As many children as calls are made at the same time, from the threads of one process."""

    def __init__(self, threads: int, memory: int = 0) -> None:
        self.threads, self.memory = threads, memory
        self.idle: list[Child] = []
        self.busy: set[Child] = set()
        self.closed = False

    def call(self, payload: bytes, timeout: float) -> Any:
        """Makes a call in an idle child, or in a new one; again where the child dies."""
        reason, start = "", time.perf_counter()
        for _ in range(TRIES):
            child = self._take()
            try:
                result = child.call(payload, timeout)
            except TimeoutError as error:
                return Lost(str(error), time.perf_counter() - start)
            except EOFError as error:
                reason = str(error)
                if self.closed:
                    return Lost("interrupted")
            else:
                self.idle.append(child)
                return result
            finally:
                self.busy.discard(child)
        return Lost(f"its process died {TRIES} times, at last by {reason}", time.perf_counter() - start)

    def release(self) -> None:
        """Ends those that do nothing."""
        while self.idle:
            self.idle.pop().end()

    def close(self) -> None:
        """Ends all of them."""
        self.closed = True
        for child in list(self.busy):
            child.process.kill()
        self.release()

    def _take(self) -> Child:
        try:
            child = self.idle.pop()
        except IndexError:
            child = Child(self.threads, self.memory)
        self.busy.add(child)
        return child


_of_worker = Children(threads=1)  # those of a worker of a cluster, which has as many threads as it makes calls


def _call_on_worker(payload: bytes, timeout: float) -> Any:
    return _of_worker.call(payload, timeout)


def _release_worker() -> None:
    _of_worker.release()


def _connect(address: str) -> Any:
    try:
        from distributed import Client  # an extra: one machine does without
    except ImportError as error:
        raise ClusterError("a cluster needs dask: pip install 'tpl[cluster]', here and on its machines") from error
    start = f"`dask worker {address} --nworkers auto --nthreads 1`"
    try:
        client = Client(address, timeout=WAIT)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ClusterError(
            f"no dask scheduler answers at {address} ({reason}): start one by `dask scheduler` and workers by {start}"
        ) from error
    try:
        client.wait_for_workers(1, timeout=WAIT)
    except TimeoutError as error:
        client.close()
        raise ClusterError(f"the scheduler at {address} has no workers: start some by {start}") from error
    return client


def _outcome(future: Future) -> Any:
    try:
        return future.result()
    except Exception as error:  # dask gives a call up after it has lost several workers with it
        return Lost(f"the cluster gave it up ({type(error).__name__})")


def serve(memory: int = 0) -> None:
    """What a child does: calls that come by its input, answers by its output.

    Args:
        memory: Bytes that it may have, where the system can say so, lest one shape takes those of all; 0 for any.
    """
    _limit(memory)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is no answer
    calls: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), daemon=True).start()
    while True:
        cloudpickle.dump(_attempt(_unpack_and_call, calls.get()), answers)
        answers.flush()


def _limit(memory: int) -> None:
    if memory and sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _share_of_memory(processes: int) -> int:
    """Bytes for each of so many processes; less than `LEAST_MEMORY` would end what a large mesh needs."""
    return max(LEAST_MEMORY, int(0.9 * psutil.virtual_memory().total / max(1, processes)))


def _listen(inbox: BinaryIO, calls: queue.SimpleQueue) -> None:
    while True:
        try:
            calls.put(pickle.load(inbox))
        except EOFError:  # who asked is gone, and will ask somebody else
            os.killpg(0, signal.SIGKILL)  # a child leads a group: Blender, if it has started it, ends with it


def _unpack_and_call(timeout: float, payload: bytes) -> Any:
    stream = io.BytesIO(payload)
    folder, path = pickle.load(stream)
    os.chdir(folder)
    sys.path.extend(entry for entry in path if entry not in sys.path)
    function, task = pickle.load(stream)  # the first time, this imports what the function needs
    signal.setitimer(signal.ITIMER_REAL, timeout)  # nobody handles the alarm, so the system ends the process
    try:
        return function(*task)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _attempt(function: Callable[..., Any], task: tuple) -> Any:
    start = time.perf_counter()
    try:
        return function(*task)
    except MemoryError:
        return Lost(
            "MemoryError: it needs more memory than a process may have; simplify it", time.perf_counter() - start
        )
    except Exception as error:  # whatever is wrong with one task is its result's reason
        return Lost(f"{type(error).__name__}: {error}", time.perf_counter() - start)
