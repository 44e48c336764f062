"""What readers of mesh formats share: pictures of textures, polygons as triangles, one colour a face."""

from collections.abc import Callable
from pathlib import PurePosixPath

import manifold3d
import numpy as np
import trimesh
from jaxtyping import Float, Int
from PIL import Image
from trimesh.visual.color import ColorVisuals, uv_to_color


class Textures:
    """The pictures that a mesh file names; one that cannot be had is None.

    A picture is looked for where its name says, then beside the mesh, as names may come from somebody else's disk,
    then as .png and .jpg there, as MD2 names it.

    Args:
        get: A picture by its name, relative to the mesh; it raises where there is none that can be shown.
    """

    def __init__(self, get: Callable[[str], Image.Image] | None):
        self.get = get
        self.read: dict[str, Image.Image | None] = {}

    def image(self, name: str) -> Image.Image | None:
        if name not in self.read:
            self.read[name] = self._open(name)
        return self.read[name]

    def _open(self, name: str) -> Image.Image | None:
        name = name.replace("\\", "/")
        beside = PurePosixPath(name).name
        for candidate in dict.fromkeys((name, beside, *(beside.lstrip(".") + suffix for suffix in (".png", ".jpg")))):
            try:
                if self.get is not None and candidate:
                    return self.get(candidate).convert("RGBA")
            except Exception:  # each archive and each format of pictures has its own ways to fail
                continue
        return None


def textured(
    colors: Float[np.ndarray, "f 4"], uv: Float[np.ndarray, "f 2"], image: Image.Image | None
) -> Float[np.ndarray, "f 4"]:
    """Colours of faces, 0 to 1, times those of a picture at one point of each; unchanged without a picture."""
    return colors if image is None else colors * uv_to_color(uv, image) / 255


def colored(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"], colors: Float[np.ndarray, "f 4"]
) -> trimesh.Trimesh:
    """A mesh whose faces have colours, given as 0 to 1."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    shown = np.nan_to_num(colors, nan=0.5).clip(0, 1)  # a damaged colour costs no more than itself
    mesh.visual = ColorVisuals(mesh, face_colors=np.rint(255 * shown).astype(np.uint8))
    return mesh


def triangulate(polygons: Float[np.ndarray, "m n 3"]) -> tuple[Int[np.ndarray, "t 3"], Int[np.ndarray, " t"]]:
    """Polygons of one number of corners as triangles, wound as they are.

    A convex one is a fan around its first corner. A concave one is looked at along its normal and cut by manifold3d.

    Returns:
        Of each triangle its three corners, as numbers in its polygon, and the polygon.
    """
    count, corners = polygons.shape[:2]
    fan = np.stack([np.zeros(corners - 2, int), np.arange(1, corners - 1), np.arange(2, corners)], axis=1)
    following = np.roll(polygons, -1, axis=1)
    edges = following - polygons
    normal = np.cross(polygons - polygons[:, :1], following - polygons[:, :1]).sum(axis=1)  # twice the area long
    turns = np.einsum("mni,mi->mn", np.cross(np.roll(edges, 1, axis=1), edges), normal)
    convex = (turns >= -1e-9 * (normal**2).sum(axis=1, keepdims=True)).all(axis=1)
    triangles = np.tile(fan, (count, 1, 1))
    for index in np.flatnonzero(~convex):
        triangles[index] = _cut(polygons[index], normal[index], fan)
    return triangles.reshape(-1, 3), np.repeat(np.arange(count), corners - 2)


def _cut(polygon: np.ndarray, normal: np.ndarray, fan: np.ndarray) -> np.ndarray:
    """The triangles of a concave polygon, or the fan where it crosses itself."""
    aside = int(np.abs(normal).argmax())
    flat = np.delete(polygon, aside, axis=1)
    if (normal[aside] > 0) == (aside == 1):  # the polygon runs clockwise in that plane: look at it in a mirror
        flat = flat[:, ::-1]
    triangles = np.asarray(manifold3d.triangulate([flat]), int).reshape(-1, 3)
    return triangles if len(triangles) == len(fan) else fan
