"""Solids that furniture and airplanes are made of, and their union as one watertight, labelled mesh.

Lengths are free (we design in centimetres) until `assemble` scales the union to RAW: +y up, front -z,
bounding-box diagonal 1, centred. Every solid is a manifold3d `Manifold`; `a + b`, `a - b` and `a ^ b` are
union, difference and intersection, and `.rotate((x, y, z))` (degrees), `.translate`, `.mirror` move one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from manifold3d import CrossSection, Manifold, Mesh64, OpType
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Color = tuple[int, int, int]
# Views lie on white, so no colour comes near it: no channel is above 204.
WOODS = (
    (150, 106, 66),
    (186, 140, 92),
    (112, 72, 44),
    (84, 54, 36),
    (165, 112, 56),
    (196, 160, 112),
    (128, 62, 40),
)
WOODS += ((62, 44, 34), (142, 120, 94), (176, 124, 84), (44, 38, 36), (204, 172, 124))
METALS = ((58, 60, 64), (122, 126, 132), (164, 168, 172), (38, 38, 42), (148, 128, 92), (92, 96, 104))
FABRICS = ((120, 124, 130), (66, 72, 82), (176, 160, 136), (148, 124, 98), (54, 78, 112), (92, 120, 146))
FABRICS += ((74, 100, 84), (122, 138, 98), (150, 62, 54), (178, 104, 66), (196, 154, 72), (108, 70, 96))
FABRICS += ((46, 48, 54), (96, 58, 40), (186, 178, 166), (52, 104, 110), (190, 128, 124), (134, 88, 60))
PLASTICS = ((196, 58, 48), (204, 150, 44), (52, 112, 148), (70, 132, 104), (48, 50, 54), (188, 186, 178))
PLASTICS += ((198, 110, 52), (96, 152, 164), (150, 156, 160), (122, 60, 72))
Number = float | int
Vector = Sequence[Number] | np.ndarray


@dataclass(frozen=True)
class Part:
    """A solid and the name of what it is, such as "leg" or "wing"."""

    label: str
    solid: Manifold


def assemble(parts: Sequence[Part], palette: Mapping[str, Color]) -> trimesh.Trimesh:
    """The union of all parts as one mesh in RAW.

    Parts that should hold together must overlap: solids that only touch stay apart. Where parts overlap,
    the surface that is left belongs to the part it came from. Enclosed cavities are filled.

    Args:
        parts: Solids with +y up and front -z, in any unit.
        palette: Colour of each label (0 to 255). Its order numbers the labels, so a category that always
            passes the same keys has the same numbers in all of its shapes.

    Returns:
        A watertight mesh with face colours, `metadata["parts"]` (the names) and `metadata["part"]`
        (for each face the index of its name).

    Raises:
        ValueError: No parts, a solid that is empty, or a label without a colour.
    """
    if not parts:
        raise ValueError("an assembly needs at least one part, got none")
    names = list(palette)
    for part in parts:
        if part.label not in palette:
            raise ValueError(f"part {part.label!r} has no colour; the palette has {', '.join(names)}")
        if part.solid.is_empty():
            raise ValueError(f"part {part.label!r} is empty ({part.solid.status().name}); check its measures")
    originals = [part.solid.as_original() for part in parts]
    label_of = {solid.original_id(): names.index(part.label) for solid, part in zip(originals, parts, strict=True)}
    union = Manifold.batch_boolean(originals, OpType.Add)
    mesh = union.simplify(1e-4 * float(np.linalg.norm(np.ptp(_bounds(union), axis=0)))).to_mesh64()

    vertices, faces = np.asarray(mesh.vert_properties)[:, :3], np.asarray(mesh.tri_verts, dtype=np.int64)
    label = np.repeat([label_of[int(i)] for i in mesh.run_original_id], np.diff(mesh.run_index) // 3)
    solid_faces = ~_enclosed(vertices, faces)
    used, faces = np.unique(faces[solid_faces], return_inverse=True)
    vertices, faces, label = vertices[used], faces.reshape(-1, 3), label[solid_faces]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    colors = np.array([(*palette[name], 255) for name in names], dtype=np.uint8)[label]
    return trimesh.Trimesh(
        (vertices - (low + high) / 2) / np.linalg.norm(high - low),
        faces,
        face_colors=colors,
        metadata={"part": label, "parts": names},
        process=False,
    )


def box(size: Vector, center: Vector = (0, 0, 0)) -> Manifold:
    """A box of side lengths `size` about `center`."""
    return Manifold.cube(_triple(size), True).translate(_triple(center))


def rounded_box(size: Vector, radius: Number, center: Vector = (0, 0, 0), segments: int = 8) -> Manifold:
    """A box of outer side lengths `size` with all edges rounded, as a cushion is.

    A radius over half of the shortest side is cut to that, less a hair. `segments` go round a whole circle.
    """
    size = np.asarray(size, dtype=float)
    radius = min(float(radius), 0.49 * float(size.min()))
    quarter = segments // 4 + 1
    angle = (np.arange(4 * quarter) + 0.5) * np.pi / 2 / quarter  # none of them on an axis,
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) / np.cos(angle[0])  # so scaled to touch the box
    arc_centres = np.sign(circle) * (size[[0, 2]] / 2 - radius)
    sections = []
    for reach, rise in np.roll(circle, quarter, axis=0)[: 2 * quarter]:  # from the bottom to the top
        height = np.sign(rise) * (size[1] / 2 - radius) + radius * rise
        sections.append(np.insert(arc_centres + radius * reach * circle, 1, height, axis=1))
    return loft(np.stack(sections) + np.asarray(center, dtype=float))


def rod(
    start: Vector,
    end: Vector,
    radius: Number,
    end_radius: Number | None = None,
    segments: int = 10,
) -> Manifold:
    """A round rod from `start` to `end`; a cone stump if its `end_radius` differs."""
    radii = np.array([radius, radius if end_radius is None else end_radius], dtype=float)
    return tube(np.array([start, end], dtype=float), radii, segments)


def bar(start: Vector, end: Vector, size: Vector, end_size: Vector | None = None) -> Manifold:
    """A bar of rectangular section that stays level, from `start` to `end`.

    Its two end faces are `size` (along x, along z) at the start and `end_size` at the end, both horizontal:
    a leg or a post, which may lean and taper, but not lie.
    """
    sections = []
    for (x, y, z), (width, depth) in zip((start, end), (size, size if end_size is None else end_size), strict=True):
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2 * (width, depth)
        sections.append(np.column_stack([x + corners[:, 0], np.full(4, y), z + corners[:, 1]]))
    return loft(np.stack(sections))


def tube(
    path: Float[np.ndarray, "n 3"],
    radius: Number | Vector,
    segments: int = 10,
    squash: Number = 1,
) -> Manifold:
    """A round rod bent along a path; `radius` may be one for each point of it.

    Bends must be wider than the radius (`rounded_path` rounds corners), ends are flat. Four segments make
    a square rod (`radius` to its corners). `squash` scales its extent along y: below 1 a flat armrest.
    """
    path = np.asarray(path, dtype=float)
    steps = np.diff(path, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    tangents = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    across = np.cross(tangents[0], np.eye(3)[np.abs(tangents[0]).argmin()])
    across_all = []
    for tangent in tangents:  # carried along the path without twist
        across = across - (across @ tangent) * tangent
        across = across / np.linalg.norm(across)
        across_all.append(across)
    across_all = np.array(across_all)
    other = np.cross(tangents, across_all)
    angle = (np.arange(segments) + 0.5) * 2 * np.pi / segments
    ring = np.cos(angle)[:, None] * across_all[:, None] + np.sin(angle)[:, None] * other[:, None]
    ring[..., 1] *= squash
    radii = np.broadcast_to(np.asarray(radius, dtype=float), len(path))
    return loft(path[:, None] + radii[:, None, None] * ring)


def loft(sections: Float[np.ndarray, "sections corners 3"]) -> Manifold:
    """The solid through a row of closed rings with equally many corners, its ends capped.

    A cap is a fan about its ring's mean, so end rings should be about flat and star-shaped. All points of
    an end ring may coincide: a tip.
    """
    rings, corners = sections.shape[:2]
    vertices = np.concatenate([sections.reshape(-1, 3), sections[[0, -1]].mean(axis=1)])
    here = np.arange(corners)
    there = (here + 1) % corners
    quads = [
        np.stack([corners * k + here, corners * k + there, corners * (k + 1) + there, corners * (k + 1) + here], 1)
        for k in range(rings - 1)
    ]
    sides = np.concatenate([np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]) for quad in quads])
    first, last = rings * corners, rings * corners + 1
    offset = corners * (rings - 1)
    bottom = np.stack([there, here, np.full(corners, first)], 1)
    top = np.stack([offset + here, offset + there, np.full(corners, last)], 1)
    return solid(vertices, np.concatenate([sides, bottom, top]))


def sheet(grid: Float[np.ndarray, "rows columns 3"], thickness: Number | Float[np.ndarray, "rows columns"]) -> Manifold:
    """A bent plate: a grid of points thickened to both sides along its normals.

    It must bend less than its thickness allows, or the plate meets itself.
    """
    rows, columns = grid.shape[:2]
    normals = np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    half = np.broadcast_to(np.asarray(thickness, dtype=float), (rows, columns))[..., None] / 2 * normals
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    front = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    back = front[:, ::-1] + rows * columns
    rim = np.concatenate([index[0, :-1], index[:-1, -1], index[-1, :0:-1], index[:0:-1, 0]])
    after = np.roll(rim, -1)
    behind, after_behind = rim + rows * columns, after + rows * columns
    sides = np.concatenate([np.stack([rim, after, after_behind], 1), np.stack([rim, after_behind, behind], 1)])
    vertices = np.concatenate([(grid + half).reshape(-1, 3), (grid - half).reshape(-1, 3)])
    return solid(vertices, np.concatenate([front, back, sides]))


def prism(outline: Float[np.ndarray, "n 2"], low: Number, high: Number, axis: str = "y") -> Manifold:
    """An outline, convex or not, drawn out along an axis from `low` to `high`.

    The outline's two coordinates are (x, z) for the axis "y", (z, y) for "x" and (x, y) for "z".
    """
    along_z = Manifold.extrude(CrossSection([_counterclockwise(outline)]), float(high - low))
    axes = {"x": ((0, 0, 1), (0, 1, 0), (1, 0, 0)), "y": ((1, 0, 0), (0, 0, 1), (0, 1, 0)), "z": np.eye(3)}
    turn = np.array(axes[axis], dtype=float)
    return along_z.transform(np.column_stack([turn, turn @ (0, 0, low)]))


def revolve(profile: Float[np.ndarray, "n 2"], segments: int = 24) -> Manifold:
    """A turned solid: the closed outline `profile` of (radius, height) about the y axis."""
    about_z = Manifold.revolve(CrossSection([_counterclockwise(profile)]), segments)
    return about_z.rotate((-90, 0, 0))


def solid(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Manifold:
    """A closed mesh as a solid, whichever way all of its faces are wound."""
    corners = vertices[faces]
    if np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0:
        faces = faces[:, ::-1]
    made = Manifold(Mesh64(np.ascontiguousarray(vertices), np.ascontiguousarray(faces, dtype=np.uint64)))
    if made.is_empty():
        raise ValueError(f"{len(faces)} faces bound no solid ({made.status().name}); is the mesh closed?")
    return made


def dyed(rng: np.random.Generator, colors: Sequence[Color]) -> Color:
    """One of the colours, a little lighter, darker or off its hue."""
    color = np.array(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.85, 1.12) + rng.normal(0, 4, 3)
    red, green, blue = (int(value) for value in np.clip(color, 24, 204))
    return red, green, blue


def mirrored(solid: Manifold) -> Manifold:
    """The same solid on the other side of the plane x = 0."""
    return solid.mirror((1, 0, 0))


def cushion(
    outline: Float[np.ndarray, "n 2"],
    low: Number,
    high: Number,
    edge: Number,
    crown: Number = 0,
) -> Manifold:
    """A lying slab of plan `outline` (x, z) with rounded edges: a seat, or a cushion with a `crown` in it.

    The outline should be star-shaped about the origin.
    """
    edge = min(float(edge), 0.49 * (high - low))
    size = np.ptp(outline, axis=0)
    rings = [(edge, low), (edge * 0.3, low + edge * 0.3), (0, low + edge)]
    rings += [(0, high - edge), (edge * 0.3, high - edge * 0.3), (edge, high)]
    if crown:
        rings += [(0.2 * size.min(), high + 0.8 * crown), (0.35 * size.min(), high + crown)]
    return loft(
        np.stack(
            [
                np.insert(outline * (1 - 2 * np.asarray(inset, dtype=float) / size), 1, height, axis=1)
                for inset, height in rings
            ]
        )
    )


def rounded_path(corners: Float[np.ndarray, "n 3"], radius: Number, steps: int = 5) -> Float[np.ndarray, "m 3"]:
    """A polyline with its inner corners rounded by parabolas that start `radius` before each corner."""
    points = [corners[0]]
    for before, corner, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        arms = [before - corner, after - corner]
        lengths = [np.linalg.norm(arm) for arm in arms]
        a, b = (corner + arm / length * min(radius, 0.48 * length) for arm, length in zip(arms, lengths, strict=True))
        for t in np.linspace(0, 1, steps):
            points.append((1 - t) ** 2 * a + 2 * t * (1 - t) * corner + t**2 * b)
    return np.array([*points, corners[-1]])


def curve(controls: Sequence[Sequence[Number]] | np.ndarray, steps: int = 8) -> np.ndarray:
    """Points of the Bezier curve with the given control points (de Casteljau)."""
    t = np.linspace(0, 1, steps)[:, None]
    layers = [np.broadcast_to(np.asarray(control, dtype=float), (steps, len(control))) for control in controls]
    while len(layers) > 1:
        layers = [(1 - t) * a + t * b for a, b in zip(layers[:-1], layers[1:], strict=True)]
    return np.array(layers[0])


def superellipse(
    width: Number, depth: Number, power: Number = 2.5, corners: int = 32
) -> Float[np.ndarray, "corners 2"]:
    """An outline between an ellipse (`power` 2) and a rectangle (large `power`) of full width and depth."""
    angle = (np.arange(corners) + 0.5) * 2 * np.pi / corners
    c, s = np.cos(angle), np.sin(angle)
    return np.column_stack(
        [width / 2 * np.sign(c) * np.abs(c) ** (2 / power), depth / 2 * np.sign(s) * np.abs(s) ** (2 / power)]
    )


def _enclosed(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Bool[np.ndarray, " f"]:
    """Which faces bound a cavity between the parts, what floats in one, or nothing: nobody can see them."""
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_array((np.ones(len(edges), dtype=bool), tuple(edges.T)), shape=(len(vertices), len(vertices)))
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    a, b, c = vertices[faces].swapaxes(0, 1)
    volume = np.bincount(piece, weights=np.einsum("ij,ij->i", a, np.cross(b, c)))
    enclosed = (np.abs(volume) < 1e-9 * volume.max())[piece]  # slivers that touching faces leave
    for cavity in np.flatnonzero(volume < 0):  # the surface of a cavity is wound inwards
        walls = vertices[faces[piece == cavity]].reshape(-1, 3)
        low, high = walls.min(axis=0), walls.max(axis=0)
        reaches_out = ((vertices[faces] < low) | (vertices[faces] > high)).any(axis=(1, 2))
        enclosed |= ~np.isin(piece, piece[reaches_out])
    return enclosed


def _bounds(solid: Manifold) -> Float[np.ndarray, "2 3"]:
    return np.array(solid.bounding_box()).reshape(2, 3)


def _triple(vector: Vector) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def _counterclockwise(outline: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    x, y = outline.T
    area = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    return outline if area > 0 else outline[::-1]
