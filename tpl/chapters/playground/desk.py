"""The playground alive in JupyterLab: all controls, and what they move."""

import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ipywidgets
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from tpl.chapters.correspondence.figures import PART_COLORS
from tpl.chapters.playground.latest import Latest
from tpl.chapters.playground.painting import ERROR_LIMIT, Painter
from tpl.chapters.playground.playing import ERROR, PART, Player, State
from tpl.chapters.playground.screens import Artist, Screen, Wish
from tpl.chapters.playground.watching import FitPanel

GRIDS = (24, 32, 48, 64, 96, 128)
NOTHING = "nothing"


class Desk:
    """The controls and what they move; `widget` is what a cell shows.

    A control only says where all of them stand; a worker draws. So the front end never waits, and what is shown at
    rest is always where the controls stand.

    Args:
        players: Of each category, by what their decoders are called; the first one leads.
        grid: Cells along each side of a mesh at rest.
        seconds: That a fit takes.
        directions: Sliders along directions of the codes.
        slices: The same of the coordinates beside space.
    """

    def __init__(
        self,
        players: Mapping[str, Mapping[str, Player]],
        grid: int = 64,
        seconds: int = 60,
        directions: int = 4,
        slices: int = 2,
    ):
        self.players = players
        self._lock, self._quiet = threading.RLock(), False
        self._painters: dict[int, Painter] = {}
        self._make_controls(grid, directions, slices)
        self.screens = [Screen(), Screen()]
        ipywidgets.jslink((self.screens[0].live.plot, "camera"), (self.screens[1].live.plot, "camera"))
        self.drawing: Latest[Wish] = Latest(Artist(self.painter, self.screens).draw)
        self.fit = FitPanel(lambda: (self.lead, self.state()), self.painter, seconds)
        self.widget = self._laid_out()
        self._choose_category()

    def painter(self, player: Player) -> Painter:
        """The painter of a player, made when it is first asked for."""
        return self._painters.setdefault(id(player), Painter(player))

    @property
    def lead(self) -> Player:
        """The player that the controls are made for."""
        return next(iter(self.players[self.category.value].values()))

    def state(self) -> State:
        """Where the controls stand."""
        return State(
            self.shape.value,
            self.view.value,
            self.other.value,
            self.between.value,
            tuple(slider.value for slider in self.spreads),
            tuple(slider.value for slider in self.beside),
            None if self.step.value == self.step.max else self.step.value,
            self.paint.value,
        )

    def _make_controls(self, grid: int, directions: int, slices: int) -> None:
        names = list(next(iter(self.players.values())))
        grids = sorted({*GRIDS, grid})
        self.category = _dropdown("category", list(self.players))
        self.shape = _dropdown("shape")
        self.view = _dropdown("code from")
        self.second = _dropdown("beside it", [NOTHING, *names[1:]])
        self.paint = _dropdown("colours")
        self.back = ipywidgets.Button(description="back to the shape", icon="undo", layout={"width": "auto"})
        self.picture = ipywidgets.Image(format="png", layout={"width": "128px", "height": "128px"})
        self.spreads = [_slider(-3.0, 3.0, 0.05, f"direction {place + 1}") for place in range(directions)]
        self.other = _dropdown("towards")
        self.between = _slider(0.0, 1.0, 0.01, "share")
        self.step: Any = ipywidgets.IntSlider(description="warp steps")
        self.beside = [_slider(-3.0, 3.0, 0.05, f"beside {place + 1}") for place in range(slices)]
        self.grid: Any = ipywidgets.SelectionSlider(options=grids, value=grid, description="grid")
        self.legend = ipywidgets.HTML()
        self.category.observe(lambda _: self._choose_category(), "value")
        self.shape.observe(lambda _: self._choose_shape(), "value")
        self.back.on_click(lambda _: self._reset())
        moved = [self.view, *self.spreads, self.other, self.between, self.step, *self.beside, self.grid, self.paint]
        for control in (*moved, self.second):
            control.observe(lambda _: self._ask(), "value")

    def _laid_out(self) -> Any:
        chosen = ipywidgets.VBox([self.category, self.shape, self.view, self.second, self.paint, self.back])
        code = ipywidgets.VBox([*self.spreads, self.other, self.between])
        rest = ipywidgets.VBox([self.step, *self.beside, self.grid])
        above = ipywidgets.HBox([chosen, self.picture, code, rest], layout={"flex_flow": "row wrap"})
        meshes = ipywidgets.HBox([screen.box for screen in self.screens])
        return ipywidgets.VBox([above, meshes, self.legend, self.fit.widget])

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Several controls are set, and one wish follows."""
        with self._lock:
            before, self._quiet = self._quiet, True
            try:
                yield
            finally:
                self._quiet = before
            self._ask()

    def _choose_category(self) -> None:
        with self._together():
            lead = self.lead
            named = [(f"{'coded' if name in lead.coded else 'test'}: {name}", name) for name in lead.shapes]
            self.other.options = [("no other shape", ""), *named]
            self.paint.options = self.painter(lead).paints
            self.fit.set_weights(lead.config)
            self.shape.options = named
            self._choose_shape()

    def _choose_shape(self) -> None:
        with self._together():
            self.view.options = self.lead.views(self.shape.value)
            self._reset()

    def _reset(self) -> None:
        """All controls that change a mesh go back to where the chosen shape is itself."""
        with self._together():
            lead = self.lead
            for sliders, known in ((self.spreads, len(lead.directions)), (self.beside, len(lead.slices))):
                for place, slider in enumerate(sliders):
                    slider.value, slider.disabled = 0.0, place >= known
            self.between.value = 0.0
            self.step.max = lead.steps
            self.step.value = lead.steps

    def _ask(self) -> None:
        """Wishes for what the controls say."""
        with self._lock:
            if self._quiet:
                return
            state, players = self.state(), self.players[self.category.value]
            second = [] if self.second.value == NOTHING else [players[self.second.value]]
            self.screens[1].box.layout.display = "" if second else "none"
            pictures = self.lead.pictures(state.shape)
            self.picture.value = _png(pictures.get(state.view, next(iter(pictures.values()))))
            self.legend.value = self._legend(state.paint)
            self.drawing.ask(Wish((self.lead, *second), state, self.grid.value))

    def _legend(self, paint: str) -> str:
        if paint == ERROR:
            return f"pale: on the true surface; dark: {100 * ERROR_LIMIT:g} % of the shape's diagonal away, or more"
        if paint != PART:
            return ""
        names = self.painter(self.lead).part_names
        marks = [
            f'<span style="color: rgb{tuple(map(int, color))}">&#9632;</span> {name}'
            for name, color in zip(names, PART_COLORS, strict=False)
        ]
        return " &nbsp; ".join(marks)


def _dropdown(name: str, options: Sequence[str] = ("",)) -> Any:  # the first of later options is chosen as well
    return ipywidgets.Dropdown(options=options, description=name)


def _slider(low: float, high: float, step: float, name: str) -> Any:
    return ipywidgets.FloatSlider(value=0.0, min=low, max=high, step=step, description=name)


def _png(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()
