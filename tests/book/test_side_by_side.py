"""Chapters side by side: the very weights of one after the other, and nothing read that is not declared as needed."""

import os
from pathlib import Path

import pandas as pd
import pytest

from tpl.book.book import Book
from tpl.book.commands import ROOT
from tpl.book.execution import run_chapters
from tpl.book.manifest import read_manifest
from tpl.book.needs import read_needs

pytestmark = pytest.mark.chapters

WATCHING = Path(__file__).parents[1] / "watching"
NAMES = ["01_shapes", "03_embedding", "05_contrastive"]
GIVEN = {"category": "sofas", "epochs": "6"}


def execute(root: Path, jobs: int) -> Path:
    """Some chapters in profile smoke, in a folder of their own, with notes of what they opened; returns the folder."""
    for name in ("book", "_toc.yml"):
        (root / name).symlink_to(ROOT / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPL_OPENED", str(root / "opened"))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(WATCHING), str(ROOT), os.environ.get("PYTHONPATH", "")]))
        run_chapters(Book(root), NAMES, "smoke", GIVEN, jobs=jobs)
    return root


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    return execute(tmp_path_factory.mktemp("alone"), jobs=1)


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    return execute(tmp_path_factory.mktemp("together"), jobs=2)


def test_side_by_side_the_weights_are_those_of_one_after_the_other(alone, together):
    files = {path.relative_to(alone) for path in (alone / "runs").rglob("model.safetensors")}
    assert {str(path.parent.name) for path in files} >= {"embedding", "our_embedding", "contrastive"}
    assert files == {path.relative_to(together) for path in (together / "runs").rglob("model.safetensors")}
    for file in files:
        assert (alone / file).read_bytes() == (together / file).read_bytes(), file
        curves = [pd.read_csv(root / file.with_name("history.csv")) for root in (alone, together)]
        pd.testing.assert_frame_equal(*(curve.drop(columns="seconds", errors="ignore") for curve in curves))


def test_what_is_kept_of_both_depends_on_the_same(alone, together):
    """The names on the shelf bear a hash of all that their content depends on: codes, weights, settings."""
    kept = [
        {path.relative_to(root).as_posix() for path in (root / "runs" / "smoke" / "shelf").rglob("*.*")}
        for root in (alone, together)
    ]
    assert kept[0] == kept[1] and len(kept[0]) > 5


def test_the_manifest_says_what_ran_beside_what(alone, together):
    entries = [read_manifest(Book(root).run_folder("smoke")) for root in (alone, together)]
    assert all(entry["beside"] == [] for entry in entries[0].values())
    assert "05_contrastive" in entries[1]["03_embedding"]["beside"] or entries[1]["05_contrastive"]["beside"]
    assert "01_shapes" not in entries[1]["03_embedding"]["beside"]  # which it needs


def test_what_chapters_read_was_left_by_what_they_need(together):
    notes = together / "opened"
    assert {path.name.split(".")[0] for path in notes.iterdir()} >= {"01_shapes", "03_embedding", "05_contrastive"}
    assert undeclared(notes) == []


@pytest.mark.skipif("TPL_OPENED" not in os.environ, reason="names the notes of a run of the whole book, as .ci/run has")
def test_in_the_whole_book_what_chapters_read_was_left_by_what_they_need():
    notes = Path(os.environ["TPL_OPENED"])
    assert len({path.name.split(".")[0] for path in notes.iterdir()}) > 10
    assert undeclared(notes) == []


def test_what_is_not_declared_is_found(tmp_path):
    (tmp_path / "03_embedding.1.txt").write_text("w runs/smoke/chairs/embedding/model.safetensors\n")
    (tmp_path / "04_encoder.2.txt").write_text("r runs/smoke/chairs/embedding/model.safetensors\n")
    (tmp_path / "05_contrastive.3.txt").write_text("r runs/smoke/chairs/embedding/model.safetensors\n")
    told = "05_contrastive reads runs/smoke/chairs/embedding/model.safetensors of 03_embedding"
    assert undeclared(tmp_path) == [told]


def undeclared(notes: Path) -> list[str]:
    """A sentence for each file that a chapter read, that another one wrote, and that it does not say it needs."""
    needs = read_needs(Book(ROOT))
    lines = [
        (path.name.split(".")[0], *line.split(" ", 1))
        for path in sorted(notes.glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    writers: dict[str, set[str]] = {}
    for chapter, kind, place in lines:
        if kind == "w":
            writers.setdefault(place, set()).add(chapter)
    found = set()
    for chapter, kind, place in lines:
        above = [str(folder) for folder in (Path(place), *Path(place).parents)]  # folders are moved there whole
        wrote = set().union(*(writers.get(folder, set()) for folder in above))
        if kind == "r" and wrote and not wrote & {chapter, *needs[chapter]}:
            found.add(f"{chapter} reads {place} of {', '.join(sorted(wrote))}")
    return sorted(found)
