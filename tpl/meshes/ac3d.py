"""AC3D, the text format of FlightGear's and many other hobbyists' models: a tree of objects with materials."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import trimesh

from tpl.meshes.checking import few_lines
from tpl.meshes.normalization import MeshError
from tpl.meshes.parts import Textures, colored, textured, triangulate

POLYGON, STRIP = 0, 4  # the kinds of surfaces that have an area; 1 and 2 are lines


@dataclass
class _Object:
    """What stands between OBJECT and kids."""

    name: str = ""
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    location: np.ndarray = field(default_factory=lambda: np.zeros(3))
    texture: str = ""
    repeat: np.ndarray = field(default_factory=lambda: np.ones(2))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(2))
    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    surfaces: list = field(default_factory=list)  # of each: kind, material, and corners (n, 3) of vertex, u, v


def read_ac3d(
    data: bytes, textures: Textures, drop: Collection[str] = (), notes: list[str] | None = None
) -> list[trimesh.Trimesh]:
    """The objects of an AC3D file that have faces, each in the frame of the file and with a colour a face.

    A point p of an object is p R + loc in its parent's frame, R being the nine numbers of `rot` row by row, so that a
    parent's `rot` and `loc` move its kids, too. Polygons may be concave. Lines have no faces, `crease` and `subdiv`
    tell a renderer how to smooth, and both are passed over. Opacity is 1 - `trans` of the material.

    Args:
        data: The file.
        textures: Where the pictures are.
        drop: Names of objects to be left out, each with its kids.
        notes: Gets a sentence where objects follow that are nobody's kids: they stand in the world, as most programs
            have it.

    Raises:
        MeshError: Not AC3D, cut off, or its numbers of vertices, surfaces or kids are not those of what follows.

    Source: the description of the format by Colebourne, Inivis Limited.
    """
    lines = _Lines(few_lines(data).decode("latin-1"))
    if not lines.next().startswith("AC3D"):
        raise MeshError("the first line does not say AC3D")
    materials: list[list[float]] = []
    parts: list[trimesh.Trimesh] = []
    # of each object whose kids are being read: kids to come, the frame they stand in, whether they are dropped
    parents, strays = [(1, np.eye(3), np.zeros(3), False)], 0
    while lines.more():
        line = lines.next()
        if line.upper().startswith("MATERIAL"):
            materials.append(_material(line))
            continue
        if not line.upper().startswith("OBJECT"):
            raise MeshError(f"line {lines.number} is {line[:40]!r}, where a material or an object should begin")
        while parents and parents[-1][0] == 0:
            parents.pop()
        if not parents:
            strays += 1
            parents = [(1, np.eye(3), np.zeros(3), False)]
        left, turn, move, dropped = parents.pop()
        parents.append((left - 1, turn, move, dropped))
        thing, kids = _object(lines)
        dropped |= thing.name in drop
        rotation, location = thing.rotation @ turn, thing.location @ turn + move
        if thing.surfaces and not dropped:
            parts.append(_part(thing, thing.vertices @ rotation + location, materials, textures))
        parents.append((kids, rotation, location, dropped))
    if strays and notes is not None:
        notes.append(f"{strays} objects more than the numbers of kids say were put into the world")
    # the outermost object may promise more: people take parts out of files by hand
    if missing := sum(parent[0] for parent in parents[2:]):
        raise MeshError(f"the file ends {missing} objects before the numbers of kids say")
    return parts


class _Lines:
    """The lines of a file, one after the other; blank ones are passed over."""

    def __init__(self, text: str):
        self.lines = text.splitlines()
        self.number = 0  # of the line given last, from 1

    def more(self) -> bool:
        while self.number < len(self.lines) and not self.lines[self.number].strip():
            self.number += 1
        return self.number < len(self.lines)

    def next(self) -> str:
        if not self.more():
            raise MeshError("the file ends in the middle of an object")
        self.number += 1
        return self.lines[self.number - 1].strip()

    def skip(self, characters: int) -> None:
        """Passes over a text of so many characters, and what is left of its last line."""
        while characters > 0 and self.number < len(self.lines):
            characters -= len(self.lines[self.number]) + 1
            self.number += 1

    def take(self, count: int, what: str) -> list[str]:
        if not 0 <= count <= len(self.lines) - self.number:
            left = len(self.lines) - self.number
            raise MeshError(f"line {self.number} promises {count} {what}, and {left} lines follow")
        return [self.next() for _ in range(count)]


def _material(line: str) -> list[float]:
    """Red, green, blue and opacity, 0 to 1."""
    rgb = re.search(r"\brgb\s+(\S+)\s+(\S+)\s+(\S+)", line)
    trans = re.search(r"\btrans\s+(\S+)", line)
    color = [float(value) for value in rgb.groups()] if rgb else [0.5, 0.5, 0.5]
    return [*color, 1 - float(trans[1]) if trans else 1.0]


def _object(lines: _Lines) -> tuple[_Object, int]:
    """The object whose OBJECT line was read, and the number of its kids, which follow."""
    thing = _Object()
    while True:
        word, _, rest = lines.next().partition(" ")
        word, rest = word.lower(), rest.strip()
        try:
            if word == "kids":
                if int(rest) < 0:
                    raise ValueError(rest)
                return thing, int(rest)
            if word == "name":
                thing.name = rest.strip('"')
            elif word == "data":
                lines.skip(int(rest))
            elif word == "texture" and not thing.texture:
                thing.texture = rest.split('"')[1] if '"' in rest else rest
            elif word == "texrep":
                thing.repeat = _numbers(rest, 2)
            elif word == "texoff":
                thing.offset = _numbers(rest, 2)
            elif word == "rot":
                thing.rotation = _numbers(rest, 9).reshape(3, 3)
            elif word == "loc":
                thing.location = _numbers(rest, 3)
            elif word == "numvert":
                rows = [line.split()[:3] for line in lines.take(int(rest), "vertices")]
                thing.vertices = np.array(rows, float).reshape(-1, 3)
            elif word == "numsurf":
                thing.surfaces += [_surface(lines) for _ in range(int(rest))]
            elif word == "object":
                raise MeshError(f"line {lines.number} begins an object before the kids of the last are told")
        except MeshError:
            raise
        except (ValueError, IndexError) as error:
            raise MeshError(f"line {lines.number} is not understood: {word} {rest[:40]}") from error


def _numbers(text: str, count: int) -> np.ndarray:
    return np.array(text.split()[:count], float).reshape(count)


def _surface(lines: _Lines) -> tuple[int, int, np.ndarray]:
    """The kind, the material and the corners of a surface, which begins on the next line."""
    kind, material = POLYGON, 0
    while True:
        word, _, rest = lines.next().partition(" ")
        word = word.lower()
        if word == "surf":
            kind = int(rest, 16) & 15
        elif word == "mat":
            material = int(rest)
        elif word == "refs":
            corners = [line.split() for line in lines.take(int(rest), "corners")]
            rows = [[float(value) for value in (*corner, 0, 0)[:3]] for corner in corners]
            return kind, material, np.array(rows).reshape(-1, 3)
        else:
            raise ValueError(word)


def _part(thing: _Object, vertices: np.ndarray, materials: list[list[float]], textures: Textures) -> trimesh.Trimesh:
    faces, uv, index = _triangles(thing, vertices)
    if not materials or index.min(initial=0) < 0 or index.max(initial=0) >= len(materials):
        raise MeshError(f"object {thing.name!r} has material {index.max()}, and the file has {len(materials)}")
    colors = np.array(materials)[index]
    if thing.texture:
        uv = uv.mean(axis=1) * thing.repeat + thing.offset
        colors = textured(colors, uv, textures.image(thing.texture))
    return colored(vertices, faces, colors)


def _triangles(thing: _Object, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All surfaces as triangles: vertices (f, 3), places in the texture (f, 3, 2), materials (f,)."""
    alike: dict[tuple[int, int], list] = {}
    for kind, material, corners in thing.surfaces:
        if len(corners) >= 3 and kind in (POLYGON, STRIP):
            alike.setdefault((kind, len(corners)), []).append((material, corners))
    faces, uv, material = [np.zeros((0, 3), int)], [np.zeros((0, 3, 2))], [np.zeros(0, int)]
    for (kind, count), surfaces in alike.items():
        corners = np.stack([each for _, each in surfaces])
        index = corners[..., 0].astype(int)
        if index.min() < 0 or index.max() >= len(vertices):
            raise MeshError(f"object {thing.name!r}: a surface names vertex {index.max()} of {len(vertices)}")
        if kind == STRIP:
            strip = _strip(count)
            triangles, owner = np.tile(strip, (len(index), 1)), np.repeat(np.arange(len(index)), len(strip))
        else:
            triangles, owner = triangulate(vertices[index])
        faces.append(index[owner[:, None], triangles])
        uv.append(corners[owner[:, None], triangles, 1:])
        material.append(np.array([each for each, _ in surfaces])[owner])
    return np.concatenate(faces), np.concatenate(uv), np.concatenate(material)


def _strip(corners: int) -> np.ndarray:
    """Every three neighbours are a triangle, every second one the other way round."""
    first = np.arange(corners - 2)
    odd = first % 2
    return np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)
