"""Chapter 11: photographs, stand-ins for them, our own pictures, stamps."""

from tpl.chapters.photos.own import OWN, make_pictures
from tpl.chapters.photos.sheet import sheet_of, table_of, take_own_pictures
from tpl.chapters.photos.showing import TITLES, photo_row
from tpl.chapters.photos.stamps import fetch_stamps
from tpl.chapters.photos.standins import before_wall, in_clutter

__all__ = [
    "OWN",
    "TITLES",
    "before_wall",
    "fetch_stamps",
    "in_clutter",
    "make_pictures",
    "photo_row",
    "sheet_of",
    "table_of",
    "take_own_pictures",
]
