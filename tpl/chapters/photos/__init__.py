"""Chapter 11: photographs, stand-ins for them, our own pictures, stamps."""

from tpl.chapters.photos.own import OWN, make_pictures
from tpl.chapters.photos.several import gains_of_pictures, score_pictures_of, table_of_pictures
from tpl.chapters.photos.sheet import sheet_of, table_of, take_own_pictures
from tpl.chapters.photos.showing import TITLES, photo_row
from tpl.chapters.photos.stamps import fetch_stamps
from tpl.chapters.photos.standins import before_wall, in_clutter

__all__ = [
    "OWN",
    "TITLES",
    "before_wall",
    "fetch_stamps",
    "gains_of_pictures",
    "in_clutter",
    "make_pictures",
    "photo_row",
    "score_pictures_of",
    "sheet_of",
    "table_of",
    "table_of_pictures",
    "take_own_pictures",
]
