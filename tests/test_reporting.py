"""What watched work says in a terminal and in a file of its output."""

import io
import time
from pathlib import Path

import pytest

from tpl import reporting
from tpl.reporting import duration, reported, say, sentence
from tpl.watching import Told, stage


def told(label: str, done: int, rate: float = 1.0, ended: bool = False) -> Told:
    return Told(label, done, 100, "steps", rate, ended, [], {}, Path("none"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "seconds, read",
    [(0, "0:00"), (6.6, "0:07"), (59.6, "1:00"), (750, "12:30"), (3599.7, "1:00:00"), (3723, "1:02:03")],
)
def test_a_time_is_read_as_on_a_clock(seconds, read):
    assert duration(seconds) == read


def test_stages_that_go_on_are_named_with_their_share_and_the_rest():
    stages = [
        told("chairs, embedding", 62, 0.5),
        told("sofas, embedding", 100),
        told("airplanes", 3, 0.0),
        told("x", 1, 1, True),
    ]
    assert sentence(stages) == "chairs, embedding 62% (1:16 left) · airplanes 3%"
    assert sentence([]) == ""


def test_a_terminal_is_told_in_one_line_that_goes_away(monkeypatch):
    monkeypatch.setattr(reporting, "ON_A_TERMINAL", 0.02)
    out = Terminal()
    with reported(lambda: "[3/16]", out), stage("chairs", 4) as work:
        work.next = 0.0
        work.tell(2)
        time.sleep(0.2)
    lines = out.getvalue().split("\r\x1b[K")
    assert "[3/16] · chairs 50%" in lines[2]
    assert lines[-1] == "" and "\n" not in out.getvalue()


def test_a_line_is_no_longer_than_the_terminal(monkeypatch):
    monkeypatch.setattr(reporting, "ON_A_TERMINAL", 0.02)
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    with reported(lambda: "x" * 50, out):
        time.sleep(0.1)
    assert max(map(len, out.getvalue().split("\r\x1b[K"))) == 19


def test_a_file_gets_a_line_now_and_then_and_none_where_nothing_goes_on(monkeypatch):
    monkeypatch.setattr(reporting, "ELSEWHERE", 0.05)
    out = io.StringIO()
    with reported(out=out):
        time.sleep(0.15)
        assert out.getvalue() == ""
        with stage("sofas, shapes", 10, "shapes"):
            time.sleep(0.2)
    lines = out.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert all(line.endswith(" sofas, shapes 0%") for line in lines)


def test_what_stays_is_written_over_the_line_that_does_not(capsys):
    terminal = Terminal()
    say("done", terminal)
    assert terminal.getvalue() == "\r\x1b[Kdone\n"
    say("done")
    assert capsys.readouterr().out == "done\n"
