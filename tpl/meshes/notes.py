"""What a mesh looks odd by, though it can be used: said, and left to whoever made it."""

from typing import Any

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SHRUNK = 0.7  # a frame that one piece alone makes so much larger is that piece's, not the object's
CRUMB = 0.01  # share of the area that a crumb has at the most
FLAT = 0.03  # height of a floor, as a share of its own diagonal
WHITE, NEARLY_ALL = 245, 0.95  # of 255 in every channel, and of the area


def odd_looks(mesh: trimesh.Trimesh) -> list[str]:
    """A sentence for each thing about a mesh in RAW (+y up) that spoils its pictures or its frame.

    One piece that holds most of the frame: a floor that was scanned with the object, or a crumb far away. A surface
    that is white, as the background of the views is.
    """
    return [note for note in (_lone_piece(mesh), _whiteness(mesh)) if note]


def _lone_piece(mesh: trimesh.Trimesh) -> str:
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    links = coo_array(
        (np.ones(2 * len(faces)), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())), shape=(len(vertices),) * 2
    )
    count, label = connected_components(links, directed=False)
    if count < 2:
        return ""
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, label, vertices)
    np.maximum.at(high, label, vertices)
    area = np.bincount(label[faces[:, 0]], mesh.area_faces, count)
    used = area > 0
    whole = np.linalg.norm(high[used].max(axis=0) - low[used].min(axis=0))
    size = np.linalg.norm(high - low, axis=1)
    for piece in np.argsort(-size)[:2].tolist() + np.flatnonzero(used & (area < CRUMB * area.sum()))[:50].tolist():
        others = used & (np.arange(count) != piece)
        if not others.any():
            continue
        rest = np.linalg.norm(high[others].max(axis=0) - low[others].min(axis=0)) / whole
        is_floor = high[piece, 1] - low[piece, 1] < FLAT * size[piece] and low[piece, 1] <= low[others, 1].min() + FLAT
        if rest < SHRUNK and (is_floor or area[piece] < CRUMB * area.sum()):
            what = "a floor" if is_floor else "a crumb"
            return f"one piece, {what} perhaps, holds most of the box: all others fill {rest:.0%} of it; take it out"
    return ""


def _whiteness(mesh: trimesh.Trimesh) -> str:
    visual: Any = mesh.visual
    if visual.kind != "face":
        return ""
    white = (np.asarray(visual.face_colors)[:, :3] >= WHITE).all(axis=1)
    share = mesh.area_faces[white].sum() / max(mesh.area, 1e-30)
    return f"{share:.0%} of it is white, as the ground of its views is: give it a colour" if share > NEARLY_ALL else ""
