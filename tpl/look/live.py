"""A mesh that changes before one's eyes, in a k3d plot."""

from typing import Any

import numpy as np
import trimesh
from jaxtyping import UInt8

from tpl.look.scenes import BARE, empty_plot


class LiveMesh:
    """A k3d plot whose one mesh is replaced; the camera stays where whoever looks has turned it.

    Args:
        height: Of the plot, in pixels.
        color: Of a mesh that is shown without colours.
    """

    def __init__(self, height: int = 360, color: tuple[int, int, int] = BARE):
        self.widget, self.color = empty_plot(height=height), color
        self._mesh: Any = None

    def show(self, mesh: trimesh.Trimesh | None, colors: UInt8[np.ndarray, "vertices 3"] | None = None) -> None:
        """Shows a mesh, or nothing.

        Args:
            mesh: Around the origin, in raw units or in the unit-sphere frame.
            colors: Of its vertices.
        """
        import k3d

        if mesh is None or not len(mesh.faces):
            if self._mesh is not None:
                self._mesh.visible = False
            return
        vertices, faces = mesh.vertices.view(np.ndarray).astype(np.float32), mesh.faces.view(np.ndarray)
        one = np.array([0x10000, 0x100, 1])
        packed: Any = np.zeros(0, np.uint32) if colors is None else (colors @ one).astype(np.uint32)
        state: dict[str, Any] = {"vertices": vertices, "indices": faces.astype(np.uint32), "colors": packed}
        state["color"] = int(np.array(self.color) @ one)
        if self._mesh is None:
            self._mesh = k3d.mesh(
                state["vertices"],
                state["indices"],
                colors=packed,
                color=state["color"],
                flat_shading=False,
                roughness=0.9,
                side="double",
            )
            self.widget += self._mesh
            return
        # The browser draws after each of these, and faces must not ask for corners that are not there.
        grows = len(vertices) >= len(self._mesh.vertices)
        for name in ("vertices", "indices") if grows else ("indices", "vertices"):
            setattr(self._mesh, name, state[name])
        for name in ("colors", "color"):
            setattr(self._mesh, name, state[name])
        self._mesh.visible = True
