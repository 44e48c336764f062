"""Files as they come: each is refused in one sentence or read as what it shows, and none does harm."""

import gzip
import io
import json
import os
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.meshes import MeshError, load_mesh
from tpl.meshes.checking import LARGEST
from tpl.shapes import list_shapes

BOX = trimesh.creation.box((1.0, 2.0, 3.0))
OBJ, OFF = BOX.export(file_type="obj"), BOX.export(file_type="off")
PLY, STL, GLB = (BOX.export(file_type=kind) for kind in ("ply", "stl", "glb"))
PLY_TEXT = trimesh.exchange.ply.export_ply(BOX, encoding="ascii").decode()
STL_TEXT = BOX.export(file_type="stl_ascii")
RED = [255, 0, 0, 255]

Content = str | bytes | Callable[[Path], object]


def without(text: str, lines: int) -> str:
    """A text that lost its last lines."""
    return "\n".join(text.splitlines()[:-lines]) + "\n"


def archive(**members: Content) -> bytes:
    """A zip file of members, whose names have `__` for `/` and `_` for `.`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(name.replace("__", "/").replace("_", "."), data)
    return file.getvalue()


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new) and data.count(old) == 2  # beside the member, and in the list at the end
    return data.replace(old, new)


def declared(data: bytes, size: int) -> bytes:
    """An archive whose list says that its first member has `size` bytes."""
    entry = data.index(b"PK\x01\x02")
    return data[: entry + 24] + struct.pack("<I", size) + data[entry + 28 :]


def encrypted(data: bytes) -> bytes:
    """An archive whose first member says that it needs a password."""
    entry = data.index(b"PK\x01\x02")
    return data[:6] + b"\x01\x00" + data[8 : entry + 8] + b"\x01\x00" + data[entry + 10 :]


def damaged(data: bytes) -> bytes:
    """An archive with a hole in its first member."""
    return data[:60] + bytes(20) + data[80:]


def glb(change: Callable[[dict], object]) -> bytes:
    """The box with another header, its lengths put right."""
    length = struct.unpack("<I", GLB[12:16])[0]
    header = json.loads(GLB[20 : 20 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I", len(text)) + b"JSON" + text + GLB[20 + length :]
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def claim_values(header: dict) -> None:
    for accessor in header["accessors"]:
        accessor.pop("bufferView", None)
        accessor["count"] = 10**9


def picture(kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "blue").save(file, kind)
    return file.getvalue()


TEXTURED = "mtllib a.mtl\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\n"
TEXTURED += (
    OBJ[OBJ.index("v ") :].split("\nf ")[0]
    + "\n"
    + "".join(f"f {a + 1}/1 {b + 1}/2 {c + 1}/3\n" for a, b, c in BOX.faces)
)

REFUSED: dict[str, tuple[Content, str]] = {
    "empty.obj": ("", "is empty and has no faces; export it again"),
    "empty.glb": (b"", "is empty"),
    "zeros.stl": (bytes(5000), "is empty"),
    "points.obj": (OBJ[: OBJ.index("\nf ")], "has no faces; export it as triangles"),
    "nan.obj": (OBJ.replace("v 0.50000000", "v nan", 1), "1 of 8 vertices are NaN or infinite"),
    "infinite.off": (OFF.replace("0.5", "1e999", 1), "1 of 8 vertices are NaN or infinite"),
    "far.obj": (OBJ.replace("v 0.50000000", "v 1e300", 1), "1 of 8 vertices are NaN or infinite"),
    "words.obj": (OBJ.replace("v 0.50000000", "v half", 1), "cannot be read as OBJ .*; export it again"),
    "words.off": (OFF.replace("0.5", "half", 1), "cannot be read as OFF"),
    "words.ply": (PLY_TEXT.replace("0.5", "half", 1), "cannot be read as PLY"),
    "words.stl": (STL_TEXT.replace("vertex ", "vertex a", 1), "cannot be read as STL"),
    "missing_vertex.obj": (OBJ + "f 1 2 99\n", "cannot be read as OBJ"),
    "missing_vertex.ply": (PLY_TEXT.replace("\n3 ", "\n3 99 ", 1).replace("99 1 ", "99 "), "names vertex 99 of 8"),
    "vertex_zero.obj": (OBJ + "f 0 1 2\n", "names vertex 0, and OBJ counts from 1"),
    "claim.ply": (PLY.replace(b"vertex 8", b"vertex 90000000"), "claims 90,000,012 vertices and faces in the 252"),
    "claim_text.ply": (PLY_TEXT.replace("vertex 8", "vertex 90000000"), "claims 90,000,012 vertices and faces"),
    "cut_text.ply": (without(PLY_TEXT, 3), "claims 20 vertices and faces in the 17 lines it has"),
    "cut.ply": (PLY[:-20], "cannot be read as PLY .*unexpected length"),
    "endless_header.ply": ("ply\nformat ascii 1.0\n" + "comment x\n" * 9999, "its header has no end"),
    "no_count.ply": (PLY_TEXT.replace("vertex 8", "vertex many"), "does not count its elements"),
    "cut.off": (without(OFF, 3), "claims 20 vertices and faces in the 17 lines it has"),
    "no_header.off": (OFF.replace("OFF\n", ""), "does not begin with OFF"),
    "no_count.off": ("OFF\n", "does not count its vertices and faces"),
    "lie.stl": (STL[:80] + struct.pack("<I", 4 * 10**9) + STL[84:], "claims 4,000,000,000 triangles and has .* 12"),
    "cut.stl": (STL[:-70], "claims 12 triangles and has the bytes of 10"),
    "cut_text.stl": (STL_TEXT[: len(STL_TEXT) // 2], "is cut off before its end"),
    "cut.glb": (GLB[:-100], "is cut off: it claims"),
    "no_mesh.glb": (glb(lambda header: header.pop("meshes")), "has no faces"),
    "claim.glb": (glb(claim_values), "claims 2,000,000,000 values that it does not hold"),
    "no_view.glb": (glb(lambda header: header.pop("bufferViews")), "cannot be read as GLB"),
    "picture.obj": (picture(), "not OBJ, but a PNG picture; give it the ending of what it is"),
    "photo.ply": (picture("jpeg"), "not PLY, but a JPEG picture"),
    "object.stl": (OBJ, "triangles and has the bytes of"),
    "binary.obj": (GLB, "not OBJ, but GLB"),
    "packed.obj": (gzip.compress(OBJ.encode()), "not OBJ, but a gzip archive"),
    "zipped.off": (archive(a_off=OFF), "not OFF, but a zip archive"),
    "cut.zip": (archive(a_obj=OBJ)[:-60], "the archive .* cannot be read .*; fetch or pack it again"),
    "damaged.zip": (damaged(archive(a_obj=OBJ)), "the archive .* cannot be read"),
    "secret.zip": (encrypted(archive(a_obj=OBJ)), "cannot be read .*encrypted.*; fetch or pack it again"),
    "bomb.zip": (declared(archive(a_obj=OBJ), 2**32 - 9), "a.obj has 4,295 MB unpacked, and 537 MB is the most"),
    "loop.obj": (lambda path: path.symlink_to(path), "cannot be opened .*; check what it is"),
    "dangling.obj": (lambda path: path.symlink_to(path.parent / "nowhere"), "there is no file .*; check the path"),
    "pipe.obj": (os.mkfifo, "is no file with contents; check the path"),
    "folder.obj": (Path.mkdir, "is a folder; name a file in it"),
    # AC3D has a test file of its own, which holds its cycles of kids
}

READ: dict[str, Content] = {  # all of them are the box
    "latin.obj": "# Stühle\no Stühle\n".encode("latin-1") + OBJ.encode(),
    "wide.obj": OBJ.encode("utf-16"),
    "marked.off": b"\xef\xbb\xbf" + OFF.encode(),
    "windows.obj": OBJ.replace("\n", "\r\n"),
    "comments.off": "# c\nOFF # x\n\n8 12 0 # counts\n\n" + "\n# hi\n\n".join(OFF.splitlines()[2:]),
    "no_materials.obj": "mtllib gone.mtl\nusemtl gone\n" + OBJ,
    "doubled.obj": OBJ + "\n".join(line for line in OBJ.splitlines() if line.startswith("f ")) + "\n",
    "unused.obj": OBJ + "v nan nan nan\n",
    "cycle.glb": glb(lambda h: (h["nodes"].append({"children": [0]}), h["nodes"][0].update(children=[1]))),
    "up.zip": renamed(archive(ab__ab__evil_obj=OBJ), b"ab/ab/evil.obj", b"../../evil.obj"),
    "absolute.zip": renamed(archive(atmp__evil_obj=OBJ), b"atmp/evil.obj", b"/tmp/evil.obj"),
}


def put(path: Path, content: Content) -> Path:
    if callable(content):
        content(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def everything(root: Path) -> dict[str, object]:
    """What lies under a folder, with the bytes of files."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else path.is_symlink()
        for path in root.rglob("*")
    }


@pytest.fixture
def little_memory():
    """Half a gigabyte more than now, where the system can say so: whoever believes a claim runs out of it."""
    if sys.platform != "linux":
        yield
        return
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**29, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence_that_names_the_file_and_the_remedy(tmp_path, name, little_memory, recwarn):
    content, reason = REFUSED[name]
    path = put(tmp_path / name, content)
    before = everything(tmp_path)
    with pytest.raises(MeshError, match=reason) as error:
        load_mesh(path)
    sentence = str(error.value)
    assert sentence.startswith(str(path)) and "; " in sentence and "\n" not in sentence and "memory" not in sentence
    assert everything(tmp_path) == before and not recwarn.list


@pytest.mark.parametrize("name", READ)
def test_read_as_what_it_shows(tmp_path, name, recwarn):
    path = put(tmp_path / name, READ[name])
    mesh = load_mesh(path)
    assert mesh.bounds.tolist() == BOX.bounds.tolist() and len(mesh.vertices) == 8
    assert mesh.volume == pytest.approx(12 if name == "doubled.obj" else 6)  # cleaning is what drops doubled faces
    assert os.listdir(tmp_path) == [name] and not Path("/tmp/evil.obj").exists() and not recwarn.list


@pytest.mark.parametrize("fault", ["none", "missing", "cut", "text"])
def test_a_texture_that_is_missing_or_broken_costs_its_colours_alone(tmp_path, fault):
    (tmp_path / "a.obj").write_text(TEXTURED)
    (tmp_path / "a.mtl").write_text("newmtl m\nKd 1 0 0\nmap_Kd a.png\n")
    contents = {"none": picture(), "cut": picture()[:90], "text": b"no picture"}
    if fault in contents:
        (tmp_path / "a.png").write_bytes(contents[fault])
    mesh = load_mesh(tmp_path / "a.obj")
    assert mesh.volume == pytest.approx(6)
    assert np.unique(mesh.visual.face_colors, axis=0).tolist() == [[0, 0, 255, 255] if fault == "none" else RED]


@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-16"])
def test_materials_keep_their_names_in_every_coding(tmp_path, coding):
    (tmp_path / "a.obj").write_bytes(("mtllib a.mtl\nusemtl Rötlich\n" + OBJ).encode(coding))
    (tmp_path / "a.mtl").write_bytes("newmtl grün\nKd 0 1 0\nnewmtl Rötlich\nKd 1 0 0\n".encode(coding))
    assert load_mesh(tmp_path / "a.obj").visual.face_colors.tolist() == [RED] * 12


def test_faces_counted_backwards_mean_the_vertices_above_them(tmp_path):
    """Each part says -1 for its own last vertex, in OBJ as in its description."""
    parts = [np.asarray(BOX.vertices), np.asarray(BOX.vertices) + 5]
    lines = []
    for vertices in parts:
        lines += [f"v {x} {y} {z}" for x, y, z in vertices] + ["vn 0 0 1"]
        lines += [f"f {a}//-1 {b}//-1 {c}//-1" for a, b, c in BOX.faces - 8]
    (tmp_path / "two.obj").write_text("\n".join(lines))
    mesh = load_mesh(tmp_path / "two.obj")
    assert mesh.volume == pytest.approx(12) and mesh.is_watertight
    np.testing.assert_allclose(mesh.bounds, [BOX.bounds[0], BOX.bounds[1] + 5])


def test_a_file_too_large_is_not_read(tmp_path, little_memory):
    with (tmp_path / "large.obj").open("wb") as file:
        file.write(OBJ.encode())
        file.truncate(LARGEST + 1)  # a hole: it takes no room on the disk
    with pytest.raises(MeshError, match="has 537 MB, and 537 MB is the most; simplify the mesh"):
        load_mesh(tmp_path / "large.obj")


def test_a_file_without_permission(tmp_path, monkeypatch):
    path = put(tmp_path / "mine.obj", OBJ)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read anything: someone else tries

        def denied(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(MeshError, match=r"mine.obj cannot be opened \(Permission denied\); check what it is"):
        load_mesh(path)


def test_a_folder_of_all_this_is_prepared_as_far_as_it_can(tmp_path):
    """One row a shape, a reason for each that failed, and nothing is touched but the data folder."""
    meshes, data = tmp_path / "meshes", tmp_path / "data"
    meshes.mkdir()
    for name, (content, _) in REFUSED.items():
        put(meshes / name, content)
    flat = {
        "plane.obj": "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n",
        "triangle.off": "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
    }
    two = trimesh.util.concatenate([BOX, BOX.copy().apply_translation([3, 0, 0])]).export(file_type="obj")
    good = {**READ, **flat, "two_objects.obj": two}
    for name, content in good.items():
        put(meshes / name, content)
    before = everything(meshes)
    small = PrepareConfig(sdf_samples=100, surface_points=64, easy_views=1, hard_views=1, image_size=16)
    options = {"folder": str(meshes), "folder_category": "chairs", "source": "folder", "split_by": "random"}
    config = CollectionConfig(**options, train=999, validation=999, test=999, prepare=small)
    report = open_collection(data, config=config).prepare(["chairs"], jobs=1)

    assert everything(meshes) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "meshes"]
    shapes = list_shapes("folder", "chairs", 999, 999, 999, options=config)
    assert sorted(report.shape_id) == sorted(shape.id for shape in shapes)
    failed = report[report.status == "failed"]
    assert len(report) - len(failed) == len(good) and len(failed) == len(REFUSED) - 1  # a folder is no file
    assert failed.reason.str.startswith("MeshError: ").all() and failed.reason.str.contains("; ").all()
