"""Tables of the book: numbered and captioned on its pages, plain in JupyterLab."""

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class Table:
    """A table with a caption, as the value of a cell; pages refer to it by its name: {numref}`name`.

    Cells are shown as `str` has them: round numbers before. The caption and the cells may hold MyST.
    """

    frame: pd.DataFrame
    caption: str
    name: str

    def markdown(self) -> str:
        """The table directive that the book's pages are made of."""
        rows = [list(map(str, self.frame.columns)), *self.frame.astype(str).to_numpy().tolist()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        numeric = [pd.api.types.is_numeric_dtype(self.frame[column]) for column in self.frame]
        lines.insert(1, "|" + "|".join("--:" if right else ":--" for right in numeric) + "|")
        return "\n".join([f":::{{table}} {self.caption}", f":name: {self.name}", "", *lines, ":::"])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/markdown": self.markdown(),  # what the pages take
            "text/html": self.frame.to_html(index=False),  # what JupyterLab prefers
            "text/plain": self.frame.to_string(index=False),
        }
