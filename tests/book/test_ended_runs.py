"""`tpl run` and `tpl site`, ended from outside: kernels and what they have started end with them, and the same command
does the rest afterwards; and two of a command at once."""

import shutil
import signal
from pathlib import Path

import nbformat
import pytest
from conftest import FRONT, ROOT
from endings import end, start, wait_until

from tpl.book.book import Book
from tpl.book.manifest import read_manifest
from tpl.book.pairs import pair

COMMAND = """
import sys
from pathlib import Path
from tpl.book import commands, site
commands.ROOT = Path(sys.argv.pop(1))
site.START = "import subprocess; open('building', 'w').close(); subprocess.run(['sleep', '600'])"
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


@pytest.fixture(scope="module")
def two_cells(tmp_path_factory):
    """A book of two chapters of a cell each."""
    book = Book(tmp_path_factory.mktemp("book"))
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
