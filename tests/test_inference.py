"""The oracle finds the code of a shape that it is given, and pictures come as the encoder takes them."""

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from tpl.datasets import SDFTable
from tpl.inference import ImageError, OracleConfig, fit_codes, mean_code, read_image, to_raw
from tpl.meshes import MeshError, Normalization, write_mesh
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.training.embedding import EmbeddingConfig, train_embedding

MODEL = DeepImplicitTemplateConfig(
    latent_dim=2, warp_hidden=24, warp_steps=2, template_hidden=24, template_layers=3, dropout=0.0, weight_norm=False
)


@pytest.fixture(scope="module")
def balls():
    """A decoder of balls of many sizes, and the samples it learnt from."""
    rng = np.random.default_rng(0)
    radii = np.linspace(0.3, 0.7, 9)
    points = rng.uniform(-1, 1, (len(radii), 2000, 3))
    sdf = np.linalg.norm(points, axis=2) - radii[:, None]
    rows = torch.tensor(np.concatenate([points, sdf[..., None]], axis=2), dtype=torch.float32)
    table = SDFTable.from_rows(rows, rows[:, :0], "cpu")
    config = EmbeddingConfig(
        epochs=400,
        model=MODEL,
        shapes_per_batch=9,
        points_per_shape=48,
        cross_share=0.0,
        outputs="last",
        pointpair_weight=0.0,
        warp_rate=5e-3,
        template_rate=5e-3,
        code_rate=1e-2,
        schedule="cosine",
        precision="fp32",
    )
    return train_embedding(table, config, progress=False).model, radii


def test_the_oracle_fits_a_ball_that_the_decoder_never_saw(balls):
    model, _ = balls
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (1, 2000, 3))
    sdf = np.linalg.norm(points, axis=2) - 0.47
    rows = torch.tensor(np.concatenate([points, sdf[..., None]], axis=2), dtype=torch.float32)
    table = SDFTable.from_rows(rows, rows[:, :0], "cpu")
    learning = [parameter.requires_grad for parameter in model.parameters()]
    code = fit_codes(model, table, OracleConfig(iterations=200, points=256, rate=2e-2))[0]
    line = np.stack([np.linspace(0, 1, 200), np.zeros(200), np.zeros(200)], axis=1)
    assert abs(np.argmax(model.shape(code)(line) > 0) / 199 - 0.47) < 0.04
    assert learning == [parameter.requires_grad for parameter in model.parameters()]
    again = fit_codes(model, table, OracleConfig(iterations=200, points=256, rate=2e-2))[0]
    assert torch.equal(code, again)


def test_a_mesh_goes_back_to_the_frame_of_its_shape():
    mesh = trimesh.creation.box((1, 1, 1))
    before = mesh.vertices.copy()
    raw = to_raw(mesh, Normalization(np.array([1.0, 0.0, 0.0]), 2.0))
    np.testing.assert_allclose(raw.bounds, [[-1.25, -0.25, -0.25], [-0.75, 0.25, 0.25]])
    np.testing.assert_array_equal(mesh.vertices, before)


def test_mean_code_is_the_mean():
    torch.testing.assert_close(mean_code(torch.tensor([[1.0, 2.0], [3.0, 6.0]])), torch.tensor([2.0, 4.0]))


def test_pictures_become_square_upright_and_white(tmp_path):
    wide = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    wide.paste((200, 0, 0, 255), (15, 5, 25, 15))
    wide.save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png", 20)
    assert image.shape == (20, 20, 3) and (image[0, 0] == 255).all()
    np.testing.assert_allclose(image[10, 10], [200, 0, 0], atol=12)  # the resampling rings a little

    turned = Image.new("RGB", (30, 30), "white")
    turned.paste((0, 0, 255), (0, 0, 30, 10))  # blue on top as stored
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    image = read_image(tmp_path / "turned.png", 30)
    assert (image[28, 15] == [0, 0, 255]).all() and (image[2, 15] == 255).all()

    Image.new("P", (8, 8)).save(tmp_path / "palette.png")
    Image.new("L", (8, 8), 128).save(tmp_path / "grey.png")
    assert (read_image(tmp_path / "grey.png", 8) == 128).all()
    assert read_image(tmp_path / "palette.png", 8).shape == (8, 8, 3)


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    for name in ("broken.png", "missing.jpg"):
        with pytest.raises(ImageError, match=f"{name} cannot be read as an image"):
            read_image(tmp_path / name, 32)


@pytest.mark.parametrize("ending", ["glb", "obj", "off", "ply", "stl"])
def test_a_mesh_is_written_and_read_back(tmp_path, ending):
    mesh = trimesh.creation.icosphere(subdivisions=1)
    write_mesh(mesh, tmp_path / "new" / f"ball.{ending}")
    read = trimesh.load(tmp_path / "new" / f"ball.{ending}", force="mesh")
    assert read.volume == pytest.approx(mesh.volume, rel=1e-4)
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"ball.{ending}"]


def test_a_format_that_is_not_written_is_refused(tmp_path):
    with pytest.raises(MeshError, match=r"chair\.docx: a mesh is written as \.glb"):
        write_mesh(trimesh.creation.box(), tmp_path / "chair.docx")
    assert not list(tmp_path.iterdir())


def test_the_default_oracle_is_deepsdfs():
    config = OracleConfig()
    assert (config.iterations, config.points, config.rate, config.prior) == (800, 8000, 5e-3, 1e-4)
    assert config.start_std**2 == pytest.approx(0.01)
    assert isinstance(DeepImplicitTemplate(MODEL), DeepImplicitTemplate)
