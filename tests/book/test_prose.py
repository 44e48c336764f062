"""What the chapters say in words: numbers that a run finds are computed by it, never typed."""

import re

import jupytext
import pytest

from tpl.book.book import Book
from tpl.book.commands import ROOT

SETTINGS = {
    "01_shapes": {"0.005", "0.0005"},  # DeepSDF's two variances
    "02_implicit_template": {"0.25", "2.73", "0.1"},  # Eq. 7's bound, Eq. 9's weight, and a knob
    "06_end_to_end": {"5.2", "0.003"},  # a section of the paper, and a knob
    "07_tables": {"0.57"},  # the factor of a protocol
    "A_paper_and_code": {"0.005"},  # the weight of Eq. 9
    "C_blender": {"3.4"},  # a version
    "intro": {"3.11"},  # a version
}
"""The decimals that may stand in a chapter's prose: constants of others' methods, versions and knobs, no results."""

# Code, formulas, links.
NO_PROSE = r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|^    .*?$"


@pytest.mark.parametrize("chapter", Book(ROOT).sources, ids=lambda chapter: chapter.name)
def test_no_result_is_typed(chapter):
    cells = jupytext.read(chapter.source).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = set(re.findall(r"\d*\.\d+", re.sub(NO_PROSE, " ", prose, flags=re.DOTALL | re.MULTILINE)))
    assert found <= SETTINGS.get(chapter.name, set()), "compute it in a cell, or cite the file that holds it"


def test_a_typed_result_would_be_found():
    assert re.findall(r"\d*\.\d+", re.sub(NO_PROSE, " ", "a mean of 1.30 and `0.5` and $0.25$")) == ["1.30"]
