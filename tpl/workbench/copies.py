"""Copies of the chapters in `lab/`, which JupyterLab opens: whatever is done to them, the book stays as it is.

lab/NN_name.ipynb     the copy: a line that says what it is, the form in the place of the parameters cell, the chapter
lab/kept/             copies that were put back, as they were
lab/.copies.json      what each was made from, and how it was written
lab/.forms/           what the forms say
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tpl.book.book import Book, BookError, Chapter
from tpl.book.pairs import paired_notebook
from tpl.files import write_file
from tpl.workbench.references import References

FOLDER = "lab"
RECORD = ".copies.json"

FORM = """\
# What can be turned in this chapter: run this cell (Shift+Enter), and the form appears.
from tpl import workbench

form = workbench.form("{name}")
form.widget"""

VALUES = "globals().update(form.values)  # what the form says in the moment in which this cell runs"

HEAD = """\
> **A copy of chapter `{name}`, to try things in.** Change what you like: the book does not notice. Run the first cell
> for the form, turn what you want to know about, then choose *Run > Run All Cells*. To change the book itself, see
> `CONTRIBUTING.md`."""

State = Literal["made", "as it was", "brought up to date", "kept, though the chapter has changed: it was changed here"]


class Copy(NamedTuple):
    """A chapter's copy, and what became of it."""

    file: Path
    state: State


def folder(book: Book) -> Path:
    """Where the copies lie; git ignores it."""
    return book.root / FOLDER


def bring_up_to_date(book: Book) -> list[Copy]:
    """Makes the copies that are missing, and makes those anew whose chapter has changed and that nobody has touched.

    A copy counts as touched where a cell says something else than it was written with; what cells have put out goes.
    """
    return [_bring(book, chapter) for chapter in book.chapters]


def put_back(book: Book, name: str) -> Path | None:
    """Makes a chapter's copy anew; returns where the copy of before is kept, if it had been touched."""
    chapter, kept = book.find(name), None
    file = folder(book) / f"{chapter.name}.ipynb"
    if file.exists() and is_touched(book, chapter):
        kept = file.parent / "kept" / f"{chapter.name} {time.strftime('%Y-%m-%d %H.%M.%S')}.ipynb"
        kept.parent.mkdir(exist_ok=True)
        os.replace(file, kept)
    _write(book, chapter)
    return kept


def is_touched(book: Book, chapter: Chapter) -> bool:
    """Whether the cells of a chapter's copy say something else than they were written with."""
    return _digest(_read(folder(book) / f"{chapter.name}.ipynb")) != _record(book).get(chapter.name, {}).get("copy")


def is_outdated(book: Book, chapter: Chapter) -> bool:
    """Whether a chapter has changed since its copy was made."""
    return _record(book).get(chapter.name, {}).get("source") != chapter.digest


def copied(book: Book, chapter: Chapter) -> Any:
    """The notebook of a chapter with a line on top, the form for its parameters, and references that lead somewhere."""
    import nbformat

    notebook, file = paired_notebook(chapter), f"{chapter.name}.ipynb"
    cells, references = [], References.of(book)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cells += [nbformat.v4.new_code_cell(FORM.format(name=chapter.name)), nbformat.v4.new_code_cell(VALUES)]
            continue
        if cell.cell_type == "markdown":
            cell.source = references.resolved(cell.source, file)
        elif cell.cell_type == "code":
            cell.source = references.announced(cell.source, cell.metadata)
        cells.append(cell)
    notebook.cells = [nbformat.v4.new_markdown_cell(HEAD.format(name=chapter.name)), *cells]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    return notebook


def _bring(book: Book, chapter: Chapter) -> Copy:
    file = folder(book) / f"{chapter.name}.ipynb"
    if not file.exists():
        return _write(book, chapter)
    if not is_outdated(book, chapter):
        return Copy(file, "as it was")
    if is_touched(book, chapter):
        return Copy(file, "kept, though the chapter has changed: it was changed here")
    return _write(book, chapter)._replace(state="brought up to date")


def _write(book: Book, chapter: Chapter) -> Copy:
    import nbformat

    notebook, file = copied(book, chapter), folder(book) / f"{chapter.name}.ipynb"
    write_file(file, lambda path: nbformat.write(notebook, path))
    record = _record(book) | {chapter.name: {"source": chapter.digest, "copy": _digest(notebook)}}
    write_file(file.with_name(RECORD), lambda path: path.write_text(json.dumps(record, indent=1)))
    return Copy(file, "made")


def _record(book: Book) -> dict[str, dict[str, str]]:
    """What is known of the copies; a file that cannot be read says nothing, so that all count as touched."""
    try:
        return json.loads((folder(book) / RECORD).read_text())
    except (OSError, ValueError):
        return {}


def _read(file: Path) -> Any:
    import nbformat

    try:
        return nbformat.read(file, as_version=4)
    except Exception as error:  # nbformat has no error of its own for what is no notebook
        raise BookError(f"{file} cannot be read as a notebook: move it away, and `tpl lab` makes it anew") from error


def _digest(notebook: Any) -> str:
    return hashlib.sha256(json.dumps([cell.source for cell in notebook.cells]).encode()).hexdigest()[:16]
