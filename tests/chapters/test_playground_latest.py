"""The last wish is always done, overtaken ones need not be, and who wishes never waits."""

import threading
import time

import pytest

from tpl.chapters.playground.latest import Latest, Pace


def test_of_many_wishes_the_last_one_is_done_and_those_between_are_dropped():
    done, go_on = [], threading.Event()

    def work(wish, turn):
        go_on.wait(10)
        done.append(wish)

    latest = Latest(work)
    for wish in range(200):
        latest.ask(wish)
    go_on.set()
    latest.wait(10)
    assert done[-1] == 199 and len(done) <= 2  # the one that was begun, and the last


def test_wishes_of_several_threads_end_with_one_that_was_the_last():
    done = []
    latest = Latest(lambda wish, turn: done.append(wish))
    threads = [threading.Thread(target=lambda n=n: [latest.ask((n, k)) for k in range(50)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latest.wait(10)
    assert done[-1][1] == 49
    for n in range(4):  # each thread's wishes in their order
        of_thread = [k for m, k in done if m == n]
        assert of_thread == sorted(of_thread)


def test_work_learns_that_it_is_overtaken():
    begun, told = threading.Event(), []

    def work(wish, turn):
        told.append(turn.overtaken)
        begun.set()
        if wish == "first":
            told.append(turn.settles(10))

    latest = Latest(work)
    latest.ask("first")
    begun.wait(10)
    start = time.perf_counter()
    latest.ask("second")
    latest.wait(10)
    assert told == [False, False, False] and time.perf_counter() - start < 5


def test_a_turn_settles_where_nothing_comes():
    told = []
    latest = Latest(lambda wish, turn: told.append(turn.settles(0.01)))
    latest.ask("only")
    latest.wait(10)
    assert told == [True]


def test_an_error_reaches_who_waits_and_the_next_wish_is_done():
    def work(wish, turn):
        if wish == "bad":
            raise ValueError("a bad wish")

    latest = Latest(work)
    latest.ask("bad")
    with pytest.raises(ValueError, match="a bad wish"):
        latest.wait(10)
    latest.ask("good")
    latest.wait(10)


def test_waiting_has_an_end():
    go_on = threading.Event()
    latest = Latest(lambda wish, turn: go_on.wait(10))
    latest.ask("slow")
    with pytest.raises(TimeoutError):
        latest.wait(0.05)
    go_on.set()
    latest.wait(10)


def test_the_pace_follows_the_frames_and_not_a_single_one():
    pace = Pace((48, 32, 24), 0.1)

    def after(*seconds):
        for frame in seconds:
            pace.told(frame)
        return pace.grid

    assert after(0.05, 0.2, 0.05, 0.2, 0.2) == 48
    assert after(0.2) == 32  # the third in a row
    assert after(0.08, 0.08, 0.08, 0.08) == 32  # in time, and none too quick
    assert after(0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2) == 24
    assert after(0.03, 0.03, 0.03) == 32
    assert after(0.03, 0.03, 0.03, 0.03, 0.03, 0.03) == 48
