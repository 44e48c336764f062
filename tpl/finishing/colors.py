"""The photograph's own colours on a mesh: where the camera saw it, mirrored to the other side, or else their mean."""

from typing import NamedTuple

import cv2
import numpy as np
import trimesh
from jaxtyping import Bool, Float, Int, UInt8
from scipy import sparse
from scipy.ndimage import map_coordinates
from scipy.spatial import KDTree

from tpl.meshes import Normalization
from tpl.rendering.cameras import Camera
from tpl.rendering.raycast import RayMesh, to_srgb

SOLID = 128
"""Where a soft mask counts as object."""

GRAZING = 0.2
"""Cosine between the sight and the surface below which a pixel smears over it; from twice that on it counts fully."""

BEHIND = 0.01
"""Unit-sphere lengths by which a vertex may lie behind what the camera sees and still be seen."""

MIRRORED = 0.04
"""Unit-sphere lengths: how near to the mirror image of a vertex there must be another to take its colour."""

SOFTENED = 6
"""Rounds in which colours reach the vertices next to them, so that they fade into the mean."""

MARGIN = 8
"""Pixels around the mask's box that are looked at as well: its border is worn off and blurred from there."""

UNIT_PIXELS = 1000  # of the camera's square, only to have shares of its side


class Sight(NamedTuple):
    """A photograph, and from where it shows a shape."""

    picture: UInt8[np.ndarray, "height width 3"]
    mask: UInt8[np.ndarray, "height width"]
    camera: Camera
    frame: Normalization
    """Of the shape before it, from the camera's frame to the unit-sphere frame; `estimate_cameras` gives both."""

    center: Float[np.ndarray, "2"]
    """Where in the picture the camera's square image has its middle, (x, y); `frame_square` gives this and its side."""

    side: float

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Where points (unit-sphere frame) lie in the picture, in pixels; NaN behind the camera."""
        pixels, _ = self.camera.project(self.frame.undo(points), UNIT_PIXELS)
        return self.center + (pixels / UNIT_PIXELS - 0.5) * self.side

    @property
    def origin(self) -> Float[np.ndarray, "3"]:
        """Where the camera stands, in the unit-sphere frame."""
        return self.frame.apply(self.camera.origin[None])[0]


def mean_color(
    picture: UInt8[np.ndarray, "height width 3"], mask: UInt8[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "3"]:
    """The mean colour (sRGB) of what is inside a mask, of light, without the mask's border where it is wide enough."""
    inner = _inside(mask, _worn(mask))
    seen = picture[inner if inner.any() else mask >= SOLID]
    # A photograph has millions of pixels, and 256 values: each is made linear once.
    counts = np.stack([np.bincount(channel, minlength=256) for channel in seen.T])
    return _bytes(counts @ to_linear(np.arange(256)) / len(seen))


def bounding_box(mask: UInt8[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is object in a mask; right and bottom are the first pixels outside."""
    rows, columns = (np.flatnonzero((mask >= SOLID).any(axis=axis)) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def project_colors(mesh: trimesh.Trimesh, sight: Sight) -> UInt8[np.ndarray, "vertices 3"]:
    """A colour (sRGB) for each vertex.

    The estimated camera is off by some pixels, so what the mesh would show is stretched onto the mask's bounding box
    first. A vertex that the camera sees, not at a grazing angle and not at the mask's border, takes the pixel's
    colour. One that it does not see takes that of its mirror image at x = 0, since chairs, sofas and airplanes are
    symmetric; and if that is not seen either, the mean colour. In between they blend. The light of the photograph
    stays in its colours.

    Args:
        mesh: Unit-sphere frame.
        sight: What showed it.
    """
    vertices, normals = np.asarray(mesh.vertices, float), np.asarray(mesh.vertex_normals, float)
    mean = to_linear(mean_color(sight.picture, sight.mask)[None])[0]
    color, weight = _seen(mesh, sight, vertices, normals)
    color, weight = _softened(mesh, color, weight)
    turned = np.array([-1.0, 1.0, 1.0])
    apart, twin = KDTree(vertices).query(vertices * turned)
    agree = np.einsum("ij,ij->i", normals[twin], normals * turned) > 0.5
    other = np.where((apart < MIRRORED) & agree, weight[twin], 0.0)[:, None]
    behind = other * color[twin] + (1 - other) * mean
    return _bytes(weight[:, None] * color + (1 - weight[:, None]) * behind)


def seen_share(mesh: trimesh.Trimesh, sight: Sight) -> float:
    """The share of a mesh's area whose colours the photograph gives, not counting mirror images."""
    _, weight = _seen(mesh, sight, np.asarray(mesh.vertices, float), np.asarray(mesh.vertex_normals, float))
    return float((np.asarray(mesh.area_faces) * weight[mesh.faces].mean(axis=1)).sum() / mesh.area)


def _seen(
    mesh: trimesh.Trimesh, sight: Sight, vertices: np.ndarray, normals: np.ndarray
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Linear colours of vertices in the photograph, and how much each may be trusted, 0 to 1."""
    away = vertices - sight.origin
    distance = np.linalg.norm(away, axis=1)
    away /= distance[:, None]
    scene = RayMesh(mesh)
    face, corner = scene.first_hits(sight.origin, away)
    met = np.einsum("ij,ijk->ik", corner, scene.triangles[face])
    nearer = np.linalg.norm(met - sight.origin, axis=1)
    open_to_view = (face < 0) | (nearer > distance - BEHIND)
    facing = np.clip((-np.einsum("ij,ij->i", away, normals) - GRAZING) / GRAZING, 0, 1)
    low, high = np.array(bounding_box(sight.mask)).reshape(2, 2)
    pixels = _stretched(sight.project(vertices), low, high)
    # All of them lie in the mask's box: of a large photograph little more than that is made linear.
    first = np.maximum(low - MARGIN, 0)
    part = tuple(slice(start, stop + MARGIN) for start, stop in zip(first[::-1], high[::-1], strict=True))
    at = (pixels - first - 0.5).T[::-1]  # row and column; the middle of the first pixel is at 0
    at = np.nan_to_num(at, nan=-2.0 * MARGIN)  # behind the camera: nowhere in the picture
    inner = cv2.GaussianBlur(_inside(sight.mask[part], _worn(sight.mask)).astype(np.float32), (0, 0), 1.0)
    linear = to_linear(np.arange(256)).astype(np.float32)[sight.picture[part]]
    color = np.stack([map_coordinates(channel, at, order=1, mode="nearest") for channel in np.moveaxis(linear, 2, 0)])
    within = map_coordinates(inner, at, order=1, mode="constant")
    return color.T.astype(float), np.where(open_to_view, facing * np.clip(2 * within - 1, 0, 1), 0.0)


def _stretched(
    pixels: Float[np.ndarray, "n 2"], low: Int[np.ndarray, "2"], high: Int[np.ndarray, "2"]
) -> Float[np.ndarray, "n 2"]:
    """Positions stretched so that their bounding box goes from `low` to `high`."""
    least, most = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
    return low + (pixels - least) * (high - low) / np.maximum(most - least, 1e-9)


def _worn(mask: UInt8[np.ndarray, "height width"]) -> int:
    """Side of the square that wears off a mask's border, by the size of its photograph: 3 or 5 pixels."""
    return 3 if max(mask.shape) < 400 else 5


def _inside(mask: UInt8[np.ndarray, "height width"], width: int) -> Bool[np.ndarray, "height width"]:
    """A mask without its border, which mixes in the background."""
    return cv2.erode((mask >= SOLID).astype(np.uint8), np.ones((width, width), np.uint8)) > 0


def _softened(
    mesh: trimesh.Trimesh, color: Float[np.ndarray, "n 3"], weight: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Colours and weights that fade out over the vertices around: those that are seen keep their own."""
    first, second = np.asarray(mesh.edges_unique).T
    pairs = np.concatenate([first, second]), np.concatenate([second, first])
    joined = sparse.csr_array((np.ones(2 * len(first)), pairs), shape=2 * (len(weight),))
    number = np.maximum(joined.sum(axis=1), 1)
    spread, faint = color * weight[:, None], weight.copy()
    for _ in range(SOFTENED):
        spread, faint = (joined @ spread) / number[:, None], (joined @ faint) / number
    around = spread / np.maximum(faint, 1e-9)[:, None]
    full = np.maximum(weight, faint)
    own = np.where(full > 0, weight / np.maximum(full, 1e-9), 0)[:, None]
    return own * color + (1 - own) * around, full


def to_linear(color: np.ndarray) -> np.ndarray:
    """Linear light, 0 to 1, of sRGB bytes (IEC 61966-2-1)."""
    value = np.asarray(color, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _bytes(light: np.ndarray) -> np.ndarray:
    return np.rint(255 * to_srgb(light)).astype(np.uint8)
