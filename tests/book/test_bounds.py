"""What a chapter's parameters may be: all are known, from their configurations, and a wrong value is one sentence."""

import re

import pytest
from pydantic import BaseModel, Field

from tpl.book.book import Book, BookError
from tpl.book.bounds import CONFIGURED, GROUPS, Parameter, Rule, _narrowed, check, parameters_of
from tpl.book.commands import ROOT
from tpl.book.parameters import chosen_parameters, parameters
from tpl.study.phases import PHASES

BOOK = Book(ROOT)
PROFILES = sorted(folder.name for folder in (BOOK.folder / "profiles").iterdir())
FREE = {"folder", "file", "bool"}
"""Kinds that need neither bounds nor choices."""


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.name)
def test_every_parameter_of_the_book_is_known_and_its_default_is_within(chapter):
    known = parameters_of(chapter)
    assert {name: parameter.default for name, parameter in known.items()} == parameters(chapter)
    for name, parameter in known.items():
        bounded = parameter.minimum is not None or parameter.choices or parameter.kind in FREE
        assert bounded or name == "real_shapes", f"{chapter.name}: nothing says what {name} may be"
        assert check(parameter, parameter.default) == parameter.default
        assert parameter.help and parameter.group in GROUPS and parameter.group != "others", f"{chapter.name}: {name}"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_values_of_every_profile_are_within(profile):
    assert set(chosen_parameters(BOOK, BOOK.chapters, profile, {})) == {chapter.name for chapter in BOOK.chapters}


def test_each_training_says_what_the_parameters_of_its_chapter_may_be():
    assert {spec.chapter for spec in PHASES.values()} <= set(CONFIGURED)
    for spec in PHASES.values():
        known = parameters_of(BOOK.find(spec.chapter))
        assert {parameter.group for parameter in known.values()} >= {"training", "networks", "measured and shown"}


def test_bounds_are_those_of_the_configurations():
    of_encoder, of_decoder = (parameters_of(BOOK.find(number)) for number in ("04", "03"))
    assert of_decoder["dropout"].allowed == "at least 0 and less than 1"
    assert of_decoder["chairs_epochs"].allowed == of_encoder["epochs_sdf"].allowed == "greater than 0"
    assert (of_encoder["width"].minimum, of_encoder["width"].group) == (8, "networks")  # EncoderConfig's
    assert of_decoder["schedule"].choices == ("cosine", "halving", "constant")
    assert of_decoder["epochs"].help == "how often each shape is seen" and of_decoder["epochs"].kind == "int"


def test_a_name_means_what_its_chapter_says():
    assert "all" in parameters_of(BOOK.find("03"))["category"].choices
    assert "all" not in parameters_of(BOOK.find("A"))["category"].choices
    assert parameters_of(BOOK.find("02"))["ambient_dim"].allowed == "greater than 0"  # its toy is about them
    assert parameters_of(BOOK.find("03"))["ambient_dim"].allowed == "at least 0"
    assert parameters_of(BOOK.find("04"))["only"].joined == "," and not parameters_of(BOOK.find("A"))["only"].joined


@pytest.mark.parametrize(
    ("chapter", "name", "value", "sentence"),
    [
        ("03", "epochs", "-3", "epochs = -3: it must be greater than 0"),
        ("03", "epochs", "many", "parameter epochs is int (default 280), and 'many' is not"),
        ("03", "warp_rate", "nan", "warp_rate = nan: it must be greater than 0"),
        ("03", "warp_rate", "inf", "warp_rate = inf: it must be greater than 0"),
        ("04", "hue", "0.7", "hue = 0.7: it must be at least 0 and at most 0.5"),
        ("03", "dropout", 1, "dropout = 1.0: it must be at least 0 and less than 1"),
        ("03", "preset", "papr", "preset = 'papr': one of paper, authors, fixed; did you mean paper?"),
        ("03", "preset", "xyz", "preset = 'xyz': one of paper, authors, fixed"),
        ("03", "category", "Chair", "one of all, chairs, sofas, airplanes; did you mean chairs?"),
        ("A", "category", "all", "category = 'all': one of chairs, sofas, airplanes"),
        ("03", "source", "open+procedual", "or several joined by '+'; did you mean procedural?"),
        ("04", "only", "Muon, brightnes", "did you mean brightness?"),
        ("03", "device", "gpu", "device = 'gpu': one of auto, cpu, cuda, or as cuda:1; did you mean cpu?"),
        ("11", "rectangle", "40,20,600", 'one of "", or as 40,20,600,470'),
        ("08", "method", "our encodr", "did you mean our encoder?"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(chapter, name, value, sentence):
    with pytest.raises(BookError, match=re.escape(sentence) + "$"):
        check(parameters_of(BOOK.find(chapter))[name], value)


@pytest.mark.parametrize(
    ("chapter", "name", "value"),
    [
        ("03", "source", "procedural+open"),
        ("03", "source", ""),
        ("04", "only", "our decoder, crop and its box"),
        ("04", "only", ""),
        ("03", "device", "cuda:1"),
        ("11", "rectangle", "40, 20, 600, 470"),
        ("01", "data", "anywhere"),
    ],
)
def test_what_has_no_single_list_is_taken_where_it_is_right(chapter, name, value):
    assert check(parameters_of(BOOK.find(chapter))[name], value) == value


def test_of_several_rules_the_narrower_holds():
    class First(BaseModel):
        share: float = Field(ge=0, lt=2)

    class Second(BaseModel):
        share: float = Field(gt=0, le=2)

    parameter = Parameter("share", 0.5)
    for kind in (First, Second):
        parameter = _narrowed(parameter, Rule(kind.model_fields["share"], "training"))
    assert parameter.allowed == "greater than 0 and less than 2"
