"""Long trainings in pieces: steps settled by the clock once, stops before a deadline, states that travel, kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from test_training import SMALL, balls, disks

from tpl import files
from tpl.dataset.batches import SDFTable
from tpl.errors import DEADLINE, OutOfTime
from tpl.files import BusyError, cut_into_parts, join_parts, read_whole
from tpl.models import DeepImplicitTemplateConfig
from tpl.training import (
    EmbeddingConfig,
    RegressionConfig,
    RunFolder,
    TrainingConfig,
    embedding_config,
    fit,
    load_embedding,
    precision,
    regression_config,
    train_embedding,
    train_regression,
)
from tpl.training.budget import SAVING
from tpl.training.loop import Group
from tpl.training.states import latest_state

PROFILE = Path(__file__).parents[2] / "book" / "profiles" / "standard"
TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=4, template_hidden=8, template_layers=2)
OFTEN = dict(budget_minutes=0.01, log_every=5, save_every=5, precision="fp32")


def shrunken(chapter: str, kind: type[TrainingConfig], **small: Any) -> dict[str, Any]:
    """What profile standard asks of a chapter's training, with small networks and batches."""
    asked = yaml.safe_load((PROFILE / f"{chapter}.yml").read_text())
    return {name: value for name, value in asked.items() if name in kind.model_fields} | OFTEN | small


PHASE_1 = embedding_config(
    **shrunken("03_embedding", EmbeddingConfig, shapes_per_batch=3, points_per_shape=64, model=TINY, cross_share=0.0)
)
PHASE_2 = regression_config(
    **shrunken(
        "04_encoder",
        RegressionConfig,
        views_per_batch=3,
        points_per_view=16,
        encoder=dict(latent_dim=4, width=8),
        sdf_weight=10.0,
        cross_share=0.0,
    )
)


def profile(runs: Path | str) -> None:
    """Both phases of two categories, one after the other as on a GPU, as far as the time given lets them."""
    torch.set_num_threads(1)
    for seed, category in enumerate(("chairs", "sofas")):
        place, seeded = Path(runs) / category, {"seed": seed}
        phase_1 = PHASE_1.model_copy(update=seeded)
        embedding = train_embedding(balls(), phase_1, place / "embedding", "balls", progress=False)
        phase_2 = PHASE_2.model_copy(update=seeded)
        train_regression(embedding, disks(), balls(), phase_2, place / "encoder", "disks", progress=False)


def killed(runs: Path, when: str) -> None:
    """A piece in a process of its own that is killed once a file or folder is there."""
    script = f"import test_pieces; test_pieces.profile({str(runs)!r})"
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", script], env=os.environ | {"PYTHONPATH": paths})
    while process.poll() is None and not any(runs.glob(when)):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"


def test_the_profile_killed_between_and_inside_pieces_ends_with_the_bits_of_an_uninterrupted_run(tmp_path, monkeypatch):
    pieces, straight = tmp_path / "pieces", tmp_path / "straight"
    killed(pieces, "chairs/embedding/steps.json")  # before the first state
    settled = pieces / "chairs" / "embedding" / "steps.json"
    assert json.loads(settled.read_text())["steps"] >= 1
    settled.write_text('{"steps": 40}')  # as if settled on an idle machine: long enough to be met
    with monkeypatch.context() as late:
        late.setenv(DEADLINE, str(time.time() - 1))
        with pytest.raises(OutOfTime, match="has done 5 of 40 steps and is saved"):
            profile(pieces)
    RunFolder(pieces / "chairs" / "encoder").begin(PHASE_2.model_copy(update={"seed": 0}), "disks")
    (pieces / "chairs" / "encoder" / "steps.json").write_text('{"steps": 60}')  # as if settled: long enough to be met
    killed(pieces, "chairs/encoder/state/0*")  # inside a training
    with monkeypatch.context() as late:
        late.setenv(DEADLINE, str(time.time() - 1))
        with pytest.raises(OutOfTime):
            profile(pieces)
    profile(pieces)
    found = [folder.relative_to(pieces) for folder in sorted(pieces.glob("*/*"))]
    assert list(map(str, found)) == ["chairs/embedding", "chairs/encoder", "sofas/embedding", "sofas/encoder"]
    for folder in found:  # the number of steps depends on the clock: the other run gets what was settled
        (straight / folder).mkdir(parents=True)
        for name in ("config.json", "steps.json"):
            (straight / folder / name).write_bytes((pieces / folder / name).read_bytes())
    profile(straight)
    for folder in found:
        one, other = ((runs / folder / "model.safetensors").read_bytes() for runs in (straight, pieces))
        assert one == other, folder


def test_settling_the_steps_leaves_no_trace_in_the_training(tmp_path):
    config = SMALL.model_copy(update={"budget_minutes": 0.01})
    measured = train_embedding(balls(), config, tmp_path / "run", progress=False)
    settled = json.loads((tmp_path / "run" / "steps.json").read_text())
    assert measured.history.step.iloc[-1] == settled["steps"]
    assert settled["steps"] == round(0.6 / settled["seconds_per_step"])
    given = train_embedding(balls(), SMALL.model_copy(update={"epochs": settled["steps"]}), progress=False)
    assert torch.equal(measured.codes, given.codes)
    pairs = zip(measured.model.parameters(), given.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


class Clock:
    """A clock that moves only when it is told, in the place of the loop's."""

    now = 1e9

    def __call__(self, device: torch.device) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    perf_counter = time


class Slow(torch.nn.Module):
    """An objective that takes 10 ms, by a clock."""

    def __init__(self, clock: Clock):
        super().__init__()
        self.place, self.clock = torch.nn.Parameter(torch.zeros(2)), clock

    def forward(self, batch, done):
        self.clock.now += 0.01
        return {"bowl": self.place.square().sum()}


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for name in ("budget.time", "budget.clock", "curve.time"):
        monkeypatch.setattr(f"tpl.training.{name}", clock)
    return clock


def train_slowly(clock: Clock, state: Path | None = None, **given):
    slow, config = Slow(clock), TrainingConfig(epochs=1, precision="fp32", log_every=10, **given)
    return fit(slow, lambda *_: None, [Group(slow.parameters(), 0.1)], config, 5000, state, progress=False)


def test_the_minutes_are_what_the_training_takes(clock):
    assert train_slowly(clock, budget_minutes=0.02).step.iloc[-1] == 120  # 1.2 s of 10 ms each


def test_a_piece_stops_before_its_deadline_with_a_whole_state(clock, tmp_path, monkeypatch):
    monkeypatch.setenv(DEADLINE, str(clock.now + SAVING + 1.555))
    with pytest.raises(OutOfTime, match="of 5000 steps and is saved"):
        train_slowly(clock, tmp_path / "state")
    saved = latest_state(tmp_path / "state")
    assert saved and int(saved.name) == 150  # ten more would take 0.1 s, and 0.055 s are left


def test_the_seconds_of_a_training_are_those_of_all_its_pieces(tmp_path, monkeypatch):
    config = SMALL.model_copy(update={"epochs": 20, "log_every": 5})
    monkeypatch.setenv(DEADLINE, str(time.time() - 1))
    with pytest.raises(OutOfTime):
        train_embedding(balls(), config, tmp_path / "run", progress=False)
    saved = latest_state(tmp_path / "run" / "state")
    assert saved
    curve = pd.read_csv(saved / "history.csv").assign(seconds=1000.0)  # as if it had taken so long until here
    curve.to_csv(saved / "history.csv", index=False)
    monkeypatch.delenv(DEADLINE)
    train_embedding(balls(), config, tmp_path / "run", progress=False)
    assert 1000 < RunFolder(tmp_path / "run").facts()["seconds"] < 1600


def test_a_state_travels_in_small_files(tmp_path, monkeypatch):
    config = SMALL.model_copy(update={"epochs": 20})
    straight = train_embedding(balls(), config, tmp_path / "straight", progress=False)
    monkeypatch.setattr(files, "PART", 4000)
    monkeypatch.setenv(DEADLINE, str(time.time() - 1))
    with pytest.raises(OutOfTime):
        train_embedding(balls(), config, tmp_path / "run", progress=False)
    saved = latest_state(tmp_path / "run" / "state")
    assert saved and len(list(saved.glob("optimizer.bin.part*"))) > 1
    assert max(file.stat().st_size for file in saved.iterdir()) <= 4000
    monkeypatch.delenv(DEADLINE)
    resumed = train_embedding(balls(), config, tmp_path / "run", progress=False)
    assert torch.equal(straight.codes, resumed.codes)
    weights = list((tmp_path / "run").glob("model.safetensors*"))
    assert len(weights) > 1 and max(file.stat().st_size for file in weights) <= 4000
    assert torch.equal(load_embedding(tmp_path / "run").codes, straight.codes)
    assert RunFolder(tmp_path / "run").digest() == RunFolder(tmp_path / "straight").digest()


def test_a_state_in_whole_files_is_gone_on_from(tmp_path, monkeypatch):
    """As they were saved before files were cut."""
    config = SMALL.model_copy(update={"epochs": 20})
    straight = train_embedding(balls(), config, progress=False)
    with monkeypatch.context() as late:
        late.setenv(DEADLINE, str(time.time() - 1))
        with pytest.raises(OutOfTime):
            train_embedding(balls(), config, tmp_path / "run", progress=False)
    monkeypatch.setattr(files, "PART", 4000)
    assert torch.equal(train_embedding(balls(), config, tmp_path / "run", progress=False).codes, straight.codes)


@pytest.mark.parametrize("path", [["budget_minutes"], ["model", "dropout"], ["model"]])
def test_a_run_of_before_a_field_was_there_is_still_its_run(tmp_path, path):
    """What a configuration has got since was trained with its default, in whatever part of it."""
    config = SMALL.model_copy(update={"model": DeepImplicitTemplateConfig(warp_hidden=512)})
    folder, file = RunFolder(tmp_path / "run"), tmp_path / "run" / "config.json"
    folder.begin(config, "balls")
    stored = json.loads(file.read_text())
    *parts, field = path
    inner = stored
    for part in parts:
        inner = inner[part]
    del inner[field]
    file.write_text(json.dumps(stored))
    folder.begin(config, "balls")  # a warning, which is an error here, would say that it is another
    with pytest.warns(UserWarning, match=r"another configuration \(budget_minutes: 0.0 there, 2.0 here\)"):
        folder.begin(config.model_copy(update={"budget_minutes": 2.0}), "balls")


def interrupted(folder: Path, monkeypatch, config=SMALL) -> Path:
    """A training that has saved a state, and whose folder has lost its configuration: what `rm -r` leaves of one."""
    with monkeypatch.context() as late:
        late.setenv(DEADLINE, str(time.time() - 1))
        with pytest.raises(OutOfTime):
            train_embedding(balls(), config, folder, "balls", progress=False)
    (folder / "config.json").unlink()
    assert latest_state(folder / "state")
    return folder


@pytest.mark.parametrize(
    ("changes", "data", "said"),
    [({"epochs": 24}, "balls", "epochs: 20 there, 24 here"), ({}, "others", "data: balls there, others here")],
)
def test_a_state_of_another_training_is_set_aside(tmp_path, monkeypatch, changes, data, said):
    config = SMALL.model_copy(update={"epochs": 20})
    folder, wanted = interrupted(tmp_path / "run", monkeypatch, config), config.model_copy(update=changes)
    with pytest.warns(UserWarning, match=rf"held a state of another training \({said}\); it is kept as run\.1"):
        found = train_embedding(balls(), wanted, folder, data, progress=False)
    alone = train_embedding(balls(), wanted, progress=False)
    assert torch.equal(found.codes, alone.codes) and latest_state(tmp_path / "run.1" / "state")


def test_a_state_that_says_it_is_of_this_training_is_gone_on_from(tmp_path, monkeypatch):
    config = SMALL.model_copy(update={"epochs": 20})
    folder = interrupted(tmp_path / "run", monkeypatch, config)
    found = train_embedding(balls(), config, folder, "balls", progress=False)
    assert torch.equal(found.codes, train_embedding(balls(), config, progress=False).codes)
    assert RunFolder(folder).config() == config.model_dump(mode="json")


@pytest.mark.parametrize("left", ["steps.json", "state/00000005/progress.json", "model.safetensors"])
def test_what_says_nothing_of_its_training_is_set_aside(tmp_path, left):
    """`steps.json` would settle the length of a training that never was that long; old states said nothing."""
    (tmp_path / "run" / left).parent.mkdir(parents=True)
    (tmp_path / "run" / left).write_text('{"steps": 7, "step": 5}')
    with pytest.warns(UserWarning, match=r"what is left of a run without its config\.json; it is kept as run\.1"):
        RunFolder(tmp_path / "run").begin(SMALL, "balls")
    assert (tmp_path / "run.1" / left).exists()


def test_a_run_whose_folder_was_removed_under_it_is_whole_at_its_end(tmp_path):
    config, whole = SMALL.model_copy(update={"epochs": 6}), balls()

    class Removed(SDFTable):
        def draw(self, *given):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            return super().draw(*given)

    run = train_embedding(
        Removed(whole.samples, whole.outside, whole.cross), config, tmp_path / "run", "balls", progress=False
    )
    assert torch.equal(load_embedding(tmp_path / "run").codes, run.codes)


@pytest.fixture
def timed(monkeypatch):
    """Stands in for the clock: sets what a product takes in bfloat16, where it takes a second in fp32."""

    def set_seconds(seconds: float) -> None:
        precision.bfloat16_is_faster.cache_clear()
        monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
        monkeypatch.setattr(precision, "product_seconds", lambda half, device: seconds if half else 1.0)

    yield set_seconds
    precision.bfloat16_is_faster.cache_clear()


@pytest.mark.parametrize(("seconds", "half"), [(1.7, False), (0.95, False), (0.5, True)])
def test_bfloat16_is_chosen_where_it_is_faster_and_not_where_there_are_instructions_for_it(timed, seconds, half):
    timed(seconds)
    assert precision.half_precision("auto", torch.device("cpu")) == half
    assert precision.half_precision("bf16", torch.device("cpu"))
    assert not precision.half_precision("fp32", torch.device("cpu"))


def test_the_clock_is_asked_once_and_leaves_randomness_alone(monkeypatch):
    precision.bfloat16_is_faster.cache_clear()
    asked, seconds = [], precision.product_seconds
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "POINTS", 16)
    monkeypatch.setattr(precision, "product_seconds", lambda *given: asked.append(given) or seconds(*given))
    before = torch.get_rng_state()
    for _ in range(3):
        precision.half_precision("auto", torch.device("cpu"))
    assert [half for half, _ in asked] == [True, False]
    assert torch.equal(before, torch.get_rng_state())
    precision.bfloat16_is_faster.cache_clear()


@pytest.mark.parametrize("first", ["bf16", "fp32"])
def test_a_run_keeps_the_precision_that_it_was_begun_in(tmp_path, monkeypatch, timed, first):
    """As where it goes on on a machine that is faster in the other one."""
    config = SMALL.model_copy(update={"epochs": 20, "precision": "auto"})
    timed(0.1 if first == "bf16" else 9.0)
    with monkeypatch.context() as late:
        late.setenv(DEADLINE, str(time.time() - 1))
        with pytest.raises(OutOfTime):
            train_embedding(balls(), config, tmp_path / "run", "balls", progress=False)
    timed(9.0 if first == "bf16" else 0.1)
    resumed = train_embedding(balls(), config, tmp_path / "run", "balls", progress=False)
    assert RunFolder(tmp_path / "run").facts()["precision"] == first
    for asked in ("bf16", "fp32"):
        alone = train_embedding(balls(), config.model_copy(update={"precision": asked}), progress=False)
        assert torch.equal(resumed.codes, alone.codes) == (asked == first)


def test_a_second_training_in_a_folder_is_refused_and_disturbs_nothing(tmp_path):
    config, whole = SMALL.model_copy(update={"epochs": 2}), balls()

    class Contested(SDFTable):
        def draw(self, *given):
            for wanted in (config, config.model_copy(update={"epochs": 7})):
                with pytest.raises(BusyError, match=f"process {os.getpid()} on .* has been working in {tmp_path}"):
                    train_embedding(balls(), wanted, tmp_path / "run", "balls", progress=False)
            return super().draw(*given)

    table = Contested(whole.samples, whole.outside, whole.cross)
    run = train_embedding(table, config, tmp_path / "run", "balls", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert torch.equal(load_embedding(tmp_path / "run").codes, run.codes)


@pytest.mark.parametrize("size", [0, 9, 10, 11, 30])
def test_cut_and_joined_a_file_is_what_it_was(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "PART", 10)
    content = bytes(range(size))
    folder, target = tmp_path / "folder", tmp_path / "target"
    folder.mkdir()
    target.mkdir()
    (folder / "file").write_bytes(content)
    cut_into_parts(folder / "file")
    assert len(list(folder.iterdir())) == max(1, -(-size // 10))
    assert read_whole(folder / "file") == content
    join_parts(folder, target)
    assert [(file.name, file.read_bytes()) for file in target.iterdir()] == [("file", content)]
