"""Figure of appendix A: what each switch does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from tpl.look.plotting import INK


def plot_effects(ax: Axes, effects: pd.DataFrame, labels: Sequence[str]) -> None:
    """What switches do: a dot a seed, the interval of their mean as a line, strong where it excludes zero.

    Args:
        ax: A lane an effect, from top to bottom; to the right the first setting is worse, to the left the second. The
            scale is linear up to 10 % and logarithmic beyond.
        effects: As `disagreements.effects` makes them, those that were measured.
        labels: Of the lanes.
    """
    for place, row in enumerate(effects.to_dict("records")):
        color = INK if row["verdict"] == "matters" else "#9a9a9a"
        if np.isfinite(float(row["harm_low"])):
            ax.plot([row["harm_low"], row["harm_high"]], [place] * 2, color=color, linewidth=2, solid_capstyle="round")
        lanes = place + (np.linspace(-0.14, 0.14, len(row["harm"])) if len(row["harm"]) > 1 else np.zeros(1))
        ax.scatter(row["harm"], lanes, s=26, color=color, edgecolors="white", linewidths=0.8, zorder=3)
    ax.axvline(0, color="#8c8c8c", linewidth=1)
    ax.set_xscale("symlog", linthresh=10, linscale=1)
    reach = max(20.0, *(abs(limit) for limit in ax.get_xlim()))
    ticks = [tick for tick in (5, 10, 30, 100, 300, 1000, 3000) if tick <= reach]
    ax.set_xticks([*(-tick for tick in reversed(ticks)), 0, *ticks])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(-1.1 * reach, 1.1 * reach)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="x-small")
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    ax.set(xlabel="how much worse the first setting is, % of the second", ylabel="")
