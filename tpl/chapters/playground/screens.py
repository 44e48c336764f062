"""Meshes in JupyterLab that follow the controls: quickly while these move, finely at rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import ipywidgets
import numpy as np
import trimesh
from jaxtyping import Float, UInt8

from tpl.chapters.playground.latest import Pace, Turn
from tpl.chapters.playground.painting import Painter
from tpl.chapters.playground.playing import Player, State
from tpl.geometry.following import FollowedSurface
from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import SDF
from tpl.inference import to_raw
from tpl.look.live import LiveMesh

DRAGGED = (48, 32, 24)
"""Grid cells along each side of a mesh while a control moves: the finest of them that keeps the rate is taken."""

FRAME = 0.1  # seconds that a frame may take
SETTLED = 0.25  # seconds without a move after which a mesh is drawn on the grid that was chosen
LIPSCHITZ = 1.25  # what a first frame takes for the steepest slope; a mesh at rest is looked for with more care


class Overtaken(Exception):
    """A mesh is no longer wanted."""


@dataclass(frozen=True)
class Wish:
    """What is to be drawn."""

    players: tuple[Player, ...]
    state: State
    grid: int  # cells along each side, at rest


class Screen:
    """A place where a mesh is shown: a plot, and a line below it.

    Args:
        height: In pixels.
    """

    def __init__(self, height: int = 340):
        self.live, self.line = LiveMesh(height), ipywidgets.Label()
        self.box = ipywidgets.VBox([self.live.plot, self.line], layout={"flex": "1 1 0", "min_width": "0"})

    def show(self, mesh: trimesh.Trimesh, colors: UInt8[np.ndarray, "n 3"], line: str) -> None:
        """Shows a mesh (raw frame) in a colour a vertex."""
        self.live.show(mesh, colors)
        self.line.value = line

    def blank(self, line: str) -> None:
        """Shows no mesh, and says why."""
        self.live.show(None)
        self.line.value = line


class Followed(NamedTuple):
    """What a screen shows while controls move."""

    player: Player
    state: State
    surface: FollowedSurface


class Artist:
    """Draws wishes on screens, one a player.

    Args:
        painter: Of each player.
        screens: As many as players at most.
    """

    def __init__(self, painter: Callable[[Player], Painter], screens: list[Screen]):
        self.painter, self.screens = painter, screens
        self.followed: list[Followed | None] = [None] * len(screens)
        self.pace = Pace(DRAGGED, FRAME)

    def draw(self, wish: Wish, turn: Turn) -> None:
        """Shows a wish's meshes on a grid that is quick, then, if no newer wish comes, on its own."""
        start, quick, places = time.perf_counter(), min(self.pace.grid, wish.grid), range(len(wish.players))
        for place in places:
            self._show(place, wish, lambda sdf, place=place: self._follow(place, wish, quick, sdf))
        if all(followed.surface.frame > 1 for followed in self.followed[: len(places)] if followed):
            self.pace.told(time.perf_counter() - start)
        if turn.settles(SETTLED):
            try:
                for place in places:
                    self._show(place, wish, lambda sdf: extract_mesh(_until(turn, sdf), wish.grid))
            except Overtaken:
                pass

    def _follow(self, place: int, wish: Wish, grid: int, sdf: SDF) -> trimesh.Trimesh:
        player, last = wish.players[place], self.followed[place]
        if (
            last is None
            or last.player is not player
            or last.surface.resolution != grid
            or not continues(last.state, wish.state)
        ):
            last = Followed(player, wish.state, FollowedSurface(grid, lipschitz=LIPSCHITZ))
        self.followed[place] = last._replace(state=wish.state)
        return last.surface.extract(sdf)

    def _show(self, place: int, wish: Wish, extract: Callable[[SDF], trimesh.Trimesh]) -> None:
        player, state, start = wish.players[place], wish.state, time.perf_counter()
        try:
            mesh = to_raw(extract(player.sdf(state)), player.frame(state))
            colors = self.painter(player).colors(mesh, state)
        except ValueError as error:  # no surface, no such view, a training that diverged
            self.screens[place].blank(str(error))
            return
        spent, length = 1000 * (time.perf_counter() - start), float(player.code(state).norm())
        line = f"{len(mesh.faces):,} faces in {spent:.0f} ms; a code of length {length:.2f}"
        self.screens[place].show(mesh, colors, line)


def continues(before: State, now: State) -> bool:
    """Whether a surface goes over into the next one little by little, as it does along the sliders of the codes."""
    moving = dict(spread=now.spread, between=now.between, beside=now.beside, paint=now.paint)
    return replace(before, **moving) == now


def _until(turn: Turn, sdf: SDF) -> SDF:
    """The same function, which gives up where its turn is overtaken."""

    def asked(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        if turn.overtaken:
            raise Overtaken
        return sdf(points)

    return asked
