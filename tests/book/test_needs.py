"""Which chapters need which: the book's own list, and what follows from such a list for the order of a run."""

import pytest

from tpl.book.book import Book, BookError
from tpl.book.commands import ROOT
from tpl.book.needs import direct_needs, read_needs, urgency, waits

BOOK = Book(ROOT)
NEEDS = read_needs(BOOK)
ORDER = [chapter.name for chapter in BOOK.chapters]


def needs_of(book, text):
    (book.folder / "needs.yml").write_text(text)
    return read_needs(book)


def test_the_book_says_of_every_chapter_what_it_needs():
    assert set(NEEDS) == set(ORDER)
    assert NEEDS["04_encoder"] == {"01_shapes", "03_embedding"}  # through chapter 3
    assert NEEDS["02_implicit_template"] == NEEDS["C_blender"] == set()
    assert direct_needs(NEEDS)["06_end_to_end"] == ["04_encoder", "05_contrastive"]


def test_what_trains_and_reads_the_same_run_folder_is_ordered():
    """Phase 2 stands on phase 1, the tables judge all, and the first page shows what they found."""
    for reader in ("07_tables", "08_gallery", "09_latent_space", "10_correspondence", "11_photos", "intro"):
        trained = {"01_shapes", "03_embedding", "04_encoder", "05_contrastive", "06_end_to_end"}
        assert trained <= NEEDS[reader], reader
    assert "07_tables" in NEEDS["intro"] & NEEDS["08_gallery"]


def test_chapters_that_are_not_listed_need_all_before_them(mini_book):
    assert read_needs(mini_book) == {"01_cubes": set(), "intro": {"01_cubes"}}
    assert needs_of(mini_book, "intro: []") == {"01_cubes": set(), "intro": set()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("intro: [01_cube]", "intro needs 01_cube, which is no chapter before it; did you mean 01_cubes?"),
        ("01_cubes: [intro]", "01_cubes needs intro, which is no chapter before it"),
        ("01_cubes: []\nintr: []", "there is no chapter intr; did you mean intro?"),
        ("a: [", "needs.yml cannot be read as YAML .*: mend it"),
        ("[" * 20_000, "needs.yml cannot be read as YAML"),
        ("\x00", "needs.yml cannot be read as YAML"),
        ("[1]", "should hold lines `chapter: .chapters that it needs.`"),
        ("intro: 01_cubes", "should hold lines `chapter: .chapters that it needs.`"),
    ],
)
def test_a_wrong_list_is_told_in_one_sentence(mini_book, text, message):
    with pytest.raises(BookError, match=message):
        needs_of(mini_book, text)


def test_of_two_chapters_the_one_that_is_named_first_is_waited_for():
    """`make real` runs 12 before 7, which shows its rows; in the book it is the other way round."""
    assert waits(["01_shapes", "12_real_shapes", "07_tables"], NEEDS) == {
        "01_shapes": set(),
        "12_real_shapes": {"01_shapes"},
        "07_tables": {"01_shapes", "12_real_shapes"},
    }
    assert "07_tables" in waits(ORDER, NEEDS)["12_real_shapes"]
    assert waits(["C_blender", "08_gallery", "03_embedding"], NEEDS)["03_embedding"] == {"08_gallery"}


def test_what_the_longest_chain_waits_for_is_urgent():
    waiting = {"a": set(), "b": {"a"}, "c": {"a", "b"}, "d": set()}
    assert urgency(waiting, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 5.0}) == {"a": 6.0, "b": 5.0, "c": 3.0, "d": 5.0}
    assert urgency(waiting, {}) == dict.fromkeys("abcd", 0.0)
