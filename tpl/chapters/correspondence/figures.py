"""Pictures of what was carried from shape to shape: parts in colours, places in colours, key points as balls."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from tpl.chapters.correspondence.transfer import NEAREST, TEMPLATE, Located, Sample, carried_labels
from tpl.geometry.correspondence import transfer, transfer_points
from tpl.look.plotting import position_colors

PART_COLORS = np.array(
    [
        (222, 143, 5),
        (1, 115, 178),
        (2, 158, 115),
        (120, 62, 40),
        (204, 120, 188),
        (86, 180, 233),
        (90, 90, 90),
        (236, 225, 51),
    ],
    dtype=np.uint8,
)
"""The colour of each part by its number: seaborn's colour-blind palette in an order that keeps neighbours apart."""

TRUE_POINT, CARRIED_POINT, BASE_POINT = (30, 30, 30), (213, 60, 20), (0, 120, 190)
"""Balls: where a key point is, where the template carries it, where the nearest point lies."""

PALE_CLAY = (205, 200, 192)
"""The clay below balls: no category's own, so that the balls stand out on all."""

EDGE = 0.04
"""Longest edge of a mesh that is painted face by face, raw units."""


def refined(mesh: trimesh.Trimesh, edge: float = EDGE) -> trimesh.Trimesh:
    """The same surface in faces small enough to be painted one by one; what their parts are is kept.

    Args:
        mesh: Raw frame.
        edge: No edge of the result is longer.
    """
    vertices, faces, owner = trimesh.remesh.subdivide_to_size(  # pyright: ignore  # three with return_index
        np.asarray(mesh.vertices), np.asarray(mesh.faces), edge, max_iter=20, return_index=True
    )
    metadata = dict(mesh.metadata)
    if "part" in metadata:
        metadata["part"] = np.asarray(metadata["part"])[owner]
    fine = trimesh.Trimesh(vertices, faces, metadata=metadata, process=False)
    fine.merge_vertices()
    return fine


def painted(mesh: trimesh.Trimesh, colors: UInt8[np.ndarray, "faces 3"]) -> trimesh.Trimesh:
    """A mesh with a colour for each face."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, face_colors=colors, process=False)


def with_true_parts(target: Located) -> trimesh.Trimesh:
    """The true mesh in the colours of its own parts."""
    fine = refined(target.mesh)
    return painted(fine, PART_COLORS[np.asarray(fine.metadata["part"])])


def with_carried_parts(sources: Sequence[Sample], target: Located, method: str) -> trimesh.Trimesh:
    """The target's true mesh in the colours of the parts that a method carries to it."""
    fine = refined(target.mesh)
    return painted(fine, PART_COLORS[carried_labels(sources, target, np.asarray(fine.triangles_center), method)])


def with_own_places(source: Located) -> trimesh.Trimesh:
    """A shape in the colours of where its own points lie in the unit-sphere frame: the paint to be carried."""
    fine = refined(source.mesh)
    return painted(fine, position_colors(source.frame.apply(np.asarray(fine.triangles_center))))


def with_carried_places(source: Sample, target: Located) -> trimesh.Trimesh:
    """The target's true mesh in the paint of `with_own_places`, carried through the template point by point."""
    fine = refined(target.mesh)
    paint = position_colors(source.places[NEAREST])  # where its own points lie
    places = target.places(np.asarray(fine.triangles_center))[TEMPLATE]
    return painted(fine, transfer(paint, source.places[TEMPLATE], places))


def with_keypoints(source: Sample, target: Located, sample: Sample) -> trimesh.Trimesh:
    """The target's true mesh in clay, with balls where its key points are and where two ways of carrying put them.

    Args:
        source: Whose key points are carried.
        target: The other shape.
        sample: Of its surface.
    """
    both = [name for name in source.keypoints if name in sample.keypoints]
    rows = [list(source.keypoints).index(name) for name in both]
    balls = {TRUE_POINT: np.stack([sample.keypoints[name] for name in both])} if both else {}
    for method, color in ((TEMPLATE, CARRIED_POINT), (NEAREST, BASE_POINT)):
        balls[color] = transfer_points(source.key_places[method][rows], sample.places[method], sample.points)
    return with_balls(target.mesh, PALE_CLAY, balls)


def with_balls(
    mesh: trimesh.Trimesh,
    clay: tuple[int, int, int],
    balls: Mapping[tuple[int, int, int], Float[np.ndarray, "k 3"]],
    radius: float = 0.018,
) -> trimesh.Trimesh:
    """A mesh in clay with balls at points of it.

    Args:
        mesh: Raw frame.
        clay: Its colour.
        balls: Points in the raw frame, by the colour of their balls.
        radius: Of a ball, raw units.
    """
    solids, colors = [trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)], [np.tile(clay, (len(mesh.faces), 1))]
    for color, points in balls.items():
        for point in points:
            ball = trimesh.creation.icosphere(subdivisions=2, radius=radius)
            ball.apply_translation(point)
            solids.append(ball)
            colors.append(np.tile(color, (len(ball.faces), 1)))
    together: Any = trimesh.util.concatenate(solids)
    return trimesh.Trimesh(
        together.vertices, together.faces, face_colors=np.concatenate(colors).astype(np.uint8), process=False
    )


def color_legend(names: Mapping[str, Sequence[str]], colors: UInt8[np.ndarray, "colors 3"]) -> Figure:
    """The names of parts beside their colours, a line a category.

    Args:
        names: Of the parts, by category.
        colors: The first is that of the first part, and so on.
    """
    fig, axes = plt.subplots(len(names), 1, figsize=(7, 0.28 * len(names)), squeeze=False)
    for ax, (category, parts) in zip(axes[:, 0], names.items(), strict=True):
        for place, (part, color) in enumerate(zip(parts, colors, strict=False)):
            ax.scatter([place + 1.2], [0], s=70, marker="s", color=color / 255, linewidths=0)
            ax.text(place + 1.34, 0, part, va="center", fontsize="small")
        ax.text(0, 0, category, va="center", fontsize="small", color="#5a5a5a")
        ax.set(xlim=(0, 9.4), ylim=(-1, 1))
        ax.set_axis_off()
    return fig
