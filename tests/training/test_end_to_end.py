"""End-to-end training: it knows a ball that it never saw, starts from what it is given, and freezes what it shall."""

import math

import numpy as np
import pytest
import torch

from tpl.dataset.batches import SDFTable, ViewSDFBatch, ViewTable
from tpl.losses import CURRICULUM
from tpl.models import DeepImplicitTemplateConfig, EncoderConfig
from tpl.models.encoder import resnet18_trunk
from tpl.training import RunError, TrainingInterrupted, load_end_to_end, train_end_to_end
from tpl.training.embedding import EmbeddingConfig, EmbeddingRun, train_embedding
from tpl.training.end_to_end import EndToEndConfig, EndToEndObjective
from tpl.training.presets import JOINT, UPRIGHT, embedding_config, end_to_end_config
from tpl.training.states import latest_state

RADII = (0.3, 0.36, 0.42, 0.54, 0.6, 0.66)
UNSEEN = 0.48
MODEL = DeepImplicitTemplateConfig(
    latent_dim=4, warp_hidden=32, warp_steps=2, template_hidden=32, template_layers=3, dropout=0.0, weight_norm=False
)
SMALL = EndToEndConfig(
    epochs=700,
    model=MODEL,
    encoder=EncoderConfig(latent_dim=4, width=8),
    views_per_batch=6,
    points_per_view=96,
    cross_share=0.0,
    outputs="last",
    pointpair_weight=0.0,
    warp_rate=3e-3,
    template_rate=3e-3,
    trunk_rate=2e-3,
    head_rate=2e-3,
    schedule="cosine",
    jitter=0.1,
    hue=0.0,
    precision="fp32",
    log_every=10,
)
SHORT = SMALL.model_copy(update={"epochs": 6})


def balls(radii=RADII, count: int = 2000) -> SDFTable:
    """Balls about the origin: the answer is known everywhere."""
    points = np.random.default_rng(0).uniform(-1, 1, (len(radii), count, 3))
    sdf = np.linalg.norm(points, axis=2) - np.asarray(radii)[:, None]
    rows = torch.tensor(np.concatenate([points, sdf[..., None]], axis=2), dtype=torch.float32)
    return SDFTable.from_rows(rows, rows[:, :0], "cpu")


def disks(radii=RADII, views: int = 4, size: int = 32) -> ViewTable:
    """Pictures of the balls: a dark disk each, as large as the ball, wherever it stands."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    images = torch.full((len(radii), views, 3, size, size), 255, dtype=torch.uint8)
    for shape, radius in enumerate(radii):
        for view in range(views):
            dx, dy = (0.4 * torch.rand(2, generator=generator) - 0.2).tolist()
            images[shape, view, :, (x - dx) ** 2 + (y - dy) ** 2 < radius**2] = 60
    return ViewTable(images)


def batch(points: int = 64) -> ViewSDFBatch:
    generator, rows = torch.Generator().manual_seed(3), torch.arange(len(RADII))
    samples = balls().draw(rows, points, generator)
    return ViewSDFBatch(disks().draw(rows, generator), samples.points, samples.sdf, rows)


def weights(module: torch.nn.Module) -> dict[str, bytes]:
    """All parameters and statistics, to the bit."""
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


def random_trunk(width: int = 8, seed: int = 7) -> torch.nn.Module:
    """A trunk that no default start makes, its batch-norm statistics moved."""
    torch.manual_seed(seed)
    trunk = resnet18_trunk(width).train()
    trunk(torch.rand(4, 3, 32, 32))
    return trunk.eval()


@pytest.fixture(scope="module")
def embedding() -> EmbeddingRun:
    config = EmbeddingConfig(
        epochs=3, model=MODEL, shapes_per_batch=6, points_per_shape=16, cross_share=0.0, precision="fp32"
    )
    return train_embedding(balls(), config, progress=False)


def test_it_knows_which_points_lie_in_a_ball_that_it_never_saw():
    run = train_end_to_end(disks(), balls(), SMALL, progress=False)
    images = disks((0.33, UNSEEN, 0.63)).images[:, 0].float() / 255
    with torch.no_grad():
        codes = run.encoder(images)
        line = torch.linspace(0, 1, 200)[None, :, None] * torch.tensor([0.6, 0.0, 0.8])
        sdf = run.model(line.expand(3, -1, -1), codes)
    found = (sdf > 0).float().argmax(dim=1) / 199
    assert found.tolist() == pytest.approx([0.33, UNSEEN, 0.63], abs=0.06)  # nearer than to the balls that it saw
    assert run.history.sdf.iloc[-1] < 0.25 * run.history.sdf.iloc[0]


@pytest.mark.parametrize("trunk", ["trained", "frozen"])
def test_the_gradient_reaches_all_that_learns_and_no_frozen_trunk(trunk):
    torch.manual_seed(0)
    model = MODEL.model_copy(update={"ambient_dim": 2})
    objective = EndToEndObjective(SMALL.model_copy(update={"trunk": trunk, "model": model})).train()
    torch.nn.init.normal_(objective.model.warp.affine.weight, std=0.1)  # a warp that is the identity knows no code
    sum(objective(batch(), 1.0).values()).backward()
    parts = {
        "trunk": objective.encoder.trunk.conv1,
        "head": objective.encoder.head,
        "warp": objective.model.warp,
        "template": objective.model.template,
    }
    reached = {
        name: all(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())
        for name, part in parts.items()
    }
    assert reached == {"trunk": trunk == "trained", "head": True, "warp": True, "template": True}
    assert trunk == "trained" or all(p.grad is None for p in objective.encoder.trunk.parameters())


def test_a_frozen_trunk_is_the_same_to_the_bit_statistics_included():
    trunk = random_trunk()
    before = weights(trunk)
    frozen = SHORT.model_copy(update={"start": "contrastive", "trunk": "frozen", "weight_decay": 0.1})
    run = train_end_to_end(disks(), balls(), frozen, trunk=trunk, progress=False)
    assert weights(run.encoder.trunk) == before
    trained = frozen.model_copy(update={"trunk": "trained"})
    run = train_end_to_end(disks(), balls(), trained, trunk=trunk, progress=False)
    after = weights(run.encoder.trunk)
    assert after["conv1.weight"] != before["conv1.weight"]
    assert after["bn1.running_mean"] != before["bn1.running_mean"]
    assert weights(trunk) == before, "the trunk that was given is the caller's"


def test_the_terms_are_the_formula_of_phase_1_at_the_encoder_s_codes():
    config = SMALL.model_copy(
        update={
            "model": MODEL.model_copy(update={"warp_steps": 8}),
            "outputs": "curriculum",
            "pointpair_weight": 0.3,
            "code_weight": 0.2,
            "pointwise_weight": 0.7,
            "one_sided": False,
        }
    )
    torch.manual_seed(1)
    objective, drawn = EndToEndObjective(config).eval(), batch(24)
    torch.nn.init.normal_(objective.model.warp.affine.weight, std=0.1)
    with torch.no_grad():
        terms = objective(drawn, 1.0)
        codes = objective.encoder(drawn.image)
        path = objective.model.warp(drawn.points, codes)[[1, 3, 5, 7]]
        predicted = objective.model.template(path)
    shapes, points = drawn.sdf.shape
    sdf, moved, strain = [], [], []
    for step, (epsilon, hardness) in enumerate(CURRICULUM):
        for k in range(shapes):
            for i in range(points):
                f = min(max(predicted[step, k, i].item(), -0.1), 0.1)
                s = min(max(drawn.sdf[k, i].item(), -0.1), 0.1)
                sdf.append(max(abs(f - s) - epsilon, 0) * (1 + hardness * np.sign(s) * np.sign(s - f)))
                d = math.dist(path[step, k, i].tolist(), drawn.points[k, i].tolist())
                moved.append(0.5 * d * d if d < 0.25 else 0.25 * (d - 0.125))
    shift = (path[-1] - drawn.points).double()
    for k in range(shapes):
        for i in range(points // 8):
            for j in range(points // 8, points):
                apart = math.dist(drawn.points[k, i].tolist(), drawn.points[k, j].tolist())
                change = math.dist(shift[k, i].tolist(), shift[k, j].tolist())
                strain.append(min(max(change / (apart + 1e-3) - 0.5, 0), 5))
    by_hand = {
        "sdf": np.mean(sdf),
        "pointwise": 0.7 * np.mean(moved),
        "pointpair": 0.3 * np.mean(strain),
        "code": 0.2 * np.mean([math.hypot(*code) for code in codes.tolist()]),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(by_hand, rel=1e-4)
    assert all(value > 0 for value in by_hand.values())


def test_interrupted_and_started_again_it_ends_with_the_same_bits(tmp_path, monkeypatch):
    model = MODEL.model_copy(update={"dropout": 0.2, "ambient_dim": 2})
    config = SHORT.model_copy(update={"epochs": 12, "log_every": 2, "save_every": 4, "model": model})
    straight = train_end_to_end(disks(), balls(), config, tmp_path / "straight", "balls", progress=False)

    def stop(self, batch, done, forward=EndToEndObjective.forward):
        if done > 0.6:
            raise TrainingInterrupted("as if killed")
        return forward(self, batch, done)

    with monkeypatch.context() as patch:
        patch.setattr(EndToEndObjective, "forward", stop)
        with pytest.raises(TrainingInterrupted):
            train_end_to_end(disks(), balls(), config, tmp_path / "stopped", "balls", progress=False)
    assert latest_state(tmp_path / "stopped" / "state") and not (tmp_path / "stopped" / "run.json").exists()
    resumed = train_end_to_end(disks(), balls(), config, tmp_path / "stopped", "balls", progress=False)
    assert weights(resumed.encoder) == weights(straight.encoder) and weights(resumed.model) == weights(straight.model)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "stopped")]
    assert files[0] == files[1]


def test_a_finished_run_is_loaded_as_it_was(tmp_path):
    run = train_end_to_end(disks(), balls(), SHORT, tmp_path / "run", "balls", progress=False)
    loaded = load_end_to_end(tmp_path / "run")
    assert weights(loaded.encoder) == weights(run.encoder) and weights(loaded.model) == weights(run.model)
    assert loaded.history.step.tolist() == run.history.step.tolist()
    with pytest.raises(RunError, match="no training in .*nothing: run its chapter"):
        load_end_to_end(tmp_path / "nothing")


def at_the_start(config: EndToEndConfig, **sources):
    """A training whose rates are too small to change a bit."""
    still = {name: 1e-30 for name in ("trunk_rate", "head_rate", "warp_rate", "template_rate")}
    config = config.model_copy(update={"epochs": 1, "trunk": "frozen", **still})
    return train_end_to_end(disks(), balls(), config, progress=False, **sources)


def test_the_trunk_starts_as_the_one_given_and_the_decoder_as_phase_1(embedding):
    trunk = random_trunk()
    started = SHORT.model_copy(update={"start": "imagenet+contrastive", "decoder_start": "embedding"})
    run = at_the_start(started, trunk=trunk, embedding=embedding)
    assert weights(run.encoder.trunk) == weights(trunk)
    assert weights(run.model) == weights(embedding.model)
    torch.testing.assert_close(run.encoder.latent_mean, embedding.codes.mean(dim=0))
    torch.testing.assert_close(run.encoder.latent_std, embedding.codes.std(dim=0, correction=0))
    anew = at_the_start(SHORT)
    assert weights(anew.encoder.trunk) != weights(trunk) and weights(anew.model) != weights(embedding.model)


def test_presets_are_phase_1_s_and_the_authors_freeze_the_trunk():
    paper, authors, fixed = (end_to_end_config(name) for name in ("paper", "authors", "fixed"))
    assert [config.trunk for config in (paper, authors, fixed)] == ["trained", "frozen", "trained"]
    for name, config in {"paper": paper, "authors": authors, "fixed": fixed}.items():
        phase_1 = embedding_config(name)
        shared = set(EndToEndConfig.model_fields) & set(EmbeddingConfig.model_fields)
        assert all(getattr(config, field) == getattr(phase_1, field) for field in shared)
        assert set(JOINT[name]) - shared <= {"trunk", *UPRIGHT}
        assert config.rotation == config.zoom == config.shift == 0
        assert (config.start, config.decoder_start) == ("random", "random")


def test_what_does_not_fit_is_refused_in_words(embedding):
    def refused(sentence: str, views=None, **arguments):
        config = SHORT.model_copy(update=arguments.pop("config", {}))
        with pytest.raises(ValueError, match=sentence):
            train_end_to_end(views or disks(), balls(), config, progress=False, **arguments)

    refused("start = 'contrastive' needs the networks", config={"start": "contrastive"})
    refused("decoder_start = 'embedding' needs the networks", config={"decoder_start": "embedding"})
    refused("start = 'random' and networks to start from", trunk=random_trunk())
    refused("decoder_start = 'random' and networks to start from", embedding=embedding)
    refused("no ResNet of encoder.width = 8", config={"start": "contrastive"}, trunk=random_trunk(16))
    larger = {"decoder_start": "embedding", "model": MODEL.model_copy(update={"warp_hidden": 8})}
    refused("phase 1 has another decoder", config=larger, embedding=embedding)
    refused("codes of 4 numbers and the warp reads 5", config={"model": MODEL.model_copy(update={"latent_dim": 5})})
    refused("2 shapes have views and 6 have SDF samples", views=disks(RADII[:2]))
