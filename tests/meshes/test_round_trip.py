"""The field's files: what we write, a reader of theirs reads; what they write, we use; and both give the shape back.

The reader and the writer of this file know the description of the formats alone, and no name of `tpl.dataset.store`.
"""

import json
import shutil

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from tpl.dataset.batches import SDFTable, ViewTable
from tpl.dataset.checking import check_collection, check_shapenet
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig, prepare, prepare_shape
from tpl.dataset.store import Store, StoreError
from tpl.evaluation.results import read_results
from tpl.evaluation.summary import summarize
from tpl.geometry.marching import extract_mesh
from tpl.inference import OracleConfig, fit_codes
from tpl.metrics import chamfer_distance
from tpl.models import DeepImplicitTemplateConfig
from tpl.shapes import SourceOptions, list_shapes
from tpl.shapes.preprocessed import PreprocessedError
from tpl.shapes.shapenet import ShapeNetError
from tpl.study.bench import Bench
from tpl.study.judging import evaluate_category
from tpl.study.trainings import embed_category, regress_category
from tpl.training import embedding_config, load_embedding, regression_config
from tpl.training.embedding import EmbeddingConfig, train_embedding

SYNSET, HEIGHTS = "04256520", {"sofa0": 0.2, "sofa1": 0.35, "sofa2": 0.6, "sofa3": 0.45}
CENTER = np.array([0.01, -0.005, 0.02])  # ShapeNet's models are centred, though not all of them to the last digit
SMALL = PrepareConfig(sdf_samples=3000, surface_points=800, easy_views=2, hard_views=2, image_size=32)


def half_sides(height: float) -> np.ndarray:
    """Of a cuboid of diagonal 1."""
    sides = np.array([1.0, height, 0.8])
    return sides / np.linalg.norm(sides) / 2


def cuboid(height: float) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(2 * half_sides(height))
    mesh.apply_translation(CENTER)
    return mesh


def distance_to_cuboid(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Signed, of a cuboid around the origin; the closed form."""
    beyond = np.abs(points) - half
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Four cuboids as sofas of ShapeNet."""
    root = tmp_path_factory.mktemp("shapenet")
    for name, height in HEIGHTS.items():
        model = root / SYNSET / name / "models" / "model_normalized.obj"
        model.parent.mkdir(parents=True)
        model.write_text(cuboid(height).export(file_type="obj"))
    (root / "splits").mkdir()
    for split, ids in {"train": list(HEIGHTS)[:3], "test": list(HEIGHTS)[3:]}.items():
        (root / "splits" / f"sv2_sofas_{split}.json").write_text(json.dumps({"ShapeNetV2": {SYNSET: ids}}))
    return root


def sofas(tree, **more):
    return list_shapes("shapenet", "sofas", train=9, test=9, options=SourceOptions(folder=str(tree), **more))


# --- a reader and a writer of the description


def read_theirs(root, data_set, name):
    """All files of a shape, as code other than ours would read them."""
    place = f"{data_set}/{SYNSET}/{name}"
    with np.load(root / f"SdfSamples/{place}.npz") as arrays:
        pos, neg = arrays["pos"], arrays["neg"]
    with np.load(root / f"NormalizationParameters/{place}.npz") as arrays:
        offset, scale = arrays["offset"], arrays["scale"]
    surface = np.asarray(trimesh.load(root / f"SurfaceSamples/{place}.ply").vertices)
    return pos, neg, offset, scale, surface


def read_split(root):
    return json.loads((root / "splits" / "sv2_sofas_train.json").read_text())["ShapeNetV2"][SYNSET]


def write_theirs(root, name, height, seed=0, samples=3000):
    """What DeepSDF's tools write of a cuboid, with rows of NaN and dummy faces."""
    mesh, half, rng = cuboid(height), half_sides(height), np.random.default_rng(seed)
    scale = 1 / (1.03 * np.linalg.norm(half))
    surface, _ = trimesh.sample.sample_surface(mesh, 9000, seed=seed)
    near = (surface[rng.integers(9000, size=samples)] - CENTER) * scale + rng.normal(scale=0.05, size=(samples, 3))
    points = np.concatenate([near, rng.uniform(-1, 1, (samples // 2, 3))])
    sdf = distance_to_cuboid(points, half * scale)
    rows = np.column_stack([points, sdf]).astype(np.float32)
    pos = np.concatenate([rows[sdf > 0], np.full((5, 4), np.nan, np.float32)])
    places = {kind: root / kind / "ShapeNetV2" / SYNSET for kind in ("SdfSamples", "SurfaceSamples")}
    places["NormalizationParameters"] = root / "NormalizationParameters" / "ShapeNetV2" / SYNSET
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    np.savez(places["SdfSamples"] / f"{name}.npz", pos=pos, neg=rows[sdf <= 0])
    np.savez(places["NormalizationParameters"] / f"{name}.npz", offset=-CENTER, scale=np.array([scale]))
    dummy = trimesh.Trimesh(surface, np.arange(9000).reshape(-1, 3), process=False)
    dummy.export(places["SurfaceSamples"] / f"{name}.ply")


def write_their_views(root, name, picture="image", size=32, count=3):
    """The authors' folders: numbered pictures and a line of camera each."""
    for kind in ("easy", "hard"):
        folder = root / SYNSET / name / kind
        (folder / picture).mkdir(parents=True)
        for number in range(count):
            colour = np.full((size, size, 3), 10 * number % 256, np.uint8)
            Image.fromarray(colour).save(folder / picture / f"{number:02d}.png")
        lines = [f"{7.2 * (n + 1)} 25 0 1.4 35 32 1.75 0 0 0" for n in range(count)]
        (folder / "rendering_metadata.txt").write_text("\n".join(lines) + "\n")


# --- the two ways


def test_what_we_write_their_reader_reads(tree, tmp_path):
    shapes = sofas(tree)
    assert (prepare(shapes, Store(tmp_path), SMALL, jobs=1).status == "made").all()
    assert read_split(tree) == [shape.id for shape in shapes if shape.split == "train"]
    for name, height in HEIGHTS.items():
        pos, neg, offset, scale, surface = read_theirs(tmp_path, "shapenet", name)
        assert pos.dtype == neg.dtype == np.float32 and len(pos) + len(neg) == SMALL.sdf_samples
        assert (pos[:, 3] > 0).all() and (neg[:, 3] <= 0).all()
        assert offset.shape == (3,) and scale.shape == (1,) and surface.shape == (SMALL.surface_points, 3)
        half = half_sides(height)
        np.testing.assert_allclose(distance_to_cuboid(surface - CENTER, half), 0, atol=1e-6)  # raw units
        assert scale[0] == pytest.approx(2 / 1.03)  # of a diagonal of 1
        rows = np.concatenate([pos, neg]).astype(float)
        truth = distance_to_cuboid(rows[:, :3], half * scale[0])
        np.testing.assert_allclose(rows[:, 3], truth, atol=1e-5)
        lines = (tmp_path / f"Views/shapenet/{SYNSET}/{name}/hard/rendering_metadata.txt").read_text().splitlines()
        assert [len(line.split()) for line in lines] == [10] * SMALL.hard_views


def test_what_they_write_is_used_and_not_computed(tree, tmp_path):
    theirs = tmp_path / "theirs"
    for name, height in HEIGHTS.items():
        write_theirs(theirs, name, height)
    store, shapes = Store(tmp_path / "data"), sofas(tree, preprocessed=str(theirs))
    report = prepare(shapes, store, SMALL, jobs=1)
    assert report.status.tolist() == ["made"] * 4, report.reason.tolist()
    for shape in shapes:
        pos, neg, offset, scale, surface = read_theirs(theirs, "ShapeNetV2", shape.id)
        samples = store.read_sdf(shape)
        finite = np.concatenate([pos, neg])
        finite = finite[~np.isnan(finite).any(axis=1)]
        np.testing.assert_array_equal(np.column_stack([samples.points, samples.sdf]), finite)
        np.testing.assert_array_equal(store.read_surface(shape), surface)
        frame = store.read_normalization(shape)
        np.testing.assert_array_equal(frame.offset, offset)
        assert frame.scale == scale[0]
        assert store.read_views(shape, "easy")[0].shape == (2, 32, 32, 3)  # ours: they have none
    assert store.path("SdfSamples", shapes[0], ".npz").is_symlink()  # no byte of it twice


def test_with_and_without_the_files_of_others_a_shape_has_another_version(tree, tmp_path):
    write_theirs(tmp_path / "theirs", "sofa0", HEIGHTS["sofa0"])
    store, ours, given = Store(tmp_path / "data"), sofas(tree)[0], sofas(tree, preprocessed=str(tmp_path / "theirs"))[0]
    assert prepare_shape(ours, store, SMALL)["status"] == prepare_shape(given, store, SMALL)["status"] == "made"
    assert len(store.read_sdf(given).sdf) == 4500
    before = (tmp_path / f"theirs/SdfSamples/ShapeNetV2/{SYNSET}/sofa0.npz").read_bytes()
    assert prepare_shape(ours, store, SMALL)["status"] == "made"  # back again: the link is replaced, not followed
    assert len(store.read_sdf(ours).sdf) == SMALL.sdf_samples
    assert (tmp_path / f"theirs/SdfSamples/ShapeNetV2/{SYNSET}/sofa0.npz").read_bytes() == before


def test_without_their_normalisation_samples_are_taken_in_the_frame_of_the_whole_mesh(tree, tmp_path):
    write_theirs(tmp_path, "sofa1", HEIGHTS["sofa1"])
    place = f"ShapeNetV2/{SYNSET}/sofa1"
    offset, scale = read_theirs(tmp_path, "ShapeNetV2", "sofa1")[2:4]
    (tmp_path / f"NormalizationParameters/{place}.npz").unlink()
    (tmp_path / f"SurfaceSamples/{place}.ply").unlink()
    store, shape = Store(tmp_path / "data"), sofas(tree, preprocessed=str(tmp_path))[1]
    prepare_shape(shape, store, SMALL)
    frame = store.read_normalization(shape)
    np.testing.assert_allclose(frame.offset, offset, atol=1e-7)
    assert frame.scale == pytest.approx(scale[0])
    assert len(store.read_surface(shape)) == SMALL.surface_points


def rewrite_signs(root, name, turn):
    """Changes the signs of DeepSDF's samples by a function of the distances."""
    file = root / "SdfSamples" / "ShapeNetV2" / SYNSET / f"{name}.npz"
    with np.load(file) as arrays:
        rows = np.concatenate([arrays["pos"], arrays["neg"]])
    rows[:, 3] = turn(rows[:, 3])
    np.savez(file, pos=rows[~(rows[:, 3] <= 0)], neg=rows[rows[:, 3] <= 0])


@pytest.mark.parametrize("mesh", ["with its mesh", "without"])
def test_files_whose_signs_are_turned_over_are_refused(tree, tmp_path, mesh):
    write_theirs(tmp_path, "sofa0", HEIGHTS["sofa0"])
    where = dict(preprocessed=str(tmp_path)) | ({} if mesh == "with its mesh" else dict(splits=str(tree / "splits")))
    shape = sofas(tree if mesh == "with its mesh" else "", **where)[0]
    assert prepare_shape(shape, Store(tmp_path / "good"), SMALL)["status"] == "made"
    rewrite_signs(tmp_path, "sofa0", lambda sdf: -sdf)
    with pytest.raises(StoreError, match="given signed distances have their signs turned over: inside must be neg"):
        prepare_shape(shape, Store(tmp_path / "turned"), SMALL)


def test_files_that_dispute_the_signs_of_some_points_are_used(tree, tmp_path):
    """What is hidden or thin has an inside for one tool and none for another."""
    write_theirs(tmp_path, "sofa0", HEIGHTS["sofa0"])
    rng = np.random.default_rng(0)
    rewrite_signs(tmp_path, "sofa0", lambda sdf: np.where((sdf < 0) & (rng.random(len(sdf)) < 0.6), -sdf, sdf))
    shape = sofas(tree, preprocessed=str(tmp_path))[0]
    assert prepare_shape(shape, Store(tmp_path / "data"), SMALL)["status"] == "made"


def test_files_of_another_shape_or_frame_are_refused(tree, tmp_path):
    write_theirs(tmp_path / "a", "sofa0", HEIGHTS["sofa3"])
    shape = sofas(tree, preprocessed=str(tmp_path / "a"))[0]
    with pytest.raises(StoreError, match="the given signed distances are off the mesh by 0.*another mesh or frame"):
        prepare_shape(shape, Store(tmp_path / "data"), SMALL)
    alone = SourceOptions(preprocessed=str(tmp_path / "a"), splits=str(tree / "splits"))
    write_theirs(tmp_path / "b", "sofa0", HEIGHTS["sofa2"])
    (tmp_path / f"b/SdfSamples/ShapeNetV2/{SYNSET}/sofa0.npz").rename(
        tmp_path / f"a/SdfSamples/ShapeNetV2/{SYNSET}/sofa0.npz"
    )
    with pytest.raises(StoreError, match="off the given surface points by 0.*different shapes or frames"):
        prepare_shape(list_shapes("shapenet", "sofas", train=1, options=alone)[0], Store(tmp_path / "data"), SMALL)
    with pytest.raises(PreprocessedError, match="none of the folders SdfSamples"):
        sofas(tree, preprocessed=str(tree))
    (tmp_path / "a" / "SdfSamples" / "Other" / SYNSET).mkdir(parents=True)
    with pytest.raises(PreprocessedError, match=f"{SYNSET} under Other and ShapeNetV2"):
        sofas(tree, preprocessed=str(tmp_path / "a"))


@pytest.mark.parametrize("picture", ["image", "image_rgb"])
def test_the_authors_views_are_used_and_the_fixed_one_is_rendered(tree, tmp_path, picture):
    for name in HEIGHTS:
        write_their_views(tmp_path / "views", name, picture)
    store, shapes = Store(tmp_path / "data"), sofas(tree, views=str(tmp_path / "views"))
    assert (prepare(shapes[:2], store, SMALL, jobs=1).status == "made").all()
    images, cameras = store.read_views(shapes[0], "hard")
    assert images[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert [camera.azimuth for camera in cameras] == pytest.approx([7.2, 14.4, 21.6])
    assert store.read_views(shapes[0], "fixed")[0].shape == (1, 32, 32, 3)
    assert ViewTable.read(shapes[:2], store, "cpu").images.shape == (2, 6, 3, 32, 32)
    with pytest.raises(StoreError, match="easy views are 32 pixels high: set image_size to that number"):
        prepare_shape(shapes[2], store, SMALL.model_copy(update={"image_size": 48}))


def test_views_are_read_in_the_very_form_that_the_authors_script_writes(tree, tmp_path):
    """Cameras among the pictures, in brackets with commas, by Blender's axes; pictures without a ground."""
    rng = np.random.default_rng(0)
    for kind in ("easy", "hard"):
        folder, lines = tmp_path / "views" / SYNSET / "sofa0" / kind / "image", ""
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(folder / f"{number:02d}.png")
            shift = rng.uniform(-0.2, 0.2, 3) if kind == "hard" else np.zeros(3)
            values = (120.0 * number + 13.48, 20.19, 0, 0.70, 35, 32, 1.75, *shift.tolist())
            lines += "[{},{},{},{},{},{},{},{},{},{}], \n".format(*values)
        (folder / "rendering_metadata.txt").write_text(lines)
    store, shape = Store(tmp_path / "data"), sofas(tree, views=str(tmp_path / "views"))[0]
    prepare_shape(shape, store, SMALL)
    images, cameras = store.read_views(shape, "easy")
    assert (images == 255).all() and images.shape == (3, 32, 32, 3)
    assert [camera.azimuth for camera in cameras] == pytest.approx([103.48, 223.48, 343.48])
    assert store.path("Views", shape).joinpath("easy").is_symlink()
    for number, camera in enumerate(cameras):
        around, above = np.radians([120.0 * number + 13.48, 20.19])
        direction = [np.cos(above) * np.cos(around), np.sin(above), np.cos(above) * np.sin(around)]
        np.testing.assert_allclose(camera.origin, 0.70 * 1.75 * np.array(direction), atol=1e-12)
    shifts = [camera.shift for camera in store.read_views(shape, "hard")[1]]
    rng = np.random.default_rng(0)
    for x, y, z in shifts:
        np.testing.assert_allclose([x, -z, y], rng.uniform(-0.2, 0.2, 3))
    metadata = tmp_path / "views" / SYNSET / "sofa0" / "easy" / "image" / "rendering_metadata.txt"
    metadata.write_text(metadata.read_text().replace("[253.48,", "[", 1))
    with pytest.raises(StoreError, match=r"rendering_metadata.txt, line 3: .*ten numbers"):
        store.read_views(shape, "easy")


SHORT: dict = dict(
    epochs=500,
    shapes_per_batch=3,
    points_per_shape=64,
    cross_share=0.0,
    outputs="last",
    pointpair_weight=0.0,
    warp_rate=5e-3,
    template_rate=5e-3,
    code_rate=1e-2,
    schedule="cosine",
    precision="fp32",
)
"""A training of phase 1 in seconds."""

TINY = dict(latent_dim=2, warp_hidden=24, warp_steps=2, template_hidden=24, template_layers=3, dropout=0.0)


def test_their_files_are_enough_to_train_on_and_to_be_judged_without_a_mesh(tree, tmp_path):
    """Nothing of ShapeNet is there, only what DeepSDF's tools and the authors' script wrote of four cuboids."""
    theirs, views = tmp_path / "theirs", tmp_path / "views"
    for name, height in HEIGHTS.items():
        write_theirs(theirs, name, height)
        write_their_views(views, name)
    (theirs / "splits").mkdir()
    for file in (tree / "splits").iterdir():
        (theirs / "splits" / file.name).write_bytes(file.read_bytes())
    given = dict(source="shapenet", preprocessed=str(theirs), views=str(views), validation=0)
    config = CollectionConfig(**given, coded=3, prepare=SMALL)
    collection = open_collection(tmp_path / "data", ["sofas"], config, jobs=1)
    assert [shape.id for shape in collection.shapes("sofas", "coded")] == list(HEIGHTS)[:3]
    (held_out,) = collection.shapes("sofas", "test")
    assert not held_out.has_mesh and check_collection(collection, ["sofas"], jobs=1).rows.status.eq("good").all()

    phase_1 = embedding_config(model=TINY | {"weight_norm": False}, **SHORT)
    bench = Bench(tmp_path / "runs", collection, ("sofas",), resolution=24)
    run = load_embedding(embed_category(bench, phase_1))
    for code, name in zip(run.codes, HEIGHTS, strict=False):  # each code is its own cuboid's
        half = half_sides(HEIGHTS[name])
        points = np.random.default_rng(0).uniform(-1, 1, (2000, 3)).astype(np.float32)
        truth = distance_to_cuboid(points, half / (1.03 * np.linalg.norm(half)))
        clear = np.abs(truth) > 0.06
        assert ((run.model.shape(code)(points) < 0) == (truth < 0))[clear].mean() > 0.97

    phase_2 = regression_config(encoder=dict(width=8), views_per_batch=3, epochs=2, precision="fp32")
    regress_category(bench, phase_2)
    oracle = OracleConfig(iterations=100, points=256, rate=2e-2)
    rows = read_results(evaluate_category(bench, oracle=oracle))
    assert (rows.reason == "").all() and rows.normal_consistency.isna().all()
    chamfer = rows.groupby("method").chamfer.mean()
    truth = collection.store.read_surface(held_out)
    nearest = min(
        chamfer_distance(collection.store.read_surface(shape), truth) for shape in collection.shapes("sofas", "train")
    )
    assert chamfer["oracle retrieval"] == pytest.approx(nearest, rel=0.05)
    assert chamfer["oracle code"] < nearest
    assert summarize(rows).failed.str.startswith("0 of").all()


def test_what_needs_a_mesh_says_so_where_there_is_none(tree, tmp_path):
    for name, height in HEIGHTS.items():
        write_theirs(tmp_path, name, height)
    options = SourceOptions(preprocessed=str(tmp_path), splits=str(tree / "splits"))
    shapes, store = list_shapes("shapenet", "sofas", train=9, options=options), Store(tmp_path / "data")
    with pytest.raises(ShapeNetError, match="sofa0 has no mesh.*needs sofa0/models/model_normalized.obj"):
        shapes[0].load()
    assert prepare(shapes, store, SMALL, jobs=1).status.tolist() == ["made"] * 3
    with pytest.raises(
        StoreError, match="no readable fixed views of sofa0 .*no mesh to render, so give them by --views"
    ):
        store.read_views(shapes[0], "fixed")
    report = prepare(shapes, store, SMALL.model_copy(update={"cross_samples": 50}), jobs=1)
    assert report.status.tolist() == ["failed"] * 3
    assert report.reason[0].endswith("sofa0 has none: set prepare.cross_samples to 0")
    (tmp_path / f"SurfaceSamples/ShapeNetV2/{SYNSET}/sofa0.ply").unlink()
    some = list_shapes("shapenet", "sofas", train=9, options=options)
    assert [shape.id for shape in some] == ["sofa1", "sofa2"]  # without its surface nothing could be judged


def test_the_fixed_view_of_a_shape_without_a_mesh_is_the_easy_one_that_is_nearest_to_it(tree, tmp_path):
    write_theirs(tmp_path, "sofa0", HEIGHTS["sofa0"])
    write_their_views(tmp_path / "views", "sofa0", count=50)
    where = dict(preprocessed=str(tmp_path), views=str(tmp_path / "views"), splits=str(tree / "splits"))
    shape = list_shapes("shapenet", "sofas", train=1, options=SourceOptions(**where))[0]
    store = Store(tmp_path / "data")
    prepare_shape(shape, store, SMALL)
    images, (camera,) = store.read_views(shape, "fixed")
    assert camera.azimuth == pytest.approx(324) and camera.elevation == 25  # 324 = 45 x 7.2
    assert images[0, 0, 0].tolist() == [10 * 44 % 256] * 3


def test_the_check_of_shapenet_counts_shapes_that_are_there_without_a_mesh(tree, tmp_path):
    root = tmp_path / "ShapeNet"
    shutil.copytree(tree, root)
    shutil.rmtree(root / SYNSET / "sofa0")
    shutil.rmtree(root / SYNSET / "sofa1")
    write_theirs(tmp_path, "sofa0", HEIGHTS["sofa0"])
    options = SourceOptions(folder=str(root), preprocessed=str(tmp_path))
    report = check_shapenet(options, ["sofas"], SMALL, measured=1, jobs=1)
    found = report.rows.set_index("shape_id")
    assert found.status.to_dict() == {"sofa0": "flawed", "sofa1": "missing", "sofa2": "flawed", "sofa3": "flawed"}
    assert found.reason["sofa0"] == "it has no mesh, only files that others prepared" and report.remaining == 3
    assert found.reason["sofa2"] == found.reason["sofa3"] == "its centre is 0.0229 off the origin"


def test_a_code_fitted_on_their_files_reconstructs_the_shape(tree, tmp_path):
    """Trained on three cuboids from their files, the decoder finds the fourth, which it never saw, from its file."""
    for name, height in HEIGHTS.items():
        write_theirs(tmp_path / "theirs", name, height)
    store, shapes = Store(tmp_path / "data"), sofas(tree, preprocessed=str(tmp_path / "theirs"))
    prepare(shapes, store, SMALL, jobs=1)
    config = EmbeddingConfig(model=DeepImplicitTemplateConfig(**TINY, weight_norm=False), **SHORT)
    torch.manual_seed(0)
    decoder = train_embedding(SDFTable.read(shapes[:3], store, "cpu", cross=False), config, progress=False).model
    held_out, oracle = shapes[3], OracleConfig(iterations=200, points=256, rate=2e-2)
    code = fit_codes(decoder, SDFTable.read([held_out], store, "cpu", cross=False), oracle)[0]
    mesh = extract_mesh(decoder.shape(code), 48)
    surface, _ = trimesh.sample.sample_surface(mesh, 9000, seed=0)
    truth = store.read_surface(held_out)
    distance = chamfer_distance(store.read_normalization(held_out).undo(np.asarray(surface)), truth)
    others = [chamfer_distance(store.read_surface(shape), truth) for shape in shapes[:3]]
    assert distance < 0.5 * min(others)
