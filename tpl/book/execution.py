"""The book's chapters: their pairs, their parameters, and their execution by papermill into a run folder.

    book/NN_name.md                       the source, MyST
    book/NN_name.ipynb                    its pair without outputs, for papermill, Colab, GitHub
    book/profiles/<profile>/NN_name.yml   parameters that differ from the chapter's defaults
    runs/<profile>/book/                  executed notebooks, `_scenes/`, `manifest.json`
    book/executed/                        the published run, the same three, cleaned

`tpl.book.site` makes the pages.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tpl.book.book import DEFAULT_PROFILE, Book, BookError, Chapter, Value
from tpl.book.hyperparameters import GIVEN
from tpl.book.manifest import SCENES, _entry, read_manifest, record
from tpl.book.pairs import check_pair
from tpl.book.parameters import chosen_parameters
from tpl.errors import DEADLINE, OutOfTime
from tpl.files import alone_in, write_folder
from tpl.look.scenes import FOLDER_VARIABLE

# --- pairs


# --- parameters


# --- execution


def run_chapters(
    book: Book,
    names: Sequence[str] = (),
    profile: str = DEFAULT_PROFILE,
    given: Mapping[str, Any] | None = None,
    say: Callable[[str], Any] = print,
    again: bool = False,
    minutes: float | int | None = None,
) -> Path:
    """Executes chapters, all by default, into the profile's run folder, and returns it.

    Everything is checked before the first is started. Each starts in the root of the repository. A finished
    one replaces the copy of an earlier run and has its entry in the manifest; one that fails stops the run and
    leaves `<chapter>.failed.ipynb`.

    Of the whole book, and of chapters that are executed in pieces, the first that were executed already as they would
    be now are kept: the same text, library, parameters, package versions and device, and later than those before them.
    From the first that was not, all are executed, since each may read what those before it left.

    Args:
        book: The book.
        names: Chapters, which are executed whatever was before unless `minutes` are given; none for the whole book.
        profile: Which parameters differ from the chapters' defaults.
        given: Parameters that differ from the profile's.
        say: Told what happens.
        again: Whether all are executed even where nothing has changed.
        minutes: After so many no further chapter is started, and a training that goes on is saved and paused.

    Raises:
        BookError: A wrong name or value, or a chapter that failed.
        BusyError: Another process executes chapters of this run.
        OutOfTime: The minutes were not enough; the same call goes on from there.
    """
    chapters = [book.find(name) for name in names] or book.chapters
    for chapter in chapters:
        check_pair(chapter)
    chosen = chosen_parameters(book, chapters, profile, given or {})
    folder = book.run_folder(profile, str((given or {}).get("source", "")))
    keeping, newest = (not names or minutes is not None) and not again, ""
    deadline = None if minutes is None else time.time() + 60 * minutes
    with alone_in(folder):
        for number, chapter in enumerate(chapters, start=1):
            if keeping:
                finished = _finished(folder, chapter, profile, chosen[chapter.name])
                keeping = finished >= newest and bool(finished)
                newest = finished
            told = _listed(chosen[chapter.name]) or "its defaults"
            told = "kept: nothing it depends on has changed" if keeping else told
            say(f"[{number}/{len(chapters)}] {chapter.name}: {told}")
            if keeping:
                continue
            if deadline and time.time() > deadline:
                raise OutOfTime(
                    f"the {minutes:g} minutes are over before {chapter.name}: the same command goes on with it"
                )
            start = time.perf_counter()
            _execute(book, chapter, chosen[chapter.name], folder, deadline, list(given or {}))
            seconds = time.perf_counter() - start
            record(folder, chapter, profile, chosen[chapter.name], seconds)
            say(f"      {seconds:.0f} s")
    return folder


def _execute(
    book: Book,
    chapter: Chapter,
    values: dict[str, Value],
    folder: Path,
    deadline: float | None = None,
    given: Sequence[str] = (),
) -> None:
    import nbclient.exceptions
    import papermill
    from traitlets.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    running, failed = (folder / f"{chapter.name}.{state}.ipynb" for state in ("running", "failed"))
    scenes = folder / SCENES / f"{chapter.name}.running"
    shutil.rmtree(scenes, ignore_errors=True)
    scenes.mkdir(parents=True)
    variables = {
        FOLDER_VARIABLE: str(scenes.resolve()),
        GIVEN: " ".join(given),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, whatever kernels the user has elsewhere
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # or the debugger of ipykernel warns in the first output
        **({} if deadline is None else {DEADLINE: str(deadline)}),
    }
    try:
        with _environment(variables):
            papermill.execute_notebook(
                chapter.notebook,
                running,
                parameters=values,
                kernel_name="python3",
                cwd=book.root,
                progress_bar=sys.stderr.isatty(),
                store_widget_state=False,
                config=Config({"KernelManager": {"transport_encryption": "auto"}}),  # or ipykernel warns
            )
    except (papermill.PapermillExecutionError, nbclient.exceptions.DeadKernelError) as error:
        shutil.rmtree(scenes)
        if getattr(error, "ename", "") == OutOfTime.__name__:
            running.unlink()
            raise OutOfTime(f"chapter {chapter.name} is paused: {getattr(error, 'evalue', '')}") from error
        os.replace(running, failed)
        raise BookError(f"chapter {chapter.name} {_reason(error)}; up to there it is {failed}") from error
    failed.unlink(missing_ok=True)
    write_folder(folder / SCENES / chapter.name, lambda path: os.replace(scenes, path))
    os.replace(running, folder / f"{chapter.name}.ipynb")


def _reason(error: Exception) -> str:
    import papermill

    if not isinstance(error, papermill.PapermillExecutionError):
        return "lost its kernel, most likely for want of memory; a smaller profile needs less"
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
    return kept["finished"] if all(kept[key] == now[key] for key in same) else ""


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


# --- the published run
