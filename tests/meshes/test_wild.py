"""Meshes as users bring them: each kind that was refused, damaged or waited for once, with its right answer."""

import json
import math
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.dataset.prepare import PrepareConfig, prepare_shape
from tpl.dataset.store import Store
from tpl.geometry import primitives
from tpl.meshes import MeshError, load_mesh, write_mesh
from tpl.meshes.notes import odd_looks
from tpl.meshes.sdf import signed_distance
from tpl.shapes import Shape

BOX = trimesh.creation.box((1.0, 2.0, 3.0))
OBJ, OFF = BOX.export(file_type="obj"), BOX.export(file_type="off")
SHORT = [[-0.5, -1.0, -1.5], [0.5, 1.0, 1.5]]


def placed(extents: tuple[float, float, float], *place: float) -> trimesh.Trimesh:
    mesh = trimesh.creation.box(extents)
    mesh.apply_translation(place or (0, 0, 0))
    return mesh


def glb(header: dict, binary: bytes) -> bytes:
    """A GLB of a header and its only buffer."""
    header = {"asset": {"version": "2.0"}, "buffers": [{"byteLength": len(binary)}], **header}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def of_box(positions: np.ndarray, kind: int, normalized: bool, stride: int = 0, **more) -> bytes:
    """The box with positions of some type, at `scale` (2, 4, 6) around (10, 0, 0); `more` goes into the header."""
    index = BOX.faces.astype("<u2").tobytes()
    width = stride or positions.itemsize * 3
    rows = b"".join(row.tobytes().ljust(width, b"\0") for row in positions)
    of_rows = {"buffer": 0, "byteOffset": len(index), "byteLength": len(rows)} | (
        {"byteStride": stride} if stride else {}
    )
    header = {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [10, 0, 0], "scale": [0.5, 1, 1.5]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 1, "componentType": kind, "normalized": normalized, "count": 8, "type": "VEC3"},
            {"bufferView": 0, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(index)}, of_rows],
    }
    return glb({**header, **more}, index + rows)


SIGNS = np.sign(BOX.vertices)


@pytest.mark.parametrize(
    ("dtype", "code", "normalized", "scaled"),
    [("<i2", 5122, True, 32767), ("<i1", 5120, True, 127), ("<i2", 5122, False, 1), ("<f4", 5126, False, 1)],
)
@pytest.mark.parametrize("stride", [0, 16])
def test_quantised_positions_are_lengths(tmp_path, dtype, code, normalized, scaled, stride):
    required = {"extensionsRequired": ["KHR_mesh_quantization"]} if code != 5126 else {}
    data = of_box((scaled * SIGNS).astype(dtype), code, normalized, stride, **required)
    (tmp_path / "a.glb").write_bytes(data)
    np.testing.assert_allclose(load_mesh(tmp_path / "a.glb").bounds, np.add(SHORT, [10, 0, 0]), atol=1e-6)


@pytest.mark.parametrize(
    ("extension", "told"),
    [
        ("KHR_draco_mesh_compression", "is compressed by Draco (KHR_draco_mesh_compression)"),
        ("EXT_meshopt_compression", "is compressed by meshopt"),
        ("ACME_teapots", "requires ACME_teapots, which is not read"),
    ],
)
def test_an_extension_that_is_not_read_is_named(tmp_path, capfd, extension, told):
    data = of_box(SIGNS.astype("<f4"), 5126, False, extensionsRequired=[extension])
    (tmp_path / "a.glb").write_bytes(data)
    with pytest.raises(MeshError, match="; export it without") as error:
        load_mesh(tmp_path / "a.glb")
    assert told in str(error.value) and capfd.readouterr() == ("", "")


def test_sparse_positions_and_fans_are_read(tmp_path):
    """A square as a fan whose second corner is moved by a sparse value."""
    corners = np.array([[0, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]], "<f4").tobytes()
    moved = struct.pack("<H2x", 1) + np.array([1, 0, 0], "<f4").tobytes()
    sparse = {"count": 1, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 2}}
    views = [{"buffer": 0, "byteOffset": at, "byteLength": n} for at, n in ((0, 48), (48, 2), (52, 12))]
    header = {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "mode": 6}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "sparse": sparse}],
        "bufferViews": views,
    }
    (tmp_path / "a.glb").write_bytes(glb(header, corners + moved))
    assert load_mesh(tmp_path / "a.glb").area == pytest.approx(1)


def gltf(folder: Path) -> Path:
    """The box as text with its buffer, and a picture, in files of their own."""
    data = of_box(SIGNS.astype("<f4"), 5126, False)
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[20 : 20 + length])
    header["buffers"][0]["uri"] = "its%20buffer.bin"
    header["images"], header["textures"] = [{"uri": "a.png"}], [{"source": 0}]
    header["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    header["meshes"][0]["primitives"][0]["material"] = 0
    (folder / "its buffer.bin").write_bytes(data[28 + length :])
    Image.new("RGB", (4, 4), "blue").save(folder / "a.png")
    (folder / "a.gltf").write_text(json.dumps(header))
    return folder / "a.gltf"


def test_gltf_is_read_with_the_files_beside_it(tmp_path):
    file = gltf(tmp_path)
    np.testing.assert_allclose(load_mesh(file).bounds, np.add(SHORT, [10, 0, 0]), atol=1e-6)
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert len(load_mesh(file).faces) == 12
    (tmp_path / "its buffer.bin").write_bytes(bytes(10))
    with pytest.raises(MeshError, match="its%20buffer.bin has 10 of the .* bytes it claims"):
        load_mesh(file)
    (tmp_path / "its buffer.bin").unlink()
    with pytest.raises(MeshError, match="names its%20buffer.bin, which is not there; put it beside"):
        load_mesh(file)


def test_pipes_in_the_place_of_materials_textures_and_buffers_are_not_waited_for(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + OBJ)
    os.mkfifo(tmp_path / "a.mtl")
    assert len(load_mesh(tmp_path / "a.obj").faces) == 12
    (tmp_path / "a.mtl").unlink()
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 1 0 0\nmap_Kd a.png\n")
    os.mkfifo(tmp_path / "a.png")
    assert load_mesh(tmp_path / "a.obj").visual.face_colors[0].tolist() == [255, 0, 0, 255]
    folder = tmp_path / "gltf"
    folder.mkdir()
    file = gltf(folder)
    (folder / "its buffer.bin").unlink()
    os.mkfifo(folder / "its buffer.bin")
    with pytest.raises(MeshError, match="its%20buffer.bin"):
        load_mesh(file)


def test_a_thousand_instances_are_counted_before_they_are_made(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=5)
    data = ball.export(file_type="glb")
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[20 : 20 + length])
    header["nodes"] = [{"mesh": 0} for _ in range(1000)]
    header["scenes"] = [{"nodes": list(range(1000))}]
    (tmp_path / "a.glb").write_bytes(glb(header, data[28 + length :]))
    with pytest.raises(MeshError, match="draws 20,480,000 faces, and 3,000,000 is the most; simplify the mesh"):
        load_mesh(tmp_path / "a.glb")


def test_a_zip_of_newlines_stays_packed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.off", b"\n" * 40_000_000)
    with pytest.raises(MeshError, match="a.off unpacks to .* times its size"):
        load_mesh(tmp_path / "a.zip")
    (tmp_path / "a.off").write_bytes(b"OFF" + b"\n" * 15_000_001)
    with pytest.raises(MeshError, match="has 15,000,001 lines, and 15,000,000 is the most"):
        load_mesh(tmp_path / "a.off")


@pytest.mark.parametrize("ending", ["obj", "glb"])
def test_a_texture_that_is_a_program_is_not_run(tmp_path, ending, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    if ending == "obj":
        corners = "".join(f"f {a + 1}/1 {b + 1}/1 {c + 1}/1\n" for a, b, c in BOX.faces)
        points = "".join(f"v {x} {y} {z}\n" for x, y, z in BOX.vertices)
        (tmp_path / "a.obj").write_text(f"mtllib a.mtl\nvt 0 0\nusemtl m\n{points}{corners}")
        (tmp_path / "a.mtl").write_text("newmtl m\nKd 0 1 0\nmap_Kd a.png\n")
        (tmp_path / "a.png").write_bytes(program)
        file = tmp_path / "a.obj"
    else:
        file = gltf(tmp_path)
        (tmp_path / "a.png").write_bytes(program)
    assert len(load_mesh(file).faces) == 12


@pytest.mark.parametrize(
    ("name", "text"),
    [("glued.off", OFF.replace("OFF\n", "OFF")), ("spaced.off", OFF.replace("OFF\n", "OFF ")), ("plain.off", OFF)],
)
def test_headers_that_are_glued_to_their_counts_are_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert load_mesh(tmp_path / name).bounds.tolist() == BOX.bounds.tolist()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("count.off", OFF.replace("\n3 ", "\n-3 ", 1), "has a face with a negative number"),
        ("corner.off", OFF.replace("\n3 ", "\n3 -", 1), "has a face with a negative number"),
        ("dash.obj", OBJ + "f -1 -2 -\n", "has a face with a number that is none"),
        ("flat.obj", "v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "three numbers|cannot be read as OBJ"),
        ("before.obj", OBJ + "f -1 -2 -9\n", "counts 9 back where there are 8"),
    ],
)
def test_a_damaged_face_is_refused(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(MeshError, match=told):
        load_mesh(tmp_path / name)


def test_colours_that_are_no_numbers_cost_themselves_alone(tmp_path):
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl m\n" + OBJ)
    (tmp_path / "a.mtl").write_text("newmtl m\nKd nan inf -1e308\nd nan\n")
    assert load_mesh(tmp_path / "a.obj").volume == pytest.approx(6)


@pytest.mark.parametrize("color", ["255 0 0 255", "255 0 0", "1.0 0.0 0.5 1.0", "nan nan nan 1", "1e30 -inf 0 1"])
@pytest.mark.parametrize("head", ["COFF\n", "COFF ", "NOFF\n"])
def test_off_with_colours_or_normals_is_read_as_a_mesh(tmp_path, head, color):
    counts, *rows = OFF.removeprefix("OFF\n").splitlines()
    corners = [f"{row} {color}" for row in rows[: len(BOX.vertices)]]
    faces = [f"{row} 0 128 255" for row in rows[len(BOX.vertices) :]]
    (tmp_path / "a.off").write_text(head + "\n".join([counts, *corners, *faces]) + "\n")
    mesh = load_mesh(tmp_path / "a.off")
    assert mesh.is_watertight and mesh.volume == pytest.approx(6) and mesh.bounds.tolist() == BOX.bounds.tolist()


def with_colours(number: float) -> dict[str, bytes]:
    """The box with this number in the place of every colour, by the names of files."""
    corners = np.hstack([BOX.vertices, np.full((len(BOX.vertices), 3), number)])
    head = b"ply\nformat binary_little_endian 1.0\nelement vertex 8\n"
    head += b"".join(b"property float " + name + b"\n" for name in (b"x", b"y", b"z", b"red", b"green", b"blue"))
    head += b"element face 12\nproperty list uchar int vertex_indices\nend_header\n"
    faces = b"".join(b"\3" + row.astype("<i4").tobytes() for row in BOX.faces)
    obj = "".join("v " + " ".join(map(str, row)) + "\n" for row in corners)
    obj += "".join("f " + " ".join(map(str, row + 1)) + "\n" for row in BOX.faces)
    blob = BOX.vertices.astype("<f4").tobytes() + BOX.faces.astype("<u4").tobytes()
    spans = [(0, 96), (96, 144), (240, 128)]
    kinds = [(5126, 8, "VEC3"), (5125, 36, "SCALAR"), (5126, 8, "VEC4")]
    header = {
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 2}, "indices": 1}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "bufferViews": [{"buffer": 0, "byteOffset": at, "byteLength": size} for at, size in spans],
        "accessors": [
            {"bufferView": row, "componentType": kind, "count": count, "type": name}
            for row, (kind, count, name) in enumerate(kinds)
        ],
    }
    binary = glb(header, blob + np.full((8, 4), number, "<f4").tobytes())
    return {"a.ply": head + corners.astype("<f4").tobytes() + faces, "a.obj": obj.encode(), "a.glb": binary}


@pytest.mark.parametrize("number", [math.nan, math.inf, -1e30])
@pytest.mark.parametrize("name", ["a.ply", "a.obj", "a.glb"])
def test_colours_of_corners_that_are_no_numbers_cost_themselves_alone(tmp_path, name, number):
    (tmp_path / name).write_bytes(with_colours(number)[name])
    mesh = load_mesh(tmp_path / name)
    assert mesh.is_watertight and mesh.volume == pytest.approx(6) and mesh.bounds.tolist() == BOX.bounds.tolist()
    assert np.isfinite(mesh.visual.face_colors).all() if mesh.visual.kind else True


def test_collada_is_read_without_entities(tmp_path):
    dae = trimesh.exchange.dae.export_collada(BOX)
    (tmp_path / "a.dae").write_bytes(dae)
    assert load_mesh(tmp_path / "a.dae").bounds.tolist() == BOX.bounds.tolist()
    laughs = b'<!DOCTYPE lolz [<!ENTITY a "' + 99 * b"ha" + b'"><!ENTITY b "&a;&a;">]>'
    (tmp_path / "a.dae").write_bytes(dae.replace(b"<COLLADA", laughs + b"<COLLADA", 1))
    with pytest.raises(MeshError, match="defines entities"):
        load_mesh(tmp_path / "a.dae")


def test_what_a_mesh_names_must_lie_within_its_fence(tmp_path):
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    (folder / "a.obj").write_text("mtllib ../a.mtl\nusemtl m\n" + OBJ)
    (tmp_path / "one" / "a.mtl").write_text("newmtl m\nKd 1 0 0\n")
    assert load_mesh(folder / "a.obj").visual.face_colors[0].tolist() != [255, 0, 0, 255]
    assert load_mesh(folder / "a.obj", fence=tmp_path / "one").visual.face_colors[0].tolist() == [255, 0, 0, 255]


# ---------------------------------------------------------------------------- touching and thin solids


def test_blocks_that_touch_face_to_face_are_solid_where_they_touch():
    """A low block between two high ones: what is hidden between them is no cavity."""
    blocks = [
        ((1.0, 0.3, 0.6), (0.0, 0.0, 0.0)),
        ((0.2, 0.6, 0.6), (0.6, 0.15, 0.0)),
        ((0.2, 0.6, 0.6), (-0.6, 0.15, 0.0)),
    ]
    mesh = trimesh.util.concatenate([placed(size, *place) for size, place in blocks])
    exact = [primitives.translated(primitives.box(size), place) for size, place in blocks]
    points = np.random.default_rng(0).uniform(-1, 1, (20_000, 3))
    truth = primitives.union(primitives.union(exact[0], exact[1]), exact[2])(points)
    found = signed_distance(mesh)(points)
    assert (np.sign(found) == np.sign(truth))[np.abs(truth) > 1e-3].all()


def test_a_closed_plane_with_thin_wings_is_prepared_as_its_open_twin_is(tmp_path):
    """They lie in the middle between two layers of the grid, which does not see them."""
    closed = trimesh.boolean.union([placed((0.12, 0.12, 1.0)), placed((1.0, 0.006, 0.2), 0, 0.028, 0.05)])
    assert closed.is_watertight
    small = PrepareConfig(sdf_samples=400, surface_points=200, easy_views=1, hard_views=1, image_size=16)
    shape = Shape("a", "airplanes", "a", "train", closed.copy, "found", "1")
    row, record = prepare_shape(shape, Store(tmp_path), small), Store(tmp_path).read_record(shape)
    assert row["status"] == "made" and row["found"] > 0.95 and record and record["thickened"]


# ------------------------------------------------------------------------------- what is noted, and fronts


def test_a_floor_and_a_crumb_and_white_are_noted_and_a_chair_is_not():
    legs = [placed((0.05, 0.4, 0.05), x, 0.2, z) for x in (-0.2, 0.2) for z in (-0.2, 0.2)]
    chair = [placed((0.5, 0.05, 0.5), 0, 0.42, 0), placed((0.5, 0.5, 0.05), 0, 0.7, 0.22), *legs]
    assert odd_looks(trimesh.util.concatenate(chair)) == []
    assert "a floor perhaps, holds most" in odd_looks(trimesh.util.concatenate([*chair, placed((4, 0.01, 4))]))[0]
    assert "a crumb perhaps" in odd_looks(trimesh.util.concatenate([*chair, placed((0.01, 0.01, 0.01), 5, 0, 0)]))[0]
    white = trimesh.util.concatenate(chair)
    white.visual.face_colors = [255, 255, 250, 255]
    assert odd_looks(white) == ["100% of it is white, as the ground of its views is: give it a colour"]


def test_our_glb_looks_along_z_and_other_formats_as_we_do(tmp_path):
    arrow = placed((0.1, 0.1, 0.2), 0.3, 0.5, -0.9)  # points to the front
    for ending, front in (("glb", 0.9), ("obj", -0.9)):
        write_mesh(arrow, tmp_path / f"a.{ending}")
        assert load_mesh(tmp_path / f"a.{ending}").bounds.mean(axis=0)[2] == pytest.approx(front)
    assert arrow.bounds.mean(axis=0)[2] == pytest.approx(-0.9)  # what was given stays
