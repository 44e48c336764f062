"""The book's own chapters: pairs in step, parameters that papermill understands, profiles that fit, nothing stale."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tpl.book.book import Book
from tpl.book.manifest import read_manifest
from tpl.book.pairs import check_pair
from tpl.book.parameters import chosen_parameters, parameters

BOOK = Book(Path(__file__).parents[2])
CHAPTERS = BOOK.sources
MAGICS = {"alias", "config", "env", "load", "macro", "page", "pip", "reset", "run", "save", "store", "time", "who"}

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)


def test_the_table_of_contents_lists_every_chapter():
    assert {chapter.name for chapter in BOOK.chapters} == {chapter.name for chapter in CHAPTERS}


@each_chapter
def test_a_chapter_and_its_notebook_say_the_same(chapter):
    check_pair(chapter)


@each_chapter
def test_a_chapter_has_a_title_and_no_outputs(chapter):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    nbformat.validate(notebook)
    assert any(re.match(r"# ", line) for line in notebook.cells[0].source.splitlines())
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)


@each_chapter
def test_parameters_are_plain_literals_with_a_comment_each(chapter):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(cells) <= 1
    lines = [line for cell in cells for line in cell.source.splitlines() if line.strip()]
    for line in lines:
        statement = ast.parse(line).body[0]
        assert isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name), line
        value = ast.literal_eval(statement.value)
        assert type(value).__name__ == ast.unparse(statement.annotation), line
        assert re.search(r"  # \S", line), f"no comment: {line}"
        assert statement.target.id not in MAGICS, f"IPython takes this name for a magic: {line}"
    assert len(parameters(chapter)) == len(lines), "papermill does not see each line as a parameter"


@each_chapter
def test_a_chapter_opens_with_at_most_five_lines(chapter):
    notebook = nbformat.read(chapter.notebook, as_version=4)
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]
    assert len(cells[0].source.splitlines()) <= 5
    assert all(line.startswith(("import ", "from ")) for line in cells[0].source.splitlines())


def test_profiles_name_chapters_and_parameters_that_exist():
    profiles = [path for path in (BOOK.folder / "profiles").iterdir() if path.is_dir()]
    assert {"smoke"} <= {path.name for path in profiles}
    for profile in profiles:
        for file in profile.iterdir():
            assert file.suffix == ".yml" and BOOK.find(file.stem).name == file.stem
        chosen_parameters(BOOK, CHAPTERS, profile.name, {})


def test_pictures_and_citations_of_the_sources_exist():
    known = set(re.findall(r"^@\w+\{(\S+),$", (BOOK.root / "references.bib").read_text(), re.MULTILINE))
    for page in BOOK.pages:
        text = (BOOK.folder / f"{page}.md").read_text()
        cited = {key.strip() for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for key in keys.split(",")}
        assert cited <= known, page
        drawn = {"_static/rooms.svg"}  # when the pages are staged, from the sources as they are
        for picture in set(re.findall(r"_static/[\w./-]+", text)) - drawn:
            assert (BOOK.folder / picture).exists(), f"{page}: {picture}"


@pytest.mark.skipif(not BOOK.executed.exists(), reason="no run has been published")
def test_the_published_run_is_whole_and_clean():
    there = {path.stem for path in BOOK.executed.glob("*.ipynb")}  # of this edition of the book, or of one before
    assert BOOK.pages[0] in there and there <= {chapter.name for chapter in CHAPTERS}
    assert there == set(read_manifest(BOOK.executed))
    assert {path.name for path in (BOOK.executed / "_scenes").iterdir()} <= there
    for path in BOOK.executed.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        assert not {"papermill", "widgets"} & set(notebook.metadata)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                text = {key: value for key, value in output.get("data", {}).items() if "image/" not in key}
                machine = re.search(r"/(?:home|root|tmp)/\w+", f"{text} {output.get('text', '')}")
                assert machine is None, f"a path of a machine in {path.name}: {machine}"


@pytest.mark.chapters
def test_papermill_alone_runs_a_chapter(tmp_path):
    """As the README says it, with the sizes of profile smoke."""
    chapter = BOOK.find("03_embedding")
    assert {"category", "epochs", "runs"} <= set(parameters(chapter))
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", "book/03_embedding.ipynb", str(out)]
    command += ["-f", "book/profiles/smoke/03_embedding.yml", "-p", "category", "sofas", "-p", "epochs", "3"]
    command += ["-p", "runs", str(tmp_path)]  # or it would set the trainings of profile smoke aside
    environment = {name: value for name, value in os.environ.items() if name != "TPL_SCENES"}
    result = subprocess.run(command, cwd=BOOK.root, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    notebook = nbformat.read(out, as_version=4)
    assert any(output.output_type != "stream" for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.chapters
def test_tpl_run_refuses_a_parameter_that_the_chapter_does_not_have():
    command = [sys.executable, "-m", "tpl", "run", "03", "-p", "epoch", "3"]
    result = subprocess.run(command, cwd=BOOK.root, capture_output=True, text=True)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == "tpl: no parameter 'epoch'; did you mean epochs?\n"
