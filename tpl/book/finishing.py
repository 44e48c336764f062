"""What Sphinx leaves undone in a built page: texts for pictures, a description, and a title said once."""

import html
import re
from pathlib import Path

FIGURE = re.compile(r"<figure\b.*?</figure>", re.DOTALL)
CAPTION = re.compile(r'<span class="caption-text">(.*?)</span><a class="headerlink"', re.DOTALL)
UNNAMED = re.compile(r'(<img\b[^>]*?\balt=")(?:[^"]*/)?[^"/]*\.(?:png|svg|jpe?g)(")')
"""A picture whose text is its file's name, as Sphinx has it where nobody gave one."""

BOX = re.compile(r'<div class="[^"]*\badmonition\b[^"]*".*?</div>', re.DOTALL)
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
TITLE = re.compile(r"<title>(.*?) &#8212; \1</title>")
LONGEST = 200
"""Letters of a description: search engines and cards show no more."""

EMPTY_HEAD = re.compile(r"<th\b([^>]*)>(\s*(?:<p>\s*</p>)?\s*)</th>")
"""The head of a column without a name: for a screen reader a head that says nothing, so it becomes a cell."""

NAMED = {
    '<div id="pst-primary-sidebar" class': '<div id="pst-primary-sidebar" role="region" aria-label="the book" class',
    ' role="doc-biblioentry"': "",  # it was for items of lists alone, and the list asks for such
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    '<summary><span class="toctree-toggle"': '<summary aria-label="pages of this part"><span class="toctree-toggle"',
}
"""Parts of the theme without a name of their own, or with a role that does not suit them, and the same mended."""

CARD = "_static/teaser.png"


def finish_pages(built: Path) -> None:
    """Completes every page of a built site, in place: chapters, the search and the index of names."""
    for page in sorted([*(built / "book").rglob("*.html"), *built.glob("*.html")]):
        if "_scenes" in page.parts:
            continue
        text = page.read_text(encoding="utf-8")
        root = "../" * len(page.relative_to(built).parts[:-1])
        page.write_text(finished(text, f"{root}{CARD}" if (built / CARD).exists() else None), encoding="utf-8")


def finished(page: str, card: str | None = None) -> str:
    """A page with its captions as the texts of its pictures, names for what has none, a description and a social card.

    A picture outside of a figure gets the heading above it.

    Args:
        page: As Sphinx wrote it.
        card: Address of the picture of a social card.
    """
    page = TITLE.sub(r"<title>\1</title>", page)
    page = FIGURE.sub(lambda figure: _described(figure[0]), page)
    page = UNNAMED.sub(lambda image: f"{image[1]}{_quoted(_heading(page[: image.start()]))}{image[2]}", page)
    page = EMPTY_HEAD.sub(r"<td\1>\2</td>", page)
    for unnamed, named in NAMED.items():
        page = page.replace(unnamed, named)
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    tags = {"og:type": "article", "og:title": html.unescape(title[1]) if title else "", "og:image": card}
    about = _description(page)
    tags["og:description"] = about
    lines = [f'<meta property="{name}" content="{_quoted(value)}"/>' for name, value in tags.items() if value]
    if about:
        lines.insert(0, f'<meta name="description" content="{_quoted(about)}"/>')
    return page.replace("</head>", "\n".join([*lines, "</head>"]), 1)


def plain(markup: str) -> str:
    """The text of some markup, in one line; formulas as they are written."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def _described(figure: str) -> str:
    caption = CAPTION.search(figure)
    return figure if caption is None else UNNAMED.sub(rf"\g<1>{_escaped(plain(caption[1]))}\g<2>", figure)


def _heading(above: str) -> str:
    headings = re.findall(r"<h[1-4]>(.*?)<a class=\"headerlink\"", above, re.DOTALL)
    return f"Picture: {plain(headings[-1])}" if headings else "Picture"


def _description(page: str) -> str:
    """The first paragraph of the article outside of boxes, cut at a word."""
    _, _, article = page.partition("<h1>")
    first = PARAGRAPH.search(BOX.sub("", article))
    text = plain(first[1]) if first else ""
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"


def _quoted(text: str | None) -> str:
    return html.escape(text or "", quote=True)


def _escaped(text: str) -> str:
    """As an attribute's value in a pattern's replacement."""
    return _quoted(text).replace("\\", r"\\")
