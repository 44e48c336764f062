"""A finished mesh: its parts have names, its colours come from the photograph, its file is a valid one."""

import json
import struct

import numpy as np
import pytest
import trimesh
from gltf_validator import validate

from tpl.finishing import (
    FinishError,
    PartLabels,
    Sight,
    finish,
    label_faces,
    mean_color,
    project_colors,
    read_labels,
    thin_out,
    write_finished,
    write_labels,
)
from tpl.finishing.colors import seen_share, to_linear
from tpl.geometry import primitives
from tpl.geometry.marching import extract_mesh
from tpl.geometry.whole import extract_whole, share_closed
from tpl.meshes import MeshError, Normalization
from tpl.rendering import Camera, composite, render_view

RED, BLUE, GREEN = (200, 40, 30), (30, 60, 200), (40, 160, 60)
FRAME = Normalization(np.zeros(3), 2.0)
CAMERA = Camera(azimuth=324, elevation=20, distance=1.5)


def boxes(*sides_and_places):
    return trimesh.util.concatenate(
        [trimesh.creation.box(sides).apply_translation(place) for sides, place in sides_and_places]
    )


@pytest.fixture(scope="module")
def ball():
    return extract_mesh(primitives.sphere(0.6), 48)


def sight_of(mesh, colors, size=200):
    """A photograph of a mesh (unit-sphere frame) in colours by face, as flat as paint, off the picture's middle."""
    raw = mesh.copy()
    raw.vertices = FRAME.undo(np.asarray(mesh.vertices))
    raw.visual = trimesh.visual.ColorVisuals(raw, face_colors=np.column_stack([colors, np.full(len(colors), 255)]))
    view = render_view(raw, CAMERA, size)
    flat = np.zeros((size, size, 3), np.uint8)
    nearest = np.argmin(
        [np.abs(view[..., :3].astype(int) - np.array(one)).sum(axis=2) for one in (RED, BLUE, GREEN)], 0
    )
    flat[:] = np.array((RED, BLUE, GREEN), np.uint8)[nearest]
    room = np.full((size + 60, size + 100, 3), 255, np.uint8)
    mask = np.zeros(room.shape[:2], np.uint8)
    room[20 : 20 + size, 70 : 70 + size] = composite(np.dstack([flat, view[..., 3]]))
    mask[20 : 20 + size, 70 : 70 + size] = view[..., 3]
    return Sight(room, mask, CAMERA, FRAME, np.array([70 + size / 2, 20 + size / 2]), float(size))


def near(colors, wanted, within=25):
    return np.abs(np.asarray(colors, int)[:, :3] - np.array(wanted)).max(axis=1) < within


def test_what_the_camera_sees_has_its_colour_and_the_far_side_that_of_its_mirror_image(ball):
    """A ball, red above and blue below: by symmetry so is the side that the camera does not see, but for its back."""
    centers = np.asarray(ball.triangles_center)
    sight = sight_of(ball, np.where(centers[:, 1:2] > 0, RED, BLUE).astype(np.uint8))
    pixels = sight.project(np.asarray(ball.vertices))
    rows, columns = np.nonzero(sight.mask >= 128)
    np.testing.assert_allclose(pixels.min(axis=0), [columns.min(), rows.min()], atol=1.5)
    np.testing.assert_allclose(pixels.max(axis=0), [columns.max() + 1, rows.max() + 1], atol=1.5)
    colors, vertices = project_colors(ball, sight), np.asarray(ball.vertices)
    outward = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    toward = sight.origin / np.linalg.norm(sight.origin)
    for eye in (toward, toward * [-1, 1, 1]):
        seen = outward @ eye > 0.75
        assert near(colors[seen & (vertices[:, 1] > 0.08)], RED).mean() > 0.95
        assert near(colors[seen & (vertices[:, 1] < -0.08)], BLUE).mean() > 0.95
    mean = mean_color(sight.picture, sight.mask)
    hidden = (outward @ toward < -0.2) & (outward @ (toward * [-1, 1, 1]) < -0.2)
    assert hidden.sum() > 50 and near(colors[hidden], mean, 8).mean() > 0.95
    assert 0.2 < seen_share(ball, sight) < 0.4  # a camera at five radii sees 0.4 of a ball, and grazes much of it


def test_what_stands_behind_another_part_takes_no_colour_of_it():
    """A red plate before a blue one that it hides in part: nothing red is on the blue one."""
    mesh = boxes(((0.5, 0.5, 0.05), (0, 0, -0.3)), ((0.9, 0.9, 0.05), (0, 0, 0.3))).subdivide().subdivide().subdivide()
    front = np.asarray(mesh.triangles_center)[:, 2] < 0
    sight = sight_of(mesh, np.where(front[:, None], RED, BLUE).astype(np.uint8), 300)
    colors, at = project_colors(mesh, sight), np.asarray(mesh.vertices)
    assert near(colors[at[:, 2] < -0.32], RED, 40).mean() > 0.8
    facing = (at[:, 2] > 0) & (at[:, 2] < 0.28)
    assert near(colors[facing], BLUE, 40).mean() > 0.5 and near(colors[facing], RED, 40).mean() < 0.02


def test_a_mesh_may_have_more_vertices_than_a_picture_of_opencv_has_rows():
    """As those at 128 cells a side have: OpenCV's `remap` refuses more than 32 767 places."""
    fine = trimesh.creation.icosphere(subdivisions=6, radius=0.6)
    assert len(fine.vertices) > 2**15
    sight = sight_of(fine, np.where(np.asarray(fine.triangles_center)[:, 1:2] > 0, RED, BLUE).astype(np.uint8))
    colors, up = project_colors(fine, sight), np.asarray(fine.vertices)[:, 1]
    facing = np.asarray(fine.vertices) @ sight.origin > 0.75 * 0.6 * np.linalg.norm(sight.origin)
    assert near(colors[facing & (up > 0.05)], RED).mean() > 0.95
    assert near(colors[facing & (up < -0.05)], BLUE).mean() > 0.95


def test_colours_are_the_same_however_much_ground_there_is_around(ball):
    sight = sight_of(ball, np.where(np.asarray(ball.triangles_center)[:, 1:2] > 0, RED, BLUE).astype(np.uint8), 360)
    assert max(sight.mask.shape) >= 400  # so that as much of the border is worn off
    around = ((300, 5), (40, 600))
    wide = sight._replace(
        picture=np.pad(sight.picture, (*around, (0, 0)), constant_values=90),
        mask=np.pad(sight.mask, around),
        center=sight.center + [40, 300],
    )
    np.testing.assert_array_equal(project_colors(ball, wide), project_colors(ball, sight))


def test_the_mean_colour_is_one_of_light_and_of_the_inside():
    picture = np.full((40, 40, 3), 255, np.uint8)
    picture[10:30, 10:20], picture[10:30, 20:30] = 0, 200
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 10:30] = 255
    (level,) = set(mean_color(picture, mask).tolist())
    assert to_linear(np.array(level)) == pytest.approx(to_linear(np.array(200)) / 2, rel=0.02)


# --- parts


def test_labels_are_thinned_out_to_the_majority_of_each_cell_and_kept(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.9, 0.9, (4000, 3))
    labels = PartLabels(points, (points[:, 1] > 0).astype(np.uint8), ("leg", "seat"))
    few = thin_out(labels, 0.2)
    assert 500 < len(few.points) < 1000 and len(np.unique(np.floor(few.points / 0.2), axis=0)) == len(few.points)
    write_labels(few, tmp_path / "parts")
    read = read_labels(tmp_path / "parts")
    assert read.names == ("leg", "seat") and (read.label == few.label).all()
    np.testing.assert_allclose(read.points, few.points, atol=5e-4)
    sure = np.abs(few.points[:, 1]) > 0.2
    assert (few.label[sure] == (few.points[sure, 1] > 0)).all()


def test_faces_are_labelled_where_their_warp_puts_them_and_errors_of_single_points_go(ball):
    """The warp turns the ball upside down; a twentieth of the template's points are mislabelled."""
    rng = np.random.default_rng(0)
    points = trimesh.sample.sample_surface(ball, 3000, seed=1)[0]
    label = (points[:, 1] > 0).astype(np.uint8)
    label ^= (rng.uniform(size=len(label)) < 0.05).astype(np.uint8)
    labels = PartLabels(np.asarray(points, float), label, ("leg", "seat"))
    part = label_faces(ball, lambda at: np.column_stack([at * [1, -1, 1], at]), labels)
    height = np.asarray(ball.triangles_center)[:, 1]
    sure = np.abs(height) > 0.08  # a cell and a half
    assert (part[sure] == (height[sure] < 0)).all()
    joined = part[np.asarray(ball.face_adjacency)]
    assert (
        trimesh.graph.connected_component_labels(
            ball.face_adjacency[joined[:, 0] == joined[:, 1]], node_count=len(part)
        ).max()
        == 1
    )  # one patch each


# --- the scene


def gltf(path):
    """The JSON of a GLB, and its bytes."""
    content = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", content[:12])
    size, kind = struct.unpack("<I4s", content[12:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(content), b"JSON")
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def accessor(tree, data, number):
    one = tree["accessors"][number]
    view = tree["bufferViews"][one["bufferView"]]
    dtype = {5125: "<u4", 5126: "<f4", 5123: "<u2"}[one["componentType"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[one["type"]]
    start = view.get("byteOffset", 0) + one.get("byteOffset", 0)
    return np.frombuffer(data, dtype, one["count"] * width, start).reshape(-1, width)


def halves(mesh):
    points = np.asarray(mesh.vertices, float)
    return PartLabels(points, (points[:, 1] > 0).astype(np.uint8), ("leg", "seat"))


def test_the_file_has_parts_normals_colours_and_stands_as_the_format_wants(ball, tmp_path):
    plate = boxes(((0.5, 0.1, 0.1), (0.2, 0.5, -0.62)))  # at the front, to the sitter's right, above
    mesh = trimesh.util.concatenate([ball, plate.subdivide().subdivide()])
    sight = sight_of(mesh, np.where(np.asarray(mesh.triangles_center)[:, 1:2] > 0, RED, BLUE).astype(np.uint8))
    before = mesh.vertices.copy()
    scene = finish(mesh, "chair", sight=sight, labels=halves(mesh), places=lambda at: at, height=0.9)
    assert (mesh.vertices == before).all() and scene.metadata["notes"] == []
    write_finished(scene, tmp_path / "chair.glb")
    assert validate(tmp_path / "chair.glb") == []
    tree, data = gltf(tmp_path / "chair.glb")
    assert {node["name"] for node in tree["nodes"]} == {"chair", "seat", "leg"}
    (root,) = tree["scenes"][0]["nodes"]
    assert {tree["nodes"][child]["name"] for child in tree["nodes"][root]["children"]} == {"seat", "leg"}
    points, colors = [], []
    for part in tree["meshes"]:
        (piece,) = part["primitives"]
        assert set(piece["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"} and piece["material"] == 0
        normals = accessor(tree, data, piece["attributes"]["NORMAL"])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
        points.append(accessor(tree, data, piece["attributes"]["POSITION"]))
        colors.append(accessor(tree, data, piece["attributes"]["COLOR_0"]) / 65535)
        corners = points[-1][accessor(tree, data, piece["indices"]).ravel()].reshape(-1, 3, 3)
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        of_face = normals[accessor(tree, data, piece["indices"]).ravel()].reshape(-1, 3, 3).mean(axis=1)
        assert (np.einsum("ij,ij->i", flat, of_face) > 0).mean() > 0.999  # wound towards their normals: not mirrored
    everywhere = np.concatenate(points)
    low, high = everywhere.min(axis=0), everywhere.max(axis=0)
    assert low[1] == pytest.approx(0, abs=1e-6) and high[1] == pytest.approx(0.9, abs=1e-5)
    np.testing.assert_allclose((low + high)[[0, 2]], 0, atol=1e-5)
    front = everywhere[everywhere[:, 2] > high[2] - 0.01]
    assert len(front) and front[:, 0].mean() < -0.05  # +z is the front, and the sitter's right is -x then
    upper = np.concatenate(colors)[:, :3]
    assert np.abs(upper - to_linear(np.array(RED))).max(axis=1).min() < 0.01  # linear, as the format has it
    assert trimesh.load(tmp_path / "chair.glb").geometry.keys() == {"seat", "leg"}


def test_a_mesh_of_one_colour_has_it_in_its_material(ball, tmp_path):
    write_finished(finish(ball, color=GREEN), tmp_path / "ball.glb")
    assert validate(tmp_path / "ball.glb") == []
    tree, _ = gltf(tmp_path / "ball.glb")
    surface = tree["materials"][0]["pbrMetallicRoughness"]
    np.testing.assert_allclose(surface["baseColorFactor"], [*to_linear(np.array(GREEN)), 1])
    assert surface["metallicFactor"] == 0 and "COLOR_0" not in tree["meshes"][0]["primitives"][0]["attributes"]
    assert [mesh["name"] for mesh in tree["meshes"]] == ["body"]


def test_it_has_so_many_triangles_as_asked_for_and_its_shape(ball, tmp_path):
    scene = finish(ball, faces=500, color=RED)
    (piece,) = scene.geometry.values()
    assert 400 < len(piece.faces) <= 500
    np.testing.assert_allclose(np.linalg.norm(piece.vertices, axis=1), 0.6, atol=0.02)
    write_finished(scene, tmp_path / "few.glb")
    assert validate(tmp_path / "few.glb") == []
    (whole,) = finish(ball, faces=10**6).geometry.values()
    assert len(whole.faces) == pytest.approx(len(ball.faces), rel=0.01)
    with pytest.raises(FinishError, match="12 triangles show no shape: ask for 100 or more"):
        finish(ball, faces=12)
    for height in (0, -1, np.inf, np.nan):
        with pytest.raises(FinishError, match="a height of .* metres is none"):
            finish(ball, height=height)


def test_other_formats_have_the_same_shape(ball, tmp_path):
    scene = finish(ball, "chair", color=RED, labels=halves(ball), places=lambda at: at)
    for ending in ("obj", "ply", "stl", "off"):
        write_finished(scene, tmp_path / f"ball.{ending}")
        back = trimesh.load(tmp_path / f"ball.{ending}", force="mesh")
        assert len(back.faces) == sum(len(piece.faces) for piece in scene.geometry.values())
        np.testing.assert_allclose(back.bounds, scene.bounds, atol=1e-4)
    text = (tmp_path / "ball.obj").read_text()
    assert "\no leg" in text and "\no seat" in text
    with pytest.raises(MeshError, match="a mesh is written as"):
        write_finished(scene, tmp_path / "ball.doc")


def test_what_the_sphere_of_all_shapes_has_closed_is_said():
    assert finish(extract_whole(primitives.box((0.3, 1.8, 0.3)), 32)).metadata["notes"] == []
    endless = extract_whole(primitives.box((0.3, 40, 0.3)), 32)
    (note,) = finish(endless).metadata["notes"]
    assert note.startswith(f"{share_closed(endless):.1%} of the surface close what would go on beyond")
