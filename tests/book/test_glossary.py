"""The first use of a term leads to the glossary, and nothing else is touched."""

from tpl.book.book import Book
from tpl.book.commands import ROOT
from tpl.book.glossary import COMMON, linked, read_terms

TERMS = ["warp", "template", "signed distance", "code"]


def one(text: str) -> str:
    (made,) = linked([text], TERMS)
    return made


def test_the_first_use_on_a_page_is_linked_once():
    first, second = linked(["A Warp and two templates.", "The warp again, a signed distance."], TERMS)
    assert first == "A {term}`Warp <warp>` and two {term}`templates <template>`."
    assert second == "The warp again, a {term}`signed distance <signed distance>`."


def test_code_formulas_headings_tables_and_directives_stay():
    text = (
        "# The warp\n\n`warp` $warp$ {ref}`warp` [warp](warp.md) warped time-warp\n\n| warp |\n\n"
        "```python\n\nwarp\n\n```\n\n$$\nwarp\n$$\n\n:::{note}\nwarp\n:::"
    )
    assert one(text) == text
    assert one(text + "\n\nNow a warp.") == text + "\n\nNow a {term}`warp <warp>`."


def test_words_of_every_day_are_no_links():
    assert "code" in COMMON and one("Show code") == "Show code"


def test_the_longer_term_comes_first():
    (made,) = linked(["the sampling floor"], ["floor", "sampling floor"])
    assert made == "the {term}`sampling floor <sampling floor>`"


def test_the_books_glossary_has_its_terms_in_order_and_each_is_used():
    page = ROOT / "book" / "glossary.md"
    terms, blocks = read_terms(page), page.read_text().partition(":::{glossary}\n")[2].split("\n\n")
    heads = [block.splitlines()[0].lower() for block in blocks]
    assert 30 <= len(heads) <= len(terms) == len(set(terms)) and heads == sorted(heads)
    prose = " ".join(chapter.source.read_text().lower() for chapter in Book(ROOT).chapters)
    assert [term for term in terms if term.lower() not in " ".join(prose.split())] == []
