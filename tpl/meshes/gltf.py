"""glTF before its reader: one self-contained GLB whose claims hold, positions as floats, pictures that may be shown.

The reader, trimesh, takes integers for lengths (KHR_mesh_quantization), leaves sparse values and fans of triangles out,
and follows names and counts wherever they lead. What needs none of this passes as it is, byte by byte.
"""

import base64
import copy
import json
import struct
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import numpy as np

from tpl.gate import Gate
from tpl.meshes.checking import LARGEST, MOST_FACES, ClaimError

PLAIN = ("KHR_materials_", "KHR_texture_", "KHR_lights_", "EXT_texture_", "MSFT_texture_", "KHR_xmp", "KHR_mesh_quant")
"""How extensions are called that a file may require: they tell of looks, or of integers, which are read here."""

COMPRESSED = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
KINDS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
TRIANGLES, STRIP, FAN = 4, 5, 6  # the modes of primitives that have an area
FLOAT, INDEX = 5126, 5125


def as_glb(data: bytes, get: Callable[[str], bytes], gate: Gate) -> bytes:
    """A glTF file, text or binary, with all that it names, as one GLB that trimesh reads as it is meant.

    Quantised positions become floats, sparse values are put in, fans become triangles, buffers and pictures come from
    the files beside it. A picture that is missing, broken or of a kind that is not let in costs its colours only.

    Args:
        data: The file.
        get: The bytes of a file by its name, relative to the mesh.
        gate: Pays for what is read and decoded.

    Raises:
        ClaimError: It needs an extension that is not read, claims values it does not hold, or draws too many faces.

    Source: the glTF 2.0 specification (Khronos 2021), 3.6 to 3.9, and its extension KHR_mesh_quantization.
    """
    header, binary = _chunks(data)
    _check_extensions(header)
    given = json.dumps(header)
    buffers = [_buffer(buffer, binary, get) for buffer in _list(header, "buffers")]
    _check_claims(header, buffers, len(data))
    file = _File(header, buffers)
    for primitive in _primitives(header):
        file.mend(primitive)
    for image in _list(header, "images"):
        file.take_picture(image, get, gate)
    self_contained = data.startswith(b"glTF") and json.dumps(header) == given
    return data if self_contained else file.packed()


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a glTF file, and the binary part of a GLB."""
    text, binary = data, b""
    if data.startswith(b"glTF"):
        length = int.from_bytes(data[12:16], "little")
        text, rest = data[20 : 20 + length], data[20 + length :]
        while len(rest) >= 8 and not binary:
            length, kind = struct.unpack_from("<I4s", rest)
            binary, rest = (rest[8 : 8 + length] if kind == b"BIN\0" else b""), rest[8 + length :]
    header = json.loads(text.decode("utf-8-sig"))
    if not isinstance(header, dict):
        raise ClaimError("its header is no object; export it again")
    return header, binary


def _check_extensions(header: dict[str, Any]) -> None:
    used = {name for thing in (*_list(header, "bufferViews"), *_primitives(header)) for name in _extensions(thing)}
    required = [str(name) for name in header.get("extensionsRequired", [])]
    # what is compressed beside a plain copy is not required, and its accessors have bytes
    empty = any("bufferView" not in each and "sparse" not in each for each in _list(header, "accessors"))
    compressed = [name for name in COMPRESSED if name in required or (name in used and empty)]
    if compressed:
        what = COMPRESSED[compressed[0]]
        raise ClaimError(
            f"is compressed by {what} ({compressed[0]}), which is not read; export it without compression, "
            "or unpack it: `gltf-transform copy in.glb out.glb`"
        )
    if unknown := [name for name in required if not name.startswith(PLAIN)]:
        raise ClaimError(f"requires {', '.join(unknown)}, which is not read; export it without that extension")


def _buffer(buffer: dict[str, Any], binary: bytes, get: Callable[[str], bytes]) -> bytes:
    uri = buffer.get("uri")
    data = binary if uri is None else _bytes_of(uri, get)
    if len(data) < int(buffer["byteLength"]):
        name = "its buffer" if uri is None or uri.startswith("data:") else uri
        raise ClaimError(
            f"{name} has {len(data):,} of the {int(buffer['byteLength']):,} bytes it claims; export it again"
        )
    return data


def _bytes_of(uri: str, get: Callable[[str], bytes]) -> bytes:
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    try:
        return get(unquote(uri))
    except (OSError, KeyError) as error:
        raise ClaimError(f"names {uri}, which is not there; put it beside the file") from error


def _check_claims(header: dict[str, Any], buffers: list[bytes], size: int) -> None:
    """Refuses what would cost more memory than the file is worth: its reader believes every number."""
    accessors, views = _list(header, "accessors"), _list(header, "bufferViews")
    empty = sum(_count(each) for each in accessors if "bufferView" not in each)
    if empty > max(size, 100_000):  # such values need no bytes: they are all zero, and memory is reserved for them
        raise ClaimError(f"claims {empty:,} values that it does not hold; export it again")
    held = sum(_count(each) * WIDTHS.get(str(each.get("type")), 1) for each in accessors)
    cut = sum(int(view["byteLength"]) for view in views)
    if max(8 * held, cut) > 4 * LARGEST:
        raise ClaimError(f"shares {sum(map(len, buffers)):,} bytes among {cut:,} claimed; export it again")
    meshes = _list(header, "meshes")
    faces = [sum(_faces(p, accessors) for p in _list(mesh, "primitives")) for mesh in meshes]
    corners = sum(_vertices(p, accessors) for p in _primitives(header))
    nodes = _list(header, "nodes")
    drawn = sum(faces[node["mesh"]] for node in _drawn(header, nodes) if node.get("mesh", len(faces)) < len(faces))
    if max(drawn, sum(faces), corners // 3) > MOST_FACES:
        most = max(drawn, sum(faces), corners // 3)
        raise ClaimError(f"draws {most:,} faces, and {MOST_FACES:,} is the most; simplify the mesh")


def _drawn(header: dict[str, Any], nodes: list[dict]) -> Iterator[dict]:
    """The nodes of the scene that is shown, each as often as it is another's child."""
    scenes = _list(header, "scenes")
    waiting = [(-1, root) for root in scenes[header.get("scene", 0)].get("nodes", [])] if scenes else []
    seen = set()
    while waiting:
        edge = waiting.pop()
        if edge not in seen:
            seen.add(edge)
            node = nodes[edge[1]]
            yield node
            waiting += [(edge[1], child) for child in node.get("children", [])]


def _faces(primitive: dict[str, Any], accessors: list[dict]) -> int:
    corners = _count(accessors[primitive["indices"]]) if "indices" in primitive else _vertices(primitive, accessors)
    return corners // 3 if primitive.get("mode", TRIANGLES) == TRIANGLES else corners


def _vertices(primitive: dict[str, Any], accessors: list[dict]) -> int:
    at = primitive.get("attributes", {}).get("POSITION")
    return 0 if at is None else _count(accessors[at])


def _count(accessor: dict[str, Any]) -> int:
    count = int(accessor["count"])
    if count < 0:
        raise ClaimError(f"claims {count} values; export it again")
    return count


class _File:
    """The header of a file that is mended, and its bytes, which grow at the end."""

    def __init__(self, header: dict[str, Any], buffers: list[bytes]):
        self.header, self.buffers = header, buffers
        self.added = bytearray()
        self.mended: dict[tuple[int, bool], int] = {}

    def mend(self, primitive: dict[str, Any]) -> None:
        """Gives a primitive positions, places in textures and corners that are read as they are meant."""
        attributes = primitive.get("attributes", {})
        for name in ("POSITION", "TEXCOORD_0"):
            if name in attributes and self._is_odd(attributes[name], floats=True):
                attributes[name] = self._plain(attributes[name], floats=True)
        if "indices" in primitive and self._is_odd(primitive["indices"], floats=False):
            primitive["indices"] = self._plain(primitive["indices"], floats=False)
        if primitive.get("mode", TRIANGLES) == FAN:
            count = _vertices(primitive, self.header["accessors"])
            corners = self._values(primitive["indices"]).ravel() if "indices" in primitive else np.arange(count)
            first = np.broadcast_to(corners[:1], max(0, len(corners) - 2))
            fan = np.stack([first, corners[1:-1], corners[2:]], axis=1)
            primitive["indices"] = self._add(fan.reshape(-1, 1).astype("<u4"), INDEX, "SCALAR")
            primitive["mode"] = TRIANGLES

    def take_picture(self, image: dict[str, Any], get: Callable[[str], bytes], gate: Gate) -> None:
        """Puts a picture among the bytes, or leaves it out where it cannot be shown."""
        try:
            if "uri" in image:
                data = _bytes_of(image["uri"], get)
            else:
                data = self._view(image["bufferView"])
            gate.picture(data)
        except Exception:  # it costs its colours, and each kind has its own ways to fail
            image.pop("bufferView", None)
            image.pop("uri", None)
        else:
            if image.pop("uri", None) is not None:
                image["bufferView"] = self._keep(data)

    def packed(self) -> bytes:
        """All of it as one GLB, of one buffer."""
        starts = np.cumsum([0, *map(_padded, self.buffers)]).tolist()
        header = copy.copy(self.header)
        header["bufferViews"] = [
            {**view, "buffer": 0, "byteOffset": view.get("byteOffset", 0) + starts[view["buffer"]]}
            for view in _list(self.header, "bufferViews")
        ]
        binary = b"".join(data.ljust(_padded(data), b"\0") for data in self.buffers) + bytes(self.added)
        header["buffers"] = [{"byteLength": len(binary)}]
        text = json.dumps(header).encode()
        text = text.ljust(_padded(text))
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
        return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks

    def _is_odd(self, index: int, floats: bool) -> bool:
        accessor = self.header["accessors"][index]
        return "sparse" in accessor or (floats and accessor["componentType"] != FLOAT)

    def _plain(self, index: int, floats: bool) -> int:
        """The number of an accessor with the values of this one, as floats or as indices."""
        if (index, floats) not in self.mended:
            values, accessor = self._values(index), self.header["accessors"][index]
            if floats and accessor.get("normalized") and values.dtype != np.float32:
                values = np.maximum(values / np.iinfo(values.dtype).max, -1.0)
            kind = (np.dtype("<f4"), FLOAT) if floats else (np.dtype("<u4"), INDEX)
            self.mended[index, floats] = self._add(values.astype(kind[0]), kind[1], accessor["type"])
        return self.mended[index, floats]

    def _values(self, index: int) -> np.ndarray:
        """What an accessor holds, (count, width)."""
        accessor = self.header["accessors"][index]
        kind, width = np.dtype(KINDS[accessor["componentType"]]).newbyteorder("<"), WIDTHS[accessor["type"]]
        values = np.zeros((_count(accessor), width), kind.newbyteorder("="))
        if "bufferView" in accessor:
            values[:] = self._read(accessor["bufferView"], accessor.get("byteOffset", 0), kind, len(values), width)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            places, new = sparse["indices"], sparse["values"]
            of_place = np.dtype(KINDS[places["componentType"]]).newbyteorder("<")
            count = _count(sparse)
            rows = self._read(places["bufferView"], places.get("byteOffset", 0), of_place, count, 1).ravel()
            values[rows] = self._read(new["bufferView"], new.get("byteOffset", 0), kind, count, width)
        return values

    def _read(self, view: int, offset: int, kind: np.dtype, count: int, width: int) -> np.ndarray:
        data = self._view(view)
        stride = self.header["bufferViews"][view].get("byteStride", kind.itemsize * width)
        if count and not 0 <= offset <= offset + (count - 1) * stride + kind.itemsize * width <= len(data):
            raise ClaimError(f"claims {count:,} values that its bytes do not hold; export it again")
        return np.ndarray((count, width), kind, data, offset, (stride, kind.itemsize))

    def _view(self, index: int) -> bytes:
        view = self.header["bufferViews"][index]
        start = view.get("byteOffset", 0)
        return self.buffers[view["buffer"]][start : start + view["byteLength"]]

    def _add(self, values: np.ndarray, kind: int, shape: str) -> int:
        accessor = {"bufferView": self._keep(values.tobytes()), "componentType": kind, "count": len(values)}
        self.header["accessors"].append({**accessor, "type": shape})
        return len(self.header["accessors"]) - 1

    def _keep(self, data: bytes) -> int:
        """The number of a view of bytes that are put behind all others."""
        last = len(self.buffers) - 1
        begin = _padded(self.buffers[last]) + len(self.added) if self.buffers else len(self.added)
        if not self.buffers:
            self.buffers.append(b"")
        view = {"buffer": max(last, 0), "byteOffset": begin, "byteLength": len(data)}
        self.added += data.ljust(_padded(data), b"\0")
        self.header.setdefault("bufferViews", []).append(view)
        return len(self.header["bufferViews"]) - 1


def _padded(data: bytes) -> int:
    """Its length in whole words of 4 bytes."""
    return len(data) + -len(data) % 4


def _primitives(header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (primitive for mesh in _list(header, "meshes") for primitive in _list(mesh, "primitives"))


def _extensions(thing: dict[str, Any]) -> dict[str, Any]:
    return thing.get("extensions") or {}


def _list(thing: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return thing.get(name) or []
