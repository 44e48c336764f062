"""Cleaning by light: rays find out what can be seen of a mesh, and from which side.

Meshes found in collections are open, doubled, flipped and thin. What cleaning met stands on a quality card.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tpl.meshes.normalization import MeshError, Normalization
from tpl.meshes.rays import RayScene

WELD = 1e-6  # vertices closer than this share of the bounding box's diagonal are one
HIDDEN = 0.01  # a face that less light than this reaches, on both sides, cannot be seen
SHEET = 0.3  # a face whose darker side gets more than this share of the brighter one's light has no inside
THIN = 0.019  # unit-sphere lengths: a solid thinner than this needs an offset on a grid of 128 cells


@dataclass(frozen=True)
class QualityCard:
    """What cleaning met. Shares are of the area of the distinct faces that have one."""

    faces: int  # as given
    kept_faces: int
    degenerate: int  # faces without an area
    duplicate: int  # faces over a triangle that another one covers already, in whatever orientation
    hidden_area: float  # share that cannot be seen from outside: dropped
    flipped_area: float  # share whose outside was inside: turned over
    sheet_area: float  # share seen from both sides: cloth, leaves, single-sided panels
    thin_area: float  # share of solid parts thinner than `THIN`
    watertight: bool  # what was kept encloses a solid: closed, wound one way, positive volume


@dataclass(frozen=True, eq=False)
class CleanMesh:
    """The faces of a mesh that can be seen, solid ones wound outwards; coordinates as given (RAW)."""

    vertices: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    is_sheet: Bool[np.ndarray, " f"]  # no inside: seen from both sides
    thickness: Float[np.ndarray, " f"]  # RAW lengths to the face behind; infinite where none, 0 for sheets
    source: Int[np.ndarray, " f"]  # index of the face in the mesh as given, for its colour or part label
    all_visible: bool  # one closed piece, whose faces were taken as visible all over without a ray
    card: QualityCard
    keeps_thin: bool  # thin parts stay as thin as they are: somebody modelled a closed solid
    # triangles that cannot be seen but bound a solid with others: they count for what is inside, and for nothing else
    buried: Float[np.ndarray, "h 3 3"] = field(default_factory=lambda: np.zeros((0, 3, 3)))

    @property
    def mesh(self) -> trimesh.Trimesh:
        """A new `trimesh.Trimesh` of the faces."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)


def clean_mesh(
    mesh: trimesh.Trimesh, rng: np.random.Generator, exposure: Literal["auto", "always"] = "auto"
) -> CleanMesh:
    """Keeps what can be seen of a mesh, finds its outside and its sheets, and judges it.

    Invisible materials (opacity 0) go, vertices are welded, faces without an area and repeated faces dropped.
    Then light decides: from random points of each face, on both sides, cosine-distributed rays are shot, and
    the share that leaves the shape is its exposure. A face dark on both sides is hidden and dropped, one
    bright on both is a sheet, and any other is the skin of a solid, turned so that its brighter side is out:
    a box without a bottom is a solid, a tray is made of sheets. Where a piece is closed by itself and some of it is
    hidden, as where blocks touch face to face, its hidden faces still tell what is inside (`buried`).
    Last, a ray inwards gives each solid face its thickness.

    Args:
        mesh: Any mesh; stays as it is.
        rng: Places and directions of rays.
        exposure: "auto" spares the rays where a mesh is closed, consistently wound, in one piece and of
            positive volume: it is its own outside. "always" shoots them there too.

    Raises:
        MeshError: No face has an area, or none can be seen from outside.
    """
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if len(faces) == 0:
        raise MeshError("the mesh has no faces; drop the shape")
    source = _visible(mesh)
    vertices, faces = weld(vertices, faces[source])
    spans = (faces != np.roll(faces, 1, axis=1)).all(axis=1)  # three different vertices
    source, faces = source[spans], faces[spans]
    whole, given = vertices[faces], faces
    single, twin = _without_repeats(faces)
    duplicate = len(faces) - len(single)
    source, twin, faces = source[single], source[twin], faces[single]
    normals, area = _normals(vertices, faces)
    trusted = exposure == "auto" and _closed(vertices, faces) and _pieces(faces) == 1
    # the slivers of a closed mesh may stay: they do no harm, and without them it were open
    real = trusted | (area > (WELD * np.linalg.norm(np.ptp(vertices, axis=0))) ** 2)
    source, twin, faces, normals, area = (each[real] for each in (source, twin, faces, normals, area))
    place = single[real]  # of each face among those given
    degenerate = int((~spans).sum() + (~real).sum())
    if not area.sum() > 0:
        raise MeshError(f"none of the mesh's {len(mesh.faces)} faces has an area; drop the shape")

    if trusted:
        hidden = is_sheet = flipped = np.zeros(len(faces), bool)
    else:
        hidden, is_sheet, flipped = _classify(vertices, faces, normals, rng)
    if hidden.all():
        raise MeshError(f"none of the mesh's {len(mesh.faces)} faces can be seen from outside; drop the shape")
    buried = whole[_buried(vertices, given, place, hidden, is_sheet | flipped)] if hidden.any() else whole[:0]
    total = area.sum()
    shares = [float(area[some].sum() / total) for some in (hidden, flipped, is_sheet)]
    faces = np.where(flipped[:, None], faces[:, ::-1], faces)
    source = np.where(flipped, twin, source)  # of two faces back to back, the outer one gives the colour
    source, faces, is_sheet, area = (each[~hidden] for each in (source, faces, is_sheet, area))
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)

    thickness = np.where(is_sheet, 0.0, _thickness(vertices, faces, rng))
    thin = ~is_sheet & (thickness * Normalization.of(vertices).scale < THIN)
    card = QualityCard(
        faces=len(mesh.faces),
        kept_faces=len(faces),
        degenerate=degenerate,
        duplicate=duplicate,
        hidden_area=shares[0],
        flipped_area=shares[1],
        sheet_area=shares[2],
        thin_area=float(area[thin].sum() / total),
        watertight=trusted or (not is_sheet.any() and _closed(vertices, faces)),
    )
    return CleanMesh(vertices, faces, is_sheet, thickness, source, trusted, card, card.watertight, buried)


def thickened(clean: CleanMesh) -> CleanMesh:
    """The same mesh, whose thin parts get an offset though it is closed: where a grid shows too little of it."""
    return replace(clean, keeps_thin=False)


def as_it_is(clean: CleanMesh, mesh: trimesh.Trimesh) -> CleanMesh:
    """All faces of the mesh that was cleaned, taken as the skin of a thick solid and wound as they are: to compare."""
    count = len(mesh.faces)
    return replace(
        clean,
        vertices=np.asarray(mesh.vertices),
        faces=np.asarray(mesh.faces),
        is_sheet=np.zeros(count, bool),
        thickness=np.full(count, np.inf),
        source=np.arange(count),
        buried=np.zeros((0, 3, 3)),
    )


def _visible(mesh: trimesh.Trimesh) -> np.ndarray:
    """Indices of the faces whose colour is not fully transparent; all, where none would be left."""
    visual: Any = mesh.visual
    if visual.kind == "face":
        opaque = visual.face_colors[:, 3] > 0
        if opaque.any():
            return np.flatnonzero(opaque)
    return np.arange(len(mesh.faces))


def _without_repeats(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One face of each triple of vertices, and beside it the first that runs the other way round, if any."""
    _, first, group = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_inverse=True)
    a, b, c = faces.T
    turn = (a < b) ^ (b < c) ^ (c < a)  # the same for the three rotations, other for the three reversals
    reversed_ = np.flatnonzero(turn != turn[first][group])[::-1]
    twin = first.copy()
    twin[group[reversed_]] = reversed_
    order = np.argsort(first)
    return first[order], twin[order]


def _normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals (zero where there is no area) and areas of faces."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    return cross / np.where(length > 0, length, 1)[:, None], length / 2


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A number for each of the 3 f edges, run forwards and run backwards; edge e belongs to face e // 3."""
    start, end = faces.astype(np.int64).ravel(), np.roll(faces.astype(np.int64), -1, axis=1).ravel()
    count = faces.max(initial=0) + 1
    return start * count + end, end * count + start


def _closed(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Whether faces bound a volume: each edge is run through as often one way as the other, outside out."""
    forward, backward = _edges(faces)
    if not np.array_equal(np.sort(forward), np.sort(backward)):
        return False
    a, b, c = (vertices - vertices.mean(axis=0))[faces].transpose(1, 0, 2)
    return bool(np.einsum("fi,fi->", a, np.cross(b, c)) > 0)


def _pieces(faces: np.ndarray) -> int:
    """How many pieces a closed mesh falls into that share no edge."""
    forward, backward = _edges(faces)
    here, there = np.argsort(forward) // 3, np.argsort(backward) // 3  # the faces on both sides of each edge
    return connected_components(coo_array((np.ones(len(here)), (here, there)), shape=(len(faces),) * 2))[0]


def _buried(
    vertices: np.ndarray, given: np.ndarray, place: np.ndarray, hidden: np.ndarray, odd: np.ndarray
) -> np.ndarray:
    """Which of the faces as given lie hidden in pieces that are closed by themselves and wound outwards.

    Args:
        vertices: Welded, (v, 3).
        given: Faces, repeated ones included, (g, 3).
        place: Of each face that was looked at, its number among these.
        hidden: Whether it cannot be seen.
        odd: Whether light made a sheet of it or turned it over: then its piece is not what it seems.
    """
    piece, closed = _closed_pieces(vertices, given)
    count = len(closed)
    some_hidden = np.bincount(piece[place], hidden, count) > 0
    some_odd = np.bincount(piece[place], odd & ~hidden, count) > 0
    seen = np.zeros(len(given), bool)
    seen[place[~hidden]] = True
    return (closed & some_hidden & ~some_odd)[piece] & ~seen


def _closed_pieces(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The piece of each face, pieces being what shares edges, and of each piece whether it bounds a volume."""
    forward, backward = _edges(faces)
    _, edge = np.unique(np.minimum(forward, backward), return_inverse=True)
    owner, count = np.arange(len(forward)) // 3, len(faces) + edge.max(initial=-1) + 1
    links = coo_array((np.ones(len(owner)), (owner, len(faces) + edge)), shape=(count, count))
    piece = connected_components(links, directed=False)[1][: len(faces)]
    _, piece = np.unique(piece, return_inverse=True)
    flow = np.bincount(edge, np.where(forward < backward, 1.0, -1.0))  # of a closed piece each edge is run both ways
    is_open = np.bincount(piece, (flow[edge] != 0).reshape(-1, 3).any(axis=1)) > 0
    a, b, c = (vertices - vertices.mean(axis=0))[faces].transpose(1, 0, 2)
    volume = np.bincount(piece, np.einsum("fi,fi->f", a, np.cross(b, c)))
    return piece, ~is_open & (volume > 1e-9 * np.ptp(vertices, axis=0).max() ** 3)


def points_on(triangles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One uniformly distributed point of each triangle, (f, 3)."""
    u, v = np.sqrt(rng.random(len(triangles))), rng.random(len(triangles))
    weights = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return np.einsum("fk,fki->fi", weights, triangles)


def _exposure(
    scene: RayScene,
    triangles: np.ndarray,
    normals: np.ndarray,
    points: int,
    directions: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The light that faces see (2, f): in front and behind, 0 to 1, a mean over some points of each."""
    light = np.zeros((2, len(triangles)))
    for _ in range(points):
        somewhere = points_on(triangles, rng)
        light += [scene.sky(somewhere, side, directions, rng) for side in (normals, -normals)]
    return light / points


def _classify(
    vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which faces are hidden, which are sheets, and which of the others are inside out."""
    scene, triangles = RayScene(vertices, faces), vertices[faces]
    light = _exposure(scene, triangles, normals, 2, 24, rng)
    # Two points are enough where the answer is plain. From them a large face that shows at one end only looks
    # hidden, and the wall of an open shell that daylight reaches inside like a sheet: look again from many.
    ratio = light.min(axis=0) / np.maximum(light.max(axis=0), HIDDEN)
    unsure = (light.max(axis=0) <= HIDDEN) | ((ratio > SHEET / 3) & (ratio < SHEET * 2))
    light[:, unsure] = _exposure(scene, triangles[unsure], normals[unsure], 32, 4, rng)
    front, behind = light
    hidden = light.max(axis=0) <= HIDDEN
    is_sheet = ~hidden & (light.min(axis=0) > SHEET * light.max(axis=0))
    return hidden, is_sheet, ~hidden & ~is_sheet & (behind > front)


def _thickness(vertices: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How far it is from each face straight inwards to the next: the median (so the mean) of two rays."""
    scene, triangles = RayScene(vertices, faces), vertices[faces]
    inwards = -_normals(vertices, faces)[0]
    return np.mean([scene.distance(points_on(triangles, rng), inwards) for _ in range(2)], axis=0)


def weld(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "f 3"]]:
    """Merges vertices that lie within a millionth of the bounding box's diagonal; drops those of no face."""
    used, faces = np.unique(faces, return_inverse=True)
    points = vertices[used].astype(float)
    low, high = points.min(axis=0), points.max(axis=0)
    cell = WELD * np.linalg.norm(high - low) or 1.0
    grid = np.round((points - low) / cell).astype(np.int64)  # at most a million each way: 20 bits
    _, first, merged = np.unique(grid @ np.array([1 << 42, 1 << 21, 1]), return_index=True, return_inverse=True)
    return points[first], merged[faces].reshape(-1, 3)
