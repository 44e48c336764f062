"""Tables of the book: numbered and captioned on its pages, plain in JupyterLab."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from IPython.display import Markdown

__all__ = ["Markdown", "SortableTable", "Table", "of_each"]

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)? ?%?|", re.IGNORECASE)  # or nothing


def of_each(names: Iterable[str], say: Callable[[str], str]) -> str:
    """What is to be said of each, for a sentence: "0.86 (chairs), 0.36 (sofas)"."""
    return ", ".join(f"{say(name)} ({name})" for name in names)


@dataclass(frozen=True, eq=False)
class Table:
    """A table with a caption, as the value of a cell; pages refer to it by its name: {numref}`name`.

    Cells are shown as `str` has them: round numbers before. The caption and the cells may hold MyST.
    """

    frame: pd.DataFrame
    caption: str
    name: str

    def markdown(self) -> str:
        """The table directive that the book's pages are made of; columns of numbers stand to the right."""
        text = self.frame.astype(str)
        rows = [list(map(str, text.columns)), *text.to_numpy().tolist()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        columns = list(zip(*rows[1:], strict=True)) or [()] * len(rows[0])
        right = [bool(column) and all(NUMBER.fullmatch(cell.strip("*")) for cell in column) for column in columns]
        lines.insert(1, "|" + "|".join("--:" if numbers else ":--" for numbers in right) + "|")
        options = [f":name: {self.name}", *self._options()]
        return "\n".join([f":::{{table}} {self.caption}", *options, "", *lines, ":::"])

    def _options(self) -> list[str]:
        """Further options of the directive."""
        return []

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/markdown": self.markdown(),  # what the pages take
            "text/html": self.frame.to_html(index=False),  # what JupyterLab prefers
            "text/plain": self.frame.to_string(index=False),
        }


@dataclass(frozen=True, eq=False)
class SortableTable(Table):
    """A table that a reader sorts by a press on a column's head; the rows come in the order of the frame.

    The book's pages carry the script (`book/_static/sortable.js`); without it, and in JupyterLab, it is a plain table.
    Numbers sort as numbers, largest first, and an empty cell among them counts as more than any: a failure is worst.

    Args:
        largest_first: The column that the frame is sorted by already, so that readers are told; none if empty.
    """

    largest_first: str = ""

    def _options(self) -> list[str]:
        classes = ["tpl-sortable"]
        if self.largest_first:
            classes.append(f"tpl-sorted-{list(self.frame.columns).index(self.largest_first)}")
        return [f":class: {' '.join(classes)}"]
