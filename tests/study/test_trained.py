"""One tiny collection of chairs and its trainings, and what is kept of them; and the figures that need them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tpl.study.trained
from tpl.chapters.pictures import exhibits, gallery, painted_by_place, painted_template, posters, view_row
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.rows import POINTS
from tpl.files import digest
from tpl.geometry.marching import EmptyShape, extract_mesh, sample_mesh
from tpl.geometry.primitives import box, sphere, translated, union
from tpl.geometry.whole import extract_whole, share_closed
from tpl.inference import to_raw
from tpl.look.plotting import CLAY, position_colors
from tpl.metrics import chamfer_distance
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, ENCODERS, END_TO_END, END_TO_END_CONTRASTIVE, EndToEnd
from tpl.study.trained import (
    LEARNT,
    NO_SHAPE,
    Trained,
    maybe,
    sampling_floors,
    score_codes,
    score_training_shapes,
    score_views,
)
from tpl.study.trainings import embed_category, end_to_end_category, regress_category
from tpl.training import RunError
from tpl.training.presets import embedding_config, end_to_end_config, regression_config

LAST = dict(outputs="last", pointpair_weight=0.0, warp_rate=5e-3, template_rate=5e-3, cross_share=0.0, precision="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture(scope="module")
def collection(folder):
    amounts = PrepareConfig(sdf_samples=1000, surface_points=2000, easy_views=2, hard_views=1, image_size=32)
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    return open_collection(folder / "data", ["chairs"], config, jobs=1)


@pytest.fixture(scope="module")
def trained(folder, collection):
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, cross_share=0.0, precision="fp32")
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16, shown_resolution=16)
    embed_category(bench, embedding_config(model=model, **sizes, **rates))
    encoder = dict(latent_dim=4, width=8)
    config = regression_config(encoder=encoder, epochs=2, views_per_batch=2, precision="fp32")
    regress_category(bench, config)
    own = end_to_end_config(
        decoder_start="embedding", encoder=dict(width=8), views_per_batch=2, points_per_view=64, epochs=4, **LAST
    )
    end_to_end_category(bench, own)
    return Trained(bench)


def test_a_mesh_is_made_once_and_read_after(trained, monkeypatch):
    code, shape = trained.embedding.codes[0], trained.bench.shapes("coded")[0]
    frame = trained.bench.store.read_normalization(shape)
    made = trained.decode(code, frame)
    monkeypatch.setattr("tpl.study.trained.extract_whole", lambda *_: pytest.fail("made again"))
    again = trained.decode(code, frame)
    assert np.array_equal(made.vertices, again.vertices) and np.array_equal(made.faces, again.faces)
    other = trained.decode(code)  # the same mesh in another frame
    assert np.allclose(frame.apply(made.vertices), NO_SHAPE.apply(other.vertices))


def test_codes_steps_and_the_template_have_meshes_of_their_own(trained):
    codes = trained.embedding.codes
    meshes = [trained.template(), trained.decode(codes[0]), trained.decode(codes[1]), trained.decode(codes[0], step=0)]
    assert len({digest(mesh.vertices.tobytes()) for mesh in meshes}) == 4


def test_a_code_is_decoded_by_the_decoder_of_its_own_method(trained):
    own = ENCODERS[END_TO_END].load(trained.bench.folder).model
    code = trained.encode(END_TO_END, trained.bench.store.read_views(some_chair(trained), "fixed")[0])[0]
    expected = {END_TO_END: own, ENCODER: trained.embedding.model, LEARNT: trained.embedding.model}
    meshes = {method: trained.decode(code, method=method) for method in expected}
    for method, model in expected.items():
        made = to_raw(extract_whole(model.shape(code), 16), NO_SHAPE)
        np.testing.assert_allclose(meshes[method].vertices, made.vertices, atol=1e-6)
    assert digest(meshes[END_TO_END].vertices.tobytes()) != digest(meshes[ENCODER].vertices.tobytes())
    assert np.array_equal(trained.decode(code).vertices, meshes[LEARNT].vertices)
    templates = [trained.template(method).vertices for method in (LEARNT, END_TO_END)]
    assert digest(templates[0].tobytes()) != digest(templates[1].tobytes())
    painted = painted_by_place(trained, meshes[END_TO_END], code, method=END_TO_END)
    places = own.canonical(NO_SHAPE.apply(np.asarray(painted.vertices)), code)
    assert np.array_equal(painted.visual.vertex_colors[:, :3], position_colors(places))


def test_scores_and_pictures_of_an_arm_are_of_its_own_decoder(trained):
    rows = score_views(trained.bench, "validation", 1, methods=[ENCODERS[END_TO_END]], kinds=["fix"])
    shape, store = some_chair(trained), trained.bench.store
    code = trained.encode(END_TO_END, store.read_views(shape, "fixed")[0])[0]
    swapped = score_codes(trained, [(shape, "fix", ENCODER, code)])  # the same code, to phase 1's decoder
    assert rows["chamfer"][0] != pytest.approx(swapped["chamfer"][0], rel=0.05)
    row = view_row(trained, shape, [END_TO_END])
    mesh = trained.decode(code, store.read_normalization(shape), method=END_TO_END)
    assert np.array_equal(row[2], posters([mesh], CLAY["chairs"], trained.bench.shelf)[0])


def test_arms_may_bear_names_of_their_own_and_a_missing_one_is_named(trained):
    trials = {"first trial": "end_to_end", "second trial": "end_to_end_trials/0"}
    named = Trained(trained.bench, [EndToEnd(trial, folder=folder) for trial, folder in trials.items()])
    assert list(named.arms) == ["first trial"] and named.weights("first trial") == trained.weights(END_TO_END)
    with pytest.raises(RunError, match="no finished training in .*end_to_end_trials/0: run its chapter"):
        named.decode(trained.embedding.codes[0], method="second trial")
    with pytest.raises(RunError, match="no finished training in .*end_to_end_contrastive"):
        trained.encode(END_TO_END_CONTRASTIVE, np.zeros((1, 32, 32, 3), np.uint8))


def test_a_mesh_to_look_at_is_finer_and_whole_and_one_that_is_measured_is_as_the_tables_have_it(trained, monkeypatch):
    """A decoder that draws a ball, a crumb and a rod through the cube's side: no piece is missing in any mesh."""
    shape = union(sphere(0.4), translated(sphere(0.1), (0.7, 0.5, 0)), translated(box((0.3, 0.5, 0.3)), (0, -0.95, 0)))
    monkeypatch.setattr(trained.embedding.model, "shape", lambda *_: shape)
    monkeypatch.setattr(trained, "bench", replace(trained.bench, shown_resolution=48))
    code = torch.full((4,), 3.0)
    shown, measured = trained.decode(code), trained.decode(code, measured=True)
    np.testing.assert_allclose(measured.vertices, to_raw(extract_mesh(shape, 16), NO_SHAPE).vertices, atol=1e-6)
    np.testing.assert_allclose(shown.vertices, to_raw(extract_whole(shape, 48), NO_SHAPE).vertices, atol=1e-6)
    assert NO_SHAPE.apply(np.asarray(shown.vertices)).min() == pytest.approx(-1 / 1.03, abs=0.01)
    assert NO_SHAPE.apply(np.asarray(measured.vertices)).min() == pytest.approx(-1, abs=0.01)
    assert shown.body_count == measured.body_count == 3


def test_pieces_are_left_out_of_one_column_of_scores_and_of_no_picture():
    """Whoever removes one from a picture says so in its caption, and here."""
    files = [*Path(tpl.__file__).parent.rglob("*.py"), *Path(tpl.__file__).parents[1].glob("book/*.md")]
    users = {file.name for file in files if "remove_floaters" in file.read_text()}
    assert users == {"marching.py", "rows.py"}


def some_chair(trained):
    return trained.bench.shapes("validation")[0]


def test_a_function_without_surface_is_an_empty_place(trained, monkeypatch):
    def refuse(*_):
        raise EmptyShape("no surface")

    monkeypatch.setattr("tpl.study.trained.extract_whole", refuse)
    assert maybe(trained.decode, trained.embedding.codes[0] + 7) is None
    assert posters([None], CLAY["chairs"], trained.bench.shelf, 16) == [None]


def test_scores_follow_the_protocol_and_are_kept(trained, monkeypatch):
    rows = score_training_shapes(trained.bench, 2)
    shapes = trained.bench.shapes("coded")
    assert rows["shape_id"].tolist() == [shape.id for shape in shapes]
    assert set(rows["method"]) == {LEARNT} and not rows["reason"].any()
    store = trained.bench.store
    mesh = trained.decode(trained.embedding.codes[0], store.read_normalization(shapes[0]))
    points, _ = sample_mesh(mesh, POINTS, np.random.default_rng(5))
    assert rows["chamfer"][0] == pytest.approx(chamfer_distance(points, store.read_surface(shapes[0])), rel=0.05)
    monkeypatch.setattr("tpl.study.trained.evaluate_reconstruction", lambda *_: pytest.fail("scored again"))
    assert score_training_shapes(trained.bench, 2).equals(rows)


def test_a_code_without_surface_is_a_row_with_its_reason(trained, monkeypatch):
    shape = trained.bench.shapes("test")[0]

    def refuse(*_):
        raise EmptyShape("no surface")

    monkeypatch.setattr("tpl.study.trained.extract_mesh", refuse)
    rows = score_codes(trained, [(shape, "fix", ENCODER, torch.full((4,), 9.0))])
    assert rows["reason"].tolist() == ["EmptyShape: no surface"] and rows["chamfer"].isna().all()


def test_encoders_are_scored_on_the_fixed_and_a_random_view_and_exhibited(trained):
    rows = score_views(trained.bench, "validation", 1)
    assert rows[["method", "view"]].values.tolist() == [[ENCODER, "fix"], [ENCODER, "rnd0"]]
    fixed = score_views(trained.bench, "validation", 1, kinds=["fix"])
    assert fixed["chamfer"].tolist() == rows["chamfer"].tolist()[:1]
    (exhibit,) = exhibits(trained, ENCODER, rows[rows["view"] == "fix"], size=32)
    frame = trained.bench.store.read_normalization(trained.bench.shapes("validation")[0])
    unit = exhibit.reconstruction.copy()
    unit.vertices = frame.apply(np.asarray(unit.vertices))
    assert exhibit.closed == pytest.approx(share_closed(unit))
    assert exhibit.caption == f"{1000 * rows['chamfer'][0]:.2f}"
    assert [picture.shape for picture in exhibit.triplet] == [(32, 32, 3)] * 3
    assert len(gallery([exhibit] * 3, per_row=2).axes) == 12


def test_a_row_of_views_has_the_fixed_one_the_truth_and_a_random_one(trained):
    shape = trained.bench.shapes("validation")[0]
    row = view_row(trained, shape, [ENCODER, ENCODER])
    fixed = trained.bench.store.read_views(shape, "fixed")[0][0]
    assert [len(picture) for picture in row] == [32, 224, 224, 224, 32, 224, 224]
    assert np.array_equal(row[0], fixed) and not np.array_equal(row[4], fixed)
    assert np.array_equal(row[1], posters([shape.load()], CLAY["chairs"], trained.bench.shelf)[0])
    assert np.array_equal(row[2], row[3])


def test_the_floor_of_a_shape_is_kept_and_far_below_what_is_reconstructed(trained, monkeypatch):
    floors = sampling_floors(trained.bench, "coded")
    assert len(floors) == 2 and (0 < floors).all() and (floors < 1e-4).all()
    monkeypatch.setattr("tpl.study.trained.sampling_floor", lambda *_: pytest.fail("measured again"))
    assert sampling_floors(trained.bench, "coded").equals(floors)


def test_paint_is_that_of_the_place_on_the_template(trained):
    template, code = trained.template(), trained.embedding.codes[0]
    colors = painted_template(template).visual.vertex_colors[:, :3]
    assert np.array_equal(colors, position_colors(NO_SHAPE.apply(np.asarray(template.vertices))))
    mesh = trained.decode(code)
    places = trained.embedding.model.canonical(NO_SHAPE.apply(np.asarray(mesh.vertices)), code)
    assert np.array_equal(painted_by_place(trained, mesh, code).visual.vertex_colors[:, :3], position_colors(places))
    assert np.abs(trained.embedding.model.template_shape()(places)).max() < 0.05  # the surface came to the surface


def test_other_code_makes_meshes_scores_and_floors_anew_and_other_words_do_not(trained, monkeypatch, edit_code):
    made = []

    def listen(name):
        before = getattr(tpl.study.trained, name)
        monkeypatch.setattr(tpl.study.trained, name, lambda *a, **k: made.append(name) or before(*a, **k))

    def look() -> set[str]:
        made.clear()
        trained.decode(trained.embedding.codes[0])
        score_training_shapes(trained.bench, 1)
        sampling_floors(trained.bench, "coded")
        return set(made)

    look()
    for name in ("extract_whole", "extract_mesh", "evaluate_reconstruction", "sampling_floor"):
        listen(name)
    edit_code("tpl.metrics")
    edit_code("tpl.training.embedding", "WARMTH = 7")  # the weights are known by a hash of their own
    assert look() == set()
    edit_code("tpl.metrics", "HALF = 0.5")
    assert look() == {"evaluate_reconstruction", "sampling_floor"}
    edit_code("tpl.models.warp", "STEPS = 7")
    assert look() == {"extract_whole", "extract_mesh", "evaluate_reconstruction"}
