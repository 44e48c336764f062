"""Rays against triangles, by embree: how far to the next face, how much of the sky is seen."""

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Int

START = np.float32(1e-5)  # of the diagonal: rays start this far off the surface, so as not to meet it


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
