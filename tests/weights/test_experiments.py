"""Weights of others come in as what they are and go out as what they were, and what ours lacks is refused by name."""

import json
import pickle
from collections import OrderedDict

import numpy as np
import pandas as pd
import pytest
import torch
from dit import Decoder, parallel, specs, write_experiment
from torch import nn
from torchvision.models import resnet18

from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.models.encoder import normalise
from tpl.training import EmbeddingConfig, RunFolder, load_embedding, load_end_to_end, load_regression
from tpl.training.embedding import EmbeddingObjective
from tpl.weights.codes import read_codes
from tpl.weights.commands import weights
from tpl.weights.decoders import decoder_to_state
from tpl.weights.encoders import read_encoder, read_trunk
from tpl.weights.experiments import export_experiment, import_experiment, read_experiment
from tpl.weights.files import WeightsError, read_pickled_codes, read_tensors

CODES = torch.nn.functional.normalize(torch.randn(4, 5, generator=torch.Generator().manual_seed(1))) * 0.9
IDS = ["b3", "a1", "d4", "c2"]
POINTS = torch.rand(40, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1


def same_shapes(decoder, embedding, order=(0, 1, 2, 3)) -> None:
    """The published formula and the imported run have the same signed distances."""
    assert len(embedding.codes) == len(order)
    for row, code in enumerate(order):
        ours = embedding.model(POINTS[None], embedding.codes[row][None])[0]
        torch.testing.assert_close(ours, decoder.sdf(CODES[code], POINTS), atol=1e-6, rtol=0)
        assert ours.std() > 0.01  # and they are no constant


def own_run(folder, **changes):
    """A finished phase 1 of ours with random networks."""
    sizes = dict(latent_dim=5, warp_hidden=6, warp_steps=3, template_hidden=7, template_layers=3) | changes
    torch.manual_seed(6)
    config = EmbeddingConfig(epochs=8, model=DeepImplicitTemplateConfig(**sizes))
    objective = EmbeddingObjective(4, config)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.normal_(std=0.7)
    run = RunFolder(folder)
    run.begin(config, "data")
    run.finish(objective, pd.DataFrame({"step": [1], "seconds": [1.0], "loss": [1.0]}), 1.0, "fp32")
    return load_embedding(folder)


@pytest.mark.parametrize("form", ["DIT", "DeepSDF", "pickle", "Codes"])
def test_an_experiment_s_shapes_are_the_same_in_our_hands(tmp_path, form):
    table = CODES[:, None] if form == "DeepSDF" else OrderedDict(weight=CODES)
    decoder = write_experiment(tmp_path / "theirs", table if form in ("DIT", "DeepSDF") else dict(weight=0 * CODES))
    codes = None
    if form == "pickle":
        codes = tmp_path / "03001627_embedding.pkl"
        codes.write_bytes(pickle.dumps(dict(zip(IDS, CODES.numpy(), strict=True)), protocol=4))
    if form == "Codes":
        codes = tmp_path / "Codes"
        (codes / "ShapeNetV2" / "03001627").mkdir(parents=True)
        for name, code in zip(IDS, CODES, strict=True):
            torch.save(code[None, None], codes / "ShapeNetV2" / "03001627" / f"{name}.pth")
    read = read_experiment(tmp_path / "theirs", codes=codes)
    (folder,) = import_experiment(read, tmp_path / "runs")
    same_shapes(decoder, load_embedding(folder), order=(1, 0, 3, 2) if form == "Codes" else (0, 1, 2, 3))
    ids = {"pickle": IDS, "Codes": sorted(IDS)}.get(form)
    assert (json.loads((folder / "ids.json").read_text()) if ids else None) == ids
    # And out again: the published module takes the files strictly.
    back = export_experiment(folder, tmp_path / "back")
    again = nn.DataParallel(Decoder(json.loads((back / "specs.json").read_text())))
    again.load_state_dict(read_tensors(back / "ModelParameters" / "latest.pth")["model_state_dict"], strict=True)
    for theirs, new in zip(decoder.state_dict().items(), again.module.state_dict().items(), strict=True):
        assert theirs[0] == new[0] and torch.equal(theirs[1], new[1])


def test_the_training_that_an_experiment_tells_of_is_ours_by_name_and_back(tmp_path):
    write_experiment(tmp_path / "theirs", dict(weight=CODES))
    (folder,) = import_experiment(read_experiment(tmp_path / "theirs"), tmp_path / "runs")
    config = EmbeddingConfig.model_validate(RunFolder(folder).config())
    assert (config.epochs, config.shapes_per_batch, config.points_per_shape) == (2001, 24, 5000)
    assert (config.warp_rate, config.template_rate, config.code_rate) == (5e-4, 1e-3, 2e-3)
    assert config.pointpair_weight == pytest.approx(0.0547, abs=1e-4)  # on the mean over pairs
    told, back = specs(), json.loads((export_experiment(folder, tmp_path / "back") / "specs.json").read_text())
    assert {name: back[name] for name in told if name not in ("Description", "LearningRateSchedule")} == {
        name: value for name, value in told.items() if name not in ("Description", "LearningRateSchedule")
    }
    assert [schedule["Initial"] for schedule in back["LearningRateSchedule"]] == [5e-4, 1e-3, 2e-3]


@pytest.mark.parametrize("weight_norm", [True, False])
def test_our_shapes_are_the_same_in_their_hands_and_when_they_come_back(tmp_path, weight_norm):
    ours = own_run(tmp_path / "embedding", weight_norm=weight_norm)
    weights("export", tmp_path / "embedding", tmp_path / "exported")
    decoder = nn.DataParallel(Decoder(json.loads((tmp_path / "exported" / "specs.json").read_text())))
    content = read_tensors(tmp_path / "exported" / "ModelParameters" / "latest.pth")
    decoder.load_state_dict(content["model_state_dict"], strict=True)
    codes = read_tensors(tmp_path / "exported" / "LatentCodes" / "latest.pth")["latent_codes"]["weight"]
    weights("import", tmp_path / "exported", tmp_path / "runs")
    back = load_embedding(tmp_path / "runs" / "embedding")
    for code, mine, returned in zip(codes, ours.codes, back.codes, strict=True):
        expected = ours.model(POINTS[None], mine[None])[0]
        torch.testing.assert_close(decoder.module.sdf(code, POINTS), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(back.model(POINTS[None], returned[None])[0], expected, atol=1e-6, rtol=0)
        assert expected.std() > 0.01


def test_coordinates_beside_space_have_no_place_in_their_form(tmp_path):
    own_run(tmp_path / "our_embedding", ambient_dim=2)
    with pytest.raises(WeightsError, match="2 ambient coordinates beside space"):
        export_experiment(tmp_path / "our_embedding", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (dict(weight_norm=False), "LayerNorm"),
        (dict(xyz_in_all=True), "xyz_in_all"),
        (dict(use_tanh=True), "use_tanh"),
        (dict(dims=[7, 8, 7]), r"dims \[7, 8, 7\]"),
        (dict(norm_layers=[0, 1]), r"norm_layers \[0, 1\]"),
        (dict(latent_in=[2]), "latent_in"),
        (dict(dims=None), "dims"),
    ],
)
def test_what_their_form_has_and_ours_lacks_is_refused_by_name(tmp_path, changes, told):
    write_experiment(tmp_path, dict(weight=CODES))
    (tmp_path / "specs.json").write_text(json.dumps(specs(**changes)))
    with pytest.raises(WeightsError, match=told) as caught:
        read_experiment(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "told"), [("sdf_decoder.bn0.weight", "LayerNorm"), ("lin0.weight", "lin0.weight is among its weights")]
)
def test_weights_beyond_what_the_specs_tell_are_refused_by_name(tmp_path, name, told):
    decoder = write_experiment(tmp_path, dict(weight=CODES))
    state = parallel(decoder) | {f"module.{name}": torch.ones(7)}
    torch.save({"epoch": 1, "model_state_dict": state}, tmp_path / "ModelParameters" / "latest.pth")
    with pytest.raises(WeightsError, match=told):
        read_experiment(tmp_path)


def test_missing_weights_and_other_sizes_and_the_other_decoder_are_refused(tmp_path):
    decoder, file = write_experiment(tmp_path, dict(weight=CODES)), tmp_path / "ModelParameters" / "latest.pth"
    state = parallel(decoder)
    del state["module.warper.lstm.bias_hh"]
    torch.save({"model_state_dict": state}, file)
    with pytest.raises(WeightsError, match=r"warper.lstm.bias_hh is not among its weights"):
        read_experiment(tmp_path)
    torch.save({"model_state_dict": parallel(decoder)}, file)
    told = specs()
    (tmp_path / "specs.json").write_text(json.dumps(told | {"CodeLength": 6}))
    with pytest.raises(WeightsError, match=r"other sizes .*code_weight"):
        read_experiment(tmp_path)
    (tmp_path / "specs.json").write_text(json.dumps(told | {"NetworkArch": "deep_sdf_decoder"}))
    with pytest.raises(WeightsError, match="'deep_sdf_decoder'"):
        read_experiment(tmp_path)
    torch.testing.assert_close(read_codes(tmp_path / "LatentCodes" / "latest.pth").latent, CODES)


def test_without_a_latest_checkpoint_the_newest_counts(tmp_path):
    write_experiment(tmp_path, dict(weight=0 * CODES), name="500")
    write_experiment(tmp_path, dict(weight=CODES), name="2000")
    codes = read_experiment(tmp_path).codes
    assert codes is not None and torch.equal(codes.latent, CODES)
    codes = read_experiment(tmp_path, "500").codes
    assert codes is not None and not codes.latent.any()
    with pytest.raises(WeightsError, match="there is no .*1000.pth"):
        read_experiment(tmp_path, "1000")


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    write_experiment(tmp_path / "theirs", dict(weight=CODES))
    read = read_experiment(tmp_path / "theirs")
    (folder,) = import_experiment(read, tmp_path / "runs")
    with pytest.raises(WeightsError, match="is there already"):
        import_experiment(read, tmp_path / "runs")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(WeightsError, match="something else"):
        export_experiment(folder, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").exists()


class Trap:
    """What would run something when it is unpickled."""

    def __reduce__(self):
        return eval, ("__import__('pathlib').Path('/nowhere').read_text()",)


def test_a_pickle_that_asks_for_more_than_arrays_is_not_obeyed(tmp_path):
    file = tmp_path / "codes.pkl"
    file.write_bytes(pickle.dumps({"a": Trap()}))
    with pytest.raises(WeightsError, match=r"codes.pkl asks for builtins.eval"):
        read_pickled_codes(file)
    torch.save({"latent_codes": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match="more than tensors"):
        read_tensors(tmp_path / "trap.pth")


@pytest.mark.parametrize("spelling", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_codes_are_read_whichever_numpy_wrote_them(tmp_path, spelling):
    text = pickle.dumps({"a": np.arange(3, dtype=np.float32)}, protocol=4)
    own = next(name for name in (b"numpy.core.multiarray", b"numpy._core.multiarray") if name in text)
    text = text.replace(bytes([len(own)]) + own, bytes([len(spelling)]) + spelling)
    text = text[:3] + (len(text) - 11).to_bytes(8, "little") + text[11:]  # the length of the one frame
    (tmp_path / "codes.pkl").write_bytes(text)
    assert read_pickled_codes(tmp_path / "codes.pkl")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([1]), pickle.dumps({"a": np.array(["x"])})])
def test_a_file_that_is_no_pickle_of_codes_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "codes.pkl").write_bytes(content)
    with pytest.raises(WeightsError, match=r"codes.pkl") as caught:
        read_pickled_codes(tmp_path / "codes.pkl")
    assert len(str(caught.value).splitlines()) == 1


def test_broken_and_missing_files_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"PK nothing")
    for name in ("broken.pth", "missing.pth"):
        with pytest.raises(WeightsError, match=name):
            read_tensors(tmp_path / name)
    (tmp_path / "specs.json").write_text("{")
    with pytest.raises(WeightsError, match="not valid JSON"):
        read_experiment(tmp_path)


# --- encoders


def theirs(layers: int) -> nn.Module:
    torch.manual_seed(3)
    network = resnet18(weights=None)
    head = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 5))
    network.fc = nn.Linear(512, 5) if layers == 1 else head
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if it had learnt
            module.running_mean.uniform_(-0.1, 0.1)  # pyright: ignore
    return network.eval()


def encoder_state(network: nn.Module, version: str) -> dict[str, torch.Tensor]:
    """The weights of a ResNet under the names of the authors' scripts."""
    children, head = nn.Sequential(*list(network.children())[:-1]), network.fc
    if version == "v1":
        named, again = nn.ModuleDict({"encoder": network}), nn.ModuleDict({"feature_extractor": children})
        return {**named.state_dict(), **again.state_dict()}
    return parallel(nn.ModuleDict({"encoder": children, "fc": head}))  # pyright: ignore


@pytest.mark.parametrize(("version", "layers"), [("v1", 1), ("v2", 2), ("v2", 1)])
def test_the_authors_encoders_see_the_same_in_our_hands(tmp_path, version, layers):
    network = theirs(layers)
    torch.save({"epoch": 1, "latent_codes": encoder_state(network, version)}, tmp_path / "encoder.pth")
    encoder = read_encoder(tmp_path / "encoder.pth")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder(images), network(normalise(images)), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            read_trunk(tmp_path / "encoder.pth")(normalise(images)), encoder.features(images), atol=0, rtol=0
        )
    with pytest.raises(WeightsError, match="an encoder is there"):
        read_codes(tmp_path / "encoder.pth")


def test_an_experiment_with_an_encoder_becomes_a_training_and_with_codes_two(tmp_path):
    state = encoder_state(theirs(1), "v1")
    decoder = write_experiment(tmp_path / "theirs", state)
    weights("import", tmp_path / "theirs", tmp_path / "runs")
    run = load_end_to_end(tmp_path / "runs" / "end_to_end")
    code = CODES[:1]
    torch.testing.assert_close(run.model(POINTS[None], code)[0], decoder.sdf(code[0], POINTS), atol=1e-6, rtol=0)
    codes = tmp_path / "codes.pkl"
    codes.write_bytes(pickle.dumps(dict(zip(IDS, CODES.numpy(), strict=True)), protocol=4))
    weights("import", tmp_path / "theirs", tmp_path / "both", codes=codes)
    embedding = load_embedding(tmp_path / "both" / "embedding")
    encoder = load_regression(tmp_path / "both" / "encoder", embedding).encoder
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(encoder(images), run.encoder(images))


def test_a_contrastive_trunk_is_read_and_is_no_encoder(tmp_path):
    network = theirs(1)
    state = {f"convnet.{name}": t for name, t in network.state_dict().items() if not name.startswith("fc")}
    state["projector.0.weight"] = torch.ones(2, 2)
    torch.save({"model_state_dict": state, "optimizer_state_dict": {"lr": 1.0}}, tmp_path / "contrastive.pth")
    trunk = read_trunk(tmp_path / "contrastive.pth")
    assert torch.equal(trunk.state_dict()["layer4.1.bn2.weight"], state["convnet.layer4.1.bn2.weight"])
    with pytest.raises(WeightsError, match="projector.0.weight belongs to no ResNet-18"):
        read_encoder(tmp_path / "contrastive.pth")


def test_two_trunks_that_differ_are_not_chosen_between(tmp_path):
    state = encoder_state(theirs(1), "v1")
    state["feature_extractor.0.weight"] = state["feature_extractor.0.weight"] + 1
    torch.save({"latent_codes": state}, tmp_path / "encoder.pth")
    with pytest.raises(WeightsError, match="more than one trunk"):
        read_encoder(tmp_path / "encoder.pth")


def test_names_of_all_weights_are_distinct_and_those_of_the_published_network():
    model = DeepImplicitTemplate()
    state = decoder_to_state(model)
    assert sum(tensor.numel() for tensor in state.values()) == sum(p.numel() for p in model.parameters())
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["warper.lstm.weight_ih"] == (2048, 259) and shapes["sdf_decoder.lin5.weight"] == (1, 256)
    assert shapes["sdf_decoder.lin0.weight_g"] == (256, 1) and shapes["sdf_decoder.lin4.weight_v"] == (256, 256)
