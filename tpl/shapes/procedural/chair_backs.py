"""Backs of chairs with a frame. Each reaches into the seat, so that it unites with it."""

from collections.abc import Callable

import numpy as np
from manifold3d import Manifold

from tpl.shapes.procedural.chair_design import Design
from tpl.shapes.procedural.chair_plan import Plan, band, leg_rod, round_plan
from tpl.shapes.procedural.parts import rounded_path, sheet, tube
from tpl.shapes.procedural.upholstery import pair

HOOP = 0.7  # a bow is (cos, sin) to this power: fuller than an ellipse


def _posts(d: Design, plan: Plan, high: float) -> list[Manifold]:
    """Two posts, from within the seat to a height over it."""
    v = np.linspace(-plan.grip, high, 5)
    return [pair(leg_rod(d, plan.back_at(np.ones(5), v), d.member * np.linspace(1, 0.85, 5)))]


def _rail(d: Design, plan: Plan, height: float = 0.0) -> Manifold:
    """The rail on top."""
    height = height or 5.5 + 4 * d.rise
    return band(plan, d.back_height - height, d.back_height, d.plate, (-1.06, 1.06), d.crest)


def _panel_back(d: Design, plan: Plan) -> list[Manifold]:
    """A board or a padded panel, from the seat or on posts."""
    thick = d.plate * (1.2 + 0.5 * d.roundness)
    if d.second_form:
        gap = (0.16 + 0.2 * d.rise) * d.back_height
        return [*_posts(d, plan, d.back_height - 3), band(plan, gap, d.back_height, thick, crest=d.crest)]
    return [band(plan, -plan.grip, d.back_height, thick, crest=d.crest)]


def _ladder_back(d: Design, plan: Plan) -> list[Manifold]:
    """Rungs between posts."""
    pitch = (0.85 * d.back_height) / d.bars
    tall = max(0.5 * pitch, 3.5)
    rungs = [
        band(plan, d.back_height - i * pitch - tall, d.back_height - i * pitch, d.plate, crest=d.crest * 0.6)
        for i in range(d.bars)
    ]
    return [*_posts(d, plan, d.back_height + 1), *rungs]


def _slat_back(d: Design, plan: Plan) -> list[Manifold]:
    """Upright slats between two rails."""
    count = d.bars + 1
    wide = min(0.55, 1.1 / count)
    low, high = 0.12 * d.back_height, d.back_height - 3
    slats = [band(plan, low, high, 0.9 * d.plate, (c - wide / 2, c + wide / 2)) for c in _between(count)]
    lower = band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *slats]


def _spindle_back(d: Design, plan: Plan) -> list[Manifold]:
    """Upright rods under a rail."""
    count = d.bars + 2
    v = np.linspace(-plan.grip, d.back_height - 2, 5)
    spindles = [tube(plan.back_at(np.full(5, c), v), 0.85 * d.member, 6) for c in _between(count)]
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), *spindles]


def _hoop_back(d: Design, plan: Plan) -> list[Manifold]:
    """A bow with rods in it, as a Windsor chair has."""
    angle = np.linspace(0, np.pi, 17)
    u = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** HOOP
    v = d.back_height * np.sin(angle) ** HOOP
    v[[0, -1]] = -plan.grip
    solids = [tube(plan.back_at(u, v), d.member, 8)]
    for c in _between(d.bars + 2):
        high = d.back_height * (1 - abs(c) ** (2 / HOOP)) ** (HOOP / 2)
        v = np.linspace(-plan.grip, high, 5)
        solids.append(tube(plan.back_at(np.full(5, c), v), 0.85 * d.member, 6))
    return solids


def _splat_back(d: Design, plan: Plan) -> list[Manifold]:
    """One board in the middle, cut like a vase."""
    share = np.linspace(0, 1, 9)[:, None]
    half = np.interp(share, [0, 0.15, 0.4, 0.7, 0.9, 1], [0.3, 0.2, 0.38, 0.24, 0.42, 0.45]) * (0.8 + 0.4 * d.roundness)
    v = -plan.grip + share * (d.back_height - 1)
    splat = sheet(plan.back_at(half * np.array([-1, 0, 1]), v), 0.9 * d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), splat]


def _cross_back(d: Design, plan: Plan) -> list[Manifold]:
    """Two crossing rods between posts."""
    u, low = np.linspace(-1, 1, 7), 0.14 * d.back_height
    v = np.linspace(low, d.back_height - 4, 7)
    bars = [tube(plan.back_at(u * side, v), 0.85 * d.member, 6) for side in (-1, 1)]
    lower = band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *bars]


def _open_back(d: Design, plan: Plan) -> list[Manifold]:
    """A bent rod round an empty back, with one rail or a small panel."""
    corner = 0.12 + 0.25 * d.roundness
    low = -1.6 * plan.grip / d.back_height  # heights count 1.6 times the half width: about square
    loop = rounded_path(np.array([[-1, low, 0], [-1, 1.6, 0], [1, 1.6, 0], [1, low, 0]]), 1.6 * corner, 6)
    top = loop[len(loop) // 2 - 1 : len(loop) // 2 + 1]
    fill = np.linspace(top[0], top[1], 7)[1:-1]
    loop = np.concatenate([loop[: len(loop) // 2], fill, loop[len(loop) // 2 :]])
    solids = [tube(plan.back_at(loop[:, 0], loop[:, 1] / 1.6 * d.back_height), 1.05 * d.member, 8)]
    low = (0.33 + 0.22 * d.rise) * d.back_height
    tall = 0.15 * d.back_height + 2 if d.second_form else 0.35 * d.back_height
    solids.append(band(plan, low, low + tall, d.plate))
    return solids


def _wrapped_back(d: Design, plan: Plan) -> list[Manifold]:
    """A bent wall round the rear of the seat; it falls towards its ends."""
    thick = 1.15 * d.plate
    power, span = (2.2 if d.seat == "round" else 3.0), np.radians(65 + 45 * d.rise)
    angle = np.linspace(-span, span, 17)
    half_width, half_depth = d.width / 2 * (0.5 + 0.5 * d.rear) - 0.75 * thick, d.depth / 2 - 0.75 * thick
    x, z = round_plan(angle, half_width, half_depth, power)
    fall = 1 - 0.55 * np.clip(np.abs(angle) / span, 0, 1) ** 2.5
    low = -plan.grip
    v = low + np.linspace(0, 1, 5)[:, None] * (0.85 * d.back_height * fall - low)
    lean = 1 + np.maximum(v, 0) / d.back_height * (0.12 + np.tan(np.radians(d.lean)))
    return [sheet(np.stack([x * lean, d.height + v, z * lean], -1), thick)]


def _low_back(d: Design, plan: Plan) -> list[Manifold]:
    """A short back on posts, as a bar stool has."""
    high = 0.65 * d.back_height
    return [*_posts(d, plan, high - 1), band(plan, 0.45 * high, high, d.plate, (-1.06, 1.06), 0.5 * d.crest)]


def _pad_back(d: Design, plan: Plan) -> list[Manifold]:
    """A padded back on one stem that comes from under the seat."""
    gap = (0.12 + 0.2 * d.rise) * d.back_height
    pad = band(plan, gap, d.back_height, 1.6 * d.plate, (-0.95, 0.95), d.crest)
    behind = plan.rear_z(0.0) + 2.5
    y = d.height - 0.75 * d.slab
    meet = plan.back_at(np.array([0.0]), np.array([gap + 0.45 * (d.back_height - gap)]))[0]
    start = np.array([0, y, 0.2 * d.depth])
    path = np.array([start, [0, y, max(behind, meet[2] - 4) + 1.5], meet + [0, 0, 0.4]])
    return [pad, tube(rounded_path(path, 6, 5), 3.2, 8, 1.0)]


def _between(count: int) -> np.ndarray:
    """Evenly spaced places between the posts at -1 and 1."""
    return np.linspace(-1, 1, count + 2)[1:-1]


BACKS: dict[str, Callable[[Design, Plan], list[Manifold]]] = {
    "panel": _panel_back,
    "ladder": _ladder_back,
    "slat": _slat_back,
    "spindle": _spindle_back,
    "hoop": _hoop_back,
    "splat": _splat_back,
    "cross": _cross_back,
    "open": _open_back,
    "wrapped": _wrapped_back,
    "low": _low_back,
    "pad": _pad_back,
}
