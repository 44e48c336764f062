"""AC3D, 3DS and MD2 files written here, with answers that are known."""

import struct

import numpy as np
import pytest
from PIL import Image

from tpl.meshes import MeshError, load_mesh

HEAD = 'AC3Db\nMATERIAL "red" rgb 1 0 0  amb 0 0 0  trans 0\nMATERIAL "glass" rgb 0 0 1  amb 0 0 0  trans 1\n'
TRIANGLE = "numvert 3\n0 0 0\n1 0 0\n0 1 0\nnumsurf 1\nSURF 0X10\nmat 0\nrefs 3\n0 0 0\n1 1 0\n2 0 1\n"


def read(tmp_path, text, drop=()):
    file = tmp_path / "thing.ac"
    file.write_bytes(text.encode())
    return load_mesh(file, drop)


def triangles(mesh):
    return sorted(sorted(map(tuple, np.round(triangle, 6) + 0.0)) for triangle in mesh.triangles)


def test_a_parents_rotation_and_place_move_its_kids(tmp_path):
    quarter = "rot 0 1 0 -1 0 0 0 0 1\n"  # rows: x goes to y, y to -x
    text = HEAD + "OBJECT world\nkids 1\nOBJECT group\n" + quarter + "loc 10 0 0\nkids 1\n"
    text += 'OBJECT poly\nname "kid"\nloc 1 2 3\n' + TRIANGLE + "kids 0\n"
    # (x, y, z) + (1, 2, 3), turned to (-y, x, z), + (10, 0, 0)
    expected = [[(7.0, 1.0, 3.0), (8.0, 1.0, 3.0), (8.0, 2.0, 3.0)]]
    assert triangles(read(tmp_path, text)) == expected


def test_names_texts_blank_lines_and_lines_do_not_disturb(tmp_path):
    text = HEAD + 'OBJECT world\nkids 2\nOBJECT poly\nname "a"\ndata 12\nOBJECT\nkids \n'
    text += "crease 45.0\nsubdiv 2\n" + TRIANGLE.replace("0 0 0\n1 0", "0 0 0\n\n   \n1 0") + "kids 0\n"
    text += "OBJECT poly\nnumvert 2\n5 5 5\n6 6 6\nnumsurf 1\nSURF 0x2\nmat 0\nrefs 2\n0 0 0\n1 0 0\nkids 0\n"
    assert triangles(read(tmp_path, text)) == [[(0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)]]


@pytest.mark.parametrize("clockwise", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 2, 5])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2)])
def test_a_concave_polygon_keeps_its_area_and_its_side(tmp_path, axes, shift, clockwise):
    outline = np.array([(0, 0, 0), (3, 0, 0), (3, 3, 0), (2, 3, 0), (2, 1, 0), (0, 1, 0)], float)  # an L: area 5
    outline = np.roll(outline[:: -1 if clockwise else 1], shift, axis=0)[:, axes]
    text = HEAD + "OBJECT poly\nnumvert 6\n" + "\n".join(" ".join(map(str, row)) for row in outline)
    text += "\nnumsurf 1\nSURF 0x0\nmat 0\nrefs 6\n" + "".join(f"{n} 0 0\n" for n in range(6)) + "kids 0\n"
    mesh = read(tmp_path, text)
    assert mesh.area == pytest.approx(5) and len(mesh.faces) == 4
    normal = np.cross(outline, np.roll(outline, -1, axis=0)).sum(axis=0)
    np.testing.assert_allclose(mesh.face_normals @ normal, 10)  # twice the area


def test_a_strip_turns_every_second_triangle(tmp_path):
    text = HEAD + "OBJECT poly\nnumvert 4\n0 0 0\n1 0 0\n0 1 0\n1 1 0\nnumsurf 1\nSURF 0x4\nmat 0\nrefs 4\n"
    mesh = read(tmp_path, text + "0 0 0\n1 0 0\n2 0 0\n3 0 0\nkids 0\n")
    np.testing.assert_allclose(mesh.face_normals, [[0, 0, 1], [0, 0, 1]])


def test_dropped_objects_go_with_their_kids(tmp_path):
    text = HEAD + 'OBJECT world\nkids 2\nOBJECT poly\nname "disc"\n' + TRIANGLE + "kids 1\nOBJECT poly\n" + TRIANGLE
    text += 'kids 0\nOBJECT poly\nname "wing"\nloc 0 0 7\n' + TRIANGLE + "kids 0\n"
    assert len(read(tmp_path, text).faces) == 3
    assert read(tmp_path, text, ["disc"]).vertices[:, 2].tolist() == [7, 7, 7]


def test_materials_textures_and_their_repeats_become_colours(tmp_path):
    picture = Image.fromarray(np.array([[[0, 255, 0], [255, 255, 255]]], np.uint8))
    picture.save(tmp_path / "skin.rgb", "sgi")
    glass = TRIANGLE.replace("mat 0", "mat 1").replace("1 0 0\n0 1 0", "1 0 5\n0 1 5")
    text = HEAD + "OBJECT world\nkids 3\nOBJECT poly\n" + TRIANGLE + "kids 0\nOBJECT poly\n" + glass + "kids 0\n"
    # its faces' middle lies at u = 1/3 of the picture, once or, repeated and moved, at 1/3 * 0.5 + 0.6
    text += 'OBJECT poly\ntexture "C:\\elsewhere\\skin.rgb"\ntexrep 0.5 1\ntexoff 0.6 0\nloc 0 0 9\n'
    mesh = read(tmp_path, text + TRIANGLE + "kids 0\n")
    assert mesh.visual.face_colors.tolist() == [[255, 0, 0, 255], [0, 0, 255, 0], [255, 0, 0, 255]]
    once = read(tmp_path, text.replace("texrep 0.5 1\ntexoff 0.6 0\n", "") + TRIANGLE + "kids 0\n")
    assert once.visual.face_colors[2].tolist() == [0, 0, 0, 255]  # red times green


WORLD = HEAD + "OBJECT world\nkids 1\nOBJECT group\nkids {}\nOBJECT poly\n" + TRIANGLE + "kids 0\n"


@pytest.mark.parametrize(
    "text, reason",
    [
        (HEAD + "OBJECT poly\n" + TRIANGLE.replace("mat 0", "mat 5") + "kids 0\n", "has material 5, and the file has"),
        (WORLD.format(2), "the file ends 1 objects before the numbers of kids say"),
        (WORLD.format(-1), "is not understood: kids -1"),
        (HEAD + "OBJECT poly\nnumvert 1000000000\n0 0 0\n", "promises 1000000000 vertices, and 1 lines follow"),
        (HEAD + "OBJECT poly\n" + TRIANGLE, "the file ends in the middle of an object"),
        (HEAD + "OBJECT poly\n" + TRIANGLE.replace("\n2 0 1", "\n7 0 1") + "kids 0\n", "names vertex 7 of 3"),
        (HEAD + "nonsense\n", "line 4 is 'nonsense'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, reason):
    with pytest.raises(MeshError, match="thing.ac: .*; fetch or export it again") as error:
        read(tmp_path, text)
    assert reason in str(error.value)


def test_parts_that_were_taken_out_of_the_outermost_object_are_not_missed(tmp_path):
    assert len(read(tmp_path, WORLD.format(1).replace("world\nkids 1", "world\nkids 3")).faces) == 1


def test_an_object_more_than_the_numbers_of_kids_say_stands_in_the_world_and_is_said(tmp_path):
    mesh = read(tmp_path, WORLD.format(0))
    assert len(mesh.faces) == 1
    assert mesh.metadata["notes"] == ["1 objects more than the numbers of kids say were put into the world"]


def chunk(kind, body):
    return struct.pack("<HI", kind, 6 + len(body)) + body


def test_a_3ds_file_gives_its_objects_colours_and_textures(tmp_path):
    """Two triangles of a square: one of a plain material, one with a picture that is green at its left."""
    Image.fromarray(np.array([[[0, 255, 0], [9, 9, 9]]], np.uint8)).save(tmp_path / "GREEN.TGA")
    points = struct.pack("<H12f", 4, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0)
    uv = struct.pack("<H8f", 4, *[0.2] * 8)
    users = chunk(0x4130, b"plain\0" + struct.pack("<HH", 1, 0)) + chunk(0x4130, b"skin\0" + struct.pack("<HH", 1, 1))
    faces = struct.pack("<H8H", 2, 0, 1, 2, 0, 0, 2, 3, 0) + users
    mesh = chunk(0x4100, chunk(0x4110, points) + chunk(0x4140, uv) + chunk(0x4120, faces))
    plain = chunk(0xA000, b"plain\0") + chunk(0xA020, chunk(0x0011, bytes([255, 0, 0])))
    plain += chunk(0xA050, chunk(0x0030, struct.pack("<h", 100)))
    skin = chunk(0xA000, b"skin\0") + chunk(0xA200, chunk(0xA300, b"GREEN.TGA\0"))
    editor = chunk(0xAFFF, plain) + chunk(0xAFFF, skin) + chunk(0x4000, b"wing\0" + mesh)
    (tmp_path / "wing.3ds").write_bytes(chunk(0x4D4D, chunk(0x3D3D, editor)))
    loaded = load_mesh(tmp_path / "wing.3ds")
    assert loaded.area == pytest.approx(1) and len(loaded.vertices) == 4
    assert loaded.visual.face_colors.tolist() == [[255, 0, 0, 0], [0, 255, 0, 255]]


def test_an_md2_file_is_turned_inside_out_and_coloured_by_the_picture_beside_it(tmp_path):
    corners = np.array([(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 2)])
    outward = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
    clockwise = outward[:, ::-1]  # as the format wants it
    skin = b".box".ljust(64, b"\0")
    uv = struct.pack("<2h", 1, 7)  # of a picture of 8 by 8: near its lower left
    faces = b"".join(struct.pack("<6h", *face, 0, 0, 0) for face in clockwise)
    frame = struct.pack("<6f", 0.5, 0.5, 0.5, 1, 1, 1) + b"frame".ljust(16, b"\0")
    frame += b"".join(bytes([*(2 * corner), 0]) for corner in corners)  # steps of a half, from (1, 1, 1)
    places = np.cumsum([68, len(skin), len(uv), len(faces), len(frame)])
    head = struct.pack("<4s16i", b"IDP2", 8, 8, 8, len(frame), 1, 4, 1, 4, 0, 1, *places[:4], 0, places[4])
    (tmp_path / "box.md2").write_bytes(head + skin + uv + faces + frame)
    picture = np.full((8, 8, 3), 255, np.uint8)
    picture[4:, :4] = [0, 0, 255]
    Image.fromarray(picture).save(tmp_path / "box.png")
    mesh = load_mesh(tmp_path / "box.md2")
    assert mesh.volume == pytest.approx(8 / 6)
    np.testing.assert_allclose(mesh.bounds, [[1, 1, 1], [3, 3, 3]])
    assert {tuple(color) for color in mesh.visual.face_colors.tolist()} == {(0, 0, 255, 255)}
