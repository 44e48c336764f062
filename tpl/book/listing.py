"""What can be run, and with what, as text: the chapters of the book, and the parameters of one."""

import itertools
import shutil
import textwrap
from collections.abc import Sequence

from tpl.book.book import DEFAULT_PROFILE, Book, Chapter
from tpl.book.bounds import GROUPS, check, parameters_of
from tpl.book.manifest import earlier_seconds, read_manifest
from tpl.book.needs import direct_needs, read_needs
from tpl.book.parameters import parameters

WIDEST = (26, 18, 34)
"""Letters that the columns of a list of parameters have at most, but the last, which has what is left of a line."""

NARROWEST = 24
"""Letters that the last column has at least, however narrow the window is."""


KINDS = {"bool": "true or false", "folder": "a folder", "file": "a file", "text": "any text"}
"""What a parameter may be that has neither bounds nor choices."""


def chapter_list(book: Book, profile: str = DEFAULT_PROFILE) -> str:
    """A line a chapter: what it needs, how long it took last time, how many parameters it has.

    Args:
        book: The book.
        profile: Whose run is looked at; a chapter that was not executed in it has the published run's seconds.

    Raises:
        BookError: There is no such profile, or a manifest is broken.
    """
    needs, folder = direct_needs(read_needs(book)), book.run_folder(profile)
    own, published = read_manifest(folder), read_manifest(book.executed)
    longest, rows = earlier_seconds(folder, book.executed), [("chapter", "needs", "last time", "parameters")]
    for chapter in book.chapters:
        book.profile(profile, chapter)
        entry = own.get(chapter.name) or published.get(chapter.name) or {}
        seconds = f"{entry['seconds']:.0f} s" if entry else "-"
        if entry and longest[chapter.name] > 2 * entry["seconds"] + 10:
            seconds += f" ({longest[chapter.name]:.0f} s with its trainings)"
        if entry and chapter.name not in own:
            seconds += ", published run"
        rows.append((chapter.name, ", ".join(needs[chapter.name]) or "-", seconds, str(len(parameters(chapter)))))
    return aligned(rows) + "\n\n`tpl run NAME --help` lists the parameters of a chapter, with what they may be."


def parameter_list(book: Book, chapter: Chapter, profile: str = DEFAULT_PROFILE, width: int = 0) -> str:
    """The parameters of a chapter, group by group: the value in a profile, what it may be, what it is for.

    Args:
        book: The book.
        chapter: Whose.
        profile: Where it changes a value, the chapter's own stands behind it in brackets.
        width: Letters in a line; 0 is the window's.

    Raises:
        BookError: There is no such profile, or it has a value that a parameter cannot have.
    """
    known, changed = parameters_of(chapter), book.profile(profile, chapter)
    rows: dict[str, list[tuple[str, ...]]] = {group: [] for group in GROUPS}
    for name, parameter in known.items():
        own = _text(parameter.default)
        value = _text(check(parameter, changed.get(name, parameter.default)))
        shown = own if value == own else f"{value} ({own})"
        allowed = parameter.allowed or KINDS.get(parameter.kind, parameter.kind)
        rows[parameter.group].append((f"  {name}", shown, allowed, parameter.help))
    if not known:
        return f"{chapter.name} has no parameters"
    every = [row for group in rows.values() for row in group]
    widths = [min(most, max(len(row[column]) for row in every)) for column, most in enumerate(WIDEST)]
    parts = [f"{group}\n{aligned(found, widths, width)}" for group, found in rows.items() if found]
    return "\n\n".join([f"tpl run {chapter.name} -p NAME VALUE: the values of profile {profile}", *parts])


def aligned(rows: Sequence[Sequence[str]], widths: Sequence[int] = (), width: int = 0) -> str:
    """Rows of text in columns; a cell that does not fit goes on in the next line.

    Args:
        rows: As many cells each.
        widths: Letters of each column but the last, which has the rest of a line; what their cells need by default.
        width: Letters in a line; 0 is the window's.
    """
    width = width or shutil.get_terminal_size((120, 24)).columns
    columns = [*(widths or (max(map(len, column)) for column in [*zip(*rows, strict=True)][:-1]))]
    columns.append(max(NARROWEST, width - sum(columns) - 2 * len(columns)))
    lines = []
    for row in rows:
        cells = [_wrapped(cell, letters) for cell, letters in zip(row, columns, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            lines.append("  ".join(part.ljust(letters) for part, letters in zip(parts, columns, strict=True)).rstrip())
    return "\n".join(lines)


def _wrapped(text: str, letters: int) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, letters, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _text(value: object) -> str:
    return '""' if value == "" else str(value)
