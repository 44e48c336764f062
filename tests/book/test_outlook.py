"""How long a run of chapters still takes: by earlier runs, the machine's pace, and what waits for what."""

import pytest

from tpl.book import outlook as module
from tpl.book.outlook import Outlook

WAITS = {"01": set(), "02": set(), "03": {"01"}, "04": {"03"}, "05": {"01"}}
EARLIER = {"01": 100.0, "02": 50.0, "03": 200.0, "04": 100.0, "05": 30.0}


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_one_after_the_other_the_rest_is_the_sum():
    assert Outlook(WAITS, EARLIER).seconds_left == 480


def test_side_by_side_it_is_shared_but_no_less_than_the_longest_chain():
    assert Outlook(WAITS, EARLIER, jobs=2).seconds_left == 400  # 01, 03, 04
    assert Outlook({name: set() for name in WAITS}, EARLIER, jobs=2).seconds_left == 240


def test_a_machine_of_half_the_speed_takes_twice_as_long(clock):
    outlook = Outlook(WAITS, EARLIER)
    outlook.begin("01")
    clock.now = 60.0
    assert outlook.seconds_left == 420  # 40 of this chapter, by what is known
    clock.now = 200.0
    outlook.end("01")
    assert outlook.pace == 2.0
    assert outlook.seconds_left == 760
    outlook.begin("02")
    clock.now = 230.0
    assert outlook.seconds_left == 730
    clock.now = 900.0  # far longer than it should
    assert outlook.seconds_left == 660


def test_what_was_kept_says_nothing_of_the_pace(clock):
    outlook = Outlook(WAITS, EARLIER)
    outlook.end("01", kept=True)
    assert (outlook.pace, outlook.seconds_left) == (1.0, 380)


def test_what_is_unknown_is_not_guessed(clock):
    outlook = Outlook(WAITS, {"01": 100.0})
    assert outlook.seconds_left is None
    outlook.begin("01")
    clock.now = 75.0
    assert str(outlook) == "0 of 5 chapters: 01 1:15"


def test_it_is_told_in_a_line(clock):
    outlook = Outlook(WAITS, EARLIER, jobs=2)
    outlook.begin("01")
    outlook.begin("02")
    clock.now = 25.0
    assert str(outlook) == "0 of 5 chapters, about 6:15 left: 01 0:25, 02 0:25"
