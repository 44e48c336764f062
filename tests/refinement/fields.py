"""Shapes with a formula whose codes mean something, as torch functions, and pictures of them by the ray caster."""

import numpy as np
import torch
import trimesh
from torch import Tensor

from tpl.meshes import Normalization
from tpl.rendering import Camera, render_view

UNIT = Normalization(np.zeros(3), 2.0)
SIZE = 64


def ball(points: Tensor, codes: Tensor) -> Tensor:
    """A ball; the code is the logarithm of its radius."""
    return points.norm(dim=2) - codes[:, :1].exp()


def ellipsoid(points: Tensor, codes: Tensor) -> Tensor:
    """An ellipsoid, exact to first order at its surface; the code holds the logarithms of its half axes."""
    axes = codes[:, None].exp()
    inner, outer = (points / axes).norm(dim=2), (points / axes**2).norm(dim=2)
    return inner * (inner - 1) / outer.clamp_min(1e-6)


CHAIR = torch.tensor(
    [
        [[0.0, -0.05, 0.0], [0.8, 0.1, 0.8]],
        [[0.0, 0.3, 0.36], [0.8, 0.7, 0.08]],
        *[[[x, -0.4, z], [0.08, 0.7, 0.08]] for x in (-0.36, 0.36) for z in (-0.36, 0.36)],
        [[0.36, 0.12, -0.05], [0.08, 0.3, 0.6]],
    ]
)
"""A chair out of boxes, middle and side lengths: seat, back, legs and one arm."""


def chair(points: Tensor, codes: Tensor) -> Tensor:
    """A chair with one arm; the code is the logarithm of its size."""
    size = codes[:, :1, None].exp()
    middle, half = CHAIR[:, 0].to(points), CHAIR[:, 1].to(points) / 2
    beyond = ((points / size)[:, :, None] - middle).abs() - half
    distances = beyond.clamp_min(0).norm(dim=3) + beyond.amax(dim=3).clamp_max(0)
    return distances.amin(dim=2) * size[..., 0]


def picture(mesh: trimesh.Trimesh, camera: Camera) -> Tensor:
    """The share of each pixel that a mesh of the unit-sphere frame covers."""
    raw = trimesh.Trimesh(UNIT.undo(mesh.vertices), mesh.faces, process=False)
    return torch.from_numpy(render_view(raw, camera, SIZE, samples=8)[..., 3] / 255).float()


def ellipsoid_mesh(axes: tuple[float, float, float]) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=4)
    mesh.vertices *= axes
    return mesh


def chair_mesh(size: float = 1.0) -> trimesh.Trimesh:
    boxes = [
        trimesh.creation.box(extents.tolist(), trimesh.transformations.translation_matrix(middle.tolist()))
        for middle, extents in CHAIR
    ]
    mesh = trimesh.util.concatenate(boxes)
    mesh.vertices *= size
    return mesh
