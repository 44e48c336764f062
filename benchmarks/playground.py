"""What a position of a slider costs: the surface that is followed, and a frame of the desk."""

from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import seconds, table
from benchmarks.surfaces import learnt
from tpl.chapters.playground.painting import CLAY, ERROR, PART, PLACE, Painter
from tpl.chapters.playground.playing import Player, State, moved, open_players
from tpl.chapters.playground.screens import LIPSCHITZ, Artist, Screen, Wish
from tpl.geometry.following import FollowedSurface
from tpl.geometry.marching import extract_mesh
from tpl.geometry.primitives import SDF, box, torus, translated, union
from tpl.study import OUR_PHASE_1, PHASE_1, Bench

ROOT = Path(__file__).parent.parent
FRAMES = 20


def chair(height: float) -> SDF:
    """A function with the cost of the quick profile's decoder and the values of a chair whose back grows."""
    parts = [
        translated(box((0.8, 0.06, 0.8)), (0, 0, 0)),
        translated(box((0.8, height, 0.08)), (0, height / 2, 0.4)),
        translated(torus(0.3, 0.04), (0, -0.4, 0)),
    ]
    return learnt(union(*parts))


def playground() -> list[str]:
    """a position of a slider: the surface that is followed, and a frame of the desk."""
    return [*followed(), "", *desk()]


def followed() -> list[str]:
    """Extraction alone."""
    rows = []
    for grid in (32, 48, 64, 96):
        spent = {}
        for threads in (1, 2):
            torch.set_num_threads(threads)
            surface, sdfs = FollowedSurface(grid, lipschitz=LIPSCHITZ), [chair(0.7 + 0.01 * n) for n in range(FRAMES)]
            whole = [seconds(lambda sdf=sdf, grid=grid: extract_mesh(sdf, grid)) for sdf in sdfs[:5]]
            frames = [seconds(lambda sdf=sdf, surface=surface: surface.extract(sdf)) for sdf in sdfs]
            spent[threads] = median(whole), median(frames[1:])
        (plain, ours), (_, both) = spent[1], spent[2]
        cells = (f"{1000 * plain:.0f}", f"{1000 * ours:.0f}", f"{plain / ours:.1f}", f"{1000 * both:.0f}")
        rows.append((f"{grid}^3", *cells, f"{1 / both:.0f}"))
    torch.set_num_threads(1)
    return table("grid | whole volume, ms | followed, ms | ratio | two threads, ms | frames a second", rows)


def desk(run: str = "quick") -> list[str]:
    """Frames of the desk with the chairs of a run, if there is one."""
    data, runs = ROOT / "data" / run, ROOT / "runs" / run
    if not (runs / "chairs" / OUR_PHASE_1 / "run.json").exists():
        return [f"No frames of the desk: run {run} is not here."]
    players = list(open_players(Bench.open(data, runs, "chairs", prepared=False), OUR_PHASE_1, PHASE_1).values())
    painters = {id(player): Painter(player) for player in players}
    rows = []
    for grid in (32, 48):
        for name, of, paint in [
            *((f"one decoder, {paint}", players[:1], paint) for paint in (CLAY, PLACE, PART, ERROR)),
            ("two decoders, clay", players, CLAY),
        ]:
            spent = {}
            for threads in (1, 2):
                torch.set_num_threads(threads)
                spent[threads] = frame(tuple(of), painters, paint, grid)
            one, two = spent[1], spent[2]
            rows.append((f"{grid}^3, {name}", f"{1000 * one:.0f}", f"{1000 * two:.0f}", f"{1 / two:.0f}"))
    torch.set_num_threads(1)
    return [
        *table("a frame of the desk, chairs of run quick | one thread, ms | two threads, ms | frames a second", rows),
        "",
        "From the sliders' values to the message with vertices, faces and colours; what the browser does is not in it. "
        "The first direction walks by a twentieth of a standard deviation a frame.",
    ]


def frame(players: tuple[Player, ...], painters: dict[int, Painter], paint: str, grid: int) -> float:
    """Median seconds of a frame while the first direction moves."""
    artist = Artist(lambda player: painters[id(player)], [Screen() for _ in players])
    artist.pace.grids = (grid,)
    turn: Any = SimpleNamespace(overtaken=False, settles=lambda _: False)
    start = replace(State(next(iter(players[0].coded))), paint=paint)
    wishes = [Wish(players, moved(start, 0, float(spread)), grid) for spread in np.arange(FRAMES) * 0.05]
    return median([seconds(lambda wish=wish: artist.draw(wish, turn)) for wish in wishes][2:])


PARTS = {"playground": playground}
