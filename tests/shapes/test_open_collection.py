"""The open collection: its catalogue, its splits, how its packages are fetched, and its credits."""

import hashlib
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tpl.shapes import CATEGORIES, SourceOptions, open_catalog, open_fetching
from tpl.shapes.open_catalog import CATALOG, OpenShape, Package, read_catalog, read_packages
from tpl.shapes.open_collection import HELD_OUT, open_shapes
from tpl.shapes.open_meshes import mesh_version
from tpl.shapes.packages import FetchError

ROOT = Path(__file__).parents[2]
ALL = {"train": 999, "validation": 0, "test": 999}


@pytest.fixture()
def fetched(tmp_path):
    """As after fetching, but that the folders are empty: enough to list shapes."""
    for shape in read_catalog():
        folder = shape.folder(tmp_path)
        folder.mkdir(parents=True)
        (folder / open_catalog.PACKAGE_FILE).write_text(read_packages()[shape.package].sha256)
    return tmp_path


# ----------------------------------------------------------------------------------------- the catalogue


def test_every_shape_has_its_licence_its_creator_and_a_proper_rotation():
    catalog = read_catalog()
    assert Counter(shape.category for shape in catalog) == {"chairs": 70, "sofas": 29, "airplanes": 153}
    assert len({shape.id for shape in catalog}) == 252
    for shape in catalog:
        assert shape.licence and shape.creator and shape.name and shape.files
        assert re.fullmatch(r"[\w.+-]+", shape.id) and re.fullmatch(r"[\w.+-]+", shape.family)
        rotation = np.array(shape.rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-7)
        assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-7)
        assert shape.package in read_packages()
        for name in shape.files:  # nothing of a package is written outside the shape's folder
            assert not Path(name).is_absolute() and ".." not in Path(name).parts


def test_a_family_lies_in_one_split_and_groups_do_too(fetched):
    for category in CATEGORIES:
        by_split = {}
        for split_by in ("family", "group"):
            options = SourceOptions(split_by=split_by)
            shapes = open_shapes(category, ALL, 0, options, fetched)
            assert len(shapes) == sum(shape.category == category for shape in read_catalog())
            families = {split: {s.family for s in shapes if s.split == split} for split in ("train", "test")}
            assert not families["train"] & families["test"]
            by_split[split_by] = shapes
        kinds = {s: {shape.family.split("-")[0] for shape in by_split["group"] if shape.split == s} for s in ALL}
        assert not kinds["train"] & kinds["test"]
        assert len(kinds["test"]) == len(HELD_OUT[category])
        share = np.mean([shape.split == "test" for shape in by_split["group"]])
        assert 0.19 < share < 0.26


def test_validation_is_made_of_training_families_and_only_where_asked_for(fetched):
    for category in CATEGORIES:
        without = open_shapes(category, ALL, 0, SourceOptions(), fetched)
        with_it = open_shapes(category, {**ALL, "validation": 6}, 0, SourceOptions(), fetched)
        split = {shape.id: shape.split for shape in without}
        assert set(split) == {shape.id for shape in with_it}
        moved = {shape.id for shape in with_it if shape.split != split[shape.id]}
        assert 0 < len(moved) <= 6
        assert all(split[name] == "train" for name in moved)
        families = {s: {shape.family for shape in with_it if shape.split == s} for s in ("train", "validation")}
        assert not families["train"] & families["validation"]


def test_fewer_shapes_are_the_first_of_more(fetched):
    few = open_shapes("airplanes", {"train": 10, "test": 3}, 0, SourceOptions(), fetched)
    more = open_shapes("airplanes", {"train": 20, "test": 5}, 0, SourceOptions(), fetched)
    assert [shape.id for shape in few] == [*(s.id for s in more[:10]), *(s.id for s in more[20:23])]


def test_armchairs_count_as_sofas_where_wanted_in_the_split_of_the_chair(fetched):
    sofas = open_shapes("sofas", ALL, 0, SourceOptions(armchairs_as_sofas=True), fetched)
    chairs = {shape.id: shape for shape in open_shapes("chairs", ALL, 0, SourceOptions(), fetched)}
    both = [shape for shape in sofas if shape.id in chairs]
    assert len(sofas) == 29 + len(both) and len(both) >= 12
    assert all(shape.category == "sofas" and shape.split == chairs[shape.id].split for shape in both)


def test_shapes_that_are_not_fetched_name_the_command(tmp_path):
    with pytest.raises(FetchError, match="flightgear-data-ai.*are not here: run `tpl fetch open`"):
        open_shapes("airplanes", ALL, 0, SourceOptions(), tmp_path)


def test_the_credits_page_has_a_row_for_every_shape():
    page = (ROOT / "book/credits.md").read_text()
    for shape in read_catalog():
        assert f"| {shape.id} | {shape.name} | {shape.creator} | {shape.licence} | {shape.package} |" in page


# ------------------------------------------------------------------------------------------- fetching


TRIANGLE = b"v 0 0 0\nv 0 2 0\nv 0 0 1\nv 1 0 0\nf 1 2 3\nf 1 2 4\n"


@pytest.fixture()
def archive(tmp_path, monkeypatch):
    """A catalogue of three shapes in two packages, which a fake apt-get has; tar stands for dpkg-deb."""
    tree = tmp_path / "tree"
    (tree / "one/usr/share").mkdir(parents=True)
    with zipfile.ZipFile(tree / "one/usr/share/models.sh3f", "w") as inner:
        inner.writestr("deep/chair.obj", TRIANGLE)
    (tree / "two/usr/share").mkdir(parents=True)
    (tree / "two/usr/share/stool.obj").write_bytes(TRIANGLE)
    packages = {}
    tools = tmp_path / "bin"
    tools.mkdir()
    debs = tmp_path / "debs"
    debs.mkdir()
    for name in ("one", "two"):
        shutil.make_archive(str(debs / name), "tar", tree / name)
        file = (debs / f"{name}.tar").rename(debs / f"{name}_1-1_all.deb")
        sha = hashlib.sha256(file.read_bytes()).hexdigest()
        packages[name] = Package(version="1-1", size=file.stat().st_size, sha256=sha)
    _tool(tools / "apt-get", f'echo "$2" >> {tmp_path}/asked; cp {debs}/${{2%=*}}_1-1_all.deb .')
    _tool(tools / "dpkg-deb", 'cat "$2"')
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    common = {"category": "chairs", "name": "a", "creator": "b", "licence": "c", "kind": "chair", "split": "train"}
    common["rotation"] = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    in_archive = {"archive": "usr/share/models.sh3f", "files": {"chair.obj": "deep/chair.obj"}, "package": "one"}
    shapes = [
        OpenShape(id="first", family="f", **in_archive, **common),
        OpenShape(id="second", family="s", size_cm=[1, 1, 2], **in_archive, **common),
        OpenShape(id="third", family="t", files={"stool.obj": "usr/share/stool.obj"}, package="two", **common),
    ]
    _use(monkeypatch, shapes, packages)
    return tmp_path, shapes, packages


def _use(monkeypatch, shapes, packages):
    from tpl.shapes import open_collection, open_meshes

    for module in (open_catalog, open_collection, open_fetching, open_meshes):
        for name, value in (("read_catalog", shapes), ("read_packages", packages)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda value=value: value)


def _tool(file, script):
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_what_was_fetched_is_kept_and_the_meshes_are_turned_and_scaled(archive):
    folder, _, _ = archive
    data = folder / "data"
    open_fetching.fetch_open(data)
    assert (folder / "asked").read_text().split() == ["one=1-1", "two=1-1"]
    assert sorted(file.name for file in data.iterdir()) == ["open"]  # no package is left
    open_fetching.fetch_open(data)
    shutil.rmtree(data / "open/files/third")
    open_fetching.fetch_open(data)  # what is missing is fetched again, and no more
    assert (folder / "asked").read_text().split() == ["one=1-1", "two=1-1", "two=1-1"]

    shapes = {shape.id: shape for shape in open_shapes("chairs", ALL, 0, SourceOptions(), data)}
    mesh = shapes["first"].load()
    extents = np.ptp(mesh.vertices, axis=0)
    np.testing.assert_allclose(extents, np.array([2, 1, 1]) / 6**0.5)  # x, y, z of the file are 1, 2, 1
    np.testing.assert_allclose(mesh.bounds.mean(axis=0), 0, atol=1e-12)
    stretched = np.ptp(shapes["second"].load().vertices, axis=0)
    np.testing.assert_allclose(stretched, np.array([1, 1, 2]) / 6**0.5)
    again = shapes["first"].load()  # from what is kept
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.visual.face_colors, mesh.visual.face_colors)
    assert mesh.visual.face_colors[:, :3].max() <= 204


def test_packages_put_there_are_used_and_left(archive, monkeypatch):
    folder, _, _ = archive
    data = folder / "data"
    _tool(folder / "bin/apt-get", "echo \"E: Version '1-1' for 'one' was not found\" >&2; exit 100")
    with pytest.raises(FetchError, match=r"was not found.*put one_1-1_all.deb, two_1-1_all.deb.* into .*/packages"):
        open_fetching.fetch_open(data)
    assert list(data.iterdir()) == []
    shutil.copytree(folder / "debs", data / "packages")
    open_fetching.fetch_open(data)
    assert len(list((data / "packages").iterdir())) == 2 and len(list((data / "open/files").iterdir())) == 3


def test_another_file_under_the_packages_name_is_refused(archive):
    folder, _, _ = archive
    data = folder / "data"
    (folder / "debs/one_1-1_all.deb").write_bytes(b"other")
    with pytest.raises(FetchError, match="one_1-1_all.deb came with another SHA-256 than the catalogue has: put"):
        open_fetching.fetch_open(data)
    shutil.copytree(folder / "debs", data / "packages")
    with pytest.raises(FetchError, match="is not one 1-1 .its SHA-256 differs."):
        open_fetching.fetch_open(data)
    assert not (data / "open").exists()


def test_a_package_without_a_file_writes_nothing_of_that_shape(archive, monkeypatch):
    folder, shapes, packages = archive
    _use(monkeypatch, [shapes[0], shapes[1].model_copy(update={"files": {"b.obj": "b.obj"}}), shapes[2]], packages)
    with pytest.raises(FetchError, match="no item named 'b.obj'.*another version of the package"):
        open_fetching.fetch_open(folder / "data")
    assert [file.name for file in (folder / "data/open/files").iterdir()] == ["first"]


def test_without_apt_a_sentence_says_which_files_to_put_where(archive, monkeypatch):
    folder, _, _ = archive
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FetchError, match="this machine has no apt-get.*; or put one_1-1_all.deb"):
        open_fetching.fetch_open(folder / "data")


def test_the_catalogue_file_is_one_shape_a_line_and_has_no_field_of_its_own():
    lines = CATALOG.read_text().splitlines()
    assert len(lines) == 254 and json.loads(lines[1].rstrip(","))["id"] == read_catalog()[0].id


def test_a_shape_is_another_when_the_code_that_makes_its_mesh_is(edit_code):
    entry = read_catalog()[0]
    first = mesh_version(entry)
    edit_code("tpl.meshes.ac3d")
    edit_code("tpl.shapes.packages", "TRIES = 7")  # the package is known by a hash of its own
    assert mesh_version(entry) == first
    edit_code("tpl.meshes.ac3d", "LONGEST = 7")
    assert mesh_version(entry) != first
