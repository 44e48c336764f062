"""The book's chapters: their pairs, their parameters, and their execution by papermill into a run folder.

    book/NN_name.md                       the source, MyST
    book/NN_name.ipynb                    its pair without outputs, for papermill, Colab, GitHub
    book/profiles/<profile>/NN_name.yml   parameters that differ from the chapter's defaults
    runs/<profile>/book/                  executed notebooks, `_scenes/`, `manifest.json`
    book/executed/                        the published run, the same three, cleaned

`tpl.site` makes the pages.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tpl.errors import DEADLINE, OutOfTime, PlainError
from tpl.files import beside, write_atomically
from tpl.scenes import FOLDER_VARIABLE, MIME

Value = int | float | str | bool

DEFAULT_PROFILE = "quick"  # the chapters' own defaults, so that it needs no file
MANIFEST = "manifest.json"
SCENES = "_scenes"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


class BookError(PlainError):
    """Something about the book is not what is needed; the message names it and the remedy."""


@dataclass(frozen=True)
class Chapter:
    """One page of the book that is executed."""

    name: str
    source: Path  # .md
    notebook: Path  # .ipynb

    @property
    def digest(self) -> str:
        """A hash of the source, which tells whether an executed copy is of this text."""
        return hashlib.sha256(self.source.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Book:
    """The book below a folder, as its `_toc.yml` lists it."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where the sources lie."""
        return self.root / "book"

    @property
    def executed(self) -> Path:
        """The published run."""
        return self.folder / "executed"

    def run_folder(self, profile: str, source: str = "") -> Path:
        """Where the chapters of one profile go when they are executed, with shapes of another source if it is named."""
        return self.root / "runs" / beside(profile, source) / "book"

    @property
    def pages(self) -> list[str]:
        """All pages in the order of reading, without `book/` and suffix."""
        file = self.root / "_toc.yml"
        if not file.exists():
            raise BookError(f"no book in {self.root}: it has no _toc.yml; run this in a clone of the repository")
        toc = yaml.safe_load(file.read_text(encoding="utf-8"))

        def files(entry: Any) -> Iterator[str]:
            if isinstance(entry, dict):
                yield from (str(value) for key, value in entry.items() if key in ("root", "file"))
                for key in ("parts", "chapters", "sections"):
                    yield from files(entry.get(key, []))
            elif isinstance(entry, list):
                for item in entry:
                    yield from files(item)

        return [Path(name).name for name in files(toc)]

    @property
    def chapters(self) -> list[Chapter]:
        """The executed pages in the order of execution: that of reading, but the first page, which shows
        the results of the others, comes last."""
        pages = self.pages
        for name in pages:
            if not (file := self.folder / f"{name}.md").exists():
                raise BookError(f"_toc.yml lists {name}, but there is no {file}")
        written = {chapter.name: chapter for chapter in self.sources}
        return [written[name] for name in [*pages[1:], pages[0]] if name in written]

    @property
    def sources(self) -> list[Chapter]:
        """Every chapter that is written, whether the book lists it or not."""
        found = sorted(self.folder.glob("*.md"))
        return [Chapter(path.stem, path, path.with_suffix(".ipynb")) for path in found if _is_executed(path)]

    def find(self, name: str) -> Chapter:
        """A chapter by its name, its path, or the beginning of its name.

        Raises:
            BookError: None, or more than one.
        """
        stem = Path(name).stem
        exact = [chapter for chapter in self.chapters if chapter.name == stem]
        found = exact or [chapter for chapter in self.chapters if chapter.name.startswith(stem)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(chapter.name for chapter in found or self.chapters))
        raise BookError(f"'{name}' could be {names}" if found else f"no chapter '{name}'; there are {names}")

    def profile(self, name: str, chapter: Chapter) -> dict[str, Any]:
        """What a profile changes in a chapter.

        Raises:
            BookError: There is no such profile, or its file is not a list of names and values.
        """
        folder = self.folder / "profiles"
        profiles = sorted({DEFAULT_PROFILE} | {path.name for path in folder.glob("*") if path.is_dir()})
        if name not in profiles:
            raise BookError(f"no profile '{name}'; there are {', '.join(profiles)}")
        file = folder / name / f"{chapter.name}.yml"
        if not file.exists():
            return {}
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise BookError(f"{file} is not YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(values, dict):
            raise BookError(f"{file} should hold lines `name: value`, not {values!r}")
        return values


def _is_executed(page: Path) -> bool:
    """Whether a page's front matter names a kernel; one that does not is plain text."""
    front = re.match(r"---\n(.*?)\n---\n", page.read_text(encoding="utf-8"), re.DOTALL)
    return bool(front and "kernelspec:" in front[1])


def at_root() -> None:
    """Makes the root of the repository the working directory, where the chapters' paths begin.

    Papermill starts there already; JupyterLab starts in the folder of the chapter.
    """
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists()), here)
    os.chdir(root)


# --- pairs


def paired_notebook(chapter: Chapter) -> Any:
    """The notebook of a chapter's source, without outputs, always the same for the same text."""
    import jupytext

    notebook = jupytext.read(chapter.source)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    notebook.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def pair(book: Book) -> list[Path]:
    """Writes the notebook of every chapter whose source has changed; returns those written."""
    import nbformat

    written = []
    for chapter in book.sources:
        text = nbformat.writes(paired_notebook(chapter)) + "\n"
        if not chapter.notebook.exists() or chapter.notebook.read_text(encoding="utf-8") != text:
            write_atomically(chapter.notebook, lambda path, text=text: path.write_text(text, encoding="utf-8"))
            written.append(chapter.notebook)
    return written


def check_pair(chapter: Chapter) -> None:
    """Makes sure that a chapter's notebook says what its source says.

    Raises:
        BookError: They differ, or there is no notebook.
    """
    import nbformat
    from jupytext.compare import NotebookDifference, compare_notebooks

    if not chapter.notebook.exists():
        raise BookError(f"{chapter.source} has no notebook beside it; write it by `tpl pair`")
    try:
        compare_notebooks(nbformat.read(chapter.notebook, as_version=4), paired_notebook(chapter), "md:myst")
    except NotebookDifference as error:
        raise BookError(
            f"{chapter.source} and {chapter.notebook.name} differ; keep the .md and run `tpl pair`, "
            f"or keep the notebook and run `jupytext --to md:myst {chapter.notebook}`"
        ) from error


# --- parameters


def parameters(chapter: Chapter) -> dict[str, Value]:
    """The parameters of a chapter and their defaults, from its cell tagged `parameters`."""
    import papermill

    found = papermill.inspect_notebook(chapter.notebook)
    return {name: ast.literal_eval(parameter["default"]) for name, parameter in found.items()}


def converted(name: str, value: Any, default: Value) -> Value:
    """A value as its parameter wants it: what a command line or YAML says, in the type of the default.

    Raises:
        BookError: It is not of this type.
    """
    kind = type(default)
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and kind in (int, float):  # YAML itself reads 1e-4 as text
        try:
            return kind(value)
        except ValueError:
            pass
    if type(value) is kind or (kind is float and type(value) is int):
        return kind(value)
    raise BookError(f"parameter {name} is {kind.__name__} (default {default!r}), and {value!r} is not")


def chosen_parameters(
    book: Book, chapters: Sequence[Chapter], profile: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Value]]:
    """What each chapter is run with beyond its defaults: the profile's values, then those given by hand.

    A given parameter goes to all chapters that have it; one that none of them has is refused, as is any
    parameter in a profile that its chapter does not have.

    Raises:
        BookError: The unknown name and those that exist, or a value of another type.
    """
    known = {chapter.name: parameters(chapter) for chapter in chapters}
    for name in given:
        if not any(name in defaults for defaults in known.values()):
            raise BookError(_unknown(name, known))
    chosen = {}
    for chapter in chapters:
        defaults, values = known[chapter.name], book.profile(profile, chapter)
        for name in values:
            if name not in defaults:
                raise BookError(f"profile '{profile}': {_unknown(name, {chapter.name: defaults})}")
        values = values | {name: value for name, value in given.items() if name in defaults}
        chosen[chapter.name] = {name: converted(name, value, defaults[name]) for name, value in values.items()}
    return chosen


def _unknown(name: str, known: Mapping[str, Mapping[str, Value]]) -> str:
    has = "; ".join(
        f"{chapter} has " + (", ".join(f"{key} = {default!r}" for key, default in defaults.items()) or "none")
        for chapter, defaults in known.items()
    )
    return f"no parameter '{name}': {has}"


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
        OutOfTime: The minutes were not enough; the same call goes on from there.
    """
    chapters = [book.find(name) for name in names] or book.chapters
    for chapter in chapters:
        check_pair(chapter)
    chosen = chosen_parameters(book, chapters, profile, given or {})
    folder = book.run_folder(profile, str((given or {}).get("source", "")))
    keeping, newest = (not names or minutes is not None) and not again, ""
    deadline = None if minutes is None else time.time() + 60 * minutes
    for number, chapter in enumerate(chapters, start=1):
        if keeping:
            finished = _finished(folder, chapter, profile, chosen[chapter.name])
            keeping = finished >= newest and bool(finished)
            newest = finished
        told = "kept: nothing it depends on has changed" if keeping else _listed(chosen[chapter.name]) or "its defaults"
        say(f"[{number}/{len(chapters)}] {chapter.name}: {told}")
        if keeping:
            continue
        if deadline and time.time() > deadline:
            raise OutOfTime(f"the {minutes:g} minutes are over before {chapter.name}: the same command goes on with it")
        start = time.perf_counter()
        _execute(book, chapter, chosen[chapter.name], folder, deadline)
        seconds = time.perf_counter() - start
        record(folder, chapter, profile, chosen[chapter.name], seconds)
        say(f"      {seconds:.0f} s")
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """What is known of the executed chapters in a folder: one entry a chapter; empty before the first run."""
    file = folder / MANIFEST
    if not file.exists():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))["chapters"]
    except (ValueError, KeyError) as error:
        raise BookError(f"{file} cannot be read; remove it and run the chapters again") from error


def _execute(
    book: Book, chapter: Chapter, values: dict[str, Value], folder: Path, deadline: float | None = None
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
    write_atomically(folder / SCENES / chapter.name, lambda path: os.replace(scenes, path))
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
    same = ("profile", "source", "library", "parameters", "versions", "device")
    return kept["finished"] if all(kept[key] == now[key] for key in same) else ""


def record(folder: Path, chapter: Chapter, profile: str, values: Mapping[str, Value], seconds: float) -> None:
    """Enters an execution in the manifest: what was run, with which parameters, where, and how long it took."""
    entries, entry = read_manifest(folder), _entry(chapter, profile, values, seconds)
    # The second run of a chapter loads its trainings: what they took stays known.
    before = entries.get(chapter.name, {})
    known = before.get("parameters", {}).items()  # a chapter may have got further ones since
    same = before.get("device") == entry["device"] and known <= entry["parameters"].items()
    entry["longest_seconds"] = max(entry["seconds"], before.get("longest_seconds", 0) if same else 0)
    entries[chapter.name] = entry
    text = json.dumps({"chapters": entries}, indent=1)
    write_atomically(folder / MANIFEST, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def _entry(chapter: Chapter, profile: str, values: Mapping[str, Value], seconds: float) -> dict[str, Any]:
    import torch

    from tpl.training.runs import describe_run

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    facts = describe_run(device, seconds)
    facts.pop("peak_memory_gb", None)  # this process's, not the chapter's
    return {
        "profile": profile,
        "source": chapter.digest,
        "library": library_digest(),
        "parameters": parameters(chapter) | dict(values),
        "changed": dict(values),
        **facts,
        "gpu": device.type == "cuda",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def library_digest() -> str:
    """A hash of the library's sources."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


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


def publish(book: Book, profile: str = DEFAULT_PROFILE) -> Path:
    """Makes a profile's run the published one: its chapters, cleaned, their scenes and the manifest.

    Raises:
        BookError: A chapter has not been executed, or failed, or is of another text than its source's.
    """
    folder = book.run_folder(profile)
    entries = read_manifest(folder)
    notebooks = executed_notebooks(book, folder)
    for chapter in book.chapters:
        if entries.get(chapter.name, {}).get("source") != chapter.digest:
            raise BookError(
                f"{chapter.name} has changed since it was executed; run `tpl run {chapter.name} --profile {profile}`"
            )

    def fill(target: Path) -> None:
        import nbformat

        target.mkdir()
        for name, notebook in notebooks.items():
            nbformat.write(cleaned(notebook, book.root), target / f"{name}.ipynb")
            shutil.copytree(folder / SCENES / name, target / SCENES / name)
        manifest = {"chapters": {name: entries[name] for name in sorted(notebooks)}}
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

    write_atomically(book.executed, fill)
    return book.executed


def executed_notebooks(book: Book, folder: Path, whole: bool = True) -> dict[str, Any]:
    """The executed chapters in a folder by name.

    Args:
        book: The book.
        folder: Where they lie.
        whole: Whether all chapters of the book must be there, or the first page alone.

    Raises:
        BookError: Chapters of the book are not there, or hold a failed execution.
    """
    import nbformat

    missing = [chapter.name for chapter in book.chapters if not (folder / f"{chapter.name}.ipynb").exists()]
    if missing and (whole or book.pages[0] in missing):
        raise BookError(f"not executed in {folder}: {', '.join(missing)}; run `tpl run {' '.join(missing)}`")
    notebooks = {}
    for chapter in book.chapters:
        if chapter.name in missing:
            continue
        path = folder / f"{chapter.name}.ipynb"
        try:
            notebooks[chapter.name] = nbformat.read(path, as_version=4)
        except (ValueError, nbformat.reader.NotJSONError) as error:
            raise BookError(f"{path} is not a notebook; run `tpl run {chapter.name}` again") from error
        if notebooks[chapter.name].metadata.get("papermill", {}).get("exception"):
            raise BookError(f"{path} holds a failed execution; run `tpl run {chapter.name}` again")
    return notebooks


def cleaned(notebook: Any, root: Path) -> Any:
    """A copy without widgets, papermill's notes and the paths of this machine."""
    import nbformat

    text = nbformat.writes(notebook).replace(f"{root.resolve()}{os.sep}", "")
    # The home of whoever ran it, where a path begins with it: within a picture's code the same letters mean nothing.
    if (home := str(Path.home())) != "/":
        text = re.sub(rf"(?<![\w+/]){re.escape(home)}/", "~/", text)
    notebook = nbformat.reads(text, as_version=4)
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(_without_widget, cell.outputs) if output is not None]
    return notebook


def _without_widget(output: Any) -> Any:
    data = output.get("data", {})
    if WIDGET not in data:
        return output
    del data[WIDGET]
    return output if any(key.endswith(MIME) or key != "text/plain" for key in data) else None
