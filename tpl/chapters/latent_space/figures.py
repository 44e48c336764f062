"""Figures of the latent space: the views of many shapes in the plane, and values by where the camera stood."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator

from tpl.look.plotting import Picture
from tpl.rendering import composite

MARKERS = "osD^vPX*"
COLORS = "#0173b2 #de8f05 #029e73 #d55e00 #cc78bc #8c5a2b #5b2a86 #7f7f7f #b5a900 #56b4e9".split()
"""Seaborn's colour-blind palette, with deeper tones for its two that are too pale for dots on white."""

SIDES = ("front", "its right", "back", "its left")  # of the object, at azimuth 0, 90, 180, 270


def instance_style(number: int) -> tuple[tuple[float, float, float], str]:
    """Colour and marker of one of many shapes: 40 that differ, neighbours in the list by both."""
    return to_rgb(COLORS[number % len(COLORS)]), MARKERS[number % len(MARKERS)]


def plot_instances(
    ax: Axes,
    places: Float[np.ndarray, "n 2"],
    shape: Int[np.ndarray, " n"],
    thumbnails: Mapping[int, Picture | None] | None = None,
) -> None:
    """The views of many shapes in the plane, a colour and a marker a shape; some with a picture at the rim.

    Args:
        ax: Made square; it loses its ticks, which have no meaning in such a plane.
        places: Of all views.
        shape: Number of each view's shape.
        thumbnails: Pictures of some of the shapes.
    """
    middle, reach = (places.max(axis=0) + places.min(axis=0)) / 2, max(float(np.ptp(places, axis=0).max()) / 2, 1e-9)
    flat = (places - middle) / reach  # within [-1, 1]^2
    for number in np.unique(shape):
        color, marker = instance_style(int(number))
        size = 34 if marker == "*" else 20
        ax.scatter(*flat[shape == number].T, s=size, color=color, marker=marker, edgecolors="white", linewidths=0.4)
    shown = {number: picture for number, picture in (thumbnails or {}).items() if picture is not None}
    limit = 1.08
    if shown:
        limit = 1.72
        anchors = np.array([_medoid(flat[shape == number]) for number in shown])
        for (number, picture), anchor, seat in zip(shown.items(), anchors, _rim(anchors, 1.42), strict=True):
            _add_thumbnail(ax, picture, anchor, seat, instance_style(number)[0])
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _medoid(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " 2"]:
    """The point with the smallest sum of distances to the others: a real one, amid the largest group."""
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    return points[apart.sum(axis=1).argmin()]


def _rim(anchors: Float[np.ndarray, "n 2"], radius: float) -> Float[np.ndarray, "n 2"]:
    """Seats at even distances on a circle, in the order of the anchors' directions and as near to them as can be."""
    angle = np.arctan2(anchors[:, 1], anchors[:, 0])
    order, step = np.argsort(angle), 2 * np.pi / len(angle)
    seats = np.empty(len(angle))
    seats[order] = np.arange(len(angle)) * step
    seats += np.angle(np.exp(1j * (angle - seats)).sum())  # the turn that brings all seats nearest
    return radius * np.stack([np.cos(seats), np.sin(seats)], axis=1)


def _add_thumbnail(ax: Axes, picture: Picture, anchor: np.ndarray, seat: np.ndarray, color: tuple) -> None:
    close = _cropped(composite(picture))
    image = OffsetImage(close, zoom=38 / close.shape[0])
    line = dict(arrowstyle="-", color=color, linewidth=0.9, shrinkA=0, shrinkB=2)
    frame = dict(edgecolor=color, linewidth=1.2, boxstyle="round,pad=0.05,rounding_size=0.1")
    ax.add_artist(AnnotationBbox(image, tuple(anchor), tuple(seat), pad=0.15, arrowprops=line, bboxprops=frame))


def _cropped(picture: Picture) -> Picture:
    """The smallest square around what is not white, or all of it."""
    rows, columns = np.nonzero((picture < 235).any(axis=-1))
    if not len(rows):
        return picture
    side = int(max(np.ptp(rows), np.ptp(columns))) + 1
    top, left = ((int(at.min() + at.max()) - side) // 2 + 1 for at in (rows, columns))
    padded = np.pad(picture, ((side, side), (side, side), (0, 0)), constant_values=255)
    return padded[top + side : top + 2 * side, left + side : left + 2 * side]


def plot_by_azimuth(
    ax: PolarAxes, values: Float[np.ndarray, " bins"], color: str, label: str, dashed: bool = False
) -> None:
    """A value by where the camera stood, seen from above: the object's front is up, its right on the right.

    Args:
        ax: With a polar projection.
        values: Of sectors of equal width, the first around the front, as `latent_space.azimuth_bins` counts them;
            a gap where NaN.
        color: Of the line.
        label: For the legend.
        dashed: A second cue beside the colour.
    """
    angle = np.linspace(0, 2 * np.pi, len(values) + 1)
    ax.plot(angle, np.append(values, values[0]), "s--" if dashed else "o-", color=color, label=label, markersize=3.5)
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_xticks(np.pi / 2 * np.arange(4), SIDES)
    _start_at_zero(ax)
    ax.tick_params(axis="y", labelsize="x-small")
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.grid(color="#e4e4e4")
    ax.spines[:].set_visible(False)


def plot_by_elevation(
    ax: Axes,
    values: Float[np.ndarray, " bins"],
    edges: Sequence[float | int],
    color: str,
    label: str,
    dashed: bool = False,
) -> None:
    """A value by how high the camera stood: a dot in the middle of each interval of elevations, in degrees."""
    middle = (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
    ax.plot(middle, values, "s--" if dashed else "o-", color=color, label=label, markersize=4)
    ax.set(xlabel="elevation (degrees)", xlim=(edges[0], edges[-1]), xticks=list(edges))
    _start_at_zero(ax)
    ax.grid(axis="y")


def _start_at_zero(ax: Axes) -> None:
    """Shows all lines that are drawn so far, and zero."""
    highest = max((float(np.nanmax(line.get_ydata(), initial=0)) for line in ax.lines), default=0)
    ax.set_ylim(0, 1.1 * highest or 1)


def plot_kinds(ax: Axes, places: Float[np.ndarray, "n 2"], kinds: Sequence[str], most: int = 8) -> None:
    """Points in the plane, coloured by their kind; the rarest kinds beyond `most` share one grey."""
    counted = pd.Series(kinds).value_counts()
    markers = "osD^vPX*"
    for number, kind in enumerate(counted.index[:most]):
        chosen = places[np.asarray(kinds) == kind]
        ax.scatter(
            *chosen.T, s=18, marker=markers[number % len(markers)], color=f"C{number % 10}", label=kind, linewidths=0
        )
    others = places[~np.isin(kinds, counted.index[:most])]
    if len(others):
        ax.scatter(*others.T, s=12, color="#c6c6c6", label="others", linewidths=0, zorder=0)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.legend(
        fontsize="x-small", loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2, handletextpad=0.1, columnspacing=0.8
    )
