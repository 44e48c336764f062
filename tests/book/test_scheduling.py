"""Pieces of work side by side: in order, as many as may be, and what becomes of failures and interruptions."""

import threading
import time

import pytest

from tpl.book import scheduling
from tpl.book.scheduling import Plan, work_through

WAITS = {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}, "e": set()}
URGENT = {"a": 9.0, "b": 3.0, "c": 5.0, "d": 1.0, "e": 2.0}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(scheduling, "LOOK_EVERY", 0.05)


class Works:
    """Pieces of work that say when they began and ended."""

    def __init__(self, failing=(), kept=(), pause=0.02):
        self.log, self.most, self.failing, self.kept, self.pause = [], 0, failing, kept, pause
        self.threads, self.stopped, self.errors = set(), threading.Event(), []
        self.at_work = 0

    def begin(self, name):
        assert threading.current_thread() is threading.main_thread()
        self.log.append(f"+{name}")
        if name in self.kept:
            return None
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        return lambda: self.work(name)

    def work(self, name):
        self.threads.add(threading.current_thread())
        if self.stopped.wait(self.pause):
            raise RuntimeError("stopped")
        if name in self.failing:
            raise ValueError(name)
        return name.upper()

    def end(self, name, result, error):
        assert threading.current_thread() is threading.main_thread()
        assert (result == name.upper()) if error is None else (name in self.failing)
        self.at_work -= 1
        self.log.append(f"-{name}")
        self.errors += [error] if error else []

    def through(self, **plan):
        return work_through(Plan(WAITS, URGENT, **plan), self.begin, self.end, self.stopped.set)


def test_one_at_a_time_begins_with_the_most_urgent():
    works = Works()
    assert works.through() == []
    assert works.log == ["+a", "-a", "+c", "-c", "+b", "-b", "+e", "-e", "+d", "-d"] and works.most == 1


@pytest.mark.parametrize("jobs", [2, 3, 8])
def test_a_piece_begins_once_all_that_it_waits_for_has_ended(jobs):
    works = Works()
    assert works.through(jobs=jobs) == []
    assert 2 <= works.most <= jobs and len(works.log) == 10
    for name, before in WAITS.items():
        assert all(works.log.index(f"-{other}") < works.log.index(f"+{name}") for other in before)
    assert works.log[:2] == ["+a", "+e"]  # b and c would be more urgent, but wait


def test_what_waits_for_a_failure_is_left_out_and_the_rest_goes_on():
    works = Works(failing={"c"})
    assert works.through(jobs=2) == ["d"]
    assert {"-b", "-e", "-c"} < set(works.log) and [str(error) for error in works.errors] == ["c"]


def test_what_is_kept_needs_no_thread():
    works = Works(kept=set(WAITS))
    assert works.through(jobs=2) == [] and works.threads == set()
    assert works.log == ["+a", "+c", "+b", "+e", "+d"]


def test_beside_others_a_piece_begins_only_where_there_is_room():
    assert Works().through(jobs=8, room=lambda: False) == []
    works = Works()
    works.through(jobs=8, room=lambda: False)
    assert works.most == 1
    asked = []

    def later():
        asked.append(time.perf_counter())
        return len(asked) > 2

    works = Works(pause=0.3)
    works.through(jobs=8, room=later)
    assert works.most > 1 and asked[1] - asked[0] >= 0.04  # it is looked anew while a piece goes on


def test_nothing_begins_any_more_when_time_is_over():
    works = Works()
    left = work_through(
        Plan(WAITS, URGENT), works.begin, works.end, works.stopped.set, going=lambda: "-a" not in works.log
    )
    assert left == ["b", "c", "d", "e"] and works.log == ["+a", "-a"]


def test_an_interruption_stops_what_goes_on():
    works = Works(pause=30)

    def begin(name):
        if name == "e":
            raise KeyboardInterrupt
        return works.begin(name)

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        work_through(Plan(WAITS, URGENT, 2), begin, works.end, works.stopped.set)
    assert time.perf_counter() - start < 10 and works.stopped.is_set()
