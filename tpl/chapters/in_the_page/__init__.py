"""Chapter 14: from a picture to a mesh in the reader's own browser, without a server."""

from tpl.chapters.in_the_page.page import LiveLink, LivePage, live_link, live_page, parts_table

__all__ = ["LiveLink", "LivePage", "live_link", "live_page", "parts_table"]
