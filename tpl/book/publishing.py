"""The published run: executed chapters, cleaned of what belongs to one machine."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from tpl.book.book import DEFAULT_PROFILE, Book, BookError
from tpl.book.manifest import MANIFEST, SCENES, read_manifest
from tpl.book.revising import with_its_words
from tpl.border import border
from tpl.files import alone_in, write_folder
from tpl.look.scenes import MIME

WIDGET = "application/vnd.jupyter.widget-view+json"


def publish(book: Book, profile: str = DEFAULT_PROFILE) -> Path:
    """Makes a profile's run the published one: its chapters, cleaned, their scenes and the manifest.

    Raises:
        BookError: A chapter has not been executed, or failed, or is of other code than its source's.
        BusyError: Another process executes chapters of this run, or publishes one.
    """
    folder = book.run_folder(profile)
    executed_notebooks(book, folder)  # says what is missing before a folder is made for the lock
    with alone_in(folder), alone_in(book.executed, book.root / "_build" / ".publish.lock"):
        return _publish(book, profile, folder)


def _publish(book: Book, profile: str, folder: Path) -> Path:
    entries = read_manifest(folder)
    notebooks = executed_notebooks(book, folder)
    for chapter in book.chapters:
        found = with_its_words(chapter, notebooks[chapter.name], entries.get(chapter.name, {}))
        notebooks[chapter.name], entries[chapter.name] = found
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

    write_folder(book.executed, fill)
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
        with border(path, f"run `tpl run {chapter.name}` again", BookError, " as a notebook"):
            notebooks[chapter.name] = nbformat.read(path, as_version=4)
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
