"""Trainings that several processes share, as `accelerate launch` starts them: here two on a CPU, by gloo."""

import os
import subprocess
import sys
import time

import nbformat
import pytest
import safetensors.torch
import torch
from nbclient import NotebookClient
from traitlets.config import Config

from tpl.dataset.batches import SDFBatch, SDFTable
from tpl.errors import DEADLINE, OutOfTime
from tpl.files import alone_in
from tpl.training.embedding import EmbeddingConfig, EmbeddingObjective, train_embedding
from tpl.training.sharing import ShareError, gathered, share

SMALL = {
    "model": {
        "latent_dim": 4,
        "warp_hidden": 8,
        "warp_steps": 2,
        "template_hidden": 8,
        "template_layers": 2,
        "dropout": 0.0,
        "ambient_dim": 2,
    },
    "epochs": 6,
    "shapes_per_batch": 4,
    "points_per_shape": 16,
    "muon_rate": 5e-4,
    "log_every": 2,
    "save_every": 2,
    "precision": "fp32",
}


def train(folder, **changes):
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(8, 200, 4, generator=generator) - 0.5
    table = SDFTable.from_rows(rows, rows[:, :50], "cpu")
    config = EmbeddingConfig.model_validate(SMALL | changes)
    return train_embedding(table, config, folder, "data", progress=False)


def train_split(folder):
    return train(folder, batch_split=2)


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


def embed(file):
    """All terms of phase 1 on a batch that two processes share: their values, and the gradients of nets and codes."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    config = EmbeddingConfig.model_validate({**SMALL, "pointpair_weight": 0.5, "code_weight": 0.1})
    objective = EmbeddingObjective(8, config)
    torch.nn.init.normal_(objective.model.warp.affine.weight, std=2.0)  # a warp that tears neighbours apart
    points = torch.rand(6, 32, 3) - 0.5
    batch = SDFBatch(points, points.norm(dim=-1) - 0.3, torch.tensor([0, 5, 2, 7, 4, 1]))
    prepared = accelerator.prepare(objective)
    terms = prepared(share(batch, accelerator.process_index, accelerator.num_processes), 0.7)
    accelerator.backward(sum(terms.values()))
    found = {name: accelerator.reduce(term.detach(), "mean") for name, term in terms.items()}
    found |= {name: parameter.grad for name, parameter in objective.named_parameters()}
    if accelerator.is_main_process:
        torch.save(found, file)


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


def assert_equal_weights(one, other, but="nothing"):
    assert one.keys() == other.keys()
    for name in (name for name in one if but not in name):
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=2e-5, msg=name)


def test_two_processes_learn_what_one_learns_with_the_whole_batch(tmp_path):
    train(tmp_path / "one")
    ended = launch("train", tmp_path / "two", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert_equal_weights(weights(tmp_path / "one"), weights(tmp_path / "two"))
    both = [(tmp_path / name / "history.csv").read_text().splitlines() for name in ("one", "two")]
    assert len(both[0]) == len(both[1]) == 7  # a head, and a line every 2 of 12 steps


def test_two_processes_that_take_their_shares_in_parts_learn_the_same(tmp_path):
    train(tmp_path / "one")
    ended = launch("train_split", tmp_path / "two", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    # Each part counts as a batch in what is seen of the coordinates beside space.
    assert_equal_weights(weights(tmp_path / "one"), weights(tmp_path / "two"), but="model.ambient_")


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


def test_processes_that_find_another_training_in_their_folder_all_end(tmp_path):
    with alone_in(tmp_path / "run", tmp_path / ".run.lock"):
        ended = launch("train", tmp_path / "run", 2)
    assert ended.returncode != 0
    assert f"BusyError: process {os.getpid()} on" in ended.stderr  # the first to end may end the other
    assert not (tmp_path / "run").exists()


def test_contrast_is_against_the_strangers_of_all_processes(tmp_path):
    contrast(tmp_path / "one.pt")
    ended = launch("contrast", tmp_path / "two.pt", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, two = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "two"))
    torch.testing.assert_close(one, two)


def test_gradients_of_phase_1_are_those_of_one_process_with_the_whole_batch(tmp_path):
    embed(tmp_path / "one.pt")
    ended = launch("embed", tmp_path / "two.pt", 2)
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, two = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "two"))
    assert {"sdf", "pointwise", "pointpair", "code", "codes.weight", "model.warp.ambient.weight"} <= one.keys()
    assert all(value.abs().max() > 0 for value in one.values())
    assert one["codes.weight"][[3, 6]].abs().max() == 0 and one["codes.weight"][5].abs().max() > 0
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-7, msg=name)


CELLS = """
import torch
from pathlib import Path
import test_several_processes as t
from tpl.training.side_by_side import side_by_side
folder = {folder!r}
def work(name):
    t.train(Path(folder) / name)
    return name.upper()
print(side_by_side(work, ["two"], torch.device("cpu"), processes=2))
"""


def test_a_chapter_starts_a_training_in_several_processes(tmp_path, monkeypatch):
    """By accelerate's notebook_launcher, in a kernel, whose forks find each other by gloo."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)]))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELLS.format(folder=str(tmp_path)))])
    config = Config({"KernelManager": {"transport_encryption": "auto"}})
    NotebookClient(notebook, timeout=300, kernel_name="python3", config=config).execute()
    said = "".join(output.get("text", "") for output in notebook.cells[0].outputs)
    assert "{'two': 'TWO'}" in said
    train(tmp_path / "one")
    assert_equal_weights(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_a_process_takes_its_part_of_every_field():
    batch = SDFBatch(torch.rand(6, 5, 3), torch.rand(6, 5), torch.arange(6))
    parts = [share(batch, process, 3) for process in range(3)]
    assert [part.index.tolist() for part in parts] == [[0, 3], [1, 4], [2, 5]]
    assert torch.equal(parts[1].points, batch.points[[1, 4]])
    assert share(batch, 0, 1) is batch
    with pytest.raises(ShareError, match="4 processes cannot share a batch of 6 evenly: make it a multiple of 4"):
        share(batch, 0, 4)
    with pytest.raises(ShareError, match="4 parts of a step cannot share a batch of 6 evenly"):
        share(batch, 0, 4, "parts of a step")
