"""The execution of chapters by papermill into a run folder, side by side where neither needs the other.

runs/<profile>/book/                  executed notebooks, `_scenes/`, `manifest.json`

`tpl.book.site` makes the pages.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tpl.book.book import DEFAULT_PROFILE, Book, BookError, Chapter, Value
from tpl.book.hyperparameters import GIVEN
from tpl.book.manifest import SCENES, _entry, earlier_seconds, read_manifest, record
from tpl.book.needs import read_needs, urgency, waits
from tpl.book.outlook import Outlook
from tpl.book.pairs import check_pair
from tpl.book.parameters import chosen_parameters, parameters
from tpl.book.scheduling import Plan, work_through
from tpl.errors import DEADLINE, OutOfTime
from tpl.files import RUN, alone_in, write_folder
from tpl.look.scenes import FOLDER_VARIABLE
from tpl.reporting import reported, say
from tpl.watching import Stopped

MEMORY = 6e9
"""Bytes that must be free before a further chapter begins beside others: the kernel of one and the processes in which
it trains three categories took 4.6 GB in profile `quick`."""


def run_chapters(
    book: Book,
    names: Sequence[str] = (),
    profile: str = DEFAULT_PROFILE,
    given: Mapping[str, Any] | None = None,
    say: Callable[[str], Any] = say,
    again: bool = False,
    minutes: float | int | None = None,
    jobs: int = 0,
) -> Path:
    """Executes chapters, all by default, into the profile's run folder, and returns it.

    Everything is checked before the first is started. Each starts in the root of the repository, side by side with
    others where neither needs the other (`tpl.book.needs`): numbers are those of one after the other. A finished one
    replaces the copy of an earlier run and has its entry in the manifest; one that fails leaves
    `<chapter>.failed.ipynb`, and what needs it is left out.

    Of the whole book, and of chapters that are executed in pieces, those are kept that were executed already as they
    would be now: the same text, library, parameters, package versions and device, and later than all that they need,
    which must have been kept, too.

    Args:
        book: The book.
        names: Chapters, which are executed whatever was before unless `minutes` are given; none for the whole book.
        profile: Which parameters differ from the chapters' defaults.
        given: Parameters that differ from the profile's.
        say: Told what happens.
        again: Whether all are executed even where nothing has changed.
        minutes: After so many no further chapter is started, and a training that goes on is saved and paused.
        jobs: Chapters at a time; 0 is as `usual_jobs` says.

    Raises:
        BookError: A wrong name or value, or chapters that failed, each with its cell and error.
        BusyError: Another process executes chapters of this run.
        OutOfTime: The minutes were not enough; the same call goes on from there.
    """
    if jobs < 0:
        raise BookError(f"jobs = {jobs}: chapters at a time are 1 or more, or 0 for as many as suit this machine")
    chapters = list(dict.fromkeys(book.find(name) for name in names)) or book.chapters
    for chapter in chapters:
        check_pair(chapter)
    chosen = chosen_parameters(book, chapters, profile, given or {})
    waiting = waits([chapter.name for chapter in chapters], read_needs(book))
    folder = book.run_folder(profile, str((given or {}).get("source", "")))
    deadline = None if minutes is None else time.time() + 60 * minutes
    keeping = (not names or minutes is not None) and not again
    outlook = Outlook(waiting, earlier_seconds(folder, book.executed))
    run = _Run(book, profile, folder, chapters, chosen, waiting, list(given or {}), say, keeping, deadline, outlook)
    with alone_in(folder), _environment({"JUPYTER_PREFER_ENV_PATH": "1"}):  # this environment's kernel, not the user's
        outlook.jobs = jobs or usual_jobs(run.values())
        plan = Plan(waiting, urgency(waiting, outlook.earlier), outlook.jobs, has_room)
        with reported(outlook.__str__):
            left = work_through(plan, run.begin, run.end, run.kernels.stop, run.going)
    run.conclude(left, minutes)
    return folder


def usual_jobs(values: Sequence[Mapping[str, Any]]) -> int:
    """Chapters at a time: as many as there are cores, and `MEMORY` for each.

    One after the other where a GPU is shared, or where a training's length is in minutes: it would take fewer steps.

    Args:
        values: The parameters of each chapter.
    """
    import psutil
    import torch

    if torch.cuda.is_available() or any(each.get("budget_minutes") for each in values):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().available // MEMORY)))


def has_room() -> bool:
    """Whether a further chapter may begin beside others: `MEMORY` is free."""
    import psutil

    return psutil.virtual_memory().available >= MEMORY


def one_thread() -> dict[str, str]:
    """What gives a chapter's kernel and its processes one thread each, unless the environment says how many.

    Chapters share the cores with each other and with the processes that they start. The networks' many small steps
    gain next to nothing by a second thread (`benchmarks/waiting.py`), and with one thread the numbers of a chapter do
    not depend on how many cores there are. Where there is a GPU, it works and chapters go one after the other.
    """
    import torch

    return {} if "OMP_NUM_THREADS" in os.environ or torch.cuda.is_available() else {"OMP_NUM_THREADS": "1"}


class Kernels:
    """The kernels of the chapters that are being executed: what they are told, and how all of them end at once."""

    def __init__(self) -> None:
        self.stopped = False
        self._managers: list[Any] = []

    def of(self, folder: Path, variables: Mapping[str, str], log: Path) -> type:
        """What starts a kernel in a folder, with further variables in its environment.

        What it and its processes write outside the cells' outputs goes to a file: side by side it would be a tangle.
        """
        from jupyter_client.manager import AsyncKernelManager

        kernels = self

        class Manager(AsyncKernelManager):
            async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
                if kernels.stopped:
                    raise RuntimeError("no kernel is started any more")
                kernels._managers.append(self)
                options |= {"cwd": str(folder), "env": {**os.environ, **variables}}
                with log.open("wb") as said:
                    await AsyncKernelManager.start_kernel(self, stdout=said, stderr=said, **options)

        return Manager

    def stop(self) -> None:
        """Ends all kernels at once, with the processes that they have started."""
        self.stopped = True
        for manager in self._managers:
            pid = getattr(manager.provisioner, "pid", None)
            if pid and manager.has_kernel:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGTERM)  # a kernel leads a group of its own


@dataclass
class _Run:
    """What is known of the chapters of a run while they are executed."""

    book: Book
    profile: str
    folder: Path
    chapters: Sequence[Chapter]
    chosen: Mapping[str, dict[str, Value]]  # what differs from a chapter's defaults
    waits: Mapping[str, set[str]]
    given: Sequence[str]  # names that were given by hand
    say: Callable[[str], Any]
    keeping: bool  # whether chapters that have not changed are kept
    deadline: float | None
    outlook: Outlook
    kernels: Kernels = field(default_factory=Kernels)
    kept: dict[str, str] = field(default_factory=dict)  # when they were executed
    running: dict[str, set[str]] = field(default_factory=dict)  # and what ran beside each of them
    failures: list[str] = field(default_factory=list)
    pause: OutOfTime | None = None

    def values(self) -> list[Mapping[str, Any]]:
        """All parameters of each chapter."""
        return [parameters(chapter) | self.chosen[chapter.name] for chapter in self.chapters]

    def going(self) -> bool:
        """Whether there is time for a further chapter."""
        return not self.pause and not (self.deadline and time.time() > self.deadline)

    def begin(self, name: str) -> Callable[[], float] | None:
        """The execution of a chapter whose turn has come; none if it can be kept."""
        chapter = self._chapter(name)
        when = self._kept_since(chapter) if self.keeping else ""
        told = _listed(self.chosen[name]) or "its defaults"
        told = "kept: nothing it depends on has changed" if when else told
        self.say(f"[{self.chapters.index(chapter) + 1}/{len(self.chapters)}] {name}: {told}")
        if when:
            self.kept[name] = when
            self.outlook.end(name, kept=True)
            return None
        self.outlook.begin(name)
        self.running[name] = set(self.running)
        for beside in self.running[name]:
            self.running[beside].add(name)
        return partial(self._timed, chapter)

    def end(self, name: str, seconds: float | None, error: BaseException | None) -> None:
        """Enters a chapter in the manifest, or among the failures."""
        beside = sorted(self.running.pop(name))
        self.outlook.end(name)
        if isinstance(error, OutOfTime):
            self.pause = error
        elif isinstance(error, BookError):
            self.failures.append(str(error))
            self.say(f"      {error}")
        elif error:
            raise error
        else:
            record(self.folder, self._chapter(name), self.profile, self.chosen[name], seconds or 0.0, beside)
            self.say(f"      {name}: {seconds:.0f} s")

    def conclude(self, left: Sequence[str], minutes: float | int | None) -> None:
        """Raises what there is to be said of chapters that failed, or that there was no time for."""
        if self.failures:
            needing = [name for name in left if self.waits[name]] if self.going() else []
            after = f"; not executed, as they need what failed: {', '.join(needing)}" if needing else ""
            raise BookError("\n".join(self.failures) + after)
        if self.pause:
            raise self.pause
        if left:
            raise OutOfTime(f"the {minutes:g} minutes are over before {left[0]}: the same command goes on with it")

    def _chapter(self, name: str) -> Chapter:
        return next(chapter for chapter in self.chapters if chapter.name == name)

    def _kept_since(self, chapter: Chapter) -> str:
        """When a chapter was executed as it would be now, after all that it waits for; empty if it was not."""
        before = self.waits[chapter.name]
        if not before <= self.kept.keys():
            return ""
        finished = _finished(self.folder, chapter, self.profile, self.chosen[chapter.name])
        return finished if finished >= max((self.kept[name] for name in before), default="") else ""

    def _timed(self, chapter: Chapter) -> float:
        start = time.perf_counter()
        variables = {GIVEN: " ".join(self.given)} | ({} if self.deadline is None else {DEADLINE: str(self.deadline)})
        _execute(self.book, chapter, self.chosen[chapter.name], self.folder, self.kernels, variables)
        return time.perf_counter() - start


def _execute(
    book: Book,
    chapter: Chapter,
    values: dict[str, Value],
    folder: Path,
    kernels: Kernels,
    variables: Mapping[str, str],
) -> None:
    import papermill
    from jupyter_core.utils import ensure_event_loop
    from traitlets.config import Config

    root, folder = book.root.resolve(), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    running, failed = (folder / f"{chapter.name}.{state}.ipynb" for state in ("running", "failed"))
    scenes, log = folder / SCENES / f"{chapter.name}.running", folder / f"{chapter.name}.log"
    shutil.rmtree(scenes, ignore_errors=True)
    scenes.mkdir(parents=True)
    own = {
        FOLDER_VARIABLE: str(scenes),
        RUN: str(os.getpid()),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # or the debugger of ipykernel warns in the first output
        **one_thread(),
    }
    try:
        with closing(ensure_event_loop()):  # each thread has one of its own
            papermill.execute_notebook(
                chapter.notebook.resolve(),
                running,
                parameters=values,
                kernel_name="python3",
                progress_bar=False,
                store_widget_state=False,
                kernel_manager_class=kernels.of(root, {**own, **variables}, log),
                config=Config({"KernelManager": {"transport_encryption": "auto"}}),  # or ipykernel warns
            )
    except (papermill.PapermillExecutionError, RuntimeError) as error:  # the latter of a kernel that dies, or never is
        shutil.rmtree(scenes)
        paused = getattr(error, "ename", "") in (OutOfTime.__name__, Stopped.__name__)
        if kernels.stopped or paused:
            for file in (running, log):
                file.unlink(missing_ok=True)
        if kernels.stopped:
            raise
        if paused:
            raise OutOfTime(f"chapter {chapter.name} is paused: {getattr(error, 'evalue', '')}") from error
        with suppress(FileNotFoundError):
            os.replace(running, failed)
        if log.exists() and not log.stat().st_size:
            log.unlink()
        raise BookError(f"chapter {chapter.name} {_reason(error)}; up to there it is {failed}") from error
    for file in (failed, log):
        file.unlink(missing_ok=True)
    write_folder(folder / SCENES / chapter.name, lambda path: os.replace(scenes, path))
    os.replace(running, folder / f"{chapter.name}.ipynb")


def _reason(error: Exception) -> str:
    import nbclient.exceptions
    import papermill

    if isinstance(error, nbclient.exceptions.DeadKernelError):
        return "lost its kernel, most likely for want of memory; a smaller profile needs less"
    if not isinstance(error, papermill.PapermillExecutionError):
        return f"has no kernel ({error})"
    lines = [line for line in error.source.splitlines() if line.strip()]
    line = next((found for found in map(_arrow, reversed(error.traceback)) if found), lines[-1] if lines else "")
    message = (error.evalue.splitlines() or [""])[0]
    if error.traceback == [f"{error.ename}: {error.evalue}"]:  # a PlainError: where it was met tells no more
        return f"stopped: {message}"
    return f"stopped in cell [{error.exec_count}], `{line.strip()}`: {error.ename}: {message}"


def _arrow(entry: str) -> str:
    """The line of the cell that a traceback's entry points at, if it is an entry of a cell."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", entry)
    found = re.search(r"^-+> *\d+ (.*)$", plain, re.MULTILINE)
    return found[1] if found and plain.lstrip().startswith(("Cell", "Input", "File <ipython")) else ""


def _finished(folder: Path, chapter: Chapter, profile: str, values: Mapping[str, Value]) -> str:
    """When a chapter was executed as it would be now; empty if it was not."""
    kept, now = read_manifest(folder).get(chapter.name), _entry(chapter, profile, values, 0.0)
    if kept is None or not (folder / f"{chapter.name}.ipynb").exists():
        return ""
    same = ("profile", "source", "library", "parameters", "changed", "versions", "device")
    return kept.get("finished", "") if all(kept.get(key) == now[key] for key in same) else ""


def _listed(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
