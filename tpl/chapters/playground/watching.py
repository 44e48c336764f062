"""The fit of a shape, watched in JupyterLab: its weights, its curve, its mesh."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import ipywidgets
import trimesh
from matplotlib.figure import Figure

from tpl.chapters.playground.figures import plot_terms
from tpl.chapters.playground.fitting import CODE, LEARNS, WEIGHTS, Fit, fit_shape
from tpl.chapters.playground.latest import Latest, Turn
from tpl.chapters.playground.painting import Painter
from tpl.chapters.playground.playing import CLAY, ERROR, Player, State
from tpl.chapters.playground.screens import Screen
from tpl.errors import PlainError
from tpl.geometry.following import FollowedSurface
from tpl.geometry.marching import EmptyShape, extract_mesh
from tpl.geometry.primitives import SDF
from tpl.inference import to_raw

GRID, LAST_GRID = 32, 64
"""Grid cells along each side of the mesh while the fit goes on, and of its last one."""

LOWEST = -6  # of the weights' sliders, as a power of ten; there a weight is 0
PICTURES = 15  # so many times as long as a picture takes the fit is left alone


class FitWish(NamedTuple):
    """Which fit is wished for."""

    player: Player
    state: State
    learns: str
    weights: dict[str, float]
    seconds: int


class FitPanel:
    """Controls of a fit, and what comes of it; `widget` is what is shown.

    Args:
        where: The player and state that the other controls say.
        painter: Of a player.
        seconds: That a fit takes.
    """

    def __init__(self, where: Callable[[], tuple[Player, State]], painter: Callable[[Player], Painter], seconds: int):
        self.where, self.painter, self.screen = where, painter, Screen(300)
        self.learns: Any = ipywidgets.Dropdown(options=LEARNS, value=CODE, description="learns")
        self.weights = {name: _weight_slider(name) for name in WEIGHTS}
        self.seconds: Any = ipywidgets.BoundedIntText(value=seconds, min=1, max=600, description="seconds")
        self.start = ipywidgets.Button(description="fit", icon="play", button_style="primary")
        self.stop = ipywidgets.Button(description="stop", icon="stop")
        self.curve = ipywidgets.Image(format="png", layout={"width": "420px"})
        self.fitting: Latest[FitWish | None] = Latest(self._fit)
        self.start.on_click(lambda _: self.fitting.ask(self.wish()))
        self.stop.on_click(lambda _: self.fitting.ask(None))
        buttons = ipywidgets.HBox([self.start, self.stop])
        knobs = ipywidgets.VBox([self.learns, *self.weights.values(), self.seconds, buttons])
        row = ipywidgets.HBox([knobs, self.curve, self.screen.box], layout={"flex_flow": "row wrap"})
        self.widget = ipywidgets.VBox([ipywidgets.HTML("<b>Fit the chosen shape</b>"), row])

    def set_weights(self, config: dict[str, Any]) -> None:
        """The weights as a training had them."""
        for name, slider in self.weights.items():
            slider.value = max(config[name], 10.0**LOWEST)

    def wish(self) -> FitWish:
        """What the controls say."""
        lowest = 1.01 * 10.0**LOWEST
        weights = {name: slider.value if slider.value > lowest else 0.0 for name, slider in self.weights.items()}
        return FitWish(*self.where(), self.learns.value, weights, self.seconds.value)

    def _fit(self, wish: FitWish | None, turn: Turn) -> None:
        if wish is None:
            return
        try:
            fit = fit_shape(wish.player, wish.state.shape, wish.learns, wish.weights, seconds=wish.seconds)
        except PlainError as error:
            self.screen.blank(str(error))
            return
        surface, due = FollowedSurface(GRID), 0.0
        for row in fit.run():
            if turn.overtaken:
                break
            if row["seconds"] >= due:
                start = time.perf_counter()
                self._show(fit, wish, surface.extract)
                due = row["seconds"] + max(1.0, PICTURES * (time.perf_counter() - start))
        self._show(fit, wish, lambda sdf: extract_mesh(sdf, LAST_GRID))

    def _show(self, fit: Fit, wish: FitWish, extract: Callable[[SDF], trimesh.Trimesh]) -> None:
        row = fit.rows[-1]
        line = f"step {row['step']:,.0f} after {row['seconds']:.0f} s: distances off by {row['sdf']:.4f}"
        self.curve.value = curve_picture(fit.rows)
        try:
            mesh = to_raw(extract(fit.sdf()), wish.player.frame(wish.state))
        except EmptyShape:
            self.screen.blank(f"{line}; no surface yet")
            return
        # Its places are of another code or decoder than the player's.
        state = replace(wish.state, paint=ERROR if wish.state.paint == ERROR else CLAY)
        self.screen.show(mesh, self.painter(wish.player).colors(mesh, state), line)


def _weight_slider(name: str) -> Any:
    return ipywidgets.FloatLogSlider(
        value=10.0**LOWEST, min=LOWEST, max=1, step=0.25, description=name.removesuffix("_weight"), readout_format=".0e"
    )


def curve_picture(rows: Sequence[dict[str, float]]) -> bytes:
    """A learning curve as a PNG; drawn without pyplot, which belongs to the main thread."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    plot_terms(figure.subplots(), rows)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()
