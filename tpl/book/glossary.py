"""The glossary: its terms, and links to them from the first use on each page."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

GLOSSARY = "glossary"
"""The page of the glossary."""

COMMON = frozenset({"category", "code", "encoder", "family", "generator", "profile", "shelf"})
"""Terms that are words of every day as well, so that a link from them would often lead astray."""

# What no link may stand in: code, formulas, roles with their text, links, citations.
_TAKEN = r"\{[\w:]+\}`[^`]*`|`[^`]*`|\$[^$]*\$|!?\[[^\]]*\]\([^)]*\)|<[^>]*>"
_FENCE = re.compile(r"\s*(`{3,}|:{3,}|\${2})")
_NO_PROSE = re.compile(r"\s*(#|\||\(.*\)=$|    |%)")


def read_terms(page: Path) -> list[str]:
    """The terms of a page with one `glossary` directive, in its order."""
    inside = page.read_text(encoding="utf-8").partition(":::{glossary}")[2].partition("\n:::")[0]
    return [line for line in inside.splitlines() if line.strip() and not line.startswith((" ", ":"))]


def linked(texts: Iterable[str], terms: Iterable[str]) -> Iterator[str]:
    """The texts of a page's cells, in order, with a link at the first use of each term.

    Headings, tables, code, formulas and directives are left alone; a plural leads to its singular.
    """
    open_terms = sorted(set(terms) - COMMON, key=len, reverse=True)  # "warp" shall not take the place of a longer one
    for text in texts:
        lines, fence = [], ""
        for line in text.split("\n"):
            mark = _FENCE.match(line)
            if mark and (not fence or mark[1].startswith(fence)):
                closed = fence or line.count("$$") > 1
                fence = "" if closed else mark[1]
                lines.append(line)
                continue
            lines.append(line if fence or _NO_PROSE.match(line) else _link_line(line, open_terms))
        yield "\n".join(lines)


def _link_line(line: str, open_terms: list[str]) -> str:
    """Links the terms that were not met before, and takes them off the list."""
    for term in list(open_terms):
        words = rf"(?<![\w-])({re.escape(term)}s?)(?![\w-])"
        pattern = re.compile(f"{_TAKEN}|{words}", re.IGNORECASE)
        found = next((match for match in pattern.finditer(line) if match[1]), None)
        if found:
            role = f"{{term}}`{found[1]} <{term}>`"
            line = line[: found.start()] + role + line[found.end() :]
            open_terms.remove(term)
    return line
