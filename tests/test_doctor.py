"""The doctor: it finds what is broken, says what to do, and changes nothing, also where hardly anything is right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tpl.dataset.collection import CollectionConfig
from tpl.doctor import check_weights, doctor, findings
from tpl.errors import PlainError

RECORD = {"config": {}, "version": "1", "card": {}, "digest": "abc"}


@pytest.fixture
def place(tmp_path):
    """A folder of shapes with one broken record of two, a finished training, a half one and one with cut weights."""
    records = tmp_path / "data" / "quick" / "Prepared" / "procedural" / "03001627"
    records.mkdir(parents=True)
    (tmp_path / "data" / "quick" / "collection.json").write_text(CollectionConfig().model_dump_json())
    (records / "a.json").write_text(json.dumps(RECORD))
    (records / "b.json").write_text("{}")
    weights = safetensors.torch.save({"a": torch.ones(5, 3)})
    for phase, content in {"whole": weights, "cut": weights[:-7], "half": None}.items():
        folder = tmp_path / "runs" / "quick" / "chairs" / phase
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"data": "x"}')
        if content is not None:
            (folder / "model.safetensors").write_bytes(content)
            (folder / "run.json").write_text("{}")
    (tmp_path / "data" / "quick" / ".lock").write_text('{"process": 999999999}')
    return tmp_path


def test_what_is_broken_is_found_with_its_remedy_and_left_alone(place):
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    found = {(finding.subject, finding.state): str(finding) for finding in findings(place / "data", place / "runs")}
    assert "holds 1 shapes of the source procedural, and 1 broken records" in found["shapes", "fault"]
    assert "cut/model.safetensors has" in found["trainings", "fault"] and "train anew" in found["trainings", "fault"]
    assert "half is not finished; the command that began it goes on" in found["trainings", "note"]
    assert "1 finished below" in found["trainings", "works"]
    assert ".lock was left by nobody who says so; it binds nobody" in found["locks", "note"]
    assert {"python", "processor", "memory", "Blender", "browser"} <= {subject for subject, _ in found}
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_weights_in_parts_are_as_long_as_they_say(tmp_path):
    data = safetensors.torch.save({"a": torch.ones(50, 3), "b": torch.ones(2)})
    (tmp_path / "model.safetensors.part000").write_bytes(data[:400])
    (tmp_path / "model.safetensors.part001").write_bytes(data[400:])
    check_weights(tmp_path)
    (tmp_path / "model.safetensors.part001").write_bytes(data[400:-1])
    with pytest.raises(PlainError, match=f"has {len(data) - 1:,} of {len(data):,} bytes"):
        check_weights(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    with pytest.raises(PlainError, match="cannot be read"):
        check_weights(tmp_path)


def test_a_check_that_fails_is_a_finding(place, monkeypatch, capsys):
    monkeypatch.setattr("tpl.doctor._memory", lambda: 1 / 0)
    with pytest.raises(PlainError, match="things must be mended"):
        doctor(place / "data", place / "runs")
    assert "FAULT  memory: could not be looked at (division by zero); mend this first" in capsys.readouterr().out


def test_without_a_home_in_another_coding_and_in_a_folder_with_spaces(tmp_path):
    """Nothing of this is a reason to fail, or to show a traceback."""
    folder = tmp_path / "schöne Stühle und mehr"
    folder.mkdir()
    library = str(Path(__file__).parents[1])
    bare = {"PATH": os.environ["PATH"], "LANG": "C", "LC_ALL": "C", "TZ": "Nowhere/Else", "PYTHONPATH": library}
    command = [sys.executable, "-m", "tpl", "doctor", "--data", "mine"]
    ran = subprocess.run(command, cwd=folder, env=bare, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode in (0, 1) and "Traceback" not in ran.stdout + ran.stderr, ran.stderr
    assert "none are prepared below mine" in ran.stdout
    assert list(folder.iterdir()) == []
