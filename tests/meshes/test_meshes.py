import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tpl.meshes import MeshError, Normalization, clean_mesh, load_mesh
from tpl.meshes.rays import RayScene

BOX = trimesh.creation.box((1.0, 2.0, 3.0))
RED, BLUE = [255, 0, 0, 255], [0, 0, 255, 255]
OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def rng(seed=0):
    return np.random.default_rng(seed)


def soup(*meshes):
    """All triangles, no vertex shared."""
    triangles = np.concatenate([mesh.triangles for mesh in meshes])
    return trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)


def sorted_triangles(mesh):
    """Corners of all triangles, whatever the order of vertices, faces and corners."""
    corners = np.round(mesh.triangles, 5) + 0.0
    return np.array(sorted(sorted(map(tuple, triangle)) for triangle in corners.tolist()))


# -------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("kind", ["obj", "off", "ply", "glb", "stl"])
def test_every_format_gives_the_welded_mesh_back(tmp_path, kind):
    file = tmp_path / f"box.{kind.upper() if kind == 'obj' else kind}"
    file.write_bytes(_export(soup(BOX), kind))
    mesh = load_mesh(file)
    assert mesh.vertices.shape == (8, 3) and mesh.faces.shape == (12, 3)
    assert mesh.is_watertight and mesh.volume == pytest.approx(6)
    np.testing.assert_allclose(sorted_triangles(mesh), sorted_triangles(BOX))


@pytest.mark.parametrize("inner", ["box.obj", "models/deep/box.glb"])
def test_a_mesh_inside_an_archive(tmp_path, inner):
    data = _export(BOX, inner[-3:])
    archive = _zip(tmp_path / "shapes.sh3f", {inner: data, "readme.txt": b"hello"})
    for path in (archive, f"{archive}!{inner}"):  # the only mesh, and the mesh by its name
        assert load_mesh(path).volume == pytest.approx(6)


def test_materials_of_an_archive_become_colours_of_faces(tmp_path):
    texture = io.BytesIO()
    Image.fromarray(np.array([[RED[:3], BLUE[:3]]], np.uint8)).save(texture, "png")
    obj = OBJ + "mtllib a.mtl\nvt 0 0\nvt .1 .1\nvt 1 1\nvt .9 1\n"
    obj += "usemtl picture\nf 1/1 2/1 3/2\nf 1/3 3/3 4/4\nusemtl glass\nf 1 2 4\n"
    mtl = "newmtl picture\nmap_Kd pictures/two.png\nnewmtl glass\nKd 0 1 0\nd 0\n"
    members = {"m/a.obj": obj, "m/a.mtl": mtl, "m/pictures/two.png": texture.getvalue(), "b.off": b"OFF 0 0 0"}
    mesh = load_mesh(f"{_zip(tmp_path / 'a.zip', members)}!m/a.obj")
    colors = {tuple(color) for color in mesh.visual.face_colors.tolist()}
    assert colors == {tuple(RED), tuple(BLUE), (0, 255, 0, 0)}
    assert mesh.visual.kind == "face" and len(mesh.vertices) == 4

    clean = clean_mesh(mesh, rng())  # invisible glass is not part of the shape
    assert sorted(mesh.visual.face_colors[clean.source].tolist()) == [BLUE, RED]


def test_face_colours_of_a_file_stay_with_their_faces(tmp_path):
    mesh = BOX.copy()
    mesh.visual.face_colors = np.where(mesh.face_normals[:, :1] > 0.5, RED, BLUE).astype(np.uint8)
    mesh.export(tmp_path / "box.ply")
    loaded = load_mesh(tmp_path / "box.ply")
    assert loaded.visual.face_colors[loaded.face_normals[:, 0] > 0.5].tolist() == [RED] * 2
    assert loaded.visual.face_colors[loaded.face_normals[:, 0] < 0.5].tolist() == [BLUE] * 10


def test_instances_of_a_scene_stand_where_it_puts_them(tmp_path):
    scene = trimesh.Scene()
    for x in (0, 5):
        scene.add_geometry(BOX, geom_name="box", transform=trimesh.transformations.translation_matrix([x, 0, 0]))
    scene.export(tmp_path / "two.glb")
    np.testing.assert_allclose(load_mesh(tmp_path / "two.glb").bounds, [[-0.5, -1, -1.5], [5.5, 1, 1.5]])


def test_a_file_without_colours_gives_a_mesh_without(tmp_path):
    BOX.export(tmp_path / "box.stl")
    assert not load_mesh(tmp_path / "box.stl").visual.defined


PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
0 1 0
3 0 1 2
"""

BAD_FILES = {
    "nothing.obj": ("", "has no faces"),
    "points.obj": (OBJ, "has no faces"),
    "cloud.ply": (trimesh.PointCloud(np.eye(3)).export(file_type="ply"), "has no faces"),
    "nan.obj": (OBJ.replace("v 1 1 0", "v nan 1 0") + "f 1 2 3\n", "NaN or infinite"),
    "far.off": ("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "cannot be read as OFF"),
    "far.obj": (OBJ + "f 1 2 9\n", "cannot be read as OBJ"),
    "far.ply": (PLY.replace("3 0 1 2", "3 0 1 9"), "names vertex 9 of 3"),
    "cut.glb": (trimesh.creation.box().export(file_type="glb")[:300], "is cut off: it claims"),
    "noise.stl": (bytes(range(256)), "and has the bytes of 3"),
    "noise.ply": (bytes(range(256)), "its header has no end"),
    "chair.blend": ("", ".blend is not read; convert it to OBJ"),
    "chair": ("", "without a suffix is not read; convert it to OBJ"),
    "jet.ac": ("OBJECT world", "does not say AC3D"),
    "jet.3ds": ("AC3Db", "its bytes are not 3DS, but AC3D"),
    "cut.3ds": (b"MM\x20\0\0\0\x3d\x3d\x10\0\0\0\x00\x40\x10\0\0\0wing", "is cut off or damaged"),
    "jet.md2": ("IDP2", "is not MD2, or cut off or damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_gets_one_sentence_with_its_name_and_a_remedy(tmp_path, name, recwarn):
    content, reason = BAD_FILES[name]
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(MeshError) as error:
        load_mesh(file)
    sentence = str(error.value)
    assert str(file) in sentence and reason in sentence and "; " in sentence and "\n" not in sentence
    assert not recwarn.list


def test_bad_archives_and_missing_files(tmp_path):
    two = _zip(tmp_path / "two.zip", {"a.off": "", "b/c.obj": ""})
    none = _zip(tmp_path / "none.zip", {"readme.txt": ""})
    text = _zip(tmp_path / "text.zip", {"a.txt": ""})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(two.read_bytes()[:-40])
    for path, sentence in [
        (tmp_path / "gone.obj", "there is no file .*gone.obj; check the path"),
        (f"{tmp_path / 'gone.zip'}!a.obj", "there is no file .*gone.zip; check the path"),
        (tmp_path, "is a folder; name a file in it"),
        (two, "holds 2 meshes; name one, such as .*two.zip!a.off"),
        (f"{two}!z.obj", "there is no z.obj in .*two.zip; it holds a.off, b/c.obj"),
        (none, "holds no mesh; add one"),
        (f"{text}!a.txt", ".txt is not read; convert"),
        (f"{cut}!a.off", "cannot be read .*; fetch or pack it again"),
    ]:
        with pytest.raises(MeshError, match=sentence):
            load_mesh(path)


def test_a_broken_vertex_that_no_face_uses_does_no_harm(tmp_path):
    (tmp_path / "a.obj").write_text("v nan nan nan\nv 1e9 0 0\n" + OBJ + "f 3 4 5\n")
    assert load_mesh(tmp_path / "a.obj").vertices.max() == 1


def _export(mesh, kind):
    data = mesh.export(file_type=kind)
    return data.encode() if isinstance(data, str) else data


def _zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


# ------------------------------------------------------------------------------------- normalisation


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(1e-3, 1e3))
def test_normalised_vertices_touch_the_margin_and_undo_brings_them_back(seed, size):
    vertices = size * rng(seed).normal(loc=3, size=(20, 3))
    way = Normalization.of(vertices)
    unit = way.apply(vertices)
    assert np.linalg.norm(unit, axis=1).max() == pytest.approx(1 / 1.03)
    np.testing.assert_allclose(unit.min(axis=0), -unit.max(axis=0), atol=1e-9)  # the box is centred, not the mean
    np.testing.assert_allclose(way.undo(unit), vertices, atol=1e-9 * size)


def test_a_point_cannot_be_normalised():
    with pytest.raises(MeshError, match="3 vertices within a radius of 0.0 cannot be normalised; drop the shape"):
        Normalization.of(np.ones((3, 3)))


# ------------------------------------------------------------------------------------------- rays


def test_rays_know_the_way_to_a_wall_and_the_sky_above_it():
    scene = RayScene(BOX.vertices + 1000, BOX.faces)  # far from the origin, where single precision is coarse
    inside, up = np.full((1, 3), 1000.0), np.array([[0.0, 0, 1]])
    assert scene.distance(inside, up)[0] == pytest.approx(1.5, abs=1e-4)
    assert scene.distance(inside + 5, up)[0] == np.inf
    assert scene.sky(inside + 1.5 * up, up, 50, rng())[0] == 1
    assert scene.sky(inside, up, 50, rng())[0] == 0


def test_light_falls_by_the_cosine_law():
    # a disc of radius 1 at distance 1 over a point covers the share sin^2 45 of its sky
    disc = trimesh.creation.cylinder(1, 1e-3, sections=128)
    disc.apply_translation([0, 0, 1])
    sky = RayScene(disc.vertices, disc.faces).sky(np.zeros((1000, 3)), np.tile([0.0, 0, 1], (1000, 1)), 20, rng())
    assert sky.mean() == pytest.approx(0.5, abs=0.015)


# ------------------------------------------------------------------------------------------ cleaning


@pytest.mark.parametrize("exposure", ["auto", "always"])
@pytest.mark.parametrize("solid", [BOX, trimesh.creation.torus(1, 0.3), trimesh.creation.icosphere(2)])
def test_a_closed_solid_is_left_as_it_is(solid, exposure):
    clean = clean_mesh(soup(solid), rng(), exposure)
    assert clean.mesh.is_watertight and clean.mesh.volume == pytest.approx(solid.volume)
    assert len(clean.vertices) == len(solid.vertices)
    assert clean.card.watertight and clean.all_visible == (exposure == "auto")
    assert (clean.card.degenerate, clean.card.duplicate, clean.card.hidden_area) == (0, 0, 0)
    np.testing.assert_array_equal(clean.source, np.arange(len(solid.faces)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.booleans())
def test_turned_and_doubled_faces_are_put_right(seed, doubled):
    chance = rng(seed)
    turned = chance.random(12) < 0.5
    faces = np.where(turned[:, None], BOX.faces[:, ::-1], BOX.faces)
    if doubled:  # each in whatever orientation
        faces = chance.permutation(
            np.concatenate([faces, np.where(chance.random(12)[:, None] < 0.5, faces, faces[:, ::-1])])
        )
    clean = clean_mesh(trimesh.Trimesh(BOX.vertices, faces, process=False), rng(seed))
    assert clean.card.watertight and clean.mesh.volume == pytest.approx(6)
    assert clean.card.duplicate == 12 * doubled and clean.card.kept_faces == 12
    if not doubled:
        assert clean.card.flipped_area == pytest.approx(BOX.area_faces[turned].sum() / BOX.area)


def test_of_faces_back_to_back_the_outer_one_gives_the_colour():
    faces = np.concatenate([BOX.faces[:, ::-1], BOX.faces])  # the lining comes first
    clean = clean_mesh(trimesh.Trimesh(BOX.vertices, faces, process=False), rng())
    assert sorted(clean.source) == list(range(12, 24))


def test_what_is_hidden_inside_goes():
    inner = trimesh.creation.box((0.5, 0.5, 0.5))
    clean = clean_mesh(trimesh.util.concatenate([inner, BOX]), rng())
    assert clean.card.hidden_area == pytest.approx(inner.area / (inner.area + BOX.area))
    assert clean.card.watertight and sorted(clean.source) == list(range(12, 24))


def test_what_shows_at_one_end_only_stays():
    rod = trimesh.creation.box((0.1, 0.1, 3.6))  # a sixth of its sides shows
    clean = clean_mesh(trimesh.util.concatenate([BOX, rod]), rng())
    assert clean.card.hidden_area == 0 and clean.card.kept_faces == 24


def test_a_closed_solid_inside_out_is_turned():
    clean = clean_mesh(trimesh.Trimesh(BOX.vertices, BOX.faces[:, ::-1], process=False), rng())
    assert clean.mesh.volume == pytest.approx(6) and clean.card.flipped_area == 1


def test_a_single_panel_is_a_sheet_of_no_thickness():
    clean = clean_mesh(trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 1, 2]], process=False), rng())
    assert clean.is_sheet.all() and clean.card.sheet_area == 1 and not clean.card.watertight
    assert clean.thickness.tolist() == [0]


@pytest.mark.parametrize("size", [1, 100])  # thin or not does not depend on the unit
def test_thickness_is_the_way_through(size):
    plate = trimesh.creation.box((size, size, 0.001 * size))
    clean = clean_mesh(plate, rng())
    flat = np.abs(clean.mesh.face_normals[:, 2]) > 0.5
    np.testing.assert_allclose(clean.thickness[flat], 0.001 * size, rtol=0.01)
    np.testing.assert_allclose(clean.thickness[~flat], size, rtol=0.01)
    assert clean.card.thin_area == pytest.approx(2 / 2.004)
    assert clean_mesh(BOX, rng()).card.thin_area == 0


def test_faces_without_an_area_are_counted_and_dropped():
    vertices = np.concatenate([BOX.vertices, [[0, 0, 0], [1e-9, 0, 0], [0.2, 5e-14, 0]]])
    faces = np.concatenate([BOX.faces, [[0, 0, 1], [8, 9, 3], [8, 9, 10]]])
    card = clean_mesh(trimesh.Trimesh(vertices, faces, process=False), rng()).card
    assert (card.faces, card.degenerate, card.kept_faces) == (15, 3, 12)


def test_stale_vertices_move_nothing():
    mesh = trimesh.Trimesh(np.concatenate([BOX.vertices, [[1e6, 0, 0]]]), BOX.faces, process=False)
    clean, plain = clean_mesh(mesh, rng()), clean_mesh(BOX, rng())
    np.testing.assert_array_equal(clean.vertices, plain.vertices)
    assert Normalization.of(clean.vertices).scale == pytest.approx(1 / (1.03 * 14**0.5 / 2))


def test_the_card_fits_into_json_and_the_mesh_given_stays():
    mesh = soup(BOX, trimesh.creation.box((0.5, 0.5, 0.5)))
    vertices, faces = mesh.vertices.copy(), mesh.faces.copy()
    card = clean_mesh(mesh, rng()).card
    assert json.loads(json.dumps(dataclasses.asdict(card))) == dataclasses.asdict(card)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


def test_same_seed_same_mesh():
    mesh = trimesh.util.concatenate([BOX, trimesh.creation.torus(1, 0.3)])
    one, two = clean_mesh(mesh, rng(3)), clean_mesh(mesh, rng(3))
    assert one.card == two.card
    np.testing.assert_array_equal(one.thickness, two.thickness)


def test_a_mesh_of_nothing_is_refused():
    line = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(MeshError, match="none of the mesh's 1 faces has an area; drop the shape"):
        clean_mesh(line, rng())
    with pytest.raises(MeshError, match="the mesh has no faces; drop the shape"):
        clean_mesh(trimesh.Trimesh(), rng())
