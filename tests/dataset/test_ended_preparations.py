"""`tpl prepare`, ended from outside: its processes and what they have started end with it, and the next one does the
rest; and two at once."""

import signal
import subprocess
from functools import partial
from pathlib import Path

from endings import end, start, wait_until
from test_workers import SMALL, contents, shape

from tpl.dataset.prepare import prepare
from tpl.dataset.store import Store

PREPARES = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_ended_preparations import prepare_slowly
from tpl.border import told_in_a_sentence
with told_in_a_sentence():
    prepare_slowly(Path(sys.argv[1]))
"""


def wait_for_another(begun: Path) -> None:
    """As for a renderer, the first time."""
    if not begun.exists():
        begun.touch()
        subprocess.run(["sleep", "3602"])


def prepare_slowly(folder: Path) -> None:
    shapes = [shape(0), shape(1, partial(wait_for_another, folder / "begun-1")), shape(2)]
    shapes.append(shape(3, partial(wait_for_another, folder / "begun-3")))
    prepare(shapes, Store(folder / "data"), SMALL, jobs=2, timeout=600)


def test_an_ended_preparation_leaves_nobody_and_the_next_one_does_the_rest(tmp_path):
    alone = Store(tmp_path / "alone")
    prepare([shape(number) for number in range(4)], alone, SMALL, jobs=1)
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        for begun in tmp_path.glob("begun-*"):
            begun.unlink()
        process = start(PREPARES, tmp_path)
        wait_until(lambda: len(list(tmp_path.glob("begun-*"))) == 2, process)
        said, alive = end(process, how)
        assert alive == [], how
        assert how == signal.SIGKILL or said.endswith("the same command goes on from there\n")
    prepare_slowly(tmp_path)
    assert contents(Store(tmp_path / "data")) == contents(alone)
