"""A bench: what a chapter's parameters ask for, one category of it, and looking without leaving a trace."""

from pathlib import Path

import pytest

from tpl.dataset.collection import Collection, CollectionConfig
from tpl.dataset.store import StoreError
from tpl.settings import SettingsError
from tpl.study import Bench


def test_another_source_lies_beside_the_folders_and_who_only_looks_writes_nothing(tmp_path):
    bench = Bench.open(tmp_path / "data", tmp_path / "runs", "sofas", "procedural", "cpu", 32, 7, prepared=False)
    assert bench.runs == tmp_path / "runs-procedural" and bench.collection.folder == tmp_path / "data-procedural"
    assert (bench.device, bench.resolution, bench.seed, bench.category) == ("cpu", 32, 7, "sofas")
    assert bench.folder == bench.runs / "sofas" and bench.run("embedding").path == bench.folder / "embedding"
    assert list(tmp_path.iterdir()) == []


def test_one_category_of_a_bench_is_a_bench_and_several_have_to_be_named():
    bench = Bench(Path("runs"), Collection(Path("data"), CollectionConfig()), ("chairs", "sofas"), resolution=9)
    assert bench.of("sofas").category == "sofas" and bench.of("sofas").resolution == 9
    with pytest.raises(SettingsError, match="with one category, not with chairs, sofas: name one"):
        bench.folder  # noqa: B018
    with pytest.raises(SettingsError):
        Bench.open("data", "runs", "boats", prepared=False)
    with pytest.raises(
        StoreError, match="no sofas shape of|no train shape of sofas is prepared in data: run chapter 01"
    ):
        bench.of("sofas").shapes("train")


def test_work_is_done_for_each_category_with_its_options(monkeypatch):
    monkeypatch.setattr(
        "tpl.study.bench.side_by_side", lambda work, names, device, processes: {n: work(n) for n in names}
    )
    bench = Bench(Path("runs"), Collection(Path("data"), CollectionConfig()), ("chairs", "sofas"))
    assert bench.each(lambda one, count: one.category * count, count=2) == {
        "chairs": "chairschairs",
        "sofas": "sofassofas",
    }
