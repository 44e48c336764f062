"""The photograph's own colours on a mesh: where the camera saw it, mirrored to the other side, or else their mean."""

from typing import NamedTuple

import cv2
import numpy as np
import trimesh
from jaxtyping import Bool, Float, UInt8
from scipy import sparse
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
    inner = _inside(mask)
    return _bytes(to_linear(picture[inner if inner.any() else mask >= SOLID]).mean(axis=0))


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
    pixels = _onto_mask(sight.project(vertices), sight.mask)
    x, y = pixels.T.astype(np.float32)[:, :, None] - 0.5  # OpenCV has the middle of the first pixel at 0
    inner = cv2.GaussianBlur(_inside(sight.mask).astype(np.float32), (0, 0), 1.0)
    linear = to_linear(sight.picture).astype(np.float32)
    color = cv2.remap(linear, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    within = cv2.remap(inner, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[:, 0]
    return color.astype(float), np.where(open_to_view, facing * np.clip(2 * within - 1, 0, 1), 0.0)


def _onto_mask(pixels: Float[np.ndarray, "n 2"], mask: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, "n 2"]:
    """Stretches positions so that their bounding box is the mask's."""
    rows, columns = (np.flatnonzero((mask >= SOLID).any(axis=axis)) for axis in (1, 0))
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]]) + 1
    least, most = np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)
    return low + (pixels - least) * (high - low) / np.maximum(most - least, 1e-9)


def _inside(mask: UInt8[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """A mask without its border, which mixes in the background."""
    width = 3 if max(mask.shape) < 400 else 5
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
