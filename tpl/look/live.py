"""A mesh that changes before one's eyes, in a k3d plot."""

from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8

from tpl.look.scenes import BARE, drawable_mesh, empty_plot, packed_colors


class LiveMesh:
    """A k3d plot whose one mesh is replaced; the camera stays where whoever looks has turned it.

    Args:
        height: Of the plot, in pixels.
    """

    def __init__(self, height: int = 340):
        self.plot = empty_plot(height=height)
        corner, face = np.zeros((3, 3)), np.array([[0, 1, 2]])
        self.mesh: Any = drawable_mesh(corner, face, np.zeros((3, 3), np.uint8), visible=False)
        self.plot += self.mesh

    def show(
        self,
        mesh: trimesh.Trimesh | None,
        colors: UInt8[np.ndarray, "vertices 3"] | tuple[int, int, int] = BARE,
    ) -> None:
        """Shows a mesh, or nothing.

        The browser draws after each part of it that comes, and faces must not ask for corners that are not there.

        Args:
            mesh: In the raw frame, around the origin.
            colors: Of its vertices, or of all of it.
        """
        if mesh is None or not len(mesh.faces):
            self.mesh.visible = False
            return
        count = len(mesh.vertices)
        of_vertices = np.broadcast_to(np.asarray(colors, np.uint8), (count, 3))
        parts = {
            "vertices": np.asarray(mesh.vertices, np.float32),
            "indices": np.asarray(mesh.faces, np.uint32),
            "colors": packed_colors(of_vertices),
        }
        grows = count >= len(self.mesh.vertices)
        for name in ("vertices", "colors", "indices") if grows else ("indices", "vertices", "colors"):
            setattr(self.mesh, name, parts[name])
        self.mesh.visible = True
