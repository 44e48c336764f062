"""The form of a chapter: it knows every parameter, refuses what cannot be and says why, and keeps what was chosen."""

import html
import json
import os
import shlex
from pathlib import Path

import ipywidgets as widgets
import pytest

from tpl.book.book import Book, BookError
from tpl.book.bounds import parameters_of
from tpl.book.hyperparameters import GIVEN
from tpl.book.pairs import pair
from tpl.workbench.choices import Choices
from tpl.workbench.forms import Form

BOOK = Book(Path(__file__).parents[2])
CHAPTERS = [chapter.name for chapter in BOOK.chapters]


@pytest.fixture
def choices(tmp_path) -> Choices:
    return Choices(BOOK, "03", tmp_path / "03.json")


@pytest.fixture(autouse=True)
def given(monkeypatch):
    monkeypatch.setenv(GIVEN, "")


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_form_knows_every_parameter_of_a_chapter_and_can_show_its_value(name):
    form = Form(Choices(BOOK, name))
    parameters = parameters_of(BOOK.find(name))
    assert list(form.rows) == list(parameters)
    for row in form.rows.values():
        assert row.parameter.help in html.unescape(row.help.value)
        assert row.control.description == row.parameter.name
    assert form.values == form.choices.start


def test_a_new_parameter_appears_by_itself(tmp_path):
    """A line in the cell is all that it takes: what it may be is said by the configuration's field of that name."""
    chapter, new = BOOK.find("03"), "truncation: float = 0.1  # beyond it all distances are one"
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/03_embedding\n")
    text = chapter.source.read_text()
    (tmp_path / "book" / chapter.source.name).write_text(text.replace("epochs: int", f"{new}\nepochs: int", 1))
    book = Book(tmp_path)
    pair(book)
    parameter = Form(Choices(book, "03")).rows["truncation"].parameter
    assert (parameter.help, parameter.allowed) == ("beyond it all distances are one", "greater than 0")


@pytest.mark.parametrize(
    "name, typed, why",
    [
        ("epochs", "-3", "it must be greater than 0"),
        ("epochs", "many", "parameter epochs is int (default 280), and 'many' is not"),
        ("muon_rate", "-1e-3", "it must be at least 0"),
        ("cross_share", "1", "at least 0 and less than 1"),
        ("muon_rate", "nan", "it must be at least 0"),
        ("preset", "papr", "did you mean paper?"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason_and_holds_nowhere(choices, name, typed, why):
    form, before = Form(choices), choices.now[name]
    row = form.rows[name]
    if isinstance(row.control, widgets.Text):
        row.control.value = typed
    else:
        form.choices.turn(name, typed)
        form.show()
    assert why in html.unescape(row.help.value)
    assert "tpl-refused" in row.widget._dom_classes
    assert choices.now[name] == before
    with pytest.raises(BookError, match=f"the form refuses {name}"):
        _ = form.values
    if isinstance(row.control, widgets.Text):
        row.control.value = str(before)
        assert "tpl-refused" not in row.widget._dom_classes
        assert form.values == choices.start


def test_what_is_turned_is_marked_told_and_can_be_put_back(choices):
    form = Form(choices)
    form.rows["epochs"].control.value = "30"
    form.rows["weight_norm"].control.value = True
    assert form.values == choices.start | {"epochs": 30, "weight_norm": True}
    assert "tpl-turned" in form.rows["epochs"].widget._dom_classes
    assert "tpl-turned" not in form.rows["latent_dim"].widget._dom_classes
    assert "2 turned: epochs 280 → 30, weight_norm False → True" in form.summary.value
    assert os.environ[GIVEN].split() == ["epochs", "weight_norm"]
    form.rows["epochs"].back.click()
    assert form.values == choices.start | {"weight_norm": True}
    assert form.rows["epochs"].control.value == "280"
    form._reset()
    assert form.values == choices.start and os.environ[GIVEN] == ""


def test_a_profile_is_a_start_and_what_was_turned_stays(choices):
    form = Form(choices)
    form.rows["epochs"].control.value = "30"
    form.profile.value = "smoke"
    assert form.values["warp_hidden"] == BOOK.profile("smoke", BOOK.find("03"))["warp_hidden"]
    assert form.values["epochs"] == 30
    assert form.choices.command == "tpl run 03 --profile smoke -p epochs 30"
    form.rows["epochs"].control.value = "300"  # as the profile has it
    assert form.choices.command == "tpl run 03 --profile smoke"


def test_the_command_is_what_tpl_run_understands(choices):
    choices.turn("source", "open")
    choices.turn("muon_rate", "0.0")
    words = shlex.split(choices.command)
    assert words[:3] == ["tpl", "run", "03"]
    given = {words[at + 1]: words[at + 2] for at, word in enumerate(words) if word == "-p"}
    again = Choices(BOOK, "03")
    for name, value in given.items():
        assert not again.turn(name, value)
    assert again.now == choices.now


def test_choices_outlast_the_kernel(choices):
    choices.begin("smoke")
    choices.turn("epochs", 31)
    again = Choices(BOOK, "03", choices.file)
    assert (again.profile, again.turned) == ("smoke", {"epochs": 31})


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "[]",
        "null",
        '{"profile": "none", "turned": {}}',
        '{"profile": "quick", "turned": {"gone": 1, "epochs": -2}}',
    ],
)
def test_choices_that_cannot_be_kept_are_forgotten(tmp_path, kept):
    file = tmp_path / "03.json"
    file.write_text(kept)
    found = Choices(BOOK, "03", file)
    assert (found.profile, found.turned, found.refused) == ("quick", {}, {})
    found.turn("epochs", 5)
    assert json.loads(file.read_text()) == {"profile": "quick", "turned": {"epochs": 5}}
