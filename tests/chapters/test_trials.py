"""Small trainings: what is held out, what is measured, and numbers that come again."""

import numpy as np
import pytest
import torch

from tpl.chapters.correspondence.transfer import NEAREST, Located, score_samples
from tpl.chapters.paper_and_code import trials
from tpl.chapters.paper_and_code.trials import (
    LABELLED_POINTS,
    Budget,
    Setup,
    Trial,
    hold_out,
    kept_trial,
    label_iou,
    make_starts,
    run_trial,
    sdf_error,
    trial_config,
)
from tpl.chapters.paper_and_code.trials import trial_key as key_of
from tpl.dataset.batches import SDFTable
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.training import TrainingInterrupted, contrastive_config, embedding_config, end_to_end_config

TINY = Budget(
    seeds=2,
    shapes=2,
    pictured=2,
    embedding_steps=4,
    regression_steps=2,
    contrastive_steps=2,
    end_to_end_steps=2,
    latent_dim=4,
    warp_hidden=8,
    warp_steps=2,
    template_hidden=8,
    template_layers=2,
    width=8,
    resolution=8,
    scored_shapes=1,
    precision="fp32",
)


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    amounts = PrepareConfig(
        sdf_samples=800, cross_samples=160, surface_points=500, easy_views=2, hard_views=1, image_size=32
    )
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["sofas"], config, jobs=1)
    return Setup.of(Bench(folder / "runs", collection, ("sofas",)), TINY)


def test_every_eighth_sample_is_held_out_and_none_is_in_both():
    rows = torch.randn(2, 80, 4)
    table = SDFTable.from_rows(rows[:, :64], rows[:, 64:], "cpu")
    learnt, held = hold_out(table)
    assert learnt.samples.shape[1] + learnt.cross.shape[1] == 70 and held.shape == (2, 10, 4)
    together = torch.cat([learnt.samples, learnt.cross, held], dim=1)
    for shape in range(2):
        assert {tuple(row) for row in together[shape].tolist()} == {tuple(row) for row in rows[shape].tolist()}
    assert ((learnt.samples[..., 3] > 0).sum(dim=1) == learnt.outside).all()


def test_sdf_error_is_its_formula_in_loops():
    torch.manual_seed(0)
    sizes = DeepImplicitTemplateConfig(
        latent_dim=3, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=2, dropout=0.5
    )
    model, codes, samples = DeepImplicitTemplate(sizes).train(), torch.randn(2, 3, 3), torch.randn(2, 5, 4)
    found, errors = sdf_error(model, codes, samples, 0.1), []
    for shape in range(2):
        for view in range(3):
            for x, y, z, true in samples[shape].tolist():
                predicted = model.shape(codes[shape, view])(np.array([[x, y, z]]))[0]
                errors.append(abs(np.clip(predicted, -0.1, 0.1) - np.clip(true, -0.1, 0.1)))
    assert found == pytest.approx(np.mean(errors), rel=1e-4)


def test_labels_are_scored_as_chapter_10_scores_them(setup):
    three = setup._replace(budget=TINY.model_copy(update={"shapes": 2}))
    frame = setup.bench.store.read_normalization
    source, target = (
        Located(shape, frame(shape), lambda points: -points).sample(LABELLED_POINTS) for shape in three.shapes(2)
    )
    labels = score_samples([source], target, "").labels.set_index("method")["mean_iou"]
    assert label_iou(lambda row, points: points, three) == pytest.approx(labels[NEAREST])
    assert label_iou(lambda row, points: points if row else -points, three) < labels[NEAREST]
    assert np.isnan(label_iou(lambda row, points: points, setup._replace(budget=TINY.model_copy(update={"shapes": 1}))))


def test_the_small_configurations_are_the_preset_fixed_but_for_size_and_speed(setup):
    method = ("pointwise_weight", "pointpair_weight", "pointwise_outputs", "code_weight", "outputs", "one_sided")
    small, fixed = trial_config("embedding", {}, setup), embedding_config("fixed")
    assert {name: getattr(small, name) for name in method} == {name: getattr(fixed, name) for name in method}
    small, fixed = trial_config("contrastive", {}, setup), contrastive_config("fixed")
    assert (small.pairs, small.include_self, small.start) == (fixed.pairs, fixed.include_self, fixed.start)
    assert trial_config("end_to_end", {}, setup).trunk == end_to_end_config("fixed").trunk
    with pytest.raises(SettingsError, match="there is no parameter 'epoch'; there are epochs"):
        trial_config("embedding", {"epoch": 3}, setup)
    with pytest.raises(SettingsError, match=r"there is no parameter 'encoder\.depth'"):
        trial_config("regression", {"encoder.depth": 3}, setup)


@pytest.mark.parametrize(
    ("phase", "measures"),
    [
        ("embedding", {"chamfer", "sdf_error", "label_iou"}),
        ("regression", {"code_error", "sdf_error"}),
        ("contrastive", {"retrieval"}),
        ("end_to_end", {"sdf_error"}),
    ],
)
def test_a_trial_is_measured_by_what_its_phase_is_for_and_comes_again(setup, phase, measures):
    one, other = (Trial(phase, trial_config(phase, {}, setup, seed)) for seed in (0, 1))
    key = key_of(one, setup)
    assert key != key_of(other, setup)
    make_starts({phase}, setup)
    first = run_trial(key, {key: one}, setup)
    kept_trial(key, setup).unlink()
    again = run_trial(key, {key: one}, setup)
    assert kept_trial(key, setup).exists()
    assert set(first) == measures | {"seconds", "reason"} and first["reason"] == ""
    assert {name: first[name] for name in measures} == {name: again[name] for name in measures}
    assert all(np.isfinite(first[name]) and first[name] >= 0 for name in measures)


def test_a_key_knows_what_a_trial_starts_from_and_how_it_is_measured(setup):
    def keys(**changes):
        changed = setup._replace(budget=TINY.model_copy(update=changes))
        return {phase: key_of(Trial(phase, trial_config(phase, {}, changed)), changed) for phase in trials.CONFIGS}

    before = keys()
    assert keys(seeds=5) == before
    later = keys(embedding_steps=8)
    assert {phase for phase in before if later[phase] != before[phase]} == {"embedding", "regression", "end_to_end"}
    assert not set(keys(resolution=9).values()) & set(before.values())
    other = setup._replace(data="another")
    assert key_of(Trial("embedding", trial_config("embedding", {}, other)), other) != before["embedding"]


def test_a_training_that_diverges_is_a_result_with_its_reason(setup, monkeypatch):
    def diverge(config, setup):
        raise TrainingInterrupted("phase 1: the loss is nan at step 3 ({})")

    monkeypatch.setitem(trials._TRIALS, "embedding", diverge)
    trial = Trial("embedding", trial_config("embedding", {}, setup, seed=7))
    found = run_trial("diverged", {"diverged": trial}, setup)
    assert found["reason"].startswith("phase 1: the loss is nan at step 3") and kept_trial("diverged", setup).exists()


def test_a_key_knows_the_code_that_trains_and_measures(setup, edit_code):
    def key() -> str:
        return key_of(Trial("embedding", trial_config("embedding", {}, setup)), setup)

    before = key()
    edit_code("tpl.losses")
    edit_code("tpl.look.plotting", "WIDTH = 7")
    assert key() == before
    edit_code("tpl.losses", "WEIGHT = 7")
    with_other_losses = key()
    edit_code("tpl.metrics", "HALF = 7")
    assert len({before, with_other_losses, key()}) == 3
