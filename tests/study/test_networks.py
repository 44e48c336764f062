"""Networks that come with the package: of a tiny run of chairs, halved, checked, and used in the place of the run."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import tpl
from tpl.__main__ import main
from tpl.chapters.intro import teaser
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.results import read_results
from tpl.geometry.marching import sample_mesh
from tpl.inference import OracleConfig
from tpl.metrics import chamfer_distance
from tpl.pretrained import files
from tpl.pretrained.doubt import Doubt
from tpl.pretrained.files import NetworksError, has_networks
from tpl.pretrained.loading import load_networks
from tpl.settings import SettingsError
from tpl.study import networks
from tpl.study.bench import Bench
from tpl.study.judging import evaluate_category, results_file
from tpl.study.methods import ENCODERS, OUR_ENCODER, OUR_PHASE_1
from tpl.study.networks import commit_networks, origin, served
from tpl.study.trained import Trained
from tpl.study.trainings import embed_category, regress_category
from tpl.training import RunError
from tpl.training.presets import embedding_config, regression_config

NOISE = 2.0**-11
"""Half of the distance between neighbouring 16-bit floats, relative."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    amounts = PrepareConfig(
        sdf_samples=1000, cross_samples=500, surface_points=2000, easy_views=2, hard_views=1, image_size=32
    )
    config = CollectionConfig(train=3, coded=2, validation=1, test=2, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, ambient_dim=2)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, precision="fp32")
    embed_category(bench, embedding_config(model={**model, "dropout": 0.0}, **sizes, **rates), OUR_PHASE_1)
    encoder = dict(latent_dim=4, width=8, crop=True, channels="mask", pool=2, camera=True)
    ours = dict(sdf_weight=10.0, camera_weight=0.3, standardise=True, precision="fp32")
    regress_category(bench, regression_config(encoder=encoder, epochs=10, views_per_batch=3, **ours), OUR_ENCODER)
    evaluate_category(bench, oracle=OracleConfig(iterations=2, points=16), draws=1)
    return bench


@pytest.fixture
def committed(bench, tmp_path, monkeypatch):
    """The folder of that run's networks, in the place of those that come with the package."""
    monkeypatch.setattr(files, "PACKAGED", tmp_path / "networks")
    return commit_networks(bench, "tiny")


def test_weights_have_16_bits_on_disk_and_32_in_memory(bench, committed):
    for name in ("our_embedding", "our_encoder"):
        tensors = safetensors.torch.load_file(committed / "chairs" / name / "model.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} <= {torch.float16, torch.int64}
    whole, halved = ENCODERS[OUR_ENCODER].load(bench.folder), load_networks("chairs")
    for one, other in zip(whole[:2], halved[:2], strict=True):
        others = other.state_dict()
        for key, tensor in one.state_dict().items():
            assert others[key].dtype == tensor.dtype
            torch.testing.assert_close(others[key], tensor, rtol=NOISE, atol=2**-25)
    torch.testing.assert_close(halved.codes, whole.codes, rtol=2 * NOISE, atol=1e-6)


def test_reconstructions_are_those_of_the_run(bench, committed):
    """Rounding moves a signed distance by less than a thousandth, where a cell of the grid is a twelfth."""
    whole, halved = ENCODERS[OUR_ENCODER].load(bench.folder), load_networks("chairs")
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    for shape in bench.shapes("test"):
        image = bench.store.read_views(shape, "fixed")[0][0]
        codes = [network.encoder(torch.from_numpy(image).permute(2, 0, 1)[None] / 255) for network in (whole, halved)]
        fields = [network.model.shape(code[0]) for network, code in zip((whole, halved), codes, strict=True)]
        sdf = [np.asarray(field(points)) for field in fields]
        assert np.abs(sdf[0] - sdf[1]).max() < 1e-3
        meshes = [network.reconstruct(image, 16) for network in (whole, halved)]
        samples = [sample_mesh(mesh, 3000, np.random.default_rng(1))[0] for mesh in meshes]
        again = sample_mesh(meshes[0], 3000, np.random.default_rng(2))[0]
        assert chamfer_distance(*samples) < 1.1 * chamfer_distance(samples[0], again)


def test_a_card_tells_what_the_results_say(bench, committed):
    card = (committed / "chairs" / "card.md").read_text()
    rows = read_results(results_file(bench))
    ours = rows[(rows["method"] == OUR_ENCODER) & (rows["view"] == "fix")]
    assert f"| our encoder | fix | 2 | {1000 * ours['chamfer'].mean():.2f} |" in card
    assert "profile `tiny`" in card.lower() and "2 with a code of their own, and 1 more" in card
    assert "{" not in card and "MIT" in card
    copied = read_results(results_file(replace(bench, runs=committed)))
    assert copied.equals(rows)


@pytest.mark.parametrize("place", ["chairs/our_encoder/model.safetensors", "chairs/card.md", "results/chairs_test.csv"])
def test_a_file_that_is_not_the_one_that_was_written_is_refused(committed, place):
    file = committed / place
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(NetworksError, match=f"{place} is not the file that manifest.json"):
        load_networks("chairs")
    file.unlink()
    with pytest.raises(NetworksError, match=f"{place} is not the file"):
        load_networks("chairs")


def test_another_format_and_a_missing_category_are_told(committed):
    with pytest.raises(NetworksError, match="no networks of sofas come with the package .*name the folder of a run"):
        load_networks("sofas")
    manifest = json.loads((committed / "manifest.json").read_text())
    (committed / "manifest.json").write_text(json.dumps(manifest | {"format": 1}))
    with pytest.raises(NetworksError, match="is of format 1, and this library reads 2"):
        load_networks("chairs")
    for name in ("files", "profile"):
        (committed / "manifest.json").write_text(json.dumps(manifest | {name: None}))
        with pytest.raises(NetworksError, match="names no files or no profile: check it out anew"):
            load_networks("chairs")
    (committed / "manifest.json").write_text("[1, 2")
    with pytest.raises(NetworksError, match="not valid JSON"):
        has_networks("chairs")


def test_nothing_too_large_or_judged_by_other_weights_is_written(bench, committed, tmp_path, monkeypatch):
    before = (committed / "manifest.json").read_bytes()
    with monkeypatch.context() as small:
        small.setattr(networks, "LARGEST", 1000)
        with pytest.raises(NetworksError, match=r"our_embedding .* and our_encoder .* bytes are more than 1,000"):
            commit_networks(bench, "tiny")
    key = results_file(bench).with_suffix(".json")
    told = key.read_text()
    try:
        key.write_text(json.dumps({"runs": {OUR_ENCODER: "others"}}))
        with pytest.raises(NetworksError, match="is of other weights .*tpl evaluate"):
            commit_networks(bench, "tiny")
    finally:
        key.write_text(told)
    with pytest.raises(RunError, match="no finished training"):
        commit_networks(replace(bench, runs=tmp_path / "nothing"), "tiny")
    assert (committed / "manifest.json").read_bytes() == before


def test_weights_beyond_16_bits_are_refused(bench, tmp_path, monkeypatch):
    run = bench.run("our_embedding")
    monkeypatch.setattr(run, "_tensors", lambda: {"template.weight": torch.tensor([7e4])})
    with pytest.raises(RunError, match="template.weight does not fit into 16-bit floats"):
        run.write_half(tmp_path / "half")


def test_chapters_show_the_run_where_it_is_finished_and_else_what_comes_with_the_book(bench, committed, tmp_path):
    untrained = replace(bench, runs=tmp_path / "untrained")
    assert served(bench) == bench and served(untrained, "run") == untrained
    for shown in (served(untrained), served(bench, "committed")):
        assert shown.runs == committed
    shown = served(untrained)
    assert shown.shelf == untrained.shelf  # nothing is written beside what is committed
    assert origin(bench) == f"the networks of {bench.runs}"
    assert "come with the package, of profile tiny" in origin(shown) and "chairs" in origin(shown)
    trained, own = Trained(shown), Trained(bench)
    assert list(trained.arms) == [OUR_ENCODER] and trained.weights(OUR_ENCODER) != own.weights(OUR_ENCODER)
    files = sorted(committed.rglob("*"))
    teaser(shown, OUR_ENCODER, tmp_path / "teaser.png")
    with Image.open(tmp_path / "teaser.png") as picture:
        assert picture.width > 300 and sorted(committed.rglob("*")) == files
    with pytest.raises(SettingsError, match="networks is 'best'; there are auto, run, committed"):
        served(bench, "best")


def test_without_either_a_run_is_asked_for(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PACKAGED", tmp_path / "none")
    untrained = replace(bench, runs=tmp_path / "untrained")
    assert served(untrained) == untrained
    with pytest.raises(NetworksError, match="no networks of chairs come with the package"):
        served(untrained, "committed")


def test_a_photograph_becomes_a_mesh_in_a_fresh_clone(bench, committed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = bench.store.read_views(bench.shapes("test")[0], "fixed")[0][0]
    mesh, _ = tpl.reconstruct(image, "chairs", resolution=16)
    assert len(mesh.faces)
    Image.fromarray(image).resize((128, 128)).save("photo.png")
    line = "tpl reconstruct photo.png -o chair.glb --category chairs --resolution 16"
    monkeypatch.setattr(sys, "argv", line.split())
    main()
    said = capsys.readouterr().out
    assert "networks: those that come with the package, of profile tiny" in said and "silhouette: 0." in said
    assert "doubt: " in said and "from what was learnt" in said  # without any prepared data
    assert len(Doubt.load(committed / "chairs" / "doubt.safetensors").codes) == 3 * 4  # training shapes and their views
    ready = tpl.load("chairs", committed)  # a folder that `tpl networks` wrote is a run
    assert ready.doubt is not None and ready.origin == str(committed / "chairs")
    with pytest.raises(RunError):
        tpl.reconstruct(image, "chairs", "runs/mine")  # who names a run gets no other's networks
