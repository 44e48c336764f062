"""What chairs stand on. Every maker takes the height of the seat's underside and reaches a little into it."""

from collections.abc import Callable

import numpy as np
from manifold3d import Manifold

from tpl.shapes.procedural.chair_design import LEGS, Design
from tpl.shapes.procedural.chair_plan import Plan, leg_rod
from tpl.shapes.procedural.parts import box, curve, cushion, revolve, rod, rounded_path, tube
from tpl.shapes.procedural.upholstery import pair


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
    head = bottom + plan.grip
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
        frame = np.array([(-front_x, front_z), (front_x, front_z), (rear_x, rear_z), (-rear_x, rear_z)])
        solids.append(cushion(frame * 1.01, low, bottom + 0.5, 0.2))
    return solids


def _crossed_legs(d: Design, plan: Plan, bottom: float) -> list[Manifold]:
    """An X at each side and a rail through both crossings."""
    x = min(plan.half_width(-0.4 * d.depth), plan.half_width(0.3 * d.depth)) - 1.3 * d.member
    reach, head = 0.46 * d.depth, bottom + plan.grip
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
    _, front_z, x, rear_z = _leg_tops(d, plan)
    runner = np.column_stack([np.full(10, x), d.member + (z - 0.05 * d.depth) ** 2 / (2.6 * d.depth), z])
    head = bottom + plan.grip
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
    head, foot, out = bottom + plan.grip, d.member, 0.05 * bottom
    wide = x + (0.06 * bottom if d.body == "stool" else 0.02 * bottom)
    corners = np.array([[x, head, -reach], [wide, foot, -reach - out], [wide, foot, reach + out], [x, head, reach]])
    if d.body == "stool":  # a rail for the feet
        rail = corners[1] + (0.3 + 0.15 * d.rise) * (corners[0] - corners[1])
    else:
        rail = corners[2] - [0, 0, 8]
    return [
        pair(leg_rod(d, rounded_path(corners, 3 + 5 * d.roundness, 4), d.member)),
        leg_rod(d, np.array([rail, rail * [-1, 1, 1]]), 0.9 * d.member),
    ]


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
    disc, column, head = 0.46 * d.width + 2, 1.2 * d.member + 0.6, bottom + plan.grip
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
    reach, hub, head = min(0.58 * d.width + 3, 32), 10 + 3 * d.rise, bottom + plan.grip
    castor = 2.6 if d.second_form else 1.6
    spread = min(0.3 * d.width, 11)
    profile = [(0, hub - 3), (3.6, hub - 3), (3.6, hub + 4), (2.6, hub + 5), (2.6, bottom - 6)]
    profile += [(spread, bottom - 2), (spread, head), (0, head)]
    solids = [revolve(np.array(profile, dtype=float), 14)]
    for angle in np.pi / 2 + np.arange(5) * 2 * np.pi / 5:
        end = np.array([reach * np.cos(angle), 2 * castor + 0.6, reach * np.sin(angle)])
        solids.append(rod((0, hub, 0), end, 2.6, 1.7, segments=6))
        glide = np.array([(0, -1.6), (2.2, -1.6), (1.4, 2.2), (0, 2.2)])
        foot = Manifold.sphere(castor, 8) if d.second_form else revolve(glide, 8)
        solids.append(foot.translate((end[0], castor, end[2])))
        solids.append(rod(end * [1, 0, 1] + [0, castor, 0], end, 1.5, segments=6))
    if d.body == "stool":
        solids += _foot_ring(d, 0.42 * bottom, 0.3 * d.width + 4)
    return solids


BASES: dict[str, Callable[[Design, Plan, float], list[Manifold]]] = {
    **dict.fromkeys(LEGS, _legs),
    "crossed_legs": _crossed_legs,
    "slab_legs": _slab_legs,
    "rockers": _rockers,
    "sled": _sled,
    "cantilever": _cantilever,
    "pedestal": _pedestal,
    "star": _star,
}
