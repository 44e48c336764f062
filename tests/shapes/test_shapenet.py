"""ShapeNet's tree in the form it is distributed in, written by these tests: listed, split, read, prepared, checked."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl import __main__ as cli
from tpl.chapters.shapenet.miniature import write_miniature
from tpl.dataset.checking import check_collection, check_shapenet
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig, prepare
from tpl.dataset.store import Store
from tpl.meshes import load_mesh, missing_files
from tpl.shapes import SourceOptions, list_shapes, splits
from tpl.shapes.shapenet import ShapeNetError, shapenet_shapes
from tpl.shapes.splits import SplitError, fetch_splits, read_split

SMALL = PrepareConfig(sdf_samples=400, surface_points=300, easy_views=2, hard_views=2, image_size=32)
CHAIRS = ["1007e20d5e811b308351982a6e40cf41", "1013f70851210a618f2e765c4a8ed3d", "1015e71a0d21b127de03ab2a27ba7531"]
TEST_CHAIR = "cbc47018135fc1b1462977c6d3c24550"  # the four are the first ids of DeepSDF's own files


def write_model(folder: Path, size: float = 1.0) -> None:
    """A cuboid, diagonal 1 times `size`: its left half is red and its right half blue by a texture, the top green."""
    x, y, z = np.array([2, 3, 6]) / 14 * size  # half of 2/7, 3/7, 6/7
    for name in ("models", "images"):
        (folder / name).mkdir(parents=True)
    Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).save(folder / "images" / "texture0.png")
    library = "newmtl skin\nKd 1 1 1\nmap_Kd ../images/texture0.png\n\nnewmtl top\nKd 0 1 0\n"
    (folder / "models" / "model_normalized.mtl").write_text(library)
    corners = [(a, b, c) for a in (-x, x) for b in (-y, y) for c in (-z, z)]
    lines = ["mtllib model_normalized.mtl", *(f"v {a:.9f} {b:.9f} {c:.9f}" for a, b, c in corners)]
    lines += ["vt 0.25 0.5", "vt 0.75 0.5", "usemtl skin"]
    left, right = [(1, 2, 4, 3)], [(5, 7, 8, 6)]
    lines += ["f " + " ".join(f"{v}/1" for v in face) for face in left]
    lines += ["f " + " ".join(f"{v}/2" for v in face) for face in [*right, (1, 5, 6, 2), (1, 3, 7, 5), (2, 6, 8, 4)]]
    lines += ["usemtl top", "f 3 4 8 7"]
    (folder / "models" / "model_normalized.obj").write_text("\n".join(lines) + "\n")


def write_split(folder: Path, category: str, synset: str, train: list[str], test: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, ids in {"train": train, "test": test}.items():
        (folder / f"sv2_{category}_{name}.json").write_text(json.dumps({"ShapeNetV2": {synset: ids}}))


@pytest.fixture
def tree(tmp_path):
    """Three training chairs and a test chair of the split, unpacked, and a chair of no split."""
    root = tmp_path / "ShapeNetCore.v2"
    for name in [*CHAIRS, TEST_CHAIR, "not-in-any-split"]:
        write_model(root / "03001627" / name)
    write_split(root / "splits", "chairs", "03001627", CHAIRS, [TEST_CHAIR])
    return root


def pack(tree: Path) -> None:
    """As the synset is downloaded: one archive, its folder not there."""
    with zipfile.ZipFile(tree / "03001627.zip", "w") as archive:
        for file in sorted((tree / "03001627").rglob("*")):
            archive.write(file, file.relative_to(tree))
    shutil.rmtree(tree / "03001627")


def chairs(tree: Path, **more):
    return list_shapes("shapenet", "chairs", train=9, test=9, options=SourceOptions(folder=str(tree), **more))


@pytest.mark.parametrize("packed", [False, True])
def test_the_shapes_of_the_split_are_listed_and_read_with_their_colours(tree, packed):
    unpacked = chairs(tree)
    if packed:
        pack(tree)
    shapes = chairs(tree)
    assert [(shape.id, shape.split) for shape in shapes] == [*((i, "train") for i in CHAIRS), (TEST_CHAIR, "test")]
    assert [shape.version for shape in shapes] == [shape.version for shape in unpacked]  # unpacking changes no shape
    assert all(shape.source == "shapenet" and shape.family == f"shapenet-{shape.id}" for shape in shapes)
    mesh = shapes[0].load()
    assert mesh.is_watertight and np.linalg.norm(mesh.extents) == pytest.approx(1)
    np.testing.assert_allclose(mesh.bounds[1], np.array([2, 3, 6]) / 14, atol=1e-6)  # not rescaled, not turned
    normals = map(tuple, mesh.face_normals.round())
    faces = dict(zip(normals, map(tuple, mesh.visual.face_colors), strict=True))
    assert faces[(-1, 0, 0)] == (255, 0, 0, 255) and faces[(1, 0, 0)] == (0, 0, 255, 255)
    assert faces[(0, 1, 0)] == (0, 255, 0, 255)


def test_an_unpacked_model_goes_before_the_archived_one(tree):
    pack(tree)
    write_model(tree / "03001627" / CHAIRS[1], size=0.5)
    sizes = [np.linalg.norm(shape.load().extents) for shape in chairs(tree)]
    assert sizes == pytest.approx([1, 0.5, 1, 1])


def test_counts_are_the_most_that_is_taken_and_more_only_add(tree):
    options = SourceOptions(folder=str(tree))
    few = shapenet_shapes("chairs", {"train": 2}, 0, options)
    assert [shape.id for shape in few] == CHAIRS[:2]
    most = SourceOptions(folder=str(tree), most=1)
    assert [shape.id for shape in list_shapes("shapenet", "chairs", train=2, options=most)] == CHAIRS[:1]
    more = list_shapes("shapenet+procedural", "chairs", train=3, options=options)
    assert [shape.id for shape in more][:3] == CHAIRS and {shape.source for shape in more[3:]} == {"procedural"}


def test_a_validation_split_is_set_apart_only_when_asked_for(tmp_path):
    ids = [hashlib.md5(bytes([n])).hexdigest() for n in range(200)]
    write_split(tmp_path / "splits", "sofas", "04256520", ids, ids[:1])
    assert read_split("sofas", tmp_path) == {"train": ids, "validation": [], "test": ids[:1]}
    carved = read_split("sofas", tmp_path, validation=True)
    assert 0 < len(carved["validation"]) < 30
    assert sorted(carved["train"] + carved["validation"]) == sorted(ids)
    write_split(tmp_path / "splits", "sofas", "04256520", ids[:100], [ids[150]])
    fewer = read_split("sofas", tmp_path, validation=True)  # the id alone decides
    assert fewer["validation"] == [name for name in carved["validation"] if name in ids[:100]]


def test_what_is_not_there_is_said_with_its_remedy(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no data/splits here
    with pytest.raises(ShapeNetError, match="none is given: --folder names it"):
        list_shapes("shapenet", "chairs", train=1)
    with pytest.raises(SplitError, match="no sv2_sofas_train.json in .* nor in data/splits: `tpl fetch splits`"):
        list_shapes("shapenet", "sofas", train=1, options=SourceOptions(folder=str(tree)))
    elsewhere = tmp_path / "splits"
    write_split(elsewhere, "sofas", "04256520", ["a"], ["b"])
    with pytest.raises(ShapeNetError, match="none of the 2 sofas of the split is in .*04256520"):
        list_shapes("shapenet", "sofas", train=1, options=SourceOptions(folder=str(tree), splits=str(elsewhere)))
    (elsewhere / "sv2_sofas_train.json").write_text('["a"]')
    with pytest.raises(SplitError, match="is not .*ShapeNetV2.*fetch it again"):
        read_split("sofas", tree, str(elsewhere))
    write_split(elsewhere, "sofas", "03001627", ["a"], ["b"])
    with pytest.raises(SplitError, match="lists no shapes of 04256520"):
        read_split("sofas", tree, str(elsewhere))


def test_fetched_splits_are_those_that_were_published_or_none(tmp_path, monkeypatch):
    server, folder = tmp_path / "server", tmp_path / "data"
    server.mkdir()
    published = {"sv2_chairs_train.json": b'{"ShapeNetV2": {"03001627": ["a"]}}', "sv2_chairs_test.json": b"{}"}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in published.items()}
    monkeypatch.setattr(splits, "SHA256", hashes)
    for name, content in published.items():
        (server / name).write_bytes(content + b"\n")
    files = fetch_splits(folder, server.as_uri())
    assert [file.name for file in files] == list(published)
    (server / "sv2_chairs_test.json").write_bytes(b"{ }")
    assert fetch_splits(folder, server.as_uri()) == files  # what is there is left alone
    files[1].unlink()
    with pytest.raises(SplitError, match="not the published file: its SHA-256 differs"):
        fetch_splits(folder, server.as_uri())
    assert not files[1].exists()
    with pytest.raises(SplitError, match="cannot be fetched .* without a network, copy the files"):
        fetch_splits(tmp_path / "other", (tmp_path / "nowhere").as_uri())


def test_shapes_are_prepared_and_prepared_anew_when_their_file_changes(tree, tmp_path):
    store, shapes = Store(tmp_path / "data"), chairs(tree)[:2]
    report = prepare(shapes, store, SMALL, jobs=1)
    assert report.status.tolist() == ["made", "made"] and report.watertight.all()
    samples, frame = store.read_sdf(shapes[0]), store.read_normalization(shapes[0])
    inside = (np.abs(frame.undo(samples.points)) < np.array([2, 3, 6]) / 14).all(axis=1)
    np.testing.assert_array_equal(samples.sdf < 0, inside)
    assert (tmp_path / "data" / "SdfSamples" / "shapenet" / "03001627" / f"{CHAIRS[0]}.npz").exists()
    file = tree / "03001627" / CHAIRS[0] / "models" / "model_normalized.obj"
    file.write_text(file.read_text() + "# corrected by its author\n")
    assert prepare(chairs(tree)[:2], store, SMALL, jobs=1).status.tolist() == ["made", "kept"]


def damage(tree: Path) -> None:
    """One model loses its texture, one its faces, one is not there."""
    shutil.rmtree(tree / "03001627" / CHAIRS[0] / "images")
    (tree / "03001627" / CHAIRS[1] / "models" / "model_normalized.obj").write_text("v 0 0 0\nf 1 2")
    shutil.rmtree(tree / "03001627" / CHAIRS[2])


@pytest.mark.parametrize("packed", [False, True])
def test_the_check_names_what_is_flawed_broken_missing_and_extra(tree, packed):
    damage(tree)
    if packed:
        pack(tree)
    report = check_shapenet(SourceOptions(folder=str(tree)), ["chairs"], SMALL, measured=1, jobs=1)
    found = report.rows.set_index("shape_id")
    states = ["flawed", "broken", "missing", "good", "extra"]
    assert found.loc[[*CHAIRS, TEST_CHAIR, "not-in-any-split"], "status"].tolist() == states
    assert found.reason[CHAIRS[0]] == "../images/texture0.png is missing or broken"
    assert "export it" in found.reason[CHAIRS[1]]
    table = report.table()
    assert table.values.tolist() == [["chairs", "train", 3, 0, 1, 1, 1], ["chairs", "test", 1, 1, 0, 0, 0]]
    assert report.remaining == 2 and report.cost.shapes == 1 and report.cost.seconds > 0 and report.usable
    text = report.text()
    assert f"broken, left out:\n    chairs {CHAIRS[1]}: " in text and "Shapes left to prepare: 2, in about" in text
    assert "not-in-any-split" in text and "Extrapolated from 1 that" in text


def test_the_check_says_when_a_model_is_in_another_frame(tree):
    shutil.rmtree(tree / "03001627" / CHAIRS[0])
    write_model(tree / "03001627" / CHAIRS[0], size=3.0)
    obj = tree / "03001627" / CHAIRS[1] / "models" / "model_normalized.obj"
    mesh = load_mesh(obj)
    mesh.apply_translation([0, 0.25, 0])
    mesh.visual = trimesh.visual.ColorVisuals(mesh)
    obj.write_text(mesh.export(file_type="obj"))
    report = check_shapenet(SourceOptions(folder=str(tree)), ["chairs"], SMALL, measured=0, jobs=1)
    reasons = report.rows.set_index("shape_id").reason
    assert reasons[CHAIRS[0]] == "its bounding box has a diagonal of 3, not 1"
    assert reasons[CHAIRS[1]] == "its centre is 0.25 off the origin"
    assert reasons[CHAIRS[2]] == ""


def test_a_damaged_archive_and_absent_splits_are_notes_of_the_check(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack(tree)
    whole = (tree / "03001627.zip").read_bytes()
    (tree / "03001627.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ShapeNetError, match="03001627.zip is damaged .*: download it again"):
        chairs(tree)
    report = check_shapenet(SourceOptions(folder=str(tree)), ["chairs"], SMALL, jobs=1)
    assert "03001627.zip is damaged" in report.text() and set(report.rows.status) == {"missing"} and not report.usable
    (tree / "03001627.zip").write_bytes(whole)
    shutil.rmtree(tree / "splits")
    report = check_shapenet(SourceOptions(folder=str(tree)), ["chairs"], SMALL, jobs=1)
    assert report.rows.status.tolist() == ["good"] * 5 and "`tpl fetch splits` brings it" in report.text()


def test_a_member_of_an_archive_that_is_damaged_breaks_only_its_model(tree):
    pack(tree)
    archive = tree / "03001627.zip"
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo(f"03001627/{CHAIRS[0]}/models/model_normalized.obj")
    content = bytearray(archive.read_bytes())
    content[member.header_offset + 30 + len(member.filename) + 40] ^= 0xFF
    archive.write_bytes(content)
    report = check_shapenet(SourceOptions(folder=str(tree)), ["chairs"], SMALL, measured=0, jobs=1)
    found = report.rows.set_index("shape_id")
    assert found.status[CHAIRS[0]] == "broken" and "fetch or pack it again" in found.reason[CHAIRS[0]]
    assert (found.status[CHAIRS[1:]] == "good").all()


def test_a_collection_is_checked_file_by_file(tree, tmp_path):
    counts = {"train": 3, "coded": 3, "validation": 0, "test": 1}
    config = CollectionConfig(source="shapenet", folder=str(tree), prepare=SMALL, **counts)
    collection = open_collection(tmp_path / "data", config=config)
    prepare(collection.listed("chairs")[:3], collection.store, SMALL, jobs=1)
    shape = collection.listed("chairs")[1]
    collection.store.path("SurfaceSamples", shape, ".ply").write_bytes(b"ply, once")
    report = check_collection(collection, ["chairs"], measured=1, jobs=1)
    assert report.rows.status.tolist() == ["good", "broken", "good", "missing"] and report.remaining == 1
    assert "Shapes left to prepare: 1," in report.text()
    prepare(collection.listed("chairs"), collection.store, SMALL, jobs=1)
    fewer = open_collection(tmp_path / "data", config=config.model_copy(update={"most": 1, "test": 1}))
    report = check_collection(fewer, ["chairs"], jobs=1)
    assert report.rows.status.tolist() == ["good", "good", "extra", "extra"]
    assert "Nothing is left to prepare" in report.text()


def test_the_command_prints_the_report_and_fails_only_where_nothing_is_usable(tree, tmp_path, capsys):
    damage(tree)
    cli.data("check", tree, "chairs", prepare=SMALL, measured=1, output=tmp_path / "rows.csv", jobs=1)
    assert "flawed, used as they are:" in capsys.readouterr().out
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + 5
    shutil.rmtree(tree / "03001627")
    with pytest.raises(ValueError, match="nothing in .* can be used"):
        cli.data("check", tree, "chairs", jobs=1)
    assert "4 missing:" in capsys.readouterr().out
    with pytest.raises(ShapeNetError, match="there is no folder .*nowhere"):
        cli.data("check", tmp_path / "nowhere", jobs=1)


def test_a_texture_is_found_beside_the_folder_of_the_model_and_nowhere_above(tmp_path):
    write_model(tmp_path / "a" / "model")
    file = tmp_path / "a" / "model" / "models" / "model_normalized.obj"
    assert missing_files(file) == []
    library = file.with_suffix(".mtl")
    shutil.copy(tmp_path / "a" / "model" / "images" / "texture0.png", tmp_path / "outside.png")
    library.write_text(library.read_text().replace("../images/texture0.png", "../../../outside.png"))
    assert missing_files(file) == ["../../../outside.png"]
    library.write_text(library.read_text().replace("../../../outside.png", "-s 2 2 2 ../images/texture0.png"))
    assert missing_files(file) == []
    (tmp_path / "a" / "model" / "images" / "texture0.png").write_bytes(b"not a picture")
    assert missing_files(file) == ["../images/texture0.png"]
    library.unlink()
    assert missing_files(file) == ["model_normalized.mtl"]
    assert len(load_mesh(file).faces) == 12  # it can be read all the same


def test_the_miniature_is_the_procedural_shapes_in_shapenets_form(tmp_path):
    ids = write_miniature(tmp_path, {"train": 2, "test": 1}, zipped="sofas")
    assert (tmp_path / "04256520.zip").exists() and not (tmp_path / "04256520").exists()
    for category, by_split in ids.items():
        options = SourceOptions(folder=str(tmp_path))
        found = list_shapes("shapenet", category, train=9, test=9, options=options)
        assert [shape.id for shape in found] == by_split["train"] + by_split["test"]
        made = list_shapes("procedural", category, train=2, test=1)
        for shape, original in zip(found, made, strict=True):
            mesh, truth = shape.load(), original.load()
            assert mesh.volume == pytest.approx(truth.volume, rel=1e-4) and len(mesh.faces) == len(truth.faces)
            np.testing.assert_allclose(mesh.triangles_center, truth.triangles_center, atol=1e-6)
            np.testing.assert_array_equal(mesh.visual.face_colors, truth.visual.face_colors)


def test_a_shape_is_another_when_the_code_that_reads_it_is(tree, edit_code):
    first = chairs(tree)[0].version
    edit_code("tpl.meshes.reading")
    assert chairs(tree)[0].version == first
    edit_code("tpl.meshes.reading", "LONGEST = 7")
    assert chairs(tree)[0].version != first
