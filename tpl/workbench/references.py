"""The cross references of a chapter, for JupyterLab: links to the other copies, and numbers that stand in the copy.

What the book's pages number through, figures, tables and equations, is numbered here chapter by chapter, for a copy
has no other page to count with: the second figure of chapter 3 is Figure 3.2. Its cell begins with that.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from tpl.book.book import Book

ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303"}  # TeX's, as combining characters

# What is numbered, by how its label begins.
WORDS = {"fig-": "Figure", "tab-": "Table", "eq-": "Eq."}

_LABEL = re.compile(r"""["'`\s(:]((?:fig|tab|eq)-[\w-]+)["'`\s)]""")
_REFERENCE = re.compile(r"\{numref\}`[^`]*`|\{eq\}`[^`]*`")
_EQUATION = re.compile(r"\n?\$\$[ ]*\((?P<label>[\w-]+)\)")
_ROLE = re.compile(
    r"\{(?P<role>ref|doc|numref|eq|cite|py:\w+)\}`(?:(?P<words>[^`<]+)<(?P<label>[^`>]+)>|(?P<alone>[^`]+))`"
)


@dataclass(frozen=True)
class Place:
    """What a reference leads to."""

    words: str
    file: str  # its copy; "" where it has none


@dataclass(frozen=True)
class References:
    """All that the book's pages can refer to."""

    pages: Mapping[str, Place]  # by label, and by the name of the source
    numbered: Mapping[str, Place]  # figures, tables and equations, by label
    sources: Mapping[str, str]  # authors and year of what is cited, by key

    @classmethod
    def of(cls, book: Book) -> "References":
        """Those of a book, read from its pages and its bibliography."""
        executed = {chapter.name for chapter in book.chapters}
        pages, numbered = {}, {}
        for page in sorted(book.folder.glob("*.md")):
            text = page.read_text(encoding="utf-8")
            file = f"{page.stem}.ipynb" if page.stem in executed else ""
            for label, title in re.findall(r"^\(([\w-]+)\)=\n#+ (.+)$", text, re.MULTILINE):
                pages[label] = Place(title, file)
            if title := re.search(r"^# (.+)$", text, re.MULTILINE):
                pages[page.stem] = Place(title[1], file)
            numbered |= {label: Place(words, file) for label, words in number(text, page.stem).items()}
        return cls(pages, numbered, read_sources(book.root / "references.bib"))

    def resolved(self, text: str, file: str) -> str:
        """A markdown cell of the copy `file`, its roles as links and words that need no Sphinx."""

        def tag(found: re.Match) -> str:
            place = self.numbered.get(found["label"])
            return rf" \tag{{{place.words.split()[-1]}}}{found[0].partition('$$')[0]}$$" if place else found[0]

        def link(found: re.Match) -> str:
            role, label = found["role"], (found["label"] or found["alone"]).strip()
            if role == "cite":
                return self._cited(found[0], label)
            if role.startswith("py:"):
                return f"`{label.rpartition('.')[2] if label.startswith('~') else label}`"
            places = self.pages if role in ("ref", "doc") else self.numbered
            if label not in places:
                return found[0]
            place = places[label]
            words = (found["words"] or place.words).strip()
            return f"[{words}]({place.file})" if place.file and place.file != file else words

        return _ROLE.sub(link, _EQUATION.sub(tag, text))

    def announced(self, source: str, metadata: Mapping) -> str:
        """A code cell that begins with the numbers of what it makes, and with the caption of its figure.

        Args:
            source: Its code, where the names of tables stand.
            metadata: The cell's, where the name and the caption of a figure stand.
        """
        figure = metadata.get("mystnb", {}).get("figure", {})
        lines = [f"# {place.words}" for label, place in self.numbered.items() if f'"{label}"' in source]
        if place := self.numbered.get(figure.get("name", "")):
            lines.insert(0, f"# {place.words}: {' '.join(figure.get('caption', '').split())}")
        return "\n".join([*lines, source])

    def _cited(self, role: str, keys: str) -> str:
        known = [self.sources.get(key.strip()) for key in keys.split(",")]
        return f"({'; '.join(filter(None, known))})" if all(known) else role


def number(text: str, stem: str) -> dict[str, str]:
    """Figures, tables and equations of a page by label, numbered in its order: "Figure 3.2", "Table A.1".

    Args:
        text: The page's source; a label in a reference to it does not count.
        stem: The name of the source; what comes before "_" is the chapter's number.
    """
    chapter, count, found = stem.partition("_")[0].lstrip("0"), dict.fromkeys(WORDS, 0), {}
    for label in _LABEL.findall(_REFERENCE.sub("", text)):
        kind = f"{label.partition('-')[0]}-"
        if label not in found:
            count[kind] += 1
            found[label] = f"{WORDS[kind]} {f'{chapter}.' if '_' in stem else ''}{count[kind]}"
    return found


def read_sources(bibliography: Path) -> dict[str, str]:
    """Authors and year of each entry, by key: "Park et al. 2019"; none where there is no such file."""
    text, found = bibliography.read_text(encoding="utf-8") if bibliography.exists() else "", {}
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        key = re.match(r"\w+\{([^,]+),", entry)
        authors = re.search(r"^\s*author\s*=\s*\{(.+)\},?$", entry, re.MULTILINE)
        year = re.search(r"^\s*year\s*=\s*\{?(\d{4})", entry, re.MULTILINE)
        if key and authors and year:
            names = [_plain(name.partition(",")[0]) for name in authors[1].split(" and ")]
            shown = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
            found[key[1]] = f"{shown} {year[1]}"
    return found


def _plain(name: str) -> str:
    """A name without TeX: its accents as letters, no braces."""
    accented = re.sub(r"\\(['`^\"~])\{?(\w)", lambda found: found[2] + ACCENTS[found[1]], name)
    return normalize("NFC", re.sub(r"[{}]", "", accented)).strip()
