"""Figures of the tables' chapter: Chamfer distances by method."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tpl.look.plotting import INK
from tpl.study.methods import method_color


def plot_chamfer_distribution(ax: Axes, rows: pd.DataFrame, floor: float | None = None, seed: int = 0) -> None:
    """Every shape of every method as a dot, with the method's median; failures as crosses at the far end.

    Args:
        ax: Methods from top to bottom in their order of appearance, Chamfer x 1000 on a logarithmic axis.
        rows: Of one category and kind of view, as `evaluation` makes them.
        floor: Sampling floor in squared raw units, drawn as a line.
        seed: Of the vertical scatter.
    """
    methods = list(dict.fromkeys(rows["method"]))
    rng = np.random.default_rng(seed)
    scores = 1000 * rows["chamfer"].to_numpy(float)
    succeeded = np.isfinite(scores)
    lowest, highest = (scores[succeeded].min(), scores[succeeded].max()) if succeeded.any() else (1.0, 1.0)
    lowest = lowest if floor is None else min(lowest, 1000 * floor)
    beyond = highest * 2.2
    for place, method in enumerate(methods):
        values = scores[(rows["method"] == method).to_numpy()]
        failed = np.isnan(values)
        scatter = place + rng.uniform(-0.24, 0.24, len(values))
        color = method_color(method)
        ax.scatter(values[~failed], scatter[~failed], s=16, color=color, alpha=0.75, linewidths=0, label=method)
        if failed.any():
            ax.scatter(np.full(failed.sum(), beyond), scatter[failed], s=26, color=color, marker="x", linewidths=1.3)
        if not failed.all():
            median = np.median(np.where(failed, np.inf, values))
            if np.isfinite(median):
                ax.plot([median, median], [place - 0.36, place + 0.36], color=INK, linewidth=2, solid_capstyle="butt")
    if not succeeded.all():
        ax.axvspan(highest * 1.5, highest * 3.2, color="#f4f4f4", linewidth=0, zorder=0)
        ax.text(beyond, -0.62, "failed", ha="center", va="bottom", fontsize="small", color="#8c8c8c")
    ax.set_xscale("log")
    ax.set_xlim(lowest / 1.4, highest * (1.4 if succeeded.all() else 3.2))
    _finish_method_axis(ax, methods, floor)


def plot_mean_chamfer(ax: Axes, summary: pd.DataFrame, floor: float | None = None) -> None:
    """Means over shapes with their 95 % intervals: filled for the fixed view, hollow for random views; numbers beside.

    Args:
        ax: Methods from top to bottom in their order of appearance, Chamfer x 1000.
        summary: Of one category, as `evaluation.summarize` makes it.
        floor: Sampling floor in squared raw units, drawn as a line.
    """
    methods = list(dict.fromkeys(summary["method"]))
    for place, method in enumerate(methods):
        of_method = summary.loc[summary["method"] == method]
        lanes = np.linspace(-0.16, 0.16, len(of_method)) if len(of_method) > 1 else [0.0]
        for lane, (_, row) in zip(lanes, of_method.iterrows(), strict=True):
            mean, low, high = (1000 * float(row[column]) for column in ("mean", "low", "high"))
            color, hollow = method_color(method), row["view"] == "rnd"
            if np.isfinite(low):
                ax.plot([low, high], [place + lane] * 2, color=color, linewidth=2, solid_capstyle="round")
            face = "white" if hollow else color
            ax.plot(mean, place + lane, "o", color=color, markerfacecolor=face, markersize=7, markeredgewidth=1.6)
        # Beside the axes, where no mark can stand in the way.
        numbers = " / ".join(f"{1000 * float(mean):.2f}" for mean in of_method["mean"])
        beside = ax.get_yaxis_transform()
        ax.text(1.01, place, numbers, transform=beside, va="center", fontsize="x-small", color="#5a5a5a")
    ax.set_xlim(0, 1.12 * 1000 * float(summary[["mean", "high"]].max().max()))
    _finish_method_axis(ax, methods, floor)
    if {"fix", "rnd"} <= set(summary["view"]):
        for name, face in (("fixed view", "#5a5a5a"), ("random view", "white")):
            ax.plot([], [], "o", color="#5a5a5a", markerfacecolor=face, markeredgewidth=1.6, label=name)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, fontsize="small")


def _finish_method_axis(ax: Axes, methods: Sequence[str], floor: float | None) -> None:
    ax.set_yticks(range(len(methods)), methods)
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    ax.set(xlabel="Chamfer distance x 1000", ylabel="")
    if ax.get_xscale() == "log":
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    if floor is not None:
        ax.set_ylim(len(methods) - 0.05, -0.6)  # half a lane for the words
        ax.axvline(1000 * floor, color="#8c8c8c", linewidth=1, linestyle=(0, (4, 3)))
        ax.annotate(
            "sampling floor",
            (1000 * floor, len(methods) - 0.05),
            (4, 3),
            textcoords="offset points",
            fontsize="x-small",
            color="#8c8c8c",
        )
