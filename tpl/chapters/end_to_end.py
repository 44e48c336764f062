"""Figures of the chapters on end-to-end training and its starts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tpl.look.plotting import INK


def plot_seeds(
    ax: Axes, runs: Mapping[str, Sequence[pd.DataFrame]], colors: Mapping[str, str], term: str = "loss"
) -> None:
    """A learning curve a kind of training, with the spread over its seeds: the mean as a line, all within a band.

    Args:
        ax: Both axes are labelled.
        runs: Of each kind the histories of its seeds, with the same steps.
        colors: Of each kind.
        term: Which column.
    """
    styles = ["-", "--", "-.", ":"]
    for place, (name, histories) in enumerate(runs.items()):
        steps = histories[0]["step"].to_numpy()
        if any(not np.array_equal(steps, history["step"]) for history in histories):
            raise ValueError(f"the seeds of {name!r} were not logged at the same steps; train them alike")
        values = np.stack([history[term].to_numpy(float) for history in histories])
        ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colors[name], alpha=0.2, linewidth=0)
        alone = "o" if len(steps) == 1 else None
        style = styles[place % len(styles)]
        ax.plot(steps, values.mean(axis=0), style, color=colors[name], label=name, marker=alone, markersize=4)
    ax.set(xlabel="step", ylabel=term, yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y")
    ax.legend()


def plot_outcomes(ax: Axes, outcomes: Mapping[str, Sequence[float]], colors: Mapping[str, str]) -> None:
    """What each seed of each kind of training came to: a dot a seed, a stroke for their mean.

    Args:
        ax: A lane a kind, from left to right; the caller labels the value's axis.
        outcomes: Of each kind the values of its seeds.
        colors: Of each kind.
    """
    for place, (name, values) in enumerate(outcomes.items()):
        lanes = place + (np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else np.zeros(1))
        ax.scatter(lanes, values, s=30, color=colors[name], alpha=0.75, linewidths=0)
        ax.plot([place - 0.28, place + 0.28], [np.mean(values)] * 2, color=INK, linewidth=2, solid_capstyle="butt")
    ax.set_xticks(range(len(outcomes)), list(outcomes))
    ax.set_xlim(-0.6, len(outcomes) - 0.4)
    ax.set_ylim(0, 1.1 * max(max(values) for values in outcomes.values()))
    ax.grid(axis="y")
    ax.set_axisbelow(True)
