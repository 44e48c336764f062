"""The built book as one PDF, by Chromium: its pages one after the other, with page numbers, an outline and live links.

_build/html/book/whole.html    what is printed; it goes afterwards
_build/book.pdf                the book
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tpl.book.book import Book, BookError
from tpl.files import write_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WHOLE = "whole.html"
ARTICLE = re.compile(r'<article class="bd-article"[^>]*>(.*)</article>', re.DOTALL)
FORMULAS = re.compile(r"<script>window\.MathJax = .*?</script>|<script\b[^>]*mathjax/[^>]*></script>", re.DOTALL)
PATIENCE = 900  # seconds that a busy machine may take for all formulas and pictures

STYLE = """
<style>
body { counter-reset: none; background: #fff; }
.bd-article { max-width: none; padding: 0; }
.tpl-page + .tpl-page { break-before: page; }
@page { size: A4; margin: 18mm 16mm 20mm;
  @bottom-center { content: counter(page); font: 9pt system-ui, sans-serif; color: #555; } }
</style>
"""


def print_book(book: Book, site: Path | None = None) -> Path:
    """Prints the pages of the built site, in the order of the table of contents, and returns the PDF's path.

    The reference of the library's rooms is left to the site.

    Args:
        book: The book.
        site: Its site; `_build/html` by default.

    Raises:
        BookError: There is no site yet, no Chromium, or it printed nothing.
    """
    site = site or book.root / "_build" / "html"
    folder = site / book.folder.name
    pages = [folder / f"{name}.html" for name in book.pages if (folder / f"{name}.html").exists()]
    if not pages:
        raise BookError(f"there is no site in {site} to print: `tpl site` builds it")
    browser = find_chromium()
    if not browser:
        raise BookError("no Chromium was found, which prints the book: apt-get install chromium")
    whole, target = folder / WHOLE, book.root / "_build" / "book.pdf"
    whole.write_text(whole_book(pages), encoding="utf-8")
    try:
        write_file(target, lambda partial: _print(browser, whole, partial))
    finally:
        whole.unlink()
    return target


def find_chromium() -> str:
    """Chromium's program, by whichever of its names it has here; empty where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), "")


def whole_book(pages: Sequence[Path]) -> str:
    """One page with the articles of several: all that folds is open, and links among them stay within it.

    Args:
        pages: Built pages of one folder. Their names stand before their anchors, which may be the same in several.
    """
    names = {page.name: page.stem for page in pages}
    first = pages[0].read_text(encoding="utf-8")
    head = re.sub(r"<script\b(?![^>]*mathjax/)[^>]*\bsrc=[^>]*></script>", "", first.partition("<body")[0])
    parts = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = ARTICLE.search(text)
        if found is None:
            raise BookError(f"{page} has no article: another theme than the book's has made it")
        head = _with_formulas(head, text)
        parts.append(f'<div class="tpl-page" id="{page.stem}">{_renamed(found[1], page.stem, names)}</div>')
    body = '<body><main class="bd-main"><article class="bd-article">' + "\n".join(parts) + "</article></main></body>"
    return f"{head.replace('</head>', STYLE + '</head>')}{body}</html>\n"


def _with_formulas(head: str, page: str) -> str:
    """A page's head with the scripts for formulas of another page, if it has none yet."""
    scripts = [] if "mathjax/" in head else FORMULAS.findall(page)
    return head.replace("</head>", "\n".join([*scripts, "</head>"]))


def _renamed(article: str, name: str, names: dict[str, str]) -> str:
    """An article as a part of the whole: anchors with their page's name, details open, pictures there at once."""

    def link(found: re.Match[str]) -> str:
        page, anchor = found[1], found[2]
        there = name if not page else names.get(page)
        if there is None:
            return found[0]
        return f'href="#{there}--{anchor}"' if anchor else f'href="#{there}"'

    article = re.sub(r'(?<=\s)id="([^"]+)"', rf'id="{name}--\1"', article)
    article = re.sub(r'(?<=\s)href="([^":#/]*)(?:#([^"]*))?"', link, article)
    article = re.sub(r"<details\b(?![^>]*\bopen)", '<details open="open"', article)
    return article.replace(' loading="lazy"', "")


def once(pdf: bytes) -> bytes:
    """A PDF of Chromium's whose outline says each heading once.

    A heading that was laid out at the foot of a page and then moved to the next stands there twice. The text keeps its
    length, as all that follows in the file is found by its place.
    """
    pdf = re.sub(rb"/Title \((.+?)\1\)", lambda title: (b"/Title (" + title[1] + b")").ljust(len(title[0])), pdf)
    beyond = rb"/Title <FEFF((?:[0-9A-F]{4})+?)\1>"  # letters beyond Latin, as UTF-16
    return re.sub(beyond, lambda title: (b"/Title <FEFF" + title[1] + b">").ljust(len(title[0])), pdf)


def _print(browser: str, page: Path, target: Path) -> None:
    command = [browser, "--headless", "--disable-gpu", "--allow-file-access-from-files"]
    command += ["--virtual-time-budget=120000", "--generate-pdf-document-outline", "--no-pdf-header-footer"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium asks for it where everything runs as root
    command += [f"--print-to-pdf={target}", page.as_uri()]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise BookError(f"Chromium had not printed the book after {PATIENCE} s: leave it more of the machine") from None
    if result.returncode != 0 or not target.exists() or not target.read_bytes().startswith(b"%PDF"):
        raise BookError(f"Chromium printed nothing:\n{result.stderr.strip()[-2000:]}")
    target.write_bytes(once(target.read_bytes()))
