"""The way out of Jupyter Book 1: the same pages by current Sphinx, with a `conf.py` that `_config.yml` becomes.

Jupyter Book 1 holds Sphinx below 8, so the newer Sphinx has an environment of its own, made by `make site-next` of
requirements-next.txt. Nothing of Jupyter Book is asked here: what it adds to `_config.yml` stands in `DEFAULTS`.

_build/next/site/    what Sphinx gets: the pages of `site.stage`, and conf.py
_build/next/html/    the site
"""

import os
import pprint
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tpl.book.book import Book, BookError
from tpl.book.publishing import executed_notebooks
from tpl.book.site import finish_site, stage
from tpl.files import write_folder

DEFAULTS: dict[str, Any] = {
    "html_theme": "sphinx_book_theme",
    "html_title": "",
    "html_sourcelink_suffix": "",
    "html_static_path": ["_static"],
    "exclude_patterns": ["**.ipynb_checkpoints", "_build"],
    "external_toc_path": "_toc.yml",
    "myst_url_schemes": ["mailto", "http", "https"],
    "pygments_style": "sphinx",
    "suppress_warnings": ["myst.domains"],
    "use_multitoc_numbering": True,
    "html_theme_options": {
        "search_bar_text": "Search this book...",
        "home_page_in_toc": False,
        "use_repository_button": False,
        "use_edit_page_button": False,
        "use_issues_button": False,
    },
}
"""What Jupyter Book says by itself, of all that our pages show."""

RENAMED = {
    ("title",): ("html_title",),
    ("author",): ("author",),
    ("copyright",): ("copyright",),
    ("only_build_toc_files",): ("external_toc_exclude_missing",),
    ("execute", "execute_notebooks"): ("nb_execution_mode",),
    ("bibtex_bibfiles",): ("bibtex_bibfiles",),
    ("parse", "myst_enable_extensions"): ("myst_enable_extensions",),
    ("html", "favicon"): ("html_favicon",),
    ("html", "home_page_in_navbar"): ("html_theme_options", "home_page_in_toc"),
    ("html", "use_multitoc_numbering"): ("use_multitoc_numbering",),
    ("sphinx", "extra_extensions"): ("extensions",),
}
"""Keys of `_config.yml`, and Sphinx's names for them; `sphinx: config:` holds the latter already."""

LEFT_OUT = {"jupyter_book", "sphinx_comments", "sphinx_jupyterbook_latex"}
"""Jupyter Book's own extensions, bound to it; our pages show nothing of theirs."""

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
    if subprocess.run([str(python), "-c", "import myst_nb, sphinx"], stderr=subprocess.DEVNULL).returncode != 0:
        raise BookError(f"{python} has no Sphinx with myst-nb: `make site-next` makes an environment that has")
    notebooks = executed_notebooks(book, source or book.executed, whole=source is not None)
    place = book.root / "_build" / "next"
    staged, built = place / "site", place / "built"
    for folder in (staged, built):
        shutil.rmtree(folder, ignore_errors=True)
    scenes = stage(book, source or book.executed, notebooks, staged, types=True)
    write_conf(staged)
    command = [str(python), "-m", "sphinx", "-b", "html", "-q", "-W", "-n", "--keep-going", str(staged), str(built)]
    if subprocess.run(command, cwd=book.root).returncode != 0:
        raise BookError(f"the site was not built: Sphinx's warnings above count as errors ({staged})")
    (built / "index.html").write_text(INDEX.format(root=f"{book.folder.name}/{book.pages[0]}"), encoding="utf-8")
    finish_site(built, scenes)
    write_folder(place / "html", lambda path: os.replace(built, path))
    return place / "html" / "index.html"


def write_conf(staged: Path) -> None:
    """Writes Sphinx's conf.py beside the `_config.yml` of staged pages."""
    config = sphinx_config(yaml.safe_load((staged / "_config.yml").read_text(encoding="utf-8")))
    for name, kind in (("html_css_files", "*.css"), ("html_js_files", "*.js")):  # all that lies there is loaded
        config[name] = sorted(path.name for path in (staged / "_static").glob(kind))
    lines = [f"{name} = {pprint.pformat(value, width=110)}\n" for name, value in config.items()]
    (staged / "conf.py").write_text("# Made of _config.yml, which is the one source.\n" + "".join(lines), "utf-8")


def sphinx_config(config: dict[str, Any]) -> dict[str, Any]:
    """Sphinx's configuration for Jupyter Book's.

    Args:
        config: What `_config.yml` says.

    Raises:
        BookError: It says something that has no place in Sphinx's yet.
    """
    given = {(key,): value for key, value in config.items()}
    for part in ("execute", "parse", "html", "sphinx"):
        given |= {(part, key): value for key, value in given.pop((part,), {}).items()}
    settings = given.pop(("sphinx", "config"), {})
    given.pop(("sphinx", "recursive_update"), None)  # as here: options of the theme are added to the others
    if unknown := ["/".join(key) for key in given if key not in RENAMED]:
        raise BookError(f"_config.yml says {', '.join(unknown)}, which `RENAMED` in next_site.py has no name for")
    made = dict(DEFAULTS) | {"html_theme_options": dict(DEFAULTS["html_theme_options"])}
    for key, value in given.items():
        name, *inner = RENAMED[key]
        if inner:
            made[name][inner[0]] = value
        else:
            made[name] = value
    for name, value in settings.items():
        if name == "extensions":
            value = [*value, *made.get(name, [])]
        made[name] = made[name] | value if isinstance(value, dict) and name in made else value
    made["extensions"] = [name for name in dict.fromkeys(made.get("extensions", [])) if name not in LEFT_OUT]
    return made
