"""One picture of a shape and three: which are looked at, that they are looked at once, and what the tables say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tpl.study.doubting
import tpl.study.photographs
from tpl.chapters.photos.several import (
    MADE,
    OUTSIDE,
    REAL,
    benches_of_pictures,
    gains_of_pictures,
    score_pictures_of,
    table_of_pictures,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.rows import COLUMNS
from tpl.files import beside
from tpl.inference import encode
from tpl.refinement.answering import FittedCode, answer, fitted_code
from tpl.study.bench import Bench
from tpl.study.doubting import measure_doubt
from tpl.study.exam import split_views
from tpl.study.methods import ENCODERS, OUR_ENCODER, OUR_PHASE_1
from tpl.study.photographs import WAYS, score_pictures
from tpl.study.trainings import embed_category, regress_category
from tpl.training.presets import embedding_config, regression_config

AMOUNTS = PrepareConfig(sdf_samples=800, surface_points=1500, easy_views=3, hard_views=1, image_size=32)
ROWS = pd.DataFrame(
    [
        ("chairs", "test", f"shape {number}", "one", view, way, error, error, 1.0, 1.0, 0.5, "")
        for number in range(3)
        for view in ("fix", "rnd0")
        for way, error in zip(WAYS, (0.004 + 0.001 * number, 0.002, 0.003 + 0.001 * number, 0.001), strict=True)
    ],
    columns=COLUMNS,
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    config = CollectionConfig(train=2, coded=2, validation=3, test=2, prepare=AMOUNTS)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16, shown_resolution=16)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    short = dict(epochs=60, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, cross_share=0.0, precision="fp32")
    embed_category(bench, embedding_config(model=model, **short, **rates), OUR_PHASE_1)
    encoder = dict(latent_dim=4, width=8, camera=True)
    seeing = regression_config(encoder=encoder, epochs=2, views_per_batch=2, precision="fp32", camera_weight=0.3)
    regress_category(bench, seeing, OUR_ENCODER)
    return bench


@pytest.fixture
def watched(monkeypatch):
    """What the fits were asked for: the pictures and the steps."""
    calls = []

    def fit(arm, images, covered, steps):
        calls.append((images, steps))
        return fitted_code(arm, images, covered, min(steps, 1))

    monkeypatch.setattr(tpl.study.photographs, "fitted_code", fit)
    return calls


def test_the_first_picture_is_the_fixed_view_or_a_random_one_and_three_have_it_among_them(bench, watched):
    rows = score_pictures(bench, count=2)
    shapes = bench.shapes("test")
    views, names = split_views(shapes, bench.store, 3, bench.seed)
    assert names == ["fix", "rnd0", "rnd1", "rnd2"]
    assert len(watched) == len(rows) == 2 * 2 * len(WAYS)
    of_first = [images for images, _ in watched[: 2 * len(WAYS)]]
    wanted = [[0], [0], [0, 1, 2], [0, 1, 2], [1], [1], [1, 2, 3], [1, 2, 3]]
    for images, columns in zip(of_first, wanted, strict=True):
        assert np.array_equal(images, views[0][columns])
    assert [steps for _, steps in watched] == [0, 30, 0, 30] * 4
    assert rows.view.tolist() == (["fix"] * 4 + ["rnd0"] * 4) * 2
    assert rows.method.tolist() == [*WAYS] * 4
    assert rows.shape_id.tolist() == [shape.id for shape in shapes for _ in range(8)]
    assert (rows.seconds > 0).all()


def test_pictures_are_looked_at_once_and_the_numbers_are_kept(bench, watched):
    first = score_pictures(bench, count=2)
    looked = len(watched)
    again = score_pictures(bench, count=2)
    assert len(watched) == looked
    pd.testing.assert_frame_equal(first, again)


def test_without_a_fit_the_code_of_three_pictures_is_the_mean_of_what_is_seen(bench):
    arm = ENCODERS[OUR_ENCODER].load(bench.folder, "cpu")
    views = split_views(bench.shapes("test"), bench.store, 3, bench.seed)[0][0][:3]
    given = fitted_code(arm, views, torch.zeros(3, 32, 32), 0)
    assert isinstance(given, FittedCode)
    assert torch.allclose(given.code, encode(arm.encoder, views).mean(dim=0), atol=1e-6)


def test_real_shapes_stand_beside_the_made_ones_once_some_are_prepared(bench):
    assert [*benches_of_pictures(bench)] == [MADE]
    config = bench.collection.config.model_copy(update={"seed": 5})  # stand for real ones
    other = open_collection(beside(str(bench.collection.folder), "open"), config=config)
    assert [*benches_of_pictures(bench)] == [MADE]
    other.prepare(["chairs"], 1)
    found = benches_of_pictures(bench)
    assert [*found] == [MADE, OUTSIDE]
    assert found[OUTSIDE].runs == bench.runs and found[OUTSIDE].collection.folder == other.folder
    (bench.runs.parent / "runs-open").symlink_to(bench.runs)  # a training on real ones
    assert [*benches_of_pictures(bench)] == [MADE, OUTSIDE, REAL]
    rows = score_pictures_of(bench, count=1)
    assert {origin: len(of) for origin, of in rows.items()} == {MADE: 8, OUTSIDE: 8, REAL: 8}
    assert set(rows[OUTSIDE].shape_id) == {other.shapes("chairs", "test")[0].id}


def test_one_two_and_three_pictures_have_intervals_of_their_own(bench, monkeypatch):
    """Each is calibrated on answers to so many pictures of each shape, the first of them in turn fixed and random."""
    asked = []

    def watched(arm, images, *settings):
        asked.append(images)
        return answer(arm, images, *settings)

    monkeypatch.setattr(tpl.study.doubting, "answer", watched)
    monkeypatch.setattr(tpl.study.doubting, "FEWEST", 3)
    doubt = measure_doubt(bench, steps=1)
    assert [*doubt.calibrations] == ["fitted", "seen", "fitted of 2", "seen of 2", "fitted of 3", "seen of 3"]
    assert all(one.shapes == 3 and np.isfinite(one.errors).all() for one in doubt.calibrations.values())
    views = split_views(bench.shapes("validation"), bench.store, 3, bench.seed)[0]
    wanted = [views[row, row % 2 :][:count] for row in range(3) for count in (1, 2, 3)]
    assert len(asked) == 3 * (3 + 2)
    for images, expected in zip(asked, wanted, strict=False):
        assert np.array_equal(images, expected)


def test_where_our_encoder_is_not_trained_there_are_no_rows(bench, tmp_path):
    assert score_pictures_of(replace(bench, runs=tmp_path)) == {}


def test_the_table_has_a_column_for_each_way_and_the_gains_are_paired():
    table = table_of_pictures({MADE: ROWS})
    assert table.columns.tolist() == ["shapes are", "category", "shapes", "view", *WAYS]
    assert table.view.tolist() == ["fix", "rnd"]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in table["one, fitted"]] == [
        "2.00 (2.00 to 2.00), 2.00"
    ] * 2
    assert table["one picture"].str.startswith("5.00").all() and table["one picture"].str.endswith(", 5.00").all()
    gains = gains_of_pictures(ROWS).set_index(["view", "way"])
    assert np.allclose(gains.loc[("fix", "three pictures"), ["difference", "low", "high"]].astype(float), -1.0)
    assert np.isclose(gains.difference["rnd", "three, fitted"], -4.0)
