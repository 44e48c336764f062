"""The border: whatever a reader raises is one plain sentence that names the file and the remedy."""

import inspect
import json
import logging
from typing import get_args, get_origin, get_type_hints

import cv2
import numpy as np
import pytest
from pydantic import BaseModel

from tpl.__main__ import COMMANDS, main
from tpl.border import border, last_words, read_json, read_model
from tpl.errors import PlainError
from tpl.settings import SettingsError, within_bounds


class Told(BaseModel):
    steps: int


class OurError(PlainError):
    pass


def fail_as(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda: {}["key"], "'key'"),
        (lambda: fail_as(MemoryError()), "needs more memory than there is"),
        (lambda: fail_as(RuntimeError("[enforce fail] can't allocate memory: you tried")), "needs more memory"),
        (lambda: cv2.resize(np.zeros((0, 3), np.uint8), (1, 1)), "ssize.empty"),
        (lambda: Told.model_validate({"steps": "many"}), "steps: Input should be a valid integer"),
        (lambda: fail_as(RecursionError("too\ndeep")), "too deep"),
        (lambda: open("/nowhere/at/all"), "No such file or directory"),
    ],
)
def test_any_error_becomes_one_sentence(work, told):
    with pytest.raises(OurError) as error, border("a.json", "make it anew", OurError):
        work()
    sentence = str(error.value)
    assert sentence.startswith("a.json ") and sentence.endswith(": make it anew")
    assert told in sentence and "\n" not in sentence and "http" not in sentence


def test_what_is_said_already_and_who_interrupts_pass():
    for error in (OurError("said"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)) as met, border("a.json", "make it anew"):
            raise error
        assert met.value is error


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "3", '{"a"', "\x00", "[" * 100_000])
def test_json_that_holds_no_object_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    for read in (
        lambda: read_json(tmp_path / "a.json", "remove it"),
        lambda: read_model(tmp_path / "a.json", Told, "-"),
    ):
        with pytest.raises(PlainError, match=r"a\.json cannot be read"):
            read()


def test_json_by_a_typed_model(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"steps": 3}))
    assert read_model(tmp_path / "a.json", Told, "remove it").steps == 3
    (tmp_path / "a.json").write_text(json.dumps({"step": 3}))
    with pytest.raises(PlainError, match=r"steps: Field required"):
        read_model(tmp_path / "a.json", Told, "remove it")


def test_the_last_words_keep_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        fail_as(KeyError("lost"))
    except KeyError as error:
        said = last_words(error)
    (log,) = tmp_path.glob("tpl-*.log")
    assert said == f"KeyError, which nobody foresaw ('lost'): the details are in {log}"
    assert "fail_as" in log.read_text()


def test_trimesh_says_nothing_beside_us():
    assert not logging.getLogger("trimesh").isEnabledFor(logging.ERROR)


@pytest.mark.parametrize("option", ["--data", "--runs", "-o"])
def test_an_empty_name_is_no_folder(monkeypatch, option):
    for given in ([option, ""], [f"{option}="]):
        monkeypatch.setattr("sys.argv", ["tpl", "prepare", *given])
        with pytest.raises(SystemExit, match=f"tpl: {option} is given no name"):
            main()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("lost"), "tpl: KeyError, which nobody foresaw .'lost'.: the details are in .*tpl-.*log$"),
        (MemoryError(), "tpl: this needs more memory than there is: ask for less; what was finished is kept$"),
        (OurError("of ours"), "^tpl: of ours$"),
        (OSError(28, "No space left on device", "a.npz"), "^tpl: .*No space left on device: 'a.npz'$"),
    ],
)
def test_a_command_ends_in_one_sentence_whatever_happens(monkeypatch, tmp_path, error, told):
    def fail() -> None:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "doctor", fail)
    monkeypatch.setattr("sys.argv", ["tpl", "doctor"])
    with pytest.raises(SystemExit, match=told):
        main()


def test_pydantic_s_lines_are_one_without_an_address(monkeypatch):
    monkeypatch.setitem(COMMANDS, "doctor", lambda: Told.model_validate({"steps": 0.5}))
    monkeypatch.setattr("sys.argv", ["tpl", "doctor"])
    with pytest.raises(SystemExit, match="^tpl: steps: Input should be a valid integer[^\n]*$") as error:
        main()
    assert "http" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["prepare", "--timeout=nan"], "--timeout nan is refused: it must be a finite number"),
        (["prepare", "--timeout=-1"], "--timeout -1.0 is refused: it must be greater than 0"),
        (["run", "--minutes=inf"], "--minutes inf is refused: it must be a finite number"),
        (["run", "--minutes=-1"], "--minutes -1.0 is refused: it must be greater than or equal to 0"),
        (["data", "check", ".", "--measured", "-1"], "--measured -1 is refused"),
        (["reconstruct", "a.png", "-o", "a.glb", "--height=1e300"], "--height 1e.300 is refused"),
        (["reconstruct", "a.png", "-o", "a.glb", "--resolution", "99999"], "--resolution 99999 is refused"),
        (
            ["complete", "a.ply", "-o", "a.glb", "--category", "sofas", "--frame", "0", "0", "0", "nan"],
            "--frame 0.0 0.0",
        ),
        (["complete", "a.ply", "-o", "a.glb", "--category", "sofas", "--seed", "-1"], "--seed -1 is refused"),
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_the_name_of_their_option(monkeypatch, given, told):
    monkeypatch.setattr("sys.argv", ["tpl", *given])
    with pytest.raises(SystemExit, match=f"^tpl: {told}[^\n]*$"):
        main()


def test_no_number_of_any_command_is_let_in_that_is_not_finite():
    """As a kind: each option of a command that takes a float refuses nan and infinity, whatever else it takes."""
    tried = 0
    for command in COMMANDS.values():
        for name, hint in get_type_hints(command).items():
            if float in (hint, *get_args(hint)):
                for number in (float("nan"), float("inf")):
                    value = (number,) * len(get_args(hint)) if get_origin(hint) is tuple else number
                    with pytest.raises(SettingsError, match=f"^--{name} .*is refused: it must be a finite number$"):
                        within_bounds(command)(**{name: value, **needed(command, name)})
                    tried += 1
    assert tried >= 6


def needed(command, name):
    """Something for each argument that a command cannot do without."""
    parameters = inspect.signature(command).parameters.values()
    return {one.name: None for one in parameters if one.default is one.empty and one.name != name}
