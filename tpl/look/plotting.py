"""The figures of the book: one look, drawn on Axes that the caller lays out."""

from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, TwoSlopeNorm
from matplotlib.ticker import FuncFormatter
from skimage.color import lab2rgb

from tpl.geometry.marching import evaluate
from tpl.geometry.primitives import SDF
from tpl.rendering import composite

INK = "#2b2b2b"
PALE = "#d9d9d9"


CLAY = {"chairs": (203, 141, 106), "sofas": (136, 168, 142), "airplanes": (126, 153, 188)}
"""What the meshes of a category are made of in pictures, sRGB."""

ERROR_COLORS = ListedColormap(mpl.colormaps["magma_r"](np.linspace(0.03, 0.85, 256)), name="error")
"""Near is pale, far is dark: perceptual, and its palest tone still shows shading."""

SDF_COLORS = sns.color_palette("vlag_r", as_cmap=True)
"""Inside warm, outside cool, the surface white."""

TRIPLET = ("image", "ground truth", "reconstruction")
"""The order in which these three stand in every figure."""

NOT_TERMS = {"step", "epoch", "seconds", "lr", "rate"}


def use_style() -> None:
    """White paper, little ink, for all figures that follow."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.85)
    mpl.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "savefig.dpi": 160,
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#8c8c8c",
            "axes.linewidth": 0.8,
            "axes.labelcolor": INK,
            "axes.titlesize": "medium",
            "text.color": INK,
            "xtick.color": "#5a5a5a",
            "ytick.color": "#5a5a5a",
            "xtick.major.width": 0.8,
            "ytick.major.width": 0.8,
            "xtick.minor.width": 0.5,
            "ytick.minor.width": 0.5,
            "grid.color": "#ececec",
            "grid.linewidth": 0.8,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "svg.fonttype": "none",
        }
    )


def plot_history(
    ax: Axes, history: pd.DataFrame, terms: Sequence[str] | None = None, smooth: int | None = None
) -> None:
    """The learning curve, a line a term: the raw values faint, their running median strong.

    Args:
        ax: Both axes are labelled; the value's is logarithmic where all terms have positive values.
        history: A column `step` and one a term.
        terms: The columns to draw, all terms if None.
        smooth: Rows in the running median; a fiftieth of the rows if None.
    """
    if terms is None:
        terms = [str(column) for column in history.columns if column not in NOT_TERMS]
    missing = [column for column in ("step", *terms) if column not in history]
    if missing:
        raise ValueError(f"the history has no column {missing[0]!r}; it has {', '.join(map(str, history.columns))}")
    window = smooth or max(1, len(history) // 50)
    styles = ["-", "--", "-.", ":"]
    for place, (term, color) in enumerate(zip(terms, sns.color_palette("colorblind", len(terms)), strict=True)):
        if window > 1:
            ax.plot(history["step"], history[term], color=color, alpha=0.22, linewidth=0.7)
        values = history[term].rolling(window, min_periods=1, center=True).median()
        ax.plot(history["step"], values, color=color, label=term, linestyle=styles[place % len(styles)])
    if len(terms) and (history[list(terms)].max() > 0).all():
        ax.set_yscale("log", nonpositive="mask")
    ax.set(xlabel="step", ylabel="loss")
    ax.set_xlim(0, float(np.max(history["step"].to_numpy(), initial=1)))
    ax.xaxis.set_major_formatter(FuncFormatter(_thousands))
    ax.grid(axis="y")
    if len(terms) > 1:
        ax.legend(ncols=2 if len(terms) > 4 else 1)


def _thousands(value: float, _: int) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"


def plot_sdf_slice(
    ax: Axes,
    sdf: SDF,
    axis: Literal["x", "y", "z"] = "x",
    height: float | int = 0.0,
    extent: float | int = 1.0,
    limit: float | int = 0.5,
    resolution: int = 160,
    colorbar: bool = True,
) -> None:
    """A plane through a shape: its signed distance as colour, level lines, the surface as a strong line.

    Args:
        ax: Gets equal scales.
        sdf: Signed distances, negative inside.
        axis: The plane's normal. Up (y) stays up where it is in the plane.
        height: Where the plane cuts that axis.
        extent: The square [-extent, extent]^2 is shown.
        limit: Distance at which the colours end outside; inside they end at a fifth of it.
        resolution: Points along each side.
        colorbar: Whether to put the scale beside.
    """
    across, up = {"x": (2, 1), "y": (0, 2), "z": (0, 1)}[axis]
    line = np.linspace(-extent, extent, resolution)
    horizontal, vertical = np.meshgrid(line, line)
    points = np.full((resolution**2, 3), float(height))
    points[:, across], points[:, up] = horizontal.ravel(), vertical.ravel()
    values = evaluate(sdf, points).reshape(resolution, resolution)
    image = ax.imshow(
        values,
        cmap=SDF_COLORS,
        norm=TwoSlopeNorm(0, -limit / 5, limit),  # parts are thinner than the space around them
        origin="lower",
        extent=(-extent, extent, -extent, extent),
        interpolation="bilinear",
    )
    levels = np.linspace(limit / 5, limit, 5)
    ax.contour(line, line, values, levels=levels, colors=INK, linewidths=0.4, alpha=0.35, linestyles="-")
    if values.min() < 0 < values.max():
        ax.contour(line, line, values, levels=[0.0], colors=INK, linewidths=1.8)
    ax.set(xlabel="xyz"[across], ylabel="xyz"[up], aspect="equal")
    ax.set_xticks([-extent, 0, extent])
    ax.set_yticks([-extent, 0, extent])
    sns.despine(ax=ax, left=True, bottom=True)
    if colorbar:
        bar = ax.figure.colorbar(image, ax=ax, label="signed distance", shrink=0.85, pad=0.02)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.set_ticks([-limit / 5, 0, limit])


Picture = np.ndarray
"""An image of any height and width: (height, width, 3 or 4) of uint8, alpha straight."""


def plot_triplets(
    axes: np.ndarray,
    triplets: Sequence[tuple[Picture | None, Picture | None, Picture | None]],
    captions: Sequence[str] | None = None,
    titles: Sequence[str] = TRIPLET,
) -> None:
    """Image, ground truth, reconstruction, side by side and always in this order.

    Args:
        axes: (rows, 3 k): k triplets stand in a row. Those left over stay blank.
        triplets: Pictures, on white where they are transparent; None where there is none to show.
        captions: A line under each triplet.
        titles: Above the columns.
    """
    axes = np.atleast_2d(axes)
    if axes.shape[1] % 3:
        raise ValueError(f"triplets need 3, 6, 9, ... columns of axes, not {axes.shape[1]}")
    places = axes.reshape(-1, 3)
    if len(triplets) > len(places):
        raise ValueError(f"{len(triplets)} triplets do not fit into {len(places)} places; make more axes")
    if captions is not None and len(captions) != len(triplets):
        raise ValueError(f"{len(captions)} captions for {len(triplets)} triplets; give one each")
    for ax in axes.ravel():
        ax.set_axis_off()
    for ax, title in zip(axes[0], [*titles] * (axes.shape[1] // 3), strict=True):
        ax.set_title(title, fontsize="small", color="#5a5a5a").set_in_layout(False)
        ax.text(0.5, 1.0, " ", va="bottom", fontsize="small", transform=ax.transAxes)  # room for it, not for its width
    for number, (place, triplet) in enumerate(zip(places, triplets, strict=False)):
        for ax, picture in zip(place, triplet, strict=True):
            if picture is None:
                ax.text(0.5, 0.5, "none", ha="center", va="center", color="#8c8c8c", transform=ax.transAxes)
                ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
            else:
                ax.imshow(composite(picture), interpolation="antialiased")
        if captions is not None:
            below = dict(ha="center", va="top", fontsize="small", transform=place[1].transAxes)
            place[1].text(0.5, -0.02, captions[number], **below).set_in_layout(False)
            place[1].text(0.5, -0.02, " ", **below)


def error_colors(distance: Float[np.ndarray, " n"], limit: float | int) -> UInt8[np.ndarray, "n 3"]:
    """Colours of distances from 0 to `limit` and beyond, for a mesh; `plot_error_bar` is their legend."""
    if not limit > 0:
        raise ValueError(f"an error scale cannot end at {limit}; give a positive distance")
    return ERROR_COLORS(np.clip(distance / limit, 0, 1), bytes=True)[:, :3]


def plot_error_bar(ax: Axes, limit: float | int, label: str = "error, % of the diagonal") -> None:
    """The legend of `error_colors` in raw units, where the diagonal is 1: fills the Axes, lying or standing."""
    box = ax.get_position()
    figure_width, figure_height = ax.figure.get_size_inches()  # pyright: ignore[reportAttributeAccessIssue]
    lying = box.width * figure_width > box.height * figure_height
    scale = ScalarMappable(Normalize(0, 100 * limit), ERROR_COLORS)
    bar = ax.figure.colorbar(
        scale, cax=ax, label=label, orientation="horizontal" if lying else "vertical", extend="max"
    )
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def position_colors(points: Float[np.ndarray, "n 3"], extent: float | int = 1.0) -> UInt8[np.ndarray, "n 3"]:
    """The colour of a place: the same on every shape, so that correspondence can be seen.

    Height makes lightness, left to right runs from green to rose, front to back from blue to amber: axes of
    CIELAB, so that equal steps look about equal, and muted, so that shading stays visible.

    Args:
        points: Places on the template.
        extent: The cube [-extent, extent]^3 holds all colours; beyond it they stay.
    """
    x, y, z = np.clip(points / extent, -1, 1).T
    lab = np.stack([66 + 15 * y, 36 * x, 36 * z], axis=1)  # within sRGB for all of the unit ball
    return np.round(255 * np.clip(lab2rgb(lab), 0, 1)).astype(np.uint8)
