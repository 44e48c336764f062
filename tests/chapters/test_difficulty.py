"""Easy and hard views are told apart by making the draws again."""

import numpy as np
import pandas as pd
import pytest

from tpl.chapters.tables.difficulty import by_difficulty, difficulty
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.study.judging import split_views


def rows_of(shape_ids, values, draws, seed=0, method="encoder", category="chairs"):
    """Rows in which the distance of a draw is `values[shape][draw]`; a fixed view stands before."""
    rows = []
    for shape_id, of_shape in zip(shape_ids, values, strict=True):
        for view, value in zip(["fix", *(f"rnd{draw}" for draw in range(draws))], [7.0, *of_shape], strict=True):
            rows.append((category, shape_id, method, view, value, seed))
    return pd.DataFrame(rows, columns=["category", "shape_id", "method", "view", "chamfer", "seed"])


@pytest.mark.parametrize("seed", [0, 3])
def test_a_view_is_of_the_kind_whose_images_hold_it(tmp_path, seed):
    amounts = PrepareConfig(
        sdf_samples=500, cross_samples=0, surface_points=100, easy_views=3, hard_views=2, image_size=16
    )
    config = CollectionConfig(train=1, coded=1, validation=1, test=2, prepare=amounts)
    collection = open_collection(tmp_path, ["sofas"], config, jobs=1)
    shapes, store = collection.shapes("sofas", "test"), collection.store
    views, names = split_views(shapes, store, draws=4, seed=seed)
    rows = rows_of([shape.id for shape in shapes], np.zeros((2, 4)), 4, seed)
    kinds = difficulty(rows, easy=3, hard=2)
    assert names == rows["view"].tolist()[:5]
    for number, shape in enumerate(shapes):
        of_kind = {kind: [image.tobytes() for image in store.read_views(shape, kind)[0]] for kind in ("easy", "hard")}
        for column, view in enumerate(views[number, 1:], start=1):
            found = [kind for kind, images in of_kind.items() if view.tobytes() in images]
            assert found == [kinds[5 * number + column]]
    assert (kinds[rows["view"] == "fix"] == "").all()
    assert set(kinds) == {"", "easy", "hard"}


def test_all_draws_of_all_views_are_easy_and_hard_in_their_numbers():
    rows = rows_of(["a", "b"], np.zeros((2, 12)), 12)
    kinds = difficulty(rows, easy=8, hard=4)
    assert kinds.value_counts().to_dict() == {"easy": 16, "hard": 8, "": 2}


def test_means_counts_and_failures():
    ids = [f"shape-{number}" for number in range(6)]
    rows = rows_of(ids, np.full((6, 12), 0.002), 12)
    hard = difficulty(rows, 8, 4) == "hard"
    rows.loc[hard, "chamfer"] = 0.005
    rows.loc[np.flatnonzero(hard)[0], "chamfer"] = np.nan  # counts as the worst: 7, of the fixed view
    table = by_difficulty(rows, ["encoder", "mean shape"], 8, 4).set_index("view")
    assert table.loc["easy", ["views", "shapes", "mean", "95 %"]].tolist() == [48, 6, "2.00", "2.00 to 2.00"]
    assert table.loc["hard", ["views", "shapes"]].tolist() == [24, 6]
    assert table.loc["hard", "mean"] == f"{(23 * 5 + 7000) / 24:.2f}"


def test_the_interval_is_over_shapes_and_narrower_for_more_of_them():
    rng = np.random.default_rng(0)

    def width(shapes):
        hardness = rng.gamma(4, 0.001, size=(shapes, 1))  # a shape's own, the same for all its views
        rows = rows_of([f"{number}" for number in range(shapes)], np.repeat(hardness, 12, axis=1), 12)
        (limits,) = by_difficulty(rows, ["encoder"], 12, 0)["95 %"]
        low, high = map(float, limits.split(" to "))
        return high - low

    # The mean of n gammas of shape 4, scale 1 has standard deviation 2 / sqrt(n): an interval of 3.92 times that.
    assert width(100) == pytest.approx(3.92 * 2 / 10, rel=0.3)
    assert width(400) == pytest.approx(3.92 * 2 / 20, rel=0.3)


def test_one_shape_has_no_interval_and_no_random_view_no_row():
    rows = rows_of(["a"], [[0.001, 0.002]], 2)
    assert by_difficulty(rows, ["encoder"], 2, 0)["95 %"].tolist() == [""]
    assert len(by_difficulty(rows[rows["view"] == "fix"], ["encoder"], 2, 1)) == 0
