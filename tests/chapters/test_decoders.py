"""Chapter 03: two decoders of one category, trained, compared seed by seed, and shown."""

import numpy as np
import pandas as pd
import pytest
import torch

from tpl.chapters.at_random import drawn, sheet_at_random
from tpl.chapters.decoders import compare, remembered, seeds_table, sheet, template_slices, train
from tpl.chapters.pictures import sheet_grid
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.geometry.whole import extract_whole
from tpl.study.bench import Bench
from tpl.study.methods import OUR_ENCODER, OUR_PHASE_1, OUR_REFINED, PHASE_1
from tpl.study.trained import NO_SHAPE, Trained, score_training_shapes
from tpl.study.trainings import regress_category
from tpl.training import embedding_config, load_embedding, regression_config

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
SHORT = dict(epochs=40, shapes_per_batch=2, points_per_shape=64, outputs="last", warp_rate=5e-3, template_rate=5e-3)
NAMES = {PHASE_1: "paper's", OUR_PHASE_1: "ours"}


@pytest.fixture(scope="module")
def decoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoders")
    amounts = PrepareConfig(
        sdf_samples=1000, cross_samples=300, surface_points=1000, easy_views=1, hard_views=1, image_size=16
    )
    config = CollectionConfig(train=2, coded=2, validation=0, test=3, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16, shown_resolution=16)
    configs = {
        name: embedding_config(model={**TINY, "ambient_dim": dim}, **SHORT)
        for name, dim in ((PHASE_1, 0), (OUR_PHASE_1, 2))
    }
    folders = train(bench, {("chairs", name): config for name, config in configs.items()})
    assert {name: path.name for (_, name), path in folders.items()} == {name: name for name in configs}
    return bench, configs


def test_each_seed_has_a_training_of_its_own_and_the_first_is_the_runs(decoders):
    bench, configs = decoders
    before = (bench.folder / OUR_PHASE_1 / "history.csv").stat().st_mtime_ns
    compared = compare(bench, configs, seeds=2, count=2)
    assert (bench.folder / OUR_PHASE_1 / "history.csv").stat().st_mtime_ns == before
    for name, (first, second) in compared.items():
        own = score_training_shapes(bench, 2, name)
        pd.testing.assert_series_equal(first.chamfer, own.chamfer)
        other = load_embedding(bench.runs / "seed_1" / "chairs" / name)
        assert not torch.equal(other.codes, load_embedding(bench.folder / name).codes)
        assert not np.array_equal(first.chamfer, second.chamfer)
    table = seeds_table(compared, NAMES)
    assert table[["decoder", "seed"]].to_numpy().tolist() == [
        [kind, seed] for kind in ("paper's", "ours") for seed in ("0", "1", "mean")
    ]
    chamfer = table[table.decoder == "ours"]["mean"].astype(float)
    assert chamfer.iloc[2] == pytest.approx(chamfer.iloc[:2].mean(), abs=0.01)


def test_what_is_remembered_is_of_the_decoder_that_is_asked(decoders):
    bench, _ = decoders
    trained = {name: Trained(bench, (), phase_1) for phase_1, name in NAMES.items()}
    for phase_1, name in NAMES.items():
        run = load_embedding(bench.folder / phase_1)
        frame = bench.store.read_normalization(bench.shapes("coded")[1])
        expected = frame.undo(extract_whole(run.model.shape(run.codes[1]), 16).vertices)
        np.testing.assert_allclose(remembered(trained[name], 2)[1].vertices, expected, atol=1e-5)
    pictures = sheet(trained, 2, bench.shelf)
    assert list(pictures) == ["truth", "paper's", "ours"]
    scores = {name: [0.25, 0.75] for name in NAMES.values()}
    figure = sheet_grid(pictures, scores, columns=1)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["", "25", "25", "", "75", "75"]  # a band a shape, truth first


def test_slices_go_through_the_mean_along_the_directions_of_the_coordinates(decoders):
    bench, _ = decoders
    trained = Trained(bench, (), OUR_PHASE_1)
    model = trained.embedding.model
    (first, second) = template_slices(trained, (0.0, 1.0))
    assert np.array_equal(first[0].vertices, second[0].vertices)  # both begin at the mean
    np.testing.assert_allclose(first[0].vertices, trained.template().vertices)
    there = model.ambient_mean + model.ambient_directions()[0]
    expected = NO_SHAPE.undo(extract_whole(model.template_shape(there), 16).vertices)
    np.testing.assert_allclose(first[1].vertices, expected, atol=1e-5)


def test_a_sheet_shows_shapes_drawn_by_the_seed_alone_each_alone_and_refined(decoders):
    bench, _ = decoders
    shapes = bench.shapes("test")
    ids = {tuple(shape.id for shape in drawn(shapes, 2, seed)) for seed in range(8)}
    assert 1 < len(ids) and all(len(set(pair)) == 2 for pair in ids)
    assert drawn(shapes, 99) == shapes
    encoder = dict(width=8, crop=True, channels="mask", camera=True)
    config = regression_config(
        encoder=encoder, sdf_weight=1.0, camera_weight=0.3, views_per_batch=2, epochs=2, precision="fp32"
    )
    regress_category(bench, config, OUR_ENCODER)
    trained = Trained(bench)
    sheet = sheet_at_random(trained, count=2, seed=1, size=32)
    assert list(sheet) == ["image", "truth", OUR_ENCODER, OUR_REFINED] and {len(row) for row in sheet.values()} == {2}
    first = drawn(shapes, 2, 1)[0]
    np.testing.assert_array_equal(sheet["image"][0], bench.store.read_views(first, "fixed")[0][0])
    assert not np.array_equal(sheet["image"][0], sheet["image"][1])
