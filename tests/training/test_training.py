"""What training must do: resume to the bit, know which ball a point is in, and refuse what makes no sense."""

import ast
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tpl.dataset.batches import SDFTable, ViewSDFBatch, ViewTable
from tpl.errors import PlainError
from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import sphere
from tpl.inference import encode, estimate_cameras
from tpl.losses import curriculum_l1
from tpl.meshes import Normalization
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig
from tpl.rendering import composite, easy_camera, render_views
from tpl.rendering.pose import pose_numbers, pose_of
from tpl.settings import SettingsError
from tpl.shapes import list_shapes
from tpl.training import (
    EmbeddingConfig,
    RegressionConfig,
    RunError,
    RunFolder,
    TrainingInterrupted,
    contrastive_config,
    end_to_end_config,
    fit,
    load_embedding,
    load_regression,
    loop,
    train_contrastive,
    train_embedding,
    train_end_to_end,
    train_regression,
)
from tpl.training.denormals import denormals_flushed
from tpl.training.embedding import (
    EmbeddingObjective,
    EmbeddingRun,
    decoder_groups,
    draw_rows,
    output_steps,
    parts_of_a_step,
    project_to_ball,
    warp_terms,
)
from tpl.training.loop import Group, TrainingConfig, convolutions_apart, rate_factor
from tpl.training.muon import Muon
from tpl.training.precision import half_precision
from tpl.training.presets import embedding_config, regression_config
from tpl.training.regression import RegressionObjective
from tpl.training.sharing import ShareError
from tpl.training.side_by_side import training_device
from tpl.training.states import latest_state, read_progress

RADII = (0.3, 0.5, 0.7)
MODEL = DeepImplicitTemplateConfig(
    latent_dim=4, warp_hidden=32, warp_steps=2, template_hidden=32, template_layers=3, dropout=0.05
)
SMALL = EmbeddingConfig(
    epochs=600,
    model=MODEL,
    shapes_per_batch=3,
    points_per_shape=64,
    cross_share=0.0,
    outputs="last",
    warp_rate=3e-3,
    template_rate=3e-3,
    code_rate=1e-2,
    pointpair_weight=0.0,
    schedule="cosine",
    precision="fp32",
    log_every=10,
    save_every=20,
)
BY_MUON = SMALL.model_copy(update={"muon_rate": 0.01})
BESIDE_SPACE = BY_MUON.model_copy(update={"model": MODEL.model_copy(update={"ambient_dim": 2})})


def balls(count: int = 3000) -> SDFTable:
    """Three balls: the answer is known everywhere."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (3, count, 3))
    sdf = np.stack([sphere(radius)(p) for radius, p in zip(RADII, points, strict=True)])
    rows = torch.tensor(np.concatenate([points, sdf[..., None]], axis=2), dtype=torch.float32)
    return SDFTable.from_rows(rows, rows[:, :0], "cpu")


def disks(views: int = 6, size: int = 32) -> ViewTable:
    """Pictures of the balls: a dark disk each, as large as the ball, wherever it stands."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    images = torch.full((3, views, 3, size, size), 255, dtype=torch.uint8)
    for shape, radius in enumerate(RADII):
        for view in range(views):
            dx, dy = (0.4 * torch.rand(2, generator=generator) - 0.2).tolist()
            images[shape, view, :, (x - dx) ** 2 + (y - dy) ** 2 < radius**2] = 60
    return ViewTable(images)


@pytest.fixture(scope="module")
def embedding():
    return train_embedding(balls(), SMALL, progress=False)


def test_phase_1_knows_which_ball_a_point_is_in(embedding):
    point = torch.tensor([0.4, 0.0, 0.0]).expand(3, 1, 3)
    assert (embedding.model(point, embedding.codes)[:, 0] < 0).tolist() == [False, True, True]


def test_phase_1_learns_the_radii(embedding):
    line = np.stack([np.linspace(0, 1, 200), np.zeros(200), np.zeros(200)], axis=1)
    for code, radius in zip(embedding.codes, RADII, strict=True):
        sdf = embedding.model.shape(code)(line)
        assert abs(np.argmax(sdf > 0) / 199 - radius) < 0.05


def test_the_history_has_every_term_and_their_sum(embedding):
    history = embedding.history
    assert list(history.columns) == ["step", "seconds", "sdf", "pointwise", "code", "loss"]
    assert history.step.iloc[-1] == 600
    np.testing.assert_allclose(history.loss, history.sdf + history.pointwise + history.code)


def test_phase_2_puts_an_unseen_picture_on_its_ball(embedding):
    config = RegressionConfig(
        epochs=200,
        encoder=EncoderConfig(latent_dim=4, width=8),
        views_per_batch=12,
        standardise=True,
        jitter=0.1,
        hue=0.0,
        precision="fp32",
    )
    views = disks()
    run = train_regression(embedding, ViewTable(views.images[:, 1:]), None, config, progress=False)
    codes = run.encoder(views.images[:, 0].float() / 255)
    nearest = torch.cdist(codes, embedding.codes).argmin(dim=1)
    assert nearest.tolist() == [0, 1, 2]


def test_our_variant_learns_a_shape_that_has_no_code():
    table, views = balls(), disks()
    first_two = SDFTable(table.samples[:2], table.outside[:2], table.cross[:2])
    embedding = train_embedding(first_two, SMALL.model_copy(update={"shapes_per_batch": 2}), progress=False)
    before = [parameter.clone() for parameter in embedding.model.parameters()]
    config = RegressionConfig(
        epochs=250,
        encoder=EncoderConfig(latent_dim=4, width=8),
        views_per_batch=12,
        standardise=True,
        jitter=0.0,
        hue=0.0,
        sdf_weight=10.0,
        cross_share=0.0,
        precision="fp32",
    )
    run = train_regression(embedding, views, table, config, progress=False)
    codes = run.encoder(views.images[:, 0].float() / 255)
    inside = torch.tensor([[[0.58, 0.0, 0.0]]]).expand(3, 1, 3)  # in the third ball alone, which has no code
    assert (embedding.model(inside, codes)[:, 0] < 0).tolist() == [False, False, True]
    for old, new in zip(before, embedding.model.parameters(), strict=True):
        assert torch.equal(old, new) and new.requires_grad  # the decoder was frozen, and is as it came


KILLED = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from test_training import BESIDE_SPACE, balls
from tpl.training import train_embedding
train_embedding(balls(), BESIDE_SPACE, sys.argv[1], data="balls", progress=False)
"""


def airplanes(views: int = 48, size: int = 32) -> ViewTable:
    """Three airplanes from above, all around, and the cameras."""
    images, poses = [], []
    for shape in list_shapes("procedural", "airplanes", train=3):
        rng, mesh = np.random.default_rng(0), shape.load()
        cameras = [easy_camera(50 * view // views, rng) for view in range(views)]
        images.append(np.stack([composite(image) for image in render_views(mesh, cameras, size)]))
        frame = Normalization.of(mesh.vertices)
        poses.append(np.stack([pose_numbers(camera, frame) for camera in cameras]))
    return ViewTable(
        torch.from_numpy(np.stack(images)).permute(0, 1, 4, 2, 3).contiguous(),
        torch.from_numpy(np.stack(poses)).float(),
    )


def test_our_encoder_knows_from_where_it_looks(embedding):
    views = airplanes()
    assert views.poses is not None
    seen, held_out = torch.arange(48) % 4 != 3, torch.arange(48) % 4 == 3
    config = RegressionConfig(
        epochs=200,
        encoder=EncoderConfig(latent_dim=4, width=8, pool=2, crop=True, channels="mask", camera=True),
        views_per_batch=24,
        learning_rate=3e-3,
        muon_rate=0.005,
        standardise=True,
        jitter=0.0,
        hue=0.0,
        brightness=0.4,
        rotation=4.0,
        zoom=0.05,
        shift=0.03,
        camera_weight=0.3,
        precision="fp32",
    )
    run = train_regression(
        embedding, ViewTable(views.images[:, seen], views.poses[:, seen]), None, config, progress=False
    )
    assert list(run.history.columns) == ["step", "seconds", "latent", "camera", "loss"]
    images = views.images[:, held_out].flatten(0, 1).permute(0, 2, 3, 1).contiguous().numpy()
    found = [camera.azimuth for camera, _ in estimate_cameras(run.encoder, images)]
    true = [pose_of(pose.double().numpy())[0].azimuth for pose in views.poses[:, held_out].flatten(0, 1)]
    assert np.median(np.abs((np.subtract(found, true) + 180) % 360 - 180)) < 15
    nearest = torch.cdist(encode(run.encoder, images), embedding.codes).argmin(dim=1)
    assert (nearest == torch.arange(3).repeat_interleave(12)).float().mean() > 0.8


def test_a_head_for_the_camera_needs_a_weight_and_poses(embedding):
    config = RegressionConfig(encoder=EncoderConfig(latent_dim=4, width=8, camera=True))
    with pytest.raises(ValueError, match="a head for the camera needs a weight"):
        train_regression(embedding, disks(), None, config, progress=False)
    with pytest.raises(ValueError, match="needs the views' poses"):
        train_regression(embedding, disks(), None, config.model_copy(update={"camera_weight": 0.3}), progress=False)


def test_killed_and_started_again_it_ends_with_the_same_bits(tmp_path):
    """Dropout is on, so that a random stream that does not go on would show; and so are both optimizers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        straight = train_embedding(balls(), BESIDE_SPACE, tmp_path / "straight", data="balls", progress=False)
    finally:
        torch.set_num_threads(threads)
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "killed"), str(Path(__file__).parent)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    state = tmp_path / "killed" / "state"
    while process.poll() is None and not latest_state(state):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not (tmp_path / "killed" / "run.json").exists()
    saved = latest_state(state)
    assert saved and json.loads((saved / "progress.json").read_text())["step"] < 600
    subprocess.run(command, env=environment, check=True)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "killed")]
    assert weights[0] == weights[1]
    loaded = load_embedding(tmp_path / "killed").model
    assert torch.equal(loaded.ambient_mean, straight.model.ambient_mean) and loaded.ambient_mean.abs().max() > 0
    curves = [pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds") for name in ("straight", "killed")]
    pd.testing.assert_frame_equal(*curves)
    assert straight.history.step.is_monotonic_increasing


def test_a_finished_run_is_loaded_and_not_trained_again(tmp_path):
    config = SMALL.model_copy(update={"epochs": 10})
    first = train_embedding(balls(), config, tmp_path / "run", data="balls", progress=False)
    written = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    again = train_embedding(balls(), config, tmp_path / "run", data="balls", progress=False)
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == written
    assert torch.equal(first.codes, again.codes)
    loaded = load_embedding(tmp_path / "run")
    assert torch.equal(first.codes, loaded.codes)
    assert loaded.model.config == MODEL


def test_another_configuration_starts_anew_says_so_and_keeps_the_old(tmp_path):
    config = SMALL.model_copy(update={"epochs": 10})
    train_embedding(balls(), config, tmp_path / "run", data="balls", progress=False)
    old = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.warns(UserWarning, match=r"epochs: 10 there, 12 here.*kept as run\.1.*starts anew"):
        changed = config.model_copy(update={"epochs": 12})
        run = train_embedding(balls(), changed, tmp_path / "run", data="balls", progress=False)
    assert run.history.step.iloc[-1] == 12
    assert (tmp_path / "run.1" / "model.safetensors").read_bytes() == old


def test_other_data_is_another_run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    assert not folder.begin(SMALL, "one")
    with pytest.warns(UserWarning, match="data: one there, two here"):
        assert not folder.begin(SMALL, "two")


def test_loading_says_what_is_wrong(tmp_path, embedding):
    with pytest.raises(RunError, match="no training in .*run its chapter"):
        load_embedding(tmp_path / "nothing")
    config = SMALL.model_copy(update={"epochs": 10})
    train_embedding(balls(), config, tmp_path / "run", data="balls", progress=False)
    weights = tmp_path / "run" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match="cannot be read .*train anew"):
        load_embedding(tmp_path / "run")
    weights.write_bytes(whole)
    other = json.loads((tmp_path / "run" / "config.json").read_text())
    other["model"]["warp_hidden"] = 64
    (tmp_path / "run" / "config.json").write_text(json.dumps(other))
    with pytest.raises(RunError, match="holds another model"):
        load_embedding(tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text("{")
    with pytest.raises(RunError, match="not valid JSON"):
        load_embedding(tmp_path / "run")
    with pytest.raises(RunError, match="no training in"):
        load_regression(tmp_path / "nothing", embedding)


@pytest.mark.parametrize("text", ["[]", "null", "{", ""])
def test_a_configuration_that_cannot_be_read_is_set_aside_and_nothing_is_lost(tmp_path, text):
    folder = RunFolder(tmp_path / "run")
    folder.begin(SMALL, "one")
    (folder.path / "config.json").write_text(text)
    (folder.path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(RunError, match="config.json cannot be read .*: move .* away and train anew"):
        folder.config()
    with pytest.warns(UserWarning, match="is kept as run.1, and the training starts anew"):
        assert not folder.begin(SMALL, "one")
    assert (tmp_path / "run.1" / "model.safetensors").read_bytes() == b"weights"


def test_broken_tables_and_states_are_named(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.begin(SMALL, "one")
    (folder.path / "run.json").write_text("{}")
    (folder.path / "history.csv").write_text("")
    (folder.path / "model.safetensors").write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    with pytest.raises(RunError, match="history.csv cannot be read"):
        folder.history()
    with pytest.raises(RunError, match="model.safetensors cannot be read .'b'.: move"):
        folder.shape_of("b")
    state = folder.state / "00000003"
    state.mkdir(parents=True)
    (state / "progress.json").write_text("[]")
    with pytest.raises(
        PlainError, match="progress.json cannot be read .*: move .*00000003 away, and the training goes on"
    ):
        read_progress(folder.state)


def test_nothing_is_trained_on_a_device_without_memory_or_in_endless_batches():
    with pytest.raises(ValueError, match="nothing can be trained on 'meta'"):
        training_device("meta")
    with pytest.raises(SettingsError, match="shapes_per_batch = 100000000000 is refused"):
        embedding_config("fixed", shapes_per_batch=10**11)


def test_a_loss_that_is_not_a_number_stops_the_training_in_words():
    class Diverging(torch.nn.Module):
        def forward(self, batch, done):
            return {"sdf": (batch * parameter).sum() * float("nan")}

    parameter = torch.nn.Parameter(torch.ones(2))
    config = TrainingConfig(epochs=1, precision="fp32", log_every=1)
    with pytest.raises(TrainingInterrupted, match="the loss is nan at step 1"):
        fit(
            Diverging(),
            lambda g, step, steps: torch.ones(2),
            [Group([parameter], 0.1)],
            config,
            steps=3,
            progress=False,
        )


def test_fit_minimises_what_has_a_known_minimum():
    class Bowl(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.place = torch.nn.Parameter(torch.zeros(2))

        def forward(self, batch, done):
            return {"bowl": (self.place - torch.tensor([1.0, -2.0])).square().sum()}

    bowl = Bowl()
    config = TrainingConfig(epochs=1, precision="fp32")
    fit(bowl, lambda *_: None, [Group(bowl.parameters(), 0.05)], config, steps=400, progress=False)
    torch.testing.assert_close(bowl.place.detach(), torch.tensor([1.0, -2.0]), atol=1e-2, rtol=0)


def kept_for_gradients(batch_split):
    """Most bytes that one part of a step keeps, and what training learns; all terms count."""
    config = SMALL.model_copy(
        update={
            "model": MODEL.model_copy(update={"dropout": 0.0}),
            "pointpair_weight": 0.5,
            "code_weight": 0.1,
            "epochs": 12,
            "batch_split": batch_split,
            "log_every": 1,
        }
    )
    kept, at_once = {}, []

    def keep(tensor):
        kept[id(tensor)] = tensor.nbytes
        at_once.append(sum(kept.values()))
        return tensor

    backward = torch.Tensor.backward

    def counted(self, *args, **options):
        backward(self, *args, **options)
        kept.clear()

    counting = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with pytest.MonkeyPatch.context() as patch, counting:
        patch.setattr(torch.Tensor, "backward", counted)
        run = train_embedding(balls(), config, progress=False)
    return max(at_once), run


def test_a_batch_in_parts_learns_the_same_and_needs_the_memory_of_one_part():
    whole, in_parts = kept_for_gradients(1), kept_for_gradients(3)
    for one, other in zip(whole[1].model.parameters(), in_parts[1].model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(whole[1].codes, in_parts[1].codes, rtol=1e-3, atol=2e-5)
    terms = ["sdf", "pointwise", "pointpair", "code", "loss"]
    np.testing.assert_allclose(whole[1].history[terms], in_parts[1].history[terms], rtol=1e-3)
    assert in_parts[0] < 0.5 * whole[0]  # a third, and the weights, which all parts need


def test_a_batch_that_its_parts_cannot_share_is_refused():
    with pytest.raises(ShareError, match="2 parts of a step cannot share a batch of 3 evenly: make it a multiple of 2"):
        train_embedding(balls(), SMALL.model_copy(update={"batch_split": 2}), progress=False)


@pytest.mark.parametrize(
    ("shapes", "points", "asked", "processes", "device", "parts"),
    [
        (24, 5000, 0, 1, "cpu", 24),  # the paper's: a shape at a time
        (24, 2048, 0, 1, "cpu", 6),
        (16, 40, 0, 1, "cpu", 1),
        (24, 9000, 0, 1, "cpu", 24),  # a shape is not divided
        (24, 5000, 0, 4, "cpu", 6),  # of each process
        (24, 5000, 3, 1, "cpu", 3),
        (24, 5000, 0, 1, "cuda", 1),
        (24, 5000, 3, 1, "cuda", 3),
    ],
)
def test_a_step_is_taken_in_as_many_parts_as_suit(monkeypatch, shapes, points, asked, processes, device, parts):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    config = EmbeddingConfig(shapes_per_batch=shapes, points_per_shape=points, batch_split=asked)
    assert parts_of_a_step(config, torch.device(device)) == parts


FREED_AND_ASKED_FOR_AGAIN = """
import resource, torch
from tpl.training.memory import keep_freed_memory

def cleared_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [torch.zeros(6_000_000) for _ in range(4)]  # 24 MB each
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(cleared_pages(), keep_freed_memory(), cleared_pages(), cleared_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc")
def test_memory_that_is_freed_is_there_when_it_is_asked_for_again():
    """From glibc's settings as they are documented; left alone, it also changes them as it sees fit."""
    ended = subprocess.run(
        [sys.executable, "-c", FREED_AND_ASKED_FOR_AGAIN],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"},
        capture_output=True,
        text=True,
        check=True,
    )
    before, told, _, after = ended.stdout.split()
    assert told == "True"
    assert int(before) > 100_000 > 1000 > int(after)  # pages of 4 KB in 960 MB: each of them, and hardly one


def test_muon_moves_a_matrix_along_all_directions_alike():
    """One step against a gradient whose strongest direction is 100 times its weakest: minus its polar factor."""

    class Plane(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = torch.nn.Parameter(torch.zeros(12, 6))

        def forward(self, batch, done):
            return {"plane": (self.matrix * gradient).sum()}

    torch.manual_seed(0)
    left, right = torch.linalg.qr(torch.randn(12, 6))[0], torch.linalg.qr(torch.randn(6, 6))[0]
    gradient = left @ torch.diag(torch.logspace(0, -2, 6)) @ right.T
    plane, config = Plane(), TrainingConfig(epochs=1, precision="fp32", schedule="constant")
    fit(plane, lambda *_: None, [Group(plane.parameters(), 0.1, "muon")], config, steps=1, progress=False)
    step = -plane.matrix.detach() / (0.1 * 0.2 * 12**0.5)
    along = left.T @ step @ right
    strengths = along.diagonal()
    assert 0.6 < strengths.min() and strengths.max() < 1.3  # as near to 1 as five Newton-Schulz iterations come
    torch.testing.assert_close(along, torch.diag(strengths), atol=0.05, rtol=0)


@pytest.mark.parametrize("shape", [(12, 6), (6, 12), (128, 300)])
def test_muon_steps_as_torchs_does(shape):
    """torch's works in bfloat16, on one matrix at a time; two of one shape are taken together here."""
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for _ in range(2)]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    before = [weight.detach().clone() for weight in ours]
    optimizers = [
        Muon(ours, 0.01, 0.1),
        torch.optim.Muon(theirs, 0.01, 0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(shape)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, start in zip(ours, theirs, before, strict=True):
        assert (one - other).norm() < 0.03 * (other - start).norm()


def test_a_convolution_is_a_matrix_of_its_outputs_to_muon():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last))
    matrix = torch.nn.Parameter(weight.detach().flatten(1).clone())
    weight.grad = torch.randn_like(weight)
    matrix.grad = weight.grad.flatten(1).clone()
    for parameter in (weight, matrix):
        Muon([parameter], 0.01).step()
    torch.testing.assert_close(weight.flatten(1), matrix)
    with pytest.raises(ValueError, match="give it to Adam"):
        Muon([torch.nn.Parameter(torch.zeros(3))])


def test_convolutions_learn_by_muon_and_the_rest_by_adam():
    encoder = Encoder(EncoderConfig(latent_dim=4, width=8, camera=True))
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    rest, convolutions = convolutions_apart(encoder.parameters(), 0.003, 0.005)
    owned = [names[id(parameter)] for group in (rest, convolutions) for parameter in group.parameters]
    assert sorted(owned) == sorted(names.values())
    assert all(parameter.ndim == 4 for parameter in convolutions.parameters) and convolutions.optimizer == "muon"
    assert len(list(convolutions.parameters)) == 20 and (rest.rate, convolutions.rate) == (0.003, 0.005)
    (alone,) = convolutions_apart(encoder.parameters(), 0.003, 0.0)
    assert alone.optimizer == "adam" and len(list(alone.parameters)) == len(names)


@pytest.mark.parametrize("weight_norm", [False, True])
def test_muon_learns_the_hidden_matrices_and_adam_the_rest(weight_norm):
    model = DeepImplicitTemplate(MODEL.model_copy(update={"weight_norm": weight_norm}))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = decoder_groups(model, BY_MUON)
    owned = [names[id(parameter)] for group in groups for parameter in group.parameters]
    assert sorted(owned) == sorted(names.values())
    by_muon = {names[id(matrix)] for group in groups if group.optimizer == "muon" for matrix in group.parameters}
    weight = "parametrizations.weight.original1" if weight_norm else "weight"
    of_template = {f"template.hidden.{layer}.{weight}" for layer in range(2)}
    assert by_muon == {"warp.code_weight", "warp.hidden_weight"} | of_template
    assert [group.rate for group in groups] == [3e-3, 3e-3, 0.01]
    assert {group.optimizer for group in decoder_groups(model, SMALL)} == {"adam"}


def test_schedules():
    cosine = TrainingConfig(epochs=1, schedule="cosine", warmup=0.1)
    assert rate_factor(cosine, 0.05) == pytest.approx(0.5, abs=2e-3)
    assert rate_factor(cosine, 0.1) == pytest.approx(1)
    assert rate_factor(cosine, 0.55) == pytest.approx(0.5)
    halving = TrainingConfig(epochs=1, schedule="halving", halvings=4)
    assert [rate_factor(halving, done) for done in (0.0, 0.3, 0.5, 0.99)] == [1, 0.5, 0.25, 0.125]
    assert rate_factor(TrainingConfig(epochs=1, schedule="constant"), 0.9) == 1


def test_precision_follows_the_device():
    assert not half_precision("fp32", torch.device("cpu"))
    assert half_precision("bf16", torch.device("cpu"))
    assert training_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="no device is called 'warp9'"):
        training_device("warp9")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            training_device("cuda")


def test_the_losses_look_at_four_steps_of_eight():
    assert output_steps(8) == [1, 3, 5, 7]
    assert output_steps(4) == [0, 1, 2, 3]
    assert output_steps(1) == [0]


def test_eq_9_weighs_and_ramps_its_terms(embedding):
    config = SMALL.model_copy(update={"pointpair_weight": 0.5, "ramp": 0.2, "pointwise_boost": 10.0})
    batch = balls().draw(torch.arange(3), 64, torch.Generator().manual_seed(0))
    path = 1.3 * batch.points[None] + 0.1
    start, half, end = (
        warp_terms(embedding.model.eval(), path, batch.points, batch.sdf, embedding.codes, done, config)
        for done in (0.0, 0.1, 1.0)
    )
    assert start["pointpair"] == 0 and start["code"] == 0
    torch.testing.assert_close(2 * half["code"], end["code"])
    torch.testing.assert_close(start["pointwise"], 10 * end["pointwise"])
    torch.testing.assert_close(start["sdf"], end["sdf"])


def test_codes_stay_in_their_ball():
    codes = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(project_to_ball(codes, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


HOLES = (0.0, 0.3)


def washer(points: np.ndarray, hole: float) -> np.ndarray:
    """Signed distance to a disc of radius 0.6 and half its height 0.2 about z, or to what a hole leaves of it."""
    radius = np.linalg.norm(points[:, :2], axis=1)
    across = np.abs(radius - (0.6 + hole) / 2) - (0.6 - hole) / 2 if hole else radius - 0.6
    both = np.stack([across, np.abs(points[:, 2]) - 0.2])
    return np.minimum(both.max(axis=0), 0) + np.linalg.norm(np.maximum(both, 0), axis=0)


@pytest.mark.parametrize(("ambient_dim", "opens"), [(0, False), (2, True)])
def test_a_disc_opens_to_a_ring_by_coordinates_beside_space_and_not_by_a_warp_alone(ambient_dim, opens):
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.75, 0.75, (2, 4000, 3)) * [1, 1, 0.4]
    sdf = np.stack([washer(near, hole) for near, hole in zip(points, HOLES, strict=True)])
    rows = torch.tensor(np.concatenate([points, sdf[..., None]], axis=2), dtype=torch.float32)
    changed = dict(
        epochs=400, shapes_per_batch=2, points_per_shape=128, muon_rate=0.02, ambient_weight=1e-3, warmup=0.03
    )
    rates = dict(warp_rate=1e-2, template_rate=1e-2, pointwise_boost=1.0)
    model = MODEL.model_copy(update=dict(latent_dim=2, dropout=0.0, weight_norm=False, ambient_dim=ambient_dim))
    config = SMALL.model_copy(update={**changed, **rates, "model": model})
    run = train_embedding(SDFTable.from_rows(rows, rows[:, :0], "cpu"), config, progress=False)
    probe = rng.uniform(-0.7, 0.7, (4000, 3)) * [1, 1, 0.25]
    wrong = [
        np.mean((run.model.shape(code)(probe) < 0) != (washer(probe, hole) < 0))
        for code, hole in zip(run.codes, HOLES, strict=True)
    ]
    assert wrong[0] < 0.03  # the disc itself
    assert wrong[1] < 0.03 if opens else wrong[1] > 0.1  # the hole is a seventh of the probe
    meshes = [extract_mesh(run.model.shape(code), 32) for code in run.codes]
    holes = [mesh.body_count - mesh.euler_number // 2 for mesh in meshes]  # a body with g holes: 2 - 2 g
    assert holes == [0, int(opens)]
    assert opens or folded(run.model, run.codes[1], probe) < 0.01


def folded(model: DeepImplicitTemplate, code: torch.Tensor, points: np.ndarray) -> float:
    """The share of the points at which the warp turns space inside out: its derivative's determinant is negative."""
    steps = 1e-3 * np.eye(3)
    moves = [model.canonical(points + step, code) - model.canonical(points - step, code) for step in steps]
    return float(np.mean(np.linalg.det(np.stack(moves, axis=-1)) <= 0))


def raw_codes(folder: Path) -> torch.Tensor:
    """The table as training has left it, before anything is brought into the ball."""
    return safetensors.torch.load_file(folder / "model.safetensors")["codes.weight"]


def test_coordinates_beside_space_have_their_price_and_their_time():
    model = DeepImplicitTemplate(BESIDE_SPACE.model).eval()
    batch = balls().draw(torch.arange(3), 16, torch.Generator().manual_seed(0))
    beside = torch.tensor([0.5, -1.5]).expand(2, 3, 16, 2)
    path = torch.cat([1.1 * batch.points.expand(2, -1, -1, -1), beside], dim=-1)
    late = dict(ambient_weight=0.2, ambient_from=0.4, pointpair_weight=0.5)
    config = BESIDE_SPACE.model_copy(update=late)
    before, after = (
        warp_terms(model, path, batch.points, batch.sdf, torch.ones(3, 4), done, config) for done in (0.39, 0.4)
    )
    assert before["ambient"] == 0 and after["ambient"].item() == pytest.approx(0.2 * (0.5 + 1.5) / 2)
    for values, sdf in ((path * torch.tensor([1, 1, 1, 0, 0]), before["sdf"]), (path, after["sdf"])):
        expected = curriculum_l1(model.template(values[-1]), batch.sdf, truncation=0.1, one_sided=True)
        torch.testing.assert_close(sdf, expected)
    for name in ("pointwise", "pointpair", "code"):  # what regards space alone
        assert torch.equal(before[name], after[name])
    torch.testing.assert_close(model.ambient_mean, 0.01 * torch.tensor([0.5, -1.5]))
    free = BESIDE_SPACE.model_copy(update={"ambient_weight": 0.0})
    assert "ambient" not in warp_terms(model, path, batch.points, batch.sdf, torch.ones(3, 4), 1.0, free)


def test_the_paper_and_the_authors_start_as_pytorch_does_and_we_by_fan_in():
    bounds = {}
    for preset in ("paper", "authors", "fixed"):
        torch.manual_seed(0)
        config = embedding_config(preset, model={"warp_hidden": 48, "latent_dim": 12})
        bounds[preset] = EmbeddingObjective(2, config).model.warp.point_weight.abs().max().item()
    assert bounds["paper"] == bounds["authors"] < 48**-0.5
    assert bounds["fixed"] == pytest.approx(4 * bounds["paper"])


def test_denormals_are_flushed_while_phase_1_trains(monkeypatch):
    seen = []

    def record(self, batch, done, forward=EmbeddingObjective.forward):
        seen.append(denormals_flushed())
        return forward(self, batch, done)

    monkeypatch.setattr(EmbeddingObjective, "forward", record)
    train_embedding(balls(), SMALL.model_copy(update={"epochs": 3}), progress=False)
    assert seen == [True] * 3 and not denormals_flushed()


def test_a_code_outside_the_ball_comes_back_by_a_gradient_towards_the_middle(tmp_path):
    """All start ten radii away. The prior's gradient is radial, and far stronger than what the samples say."""
    pulled = SMALL.model_copy(update={"epochs": 100, "code_radius": 0.1, "code_weight": 10.0, "ramp": 0.0})
    train_embedding(balls(), pulled, tmp_path, "balls", progress=False)
    assert raw_codes(tmp_path).norm(dim=1).max() < 0.03


@pytest.mark.parametrize("parts", [1, 3])
def test_raw_codes_are_in_the_ball_in_every_step_and_go_on_from_its_edge(tmp_path, monkeypatch, parts):
    radius, seen = 0.1, []

    def record(self, batch, done, forward=EmbeddingObjective.forward):
        seen.append(self.codes.weight[batch.index].detach().norm(dim=1).max().item())
        return forward(self, batch, done)

    monkeypatch.setattr(EmbeddingObjective, "forward", record)
    config = SMALL.model_copy(update={"epochs": 40, "code_radius": radius, "batch_split": parts})
    run = train_embedding(balls(), config, tmp_path, "balls", progress=False)
    assert len(seen) == 40 * parts and max(seen) <= radius * (1 + 1e-6)
    assert max(seen) > 0.99 * radius  # the ball is no smaller than it is said to be
    assert raw_codes(tmp_path).norm(dim=1).max() <= radius + 2 * config.code_rate  # one step of Adam beyond at most
    for codes in (run.codes, load_embedding(tmp_path).codes):
        assert codes.norm(dim=1).max() <= radius * (1 + 1e-6)


def test_codes_that_are_not_drawn_stay():
    objective = EmbeddingObjective(3, SMALL.model_copy(update={"code_radius": 0.5}))
    torch.nn.init.ones_(objective.codes.weight)
    objective.keep_in_ball(torch.tensor([2, 0, 2]))
    torch.testing.assert_close(objective.codes.weight.detach().norm(dim=1), torch.tensor([0.5, 2.0, 0.5]))


def test_rows_come_once_before_they_come_twice():
    generator = torch.Generator().manual_seed(0)
    assert sorted(draw_rows(5, 5, generator).tolist()) == [0, 1, 2, 3, 4]
    drawn = draw_rows(3, 7, generator)
    assert len(drawn) == 7 and torch.bincount(drawn, minlength=3).min() >= 2


def test_presets_are_method_8():
    paper, authors, fixed = (embedding_config(name) for name in ("paper", "authors", "fixed"))
    assert paper.pointpair_weight == pytest.approx(2.73, abs=0.01) and paper.code_weight == 0
    assert authors.pointpair_weight == pytest.approx(0.0109, abs=1e-4) and authors.template_rate == 1e-3
    assert fixed.pointpair_weight == pytest.approx(0.0547, abs=1e-4) and fixed.cross_share == 0.4
    assert paper.inside_share == authors.inside_share == 0.5
    assert paper.muon_rate == authors.muon_rate == 0
    assert {config.schedule for config in (paper, authors, fixed)} == {"halving"}
    assert regression_config("paper").sdf_weight == 0
    for config in (regression_config("paper"), regression_config("authors"), end_to_end_config("authors")):
        assert config.rotation == config.zoom == config.shift == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (dict(epochs=-3), "epochs = -3 is refused: input should be greater than 0"),
        (dict(epoch=3), "there is no parameter 'epoch'; there are epochs"),
        (dict(model=dict(warp_steps="many")), "model.warp_steps = 'many' is refused"),
        (dict(preset="mine"), "no preset is called 'mine'; there is paper, authors, fixed"),
        (dict(inside_share=1.5), "inside_share = 1.5 is refused"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(arguments, sentence):
    with pytest.raises(SettingsError) as refusal:
        embedding_config(**arguments)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("done", "uses_sdf"), [(0.0, False), (0.59, False), (0.6, True), (1.0, True)])
def test_eq_10_and_our_variant_weigh_their_terms(done, uses_sdf):
    """Against the formulas in loops: Eq. 10 over the shapes with a code, and the truncated L1 of the decoder's SDF."""
    torch.manual_seed(0)
    codes, decoder = torch.randn(2, 4), DeepImplicitTemplate(MODEL)
    config = RegressionConfig(
        encoder=EncoderConfig(latent_dim=4, width=8),
        latent_weight=3.0,
        sdf_weight=7.0,
        sdf_from=0.6,
        sdf_latent_weight=0.5,
        truncation=0.2,
    )
    objective = RegressionObjective(EmbeddingRun(decoder, codes, pd.DataFrame()), config).eval()
    shapes = [1, 2, 0]  # the second has no code
    batch = ViewSDFBatch(torch.rand(3, 3, 32, 32), torch.rand(3, 5, 3), torch.rand(3, 5) - 0.5, torch.tensor(shapes))
    terms = objective(batch, done)
    predicted = objective.encoder(batch.image)
    latent = sum((predicted[view] - codes[shape]).abs().sum().item() / 4 for view, shape in [(0, 1), (2, 0)]) / 3
    assert terms["latent"].item() == pytest.approx((0.5 if uses_sdf else 3.0) * latent, rel=1e-5)
    assert ("sdf" in terms) == uses_sdf
    if uses_sdf:
        total = 0.0
        found = decoder.eval()(batch.points, predicted)
        for f, s in zip(found.flatten().tolist(), batch.sdf.flatten().tolist(), strict=True):
            seen = max(f, -0.2) if s <= -0.2 else min(f, 0.2) if s >= 0.2 else f
            beyond = (s <= -0.2 and f <= -0.2) or (s >= 0.2 and f >= 0.2)
            total += 0.0 if beyond else abs(seen - min(max(s, -0.2), 0.2))
        assert terms["sdf"].item() == pytest.approx(7.0 * total / found.numel(), rel=1e-5)


def test_views_and_samples_must_be_of_the_same_shapes(embedding):
    config = RegressionConfig(epochs=1, encoder=EncoderConfig(latent_dim=4, width=8), sdf_weight=1.0)
    with pytest.raises(ValueError, match="needs the shapes' SDF samples"):
        train_regression(embedding, disks(), None, config, progress=False)
    table = balls()
    shorter = SDFTable(table.samples[:2], table.outside[:2], table.cross[:2])
    with pytest.raises(ValueError, match="3 shapes have views and 2 have SDF samples"):
        train_regression(embedding, disks(), shorter, config, progress=False)


def test_an_encoder_must_make_codes_as_long_as_those_of_phase_1(embedding):
    config = RegressionConfig(epochs=1, encoder=EncoderConfig(latent_dim=5, width=8))
    with pytest.raises(ValueError, match="codes of 5 numbers and those of phase 1 have 4: give encoder.latent_dim = 4"):
        train_regression(embedding, disks(), None, config, progress=False)


class Waits(TorchDispatchMode):
    """Counts what would make a GPU and the program wait for each other: a number read from it, or sent to it."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(each is not None and each.dtype == torch.bool for each in args[1])
        waiting = ("_local_scalar_dense", "nonzero", "lift_fresh", "masked_select", "equal")
        self.count += by_mask or name in waiting
        return func(*args, **(kwargs or {}))


def train_on_balls(phase: str, embedding, epochs: int) -> None:
    often = dict(epochs=epochs, log_every=1000)
    encoder = dict(encoder=dict(latent_dim=4, width=8), views_per_batch=3)
    if phase == "embedding":
        config = BESIDE_SPACE.model_copy(update={"pointpair_weight": 0.1, "outputs": "curriculum", **often})
        train_embedding(balls(), config, progress=False)
    elif phase == "regression":
        moved = dict(rotation=10.0, zoom=0.1, shift=0.1)
        through = dict(sdf_weight=1.0, sdf_from=0.0, cross_share=0.0, precision="fp32")
        config = regression_config(**often, **encoder, **through, **moved)
        train_regression(embedding, disks(), balls(), config, progress=False)
    elif phase == "end_to_end":
        config = end_to_end_config(
            **often, **encoder, model=MODEL, points_per_view=64, cross_share=0.0, precision="fp32"
        )
        train_end_to_end(disks(), balls(), config, progress=False)
    else:
        config = contrastive_config(**often, encoder=dict(width=8), method=phase, queue=8, precision="fp32")
        train_contrastive(disks(), config, progress=False)


@pytest.mark.parametrize("phase", ["embedding", "regression", "end_to_end", "simclr", "moco", "byol"])
def test_no_step_waits_for_the_device(phase, embedding):
    counts = []
    for epochs in (2, 6):
        with Waits() as waits:
            train_on_balls(phase, embedding, epochs)
        counts.append(waits.count)
    # Those of the start and of the one line of the history; constants are sent once, in the first training.
    assert counts[0] >= counts[1] > 0


def test_the_counter_of_waits_counts():
    values = torch.rand(4)
    with Waits() as waits:
        values[0].item()
        torch.tensor([1.0, 2.0])
        values[values > 2]
    assert waits.count >= 3


def test_the_loop_is_seen_in_one_screen():
    """A reader sees draw, objective, backward, step, log and save; what else there is to settle lies beside it."""
    tree = ast.parse(Path(loop.__file__).read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "fit")
    code = found.body[1:]
    assert found.end_lineno and found.end_lineno - code[0].lineno < 50
