"""Chairs that are a seat on a base with a back and arms: the parts they are combined from."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.chair_design import LEGS, Design
from tpl.shapes.procedural.parts import (
    Part,
    box,
    curve,
    cushion,
    revolve,
    rod,
    rounded_path,
    sheet,
    superellipse,
    tube,
)
from tpl.shapes.procedural.upholstery import pair


class Plan:
    """Where things are on a chair: the seat's outline from above and the surface of the back."""

    def __init__(self, d: Design):
        self.d = d
        self.outline = _round_outline(d) if d.seat == "round" else _square_outline(d)
        inset = d.member * 1.15 + 0.3
        if d.seat == "round":
            self.half_back = 0.36 * d.width
            self.post_z = self.rear_z(self.half_back) - inset
        else:
            self.post_z = d.depth / 2 - inset - 0.6
            self.half_back = self.half_width(self.post_z) - inset
        self.rim = max(0.0, self.rear_z(0.0) - inset - self.post_z)  # how far the seat reaches behind its posts

    def half_width(self, z: float) -> float:
        """Half of the seat's width at depth z."""
        right = self.outline[self.outline[:, 0] > 0]
        right = right[np.argsort(right[:, 1])]
        return float(np.interp(z, right[:, 1], right[:, 0]))

    def rear_z(self, x: float) -> float:
        """How far back the seat reaches at x."""
        rear = self.outline[self.outline[:, 1] > 0]
        rear = rear[np.argsort(rear[:, 0])]
        return float(np.interp(x, rear[:, 0], rear[:, 1]))

    def back_at(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Points of the back: u from -1 (left post) to 1 (right post), v centimetres over the seat."""
        d = self.d
        u, v = np.broadcast_arrays(np.asarray(u, dtype=float), np.asarray(v, dtype=float))
        share = v / d.back_height
        lean = np.tan(np.radians(d.lean)) * v * (0.7 + 0.3 * share)
        bend = self.rim + d.bend * np.clip(share, 0, 1)
        return np.stack(
            [
                u * self.half_back * (1 + d.flare * np.maximum(share, 0)),
                d.height + v,
                self.post_z + lean + bend * (1 - u**2),
            ],
            axis=-1,
        )


def _square_outline(d: Design) -> Float[np.ndarray, "corners 2"]:
    front, rear, depth = d.width / 2, d.width / 2 * d.rear, d.depth / 2
    corners = np.array([(-front, -depth), (front, -depth), (rear, depth), (-rear, depth)])
    radius = 1.5 + 7 * d.roundness
    rounded = []
    for before, corner, after in zip(np.roll(corners, 1, 0), corners, np.roll(corners, -1, 0), strict=True):
        a, b = (corner + radius * (end - corner) / np.linalg.norm(end - corner) for end in (before, after))
        rounded.append(curve(np.array([a, corner, b]), 5))
    return np.concatenate(rounded)


def _round_outline(d: Design) -> Float[np.ndarray, "corners 2"]:
    return superellipse(d.width, d.depth, 2 + 0.6 * d.roundness, 32)


def leg_rod(d: Design, path: np.ndarray, radius: float | np.ndarray) -> Manifold:
    """A leg or post, round or square as the design says."""
    return tube(path, np.asarray(radius) * 1.2, 4) if d.square_section else tube(path, radius, 8)


def _band(
    plan: Plan,
    low: float,
    high: float,
    thickness: float,
    u: tuple[float, float] = (-1.0, 1.0),
    crest: float = 0.0,
) -> Manifold:
    """A piece of the back between two heights over the seat, its upper edge raised by `crest` in the middle."""
    us = np.linspace(u[0], u[1], 9 if abs(u[1] - u[0]) > 0.7 else 3)
    rows = max(2, min(7, round((high - low) / 8)))
    v = low + np.linspace(0, 1, rows)[:, None] * (high - low + crest * (1 - us**2))
    return sheet(plan.back_at(us, v), thickness)


# ---------------------------------------------------------------- chairs with a frame


def frame_chair(d: Design) -> list[Part]:
    plan = Plan(d)
    top, bottom = d.height, d.height - d.slab
    edge = (0.3 + 0.25 * d.roundness) * d.slab
    parts = []
    if d.seat == "cushion":
        pad = 3 + 3 * d.roundness
        parts += [
            Part("seat", cushion(plan.outline, bottom - 0.5 * pad, top - 0.5 * pad, 0.8)),
            Part("seat", cushion(plan.outline * 0.95, top - 0.55 * pad, top + 0.7 * pad, pad * 0.5, 0.8)),
        ]
        bottom -= 0.5 * pad
    else:
        parts.append(Part("seat", cushion(plan.outline, bottom, top, edge, 1.2 * d.roundness)))
    parts += [Part("base", solid) for solid in BASES[d.base](d, plan, bottom)]
    if d.back != "no_back":
        parts += [Part("back", solid) for solid in BACKS[d.back](d, plan)]
    if d.arms != "no_arms":
        parts += [Part("arm", solid) for solid in ARMS[d.arms](d, plan)]
    return parts


def _leg_tops(d: Design, plan: Plan) -> tuple[float, float, float, float]:
    """x and z of the front and rear legs under the seat."""
    inset = d.member * 1.15 + 0.3
    if d.seat == "round":
        z = 0.5 * d.depth * np.sqrt(0.5) - 0.6 * inset
        x = plan.half_width(z) - 1.1 * inset
        return x, -z, x, z
    front = -d.depth / 2 + inset + 0.8
    inwards = 0.12 * d.width if d.base == "splayed_legs" else 0.0
    return plan.half_width(front) - inset - inwards, front + inwards, plan.half_back - inwards, plan.post_z - inwards


def _legs(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """Four legs, straight, tapered, splayed or curved; stretchers; an apron under the seat."""
    front_x, front_z, rear_x, rear_z = _leg_tops(d, plan)
    head = bottom + 0.6 * min(d.slab, 4)
    out = np.tan(np.radians(d.splay))
    solids, feet = [], {}
    for name, x, z, outwards in (("front", front_x, front_z, -1), ("rear", rear_x, rear_z, 1)):
        foot = np.array([x + out * head, 0, z + outwards * out * head])
        hip = np.array([x, head, z])
        feet[name] = (hip, foot)
        if d.base == "cabriole_legs" and name == "front":
            corner = np.array([1, 0, outwards]) / np.sqrt(2)
            share = np.linspace(0, 1, 9)
            swing = 2.6 * np.sin(share * 2 * np.pi) * (1 - 0.3 * share) + 1.6 * np.maximum(share - 0.8, 0) * 5
            path = hip + (foot - hip) * share[:, None] + swing[:, None] * corner
            radius = d.member * np.interp(share, [0, 0.2, 0.8, 0.93, 1], [1.25, 1.5, 0.85, 1.0, 1.3])
            leg = tube(path, radius, 8)
        elif d.base == "cabriole_legs":
            path = curve(np.array([hip, hip * [1, 0.5, 1], foot + [0, 0, 4]]), 6)
            leg = tube(path, d.member * np.linspace(1.1, 0.9, 6), 8)
        else:
            leg = leg_rod(d, np.array([hip, foot]), d.member * np.array([1, d.taper]))
        solids.append(pair(leg))
    on = {name: lambda y, hip=hip, foot=foot: foot + (hip - foot) * (y / hip[1]) for name, (hip, foot) in feet.items()}
    if (d.second_form or d.body == "stool") and d.base != "cabriole_legs":
        side, across = (0.25 + 0.2 * d.rise) * bottom, (0.33 + 0.25 * d.rise) * bottom
        radius = 0.85 * d.member
        solids.append(pair(leg_rod(d, np.array([on["front"](side), on["rear"](side)]), radius)))
        for name in ("front", "rear") if d.bars % 2 else ("rear",):
            at = on[name](across)
            solids.append(leg_rod(d, np.array([at, at * [-1, 1, 1]]), radius))
        if not d.bars % 2:  # an H
            at = 0.5 * (on["front"](side) + on["rear"](side))
            solids.append(leg_rod(d, np.array([at, at * [-1, 1, 1]]), radius))
    if d.apron and d.seat != "round" and d.base != "splayed_legs":
        low = bottom - 4 - 4 * d.rise
        hull = np.array([(-front_x, front_z), (front_x, front_z), (rear_x, rear_z), (-rear_x, rear_z)])
        solids.append(cushion(hull * 1.01, low, bottom + 0.5, 0.2))
    return solids


def _crossed_legs(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """An X at each side and a rail through both crossings."""
    x = min(plan.half_width(-0.4 * d.depth), plan.half_width(0.3 * d.depth)) - 1.3 * d.member
    reach, head = 0.46 * d.depth, bottom + 0.5 * min(d.slab, 4)
    high = 0.4 * d.depth
    crossing = np.array([x, head * reach / (reach + high), 0])
    return [
        pair(leg_rod(d, np.array([[x, 0, -reach], [x, head, high]]), d.member)),
        pair(leg_rod(d, np.array([[x, 0, reach], [x, head, -high]]), d.member)),
        leg_rod(d, np.array([crossing, crossing * [-1, 1, 1]]), 0.9 * d.member),
    ]


def _slab_legs(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """Two side walls and a rail between them."""
    x = min(plan.half_width(-0.35 * d.depth), plan.half_width(0.35 * d.depth)) - d.plate / 2 - 0.2
    wall = box((d.plate, bottom + 1.5, 0.86 * d.depth), (x, (bottom + 1.5) / 2, 0))
    rail = box((2 * x, 7 + 5 * d.rise, d.plate), (0, 0.72 * bottom, 0.2 * d.depth))
    return [pair(wall), rail]


def _rockers(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """Legs on two curved runners."""
    z = np.linspace(-0.75 * d.depth, 0.95 * d.depth, 10)
    _, front_z, rear_x, rear_z = _leg_tops(d, plan)
    runner = np.column_stack([np.full(10, rear_x), d.member + (z - 0.05 * d.depth) ** 2 / (2.6 * d.depth), z])
    x = rear_x
    head = bottom + 0.6 * min(d.slab, 4)
    solids = [pair(leg_rod(d, runner, d.member))]
    for at in (front_z, rear_z):
        y = float(np.interp(at, z, runner[:, 1]))
        solids.append(pair(leg_rod(d, np.array([[x, y, at], [x, head, at]]), d.member)))
    y = 0.45 * bottom
    solids.append(leg_rod(d, np.array([[-x, y, rear_z], [x, y, rear_z]]), 0.85 * d.member))
    solids.append(leg_rod(d, np.array([[-x, y, front_z], [x, y, front_z]]), 0.85 * d.member))
    return solids


def _sled(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """Two bent rods that stand on runners."""
    x = plan.half_back if d.seat == "round" else min(plan.half_width(-0.4 * d.depth), plan.half_back + 1)
    reach = 0.34 * d.depth if d.seat == "round" else 0.42 * d.depth
    x = min(x, plan.half_width(reach) - 1.3 * d.member, plan.half_width(-reach) - 1.3 * d.member)
    head, foot, out = bottom + 0.5 * min(d.slab, 4), d.member, 0.05 * bottom
    wide = x + (0.06 * bottom if d.body == "stool" else 0.02 * bottom)
    corners = np.array([[x, head, -reach], [wide, foot, -reach - out], [wide, foot, reach + out], [x, head, reach]])
    solids = [pair(leg_rod(d, rounded_path(corners, 3 + 5 * d.roundness, 4), d.member))]
    share = 0.3 + 0.15 * d.rise if d.body == "stool" else 0.0
    for front, rear in ((corners[1], corners[0]),) if share else ((corners[2], corners[3]),):
        at = front + share * (rear - front)
        if not share:
            at = at - [0, 0, 8]
        solids.append(leg_rod(d, np.array([at, at * [-1, 1, 1]]), 0.9 * d.member))
    return solids


def _cantilever(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """One bent rod: along the seat, down in front, back along the floor, and across."""
    x = plan.half_back if d.seat == "round" else plan.half_back + 0.3
    reach = 0.3 * d.depth if d.seat == "round" else 0.43 * d.depth
    high, low, radius = bottom - 0.3 * d.member, d.member, 1.1 * d.member
    side = np.array(
        [[x, high, 0.8 * reach], [x, high, -reach - 2], [x, low, -reach + 1], [x, low, reach + 3], [0, low, reach + 3]]
    )
    side[1:4, 0] = max(x, 0.4 * d.width)
    half = rounded_path(side, 5 + 4 * d.roundness, 5)
    path = np.concatenate([half, half[-2::-1] * [-1, 1, 1]])
    return [tube(path, radius, 8)]


def _pedestal(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """A turned foot: a disc or a trumpet with a column."""
    disc, column, head = 0.46 * d.width + 2, 1.2 * d.member + 0.6, bottom + 0.5 * min(d.slab, 4)
    if d.body == "stool":
        disc = min(disc, 21)
    if d.second_form:  # a trumpet
        y = np.linspace(0, 1, 7)
        profile = [(0, 0), *((column + (disc - column) * (1 - t) ** 4, 1.6 + 0.7 * bottom * t) for t in y)]
        profile[1:1] = [(disc, 0)]
    else:
        profile = [(0, 0), (disc, 0), (disc, 1.8), (0.55 * disc, 3.4), (column * 1.4, 4.6), (column, 7)]
    spread = min(0.32 * d.width, column + 9)
    profile += [(column, bottom - 4), (spread, bottom - 0.8), (spread, head), (0, head)]
    solids = [revolve(np.array(profile, dtype=float), 20)]
    if d.body == "stool":
        solids += _foot_ring(d, 0.36 * bottom, 0.32 * d.width + 3)
    return solids


def _foot_ring(d: Design, y: float, radius: float) -> list[Manifold]:
    """A ring to rest the feet on, held by three rods from the column."""
    angle = np.linspace(0, 2 * np.pi, 9)[:-1]
    section = np.column_stack([radius + d.member * np.cos(angle), y + d.member * np.sin(angle)])
    spokes = [
        rod((0, y, 0), (radius * np.cos(a), y, radius * np.sin(a)), 0.85 * d.member, segments=6)
        for a in np.pi / 2 + np.arange(3) * 2 * np.pi / 3
    ]
    return [revolve(section, 20), *spokes]


def _star(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """A column on five spokes with castors or glides."""
    reach, hub, head = min(0.58 * d.width + 3, 32), 10 + 3 * d.rise, bottom + 0.5 * min(d.slab, 4)
    castor = 2.6 if d.second_form else 1.6
    spread = min(0.3 * d.width, 11)
    profile = [(0, hub - 3), (3.6, hub - 3), (3.6, hub + 4), (2.6, hub + 5), (2.6, bottom - 6)]
    profile += [(spread, bottom - 2), (spread, head), (0, head)]
    solids = [revolve(np.array(profile, dtype=float), 14)]
    for angle in np.pi / 2 + np.arange(5) * 2 * np.pi / 5:
        end = np.array([reach * np.cos(angle), 2 * castor + 0.6, reach * np.sin(angle)])
        solids.append(rod((0, hub, 0), end, 2.6, 1.7, segments=6))
        foot = (
            Manifold.sphere(castor, 8)
            if d.second_form
            else revolve(np.array([(0, -1.6), (2.2, -1.6), (1.4, 2.2), (0, 2.2)]), 8)
        )
        solids.append(foot.translate((end[0], castor, end[2])))
        solids.append(rod(end * [1, 0, 1] + [0, castor, 0], end, 1.5, segments=6))
    if d.body == "stool":
        solids += _foot_ring(d, 0.42 * bottom, 0.3 * d.width + 4)
    return solids


# Backs of frames. Each reaches below the seat's top, so that it unites with it.


def _posts(d: Design, plan: Plan, high: float) -> list[Manifold]:
    v = np.linspace(-0.6 * min(d.slab, 4), high, 5)
    return [pair(leg_rod(d, plan.back_at(np.ones(5), v), d.member * np.linspace(1, 0.85, 5)))]


def _rail(d: Design, plan: Plan, height: float = 0) -> Manifold:
    height = height or 5.5 + 4 * d.rise
    return _band(plan, d.back_height - height, d.back_height, d.plate, (-1.06, 1.06), d.crest)


def _panel_back(d: Design, plan: Plan) -> list[Manifold]:
    thick = d.plate * (1.2 + 0.5 * d.roundness)
    if d.second_form:
        gap = (0.16 + 0.2 * d.rise) * d.back_height
        return [*_posts(d, plan, d.back_height - 3), _band(plan, gap, d.back_height, thick, crest=d.crest)]
    return [_band(plan, -0.5 * min(d.slab, 4), d.back_height, thick, crest=d.crest)]


def _ladder_back(d: Design, plan: Plan) -> list[Manifold]:
    pitch = (0.85 * d.back_height) / d.bars
    tall = max(0.5 * pitch, 3.5)
    rungs = [
        _band(plan, d.back_height - i * pitch - tall, d.back_height - i * pitch, d.plate, crest=d.crest * 0.6)
        for i in range(d.bars)
    ]
    return [*_posts(d, plan, d.back_height + 1), *rungs]


def _slat_back(d: Design, plan: Plan) -> list[Manifold]:
    count = d.bars + 1
    wide = min(0.55, 1.1 / count)
    low, high = 0.12 * d.back_height, d.back_height - 3
    slats = [_band(plan, low, high, 0.9 * d.plate, (c - wide / 2, c + wide / 2)) for c in _between(count)]
    lower = _band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *slats]


def _spindle_back(d: Design, plan: Plan) -> list[Manifold]:
    count = d.bars + 2
    v = np.linspace(-0.5 * min(d.slab, 4), d.back_height - 2, 5)
    spindles = [tube(plan.back_at(np.full(5, c), v), 0.85 * d.member, 6) for c in _between(count)]
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), *spindles]


def _hoop_back(d: Design, plan: Plan) -> list[Manifold]:
    angle = np.linspace(0, np.pi, 17)
    u = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.7
    v = d.back_height * np.sin(angle) ** 0.7
    v[[0, -1]] = -0.5 * min(d.slab, 4)
    solids = [tube(plan.back_at(u, v), d.member, 8)]
    for c in _between(d.bars + 2):
        high = d.back_height * (1 - abs(c) ** (2 / 0.7)) ** (0.7 / 2)
        v = np.linspace(-0.5 * min(d.slab, 4), high, 5)
        solids.append(tube(plan.back_at(np.full(5, c), v), 0.85 * d.member, 6))
    return solids


def _splat_back(d: Design, plan: Plan) -> list[Manifold]:
    share = np.linspace(0, 1, 9)[:, None]
    half = np.interp(share, [0, 0.15, 0.4, 0.7, 0.9, 1], [0.3, 0.2, 0.38, 0.24, 0.42, 0.45]) * (0.8 + 0.4 * d.roundness)
    v = -0.5 * min(d.slab, 4) + share * (d.back_height - 1)
    splat = sheet(plan.back_at(half * np.array([-1, 0, 1]), v), 0.9 * d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), splat]


def _cross_back(d: Design, plan: Plan) -> list[Manifold]:
    u, low = np.linspace(-1, 1, 7), 0.14 * d.back_height
    v = np.linspace(low, d.back_height - 4, 7)
    bars = [tube(plan.back_at(u * side, v), 0.85 * d.member, 6) for side in (-1, 1)]
    lower = _band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *bars]


def _open_back(d: Design, plan: Plan) -> list[Manifold]:
    """A bent rod round an empty back, with one rail or a small panel."""
    corner = 0.12 + 0.25 * d.roundness
    uv = np.array([[-1, -0.5 * min(d.slab, 4) / d.back_height, 0], [-1, 1, 0], [1, 1, 0], [1, 0, 0]])
    uv[3, 1] = uv[0, 1]
    loop = rounded_path(np.column_stack([uv[:, 0], uv[:, 1] * 1.6, uv[:, 2]]), 1.6 * corner, 6)
    top = loop[len(loop) // 2 - 1 : len(loop) // 2 + 1]
    fill = np.linspace(top[0], top[1], 7)[1:-1]
    loop = np.concatenate([loop[: len(loop) // 2], fill, loop[len(loop) // 2 :]])
    solids = [tube(plan.back_at(loop[:, 0], loop[:, 1] / 1.6 * d.back_height), 1.05 * d.member, 8)]
    low = (0.33 + 0.22 * d.rise) * d.back_height
    tall = 0.15 * d.back_height + 2 if d.second_form else 0.35 * d.back_height
    solids.append(_band(plan, low, low + tall, d.plate))
    return solids


def _wrapped_back(d: Design, plan: Plan) -> list[Manifold]:
    """A bent wall round the rear of the seat; it falls towards its ends."""
    thick = 1.15 * d.plate
    power, span = (2.2 if d.seat == "round" else 3.0), np.radians(65 + 45 * d.rise)
    angle = np.linspace(-span, span, 17)
    a, b = d.width / 2 * (0.5 + 0.5 * d.rear) - 0.75 * thick, d.depth / 2 - 0.75 * thick
    c, s = np.sin(angle), np.cos(angle)
    rim = (np.abs(c / a) ** power + np.abs(s / b) ** power) ** (-1 / power)
    fall = 1 - 0.55 * np.clip(np.abs(angle) / span, 0, 1) ** 2.5
    low = -0.5 * min(d.slab, 4)
    v = low + np.linspace(0, 1, 5)[:, None] * (0.85 * d.back_height * fall - low)
    lean = 1 + np.maximum(v, 0) / d.back_height * (0.12 + np.tan(np.radians(d.lean)))
    x, z = c * rim * lean, s * rim * lean
    return [sheet(np.stack([x, d.height + v, z], -1), thick)]


def _low_back(d: Design, plan: Plan) -> list[Manifold]:
    """A short back on posts, as a bar stool has."""
    high = 0.65 * d.back_height
    return [*_posts(d, plan, high - 1), _band(plan, 0.45 * high, high, d.plate, (-1.06, 1.06), 0.5 * d.crest)]


def _pad_back(d: Design, plan: Plan) -> list[Manifold]:
    """A padded back on one stem that comes from under the seat."""
    gap = (0.12 + 0.2 * d.rise) * d.back_height
    pad = _band(plan, gap, d.back_height, 1.6 * d.plate, (-0.95, 0.95), d.crest)
    behind = plan.rear_z(0.0) + 2.5
    y = d.height - 0.75 * d.slab
    meet = plan.back_at(np.array([0.0]), np.array([gap + 0.45 * (d.back_height - gap)]))[0]
    start = np.array([0, y, 0.2 * d.depth])
    path = np.array([start, [0, y, max(behind, meet[2] - 4) + 1.5], meet + [0, 0, 0.4]])
    return [pad, tube(rounded_path(path, 6, 5), 3.2, 8, 1.0)]


def _between(count: int) -> np.ndarray:
    """Evenly spaced places between the posts at -1 and 1."""
    return np.linspace(-1, 1, count + 2)[1:-1]


# Arms of frames.


def _arm_ends(d: Design, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Front foot of the arm in the seat, its front and its rear at arm height (right side)."""
    z = -0.08 * d.depth if d.seat == "round" else -0.36 * d.depth
    inset = d.member * 1.15 + 0.2
    foot = np.array([plan.half_width(z) - inset, d.height - 0.55 * min(d.slab, 4), z])
    front = np.array([foot[0] + 0.8 + 2.5 * d.rise, d.height + d.arm_height, z - 1])
    if d.back == "wrapped":
        rear = np.array([front[0] - 1, front[1], 0.32 * d.depth])
    elif d.back == "pad":
        rear = np.array([front[0], front[1], 0.2 * d.depth])
    else:
        height = min(d.arm_height, 0.8 * d.back_height)
        rear = plan.back_at(np.array([1.0]), np.array([height]))[0]
        if d.back == "hoop":
            u = (1 - (height / d.back_height) ** (2 / 0.7)) ** (0.7 / 2)
            rear = plan.back_at(np.array([u]), np.array([height]))[0]
    return foot, front, rear


def _post_arms(d: Design, plan: Plan) -> list[Manifold]:
    """A flat rest on a post."""
    foot, front, rear = _arm_ends(d, plan)
    bow = np.array([1.5 * d.roundness, 0, 0])
    tip = front + [0, 0, -3]
    path = curve(np.array([tip, front + bow + [0, 0, 6], 0.5 * (front + rear) + 2 * bow, rear]), 6)
    rest = tube(path, np.linspace(3.2, 2.4, 6), 8, 0.6 if d.member < 2.2 else 0.7)
    if d.back == "pad":  # a T from below
        foot = foot + [0, 0, 0.3 * d.depth]
        front = 0.5 * (tip + rear)
    solids = [pair(rest), pair(leg_rod(d, np.array([foot, front]), 0.95 * d.member))]
    if d.back == "wrapped":
        solids.append(pair(leg_rod(d, np.array([foot + [0, 0, 0.5 * d.depth], rear]), 0.95 * d.member)))
    return solids


def _loop_arms(d: Design, plan: Plan) -> list[Manifold]:
    """A rod bent up from the seat and back to the posts, or down to the seat again."""
    foot, front, rear = _arm_ends(d, plan)
    if d.back in ("pad", "wrapped"):
        corners = np.array([foot, front, rear, [foot[0], foot[1], rear[2] + 1]])
        corners[3, 0] = min(foot[0], plan.half_width(rear[2]) - 1.35 * d.member)
    else:
        corners = np.array([foot, front + [0, 0, -1], rear])
    return [pair(tube(rounded_path(corners, 5 + 5 * d.roundness, 6), 1.05 * d.member, 8))]


def _panel_arms(d: Design, plan: Plan) -> list[Manifold]:
    """Closed sides."""
    foot, front, rear = _arm_ends(d, plan)
    z = np.linspace(foot[2], plan.post_z, 4)
    x = np.array([plan.half_width(at) for at in z]) - d.plate / 2 - 0.1
    low = np.column_stack([x, np.full(4, foot[1]), z])
    high = np.column_stack([x, np.full(4, front[1]), np.linspace(front[2], rear[2], 4)])
    return [pair(sheet(np.linspace(low, high, 4), d.plate))]


Maker = Callable[[Design, Plan, float], list[Manifold]]
BASES: dict[str, Maker] = {
    **dict.fromkeys(LEGS, _legs),
    "crossed_legs": _crossed_legs,
    "slab_legs": _slab_legs,
    "rockers": _rockers,
    "sled": _sled,
    "cantilever": _cantilever,
    "pedestal": _pedestal,
    "star": _star,
}
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
ARMS: dict[str, Callable[[Design, Plan], list[Manifold]]] = {
    "post_arms": _post_arms,
    "loop_arms": _loop_arms,
    "panel_arms": _panel_arms,
}
