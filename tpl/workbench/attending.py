"""Trainings that a notebook starts, watched while they go on: a figure that moves, a mesh, a button that stops them."""

import atexit
import html
import io
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd
import torch
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from tpl.book.book import at_root
from tpl.dataset.collection import is_collection, open_collection
from tpl.errors import PlainError
from tpl.files import beside
from tpl.inference import to_raw
from tpl.look import CLAY, plot_history
from tpl.look.live import LiveMesh
from tpl.reporting import duration
from tpl.shapes.shape import CATEGORIES
from tpl.study.trained import NO_SHAPE
from tpl.training.side_by_side import attendants
from tpl.watching import Stopped, Told, Watcher, watched
from tpl.workbench.choices import Choices
from tpl.workbench.learning import Learning

BUDGET = 0.04
"""The most of a core's time that drawing may take, so that it holds no training up: what is dear is done less often."""

PANEL = 310
"""Pixels of a curve's panel from side to side."""

RESOLUTION = 32
"""Grid cells along each side of the mesh that is redrawn."""

_watching = ExitStack()
_watchers: list[Watcher] = []


def attend_to_trainings(choices: Choices) -> None:
    """From now on the trainings that this kernel starts are shown, and can be stopped and gone on with.

    Args:
        choices: They say where the shapes lie whose meshes are shown.
    """
    if not _watchers:
        _watchers.append(_watching.enter_context(watched()))
        atexit.register(_watching.close)
    attendants[:] = [Attendant(_watchers[0], choices)]


class Attendant:
    """Attends to the trainings of a cell."""

    def __init__(self, watcher: Watcher, choices: Choices):
        self.watcher, self.choices = watcher, choices

    def __call__(self, work: Callable[[], Any]) -> Any:
        """Does the work, and shows how it goes; when it was stopped it waits, and goes on if it shall.

        Raises:
            Stopped: It was stopped and left so.
        """
        panel = Panel(self.watcher, self._data())
        display(panel.widget)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the mesh is drawn beside trainings that take all cores
        try:
            while True:
                self.watcher.forget()
                try:
                    with panel.drawing():
                        return work()
                except Stopped as stopped:
                    if not panel.shall_go_on(stopped):
                        raise
        finally:
            torch.set_num_threads(threads)
            panel.close()

    def _data(self) -> Path:
        at_root()
        now = self.choices.now
        return Path(beside(str(now.get("data", "")), str(now.get("source", "")))).resolve()


class Panel:
    """What is seen of trainings: a line each, their curves, a mesh of one of them, and buttons.

    Args:
        watcher: Of the trainings.
        data: Folder of the shapes.
    """

    def __init__(self, watcher: Watcher, data: Path):
        self.watcher, self.data = watcher, data
        self.lines, self.told = widgets.HTML(), widgets.HTML()
        self.curves = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", object_fit="contain"))
        self.stop = widgets.Button(description="Stop", tooltip="Saves the state; it can be gone on from", icon="stop")
        self.go_on = widgets.Button(description="Go on", button_style="success", icon="play")
        self.leave = widgets.Button(description="Leave it", tooltip="Ends the cell; it goes on when it is run again")
        self.stop.on_click(lambda _: self._ask_to_stop())
        self.go_on.on_click(lambda _: self._answer(True))
        self.leave.on_click(lambda _: self._answer(False))
        self.learnt = LearntMesh(data)
        self.widget = widgets.VBox()
        heard_while_busy(self.stop, self.go_on, self.leave, self.learnt.widget)
        self._answered, self._wanted = threading.Event(), False
        self._spent = 0.0

    def drawing(self) -> "Drawing":
        """Draws again and again as long as the block runs."""
        return Drawing(self)

    def shall_go_on(self, stopped: Stopped) -> bool:
        """Says that the work was stopped, and waits for one of two buttons."""
        self._answered.clear()
        done = [
            f"{told.label} at {told.done:,} of {told.total:,}" for told in self.watcher.stages() if told.unit == "steps"
        ]
        self.told.value = f"<p><strong>Stopped</strong>, and saved: {html.escape(', '.join(done) or str(stopped))}.</p>"
        self._show([self.go_on, self.leave])
        self._answered.wait()
        self.watcher.let_go_on()
        self.told.value = ""
        return self._wanted

    def draw(self, whole: bool = False) -> float:
        """Shows the newest state, the dear parts where there is time for them; returns the seconds it took."""
        began = time.thread_time()
        stages = self.watcher.stages()
        if stages and not self.widget.children:
            self._show([self.stop])
        self.lines.value = _table(stages)
        trainings = [told for told in stages if told.unit == "steps" and told.rows]
        if trainings and (whole or self._affordable()):
            dear = time.thread_time()
            self.curves.layout.width = f"{PANEL * min(3, len(trainings))}px"
            self.curves.value = curves(trainings)
            self.learnt.draw(trainings)
            self._spent += time.thread_time() - dear
        return time.thread_time() - began

    def close(self) -> None:
        """Leaves the last picture without buttons, and nothing where nothing was trained."""
        self.watcher.ask_for_networks(False)
        if self.widget.children:
            self._show([])

    def began(self) -> None:
        """Starts the clock that the drawing is measured by."""
        self._clock, self._spent = time.perf_counter(), 0.0
        self.watcher.ask_for_networks()
        self.stop.disabled = False
        if self.widget.children:
            self._show([self.stop])

    def _affordable(self) -> bool:
        return self._spent <= BUDGET * (time.perf_counter() - self._clock)

    def _show(self, buttons: Sequence[widgets.Button]) -> None:
        self.widget.children = [self.lines, self.curves, self.learnt.widget, self.told, widgets.HBox(buttons)]

    def _ask_to_stop(self) -> None:
        self.stop.disabled = True
        self.told.value = "<p>Saving ...</p>"
        self.watcher.ask_to_stop()

    def _answer(self, wanted: bool) -> None:
        self._wanted = wanted
        self._answered.set()


class Drawing:
    """Draws a panel in a thread of its own while a block runs, and once more at its end."""

    def __init__(self, panel: Panel):
        self.panel, self.ended = panel, threading.Event()
        self.thread = threading.Thread(target=self._draw, daemon=True)

    def __enter__(self) -> None:
        self.panel.began()
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        if self.panel.widget.children:
            self.panel.draw(whole=True)

    def _draw(self) -> None:
        while not self.ended.wait(1.0):
            self.panel.draw()


class LearntMesh:
    """The mesh of a shape as one of the trainings has it now, and the view that it comes from.

    Args:
        data: Folder of the shapes.
    """

    def __init__(self, data: Path):
        self.data = data
        self.which = widgets.Dropdown(options=[], description="training")
        self.shape = widgets.IntSlider(value=0, min=0, max=0, description="shape", continuous_update=False)
        self.name, self.image = widgets.HTML(), widgets.Image(format="png", width=128, height=128)
        self.live = LiveMesh(height=300)
        self.live.plot.layout = widgets.Layout(width="420px")
        side = widgets.VBox([self.which, self.shape, self.name, self.image])
        self.widget = widgets.HBox([self.live.plot, side], layout=widgets.Layout(flex_flow="row wrap", display="none"))
        self._known: dict[str, Learning | None] = {}
        self._shown: tuple[str, int] | None = None

    def draw(self, trainings: Sequence[Told]) -> None:
        """Shows the newest mesh of the training that is chosen; nothing where none learns shapes."""
        learning = {told.label: self._learning(told) for told in trainings}
        labels = [label for label, found in learning.items() if found is not None]
        if list(self.which.options) != labels:
            chosen = self.which.value if self.which.value in labels else None
            self.which.options = labels
            self.which.value = chosen or (labels[0] if labels else None)
        found = learning.get(self.which.value or "")
        self.widget.layout.display = "none" if found is None else "flex"
        if found is None:
            return
        told = next(told for told in trainings if told.label == self.which.value)
        self.shape.max = len(found.shapes) - 1
        asked = (told.label, self.shape.value)
        if not found.refresh(told.networks) and asked == self._shown:
            return
        self._shown = asked
        number = min(self.shape.value, self.shape.max)
        shape, image = found.shapes[number], found.image(number)
        self.name.value = f"{html.escape(shape.family)}, at step {told.done:,}"
        self.image.layout.display = "none" if image is None else "block"
        if image is not None:
            self.image.value = _png(Image.fromarray(image))
        mesh = found.mesh(number, RESOLUTION)
        self.live.show(None if mesh is None else to_raw(mesh, NO_SHAPE), CLAY[found.category])

    def _learning(self, told: Told) -> Learning | None:
        """What a training learns, if there is something to see, once it has written something down."""
        if told.label not in self._known:
            category = told.label.partition(",")[0]
            if not told.networks.exists():
                return None
            try:
                known = category in CATEGORIES and "folder" in told.about and is_collection(self.data)
                collection = open_collection(self.data) if known else None
                folder, objective = Path(told.about.get("folder", "")), told.about.get("objective", "")
                found = Learning(folder, objective, collection, category) if collection is not None else None
            except PlainError:
                found = None
            self._known[told.label] = found
        return self._known[told.label]


def heard_while_busy(*shown: widgets.DOMWidget) -> None:
    """Lets what is done to widgets, and to those in them, reach the kernel while it executes a cell.

    JupyterLab sends it to a thread of its own, a subshell. ipykernel from 7.4 on hands it to the thread that last spoke
    to the widget instead: the one that executes the cell, where it would wait until the cell has ended.
    """
    for widget in shown:
        channel: Any = widget.comm
        if channel is not None:
            channel._reply_subshell_for = lambda data, default: default
        heard_while_busy(*getattr(widget, "children", ()))


def curves(trainings: Sequence[Told]) -> bytes:
    """The learning curves so far, a training a panel, as PNG."""
    columns = min(3, len(trainings))
    rows = -(-len(trainings) // columns)
    figure = Figure(figsize=(PANEL / 100 * columns, 2.4 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, told in zip(axes, trainings, strict=False):
        plot_history(ax, pd.DataFrame(told.rows))
        ax.set(title=told.label, xlim=(0, told.total))
    for ax in axes[len(trainings) :]:
        ax.set_axis_off()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi)  # not the book's style, which is for print
    return stream.getvalue()


def _table(stages: Sequence[Told]) -> str:
    """A line a stage: how far, how fast, how long still."""
    rows = []
    for told in stages:
        left = "" if told.seconds_left is None else duration(told.seconds_left)
        seen = {told.unit: 1} | told.about.get("seen", {})
        speed = [f"{told.rate * count:,.4g} {what}/s" for what, count in seen.items()]
        loss = f"{told.rows[-1]['loss']:.4g}" if told.rows else ""
        bar = f'<progress max="1" value="{told.share:.3f}"></progress>'
        cells = [html.escape(told.label), bar, f"{told.done:,} of {told.total:,}", ", ".join(speed), left, loss]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("", "", "", "rate", "left", "loss"))
    return f'<table class="tpl-watched"><tr>{head}</tr>{"".join(rows)}</table>' if rows else ""


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()
