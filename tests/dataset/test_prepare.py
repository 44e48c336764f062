"""The files of a data set: read by a reader written from their description alone, kept, resumed, and honest."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.dataset.batches import SDFTable, ViewTable
from tpl.dataset.collection import Collection, CollectionConfig, open_collection, options_of
from tpl.dataset.prepare import SAME_FILES, PrepareConfig, cross_pool, is_current, prepare, prepare_shape
from tpl.dataset.store import FILES, Store, StoreError, check_space
from tpl.files import RUN, BusyError
from tpl.geometry.primitives import sphere
from tpl.meshes.sdf import SdfSamples, signed_distance
from tpl.rendering import Camera
from tpl.rendering.pose import pose_numbers
from tpl.settings import SettingsError
from tpl.shapes import Shape, list_shapes
from tpl.shapes.shape import categories_of

SMALL = PrepareConfig(sdf_samples=600, cross_samples=200, surface_points=500, easy_views=2, hard_views=2, image_size=32)


def ball(radius: float) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh.visual.face_colors = [90, 120, 150, 255]
    return mesh


def broken() -> trimesh.Trimesh:
    raise ValueError("this mesh lost its faces")


def shape(name: str, load, split: str = "train") -> Shape:
    return Shape(name, "chairs", name, split, load, "balls", "this")


BALLS = [shape(f"ball-{n}", partial(ball, 0.25 + 0.05 * n)) for n in range(3)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("data"))
    shapes = [*BALLS, shape("broken", broken), shape("seen-last", partial(ball, 0.3), "test")]
    return store, shapes, prepare(shapes, store, SMALL, jobs=1)


def test_the_files_are_those_of_the_description(prepared):
    """A reader from the layout's description alone: no name of `tpl.dataset.store` is used."""
    store, _, _ = prepared
    stem = "balls/03001627/ball-1"
    with np.load(store.root / f"SdfSamples/{stem}.npz") as arrays:
        assert set(arrays) == {"pos", "neg"}
        assert arrays["pos"].dtype == np.float32 and (arrays["pos"][:, 3] > 0).all()
        assert (arrays["neg"][:, 3] <= 0).all()
        rows = np.concatenate([arrays["pos"], arrays["neg"]])
    assert rows.shape == (600, 4)
    with np.load(store.root / f"NormalizationParameters/{stem}.npz") as arrays:
        offset, scale = arrays["offset"], arrays["scale"]
    assert offset.shape == (3,) and scale.shape == (1,)
    radius = 0.3 * scale[0]  # of the ball in the normalised frame: 1 / 1.03
    assert radius == pytest.approx(1 / 1.03, abs=1e-3)
    np.testing.assert_allclose(rows[:, 3], np.linalg.norm(rows[:, :3], axis=1) - radius, atol=0.01)
    cloud = trimesh.load(store.root / f"SurfaceSamples/{stem}.ply")
    np.testing.assert_allclose(np.linalg.norm(cloud.vertices, axis=1), 0.3, atol=0.01)  # raw units
    for kind, count in {"easy": 2, "hard": 2, "fixed": 1}.items():
        folder = store.root / f"Views/{stem}/{kind}"
        assert sorted(file.name for file in (folder / "image").iterdir()) == [f"{n:02d}.png" for n in range(count)]
        with Image.open(folder / "image/00.png") as image:
            assert image.size == (32, 32)
        lines = (folder / "rendering_metadata.txt").read_text().splitlines()
        assert all(line.split()[4:7] == ["35.0", "32.0", "1.75"] for line in lines) and len(lines) == count


def test_what_deepsdf_writes_is_read(tmp_path):
    """Empty `neg`, NaN rows, double precision and dummy faces all occur in its files."""
    store, one = Store(tmp_path), BALLS[0]
    for kind, suffix in {"SdfSamples": ".npz", "SurfaceSamples": ".ply", "NormalizationParameters": ".npz"}.items():
        store.path(kind, one, suffix).parent.mkdir(parents=True)
    pos = np.array([[0, 0, 0.9, 0.2], [np.nan, 0, 0, 0.1], [0.5, 0, 0, 0.1]])
    np.savez(store.path("SdfSamples", one, ".npz"), pos=pos, neg=np.zeros((0, 4)))
    samples = store.read_sdf(one)
    np.testing.assert_allclose(samples.sdf, [0.2, 0.1])
    trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]).export(store.path("SurfaceSamples", one, ".ply"))
    assert store.read_surface(one).shape == (3, 3)
    np.savez(store.path("NormalizationParameters", one, ".npz"), offset=np.ones(3), scale=np.float32(2))
    np.testing.assert_allclose(store.read_normalization(one).apply(np.zeros((1, 3))), 2)


def test_a_failure_is_a_row_with_its_reason_and_stops_nothing(prepared):
    _, shapes, report = prepared
    assert report.status.tolist() == ["made", "made", "made", "failed", "made"]
    assert report.reason[3] == "ValueError: this mesh lost its faces"
    assert report.shape_id.tolist() == [one.id for one in shapes]


def test_two_processes_do_not_prepare_in_one_folder(tmp_path):
    store, config = Store(tmp_path), SMALL.model_copy(update={"cross_samples": 0})

    def contested() -> trimesh.Trimesh:
        with pytest.raises(BusyError, match=f"process {os.getpid()} on .* has been working in {tmp_path}"):
            prepare(BALLS[1:], store, config, jobs=1)
        with pytest.raises(BusyError):
            open_collection(tmp_path, config=CollectionConfig())  # what is prepared would not be what it says
        return ball(0.3)

    report = prepare([shape("contested", contested)], store, config, jobs=1)
    assert report.status.tolist() == ["made"], report.reason.tolist()
    assert not (tmp_path / ".lock").exists() and not (tmp_path / "collection.json").exists()


def test_cross_samples_lie_near_the_others_and_are_this_shapes_distances(prepared):
    store, _, _ = prepared
    samples = store.read_sdf(BALLS[2], "CrossSamples")
    assert len(samples.sdf) == 200
    radius = 0.35 * store.read_normalization(BALLS[2]).scale
    np.testing.assert_allclose(samples.sdf, sphere(radius)(samples.points), atol=0.01)
    pool = cross_pool(BALLS, store, seed=0)
    assert pool.shape == (3 * 64, 3)
    near = np.abs(np.linalg.norm(samples.points, axis=1) - radius) < 0.1
    assert near.mean() > 0.7  # normalised balls coincide, so three quarters lie near this one's surface, too


def test_a_shape_held_out_has_cross_samples_and_lends_none(prepared, tmp_path):
    """The training shapes' samples are the same to the last bit, whatever else the data set holds."""
    store, shapes, _ = prepared
    held_out = store.read_sdf(shapes[-1], "CrossSamples")
    radius = 0.3 * store.read_normalization(shapes[-1]).scale
    np.testing.assert_allclose(held_out.sdf, sphere(radius)(held_out.points), atol=0.01)
    alone = Store(tmp_path)
    prepare(BALLS, alone, SMALL, jobs=1)
    for of_training in BALLS:
        with_others, without = (place.read_sdf(of_training, "CrossSamples") for place in (store, alone))
        np.testing.assert_array_equal(with_others.points, without.points)


def test_prepared_again_nothing_is_touched(prepared):
    store, shapes, _ = prepared
    files = sorted(path for path in store.root.rglob("*") if path.is_file() and path.name != "report.csv")
    before = [path.stat().st_mtime_ns for path in files]
    report = prepare(shapes, store, SMALL, jobs=1)
    assert report.status.tolist() == ["kept", "kept", "kept", "failed", "kept"]
    assert before == [path.stat().st_mtime_ns for path in files]


def test_the_same_seed_makes_the_same_bytes_alone_or_in_company(prepared, tmp_path):
    store, _, _ = prepared
    other = Store(tmp_path)
    prepare_shape(BALLS[1], other, SMALL)
    for kind, suffix in {"SdfSamples": ".npz", "SurfaceSamples": ".ply"}.items():
        first, second = (place.path(kind, BALLS[1], suffix).read_bytes() for place in (store, other))
        assert first == second


def test_what_another_folder_holds_is_taken_over_and_stays_there(prepared, tmp_path):
    store, _, _ = prepared
    other = Store(tmp_path)
    other.adopt(BALLS[1], store)
    assert prepare_shape(BALLS[1], other, SMALL)["status"] == "kept"
    assert other.fingerprint(BALLS[1:2]) == store.fingerprint(BALLS[1:2])
    np.testing.assert_array_equal(other.read_views(BALLS[1], "hard")[0], store.read_views(BALLS[1], "hard")[0])
    before = store.path("SdfSamples", BALLS[1], ".npz").read_bytes()
    other.write_sdf(BALLS[1], SdfSamples(np.zeros((1, 3), np.float32), np.ones(1, np.float32)))
    assert store.path("SdfSamples", BALLS[1], ".npz").read_bytes() == before


def test_other_settings_prepare_anew_and_change_the_fingerprint(tmp_path):
    store = Store(tmp_path)
    prepare_shape(BALLS[0], store, SMALL)
    old = store.fingerprint(BALLS[:1])
    row = prepare_shape(BALLS[0], store, SMALL.model_copy(update={"seed": 1}))
    assert row["status"] == "made" and store.fingerprint(BALLS[:1]) != old


def test_shapes_of_another_version_are_made_again(tmp_path):
    store = Store(tmp_path)
    prepare_shape(BALLS[0], store, SMALL)
    store.write_record(BALLS[0], {**store.read_record(BALLS[0]), "version": "older"})
    assert prepare_shape(BALLS[0], store, SMALL)["status"] == "made"
    assert store.read_record(BALLS[0])["version"] == "this"


def test_a_shape_without_its_record_is_not_prepared(tmp_path):
    store = Store(tmp_path)
    prepare_shape(BALLS[0], store, SMALL)
    store.path("Prepared", BALLS[0], ".json").write_text("{ half")
    with pytest.raises(StoreError, match="1 of 1 shapes are not prepared.*ball-0.*chapter 01"):
        store.fingerprint(BALLS[:1])
    assert prepare_shape(BALLS[0], store, SMALL)["status"] == "made"


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"config": {}, "version": "this", "card": {}}', '{"config": 3}'])
def test_a_record_that_says_nothing_is_none(tmp_path, text):
    """So the next `prepare` writes it anew; `{}` was taken for a record once, and nothing healed it."""
    store = Store(tmp_path)
    file = store.path("Prepared", BALLS[0], ".json")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert store.read_record(BALLS[0]) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'"])
def test_a_broken_file_of_a_shape_names_itself_and_the_remedy(tmp_path, content):
    store = Store(tmp_path)
    reads = {
        "SdfSamples": (".npz", store.read_sdf),
        "NormalizationParameters": (".npz", store.read_normalization),
        "SurfaceSamples": (".ply", store.read_surface),
    }
    for kind, (suffix, read) in reads.items():
        file = store.path(kind, BALLS[0], suffix)
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        with pytest.raises(
            StoreError, match=rf"{file.name} cannot be read .*: remove .*ball-0.json and run `tpl prepare`"
        ):
            read(BALLS[0])


def test_what_earlier_code_made_by_rules_is_current_and_of_found_shapes_is_not():
    record = {"config": SMALL.model_dump(), "version": "this", "code": SAME_FILES[0]}
    made = Shape("a", "chairs", "a", "train", broken, "procedural", "this")
    assert is_current(record, made, SMALL) and not is_current(record, BALLS[0], SMALL)


def test_reading_what_is_not_there_names_the_remedy(tmp_path):
    store = Store(tmp_path)
    for read in (store.read_sdf, store.read_surface, store.read_normalization, lambda s: store.read_views(s, "easy")):
        with pytest.raises(StoreError, match="tpl prepare"):
            read(BALLS[0])


def test_writing_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    store = Store(tmp_path)
    samples = SdfSamples(np.zeros((1, 3), np.float32), np.ones(1, np.float32))
    store.write_sdf(BALLS[0], samples)

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        store.write_sdf(BALLS[0], SdfSamples(samples.points, 2 * samples.sdf))
    assert store.read_sdf(BALLS[0]).sdf[0] == 1
    assert os.listdir(store.path("SdfSamples", BALLS[0]).parent) == ["ball-0.npz"]


def test_a_disk_that_is_too_small_is_refused_before_the_work(tmp_path):
    with pytest.raises(StoreError, match="needs about 1000000000.0 GB"):
        check_space(tmp_path / "new", 10**18)


def test_views_keep_their_order_and_cameras(tmp_path):
    store, rng = Store(tmp_path), np.random.default_rng(0)
    images = rng.integers(0, 255, (12, 8, 8, 4), dtype=np.uint8)
    images[..., 3] = 255
    cameras = [Camera(float(n), 20.0, 1.5) for n in range(12)]
    store.write_views(BALLS[0], "easy", images, cameras)
    read, found = store.read_views(BALLS[0], "easy")
    np.testing.assert_array_equal(read, images[..., :3])
    assert found == cameras


def test_transparent_ground_becomes_white(tmp_path):
    store = Store(tmp_path)
    store.write_views(BALLS[0], "easy", np.zeros((1, 4, 4, 4), np.uint8), [Camera(0.0, 20.0, 1.5)])
    assert (store.read_views(BALLS[0], "easy")[0] == 255).all()


def test_a_collection_describes_itself_and_prepares_what_is_missing(tmp_path):
    config = CollectionConfig(train=3, coded=2, validation=1, test=1, prepare=SMALL)
    first = open_collection(tmp_path / "data", ["sofas"], config, jobs=1)
    assert [len(first.shapes("sofas", split)) for split in ("train", "coded", "validation", "test")] == [3, 2, 1, 1]
    again = open_collection(tmp_path / "data")
    assert again.config == config
    assert [s.id for s in again.shapes("sofas", "coded")] == [s.id for s in again.shapes("sofas", "train")][:2]
    assert again.trial_split("sofas") == "validation"
    none = open_collection(tmp_path / "none", ["sofas"], config.model_copy(update={"validation": 0}), jobs=1)
    assert none.trial_split("sofas") == "coded"
    with pytest.raises(StoreError, match="no train shape of chairs is prepared"):
        again.shapes("chairs", "train")
    one = again.shapes("sofas", "test")[0]
    samples = again.store.read_sdf(one)
    sdf = signed_distance(one.load())
    raw = again.store.read_normalization(one)
    near = np.abs(samples.sdf) < 0.05
    np.testing.assert_allclose(sdf(raw.undo(samples.points[near])) * raw.scale, samples.sdf[near], atol=1e-4)


def test_small_shapes_come_after_the_others_and_change_nothing_of_them(tmp_path):
    config = CollectionConfig(train=2, coded=2, validation=1, test=0, prepare=SMALL)
    amounts = {"small": 2, "small_sdf_samples": 100, "small_cross_samples": 60, "small_surface_points": 50}
    without = open_collection(tmp_path / "without", ["sofas"], config, jobs=1)
    with_small = open_collection(tmp_path / "with", ["sofas"], config.model_copy(update=amounts), jobs=1)
    store, whole = with_small.store, with_small.shapes("sofas", "train")
    assert without.store.fingerprint(whole, cross=True) == store.fingerprint(whole, cross=True)
    seen = with_small.shapes("sofas", "seen")
    assert [shape.id for shape in seen[:2]] == [shape.id for shape in whole] and len(seen) == 4
    assert {shape.split for shape in seen} == {"train"} and without.shapes("sofas", "seen") != seen
    for shape in seen[2:]:
        counts = [len(store.read_sdf(shape, kind).sdf) for kind in ("SdfSamples", "CrossSamples")]
        assert counts == [100, 60] and len(store.read_surface(shape)) == 50
    table, views = SDFTable.read(seen, store, "cpu", cross=True), ViewTable.read(seen, store, "cpu", poses=True)
    assert table.samples.shape == (4, 100, 4) and table.cross.shape == (4, 60, 4) and len(views) == 4
    camera, frame = store.read_views(seen[3], "hard")[1][1], store.read_normalization(seen[3])
    assert views.poses is not None
    np.testing.assert_allclose(views.poses[3, 3], pose_numbers(camera, frame), rtol=1e-5)

    report = with_small.prepare(["sofas"], jobs=1)
    assert report.status.tolist() == ["kept"] * 5
    more = config.model_copy(update={"train": 3} | amounts | {"small": 1})  # one of the small ones becomes whole
    larger = open_collection(tmp_path / "with", ["sofas"], more, jobs=1)
    assert [shape.id for shape in larger.shapes("sofas", "seen")] == [shape.id for shape in seen]
    assert len(store.read_sdf(seen[2]).sdf) == 600 and len(store.read_sdf(seen[3]).sdf) == 100
    adopted = Collection(tmp_path / "adopted", more)
    adopted.adopt(larger, ["sofas"])
    assert adopted.is_complete("sofas")


@pytest.mark.parametrize("kind", FILES)
def test_what_was_removed_of_a_shape_is_made_again_to_the_byte(tmp_path, kind):
    """As where somebody removes a folder while shapes are prepared: their records alone would say that all is there."""
    amounts = SMALL.model_copy(update={"sdf_samples": 100, "cross_samples": 20, "surface_points": 100})
    config = CollectionConfig(train=2, coded=1, validation=0, test=0, prepare=amounts)
    collection = open_collection(tmp_path / "data", ["sofas"], config, jobs=1)
    before = contents(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / kind)
    assert collection.prepare(["sofas"], jobs=1).status.tolist() == ["made", "made"]
    assert contents(tmp_path / "data") == before
    lost = collection.store.path(kind, collection.listed("sofas")[0], FILES[kind])
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert collection.prepare(["sofas"], jobs=1).status.tolist() == ["made", "kept"]
    assert contents(tmp_path / "data") == before


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != "report.csv")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


OPENS = """
import sys
from tpl.dataset.collection import open_collection
print(len(open_collection(sys.argv[1], ["sofas"], jobs=1).shapes("sofas", "train")))
"""


def test_chapters_of_one_run_that_need_the_same_shapes_wait_for_each_other(tmp_path):
    config = CollectionConfig(train=3, coded=2, validation=1, test=1, prepare=SMALL)
    open_collection(tmp_path, config=config)  # described, and nothing prepared
    command, variables = [sys.executable, "-c", OPENS, str(tmp_path)], {**os.environ, RUN: "this one"}
    both = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=300)[0] for process in both] == ["3\n", "3\n"]


def test_what_a_source_was_told_is_kept_where_a_collection_is_described_anew(tmp_path):
    told = {"folder": "my_chairs", "folder_category": "chairs", "up": "+z", "front": "-y"}
    open_collection(tmp_path, config=CollectionConfig(source="folder", **told))
    found = options_of(tmp_path, "folder")
    assert found.items() >= (told | {"folder": str(Path("my_chairs").resolve())}).items() and "train" not in found
    assert options_of(tmp_path, "procedural") == options_of(tmp_path / "new", "folder") == {}
    (tmp_path / "collection.json").write_text("[")
    with pytest.raises(StoreError, match="remove it and prepare anew"):
        options_of(tmp_path, "folder")


def test_a_broken_description_and_a_wrong_category_are_refused(tmp_path):
    (tmp_path / "collection.json").write_text(json.dumps({"trains": 3}))
    with pytest.raises(StoreError, match="there is no parameter 'trains'"):
        open_collection(tmp_path)
    with pytest.raises(SettingsError, match="no category is called 'boats'; there is all, chairs"):
        categories_of("boats")
    assert categories_of("all") == ["chairs", "sofas", "airplanes"]
    with pytest.raises(ValueError, match="no source of shapes"):
        list_shapes("attic", "chairs", train=1)


def test_votes_are_a_setting_that_records_from_before_it_do_not_miss(tmp_path):
    store = Store(tmp_path)
    prepare([BALLS[0]], store, SMALL, jobs=1)
    record = store.read_record(BALLS[0])
    del record["config"]["sign"]  # written before there was a choice
    store.write_record(BALLS[0], record)
    winding = store.read_sdf(BALLS[0])
    assert prepare_shape(BALLS[0], store, SMALL)["status"] == "kept"

    report = prepare([BALLS[0]], store, SMALL.model_copy(update={"sign": "votes"}), jobs=1)
    assert report.status.tolist() == ["made"]
    votes, cross = store.read_sdf(BALLS[0]), store.read_sdf(BALLS[0], "CrossSamples")
    assert 0.95 * 600 < len(votes.sdf) <= 600 and len(cross.sdf) <= 200
    assert set(votes.sdf.tolist()) <= set(winding.sdf.tolist())  # the same places and distances, less the disputed


def test_who_only_reads_a_collection_leaves_its_description_alone(tmp_path):
    file = tmp_path / "collection.json"
    file.write_text('{"train": 3}')
    assert open_collection(tmp_path).config.train == 3
    assert file.read_text() == '{"train": 3}'
    open_collection(tmp_path, config=CollectionConfig(train=4))
    assert json.loads(file.read_text())["train"] == 4


def test_shapes_are_made_again_by_other_code_and_kept_by_the_same_in_other_words(tmp_path, edit_code):
    store = Store(tmp_path / "data")
    prepare_shape(BALLS[0], store, SMALL)
    for module, lines, status in [
        ("tpl.meshes.sdf", "", "kept"),
        ("tpl.look.plotting", "CELLS = 2", "kept"),
        ("tpl.meshes.sdf", "BATCH = 7", "made"),
        ("tpl.rendering.cameras", "FIELD_OF_VIEW = 7", "made"),
        ("tpl.dataset.prepare", "VIEWS_AROUND = 49", "made"),
    ]:
        edit_code(module, lines)
        assert prepare_shape(BALLS[0], store, SMALL)["status"] == status, (module, lines)
    assert prepare_shape(BALLS[0], store, SMALL)["status"] == "kept"
