"""A whole experiment in miniature: every method has its rows, nothing is done twice, and what is missing is named."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import trimesh

from tpl.__main__ import train
from tpl.dataset.batches import SDFTable
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.results import read_results
from tpl.evaluation.rows import NO_VIEW, Attempt, Case, case_rng, evaluate_reconstruction
from tpl.evaluation.summary import summarize
from tpl.geometry.marching import extract_mesh, extract_meshes
from tpl.geometry.whole import extract_whole
from tpl.inference import OracleConfig, encode, fit_codes, to_raw
from tpl.models import DeepImplicitTemplateConfig
from tpl.models.encoder import WeightsUnavailable, resnet18_trunk
from tpl.refinement import RefinementConfig, to_poses
from tpl.settings import SettingsError
from tpl.study import exam, judging
from tpl.study.bench import Bench
from tpl.study.exam import Answer, Exam, Gallery, split_poses, split_views
from tpl.study.judging import evaluate_category, surface_normals
from tpl.study.methods import (
    ENCODER,
    ENCODERS,
    END_TO_END,
    END_TO_END_CONTRASTIVE,
    METHODS,
    ORACLE_CODE,
    ORACLE_RETRIEVAL,
    OUR_ENCODER,
    OUR_PHASE_1,
    OUR_REFINED,
    OUR_REFINED_KNOWN,
    PAPERS_ORACLE_CODE,
    REFINED,
    RIVALS,
    EndToEnd,
    Method,
)
from tpl.study.phases import PHASES
from tpl.study.refined import FittedViews
from tpl.study.trainings import (
    contrast_category,
    embed_category,
    end_to_end_category,
    missing_starts,
    regress_category,
    starting_trunk,
)
from tpl.training import (
    RunError,
    contrastive_config,
    embedding_config,
    end_to_end_config,
    load_contrastive,
    load_embedding,
    load_end_to_end,
    regression_config,
    side_by_side,
    training_device,
)

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=32, template_layers=2, dropout=0.0)
ORACLE = OracleConfig(iterations=5, points=64)
OWN = end_to_end_config(
    decoder_start="embedding",
    encoder=dict(width=8),
    views_per_batch=3,
    points_per_view=64,
    epochs=4,
    outputs="last",
    pointpair_weight=0.0,
    warp_rate=3e-3,
    template_rate=3e-3,
    schedule="constant",
    precision="fp32",
)
JUDGED = {ENCODER, OUR_ENCODER, END_TO_END, *RIVALS}


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
    bench = Bench(runs, collection, ("sofas",), resolution=24)
    embed_category(bench, phase_1)
    sliced = {**TINY, "ambient_dim": 2}
    embed_category(bench, phase_1.model_copy(update={"model": DeepImplicitTemplateConfig(**sliced)}), OUR_PHASE_1)
    encoder = dict(encoder=dict(width=8), views_per_batch=3, epochs=4, precision="fp32")  # codes as long as phase 1's
    regress_category(bench, regression_config(**encoder))
    ours = regression_config(**encoder, sdf_weight=10.0, standardise=True)
    regress_category(bench, ours, OUR_ENCODER)
    end_to_end_category(bench, OWN)
    return bench, evaluate_category(bench, oracle=ORACLE, draws=2)


def test_every_method_has_a_row_for_every_shape_and_view(experiment):
    bench, file = experiment
    rows = read_results(file)
    assert set(rows.method) == JUDGED
    counts = rows.groupby("method").size()
    without_view = {ORACLE_RETRIEVAL, "mean shape", ORACLE_CODE, PAPERS_ORACLE_CODE}
    assert all(counts[method] == (2 if method in without_view else 2 * 3) for method in JUDGED)
    assert set(rows.shape_id) == {shape.id for shape in bench.shapes("test")}
    assert len(summarize(rows)) == 7 * 2 + 4


def test_who_waits_is_told_of_each_method_and_of_the_measuring(experiment, tmp_path, monkeypatch):
    """A method may take minutes, so that shares of shapes alone would stand still."""
    bench, _ = experiment
    shutil.copytree(bench.runs / "sofas", tmp_path / "sofas")
    told = []

    class Recorder:
        def __init__(self, label, total, **_):
            told.append((label, total))

        def tell(self, done):
            told.append(done)

        def end(self):
            told.append("end")

    monkeypatch.setattr(judging, "Stage", Recorder)
    monkeypatch.setattr(exam, "AT_ONCE", 1)  # a group a shape
    evaluate_category(replace(bench, runs=tmp_path), oracle=ORACLE, draws=1)
    assert told == [("sofas, judged", 2 * (len(JUDGED) + 1)), *range(1, 2 * (len(JUDGED) + 1) + 1), "end"]


def test_each_row_stands_on_its_own_decoder(experiment):
    bench, file = experiment
    for name, folder in {ENCODER: "embedding", OUR_ENCODER: "our_embedding"}.items():
        model = ENCODERS[name].load(bench.folder).model
        phase_1 = load_embedding(bench.folder / folder).model
        assert model.config.ambient_dim == {"embedding": 0, "our_embedding": 2}[folder] == phase_1.config.ambient_dim
        assert all(torch.equal(value, phase_1.state_dict()[key]) for key, value in model.state_dict().items())
    rows = read_results(file)
    table = SDFTable.read(bench.shapes("test"), bench.store, "cpu", cross=True)
    for method, folder in {ORACLE_CODE: "our_embedding", PAPERS_ORACLE_CODE: "embedding"}.items():
        run = load_embedding(bench.folder / folder)
        code, shape = fit_codes(run.model, table, ORACLE, run.codes)[0], bench.shapes("test")[0]
        mesh = to_raw(extract_mesh(run.model.shape(code), 24), bench.store.read_normalization(shape))
        case = Case("sofas", "test", shape.id, shape.family, NO_VIEW, method)
        rng = case_rng(0, shape.id, NO_VIEW, method)
        again = evaluate_reconstruction(case, mesh, bench.store.read_surface(shape), None, rng)["chamfer"]
        judged = rows[(rows.method == method) & (rows.shape_id == shape.id)].chamfer.iloc[0]
        assert judged == pytest.approx(again, rel=1e-3)


@pytest.fixture(scope="module")
def with_cameras(experiment, tmp_path_factory):
    """The same experiment, its own encoder with a head for the camera."""
    runs = tmp_path_factory.mktemp("with_cameras")
    for name in ("embedding", "our_embedding"):
        shutil.copytree(experiment[0].folder / name, runs / "sofas" / name)
    bench = replace(experiment[0], runs=runs)
    sizes = dict(width=8, camera=True)
    config = regression_config(encoder=sizes, camera_weight=0.3, views_per_batch=3, epochs=4, precision="fp32")
    regress_category(bench, config, OUR_ENCODER)
    return bench


@pytest.fixture(scope="module")
def refined(with_cameras):
    with pytest.MonkeyPatch.context() as patch:
        for name, method in REFINED.items():
            config = method.config.model_copy(update=dict(steps=3, camera_steps=2, rays=32, turns=()))
            patch.setitem(REFINED, name, replace(method, config=config))
            patch.setitem(METHODS, name, REFINED[name])
        return evaluate_category(with_cameras, oracle=ORACLE, draws=2)


def test_a_refined_encoder_answers_every_view_and_says_how_long_it_took(refined):
    rows = read_results(refined)
    assert {OUR_REFINED, OUR_REFINED_KNOWN} == {name for name in set(rows.method) if "refined" in name}
    for name in REFINED:
        of_method = rows[rows.method == name]
        assert list(of_method["view"]) == (["fix"] if name == OUR_REFINED_KNOWN else ["fix", "rnd0", "rnd1"]) * 2
        assert (of_method.seconds > 0).all()


def test_views_that_are_shown_with_their_outlines_are_fitted_once(with_cameras, monkeypatch):
    config = RefinementConfig(steps=3, camera_steps=2, rays=32, turns=())
    fitted = FittedViews(with_cameras, 1, config, split="test")
    table = fitted.table
    assert list(table["view"]) == ["fix", "rnd0"] and len(fitted.images) == len(fitted.before) == len(fitted.after) == 2
    assert (table["error after"] <= table["error before"]).all() and (table.seconds > 0).all()
    assert table[["iou before", "iou after"]].stack().between(0, 1).all()
    monkeypatch.delattr("tpl.study.refined.refine_views")
    pd.testing.assert_frame_equal(FittedViews(with_cameras, 1, config, split="test").table, table)


def test_what_a_refinement_depends_on_is_in_the_key(refined, with_cameras):
    settings = json.loads(refined.with_suffix(".json").read_text())["refinement"]
    assert settings[OUR_REFINED]["steps"] == 3 and settings[OUR_REFINED_KNOWN]["camera_known"]


def test_the_row_that_knows_the_camera_says_so_in_its_name():
    assert [name for name, method in METHODS.items() if method.told_more] == [OUR_REFINED_KNOWN]
    assert OUR_REFINED_KNOWN == f"{OUR_REFINED}, camera known"
    assert RefinementConfig() == REFINED[OUR_REFINED].config


def test_only_an_encoder_that_names_cameras_is_refined(experiment, with_cameras):
    def asked(bench):
        arms = {OUR_ENCODER: ENCODERS[OUR_ENCODER].load(bench.folder)}
        shapes = bench.shapes("test")
        return Exam(bench, bench.collection, shapes, *split_views(shapes, bench.store, 1, 0), ORACLE, arms, OUR_ENCODER)

    blind, seeing = asked(experiment[0]), asked(with_cameras)
    for method in REFINED.values():
        assert method.can_answer(seeing)
        assert not method.can_answer(blind) and not method.can_answer(replace(seeing, arms={}))
    with pytest.raises(SettingsError, match="names no cameras"):
        next(REFINED[OUR_REFINED].answer(blind))


def test_poses_are_those_of_the_views_that_are_asked(experiment):
    bench = experiment[0]
    shapes, store = bench.shapes("test"), bench.store
    views, _ = split_views(shapes, store, 2, 0)
    poses = split_poses(shapes, store, 2, 0).unflatten(0, views.shape[:2])
    for shape, of_shape, its_poses in zip(shapes, views, poses, strict=True):
        for image, pose in zip(of_shape, its_poses, strict=True):
            known = [
                view for kind in ("fixed", "easy", "hard") for view in zip(*store.read_views(shape, kind), strict=True)
            ]
            (camera,) = [camera for view, camera in known if np.array_equal(view, image)]
            torch.testing.assert_close(to_poses([camera], [store.read_normalization(shape)])[0], pose)


def test_without_our_encoder_the_oracle_is_of_the_papers_decoder_and_named_once(experiment, tmp_path):
    bench = experiment[0]
    for name in ("embedding", "encoder"):
        shutil.copytree(bench.folder / name, tmp_path / "sofas" / name)
    methods = set(read_results(evaluate_category(replace(bench, runs=tmp_path), oracle=ORACLE, draws=1)).method)
    assert ORACLE_CODE in methods and PAPERS_ORACLE_CODE not in methods


def test_a_further_method_is_one_entry(experiment, tmp_path, monkeypatch):
    class Ball(Method):
        """Answers every view with the same ball."""

        def answer(self, exam):
            ball = Attempt(trimesh.creation.icosphere(radius=0.5), 7.0)
            for group in exam.groups:
                yield [dict.fromkeys(exam.names, Answer(ball)) for _ in exam.shapes[group]]

    bench, file = experiment
    shutil.copytree(bench.folder, tmp_path / "sofas")
    monkeypatch.setitem(METHODS, "ball", Ball("ball"))
    monkeypatch.setitem(RIVALS, "ball", METHODS["ball"])
    rows = read_results(evaluate_category(replace(bench, runs=tmp_path), oracle=ORACLE, draws=2))
    balls, others = rows[rows.method == "ball"], rows[rows.method != "ball"].reset_index(drop=True)
    assert list(balls["view"]) == ["fix", "rnd0", "rnd1"] * 2 and set(balls.seconds) == {7.0}
    told = ["seconds", "run"]  # all others keep their numbers
    pd.testing.assert_frame_equal(others.drop(columns=told), read_results(file).drop(columns=told), check_exact=True)
    shape = bench.shapes("test")[0]
    ball = bench.store.read_normalization(shape).undo(np.array([[0.0, 0.5, 0.0], [0.0, -0.5, 0.0]]))
    assert balls.chamfer.iloc[0] < np.linalg.norm(ball[0] - ball[1]) ** 2 * 4  # in the shape's own raw frame


def test_no_retrieval_beats_that_which_looks_at_the_answer(experiment):
    _, file = experiment
    rows = read_results(file)
    scores = rows[rows.method.str.startswith("nearest")].groupby("shape_id").chamfer.min()
    best = rows[rows.method == ORACLE_RETRIEVAL].set_index("shape_id").chamfer
    assert (best <= scores[best.index] + 1e-12).all()


def test_evaluated_again_it_reads(experiment):
    bench, file = experiment
    before = file.stat().st_mtime_ns
    assert evaluate_category(bench, oracle=ORACLE, draws=2) == file
    assert file.stat().st_mtime_ns == before


def test_evaluated_in_processes_its_numbers_are_the_same(experiment):
    bench, file = experiment
    before = file.rename(file.with_suffix(".before"))
    again = evaluate_category(replace(bench, jobs=2), oracle=ORACLE, draws=2)
    one, other = (read_results(path).drop(columns="seconds") for path in (before, again))
    pd.testing.assert_frame_equal(one, other, rtol=1e-5)


def test_codes_decoded_side_by_side_give_the_meshes_of_each_alone(experiment):
    runs = experiment[0].runs
    model, codes, _ = load_embedding(runs / "sofas" / "embedding")
    codes = torch.cat([codes, codes.mean(dim=0, keepdim=True)])
    together = extract_meshes(model.shapes(codes), len(codes), 24)
    for code, mesh in zip(codes, together, strict=True):
        alone = extract_mesh(model.shape(code), 24)
        assert isinstance(mesh, trimesh.Trimesh) and np.array_equal(mesh.faces, alone.faces)
        # The products of a batch are rounded in another order; a network that has learnt little is flat.
        np.testing.assert_allclose(mesh.vertices, alone.vertices, atol=2e-5)  # a cell is 0.08 wide


def test_retrieval_finds_a_training_shape_by_its_own_picture_and_code(experiment):
    bench, _ = experiment
    arm = ENCODERS[OUR_ENCODER].load(bench.folder)
    gallery = Gallery(bench, arm)
    assert gallery.nearest_to_images(gallery.views).tolist() == gallery.owner.tolist()
    assert gallery.nearest_to_codes(gallery.codes).tolist() == [0, 1, 2]
    assert gallery.nearest_coded(arm.codes.numpy()).tolist() == [0, 1]


def test_an_end_to_end_arm_is_judged_by_its_own_decoder(experiment):
    bench, file = experiment
    runs = bench.runs
    arm, phase_1 = ENCODERS[END_TO_END].load(bench.folder), load_embedding(runs / "sofas" / "embedding")
    trained = load_end_to_end(runs / "sofas" / "end_to_end").model.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in arm.model.state_dict().items())
    assert len(arm.codes) == 0
    shape, store = bench.shapes("test")[0], bench.store
    views, _ = split_views(bench.shapes("test"), store, 2, 0)
    latent = encode(arm.encoder, views.reshape(-1, *views.shape[2:]))[0]  # one of a batch, as it was judged
    rows = read_results(file)
    row = rows[(rows.method == END_TO_END) & (rows["view"] == "fix") & (rows.shape_id == shape.id)].iloc[0]
    scores = []
    for model in (arm.model, phase_1.model):
        mesh = to_raw(extract_mesh(model.shape(latent), 24), store.read_normalization(shape))
        rng = case_rng(0, shape.id, "fix", END_TO_END)
        case = Case("sofas", "test", shape.id, shape.family, "fix", END_TO_END)
        scores.append(evaluate_reconstruction(case, mesh, store.read_surface(shape), None, rng)["chamfer"])
    assert row.chamfer == pytest.approx(scores[0], rel=1e-6)
    assert abs(scores[1] - scores[0]) > 0.01 * scores[0], "the two decoders must differ, or this proves nothing"
    alone = store.read_views(shape, "fixed")[0]
    mesh, latent = arm.reconstruct(alone[0], 24), encode(arm.encoder, alone)[0]
    np.testing.assert_allclose(mesh.vertices, extract_whole(arm.model.shape(latent), 24).vertices, atol=1e-5)


def test_an_end_to_end_training_takes_its_sizes_from_data_and_phase_1_and_its_trunk_from_its_start(
    experiment, monkeypatch
):
    bench, runs = experiment[0], experiment[0].runs
    run = load_end_to_end(runs / "sofas" / "end_to_end")
    assert run.encoder.config.image_size == 32 and run.encoder.config.latent_dim == 4
    assert run.model.config == load_embedding(runs / "sofas" / "embedding").model.config
    trunk = resnet18_trunk(8).eval()
    monkeypatch.setattr("tpl.study.trainings.starting_trunk", lambda *_: (trunk, ["the-contrastive-run"]))
    config = OWN.model_copy(update={"start": "contrastive", "trunk": "frozen", "epochs": 1})
    folder = end_to_end_category(bench, config, folder="end_to_end_trials/frozen")
    assert folder == runs / "sofas" / "end_to_end_trials" / "frozen"
    learnt = EndToEnd("frozen", folder="end_to_end_trials/frozen").load(bench.folder).encoder.trunk.state_dict()
    assert all(torch.equal(value, learnt[name]) for name, value in trunk.state_dict().items())
    assert "the-contrastive-run" in json.loads((folder / "config.json").read_text())["data"]


@pytest.mark.parametrize(
    ("phase", "start", "method"),
    [("end_to_end", "random", END_TO_END), ("end_to_end_contrastive", "contrastive", END_TO_END_CONTRASTIVE)],
)
def test_the_command_line_trains_an_arm_from_its_own_start(experiment, monkeypatch, capsys, phase, start, method):
    bench, _ = experiment
    asked = {}

    def train_nothing(bench, config):
        asked[bench.category] = config
        return bench.folder / "end_to_end"

    assert getattr(PHASES[phase].train, "keywords", {}).get("method", END_TO_END) == method
    monkeypatch.setitem(PHASES, phase, replace(PHASES[phase], train=train_nothing))
    given = [("model.warp_hidden", "16"), ("trunk_rate", "0.01")]
    where = dict(category="sofas", data=bench.collection.folder, runs=bench.runs, device="cpu")
    train(phase, **where, preset="authors", parameter=given)
    (config,) = asked.values()
    assert (config.start, config.trunk) == (start, "frozen")
    assert config.model.warp_hidden == 16 and config.trunk_rate == 0.01
    assert "sofas" in capsys.readouterr().out


def test_each_start_that_cannot_be_had_has_its_reason(experiment, tmp_path, monkeypatch):
    def resolve(bench, start, width):
        if start == "imagenet":
            raise WeightsUnavailable("the weights cannot be had")
        return starting_trunk(bench, start, width)

    monkeypatch.setattr("tpl.study.trainings.starting_trunk", resolve)
    reasons = missing_starts(replace(experiment[0], runs=tmp_path), 8)
    assert reasons["random"] == "" and reasons["imagenet"] == "the weights cannot be had"
    assert all(
        reasons[start].startswith("no finished training in") for start in ("contrastive", "imagenet+contrastive")
    )


def test_views_are_the_fixed_one_and_seeded_draws(experiment):
    bench, _ = experiment
    shapes, store = bench.shapes("test"), bench.store
    views, names = split_views(shapes, store, draws=2, seed=0)
    assert names == ["fix", "rnd0", "rnd1"] and views.shape[:2] == (2, 3)
    np.testing.assert_array_equal(views[1, 0], store.read_views(shapes[1], "fixed")[0][0])
    np.testing.assert_array_equal(views, split_views(shapes, store, draws=2, seed=0)[0])
    assert not np.array_equal(views[0, 1], views[0, 2])


def test_normals_of_the_surface_are_unit_and_point_outward(experiment):
    bench, _ = experiment
    shape = bench.shapes("test")[0]
    mesh = shape.load()
    points, faces = mesh.sample(200, return_index=True)
    np.testing.assert_allclose(
        np.abs(np.sum(surface_normals(shape, points) * mesh.face_normals[faces], axis=1)), 1, atol=1e-6
    )


def test_encoding_in_blocks_is_encoding_one_by_one(experiment):
    bench, _ = experiment
    encoder = ENCODERS[ENCODER].load(bench.folder).encoder
    images = split_views(bench.shapes("test"), bench.store, 2, 0)[0].reshape(-1, 32, 32, 3)
    alone = np.concatenate([encode(encoder, image[None]).numpy() for image in images])
    np.testing.assert_allclose(encode(encoder, images).numpy(), alone, atol=1e-5)
    assert encoder.config.image_size == 32


def test_what_is_missing_is_named(experiment, tmp_path):
    empty = replace(experiment[0], runs=tmp_path)
    with pytest.raises(RunError, match="no training in .*embedding: run its chapter"):
        evaluate_category(empty)
    with pytest.raises(RunError, match="no training in"):
        regress_category(empty, regression_config(epochs=1))
    with pytest.raises(RunError, match="no training in .*embedding: run its chapter"):
        end_to_end_category(empty, OWN)
    contrastive = OWN.model_copy(update={"start": "contrastive"})
    with pytest.raises(RunError, match="no finished training in .*contrastive: run its chapter"):
        end_to_end_category(empty, contrastive)
    with pytest.raises(RunError, match="no training in .*end_to_end: run its chapter"):
        ENCODERS[END_TO_END].load(empty.folder)


def test_end_to_end_arms_alone_are_not_enough_for_the_table(experiment, tmp_path):
    runs = experiment[0].runs
    for name in ("embedding", "end_to_end"):
        shutil.copytree(runs / "sofas" / name, tmp_path / "sofas" / name)
    with pytest.raises(RunError, match="no training in .*encoder: run its chapter"):
        evaluate_category(replace(experiment[0], runs=tmp_path))


def test_categories_side_by_side_come_back_under_their_names():
    assert side_by_side(str.upper, ["chairs", "sofas"], training_device("cpu")) == {
        "chairs": "CHAIRS",
        "sofas": "SOFAS",
    }


def test_a_failed_reconstruction_is_a_row_that_counts(experiment):
    _, file = experiment
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
    bench, runs = experiment[0], experiment[0].runs
    config = contrastive_config(encoder=dict(width=8), epochs=6, pairs_per_batch=2, precision="fp32")
    folder = contrast_category(bench, config)
    assert folder == runs / "sofas" / "contrastive"
    assert [shape.split for shape in bench.held_out()] == ["validation", "test", "test"]
    run = load_contrastive(folder)
    assert run.history.step.iloc[-1] == 6 * 2  # three shapes, two a step
    assert len(run.measures) == 6 and np.isfinite(run.measures).all(axis=None)
    assert run.measures.retrieval.between(0, 1).all()
    other = contrast_category(bench, config, "contrastive_again")
    assert other.name == "contrastive_again" and load_contrastive(other).measures.equals(run.measures)


def test_other_code_judges_anew_and_other_words_do_not(experiment, monkeypatch, edit_code):
    class Judged(Exception):
        pass

    def judge(*_):
        raise Judged

    bench, file = experiment
    key, again = file.with_suffix(".json"), dict(oracle=ORACLE, draws=2)
    kept = key.read_text()
    monkeypatch.setattr("tpl.study.judging.split_views", judge)
    edit_code("tpl.metrics")
    edit_code("tpl.training.loop", "PATIENCE = 7")  # the weights are known by a hash of their own
    assert evaluate_category(bench, **again) == file
    edit_code("tpl.evaluation.rows", "POINTS = 7")
    with pytest.raises(Judged):
        evaluate_category(bench, **again)
    key.write_text(kept)
