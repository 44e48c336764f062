"""`tpl run` and `tpl site`, ended from outside: kernels and what they have started end with them, and the same command
does the rest afterwards; and two of a command at once."""

import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from conftest import FRONT, ROOT
from endings import end, start, wait_until

from tpl import __main__ as commands
from tpl.book import commands as of_the_book
from tpl.book.book import Book
from tpl.book.manifest import read_manifest
from tpl.book.pairs import pair
from tpl.book.publishing import publish
from tpl.evaluation.results import ResultsError
from tpl.files import BusyError, alone_in

BUILDER = """
import sys, time
from pathlib import Path
Path('building').touch()
while not Path('go').exists():
    time.sleep(0.05)
time.sleep(2)
page = Path(sys.argv[2]) / '_build' / 'html' / 'book' / 'intro.html'
page.parent.mkdir(parents=True)
page.write_text('<title>A book</title>')
page.parents[1].joinpath('index.html').write_text('<a href="book/intro.html">A book</a>')
"""
"""In the place of Jupyter Book, which takes longer."""

COMMAND = f"""
import sys
from pathlib import Path
from tpl.book import commands, site
commands.ROOT = Path(sys.argv.pop(1))
site.START = {BUILDER!r}
from tpl.__main__ import main
main()
"""

SUM = """
# A sum

```{code-cell} ipython3
import time
from pathlib import Path

import joblib

def work(number):
    import tpl
    if not Path("go").exists():
        Path(f"begun-{number}").touch()
        time.sleep(600)
    return number

sum(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(number) for number in (1, 2)))
```
"""

CONTENTS = """
format: jb-book
root: book/intro
parts:
  - caption: Sums
    chapters:
      - file: book/01_sum
"""


@pytest.fixture
def two_cells(tmp_path):
    """A book of two chapters of a cell each."""
    book = Book(tmp_path)
    book.folder.mkdir()
    (book.root / "_toc.yml").write_text(CONTENTS)
    (book.folder / "01_sum.md").write_text(FRONT + SUM)
    (book.folder / "intro.md").write_text(FRONT + "\n# A book\n\n```{code-cell} ipython3\n2 + 3\n```\n")
    for name in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / name, book.root / name)
    pair(book)
    return book


def numbers(folder: Path) -> list[str]:
    notebooks = [nbformat.read(folder / f"{name}.ipynb", as_version=4) for name in ("01_sum", "intro")]
    return [out["data"]["text/plain"] for book in notebooks for cell in book.cells for out in cell.get("outputs", [])]


def test_an_ended_run_leaves_nobody_and_the_same_command_does_the_rest(two_cells):
    """Some 40 CPU seconds: four times `tpl run` with its kernels, as nothing less shows who is left behind."""
    folder = two_cells.run_folder("quick")
    for how in (signal.SIGKILL, signal.SIGINT):  # SIGTERM ends as SIGINT does: tests/test_ending.py
        process = start(COMMAND, two_cells.root, "run")
        wait_until(lambda: len(list(two_cells.root.glob("begun-*"))) == 2, process)
        said, alive = end(process, how)
        assert alive == [], how
        assert how == signal.SIGKILL or said.endswith(
            "tpl: interrupted; what was finished is kept, and the same command goes on from there\n"
        )
        assert read_manifest(folder) == {} and not (folder / "01_sum.ipynb").exists()
        for begun in two_cells.root.glob("begun-*"):
            begun.unlink()
    (two_cells.root / "go").touch()
    first, second = (start(COMMAND, two_cells.root, "run") for _ in range(2))
    told = [process.communicate(timeout=240)[1] for process in (first, second)]
    assert sorted(process.returncode for process in (first, second)) == [0, 1]
    assert "has been working in" in told[1 if second.returncode else 0]
    assert numbers(folder) == ["3", "5"] and set(read_manifest(folder)) == {"01_sum", "intro"}
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {"01_sum.ipynb", "intro.ipynb", "manifest.json"}


def test_an_ended_site_leaves_nobody_and_the_old_site_and_of_two_at_once_one_builds(two_cells):
    root, folder = two_cells.root, two_cells.run_folder("quick")
    folder.mkdir(parents=True)
    for chapter in two_cells.chapters:
        shutil.copy(chapter.notebook, folder)
    old = root / "_build" / "html" / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("the old one")
    for how in (signal.SIGKILL, signal.SIGINT):
        process = start(COMMAND, root, "site", "--from", folder)
        wait_until((root / "building").exists, process)
        assert end(process, how)[1] == []
        assert old.read_text() == "the old one"
        (root / "building").unlink()
    first = start(COMMAND, root, "site", "--from", folder)
    wait_until((root / "building").exists, first)
    second = start(COMMAND, root, "site", "--from", folder)
    assert "has been working in" in second.communicate(timeout=240)[1] and second.returncode == 1
    (root / "go").touch()
    assert first.communicate(timeout=240)[1] == "" and first.returncode == 0
    assert "book/intro.html" in old.read_text()
    assert {path.name for path in (root / "_build").iterdir()} == {"html", "site"}


def test_two_do_not_publish_or_write_networks_or_evaluate_at_once(two_cells, tmp_path, monkeypatch):
    folder, said = two_cells.run_folder("quick"), "has been working in"
    with pytest.raises(ValueError, match="not executed in"):
        publish(two_cells)
    assert not folder.exists()
    folder.mkdir(parents=True)
    for chapter in two_cells.chapters:
        shutil.copy(chapter.notebook, folder)
    for place, lock in [(folder, folder / ".lock"), (two_cells.executed, tmp_path / "_build" / ".publish.lock")]:
        with alone_in(place, lock), pytest.raises(BusyError, match=said):
            publish(two_cells)
    bench = SimpleNamespace(runs=tmp_path / "runs")
    monkeypatch.setattr("tpl.study.bench.Bench.open", lambda *given, **options: bench)
    with alone_in(tmp_path / "out", tmp_path / ".out.lock"), pytest.raises(BusyError, match=f"{said} {tmp_path}/out"):
        of_the_book.networks("quick", tmp_path / "out")
    monkeypatch.setattr(commands, "_bench", lambda *given: bench)
    results = bench.runs / "results"
    with alone_in(results, bench.runs / ".results.lock"), pytest.raises(BusyError, match=f"{said} {results}"):
        commands.evaluate("quick")
    monkeypatch.setattr("os.access", lambda *given: False)  # another's run: who only reads it takes no lock
    bench.each = lambda judge: {"chairs": results / "chairs_test.csv"}
    with alone_in(results, bench.runs / ".results.lock"), pytest.raises(ResultsError, match="no results at"):
        commands.evaluate("quick")
