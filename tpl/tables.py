"""Tables of the book: numbered and captioned on its pages, plain in JupyterLab."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)? ?%?|", re.IGNORECASE)  # or nothing


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
        return "\n".join([f":::{{table}} {self.caption}", f":name: {self.name}", "", *lines, ":::"])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/markdown": self.markdown(),  # what the pages take
            "text/html": self.frame.to_html(index=False),  # what JupyterLab prefers
            "text/plain": self.frame.to_string(index=False),
        }
