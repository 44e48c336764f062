"""The API reference out of the sources: what it shows of a module, where its links lead, and that Sphinx takes it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tpl.book.api import Reference, write_pages
from tpl.book.structure import FLOORS

ROOT = Path(__file__).parents[2]

SHAPES = '''"""Where `Solid`s come from; see `volume()` and `np.ndarray`, a `few
words` of code, 2 * 3 and a_ name_.

data/a.npz     the first
data/bb.npz    the second
"""

from tpl.errors import Refused

LIMIT = 3  # of solids in a scene
HIDDEN = 4
Points = list[float]


class Solid(Base):
    """A body."""

    height: float = 1.0  # in cells
    name: str
    # what it is made of
    stuff: str = "clay"

    def __init__(self, points: Points, label: str = "x" * 100):
        """Not shown."""

    @property
    def base(self) -> "Solid":
        """What it stands on."""

    def _private(self): ...


def volume(solid: Solid, *, exact: bool = False) -> float:
    """The volume of a solid.

    Args:
        solid: Any, such as `Solid`.
        exact: Whether by its triangles: slow.

    Returns:
        Cubic cells: not litres,
        and never negative.

    Raises:
        Refused: It is open.
    """
'''
ERRORS = '''"""Errors."""


class Refused(ValueError):
    """A thing is not taken."""
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "tpl"
    (folder / "shapes").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""The top."""\n')
    (folder / "errors.py").write_text(ERRORS)
    (folder / "shapes" / "__init__.py").write_text('"""Shapes."""\n\nfrom tpl.shapes.solids import Solid\n')
    (folder / "shapes" / "solids.py").write_text(SHAPES)
    (folder / "metrics.py").write_text(
        '"""Numbers."""\n\nfrom tpl.shapes import Solid\n\n\n'
        'def size(solid: Solid | None) -> int:\n    """How large a `Solid` is."""\n'
    )
    return folder


def test_what_a_page_shows_and_in_which_words(package):
    page = Reference(package).pages()["shapes"]
    assert page.startswith("tpl.shapes\n==========") and "tpl.shapes.solids\n-----------------" in page
    for line in (
        ".. py:data:: LIMIT\n   :value: 3\n\n   Of solids in a scene.",
        ".. py:type:: Points\n   :canonical: list[float]",
        ".. py:class:: Solid(points: Points, label: str='x' * 100)",
        "   Bases: ``Base``",
        "   .. py:attribute:: height\n      :type: float\n      :value: 1.0\n\n      In cells.",
        "   .. py:attribute:: name\n      :type: str\n",
        "      What it is made of.",
        "   .. py:property:: base",
        ".. py:function:: volume(solid: tpl.shapes.solids.Solid, *, exact: bool=False) -> float",
        "   :param exact: Whether by its triangles: slow.",
        "   :returns: Cubic cells: not litres,\n       and never negative.",
        "   :raises Refused: It is open.",
        ".. code-block:: text\n\n    data/a.npz     the first\n    data/bb.npz    the second",
    ):
        assert line in page, line
    assert ".. py:exception:: Refused" in Reference(package).pages()["errors"]
    assert "HIDDEN" not in page and "_private" not in page and "Not shown" not in page


def test_names_in_backticks_are_links_where_the_library_has_them_and_code_elsewhere(package):
    pages = Reference(package).pages()
    assert ":py:obj:`Solid <tpl.shapes.solids.Solid>`\\ s come from" in pages["shapes"]
    assert ":py:obj:`volume() <tpl.shapes.solids.volume>`" in pages["shapes"]
    assert "``np.ndarray``, a ``few words`` of code, 2 \\* 3 and a\\_ name\\_." in pages["shapes"]
    # by what a package hands on, too
    assert "How large a :py:obj:`Solid <tpl.shapes.solids.Solid>` is." in pages["metrics"]
    assert "size(solid: tpl.shapes.solids.Solid | None) -> int" in pages["metrics"]


def test_every_room_has_a_page_and_sphinx_takes_all_of_them_without_a_warning(tmp_path):
    names = write_pages(tmp_path / "api")
    assert names == [name.strip("_") for name in FLOORS]
    pages = "\n".join(f"   api/{name}" for name in names)
    (tmp_path / "index.rst").write_text(f"Top\n===\n\n.. toctree::\n\n{pages}\n")
    (tmp_path / "conf.py").write_text('nitpick_ignore_regex = [("py:.*", r"(?!tpl\\.).*")]\n')
    # `dummy` resolves every link and writes nothing
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-n",
        "-W",
        "--keep-going",
        "-b",
        "dummy",
        tmp_path,
        tmp_path / "o",
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_architecture_page_lists_the_rooms_from_the_ground_up():
    text = (ROOT / "book" / "architecture.md").read_text()
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| {py:mod}")]
    assert rows == [f"tpl.{name}" for name in FLOORS]
