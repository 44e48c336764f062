"""Your own meshes: what a folder is taken to hold, how it is divided, and that it can be prepared."""

import pickle
import sys
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.__main__ import main
from tpl.__main__ import prepare as tpl_prepare
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.dataset.store import StoreError
from tpl.meshes import MeshError
from tpl.shapes import SPLITS, Shape, SourceOptions, list_shapes
from tpl.shapes.folder import FolderError, folder_shapes, remarks, rotation

BOX = trimesh.creation.box((1.0, 2.0, 3.0))
TINY = PrepareConfig(sdf_samples=200, surface_points=100, easy_views=1, hard_views=1, image_size=16)


def write(root: Path, *names: str, mesh: trimesh.Trimesh = BOX) -> Path:
    """Meshes in the formats that their names say; "a.zip!b.obj" goes into an archive."""
    archives = defaultdict(dict)
    for name in names:
        outer, _, inner = name.rpartition("!")
        data = mesh.export(file_type=Path(name).suffix[1:].lower())
        data = data.encode() if isinstance(data, str) else data
        if outer:
            archives[outer][inner] = data
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
    for outer, members in archives.items():
        with zipfile.ZipFile(root / outer, "w") as archive:
            for inner, data in members.items():
                archive.writestr(inner, data)
    return root


def listed(root: Path, category: str = "chairs", seed: int = 0, **options) -> list[Shape]:
    chosen = SourceOptions(**{"folder": str(root), "folder_category": "chairs", **options})
    return list_shapes("folder", category, 999, 999, 999, seed, chosen)


def families(shapes: list[Shape]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for shape in shapes:
        found[shape.family].add(shape.id)
    return dict(found)


# -------------------------------------------------------------------------------------------- what is found


def test_every_format_and_each_mesh_of_an_archive_is_a_shape(tmp_path):
    names = ["a.obj", "b.OFF", "c.ply", "d.glb", "e.stl", "f.zip!in/g.obj", "f.zip!h.stl", ".hidden.obj", "x/._y.obj"]
    write(tmp_path, *names, "f.zip!__MACOSX/in/._g.obj")
    (tmp_path / "readme.txt").write_text("no mesh")
    shapes = listed(tmp_path)
    assert {shape.id for shape in shapes} == {"a", "b", "c", "d", "e", "f-in-g", "f-h"}
    for shape in shapes:
        mesh = shape.load()
        assert mesh.volume == pytest.approx(6 / 14**1.5, rel=1e-4) and mesh.visual.kind == "face", shape.id
        np.testing.assert_allclose(mesh.bounds, np.outer([-0.5, 0.5], [1, 2, 3]) / 14**0.5, atol=1e-6)
        assert (shape.source, shape.category, len(shape.version)) == ("folder", "chairs", 16)


def test_ids_are_safe_and_unique_whatever_files_are_called(tmp_path):
    names = [
        "a b.obj",
        "a_b.obj",
        "A_B.stl",
        "Stühle.obj",
        "椅子.obj",
        "x/" + 60 * "long" + ".obj",
        "-.obj",
        "wow!.obj",
    ]
    write(tmp_path, *names[:-1], "w.obj")
    (tmp_path / "w.obj").rename(tmp_path / "wow!.obj")  # no archive, for all its mark
    shapes = listed(tmp_path)
    ids = [shape.id for shape in shapes]
    assert len({name.lower() for name in ids}) == len(names)
    assert all(name.isascii() and len(name) < 100 and not set(name) & set("/ !") and name[0].isalnum() for name in ids)
    assert {"Stuhle", "wow"} <= set(ids)
    assert all(len(shape.load().faces) == 12 for shape in shapes)
    assert ids == [shape.id for shape in listed(tmp_path)]


def test_folders_called_like_categories_and_splits_say_so(tmp_path):
    write(tmp_path, "sofas/test/a.obj", "train/Sofas/oak/b.obj", "chairs.zip!validation/c.obj", "d.obj")
    found = {s.id: (c, s.split) for c in ("chairs", "sofas", "airplanes") for s in listed(tmp_path, c)}
    assert found.pop("d")[0] == "chairs"  # what lies loose is of the category that was said
    assert found == {"a": ("sofas", "test"), "oak-b": ("sofas", "train"), "c": ("chairs", "validation")}
    with pytest.raises(FolderError, match="what is .*d.obj. Say it for the whole folder, by --category chairs"):
        listed(tmp_path, folder_category="")


def test_links_that_lead_in_circles_are_not_followed(tmp_path):
    write(tmp_path, "a.obj", "b/c.obj")
    (tmp_path / "b" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert {shape.id for shape in listed(tmp_path)} == {"a", "b-c"}


# ------------------------------------------------------------------------------------------ axes


AXES = ["+x", "-x", "+y", "-y", "+z", "-z"]


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("front", AXES)
def test_top_and_front_come_to_where_they_belong(up, front):
    if up[1] == front[1]:
        with pytest.raises(FolderError, match="lie on one axis: give two, such as"):
            rotation(up, front)
        return
    axis = {name: float(name[0] + "1") * np.eye(3)["xyz".index(name[1])] for name in AXES}
    turn = rotation(up, front)
    np.testing.assert_allclose(turn @ axis[up], [0, 1, 0])
    np.testing.assert_allclose(turn @ axis[front], [0, 0, -1])
    assert np.linalg.det(turn) == pytest.approx(1)  # a rotation: nothing is mirrored


def test_a_mesh_stands_up_and_its_version_knows(tmp_path):
    write(tmp_path, "a.stl")
    (plain,), (turned,) = listed(tmp_path), listed(tmp_path, up="+z", front="-y")
    np.testing.assert_allclose(turned.load().extents, np.array([1, 3, 2]) / 14**0.5, atol=1e-6)
    assert plain.version != turned.version and turned.load().volume > 0


# ---------------------------------------------------------------------------------------- families, splits


def test_names_that_differ_in_a_number_a_version_or_copy_are_one_family(tmp_path):
    alike = ["Chair.obj", "chair_v2.stl", "chair (1).obj", "chair-03.off", "chair 4 copy.obj", "Chair version 7.obj"]
    others = ["chairs.obj", "photocopy.obj", "photo.obj", "lev3l.obj", "12.obj", "13.obj", "b/chair.obj"]
    found = families(listed(write(tmp_path, *alike, *others)))
    assert sorted(map(len, found.values()), reverse=True) == [6, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("split_by", ["family", "group", "random"])
def test_a_family_lies_in_one_split_and_there_is_something_to_judge_with(tmp_path, seed, split_by):
    rng = np.random.default_rng(seed)
    words = rng.choice(["oak", "elm", "ash", "fir", "yew", "box"], 2 + seed % 3, replace=False)
    write(tmp_path, *(f"kind{rng.integers(2)}/{word}{n}.obj" for word in words for n in range(rng.integers(1, 4))))
    write(tmp_path, "kind0/x.obj", "kind1/y.obj")
    shapes = listed(tmp_path, split_by=split_by, seed=seed)
    assert len(shapes) == len(list(tmp_path.rglob("*.obj")))
    whole = [shape.family.partition("-")[0] if split_by == "group" else shape.family for shape in shapes]
    assert all(len({s.split for s, name in zip(shapes, whole, strict=True) if name == one}) == 1 for one in whole)
    wanted = {"train", "test"} | ({"validation"} if len(set(whole)) > 2 else set())
    assert wanted <= {shape.split for shape in shapes}
    assert [shape.split for shape in shapes] == sorted((s.split for s in shapes), key=SPLITS.index)


def test_new_files_move_no_old_ones_and_fewer_are_the_first(tmp_path):
    write(tmp_path, *(f"{word}.obj" for word in "abcdefghijkl"))
    before = {shape.id: (shape.split, shape.family, shape.version) for shape in listed(tmp_path)}
    write(tmp_path, *(f"{word}.obj" for word in "mnopqrst"))
    after = {shape.id: (shape.split, shape.family, shape.version) for shape in listed(tmp_path)}
    assert before.items() <= after.items() and len(after) == 20
    options = SourceOptions(folder=str(tmp_path), folder_category="chairs")
    few, many = (folder_shapes("chairs", {"train": n}, 0, options) for n in (3, 6))
    assert [s.id for s in few] == [s.id for s in many][:3]


def test_random_splits_go_by_the_seed(tmp_path):
    write(tmp_path, *(f"chair_{n:03}.obj" for n in range(40)))
    first, second, again = ({s.id: s.split for s in listed(tmp_path, split_by="random", seed=n)} for n in (0, 1, 0))
    assert first == again != second and set(first.values()) == set(SPLITS)
    with pytest.raises(FolderError, match="all 40 chairs of .* variants of one.*--split-by random, or .* folder test/"):
        listed(tmp_path)


def test_the_version_is_that_of_the_bytes_and_of_what_they_name(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + BOX.export(file_type="obj"))
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 1 0 0\nmap_Kd a.png\nmtllib a.mtl\n")

    def version() -> str:
        return listed(tmp_path)[0].version

    versions = [version()]
    Image.new("RGB", (2, 2), "red").save(tmp_path / "a.png")
    versions.append(version())
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 0 1 0\nmap_Kd a.png\n")
    versions.append(version())
    (tmp_path / "a.obj").write_text((tmp_path / "a.obj").read_text() + "# more\n")
    versions.append(version())
    assert len(set(versions)) == 4
    (tmp_path / "a.obj").touch()
    assert version() == versions[-1]  # the same bytes at another time
    write(tmp_path, "b.zip!c.obj")
    archived = {shape.id: shape.version for shape in listed(tmp_path)}["b-c"]
    write(tmp_path, "b.zip!c.obj", mesh=trimesh.creation.icosphere(1))
    assert {shape.id: shape.version for shape in listed(tmp_path)}["b-c"] != archived


# ------------------------------------------------------------------------------------ what is refused


def test_a_folder_that_is_not_there_or_empty(tmp_path):
    with pytest.raises(FolderError, match="there is no folder '.*gone' of meshes: name yours by --folder"):
        listed(tmp_path / "gone")
    with pytest.raises(FolderError, match="there is no folder ''"):
        list_shapes("folder", "chairs", train=1)
    with pytest.raises(FolderError, match="holds no mesh: put .*.obj"):
        listed(tmp_path)


def test_a_mesh_of_one_point_is_refused_when_it_is_loaded(tmp_path):
    (tmp_path / "a.obj").write_text("v 1 1 1\nf 1 1 1\n")
    with pytest.raises(MeshError, match="a.obj: all of its vertices are one point; drop the shape"):
        listed(tmp_path)[0].load()


# ------------------------------------------------------------------------------------- the way through


def test_a_folder_is_prepared_and_says_what_it_is(tmp_path, capsys):
    meshes, data = write(tmp_path / "mine", "a.obj", "b.zip!b.glb", "c.stl"), tmp_path / "data"
    config = CollectionConfig(folder=str(meshes), prepare=TINY)
    tpl_prepare("chairs", data, config=config, jobs=1)
    assert "made" in capsys.readouterr().out
    collection = open_collection(data)
    assert (collection.config.source, collection.config.folder_category) == ("folder", "chairs")
    assert collection.categories("all") == ["chairs"]  # a chapter or a command asked for all goes on with these
    assert {shape.id for split in SPLITS for shape in collection.shapes("chairs", split)} == {"a", "b-b", "c"}
    assert (data / "SdfSamples/folder/03001627/b-b.npz").exists()
    with pytest.raises(StoreError, match="the source folder of .* has no sofas: name another category"):
        collection.categories("sofas")
    with pytest.raises(StoreError, match="no coded shape of sofas"):
        collection.shapes("sofas", "coded")

    write(meshes, "c.stl", mesh=trimesh.creation.icosphere(1))  # another mesh under the old name is made again
    report = open_collection(data).prepare(["chairs"], jobs=1).set_index("shape_id")
    assert report.status.to_dict() == {"a": "kept", "b-b": "kept", "c": "made"}


def test_a_command_that_could_prepare_nothing_fails(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine").mkdir()
    for name in ("a.obj", "b.obj"):
        (tmp_path / "mine" / name).write_text("v 0 0 0\n")
    given = ["--folder", "mine", "--category", "chairs", "--data", "data", "--jobs", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tpl", "prepare", *given])
    with pytest.raises(SystemExit, match=r"^tpl: none of 2 shapes can be used; data/report.csv says why of each$"):
        main()
    assert "failed: a: " in capsys.readouterr().out and (tmp_path / "data" / "report.csv").exists()


@pytest.mark.parametrize("command", [["train", "embedding"], ["evaluate"]])
def test_a_misspelt_data_folder_is_refused_and_not_made(tmp_path, monkeypatch, command):
    monkeypatch.setattr(sys, "argv", ["tpl", *command, "--data", str(tmp_path / "qiuck"), "--device", "cpu"])
    with pytest.raises(SystemExit, match="no prepared shapes in .*qiuck: run `tpl prepare"):
        main()
    assert list(tmp_path.iterdir()) == []


def test_a_shape_of_a_folder_travels_to_other_processes(tmp_path):
    (shape,) = listed(write(tmp_path, "a.obj"))
    assert len(pickle.loads(pickle.dumps(shape)).load().faces) == 12


def test_a_shape_is_another_when_the_code_that_reads_it_is(tmp_path, edit_code):
    folder = tmp_path / "meshes"
    write(folder, "a.obj")
    first = listed(folder)[0].version
    edit_code("tpl.meshes.reading")
    edit_code("tpl.shapes.procedural.parts", "ROUND = 7")
    assert listed(folder)[0].version == first
    edit_code("tpl.meshes.reading", "LONGEST = 7")
    assert listed(folder)[0].version != first


def test_folders_in_the_singular_say_their_category_too(tmp_path):
    write(tmp_path, "chair/a.obj", "Sofa/b.obj", "airplane/c.obj")
    ids = [shape.id for category in ("chairs", "sofas", "airplanes") for shape in listed(tmp_path, category)]
    assert ids == ["a", "b", "c"]


def test_fronts_are_those_of_the_table_the_options_and_the_form(tmp_path):
    """A box whose front is its short side: where it comes to lie tells which way it was turned."""
    arrow = BOX.copy()
    arrow.apply_translation([0, 0, 5])
    tip = trimesh.creation.box((0.2, 0.2, 0.2))
    write(tmp_path, "a.obj", "b.glb", "c.obj", mesh=trimesh.util.concatenate([arrow, tip]))
    (tmp_path / "fronts.csv").write_text("file,front\nc.obj,+x\n")

    def turned(**options) -> dict[str, list[float]]:
        return {shape.id: np.round(shape.load().extents, 2).tolist() for shape in listed(tmp_path, **options)}

    first = turned()
    assert first["a"] == first["b"] and first["c"] == first["a"][::-1]
    versions = {shape.id: shape.version for shape in listed(tmp_path)}
    other = {shape.id: shape.version for shape in listed(tmp_path, front="-z")}
    assert versions["a"] == other["a"] and versions["b"] != other["b"] and versions["c"] == other["c"]
    (tmp_path / "fronts.csv").write_text("file,front\nc.obj,ahead\n")
    with pytest.raises(FolderError, match="fronts.csv cannot be read .c.obj has front 'ahead'; there are"):
        listed(tmp_path)


def test_what_is_left_out_and_assumed_is_said(tmp_path):
    write(tmp_path, "a.obj", "b.glb")
    for name in ("x.blend", "y.FBX", "z.fbx", "readme.txt"):
        (tmp_path / name).write_text("no mesh")
    left, facing = remarks(SourceOptions(folder=str(tmp_path)))
    assert left == "left out: 3 files of formats that are not read (1 .blend, 2 .fbx); convert them"
    assert facing == "1 files of GLB or glTF look along +z, as their form says; --front says otherwise"
    assert remarks(SourceOptions(folder=str(tmp_path), front="-z")) == [left]


def test_a_description_keeps_paths_that_hold_from_anywhere(tmp_path, monkeypatch):
    write(tmp_path / "mine", "a.obj")
    monkeypatch.chdir(tmp_path)
    open_collection("data", config=CollectionConfig(source="folder", folder="mine", folder_category="chairs"))
    monkeypatch.chdir("/")
    collection = open_collection(tmp_path / "data")
    assert collection.config.folder == str(tmp_path / "mine") and len(collection.listed("chairs")) == 1
