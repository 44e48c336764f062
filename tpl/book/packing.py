"""Scenes' pages made small: meshes on a grid, in an order in which each number is near the one before, and fewer faces.

k3d keeps 12 bytes a vertex and 12 a face. Here a snapshot is cut into what is not a mesh, as it stands, and small
integers, which deflate well; `unpacked.js` puts it together again in the page, and k3d reads it as its own.
"""

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import numpy as np
from jaxtyping import Int, UInt8, UInt16
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, depth_first_order
from scipy.spatial import KDTree
from trimesh import Trimesh

from tpl.look.scenes import inside_corners, smooth_patches

UNPACKING = Path(__file__).with_name("unpacked.js")
LARGEST = 200_000
"""Bytes of a scene's page."""

GRID = 2.0**-12
"""What places of vertices are multiples of: a quarter of a millimetre for a chair of one metre."""

ALIKE = 24
"""Levels of 255 that a vertex's colours lie from their mean, at most, to be one."""

FEWER = 0.85
"""What of the faces is left, time after time, until a page is small enough."""

LEAST = 0.02
"""The share of faces at which it stays as large as it is."""

SNAPSHOT = re.compile(r'data-snapshot="([^"]+)"')
READS = "k3d.CreateK3DAndLoadBinarySnapshot(bytes(canvas.dataset.snapshot).buffer, canvas)"
"""How a page reads its snapshot, and how it does afterwards."""

DRAWS = '<script src="../standalone.js"></script>'
"""What every scene reads, whatever else it does."""

READS_PACKED = "unpacked(bytes(canvas.dataset.snapshot)).then(read => k3d.CreateK3DAndLoadBinarySnapshot(read, canvas))"


class Mesh(NamedTuple):
    """What is seen of a mesh."""

    vertices: Int[np.ndarray, "n 3"]  # multiples of GRID
    faces: Int[np.ndarray, "faces 3"]
    colors: UInt8[np.ndarray, "n 3"]


def pack_scenes(folder: Path, largest: int = LARGEST) -> None:
    """Packs the pages of all scenes below a folder, in place, and puts there the script that they load.

    Args:
        folder: Of the chapters' folders of scenes.
        largest: Bytes of a page: one with more loses faces.
    """
    used = False
    for page in sorted(folder.glob("*/*.html")):
        text = page.read_text(encoding="utf-8")
        if READS in text:
            page.write_text(packed_page(text, largest), encoding="utf-8")
            used = True
    if used:
        (folder / UNPACKING.name).write_bytes(UNPACKING.read_bytes())


def packed_page(page: str, largest: int = LARGEST) -> str:
    """A scene's page that reads packed snapshots, with as many of its faces as its size allows."""
    snapshots = [msgpack.unpackb(zlib.decompress(base64.b64decode(text))) for text in SNAPSHOT.findall(page)]
    page = page.replace(READS, READS_PACKED).replace(DRAWS, f'{DRAWS}\n<script src="../{UNPACKING.name}"></script>')
    share = 1.0
    while True:
        packed = iter([base64.b64encode(pack(snapshot, share)).decode() for snapshot in snapshots])
        made = SNAPSHOT.sub(lambda _, packed=packed: f'data-snapshot="{next(packed)}"', page)
        if len(made) <= largest or share < LEAST:
            return made
        share *= min(FEWER, largest / len(made))


def pack(snapshot: dict[str, Any], share: float = 1.0) -> bytes:
    """A snapshot of k3d with its meshes as small integers, deflated.

    Four bytes with the length of a JSON text; that text; the snapshot with zeros in its meshes' arrays; and for each
    array that the text lists, the low bytes of its numbers, then the high ones.

    Args:
        snapshot: As k3d's JavaScript has it.
        share: Of the faces that are kept.
    """
    objects, arrays = [], []
    for told in snapshot["objects"]:
        if told["type"] == "Mesh":
            mesh = _ordered(_read(told, share))
            told = dict(told)
            for name, codes in _codes(mesh).items():
                mark = b"array %d" % len(arrays)  # for where it stands
                shape = list(mesh.faces.shape if name == "indices" else told[name]["shape"])
                shape[0] = len(mesh.faces if name == "indices" else mesh.vertices)
                told[name] = told[name] | {"data": mark.ljust(4 * int(np.prod(shape)), b"\0"), "shape": shape}
                arrays.append((name, mark, codes))
        objects.append(told)
    frame = msgpack.packb(snapshot | {"objects": objects})
    assert frame is not None
    about = [{"name": name, "at": frame.index(mark), "count": len(codes)} for name, mark, codes in arrays]
    for _, mark, _ in arrays:
        frame = frame.replace(mark, b"\0" * len(mark))
    text = json.dumps({"size": len(frame), "grid": GRID, "arrays": about}).encode()
    planes = [code.astype("<u2").view(np.uint8).reshape(-1, 2).T.tobytes() for _, _, code in arrays]
    return zlib.compress(len(text).to_bytes(4, "little") + text + frame + b"".join(planes), 9)


def _read(told: dict[str, Any], share: float) -> Mesh:
    """A mesh of k3d's on the grid, decimated where a share of its faces is asked for.

    As in `scenes`, a vertex is one again for each side of a crease and each of its colours; but of colours that hardly
    differ it has the mean.
    """
    arrays = [np.frombuffer(told[name]["data"], told[name]["dtype"]) for name in ("vertices", "indices", "colors")]
    vertices, faces = arrays[0].reshape(-1, 3), arrays[1].reshape(-1, 3).astype(np.int64)
    packed = arrays[2].astype(np.int64)  # 0xRRGGBB
    colors = np.stack([packed >> 16, packed >> 8, packed], axis=1) & 255
    corners = colors[faces].reshape(-1, 3)
    places, index = np.unique(vertices, axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces]
    if share < 1:
        before = KDTree(inside_corners(places, faces))
        whole = Trimesh(places, faces, process=False)
        simple = whole.simplify_quadric_decimation(face_count=round(share * len(faces)))
        places, faces = simple.vertices.view(np.ndarray), simple.faces.view(np.ndarray).astype(np.int64)
        corners = corners[before.query(inside_corners(places, faces))[1]]
    patches = np.repeat(smooth_patches(places, faces), 3)
    sides, index = np.unique(np.stack([faces.reshape(-1), patches], axis=1), axis=0, return_inverse=True)
    index = index.reshape(-1)
    count = np.bincount(index)
    mean = np.stack([np.bincount(index, weights=channel) / count for channel in corners.T], axis=1)
    far = np.zeros(len(sides))
    np.maximum.at(far, index, np.abs(corners - mean[index]).max(axis=1))
    shown = np.where((far <= ALIKE)[index][:, None], np.rint(mean[index]).astype(np.int64), corners)
    unique, index = np.unique(np.column_stack([index, shown]), axis=0, return_inverse=True)
    grid = np.rint(places[sides[unique[:, 0], 0]] / GRID).astype(np.int64)
    return Mesh(grid, index.reshape(-1, 3), unique[:, 1:].astype(np.uint8))


def _ordered(mesh: Mesh) -> Mesh:
    """The same mesh, each face beside one that it shares vertices with, and vertices in the order of their faces."""
    count = len(mesh.faces)
    edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    order = np.lexsort(edges.T)
    same = (edges[order[1:]] == edges[order[:-1]]).all(axis=1)
    pairs = np.stack([order[1:][same], order[:-1][same]]) // 3
    beside = coo_array((np.ones(pairs.shape[1]), pairs), shape=(count, count)).tocsr()
    pieces, labels = connected_components(beside, directed=False)
    starts = np.unique(labels, return_index=True)[1]
    walk = np.concatenate([depth_first_order(beside, start, directed=False)[0] for start in starts[:pieces]])
    faces = mesh.faces[walk]
    used, first, index = np.unique(faces.reshape(-1), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    used = used[np.argsort(first)]
    return Mesh(mesh.vertices[used], rank[index].reshape(-1, 3), mesh.colors[used])


def _codes(mesh: Mesh) -> dict[str, UInt16[np.ndarray, " codes"]]:
    """The numbers of a mesh as small ones.

    Vertices and colours: the differences from one to the next, an axis after the other. Faces: how far a corner's
    vertex lies behind the first one that has not been named yet, which is 0 for that one itself.
    """
    if len(mesh.vertices) > 1 << 16:
        raise ValueError(f"{len(mesh.vertices)} vertices are more than a packed scene numbers: show fewer faces")
    corners = mesh.faces.reshape(-1)
    named = np.maximum.accumulate(np.concatenate([[-1], corners]))[:-1] + 1
    return {
        "vertices": _steps(mesh.vertices),
        "indices": (named - corners).astype(np.uint16),
        "colors": _steps(mesh.colors.astype(np.int64)),
    }


def _steps(values: Int[np.ndarray, "n 3"]) -> UInt16[np.ndarray, " codes"]:
    """Differences down each column, those below zero between those above it: 0, -1, 1, -2, ..."""
    steps = np.diff(values, axis=0, prepend=0).T.reshape(-1)
    return np.where(steps < 0, -2 * steps - 1, 2 * steps).astype(np.uint16)
