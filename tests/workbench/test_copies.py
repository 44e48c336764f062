"""The copies that JupyterLab opens: whatever is done to them, the book stays, and nothing of theirs is lost."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tpl.book.book import Book, BookError
from tpl.book.pairs import pair
from tpl.workbench.copies import FOLDER, bring_up_to_date, copied, folder, put_back

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(tmp_path) -> Book:
    """The book of this repository, to be changed."""
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("executed", "_static"))
    for name in ("_toc.yml", "references.bib"):
        shutil.copy(ROOT / name, tmp_path)
    return Book(tmp_path)


def cells(file: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(file, as_version=4).cells]


def change(file: Path, old: str, new: str) -> None:
    """As somebody does in JupyterLab, outputs and all."""
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="done")]
    nbformat.write(notebook, file)


def rewrite(book: Book, name: str) -> None:
    source = book.find(name).source
    source.write_text(source.read_text().replace("## The objective", "## What is minimised"))
    pair(book)


def test_every_chapter_has_a_copy_whose_parameters_are_a_form(book):
    made = bring_up_to_date(book)
    assert [copy.file.stem for copy in made] == [chapter.name for chapter in book.chapters]
    assert {copy.state for copy in made} == {"made"}
    for copy, chapter in zip(made, book.chapters, strict=True):
        nbformat.validate(nbformat.read(copy.file, as_version=4))
        written, of_book = cells(copy.file), cells(chapter.notebook)
        assert f"A copy of chapter `{chapter.name}`" in written[0]
        forms = [source for source in written if f'workbench.form("{chapter.name}")' in source]
        tagged = "parameters" in str([cell.metadata for cell in nbformat.read(chapter.notebook, as_version=4).cells])
        assert len(forms) == tagged
        assert len(written) == len(of_book) + 1 + len(forms)


def test_the_book_does_not_notice_what_is_done_to_the_copies(book):
    def state() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in book.folder.rglob("*") if file.is_file()}

    before = state()
    for copy in bring_up_to_date(book):
        change(copy.file, "form.values", "{'epochs': 1}")
    bring_up_to_date(book)
    put_back(book, "03")
    assert state() == before


def test_git_does_not_see_the_copies():
    seen = subprocess.run(["git", "check-ignore", f"{FOLDER}/03_embedding.ipynb"], cwd=ROOT, capture_output=True)
    assert seen.returncode == 0


def test_a_copy_that_nobody_changed_follows_its_chapter(book):
    bring_up_to_date(book)
    change(folder(book) / "03_embedding.ipynb", "nothing of this is there", "")  # it was run
    rewrite(book, "03")
    states = {copy.file.stem: copy.state for copy in bring_up_to_date(book)}
    assert states.pop("03_embedding") == "brought up to date"
    assert set(states.values()) == {"as it was"}
    assert any("## What is minimised" in source for source in cells(folder(book) / "03_embedding.ipynb"))


def test_a_copy_that_was_changed_is_kept_and_named(book):
    bring_up_to_date(book)
    file = folder(book) / "03_embedding.ipynb"
    change(file, "## The objective", "## My objective")
    rewrite(book, "03")
    states = {copy.file.stem: copy.state for copy in bring_up_to_date(book)}
    assert states["03_embedding"].startswith("kept")
    assert any("## My objective" in source for source in cells(file))


def test_put_back_a_copy_is_as_the_book_says_and_the_changed_one_is_kept(book):
    bring_up_to_date(book)
    file = folder(book) / "03_embedding.ipynb"
    fresh = cells(file)
    assert put_back(book, "03") is None  # nothing to keep
    change(file, "## The objective", "## My objective")
    changed = file.read_bytes()
    kept = put_back(book, "03")
    assert kept and kept.read_bytes() == changed and kept.parent == folder(book) / "kept"
    assert cells(file) == fresh


def test_a_lost_record_counts_every_copy_as_changed(book):
    bring_up_to_date(book)
    (folder(book) / ".copies.json").write_text("{")
    assert all(copy.state.startswith("kept") for copy in bring_up_to_date(book))


def test_what_is_no_notebook_is_named(book):
    bring_up_to_date(book)
    (folder(book) / "03_embedding.ipynb").write_text("{")
    rewrite(book, "03")
    with pytest.raises(BookError, match="03_embedding.ipynb cannot be read as a notebook: move it away"):
        bring_up_to_date(book)


def test_every_link_to_a_copy_leads_to_one(book):
    names = {f"{chapter.name}.ipynb" for chapter in book.chapters}
    for chapter in book.chapters:
        for cell in copied(book, chapter).cells:
            assert set(re.findall(r"\]\((\w+\.ipynb)\)", cell.source)) <= names


def test_no_role_of_a_chapter_is_left_as_it_is_written(book):
    for chapter in book.chapters:
        text = "\n".join(cell.source for cell in copied(book, chapter).cells if cell.cell_type == "markdown")
        assert not re.findall(r"\{[a-z:]+\}`[^`]*`", text), chapter.name


def test_a_figure_that_a_text_speaks_of_can_be_found_by_its_number(book):
    def numbers(cells, kind: str) -> set[str]:
        text = "\n".join(cell.source for cell in cells if cell.cell_type == kind)
        return set(re.findall(r"(?<!\[)(?<!\w )Figure (\d+\.\d+)", text))

    cells = copied(book, book.find("03")).cells
    assert numbers(cells, "markdown") and numbers(cells, "markdown") <= numbers(cells, "code")


def test_the_command_brings_the_copies_up_to_date(tmp_path):
    told = subprocess.run(
        [sys.executable, "-m", "tpl", "lab", "--no-start"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (ROOT / FOLDER / "03_embedding.ipynb").exists()
    assert all(line.startswith(f"{FOLDER}/") for line in told.stdout.splitlines())
