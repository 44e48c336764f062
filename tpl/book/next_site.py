"""The way out of Jupyter Book 1: the same pages by current Sphinx, from a `conf.py` that `_config.yml` becomes.

Jupyter Book 1 holds Sphinx below 8, so the other Sphinx has an environment of its own (`make site-next`):
_build/next/site/    what Sphinx gets: the pages of `site.stage`, and conf.py
_build/next/html/    the site
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tpl.book.book import Book, BookError
from tpl.book.finishing import finish_pages
from tpl.book.publishing import executed_notebooks
from tpl.book.site import START, add_assets, broken_links, stage
from tpl.files import write_folder

LEFT_OUT = ("jupyter_book", "sphinx_comments", "sphinx_jupyterbook_latex")
"""Jupyter Book's own extensions, bound to it; our pages show nothing of theirs."""

CONF = """
# What Jupyter Book does by itself: no extension twice, and all that lies in _static is loaded.
extensions = [name for name in dict.fromkeys(extensions) if name not in {left_out!r}]
html_static_path = ["_static"]
html_css_files = {styles!r}
html_js_files = {scripts!r}
"""

INDEX = '<meta http-equiv="Refresh" content="0; url={root}.html" />\n'


def build_next(book: Book, python: Path, source: Path | None = None) -> Path:
    """Builds the site by another environment's Sphinx and returns the path of its index page.

    Args:
        book: The book.
        python: The interpreter of that environment.
        source: As for `build_site`.

    Raises:
        BookError: As `build_site`; or the environment has no Sphinx.
    """
    notebooks = executed_notebooks(book, source or book.executed, whole=source is not None)
    place = book.root / "_build" / "next"
    staged, built = place / "site", place / "built"
    for folder in (staged, built):
        shutil.rmtree(folder, ignore_errors=True)
    scenes = stage(book, source or book.executed, notebooks, staged)
    write_conf(staged)
    command = [str(python), "-m", "sphinx", "-b", "html", "-q", "-W", "-n", "--keep-going", str(staged), str(built)]
    if subprocess.run(command, cwd=book.root).returncode != 0:
        raise BookError(f"the site was not built: Sphinx's warnings above count as errors ({staged})")
    (built / "index.html").write_text(INDEX.format(root=f"{book.folder.name}/{book.pages[0]}"), encoding="utf-8")
    add_assets(built, scenes)
    finish_pages(built)
    if broken := broken_links(built):
        raise BookError("the site was not built, links lead nowhere:\n" + "\n".join(broken))
    write_folder(place / "html", lambda path: os.replace(built, path))
    return place / "html" / "index.html"


def write_conf(staged: Path) -> None:
    """Turns the `_config.yml` of staged pages into Sphinx's conf.py."""
    command = [sys.executable, "-c", START, "config", "sphinx", str(staged)]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
        raise BookError(f"Jupyter Book makes no conf.py of {staged / '_config.yml'}: it has said why above")
    files = [[path.name for path in sorted((staged / "_static").glob(kind))] for kind in ("*.css", "*.js")]
    with (staged / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(CONF.format(left_out=set(LEFT_OUT), styles=files[0], scripts=files[1]))
