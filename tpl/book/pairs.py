"""A chapter's source and its notebook, kept in step."""

from pathlib import Path
from typing import Any

from tpl.book.book import Book, BookError, Chapter
from tpl.files import write_file

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


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
            write_file(chapter.notebook, lambda path, text=text: path.write_text(text, encoding="utf-8"))
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
