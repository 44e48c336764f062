"""Outlines over pictures: what a fit to a silhouette began with, and what it ended with."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.lines import Line2D

from tpl.look.plotting import Picture
from tpl.rendering import composite

BEFORE, AFTER = "#d55e00", "#0072b2"
"""The outlines' colours, of the palette of all figures: the colour-blind tell them apart."""

PALE = 0.55
"""Share of the white that lies over a picture, so that the outlines are seen."""


def plot_outlines(
    axes: np.ndarray,
    pictures: Sequence[Picture],
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    names: tuple[str, str] = ("start", "refined"),
) -> None:
    """Pictures, pale, and over each the outlines of the shapes that were seen in it: dashed before a fit, solid after.

    Args:
        axes: One a picture; those left over stay blank.
        pictures: Square, of any size.
        before: For each a square grid of distances over it, of any size: the outline is where they are zero.
        after: The same after the fit.
        captions: A line under each.
        names: What the outlines are called in the legend, which stands at the figure's foot.
    """
    places = np.atleast_1d(axes).ravel()
    if not len(pictures) == len(before) == len(after):
        raise ValueError(f"{len(pictures)} pictures, {len(before)} and {len(after)} outlines: give one of each")
    if len(pictures) > len(places):
        raise ValueError(f"{len(pictures)} pictures do not fit into {len(places)} places; make more axes")
    if captions is not None and len(captions) != len(pictures):
        raise ValueError(f"{len(captions)} captions for {len(pictures)} pictures; give one each")
    strokes: list[tuple[str, Literal["--", "-"], float]] = [(BEFORE, "--", 1.0), (AFTER, "-", 1.3)]
    for ax in places:
        ax.set_axis_off()
    for number, (ax, picture, *pair) in enumerate(zip(places, pictures, before, after, strict=False)):
        side = len(picture)
        ax.imshow(1 - (1 - PALE) * (1 - composite(picture) / 255), extent=(0, side, side, 0))
        for distances, (color, style, width) in zip(pair, strokes, strict=True):
            middles = (np.arange(len(distances)) + 0.5) * side / len(distances)
            if distances.min() < 0 < distances.max():
                ax.contour(middles, middles, distances, levels=[0.0], colors=color, linestyles=style, linewidths=width)
        if captions is not None:
            ax.set_title(captions[number], fontsize="small", color="#5a5a5a", y=-0.12)
    lines = [
        Line2D([], [], color=color, linestyle=style, linewidth=width, label=name)
        for (color, style, width), name in zip(strokes, names, strict=True)
    ]
    places[0].figure.legend(handles=lines, loc="outside lower center", ncols=2)
