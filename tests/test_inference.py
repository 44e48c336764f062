"""The oracle finds the code of a shape that it is given."""

import numpy as np
import pytest
import torch
import trimesh

from tpl.dataset.batches import SDFTable
from tpl.inference import OracleConfig, fit_codes, mean_code, to_raw
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


def samples_of_balls(*radii: float) -> SDFTable:
    points = np.random.default_rng(1).uniform(-1, 1, (2000, 3))
    sdf = np.linalg.norm(points, axis=1) - np.array(radii)[:, None]
    places = np.broadcast_to(points, (len(radii), 2000, 3))
    rows = torch.tensor(np.concatenate([places, sdf[..., None]], axis=2), dtype=torch.float32)
    return SDFTable.from_rows(rows, rows[:, :0], "cpu")


def test_the_oracle_starts_at_codes_of_the_deviation_that_it_is_told():
    """N(0, 0.01) as DeepSDF's, from which a single step at a rate of nothing does not lead away."""
    wide = DeepImplicitTemplate(MODEL.model_copy(update={"latent_dim": 64}))
    still = OracleConfig(iterations=1, points=16, rate=1e-12)
    table = samples_of_balls(*np.linspace(0.3, 0.7, 40))
    codes = fit_codes(wide, table, still)
    assert codes.std().item() == pytest.approx(0.1, rel=0.05) and abs(codes.mean().item()) < 0.01
    for std in (0.0, 0.5):
        scaled = fit_codes(wide, table, still.model_copy(update={"start_std": std}))
        torch.testing.assert_close(scaled, codes * std / 0.1, atol=1e-6, rtol=1e-4)


def test_a_code_is_the_same_whether_fitted_alone_or_beside_others(balls):
    """The prior pulls each code as hard as its own samples do: the number of shapes fitted at once is no weight."""
    model, _ = balls
    config = OracleConfig(iterations=120, points=256, rate=2e-2, prior=0.3)
    alone = fit_codes(model, samples_of_balls(0.65), config)[0]
    free = fit_codes(model, samples_of_balls(0.65), config.model_copy(update={"prior": 0.0}))[0]
    assert alone.norm() < 0.8 * free.norm()  # the prior has something to say
    beside = fit_codes(model, samples_of_balls(*[0.65] * 8), config)
    assert beside.norm(dim=1).mean().item() == pytest.approx(alone.norm().item(), rel=0.05)


def test_a_mesh_goes_back_to_the_frame_of_its_shape():
    mesh = trimesh.creation.box((1, 1, 1))
    before = mesh.vertices.copy()
    raw = to_raw(mesh, Normalization(np.array([1.0, 0.0, 0.0]), 2.0))
    np.testing.assert_allclose(raw.bounds, [[-1.25, -0.25, -0.25], [-0.75, 0.25, 0.25]])
    np.testing.assert_array_equal(mesh.vertices, before)


def test_mean_code_is_the_mean():
    torch.testing.assert_close(mean_code(torch.tensor([[1.0, 2.0], [3.0, 6.0]])), torch.tensor([2.0, 4.0]))


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
