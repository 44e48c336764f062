"""Chapter 11: photographs, stand-ins for them, stamps."""

from tpl.chapters.photos.showing import TITLES, photo_row
from tpl.chapters.photos.stamps import fetch_stamps
from tpl.chapters.photos.standins import before_wall, in_clutter

__all__ = [
    "TITLES",
    "before_wall",
    "fetch_stamps",
    "in_clutter",
    "photo_row",
]
