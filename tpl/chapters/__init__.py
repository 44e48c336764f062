"""Code that one chapter needs, a room by the chapter's name; and the pictures that several share."""

from tpl.chapters.each_category import with_trained
from tpl.chapters.pictures import (
    exhibits,
    gallery,
    made_to_fit,
    painted_by_place,
    painted_template,
    picture_grid,
    posters,
    sheet_grid,
    solid,
    spread_out,
    view_row,
)

__all__ = [
    "exhibits",
    "gallery",
    "made_to_fit",
    "painted_by_place",
    "painted_template",
    "picture_grid",
    "posters",
    "sheet_grid",
    "solid",
    "spread_out",
    "view_row",
    "with_trained",
]
