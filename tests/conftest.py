"""What several test files share: markers, and a book of two pages, executed and built once."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Small networks on several threads spend their time waiting for each other; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]

INTRO = """
# A book of two pages

Its first page, executed last: the area is {glue:text}`area`, see {ref}`cubes` and {eq}`area-of-a-square`.

```{code-cell} ipython3
from myst_nb import glue

glue("area", 4)
```
"""

CUBES = """
(cubes)=
# Cubes

Is a cube square? {cite:t}`park2019deepsdf` does not say; {eq}`area-of-a-square` and {numref}`sides` do.

```{code-cell} ipython3
:tags: [parameters]

side: float = 2.0  # length of a side
count: int = 3  # how many
color: str = "red"  # of the line
fail: bool = False  # whether to stop half-way
```

$$
A = \\int_0^{a} a \\, \\mathrm{d}x = a^2, \\qquad \\boldsymbol{n} \\in \\mathbb{R}^3,
\\qquad \\mathcal{L}(\\theta, c)
= \\sum_{i=1}^{N} \\left| \\mathrm{clamp}(f_\\theta(x_i), \\delta) - \\mathrm{clamp}(s_i, \\delta) \\right|
+ \\lambda \\lVert c \\rVert_2^2
$$ (area-of-a-square)

```{code-cell} ipython3
if fail:
    raise ValueError("this chapter was asked to fail")
side * count
```

```{code-cell} ipython3
import matplotlib.pyplot as plt

fig, axes = plt.subplots(figsize=(5, 2), layout="constrained")
axes.plot([0, 1], [0, side], color=color)
axes.set_xlabel("x")
```

```{code-cell} ipython3
:tags: [remove-input]

from IPython.display import display

wide = "wide " * 3
rows = "\\n".join(f"| {n} | {n * side:.1f} | {n * side**2:.1f} | {wide} | {wide} |" for n in range(count))
head = "| n | length | area | first | second |\\n|--|--|--|--|--|"
table = f":::{{table}} Sides\\n:name: sides\\n\\n{head}\\n{rows}\\n:::"
display({"text/markdown": table, "text/plain": table}, raw=True)
```

```{code-cell} ipython3
import pandas as pd

from tpl.look.tables import SortableTable

kinds = pd.DataFrame({"name": ["b", "a", "d", "c"], "score": ["", "10.5", "9.25", "-1.00"]})
kinds["share"] = ["5%", "100%", "20%", ""]
many = kinds.loc[kinds.index.repeat(5)].assign(**{f"column number {n}": "wide cells" for n in range(5)})
SortableTable(many, "Sortable", "sortable", largest_first="score")
```

```{code-cell} ipython3
import numpy as np
import trimesh

from tpl.look.scenes import mesh_scene, steps_scene

white = np.full((64, 128, 3), 230, dtype=np.uint8)
box = trimesh.creation.box((0.5, 0.6, 0.6))
ball = trimesh.creation.icosphere(radius=0.45)
mesh_scene({"box": box, "ball": ball}, name="pair", poster=white)
```

```{code-cell} ipython3
steps_scene({"a box": box, "a ball": ball}, name="steps", poster=white[:, :64])
```

```{code-cell} ipython3
:tags: [remove-input]

import base64

from tpl.look.scenes import MIME, _png

asked = {"name": "pair", "panels": 2, "steps": 1, "files": [], "chapter": "01_cubes"}  # much to load: when asked for
still = base64.b64encode(_png(white)).decode()
display({MIME: asked, "image/png": still, "text/plain": "The pair, when asked"}, raw=True)
```
"""

FRONT = """---
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---
"""

TOC = """
format: jb-book
root: book/intro
parts:
  - caption: Solids
    chapters:
      - file: book/01_cubes
  - caption: References
    chapters:
      - file: book/bibliography
"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "site: opens the built site in Chromium; TPL_SITE names its folder")
    config.addinivalue_line("markers", "chapters: executes a chapter of the book")


def write_mini_book(root: Path) -> Any:
    """A book of an introduction, a chapter and a plain page, with the repository's own settings and styles."""
    from tpl.book.book import Book
    from tpl.book.pairs import pair  # here, so that a test file of one module needs no other

    book = Book(root)
    (book.folder / "profiles" / "smoke").mkdir(parents=True)
    (book.folder / "profiles" / "smoke" / "01_cubes.yml").write_text("count: 2\nside: 1e0\n")
    (book.folder / "intro.md").write_text(FRONT + INTRO)
    (book.folder / "01_cubes.md").write_text(FRONT + CUBES)
    (root / "_toc.yml").write_text(TOC)
    for name in ("_config.yml", "references.bib", "book/bibliography.md"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "book" / "_static", book.folder / "_static")
    pair(book)
    return book


REMARK = '# A comment, and\n"""a text that stands alone, as a docstring does."""\n'
"""What can be written into a module without changing anything."""


@pytest.fixture
def edit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Adds lines to a module, a remark without them, in the copy of the sources that results are then kept by.

    What runs stays as it is.
    """
    from tpl import source_code

    def forget() -> None:
        for function in vars(source_code).values():
            getattr(function, "cache_clear", lambda: None)()

    def edit(module: str, lines: str = "") -> None:
        file = copy.parent.joinpath(*module.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        file.write_text(f"{file.read_text(encoding='utf-8')}\n{lines or REMARK}", encoding="utf-8")
        forget()

    copy = shutil.copytree(ROOT / "tpl", tmp_path / "sources" / "tpl", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_code, "PACKAGE", copy)
    forget()
    yield edit
    forget()


@pytest.fixture
def mini_book(tmp_path: Path) -> Any:
    """A book that has not been executed."""
    return write_mini_book(tmp_path)


@pytest.fixture(scope="session")
def built_book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A book executed in profile smoke, with its site in _build/html; not to be changed."""
    from tpl.book.execution import run_chapters
    from tpl.book.site import build_site

    book = write_mini_book(tmp_path_factory.mktemp("book"))
    build_site(book, run_chapters(book, profile="smoke"))
    return book
