"""Which fitted views are shown follows a rule."""

import numpy as np

from tpl.study.refined import worst_middle_best


def test_the_views_shown_are_the_worst_the_median_and_the_best():
    change = np.random.default_rng(0).permutation(24) - 12.0
    assert change[worst_middle_best(change)].tolist() == [11, 10, 9, 1, 0, -1, -2, -10, -11, -12]


def test_of_few_views_all_are_shown_once():
    for count in range(14):
        shown = worst_middle_best(np.arange(count, dtype=float))
        assert len(set(shown.tolist())) == len(shown) == min(count, 10)
