"""3DS and MD2: two binary formats of the nineties, read as far as shapes and colours need it."""

import struct

import numpy as np
import trimesh

from tpl.meshes.normalization import MeshError
from tpl.meshes.parts import Textures, colored, textured

GREY = [0.5, 0.5, 0.5, 1.0]

# chunks of 3DS that hold nothing but others
FOLDERS = {0x4D4D, 0x3D3D, 0x4100, 0xAFFF, 0xA020, 0xA050, 0xA200}
OBJECT, VERTICES, FACES, FACES_OF_MATERIAL, UV = 0x4000, 0x4110, 0x4120, 0x4130, 0x4140
MATERIAL_NAME, COLOR, TRANSPARENCY, PICTURE = 0xA000, 0xA020, 0xA050, 0xA300
FLOATS, BYTES, PERCENT = 0x0010, 0x0011, 0x0030


def read_3ds(data: bytes, textures: Textures) -> list[trimesh.Trimesh]:
    """The objects of a 3DS file, in the file's frame (usually +z up), with a colour a face.

    Raises:
        MeshError: Not 3DS, cut off, or a face names a vertex that is not there.
    """
    if data[:2] != b"\x4d\x4d":
        raise MeshError("the file does not begin as 3DS")
    try:
        objects, materials = _chunks(data)
    except (struct.error, ValueError, IndexError) as error:
        raise MeshError(f"the file is cut off or damaged ({error})") from error
    parts = []
    for thing in objects:
        vertices, faces = thing.get("vertices", np.zeros((0, 3))), thing.get("faces", np.zeros((0, 3), int))
        if not len(faces):
            continue
        if faces.max() >= len(vertices):
            raise MeshError(f"a face names vertex {faces.max()} of {len(vertices)}")
        colors = np.tile(GREY, (len(faces), 1))
        for name, some in thing["materials"]:
            material = materials.get(name, {})
            colors[some] = [*material.get("color", GREY[:3]), 1 - material.get("transparency", 0.0)]
            if "picture" in material and len(thing.get("uv", ())) == len(vertices):
                uv = thing["uv"][faces[some]].mean(axis=1)
                image = textures.image(material["picture"])
                if image is not None:  # a picture replaces the colour, which programs leave at any value
                    colors[some, :3] = 1
                colors[some] = textured(colors[some], uv, image)
        parts.append(colored(vertices, faces, colors))
    return parts


def _chunks(data: bytes) -> tuple[list[dict], dict[str, dict]]:
    """Objects and materials: what their chunks hold, in the order of the file."""
    objects: list[dict] = []
    materials: dict[str, dict] = {}
    material: dict = {}
    inside = 0  # the folder that tells what a colour or percentage is of
    at = 0
    while at + 6 <= len(data):
        kind, length = struct.unpack_from("<HI", data, at)
        if length < 6:
            raise ValueError(f"a chunk of {length} bytes at byte {at}")
        start, end = at + 6, at + length
        at = end
        if kind in FOLDERS:
            at, inside = start, kind
        elif kind == OBJECT:
            at = start + len(_text(data, start)) + 1
            objects.append({"materials": []})
        elif kind in (VERTICES, UV):
            width = 3 if kind == VERTICES else 2
            values = np.frombuffer(data, "<f4", struct.unpack_from("<H", data, start)[0] * width, start + 2)
            objects[-1]["vertices" if kind == VERTICES else "uv"] = values.reshape(-1, width).astype(float)
        elif kind == FACES:
            count = struct.unpack_from("<H", data, start)[0]
            objects[-1]["faces"] = np.frombuffer(data, "<u2", count * 4, start + 2).reshape(-1, 4)[:, :3].astype(int)
            at = start + 2 + 8 * count  # the materials of the faces follow inside
        elif kind == FACES_OF_MATERIAL:
            name = _text(data, start)
            place = start + len(name) + 1
            some = np.frombuffer(data, "<u2", struct.unpack_from("<H", data, place)[0], place + 2)
            objects[-1]["materials"].append((name, some.astype(int)))
        elif kind == MATERIAL_NAME:
            material = materials.setdefault(_text(data, start), {})
        elif kind == FLOATS and inside == COLOR:
            material.setdefault("color", list(struct.unpack_from("<3f", data, start)))
        elif kind == BYTES and inside == COLOR:
            material.setdefault("color", [value / 255 for value in data[start : start + 3]])
        elif kind == PERCENT and inside == TRANSPARENCY:
            material.setdefault("transparency", struct.unpack_from("<h", data, start)[0] / 100)
        elif kind == PICTURE:
            material.setdefault("picture", _text(data, start))
    return objects, materials


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(0, start)].decode("latin-1")


def read_md2(data: bytes, textures: Textures) -> list[trimesh.Trimesh]:
    """The first frame of an MD2 model of Quake II, in its frame (+z up), with a colour a face.

    The format winds its triangles clockwise, seen from outside: they are turned.

    Raises:
        MeshError: Not MD2, or cut off.
    """
    try:
        magic, version, width, height, _, skins, points, corners, faces, _, frames, *places, _ = struct.unpack_from(
            "<4s16i", data
        )
        skins_at, uv_at, faces_at, frame_at, _ = places
        if magic != b"IDP2" or version != 8 or frames < 1:
            raise ValueError(f"{magic!r}, version {version}, {frames} frames")
        scale, origin = np.frombuffer(data, "<f4", 6, frame_at).reshape(2, 3).astype(float)
        steps = np.frombuffer(data, np.uint8, 4 * points, frame_at + 40).reshape(-1, 4)[:, :3]
        index = np.frombuffer(data, "<i2", 6 * faces, faces_at).reshape(-1, 6).astype(int)
        uv = np.frombuffer(data, "<i2", 2 * corners, uv_at).reshape(-1, 2) / [width, height]
        names = [_text(data, skins_at + 64 * skin) for skin in range(skins)]
        at_faces = uv[index[:, 3:]].mean(axis=1) * [1, -1] + [0, 1]  # a picture's rows are counted from above
    except (struct.error, ValueError, IndexError) as error:
        raise MeshError(f"the file is not MD2, or cut off or damaged ({error})") from error
    if len(index) and (index[:, :3].min() < 0 or index[:, :3].max() >= points):
        raise MeshError(f"a face names vertex {index[:, :3].max()} of {points}")
    image = next((image for name in names if (image := textures.image(name)) is not None), None)
    colors = np.tile(GREY if image is None else [1.0] * 4, (len(index), 1))
    return [colored(steps * scale + origin, index[:, 2::-1], textured(colors, at_faces, image))]
