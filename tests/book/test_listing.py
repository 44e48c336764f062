"""What `tpl run --list` and `tpl run 03 --help` say."""

import json

import pytest

from tpl.book.book import Book, BookError
from tpl.book.commands import ROOT, help_of_chapters
from tpl.book.listing import aligned, chapter_list, parameter_list

BOOK = Book(ROOT)


def test_every_chapter_is_listed_with_what_it_needs_and_how_long_it_took(mini_book):
    lines = chapter_list(mini_book).splitlines()
    assert [line.split() for line in lines[1:3]] == [["01_cubes", "-", "-", "4"], ["intro", "01_cubes", "-", "0"]]
    for folder, seconds in ((mini_book.executed, 40.0), (mini_book.run_folder("smoke"), 7.0)):
        folder.mkdir(parents=True)
        entry = {"01_cubes": {"seconds": seconds, "longest_seconds": 20 * seconds}}
        (folder / "manifest.json").write_text(json.dumps({"chapters": entry}))
    assert "40 s (800 s with its trainings), published run" in chapter_list(mini_book)
    assert "7 s (140 s with its trainings)  " in chapter_list(mini_book, "smoke")
    with pytest.raises(BookError, match="no profile 'fast'"):
        chapter_list(mini_book, "fast")


def test_parameters_are_listed_with_value_bounds_and_comment():
    text = parameter_list(BOOK, BOOK.find("01"), "smoke", width=140)
    assert (
        "train_shapes         4 (256)" in text
        and "greater than 0" in text
        and "shapes a category to train with" in text
    )
    assert max(map(len, text.splitlines())) <= 140
    order = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert order[1:] == ["shapes, folders, machine", "shapes", "measured and shown"]


def test_a_chapter_without_parameters_says_so(mini_book):
    assert parameter_list(mini_book, mini_book.find("intro")) == "intro has no parameters"


@pytest.mark.parametrize(
    ("line", "chapters"),
    [
        ("07 --help", ["07_tables"]),
        ("-h 07_tables", ["07_tables"]),
        ("-p draws 3 07 --jobs 2 08 --help", ["07_tables", "08_gallery"]),
        ("--help", []),
        ("07", []),
        ("07 --help --minutes", []),  # tyro says what is wrong
    ],
)
def test_help_is_of_the_chapters_that_are_named(line, chapters):
    told = help_of_chapters(line.split())
    assert [part.split()[2] for part in told.split("\n") if part.startswith("tpl run")] == chapters


def test_help_on_what_is_not_there_is_one_sentence():
    with pytest.raises(BookError, match="no chapter '99'"):
        help_of_chapters(["99", "--help"])
    with pytest.raises(BookError, match="no profile 'smok'; .* did you mean smoke"):
        help_of_chapters(["07", "--help", "--profile", "smok"])


def test_columns_are_as_wide_as_they_may_be():
    rows = [("a", "a long cell of several words", "b"), ("  cc", "short", "d")]
    assert aligned(rows, widths=(4, 12), width=60).splitlines() == [
        "a     a long cell   b",
        "      of several",
        "      words",
        "  cc  short         d",
    ]
