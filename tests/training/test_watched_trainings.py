"""Work that is watched: what it says, how it is stopped, and that it ends as if nobody had looked."""

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
from test_training import SMALL, balls

from tpl.errors import OutOfTime
from tpl.training import RunFolder, side_by_side, train_embedding
from tpl.training import budget as budget_module
from tpl.training.curve import LearningCurve
from tpl.training.sharing import accelerator_on
from tpl.training.side_by_side import attendants
from tpl.training.states import latest_state
from tpl.watching import WATCH, Stage, Stopped, Told, Watcher, stage, thinned, watched

SHORT = SMALL.model_copy(update={"epochs": 30, "log_every": 7})
LONG = SMALL.model_copy(update={"epochs": 400, "log_every": 7})


def test_nobody_watches_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(WATCH, raising=False)
    monkeypatch.chdir(tmp_path)
    with stage("shapes", 3) as told:
        told.tell(3)
        assert not told.asked_to_stop()
    assert not list(tmp_path.iterdir())


def test_a_stage_says_how_far_it_is_at_which_rate_and_when_it_has_ended(monkeypatch):
    monkeypatch.delenv(WATCH, raising=False)
    with watched() as watcher:
        folder = Path(os.environ[WATCH])
        told = Stage("chairs, shapes", 100, first=10, unit="shapes")
        told.next, told.marks = 0.0, [(time.time() - 10.0, 10)]
        told.tell(40)
        (found,) = watcher.stages()
        assert found[:4] == ("chairs, shapes", 40, 100, "shapes")
        assert not found.ended
        assert found.share == 0.4
        assert found.rate == pytest.approx(3.0, rel=0.01)
        assert found.seconds_left == pytest.approx(20.0, rel=0.01)
        told.end()
        assert watcher.stages()[0].ended
        watcher.forget()
        assert watcher.stages() == []
    assert WATCH not in os.environ and not folder.exists()


def test_what_is_left_is_unknown_before_there_is_a_rate():
    fresh = Told("a", 0, 10, "steps", 0.0, False, [], {}, Path("none"))
    assert fresh.seconds_left is None
    assert fresh._replace(done=10).seconds_left == 0.0


def test_a_stage_outlives_whoever_watched():
    with watched():
        told = Stage("shapes", 10)
    told.next = 0.0
    told.tell(5)
    assert not told.asked_to_stop()


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 5000])
def test_a_long_curve_is_thinned_and_keeps_its_last_row(count):
    rows = [{"step": number} for number in range(count)]
    kept = thinned(rows)
    assert len(kept) <= 300
    assert kept[-1:] == rows[-1:]
    assert [row["step"] for row in kept] == sorted(row["step"] for row in kept)


def test_a_training_that_was_stopped_between_two_rows_ends_as_one_that_was_not(tmp_path, monkeypatch):
    """Weights to the bit, and the learning curve, too, of which a row had begun."""
    straight = train_embedding(balls(), SHORT, tmp_path / "straight", "balls", progress=False)
    monkeypatch.setattr(budget_module, "LOOKED_EVERY", 0.0)
    tell = Stage.tell
    with watched() as watcher:
        for stop in (3, 14, 24):
            monkeypatch.setattr(Stage, "tell", asking_to_stop_at(stop, watcher, tell))
            with pytest.raises(Stopped, match="asked to stop: the same command goes on from here"):
                train_embedding(balls(), SHORT, tmp_path / "run", "balls", progress=False)
            saved = latest_state(tmp_path / "run" / "state")
            assert saved and int(saved.name) == stop
            watcher.let_go_on()
        monkeypatch.setattr(Stage, "tell", tell)
        resumed = train_embedding(balls(), SHORT, tmp_path / "run", "balls", progress=False)
    assert torch.equal(resumed.codes, straight.codes)
    assert all(torch.equal(a, b) for a, b in zip(resumed.model.parameters(), straight.model.parameters(), strict=True))
    same = [name for name in straight.history if name != "seconds"]
    pd.testing.assert_frame_equal(resumed.history[same], straight.history[same], check_exact=True)
    assert resumed.history.seconds.is_monotonic_increasing
    assert RunFolder(tmp_path / "run").digest() == RunFolder(tmp_path / "straight").digest()


def asking_to_stop_at(step: int, watcher: Watcher, tell: Callable[..., None]) -> Callable[..., None]:
    """A stage's `tell` in the moment in which somebody presses the button."""

    def telling(stage: Stage, done: int, *rest: object) -> None:
        tell(stage, done, *rest)
        if done == step:
            watcher.ask_to_stop()

    return telling


def test_the_clock_saves_a_training_that_is_too_short_for_its_steps(tmp_path, monkeypatch):
    """States are a thousand steps apart, and this one has forty."""
    config = SMALL.model_copy(update={"epochs": 40})
    straight = train_embedding(balls(), config, progress=False)
    for name in ("LOOKED_EVERY", "SAVED_EVERY"):
        monkeypatch.setattr(budget_module, name, 0.0)
    monkeypatch.setattr(budget_module, "SHARE", 1e9)
    saved = []
    keep = budget_module.save_state

    def counted(accelerator, folder, progress, history):
        keep(accelerator, folder, progress, history)
        saved.append(progress["step"])
        if len(saved) == 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(budget_module, "save_state", counted)
    with pytest.raises(KeyboardInterrupt):
        train_embedding(balls(), config, tmp_path / "run", "balls", progress=False)
    assert saved == list(range(1, 21))
    monkeypatch.setattr(budget_module, "save_state", keep)
    resumed = train_embedding(balls(), config, tmp_path / "run", "balls", progress=False)
    assert torch.equal(resumed.codes, straight.codes)


def test_saving_by_the_clock_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    """A state that takes a second is not saved again before fifty have passed."""
    clock = [1000.0]
    monkeypatch.setattr(budget_module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(budget_module, "LOOKED_EVERY", 0.0)

    def slow(*_):
        clock[0] += 1.0

    monkeypatch.setattr(budget_module, "save_state", slow)
    alone, long = accelerator_on(torch.device("cpu")), Stage("training", 10**9)
    saves = budget_module.SavePoints(alone, tmp_path, 10**9, {}, long, torch.nn.Linear(1, 1))
    curve = LearningCurve([], alone, "training")
    taken, before = [], 0
    for step in range(1, 4000):
        clock[0] += 0.1
        saves.end_step(step, curve, False)
        if saves.saved_at != before:
            before = saves.saved_at
            taken.append(clock[0])
    assert taken[0] - 1000.0 == pytest.approx(31, abs=0.3)
    assert min(b - a for a, b in zip(taken, taken[1:], strict=False)) >= 50


def test_whoever_watches_sees_the_curve_and_what_is_learnt(tmp_path, monkeypatch):
    monkeypatch.setattr("tpl.watching.EVERY", 0.0)
    monkeypatch.setattr(budget_module, "LOOKED_EVERY", 0.0)
    with watched() as watcher:
        watcher.ask_for_networks()
        run = train_embedding(balls(), SHORT, tmp_path / "run", "balls", label="balls, embedding", progress=False)
        (told,) = watcher.stages()
        learnt = safetensors.torch.load_file(told.networks)
    assert told.label == "balls, embedding"
    assert told.done == told.total == run.history.step.iloc[-1]
    assert told.ended
    assert told.about["folder"] == str((tmp_path / "run").resolve())
    assert told.about["seen"] == {"points": SMALL.points_per_shape * SMALL.shapes_per_batch}
    assert [row["step"] for row in told.rows] == list(run.history.step)
    assert all(torch.equal(learnt[f"model.{name}"], weights) for name, weights in run.model.named_parameters())


def train_one(folder: Path, name: str) -> str:
    train_embedding(balls(), LONG, folder / name, "balls", label=name, progress=False)
    return RunFolder(folder / name).digest()


def test_trainings_side_by_side_are_stopped_together_and_go_on(tmp_path):
    """As the bench does it: the work is called again, and each goes on from its own state."""
    alone = {name: train_one(tmp_path / "straight", name) for name in ("chairs", "sofas")}
    seen: list[list[str]] = []

    def attendant(work):
        while True:
            if not seen:
                threading.Thread(target=stop_when_both_train, daemon=True).start()
            try:
                return work()
            except OutOfTime as error:
                seen.append([told.label for told in watcher.stages()])
                assert isinstance(error, Stopped)
                watcher.let_go_on()

    def stop_when_both_train():
        while len([told for told in watcher.stages() if told.done > 3]) < 2:
            time.sleep(0.02)
        watcher.ask_to_stop()

    attendants.append(attendant)
    try:
        with watched() as watcher:
            train = partial(train_one, tmp_path / "run")
            found = side_by_side(train, ["chairs", "sofas"], torch.device("cpu"))
    finally:
        attendants.pop()
    assert found == alone
    assert [sorted(labels) for labels in seen] == [["chairs", "sofas"]]
