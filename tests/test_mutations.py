"""Damaged files of every kind are read or refused in one sentence; `python tests/mutations.py 2000` tries more."""

import numpy as np
import pytest
from mutations import KINDS, SLOWEST, cases, outcome

COUNT = 3 * len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_whole_files_are_read(kind):
    """So that what is damaged below is not refused for another reason."""
    state, words, _ = outcome(kind, kind.make())
    assert state == "read", words


def test_damaged_files_are_read_or_refused_in_one_sentence():
    for kind, data, number in cases(COUNT):
        state, words, seconds = outcome(kind, data)
        assert state != "broke", f"{number} {kind.name}: {words}"
        assert seconds < SLOWEST, f"{number} {kind.name}: {seconds:.1f} s"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_empty_file_and_one_of_zeros(kind):
    for data in (b"", bytes(100), b"\n" * 1000, np.random.default_rng(0).bytes(1000)):
        state, words, _ = outcome(kind, data)
        assert state != "broke", words
