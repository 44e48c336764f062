"""What is seen of a shape is what its kind says, and completions are scored on the floor of the fit to all of it."""

import numpy as np
import pandas as pd
import pytest

from tpl.chapters.completion import (
    ALL,
    BARE,
    FEW,
    KINDS,
    QUARTER,
    UNFRAMED,
    VIEW,
    known,
    observe,
    score_completions,
    summarize_completions,
)
from tpl.completion.fitting import CompletionConfig
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.rendering import FIXED
from tpl.study.bench import Bench
from tpl.study.trainings import embed_category
from tpl.training.presets import embedding_config


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Four chairs and a tiny phase 1 that has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("completion")
    amounts = PrepareConfig(
        sdf_samples=500, cross_samples=100, surface_points=3500, easy_views=1, hard_views=1, image_size=32
    )
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=1, dropout=0.0)
    sizes = dict(epochs=10, shapes_per_batch=2, points_per_shape=32, outputs="last", pointpair_weight=0.0)
    made = Bench(folder / "runs", collection, ("chairs",), resolution=16)
    embed_category(made, embedding_config(model=model, **sizes, cross_share=0.0, precision="fp32"))
    return made


def test_what_is_seen_is_what_the_kind_says(bench):
    (shape,) = bench.shapes("validation")
    seen = {kind: observe(shape, kind, bench) for kind in KINDS if kind != ALL}
    assert len(seen[FEW].points) == 200
    assert 300 < len(seen[VIEW].points) < 2500 and 100 < len(seen[QUARTER].points) < 2000
    middle = np.asarray(shape.load().bounds).mean(axis=0)
    assert (seen[QUARTER].points[:, [0, 2]] < middle[[0, 2]] + 1e-6).all()
    assert seen[BARE].normals is None and all(seen[kind].normals is not None for kind in (FEW, VIEW, QUARTER))
    for kind, one in seen.items():
        assert (one.viewpoint is None) == (kind in (FEW, QUARTER))
    assert np.array_equal(seen[UNFRAMED].points, seen[VIEW].points)
    again = observe(shape, VIEW, bench)
    assert np.array_equal(again.points, seen[VIEW].points)


def test_the_floor_is_fitted_to_the_distances_themselves(bench):
    (shape,) = bench.shapes("validation")
    whole = known(shape, bench)
    samples = bench.store.read_sdf(shape)
    assert np.array_equal(whole.low, whole.high)
    assert len(whole.points) > len(samples.sdf)
    assert np.allclose(whole.points[: len(samples.points)], samples.points)
    assert np.allclose(whole.low[: len(samples.sdf)], samples.sdf)


def test_what_the_camera_sees_has_nothing_before_it(bench):
    (shape,) = bench.shapes("validation")
    points, mesh = observe(shape, VIEW, bench).points[:60], shape.load()
    ways = FIXED.origin - points
    hit = mesh.ray.intersects_any(points + 0.01 * ways, ways)  # another library's rays, a little off the surface
    assert hit.mean() < 0.05


def test_completions_are_rows_of_the_evaluation_and_kept(bench):
    config = CompletionConfig(steps=2, points=20, pool=100, compared=10)
    rows = score_completions(bench, 1, (ALL, UNFRAMED), config)
    assert rows["view"].tolist() == [ALL, UNFRAMED] and (rows["split"] == "validation").all()
    assert ((rows["chamfer"] > 0) | (rows["reason"] != "")).all()
    files = sorted((bench.shelf / "completion").iterdir())
    assert score_completions(bench, 1, (ALL, UNFRAMED), config).equals(rows)
    assert sorted((bench.shelf / "completion").iterdir()) == files and len(files) == 1


def test_a_summary_counts_a_failure_as_the_worst():
    rows = pd.DataFrame({"category": "chairs", "view": [ALL, ALL, VIEW], "shape_id": ["a", "b", "a"]})
    rows = rows.assign(chamfer=[0.001, np.nan, 0.004], seconds=[1.0, 3.0, 2.0])
    table = summarize_completions(rows).set_index("seen")
    assert table.loc[ALL, ["shapes", "mean", "median", "seconds"]].tolist() == [2, 1000.5, 1000.5, 2.0]
    assert table.loc[VIEW, "mean"] == 4.0
