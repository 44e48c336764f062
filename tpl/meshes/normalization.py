"""The frame that networks work in: the unit sphere around the centre of a mesh's bounding box."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tpl.errors import PlainError


class MeshError(PlainError):
    """A mesh that cannot be read or used; the message names it, the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class Normalization:
    """From a mesh's own frame (RAW) to the unit-sphere frame (UNIT) and back: (x + offset) * scale."""

    offset: Float[np.ndarray, "3"]
    scale: float

    @classmethod
    def of(cls, vertices: Float[np.ndarray, "v 3"]) -> "Normalization":
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
