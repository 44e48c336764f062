"""The playground on paper: what its controls do, as pictures and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tpl.chapters.playground.fitting import Fit
from tpl.chapters.playground.painting import ERROR_LIMIT, distance_to
from tpl.chapters.playground.playing import Player, State
from tpl.geometry.marching import extract_mesh
from tpl.inference import to_raw
from tpl.look.plotting import plot_error_bar, plot_history
from tpl.rendering import POSTER
from tpl.study.trained import maybe

WIDE = replace(POSTER, distance=1.2 * POSTER.distance)
"""The camera of the pictures: shapes that are played with may be larger than any that was prepared."""

Meshes = Sequence[trimesh.Trimesh | None]


def meshes_of(
    player: Player, rows: Mapping[str, Sequence[State]], resolution: int = 64
) -> dict[str, list[trimesh.Trimesh | None]]:
    """The meshes of rows of states, raw frame; None where a state has no surface."""
    return {name: [maybe(player.mesh, state, resolution) for state in states] for name, states in rows.items()}


def farthest(player: Player, shape: str) -> str:
    """The shape whose learnt code is farthest from that of a shape with a code."""
    away = (player.codes - player.codes[player.coded[shape]]).norm(dim=1)
    return list(player.coded)[int(away.argmax())]


def size_table(rows: Mapping[str, Meshes]) -> pd.DataFrame:
    """How much a shape grows from the first mesh of each row to the last.

    Returns:
        A line a row: the change of `width`, `height` and `length` of the bounding box, in percent of the diagonal of
        the first shape's raw frame, and that of the `volume`, in percent of the first mesh's; NaN without a surface.
    """
    lines = []
    for name, meshes in rows.items():
        first, last = meshes[0], meshes[-1]
        grown = np.full(4, np.nan)
        if first is not None and last is not None:
            grown = 100 * np.append(last.extents - first.extents, last.volume / first.volume - 1)
        lines.append((name, *grown))
    return pd.DataFrame(lines, columns=["control", "width", "height", "length", "volume"])


def grid_table(player: Player, state: State, grids: Sequence[int]) -> tuple[dict[int, trimesh.Trimesh], pd.DataFrame]:
    """A state's mesh on several grids, and how far each is from the finest.

    Args:
        player: Whose.
        state: It has a surface on all of the grids.
        grids: Cells along each side, the finest one last.

    Returns:
        The meshes; a line a grid: its `faces`, and the mean and largest distance of its vertices to the surface of the
        finest, in percent of the diagonal.
    """
    meshes = {grid: player.mesh(state, grid) for grid in grids}
    distance = distance_to(meshes[grids[-1]])
    lines = []
    for grid, mesh in meshes.items():
        off = 100 * distance(np.asarray(mesh.vertices))
        lines.append((grid, len(mesh.faces), off.mean(), off.max()))
    return meshes, pd.DataFrame(lines, columns=["grid", "faces", "mean", "largest"])


def watched(
    player: Player, state: State, fit: Fit, pictures: int = 5, resolution: int = 64
) -> dict[int, trimesh.Trimesh | None]:
    """Runs a fit that is given in steps to its end, and keeps its mesh (raw frame) at some of them.

    Args:
        player: Whose shape is fitted.
        state: Of this shape.
        fit: At its start.
        pictures: How many meshes, at steps that grow by one factor up to the last.
        resolution: Grid cells along each side.

    Returns:
        The meshes by their steps; None where there is no surface yet.
    """
    wanted, frame = set(snapshot_steps(fit.steps, pictures).tolist()), player.frame(state)
    found = {}
    for row in fit.run():
        if row["step"] in wanted:
            mesh = maybe(extract_mesh, fit.sdf(), resolution)
            found[int(row["step"])] = None if mesh is None else to_raw(mesh, frame)
    return found


def snapshot_steps(steps: int, pictures: int) -> Int[np.ndarray, " pictures"]:
    """Steps that grow by one factor from 1 to the last, each once; the last alone for a single picture."""
    return np.unique(np.geomspace(steps, 1, pictures).round().astype(int))


def plot_terms(ax: Axes, rows: Sequence[Mapping[str, float]]) -> None:
    """The terms of a fit's loss, from its learning curve."""
    plot_history(ax, pd.DataFrame(rows[:: max(1, len(rows) // 500)]).drop(columns="loss"))
    ax.set_ylim(bottom=max(ax.get_ylim()[0], 1e-6))  # a warp starts as nothing


def plot_fits(fits: Mapping[str, Fit]) -> Figure:
    """The learning curves of fits side by side, on one scale."""
    fig, axes = plt.subplots(1, len(fits), figsize=(3.8 * len(fits), 3), squeeze=False, sharey=True)
    for ax, (name, fit) in zip(axes[0], fits.items(), strict=True):
        plot_terms(ax, fit.rows)
        ax.set_title(name)
    return fig


def fit_table(fits: Mapping[str, Fit], last: int = 20) -> pd.DataFrame:
    """What fits came to: a line each with the mean `distance` that they are off at over the last steps, the `code`'s
    length, and their `steps`."""
    lines = []
    for name, fit in fits.items():
        off = float(np.mean([row["sdf"] for row in fit.rows[-last:]]))
        lines.append((name, off, float(fit.latent.detach().norm()), len(fit.rows)))
    return pd.DataFrame(lines, columns=["fit", "distance", "code", "steps"])


def error_bar() -> Figure:
    """The legend of the distance to the truth."""
    fig, ax = plt.subplots(figsize=(5, 0.6))
    plot_error_bar(ax, ERROR_LIMIT, "distance to the truth, % of the diagonal")
    return fig
