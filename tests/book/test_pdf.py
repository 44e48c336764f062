"""The book on paper: all pages as one, nothing folded, links within it, and a PDF by Chromium."""

import re
from pathlib import Path

import pytest

from tpl.book.book import BookError
from tpl.book.pdf import once, print_book, whole_book

PAGE = """<html><head><script src="../_static/scenes.js"></script>{script}</head><body>
<article class="bd-article"><h1 id="top">{name}</h1><img loading="lazy" src="a.png"/>
<details class="hide"><summary>answer</summary></details>
<a href="#top">here</a><a href="b.html#top">there</a><a href="b.html">all of it</a><a href="https://x.org/b.html">out</a>
<a href="_scenes/c.html">scene</a></article></body></html>"""
FORMULAS = '<script>window.MathJax = {"a": 1}</script><script defer src="../_static/mathjax/startup.js"></script>'


@pytest.fixture
def whole(tmp_path: Path) -> str:
    for name, script in (("a", ""), ("b", FORMULAS)):
        (tmp_path / f"{name}.html").write_text(PAGE.format(name=name, script=script))
    return whole_book([tmp_path / "a.html", tmp_path / "b.html"])


def test_anchors_of_two_pages_stay_apart_and_links_lead_within_the_whole(whole):
    assert re.findall(r' id="([^"]*)"', whole) == ["a", "a--top", "b", "b--top"]
    links = re.findall(r'href="([^"]*)"', whole)
    assert links[:5] == ["#a--top", "#b--top", "#b", "https://x.org/b.html", "_scenes/c.html"]
    assert links[5] == "#b--top"


def test_nothing_is_folded_nor_waits_to_be_seen(whole):
    assert whole.count('<details open="open"') == whole.count("<details") == 2
    assert 'loading="lazy"' not in whole and "scenes.js" not in whole


def test_formulas_are_set_if_any_page_has_some(whole):
    assert whole.count("mathjax/startup.js") == 1 and 'window.MathJax = {"a": 1}' in whole


def test_a_heading_is_once_in_the_outline_and_all_else_stays_in_its_place():
    before = b"/Title (Two wordsTwo words)\n/Title (Only once)\n/Title <FEFF00B7004100B70041>\n/Title <FEFF00410042>"
    after = once(before)
    assert len(after) == len(before)
    for title in (b"/Title (Two words) ", b"/Title (Only once)", b"/Title <FEFF00B70041> ", b"/Title <FEFF00410042>"):
        assert title in after


def test_without_a_site_it_says_what_comes_before(mini_book):
    with pytest.raises(BookError, match="`tpl site` builds it"):
        print_book(mini_book)


@pytest.mark.site
def test_chromium_prints_every_page_with_an_outline(built_book):
    pdf = print_book(built_book).read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.rstrip().endswith(b"%%EOF")
    assert b"/Title (A book of two pages)" in pdf
    assert "Cubes".encode("utf-16-be").hex().upper().encode() in pdf  # a dot stands in its title, so it is UTF-16
    assert not (built_book.root / "_build" / "html" / "book" / "whole.html").exists()
