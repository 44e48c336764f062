"""Meshes as people make them: read from a file, cleaned, judged, normalised.

Meshes found in collections are open, doubled, flipped and thin. `clean_mesh` finds out by rays what can be
seen from outside and from which side, and writes what it met on a quality card.
"""

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from trimesh.resolvers import FilePathResolver, Resolver, ZipResolver
from trimesh.visual.color import ColorVisuals, uv_to_color

FORMATS = {".obj", ".off", ".ply", ".glb", ".stl"}
WELD = 1e-6  # vertices closer than this share of the bounding box's diagonal are one
HIDDEN = 0.01  # a face that fewer of its rays leave, on both sides, cannot be seen
SHEET = 0.3  # a face whose darker side sees more than this share of the brighter one's sky has no inside
GREY = np.array([[128, 128, 128, 255]], np.uint8)  # of parts without a colour beside parts with one
THIN = 0.019  # unit-sphere lengths: a solid thinner than this needs an offset on a grid of 128 cells


class MeshError(ValueError):
    """A mesh that cannot be read or used; the message names it, the reason and the remedy."""


# ------------------------------------------------------------------------------------------- reading


def load_mesh(path: str | Path) -> trimesh.Trimesh:
    """One welded mesh of all that a file shows, in the file's own frame and unit.

    Reads OBJ, OFF, PLY, GLB and STL, also inside a zip archive of any extension: `"sofas.zip!red/sofa.obj"`,
    or `"sofa.zip"` where it holds a single mesh. Materials, textures and vertex colours become one colour a
    face, textures by their colour at the face's centre; a file without any colour gives a mesh without.
    Vertices are merged by position, and those of no face dropped.

    Raises:
        MeshError: The file is missing, of another format, unreadable, without faces, or its faces refer to
            vertices that are missing or not finite.
    """
    file, kind, resolver = _open(str(path))
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's complaints about oddities that do no harm
        try:
            scene = trimesh.load_scene(file, file_type=kind, resolver=resolver, process=False)
            parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
            colors = [_face_colors(part) for part in parts]
        except Exception as error:  # every reader has its own ways to fail
            raise MeshError(
                f"{path}: cannot be read as {kind.upper()} ({type(error).__name__}: {error}); export it again"
            ) from error
    if not parts:
        raise MeshError(f"{path}: has no faces; export it as triangles or polygons")
    first = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, first[:-1], strict=True)])
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise MeshError(
            f"{path}: a face names vertex {faces.max()} of {len(vertices)}; the file is damaged, repair it"
        )
    if not np.isfinite(vertices[faces]).all():
        broken = int((~np.isfinite(vertices)).any(axis=1).sum())
        raise MeshError(
            f"{path}: {broken} of {len(vertices)} vertices are NaN or infinite; repair and export it"
        )
    vertices, faces = weld(vertices, faces)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    if any(color is not None for color in colors):
        mesh.visual = ColorVisuals(
            mesh,
            face_colors=np.concatenate(
                [
                    np.broadcast_to(GREY if color is None else color, (len(part.faces), 4))
                    for part, color in zip(parts, colors, strict=True)
                ]
            ),
        )
    return mesh


def _open(path: str) -> tuple[io.BufferedIOBase, str, Resolver | None]:
    """The bytes of a mesh file, its format in lower case, and where to look for its materials."""
    outer, inner = (
        (path, "") if Path(path).exists() else path.rpartition("!")[::2] if "!" in path else (path, "")
    )
    if not Path(outer).is_file():
        raise MeshError(f"{path}: there is no file {outer}; check the path")
    if Path(outer).suffix.lower() in FORMATS and not inner:
        return open(outer, "rb"), _format(path, outer), FilePathResolver(outer)
    if not inner and not is_zipfile(outer):
        return open(outer, "rb"), _format(path, outer), None
    try:
        archive = _Archive(ZipFile(outer))
        if not inner:
            meshes = sorted(name for name in archive if Path(name).suffix.lower() in FORMATS)
            if len(meshes) != 1:
                some = ", ".join(meshes[:5]) or "none"
                raise MeshError(
                    f"{path}: holds {len(meshes)} meshes ({some}); name one as {outer}!{some.split(',')[0]}"
                )
            inner = meshes[0]
        if inner not in archive:
            raise MeshError(
                f"{path}: the archive holds no {inner}; it begins with {', '.join(list(archive)[:5])}"
            )
        resolver = ZipResolver(archive, namespace=inner.rpartition("/")[0] or None)  # pyright: ignore[reportArgumentType]
        return archive[inner], _format(path, inner), resolver
    except (BadZipFile, NotImplementedError, RuntimeError, OSError) as error:  # damaged, encrypted, cut off
        raise MeshError(f"{path}: the archive {outer} cannot be read ({error}); fetch it again") from error


def _format(path: str, name: str) -> str:
    suffix = Path(name).suffix.lower()
    if suffix in FORMATS:
        return suffix[1:]
    known = "OBJ, OFF, PLY, GLB or STL"
    if suffix == ".ac":
        raise MeshError(f"{path}: AC3D is not read yet; convert it to {known}")
    raise MeshError(f"{path}: '{suffix}' is no mesh format that is read here; convert it to {known}")


class _Archive(Mapping):
    """The members of a zip archive as open files, each read when it is asked for."""

    def __init__(self, archive: ZipFile):
        self.archive = archive

    def __getitem__(self, name: str) -> io.BytesIO:
        return io.BytesIO(self.archive.read(name))

    def __contains__(self, name: object) -> bool:
        return name in self.archive.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return iter(self.archive.namelist())

    def __len__(self) -> int:
        return len(self.archive.namelist())


def _face_colors(part: trimesh.Trimesh) -> np.ndarray | None:
    """RGBA a face, (faces, 4) or (1, 4), or None where the file gives no colour."""
    visual: Any = part.visual
    if visual.kind in ("face", "vertex"):
        return visual.face_colors
    if visual.kind != "texture":
        return None
    material, uv = visual.material, visual.uv
    image = getattr(material, "image", None) or getattr(material, "baseColorTexture", None)
    if image is not None and uv is not None and len(uv) == len(part.vertices):
        return uv_to_color(uv[part.faces].mean(axis=1), image)
    color = np.array(material.main_color, np.uint8).reshape(1, 4)
    opacity = getattr(material, "kwargs", {}).get("d")  # OBJ keeps it apart from the colour
    if opacity is not None:
        color[0, 3] = round(255 * float(np.ravel(opacity)[0]))
    return color


def weld(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "f 3"]]:
    """Merges vertices that lie within a millionth of the bounding box's diagonal; drops those of no face."""
    used, faces = np.unique(faces, return_inverse=True)
    points = vertices[used].astype(float)
    low, high = points.min(axis=0), points.max(axis=0)
    cell = WELD * np.linalg.norm(high - low) or 1.0
    grid = np.round((points - low) / cell).astype(np.int64)  # at most a million each way: 20 bits
    _, first, merged = np.unique(
        grid @ np.array([1 << 42, 1 << 21, 1]), return_index=True, return_inverse=True
    )
    return points[first], merged[faces].reshape(-1, 3)


# -------------------------------------------------------------------------------------- normalisation


@dataclass(frozen=True, eq=False)
class Normalization:
    """From a mesh's own frame (RAW) to the unit-sphere frame (UNIT) and back: (x + offset) * scale."""

    offset: Float[np.ndarray, "3"]
    scale: float

    @classmethod
    def of(cls, vertices: Float[np.ndarray, "v 3"]) -> Self:
        """Centres the bounding box and puts all vertices within 1 / 1.03 of the origin.

        Args:
            vertices: Those that a face uses, such as `CleanMesh.vertices`: a stale one would move the shape.

        Source: DeepSDF's preprocessing (Park et al. 2019), which leaves this margin of 3 %.
        """
        vertices = vertices.astype(float)
        center = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        radius = np.linalg.norm(vertices - center, axis=1).max()
        if not 0 < radius < np.inf:
            raise MeshError(
                f"{len(vertices)} vertices within a radius of {radius} cannot be normalised; drop the shape"
            )
        return cls(offset=-center, scale=float(1 / (1.03 * radius)))

    def apply(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """From RAW to UNIT."""
        return (points + self.offset) * self.scale

    def undo(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """From UNIT to RAW."""
        return points / self.scale - self.offset


# -------------------------------------------------------------------------------------------- rays


class RayScene:
    """Triangles to shoot rays at, in their own coordinates; embree sees them centred, with diagonal 1."""

    def __init__(self, vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]):
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        self.center, self.size = (low + high) / 2, float(np.linalg.norm(high - low)) or 1.0
        self.scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
        TriangleMesh(self.scene, self._inside(vertices), faces.astype(np.int32))

    def distance(
        self, points: Float[np.ndarray, "n 3"], directions: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, " n"]:
        """How far a ray flies until it meets a triangle; infinite where it meets none. Unit directions."""
        rays = directions.astype(np.float32)
        start = self._inside(points) + START * rays
        found = self.scene.run(start, rays, query="DISTANCE").astype(float)
        return np.where(found > 1e30, np.inf, (found + START) * self.size)

    def sky(
        self,
        points: Float[np.ndarray, "n 3"],
        normals: Float[np.ndarray, "n 3"],
        directions: int,
        rng: np.random.Generator,
    ) -> Float[np.ndarray, " n"]:
        """The share of light that reaches points of a surface on the side of their normals, 0 to 1.

        Directions are drawn by the cosine law: a normal plus a random unit vector.
        """
        normals = normals.astype(np.float32)
        start = self._inside(points) + START * normals
        escaped = np.zeros(len(points))
        for _ in range(directions):
            ray = rng.standard_normal(normals.shape, np.float32)
            ray = normals + ray / np.linalg.norm(ray, axis=1, keepdims=True)
            escaped += self.scene.run(start, ray, query="OCCLUDED") < 0
        return escaped / directions

    def _inside(self, points: np.ndarray) -> np.ndarray:
        return ((points - self.center) / self.size).astype(np.float32)


START = np.float32(1e-5)  # of the diagonal: rays start this far off the surface, so as not to meet it


# ------------------------------------------------------------------------------------------ cleaning


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
    bright on both is a sheet, and any other is the skin of a solid, turned so that its brighter side is out.
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
    source = _visible(mesh)
    vertices, faces = weld(vertices, faces[source])
    spans = (faces != np.roll(faces, 1, axis=1)).all(axis=1)  # three different vertices
    source, faces = source[spans], faces[spans]
    single, twin = _without_repeats(faces)
    duplicate = len(faces) - len(single)
    source, twin, faces = source[single], source[twin], faces[single]
    normals, area = _normals(vertices, faces)
    trusted = exposure == "auto" and _closed(vertices, faces) and _pieces(faces) == 1
    # the slivers of a closed mesh may stay: they do no harm, and without them it were open
    real = trusted | (area > (WELD * np.linalg.norm(np.ptp(vertices, axis=0))) ** 2)
    source, twin, faces, normals, area = (each[real] for each in (source, twin, faces, normals, area))
    degenerate = int((~spans).sum() + (~real).sum())
    if not area.sum() > 0:
        raise MeshError(f"none of the mesh's {len(mesh.faces)} faces has an area; drop the shape")

    if trusted:
        hidden = is_sheet = flipped = np.zeros(len(faces), bool)
    else:
        hidden, is_sheet, flipped = _classify(vertices, faces, normals, rng)
    if hidden.all():
        raise MeshError(
            f"none of the mesh's {len(mesh.faces)} faces can be seen from outside; drop the shape"
        )
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
    return CleanMesh(vertices, faces, is_sheet, thickness, source, trusted, card)


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
    light[:, unsure] = _exposure(scene, triangles[unsure], normals[unsure], 64, 4, rng)
    front, behind = light
    hidden = light.max(axis=0) <= HIDDEN
    is_sheet = ~hidden & (light.min(axis=0) > SHEET * light.max(axis=0))
    return hidden, is_sheet, ~hidden & ~is_sheet & (behind > front)


def _thickness(vertices: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How far it is from each face straight inwards to the next: the median (so the mean) of two rays."""
    scene, triangles = RayScene(vertices, faces), vertices[faces]
    inwards = -_normals(vertices, faces)[0]
    return np.mean([scene.distance(points_on(triangles, rng), inwards) for _ in range(2)], axis=0)
