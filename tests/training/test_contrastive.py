"""Contrastive pre-training: targets that follow by the momentum alone, queues in order, features that get better."""

import copy
import json

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from tpl.dataset.batches import ViewPairBatch, ViewTable
from tpl.losses import byol_loss, info_nce_loss, nt_xent_loss
from tpl.models import EncoderConfig, resnet18_trunk
from tpl.settings import SettingsError
from tpl.training import ContrastiveConfig, RunError, contrastive_config, load_contrastive, train_contrastive
from tpl.training.contrastive import BYOL, MARKS, METHODS, MoCo, SimCLR, TargetedObjective, draw_view_pairs
from tpl.training.representation import calibrated, measure

SMALL = ContrastiveConfig(
    epochs=60,
    encoder=EncoderConfig(width=8, image_size=32),
    pairs_per_batch=8,
    learning_rate=3e-3,
    temperature=0.2,
    momentum=0.9,
    queue=16,
    crop=0.0,
    jitter=0.0,
    hue=0.0,
    precision="fp32",
    log_every=10,
)


def figures(views: int = 8, size: int = 32, seed: int = 0) -> ViewTable:
    """Eight figures, disks and squares of four sizes, in any colour and at any place: the views' own affair."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    images = torch.full((8, views, 3, size, size), 255, dtype=torch.uint8)
    for figure in range(8):
        radius = (0.2, 0.32, 0.46, 0.62)[figure // 2]
        for view in range(views):
            right, down = (0.6 * torch.rand(2, generator=generator) - 0.3).tolist()
            color = (200 * torch.rand(3, generator=generator)).byte()
            reach = torch.stack([(x - right).abs(), (y - down).abs()])
            inside = reach.norm(dim=0) < radius if figure % 2 else reach.amax(dim=0) < radius
            images[figure, view] = torch.where(inside, color[:, None, None], images[figure, view])
    return ViewTable(images)


def small(method: str) -> ContrastiveConfig:
    return SMALL.model_copy(update={"method": method})


def objective(method: str, **changes):
    torch.manual_seed(0)
    config = small(method).model_copy(update=changes)
    return METHODS[method](config, resnet18_trunk(config.encoder.width))


def batch(seed: int = 0, rows: tuple[int, ...] = (0, 1, 2, 3)) -> ViewPairBatch:
    generator = torch.Generator().manual_seed(seed)
    return draw_view_pairs(figures(), torch.tensor(rows), generator, SMALL)


def shifted(module: torch.nn.Module, by: float) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by)


# --- the three methods


@pytest.mark.parametrize("method", ["moco", "byol"])
def test_the_target_moves_by_the_momentum_alone(method):
    model = objective(method, momentum=0.75).train()
    assert isinstance(model, TargetedObjective)
    before = [parameter.clone() for parameter in model.target.parameters()]
    shifted(model.online, 2.0)
    model(batch(), 0.0)
    for old, new in zip(before, model.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25 * 2.0)
    model(batch(), 0.0)
    for old, new in zip(before, model.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + (0.25 + 0.75 * 0.25) * 2.0)
    still = copy.deepcopy(model.target.state_dict())
    model.eval()(batch(), 0.0)
    assert all(torch.equal(still[name], value) for name, value in model.target.state_dict().items())


@pytest.mark.parametrize("method", list(METHODS))
def test_gradients_reach_all_that_learns_and_no_target(method):
    model = objective(method).train()
    (loss,) = model(batch(), 0.0).values()
    loss.backward()
    for name, parameter in model.named_parameters():
        if name.startswith("target."):
            assert parameter.grad is None and not parameter.requires_grad, name
        else:
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert sum(float(parameter.grad.norm()) for parameter in model.online.trunk.parameters()) > 0


def test_simclr_sees_both_views_in_one_batch():
    model = objective("simclr").train()
    assert isinstance(model, SimCLR)
    pairs = batch()
    together = model.online(torch.cat([pairs.first, pairs.second]))
    expected = nt_xent_loss(together[:4], together[4:], SMALL.temperature)
    torch.testing.assert_close(model(pairs, 0.0)["nt_xent"], expected)


def test_moco_s_queue_lets_the_oldest_go_first():
    model = objective("moco", queue=6, momentum=1.0).train()
    assert isinstance(model, MoCo)
    random = model.queue.clone()
    keys = []
    for number, rows in enumerate(((0, 1, 2, 3), (4, 5, 6, 7))):
        pairs = batch(number, rows)
        with torch.no_grad():
            keys.append(F.normalize(copy.deepcopy(model.target)(pairs.second), dim=1))
        model(pairs, 0.0)
        if number == 0:
            torch.testing.assert_close(model.queue, torch.cat([random[4:], keys[0]]))
            assert model.queue_index.tolist() == [-1, -1, 0, 1, 2, 3]
    torch.testing.assert_close(model.queue, torch.cat([keys[0][2:], keys[1]]))
    assert model.queue_index.tolist() == [2, 3, 4, 5, 6, 7]


def test_moco_s_term_is_the_loss_against_the_queue_as_it_was_without_the_object_s_own_keys():
    model = objective("moco").train()
    assert isinstance(model, MoCo)
    model(batch(0), 0.0)
    queue, index = model.queue.clone(), model.queue_index.clone()
    pairs = batch(1, (3, 4, 5, 6))
    query, key = copy.deepcopy(model.online)(pairs.first), copy.deepcopy(model.target)(pairs.second)
    same = pairs.index[:, None] == index
    assert same.sum() == 1
    expected = info_nce_loss(query, key, queue, SMALL.temperature, same)
    torch.testing.assert_close(model(pairs, 0.0)["info_nce"], expected, rtol=1e-4, atol=1e-5)


def test_moco_s_queue_stands_still_where_nothing_is_learnt():
    model = objective("moco").eval()
    before = model.queue.clone()
    model(batch(), 0.0)
    assert torch.equal(model.queue, before)


def test_byol_predicts_each_view_from_the_other():
    model = objective("byol").train()
    assert isinstance(model, BYOL)
    pairs = batch()
    both = torch.cat([pairs.first, pairs.second])
    predicted, target = model.predictor(model.online(both)), model.target(both)
    expected = byol_loss(predicted[:4], target[4:]) + byol_loss(predicted[4:], target[:4])
    torch.testing.assert_close(model(pairs, 0.0)["byol"], expected)


# --- training


@pytest.mark.parametrize(("method", "epochs", "rate"), [("simclr", 60, 3e-3), ("moco", 150, 1e-2), ("byol", 150, 1e-2)])
def test_a_short_training_brings_views_of_a_figure_together(method, epochs, rate):
    seen, unseen = figures(views=16), figures(seed=1)
    torch.manual_seed(SMALL.seed)
    before = measure(calibrated(resnet18_trunk(8), seen), unseen).retrieval
    config = small(method).model_copy(update={"epochs": epochs, "learning_rate": rate})
    run = train_contrastive(seen, config, progress=False)
    after = measure(run.trunk, unseen).retrieval
    assert before < 0.5 and after > before + 0.15, (before, after)


def test_what_is_watched_is_measured_from_the_first_step_to_the_last():
    seen, unseen = figures(), figures(seed=1)
    run = train_contrastive(seen, small("simclr"), watched=unseen, progress=False)
    assert len(run.measures) == MARKS
    assert run.measures.step.tolist() == [0, 12, 24, 35, 47, 59]
    torch.manual_seed(SMALL.seed)
    untrained = measure(calibrated(resnet18_trunk(8), seen), unseen)
    assert run.measures.iloc[0, 1:].tolist() == pytest.approx(list(untrained))
    same = train_contrastive(seen, small("simclr"), progress=False)
    assert same.measures.empty
    for watched, plain in zip(run.trunk.state_dict().values(), same.trunk.state_dict().values(), strict=True):
        assert torch.equal(watched, plain), "watching changed what was learnt"


def test_in_its_box_a_figure_s_place_and_size_tell_nothing():
    seen, unseen = figures(), figures(seed=1)
    boxed = SMALL.model_copy(update={"boxed": True, "epochs": 5})
    ours = train_contrastive(seen, boxed, watched=unseen, progress=False)
    plain = SMALL.model_copy(update={"epochs": 5})
    same = train_contrastive(seen.boxed(), plain, watched=unseen.boxed(), progress=False)
    for ours_of, same_of in zip(ours.trunk.state_dict().values(), same.trunk.state_dict().values(), strict=True):
        assert torch.equal(ours_of, same_of)
    assert ours.measures.equals(same.measures)


@pytest.mark.parametrize("method", list(METHODS))
def test_interrupted_and_started_again_it_ends_with_the_same_bits(method, tmp_path, monkeypatch):
    config = small(method).model_copy(update={"epochs": 12, "log_every": 4, "save_every": 4})
    arguments = dict(data="figures", watched=figures(seed=1), progress=False)
    train_contrastive(figures(), config, tmp_path / "straight", **arguments)
    drawn = []

    def interrupted(*arguments):
        drawn.append(1)
        if len(drawn) == 10:
            raise KeyboardInterrupt
        return draw_view_pairs(*arguments)

    monkeypatch.setattr("tpl.training.contrastive.draw_view_pairs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_contrastive(figures(), config, tmp_path / "twice", **arguments)
    saved = json.loads((tmp_path / "twice" / "state" / "00000008" / "progress.json").read_text())
    assert saved["step"] == 8 and not (tmp_path / "twice" / "run.json").exists()
    train_contrastive(figures(), config, tmp_path / "twice", **arguments)
    assert len(drawn) == 10 + 4, "it did not go on from the saved state"
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "twice")]
    assert weights[0] == weights[1]
    curves = [pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds") for name in ("straight", "twice")]
    pd.testing.assert_frame_equal(*curves)


def test_a_finished_run_is_loaded(tmp_path):
    config = small("moco").model_copy(update={"epochs": 2})
    run = train_contrastive(figures(), config, tmp_path, watched=figures(seed=1), progress=False)
    loaded = load_contrastive(tmp_path)
    assert not loaded.trunk.training
    for first, second in zip(run.trunk.state_dict().values(), loaded.trunk.state_dict().values(), strict=True):
        assert torch.equal(first, second)
    pd.testing.assert_frame_equal(run.measures, loaded.measures)
    with pytest.raises(RunError, match="no training in .*run its chapter"):
        load_contrastive(tmp_path / "nothing")


def test_a_batch_holds_no_shape_twice():
    counted = []
    config = small("simclr").model_copy(update={"epochs": 2, "pairs_per_batch": 100})
    original = draw_view_pairs

    def counting(views, rows, generator, config):
        counted.append(sorted(rows.tolist()))
        return original(views, rows, generator, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tpl.training.contrastive.draw_view_pairs", counting)
        train_contrastive(figures(), config, progress=False)
    assert counted == [list(range(8))] * 2


# --- what is asked


def test_the_paper_and_its_code_ask_for_other_pairs():
    paper, authors, fixed = (contrastive_config(preset) for preset in ("paper", "authors", "fixed"))
    assert (paper.pairs, authors.pairs, fixed.pairs) == ("augmentations", "views", "views")
    assert not (paper.boxed or authors.boxed or paper.muon_rate or authors.muon_rate)
    assert paper.include_self and not authors.include_self and not fixed.include_self
    assert (paper.start, authors.start, fixed.start) == ("random", "imagenet", "random")


def test_what_cannot_be_trained_is_refused_in_words():
    with pytest.raises(SettingsError, match="method = 'simsiam' is refused"):
        contrastive_config(method="simsiam")
    with pytest.raises(ValueError, match="at least two shapes"):
        train_contrastive(ViewTable(figures().images[:1]), SMALL, progress=False)
    with pytest.raises(SettingsError, match="of width 64, not 8"):
        train_contrastive(figures(), SMALL.model_copy(update={"start": "imagenet"}), progress=False)
