"""A shape and its stretched twin, whose correspondence is known; then a whole category in miniature."""

import igl
import numpy as np
import pandas as pd
import pytest

import tpl.chapters.correspondence.transfer
from tpl.chapters.correspondence.figures import (
    PART_COLORS,
    painted,
    refined,
    with_balls,
    with_carried_parts,
    with_carried_places,
    with_keypoints,
)
from tpl.chapters.correspondence.transfer import (
    BOXES,
    FROM_IMAGE,
    MAJORITY,
    NEAREST,
    TEMPLATE,
    Located,
    Sample,
    compare_transfer,
    exemplars_and_targets,
    score_samples,
    score_transfer,
    summarize_transfer,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.results import ResultsError
from tpl.evaluation.summary import bootstrap_mean
from tpl.look.plotting import position_colors
from tpl.meshes import Normalization
from tpl.shapes import Shape, list_shapes
from tpl.study.bench import Bench
from tpl.study.trained import LEARNT, Trained
from tpl.study.trainings import embed_category, regress_category
from tpl.training.presets import embedding_config, regression_config

CHAIR = list_shapes(category="chairs", train=6)[5]  # four legs, a back of slats
METHODS = [TEMPLATE, NEAREST, BOXES, MAJORITY]


def shape_of(mesh, name):
    return Shape(name, "chairs", "family", "test", lambda: mesh)


def located(mesh, name, undo):
    """A shape whose warp is known: it leads back to the unstretched chair in its unit-sphere frame."""
    frame = Normalization.of(np.asarray(mesh.vertices))
    return Located(shape_of(mesh, name), frame, lambda points: undo(frame.undo(points)))


@pytest.fixture(scope="module")
def twins():
    """A chair, and the same one twice as wide, bent to the front."""
    mesh = CHAIR.load()
    other = mesh.copy()

    def bend(points):
        x, y, z = points.T
        return np.column_stack([2 * x, y, z - 0.8 * y])

    def unbend(points):
        x, y, z = points.T
        return np.column_stack([x / 2, y, z + 0.8 * y])

    other.vertices = bend(np.asarray(mesh.vertices))
    return located(mesh, "chair", lambda points: points), located(other, "twin", unbend)


def test_a_known_warp_carries_labels_and_key_points_where_nearest_points_fail(twins):
    chair, twin = twins
    labels, keypoints = score_samples([chair.sample(3000)], twin.sample(3000), LEARNT)
    assert labels["method"].tolist() == METHODS
    accuracy = labels.set_index("method")["accuracy"]
    assert accuracy[TEMPLATE] > 0.97 > 0.9 > accuracy[NEAREST]
    error = keypoints.groupby("method")["error"].mean()
    # An edge whose middle is the key point moves with the stretch, corners exactly; points lie some 0.03 apart.
    assert error[TEMPLATE] < 0.04 < 0.1 < error[NEAREST]
    assert set(keypoints["keypoint"]) == set(chair.sample(10).keypoints)


def test_the_halves_by_distance_by_hand():
    """Half of the points meet their like; the others lie off, and meet another part."""
    places = np.arange(12.0).reshape(4, 3)
    source = Sample(CHAIR, places, np.array([0, 1, 1, 0]), dict.fromkeys(METHODS, places), {}, {})
    off = places + [[0], [0], [0.1], [0.1]]
    target = source._replace(label=np.array([0, 1, 0, 1]), places=dict.fromkeys(METHODS, off))
    rows = score_samples([source], target, LEARNT).labels.set_index("method")
    assert rows.loc[TEMPLATE, ["accuracy", "accuracy_near", "accuracy_far"]].tolist() == [0.5, 1, 0]
    assert rows.loc[MAJORITY, "accuracy"] == 0.5 and np.isnan(rows.loc[MAJORITY, "accuracy_near"])


def test_exemplars_are_taken_one_by_one_and_together(twins):
    chair, twin = twins
    labels, keypoints = score_samples([chair.sample(500), twin.sample(500)], twin.sample(500, seed=1), LEARNT)
    assert labels["source"].unique().tolist() == ["chair", "twin", "2 together"]
    assert labels.groupby("source", sort=False)["exemplars"].first().tolist() == [1, 1, 2]
    nearest = labels[labels["method"] == NEAREST].set_index("source")["accuracy"]
    assert nearest["twin"] > 0.9 > nearest["chair"]  # a shape is its own best exemplar,
    assert nearest["2 together"] > nearest["chair"]  # and helps in company
    assert set(keypoints["source"]) == {"chair", "twin"}


def test_a_sample_knows_the_parts_its_points_lie_on(twins):
    chair, _ = twins
    sample = chair.sample(200)
    again = chair.sample(200)
    assert np.array_equal(sample.points, again.points) and not np.array_equal(
        sample.points, chair.sample(200, 1).points
    )
    vertices, faces = np.asarray(chair.mesh.vertices), np.asarray(chair.mesh.faces)
    for part in np.unique(sample.label):
        of_part = faces[chair.mesh.metadata["part"] == part]
        tree = igl.AABB()
        tree.init(vertices, of_part)
        squared, *_ = tree.squared_distance(vertices, of_part, sample.points[sample.label == part])
        assert np.max(squared) < 1e-12


def test_pictures_have_the_parts_colours_and_the_places_colours(twins):
    chair, twin = twins
    fine = refined(chair.mesh, 0.1)
    assert fine.edges_unique_length.max() <= 0.1 and fine.area == pytest.approx(chair.mesh.area)
    share = [np.sum(fine.area_faces[fine.metadata["part"] == part]) for part in range(5)]
    assert np.allclose(share, [np.sum(chair.mesh.area_faces[chair.mesh.metadata["part"] == part]) for part in range(5)])
    sample = chair.sample(3000)
    carried = with_carried_parts([sample], twin, TEMPLATE)
    truth = PART_COLORS[refined(twin.mesh).metadata["part"]]
    same = (carried.visual.face_colors[:, :3] == truth).all(axis=1)
    assert np.sum(carried.area_faces[same]) > 0.97 * carried.area
    places = with_carried_places(sample, twin)
    expected = position_colors(chair.frame.apply(twin.canonical(twin.frame.apply(places.triangles_center))))
    difference = np.abs(places.visual.face_colors[:, :3].astype(int) - expected)
    assert np.median(difference) <= 3


def test_balls_stand_where_the_points_are(twins):
    chair, twin = twins
    mesh = with_balls(chair.mesh, (200, 200, 200), {(1, 2, 3): np.array([[0, 3.0, 0]])}, radius=0.1)
    ball = (mesh.visual.face_colors[:, :3] == (1, 2, 3)).all(axis=1)
    assert ball.sum() == len(mesh.faces) - len(chair.mesh.faces) > 0
    assert np.allclose(np.linalg.norm(mesh.triangles[ball] - [0, 3, 0], axis=-1), 0.1)
    shown = with_keypoints(chair.sample(100), twin, twin.sample(100))
    count = len(np.unique(shown.visual.face_colors, axis=0))
    assert count == 4  # clay, true, carried, nearest
    assert painted(chair.mesh, np.zeros((len(chair.mesh.faces), 3), np.uint8)).visual.kind == "face"


ROWS = pd.DataFrame(
    [
        ("chairs", LEARNT, 1, target, source, method, value)
        for target, source, values in (("a", "s", (0.9, 0.5)), ("a", "t", (0.7, 0.5)), ("b", "s", (0.4, 0.6)))
        for method, value in zip((TEMPLATE, NEAREST), values, strict=True)
    ],
    columns=["category", "codes", "exemplars", "target", "source", "method", "accuracy"],
)


def test_means_are_over_targets_and_differences_are_paired():
    summary = summarize_transfer(ROWS, "accuracy").set_index("method")
    assert summary["mean"].tolist() == pytest.approx([0.6, 0.55]) and summary["targets"].tolist() == [2, 2]
    assert (summary.loc[TEMPLATE, "low"], summary.loc[TEMPLATE, "high"]) == bootstrap_mean(np.array([0.8, 0.4]), 0)
    row = compare_transfer(ROWS, "accuracy", TEMPLATE, NEAREST).iloc[0]
    assert row["difference"] == pytest.approx(0.05) and row["above"] == 0.5
    assert (row["low"], row["high"]) == pytest.approx(bootstrap_mean(np.array([0.3, -0.2]), 0))
    with pytest.raises(ResultsError, match="'nearest point' has no accuracy for some target"):
        compare_transfer(ROWS.iloc[:-1], "accuracy", TEMPLATE, NEAREST)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    amounts = PrepareConfig(sdf_samples=500, surface_points=500, easy_views=1, hard_views=1, image_size=32)
    config = CollectionConfig(train=3, coded=3, validation=0, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=1, dropout=0.0)
    model["ambient_dim"] = 2
    sizes = dict(epochs=10, shapes_per_batch=2, points_per_shape=32, outputs="last", pointpair_weight=0.0)
    phase_1 = embedding_config(model=model, **sizes, cross_share=0.0, precision="fp32")
    bench = Bench(folder / "runs", collection, ("chairs",))
    embed_category(bench, phase_1)
    trained = Trained(bench)
    with pytest.raises(ValueError, match="no encoder of chairs in .*: run chapter 04"):
        exemplars_and_targets(trained, 1, 1, 1)
    encoder = regression_config(encoder=dict(latent_dim=4, width=8), epochs=1, views_per_batch=2, precision="fp32")
    regress_category(bench, encoder)
    return bench


def test_a_category_in_miniature_has_all_its_rows_and_keeps_them(bench, monkeypatch):
    tables = score_transfer(bench, exemplars=2, points=200)
    coded, test = bench.shapes("coded"), bench.shapes("test")
    labels = tables.labels
    assert len(labels) == 2 * 3 * 4  # targets, sources, methods
    assert dict(zip(labels["target"], labels["codes"], strict=True)) == {coded[2].id: LEARNT, test[0].id: FROM_IMAGE}
    assert set(labels["source"]) == {coded[0].id, coded[1].id, "2 together"}
    assert labels["accuracy"].between(0, 1).all() and (labels["judged"] > 0).all()
    assert set(tables.keypoints["method"]) == {TEMPLATE, NEAREST, BOXES} and (tables.keypoints["error"] < 1).all()
    monkeypatch.setattr("tpl.chapters.correspondence.transfer.score_samples", lambda *_: pytest.fail("scored again"))
    again = score_transfer(bench, exemplars=2, points=200)
    assert again.labels.equals(labels) and again.keypoints.equals(tables.keypoints)


def test_points_meet_in_space_or_also_in_the_coordinates_beside_it(bench):
    trained = Trained(bench)
    points = bench.shapes("coded")[0].load().vertices[:50]
    found = {}
    for beside in (0.0, 0.3, 1.0):
        (source,), _ = exemplars_and_targets(trained, 1, 1, 1, beside)
        found[beside] = source.places(np.asarray(points))[TEMPLATE]
        assert found[beside].shape == (50, 5)
    assert np.abs(found[1.0][:, 3:]).max() > 0 and np.abs(found[0.0][:, 3:]).max() == 0
    np.testing.assert_allclose(found[0.3], found[1.0] * [1, 1, 1, 0.3, 0.3], rtol=1e-6)
    apart = [score_transfer(bench, 2, points=200, beside=beside).labels for beside in (0.0, 1.0)]
    assert not apart[0].equals(apart[1])  # kept apart from each other


def test_too_many_exemplars_are_refused(bench):
    trained = Trained(bench)
    with pytest.raises(ValueError, match="3 exemplars and at least one target of the 3 made chairs .* take 1 to 2"):
        exemplars_and_targets(trained, 3, 1, 1)
    sources, targets = exemplars_and_targets(trained, 1, 1, 5)
    assert [len(sources), len(targets[LEARNT]), len(targets[FROM_IMAGE])] == [1, 1, 1]


def test_other_code_or_other_labels_score_anew_and_other_words_do_not(bench, monkeypatch, edit_code):
    scored = []
    score = tpl.chapters.correspondence.transfer.score_samples
    monkeypatch.setattr(
        "tpl.chapters.correspondence.transfer.score_samples", lambda *given: scored.append(1) or score(*given)
    )

    def scores_anew() -> bool:
        scored.clear()
        score_transfer(bench, exemplars=1, points=50)
        return bool(scored)

    assert scores_anew() and not scores_anew()
    edit_code("tpl.geometry.correspondence")
    edit_code("tpl.look.plotting", "WIDTH = 7")
    assert not scores_anew()
    edit_code("tpl.geometry.correspondence", "NEAREST = 7")
    assert scores_anew()
    # Labels of parts are in no fingerprint: shapes that are prepared anew with other labels have the same one.
    edit_code("tpl.shapes.procedural.chair_design", "LEG = 7")
    monkeypatch.setattr("tpl.dataset.collection.is_current", lambda *_: True)
    assert scores_anew()
