"""A mesh that changes before one's eyes, in a k3d plot."""

from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8

from tpl.look.scenes import BARE, drawable_mesh, empty_plot, packed_colors

ROOM = 2048
"""Vertices by which the room for them grows."""


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
        self._turn = 0

    def show(
        self,
        mesh: trimesh.Trimesh | None,
        colors: UInt8[np.ndarray, "vertices 3"] | tuple[int, int, int] = BARE,
    ) -> None:
        """Shows a mesh, or nothing.

        The browser takes one array after the other, in any order, and draws nothing while an index reaches beyond the
        vertices. So there is always room for more vertices than are used, and room that grows is made first. New
        vertices for the same faces would be put into whatever mesh the browser has, which can be one whose successor is
        still being made, and stay there with the wrong faces. So the faces come in another order each time.

        Args:
            mesh: In the raw frame, around the origin.
            colors: Of its vertices, or of all of it.
        """
        if mesh is None or not len(mesh.faces):
            self.mesh.visible = False
            return
        self._turn = 1 - self._turn
        count = len(mesh.vertices)
        room = max(len(self.mesh.vertices), ROOM * -(-count // ROOM))
        beyond = (0, room - count), (0, 0)
        vertices = np.pad(np.asarray(mesh.vertices, np.float32), beyond, mode="edge")
        of_vertices = np.broadcast_to(np.asarray(colors, np.uint8), (count, 3))
        if room > len(self.mesh.vertices):
            self.mesh.vertices = vertices
        with self.mesh.hold_sync():
            self.mesh.vertices = vertices
            self.mesh.indices = np.roll(np.asarray(mesh.faces, np.uint32), self._turn, axis=0)
            self.mesh.colors = packed_colors(np.pad(of_vertices, beyond, mode="edge"))
            self.mesh.visible = True
