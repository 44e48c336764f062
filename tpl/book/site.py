"""The executed chapters as a web site that needs no network: staged for Jupyter Book, built, and its links checked.

_build/site/    what Jupyter Book gets: the executed notebooks, with the run's facts below each title
_build/html/    the site; `index.html` leads to the first page
"""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence, Set
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

from tpl.book.api import write_pages
from tpl.book.book import Book, BookError, Chapter
from tpl.book.finishing import finish_pages
from tpl.book.glossary import GLOSSARY, linked, read_terms
from tpl.book.manifest import MANIFEST, REMEDY, SCENES, read_manifest
from tpl.book.publishing import cleaned, executed_notebooks
from tpl.book.revising import with_its_words
from tpl.book.structure import FLOORS, doors, modules, picture
from tpl.border import border
from tpl.files import alone_in, write_folder
from tpl.look.scenes import MIME, libraries

START = "from jupyter_book.cli.main import main; main()"
"""Jupyter Book's command; it has no `python -m`."""

MATHJAX = (  # what a page may ask for: what `_config.yml` has it load, and what that loads
    "startup.js",
    "core.js",
    "input/tex.js",
    "input/tex/extensions",
    "output/chtml.js",
    "output/chtml/fonts",
    "a11y/assistive-mml.js",
)
API, ARCHITECTURE = "api", "architecture"  # pages of the library: one has a page for each room, one shows the rooms


def build_site(book: Book, source: Path | None = None) -> Path:
    """Builds the site from executed chapters and returns the path of its index page.

    Args:
        book: The book.
        source: The folder of the executed chapters, all of them there; the published run by default. That one may be
            of an edition with fewer chapters: the site then has those.

    Raises:
        BookError: Chapters are missing or failed, Jupyter Book warned of something (it has printed what),
            or a link leads nowhere. A site that was built before stays.
        BusyError: Another process builds it.
    """
    notebooks = executed_notebooks(book, source or book.executed, whole=source is not None)
    staged = book.root / "_build" / "site"
    with alone_in(staged, staged.with_name(".site.lock")):
        return _build(book, source or book.executed, notebooks, staged)


def _build(book: Book, source: Path, notebooks: dict[str, Any], staged: Path) -> Path:
    shutil.rmtree(staged, ignore_errors=True)
    scenes = stage(book, source, notebooks, staged)
    start = f"from tpl.ending import end_with; end_with({os.getpid()}); {START}"
    command = [sys.executable, "-c", start, "build", str(staged), "-q", "-W", "-n", "--keep-going"]
    result = subprocess.run(command, cwd=book.root, stdout=subprocess.DEVNULL)
    if result.returncode != 0:
        raise BookError(f"the site was not built: Jupyter Book's warnings above count as errors ({staged})")
    built = staged / "_build" / "html"
    finish_site(built, scenes)
    target = book.root / "_build" / "html"
    write_folder(target, lambda path: os.replace(built, path))
    return target / "index.html"


def finish_site(built: Path, scenes: Path) -> None:
    """Brings to a built site what Sphinx leaves undone, and checks its links.

    Raises:
        BookError: A link leads nowhere.
    """
    # They need packages of the book's own, without which the library still has its commands.
    from tpl.book.lightening import lighten
    from tpl.book.packing import pack_scenes

    add_assets(built, scenes)
    finish_pages(built)
    lighten(built)
    pack_scenes(built / "book" / SCENES)
    if broken := broken_links(built):
        raise BookError("the site was not built, links lead nowhere:\n" + "\n".join(broken))


def stage(book: Book, source: Path, notebooks: dict[str, Any], staged: Path, types: bool = False) -> Path:
    """Lays out what Jupyter Book is to build; returns the folder of the scenes' pages and posters.

    Args:
        book: The book.
        source: The folder of the executed chapters.
        notebooks: These, by their names.
        staged: A folder for what is laid out.
        types: As for `write_pages`.
    """
    import nbformat

    entries = read_manifest(source)
    terms = read_terms(book.folder / f"{GLOSSARY}.md") if GLOSSARY in book.pages else []
    pages = staged / "book"
    pages.mkdir(parents=True)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(book.root / name, staged)
    static = book.folder / "_static"
    if static.exists():
        shutil.copytree(static, pages / "_static")  # pictures, as the chapters name them
        shutil.copytree(static, staged / "_static")  # styles and scripts, where Jupyter Book looks for them
    chapters = {chapter.name: chapter for chapter in book.chapters}
    absent = chapters.keys() - notebooks.keys()
    rooms = write_pages(pages / API, types) if API in book.pages else []
    if ARCHITECTURE in book.pages:
        between = {arrow for arrow in doors(modules()) if arrow.source in FLOORS}
        (pages / "_static" / "rooms.svg").write_text(picture(between), encoding="utf-8")
    contents = yaml.safe_dump(_contents(book, absent, rooms), sort_keys=False)
    (staged / "_toc.yml").write_text(contents, encoding="utf-8")
    for name in book.pages:
        if name in absent:
            continue
        if name not in chapters:
            shutil.copy(book.folder / f"{name}.md", pages)
            continue
        notebook, entry = with_its_words(chapters[name], notebooks[name], entries.get(name, {}))
        notebook = cleaned(notebook, book.root)
        if entry:
            with border(source / MANIFEST, REMEDY, BookError):  # an entry may lack what a page tells
                _insert_facts(notebook, chapters[name], entry, at_end=name == book.pages[0])
        if number := re.match(r"0*(\d+|[A-Z])_", name):
            cell, line = _title(notebook, chapters[name])
            cell.source = cell.source.replace(line, f"# {number[1]} \N{MIDDLE DOT} {line.removeprefix('# ')}", 1)
        if terms:
            texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
            for cell, text in zip(texts, linked([cell.source for cell in texts], terms), strict=True):
                cell.source = text
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                _stage_scene(output, source / SCENES / name, staged / SCENES / name)
        nbformat.write(notebook, pages / f"{name}.ipynb")
    return staged / SCENES


def _contents(book: Book, absent: Set[str], rooms: Sequence[str]) -> dict[str, Any]:
    """The table of contents without some pages and the parts that they leave empty, with a page for each room."""
    toc = yaml.safe_load((book.root / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc.get("parts", []):
        part["chapters"] = [entry for entry in part["chapters"] if Path(entry["file"]).name not in absent]
        for entry in part["chapters"]:
            if Path(entry["file"]).name == API:
                entry["sections"] = [{"file": f"{entry['file']}/{room}"} for room in rooms]
    return toc | {"parts": [part for part in toc.get("parts", []) if part["chapters"]]}


def facts(chapter: Chapter, entry: dict[str, Any]) -> str:
    """The box below a page's title: which run the page shows, in words."""
    cores = f" on {entry['cores']} CPU cores ({entry['device']})"
    device = f" on a GPU ({entry['device']})" if entry.get("gpu") else cores
    seconds = f", in {_duration(entry['seconds'])}"
    if entry.get("longest_seconds", 0) > 2 * entry["seconds"] + 10:
        seconds += f" with its trainings loaded; with them it took {_duration(entry['longest_seconds'])}"
    seconds += " beside other chapters" if entry.get("beside") else ""
    commit = entry.get("git", "").removesuffix("-dirty")
    lines = [f"Profile **{entry['profile']}**{device}{seconds}. Finished {entry['finished']}."]
    if commit:
        changed = ", with local changes" if entry["git"].endswith("-dirty") else ""
        lines.append(f"Commit `{commit}`{changed}.")
    if entry["changed"]:
        values = ", ".join(f"`{name} = {value!r}`" for name, value in entry["changed"].items())
        lines.append(f"Parameters other than the defaults: {values}.")
    if entry.get("revised"):
        lines.append("Its words were revised since; its code was not.")
    if entry["source"] != chapter.digest:
        lines.append("The chapter's text has changed since.")
    return "\n".join([":::{admonition} The run that this page shows", ":class: tpl-run", " ".join(lines), ":::"])


def add_assets(built: Path, scenes: Path) -> None:
    """Puts beside the pages what they load by themselves: scenes, k3d's scripts, MathJax."""
    if scenes.exists():
        shutil.copytree(scenes, built / "book" / SCENES)
        for library in libraries():
            shutil.copy(library, built / "book" / SCENES)
    spec = find_spec("mathjax")  # of django-static-mathjax
    if spec is None or spec.submodule_search_locations is None:
        raise BookError("MathJax is not installed: `pip install -r requirements.lock`")
    mathjax = Path(spec.submodule_search_locations[0]) / "static" / "mathjax" / "es5"
    for name in MATHJAX:
        target = built / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (mathjax / name).is_dir() else shutil.copy
        copy(mathjax / name, target)


def broken_links(folder: Path) -> list[str]:
    """Every `src` and `href` below a folder whose file or anchor is not there, as `page: link`."""
    files = [path.resolve() for path in sorted(folder.rglob("*.html"))]
    pages = {path: _Links(path) for path in files if folder.resolve() / "_static" not in path.parents}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue  # the network's
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append(f"{path.relative_to(folder.resolve())}: {link}")
    return broken


class _Links(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: dict[str, None] = {}  # each once, in the page's order
        self.anchors: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value and tag != "base":
                self.links[value] = None
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def _insert_facts(notebook: Any, chapter: Chapter, entry: dict[str, Any], at_end: bool) -> None:
    """Puts the box below the title; on the first page at the end, where it holds up nobody who comes to see."""
    import nbformat

    if at_end:
        notebook.cells.append(nbformat.v4.new_markdown_cell(facts(chapter, entry)))
    else:
        cell, line = _title(notebook, chapter)
        cell.source = cell.source.replace(line, f"{line}\n\n{facts(chapter, entry)}\n", 1)


def _title(notebook: Any, chapter: Chapter) -> tuple[Any, str]:
    """The cell with the title of a chapter, and its line."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("# "):
                return cell, line
    raise BookError(f"{chapter.source} has no title (a line `# ...`)")


def _stage_scene(output: Any, source: Path, target: Path) -> None:
    """Turns the output of a scene into the HTML that shows its poster and, with scripts on, the scene itself."""
    data = output.get("data", {})
    key = next((key for key in data if key.endswith(MIME)), None)
    if key is None:
        return
    prefix = key.removesuffix(MIME)  # `glue` stores its outputs under a prefix
    scene = data.pop(key)
    scene = json.loads(scene) if isinstance(scene, str) else scene
    home = source.parent / scene.get("chapter", source.name)  # a page may be another chapter's
    page = home / f"{scene['name']}.html"
    if not page.exists():
        raise BookError(f"the page of scene '{scene['name']}' is not in {home}; run the chapter again")
    target.mkdir(parents=True, exist_ok=True)
    if home == source:
        for name in (page.name, *scene.get("files", [])):
            shutil.copy(source / name, target)
    (target / f"{scene['name']}.png").write_bytes(base64.b64decode(data.pop(f"{prefix}image/png")))
    words = html.escape("".join(data[f"{prefix}text/plain"]), quote=True)
    path, still = (f"{SCENES}/{folder.name}/{scene['name']}" for folder in (home, source))
    kind = " tpl-slider" if scene["steps"] > 1 else ""
    if "files" in scene:  # too much to load unasked
        largest = max((file.stat().st_size for file in home.glob(f"{scene['name']}_*.js")), default=0)
        kind = f' tpl-asked" data-megabytes="{largest / 1e6:.1f}'
    data[f"{prefix}text/html"] = (
        f'<div class="tpl-scene{kind}" style="--panels: {scene["panels"]}">'
        f'<a href="{path}.html"><img src="{still}.png" alt="{words}" loading="lazy"></a></div>'
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
