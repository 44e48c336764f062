"""Chapter 14: from a picture to a mesh in the reader's own browser, without a server."""

from tpl.chapters.in_the_page.page import LivePage, live_page, parts_table

__all__ = ["LivePage", "live_page", "parts_table"]
