"""Chapter 13: a trained decoder under the hand."""

from tpl.chapters.playground.desk import Desk
from tpl.chapters.playground.figures import (
    WIDE,
    error_bar,
    farthest,
    fit_table,
    grid_table,
    meshes_of,
    plot_fits,
    size_table,
    watched,
)
from tpl.chapters.playground.fitting import CODE, DECODER, fit_shape
from tpl.chapters.playground.painting import Painter
from tpl.chapters.playground.playing import CLAY, ERROR, PART, PLACE, PlaygroundError, State, moved, open_players

__all__ = [
    "CLAY",
    "CODE",
    "DECODER",
    "ERROR",
    "PART",
    "PLACE",
    "WIDE",
    "Desk",
    "Painter",
    "PlaygroundError",
    "State",
    "error_bar",
    "farthest",
    "fit_shape",
    "fit_table",
    "grid_table",
    "meshes_of",
    "moved",
    "open_players",
    "plot_fits",
    "size_table",
    "watched",
]
