"""A whole experiment in miniature: every method has its rows, nothing is done twice, and what is missing is named."""

import numpy as np
import pandas as pd
import pytest

from tpl.collection import CollectionConfig, open_collection
from tpl.evaluation import read_results, summarize
from tpl.experiments import (
    ENCODER,
    ENCODER_SDF,
    Gallery,
    contrast_category,
    embed_category,
    evaluate_category,
    held_out,
    regress_category,
    split_views,
    surface_normals,
)
from tpl.inference import OracleConfig, Reconstructor, encode
from tpl.prepare import PrepareConfig
from tpl.training import (
    RunError,
    contrastive_config,
    embedding_config,
    load_contrastive,
    regression_config,
    side_by_side,
    training_device,
)

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=32, template_layers=2, dropout=0.0)
ORACLE = OracleConfig(iterations=5, points=64)
METHODS = {
    ENCODER,
    ENCODER_SDF,
    "nearest by pixels",
    "nearest by code",
    "nearest coded shape",
    "mean shape",
    "oracle code",
}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    amounts = PrepareConfig(
        sdf_samples=1500, cross_samples=300, surface_points=1000, easy_views=2, hard_views=1, image_size=32
    )
    config = CollectionConfig(train=3, coded=2, validation=1, test=2, prepare=amounts)
    collection = open_collection(folder / "data", ["sofas"], config, jobs=1)
    runs = folder / "runs"
    phase_1 = embedding_config(
        epochs=60, model=TINY, shapes_per_batch=2, points_per_shape=64, outputs="last", warp_rate=5e-3
    )
    embed_category("sofas", collection, phase_1, runs)
    encoder = dict(encoder=dict(latent_dim=4, width=4), views_per_batch=3, epochs=4, precision="fp32")
    regress_category("sofas", collection, regression_config(**encoder), runs)
    ours = regression_config(**encoder, sdf_weight=10.0, standardise=True)
    regress_category("sofas", collection, ours, runs, method=ENCODER_SDF)
    file = evaluate_category("sofas", collection, runs, resolution=24, oracle=ORACLE, draws=2)
    return collection, runs, file


def test_every_method_has_a_row_for_every_shape_and_view(experiment):
    collection, _, file = experiment
    rows = read_results(file)
    assert set(rows.method) == METHODS
    counts = rows.groupby("method").size()
    without_view = {"mean shape", "oracle code"}
    assert all(counts[method] == (2 if method in without_view else 2 * 3) for method in METHODS)
    assert set(rows.shape_id) == {shape.id for shape in collection.shapes("sofas", "test")}
    assert len(summarize(rows)) == 5 * 2 + 2


def test_evaluated_again_it_reads(experiment):
    collection, runs, file = experiment
    before = file.stat().st_mtime_ns
    assert evaluate_category("sofas", collection, runs, resolution=24, oracle=ORACLE, draws=2) == file
    assert file.stat().st_mtime_ns == before


def test_retrieval_finds_a_training_shape_by_its_own_picture_and_code(experiment):
    collection, runs, _ = experiment
    arm = Reconstructor.load(runs, "sofas", phase="encoder_sdf")
    gallery = Gallery(collection, "sofas", arm)
    assert gallery.nearest_to_images(gallery.views).tolist() == gallery.owner.tolist()
    assert gallery.nearest_to_codes(gallery.codes).tolist() == [0, 1, 2]
    assert gallery.nearest_coded(arm.codes.numpy()).tolist() == [0, 1]
    assert gallery.mesh(1).volume == pytest.approx(collection.shapes("sofas", "train")[1].load().volume)


def test_views_are_the_fixed_one_and_seeded_draws(experiment):
    collection, _, _ = experiment
    shapes, store = collection.shapes("sofas", "test"), collection.store
    views, names = split_views(shapes, store, draws=2, seed=0)
    assert names == ["fix", "rnd0", "rnd1"] and views.shape[:2] == (2, 3)
    np.testing.assert_array_equal(views[1, 0], store.read_views(shapes[1], "fixed")[0][0])
    np.testing.assert_array_equal(views, split_views(shapes, store, draws=2, seed=0)[0])
    assert not np.array_equal(views[0, 1], views[0, 2])


def test_normals_of_the_surface_are_unit_and_point_outward(experiment):
    collection, _, _ = experiment
    shape = collection.shapes("sofas", "test")[0]
    mesh = shape.load()
    points, faces = mesh.sample(200, return_index=True)
    np.testing.assert_allclose(
        np.abs(np.sum(surface_normals(shape, points) * mesh.face_normals[faces], axis=1)), 1, atol=1e-6
    )


def test_encoding_in_blocks_is_encoding_one_by_one(experiment):
    collection, runs, _ = experiment
    encoder = Reconstructor.load(runs, "sofas").encoder
    images = split_views(collection.shapes("sofas", "test"), collection.store, 2, 0)[0].reshape(-1, 32, 32, 3)
    alone = np.concatenate([encode(encoder, image[None]).numpy() for image in images])
    np.testing.assert_allclose(encode(encoder, images).numpy(), alone, atol=1e-5)
    assert encoder.config.image_size == 32


def test_what_is_missing_is_named(experiment, tmp_path):
    collection, _, _ = experiment
    with pytest.raises(RunError, match="no training in .*embedding: run its chapter"):
        evaluate_category("sofas", collection, tmp_path)
    with pytest.raises(RunError, match="no training in"):
        regress_category("sofas", collection, regression_config(epochs=1), tmp_path)


def test_categories_side_by_side_come_back_under_their_names():
    assert side_by_side(str.upper, ["chairs", "sofas"], training_device("cpu")) == {
        "chairs": "CHAIRS",
        "sofas": "SOFAS",
    }


def test_a_failed_reconstruction_is_a_row_that_counts(experiment):
    _, _, file = experiment
    rows = read_results(file)
    broken = rows.copy()
    first = (broken.method == ENCODER) & (broken.view == "fix")
    broken.loc[first, ["chamfer", "chamfer_clean", "f_score", "normal_consistency"]] = np.nan
    broken.loc[first, "reason"] = "EmptyShape: nothing to mesh"
    worst = rows[rows.category == "sofas"].chamfer.max()
    summary = summarize(broken)
    row = summary[(summary.method == ENCODER) & (summary["view"] == "fix")].iloc[0]
    assert row["mean"] >= broken.chamfer.max() > 0 and row["mean"] <= worst + 1e-12
    assert row["failed"] == "2 of 2"
    assert isinstance(summary, pd.DataFrame)


def test_contrastive_pre_training_sees_all_training_shapes_and_watches_the_others(experiment):
    collection, runs, _ = experiment
    config = contrastive_config(encoder=dict(width=4), epochs=6, pairs_per_batch=2, precision="fp32")
    folder = contrast_category("sofas", collection, config, runs)
    assert folder == runs / "sofas" / "contrastive"
    assert [shape.split for shape in held_out(collection, "sofas")] == ["validation", "test", "test"]
    run = load_contrastive(folder)
    assert run.history.step.iloc[-1] == 6 * 2  # three shapes, two a step
    assert len(run.measures) == 6 and np.isfinite(run.measures).all(axis=None)
    assert run.measures.retrieval.between(0, 1).all()
    other = contrast_category("sofas", collection, config, runs, name="contrastive_again")
    assert other.name == "contrastive_again" and load_contrastive(other).measures.equals(run.measures)
