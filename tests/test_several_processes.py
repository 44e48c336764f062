"""Trainings that several processes share, as `accelerate launch` starts them: here two on a CPU, by gloo."""

import os
import subprocess
import sys
import time

import pytest
import safetensors.torch
import torch

from tpl.datasets import SDFBatch, SDFTable
from tpl.errors import DEADLINE, OutOfTime
from tpl.training.embedding import EmbeddingConfig, train_embedding
from tpl.training.loop import ShareError, gathered, share

SMALL = {
    "model": {
        "latent_dim": 4,
        "warp_hidden": 8,
        "warp_steps": 2,
        "template_hidden": 8,
        "template_layers": 2,
        "dropout": 0.0,
    },
    "epochs": 6,
    "shapes_per_batch": 4,
    "points_per_shape": 16,
    "log_every": 2,
    "save_every": 2,
    "precision": "fp32",
}


def train(folder):
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(8, 200, 4, generator=generator) - 0.5
    table = SDFTable.from_rows(rows, rows[:, :50], "cpu")
    return train_embedding(table, EmbeddingConfig.model_validate(SMALL), folder, "data", progress=False)


def contrast(file):
    """NT-Xent of projections that two processes made half each: its value, and its gradient at the shared weights."""
    from accelerate import Accelerator

    from tpl.losses import nt_xent_loss

    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    network, images = torch.nn.Linear(6, 5), torch.rand(2, 8, 6)
    prepared = accelerator.prepare(network)
    first, second = images[:, accelerator.process_index :: accelerator.num_processes]
    loss = nt_xent_loss(gathered(prepared(first)), gathered(prepared(second)), 0.5)
    accelerator.backward(loss)
    if accelerator.is_main_process:
        torch.save({"loss": loss.detach(), "gradient": network.weight.grad}, file)


def launch(what, argument, processes, **environment):
    command = ["launch", "--cpu", "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", "--num_cpu_threads_per_process", "1", "--main_process_port", "0"]
    script = f"import test_several_processes as t; t.{what}({str(argument)!r})"
    file = argument.with_name(f"{what}.py")
    file.write_text(script)
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "accelerate.commands.accelerate_cli", *command, str(file)],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def weights(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


def assert_equal_weights(one, other):
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=2e-5, msg=name)


def test_two_processes_learn_what_one_learns_with_the_whole_batch(tmp_path):
    train(tmp_path / "one")
    ended = launch("train", tmp_path / "two", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert_equal_weights(weights(tmp_path / "one"), weights(tmp_path / "two"))
    both = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    assert len(both[0]) == len(both[1]) == 7  # a head, and a line every 2 of 12 steps


def test_what_two_processes_began_one_goes_on_with(tmp_path, monkeypatch):
    train(tmp_path / "one")
    ended = launch("train", tmp_path / "moved", 2, **{DEADLINE: str(time.time() - 1)})
    assert "has done 2 of 12 steps and is saved" in ended.stderr
    assert not (tmp_path / "moved" / "run.json").exists()
    train(tmp_path / "moved")
    assert_equal_weights(weights(tmp_path / "one"), weights(tmp_path / "moved"))


def test_a_training_in_pieces_is_that_in_one(tmp_path, monkeypatch):
    train(tmp_path / "one")
    monkeypatch.setenv(DEADLINE, str(time.time() - 1))
    for done in (2, 4, 6, 8, 10):
        with pytest.raises(OutOfTime, match=f"has done {done} of 12 steps"):
            train(tmp_path / "pieces")
    train(tmp_path / "pieces")
    one, pieces = weights(tmp_path / "one"), weights(tmp_path / "pieces")
    assert all(torch.equal(one[name], pieces[name]) for name in one)


def test_contrast_is_against_the_strangers_of_all_processes(tmp_path):
    contrast(tmp_path / "one.pt")
    ended = launch("contrast", tmp_path / "two.pt", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, two = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "two"))
    torch.testing.assert_close(one, two)


def test_a_process_takes_its_part_of_every_field():
    batch = SDFBatch(torch.rand(6, 5, 3), torch.rand(6, 5), torch.arange(6))
    parts = [share(batch, process, 3) for process in range(3)]
    assert [part.index.tolist() for part in parts] == [[0, 3], [1, 4], [2, 5]]
    assert torch.equal(parts[1].points, batch.points[[1, 4]])
    assert share(batch, 0, 1) is batch
    with pytest.raises(ShareError, match="4 processes cannot share a batch of 6 evenly: make it a multiple of 4"):
        share(batch, 0, 4)
