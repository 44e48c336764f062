"""Chairs by rules: dining and office chairs, stools, shells, armchairs and recliners.

A chair is designed in centimetres: y = 0 is the floor, the sitter looks to -z. A `Design` says everything
about it, `build` makes the mesh. The first five fields are its style.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.parts import (
    FABRICS,
    METALS,
    PLASTICS,
    WOODS,
    Color,
    Part,
    assemble,
    box,
    curve,
    cushion,
    dyed,
    mirrored,
    revolve,
    rod,
    rounded_box,
    rounded_path,
    sheet,
    superellipse,
    tube,
)

LABELS = ("seat", "back", "arm", "base", "footrest")

# What goes with what: body -> (share, bases, backs, arms, seats).
LEGS = ("straight_legs", "tapered_legs", "splayed_legs", "cabriole_legs")
CHOICES = {
    "frame": (
        0.42,
        (*LEGS, "crossed_legs", "slab_legs", "rockers", "sled", "cantilever"),
        ("panel", "ladder", "slat", "spindle", "hoop", "splat", "cross", "open", "wrapped"),
        ("no_arms", "no_arms", "post_arms", "loop_arms", "panel_arms"),
        ("square", "round", "cushion"),
    ),
    "office": (
        0.13,
        ("star", "pedestal", "sled", "cantilever"),
        ("pad", "panel", "wrapped", "slat"),
        ("no_arms", "post_arms", "loop_arms"),
        ("square", "cushion"),
    ),
    "stool": (
        0.13,
        ("straight_legs", "tapered_legs", "splayed_legs", "pedestal", "sled", "star"),
        ("no_back", "low", "panel", "ladder", "wrapped"),
        ("no_arms",),
        ("square", "round", "cushion"),
    ),
    "shell": (
        0.12,
        ("splayed_legs", "star", "pedestal", "sled", "rockers"),
        ("low_shell", "high_shell"),
        ("no_arms", "shell_arms"),
        ("smooth", "padded"),
    ),
    "armchair": (
        0.14,
        ("straight_legs", "tapered_legs", "cabriole_legs", "plinth", "sled"),
        ("block", "cushion_back", "wing", "barrel"),
        ("no_arms", "block_arms", "rolled_arms", "open_arms"),
        ("square", "cushion"),
    ),
    "recliner": (
        0.06,
        ("plinth", "tapered_legs", "pedestal", "star"),
        ("block", "cushion_back", "wing"),
        ("block_arms", "rolled_arms", "open_arms"),
        ("cushion",),
    ),
}

# Ranges in centimetres (lean in degrees): seat width, depth and height, slab, height of the back and lean.
MEASURES = {
    "frame": {"width": (40, 53), "depth": (39, 50), "height": (41, 48), "slab": (3, 4.5), "back": (34, 66)},
    "office": {"width": (44, 54), "depth": (42, 50), "height": (43, 52), "slab": (5, 9), "back": (42, 70)},
    "stool": {"width": (32, 42), "depth": (31, 40), "height": (60, 80), "slab": (3.5, 7), "back": (24, 42)},
    "shell": {"width": (46, 64), "depth": (43, 54), "height": (38, 46), "slab": (3, 4), "back": (36, 46)},
    "armchair": {"width": (52, 68), "depth": (50, 62), "height": (38, 46), "slab": (12, 20), "back": (34, 62)},
    "recliner": {"width": (52, 64), "depth": (50, 58), "height": (40, 46), "slab": (13, 18), "back": (58, 74)},
}


@dataclass(frozen=True)
class Design:
    """One chair. Lengths in centimetres, angles in degrees."""

    body: str
    base: str
    back: str
    arms: str
    seat: str
    square_section: bool  # legs, posts and rails square rather than round
    stretchers: bool
    apron: bool
    bars: int  # slats, rungs or spindles of the back
    width: float  # of the seat
    depth: float
    height: float  # of the seat's top over the floor
    slab: float  # thickness of the seat
    back_height: float  # over the seat
    lean: float  # of the back
    splay: float  # of the legs
    taper: float  # radius of a leg at the floor over that at the seat
    rear: float  # width of the seat at the back over that at the front
    bend: float  # depth of the back's bend
    flare: float  # growth of the back's width towards its top
    arm_height: float  # over the seat
    arm_width: float  # of upholstered arms
    member: float  # radius of legs and posts
    plate: float  # thickness of panels
    roundness: float  # 0 to 1: of corners and edges
    crest: float  # rise of the top rail's middle
    palette: dict[str, Color]


def style(design: Design) -> str:
    """The family of a chair: all of its discrete choices that show at a glance."""
    return "-".join((design.body, design.base, design.back, design.arms, design.seat))


def sample_design(rng: np.random.Generator) -> Design:
    """A random plausible chair."""

    def pick(options: tuple[str, ...]) -> str:
        return options[rng.integers(len(options))]

    bodies = list(CHOICES)
    body = bodies[rng.choice(len(bodies), p=[CHOICES[name][0] for name in bodies])]
    base, back, arms, seat = (pick(options) for options in CHOICES[body][1:])
    width, depth, height, slab, back_height = (rng.uniform(*span) for span in MEASURES[body].values())
    reach = np.hypot(np.hypot(width, depth + 6), height + (0 if back == "no_back" else back_height))
    upholstered = body in ("armchair", "recliner")
    design = Design(
        body=body,
        base=base,
        back=back,
        arms=arms,
        seat=seat,
        square_section=bool(rng.random() < 0.5),
        stretchers=bool(rng.random() < 0.45),
        apron=bool(rng.random() < 0.4),
        bars=int(rng.integers(2, 6)),
        width=width,
        depth=min(depth, 1.02 * width) if seat == "round" else depth,
        height=height,
        slab=slab,
        back_height=back_height * (0.8 if back == "hoop" else 1),
        lean=rng.uniform(28, 42) if body == "recliner" else rng.uniform(4, 16),
        splay=rng.uniform(6, 13) if base == "splayed_legs" else rng.uniform(0, 4),
        taper=rng.uniform(0.55, 0.75) if base in ("tapered_legs", "splayed_legs") else rng.uniform(0.85, 1),
        rear=rng.uniform(0.82, 1),
        bend=rng.uniform(0, 5),
        flare=rng.uniform(-0.1, 0.14),
        arm_height=rng.uniform(14, 22) if upholstered else rng.uniform(18, 25),
        arm_width=rng.uniform(9, 18),
        member=max(rng.uniform(1.4, 2.6), 0.0135 * reach),
        plate=max(rng.uniform(2.4, 4.5), 0.026 * reach),
        roundness=rng.uniform(0, 1),
        crest=rng.uniform(0, 5) if rng.random() < 0.5 else 0.0,
        palette=_palette(rng, body, base),
    )
    return _reconciled(design)


def build(design: Design) -> trimesh.Trimesh:
    """The mesh of a chair in RAW, its faces labelled by `LABELS`."""
    make = {"shell": _shell_chair, "armchair": _upholstered, "recliner": _upholstered}.get(design.body, _frame)
    return assemble(make(design), design.palette)


def _reconciled(d: Design) -> Design:
    """The design with the choices changed that cannot go together."""
    if d.back == "wrapped" and d.arms == "panel_arms":
        d = replace(d, arms="loop_arms")
    if d.back == "pad" and d.arms == "panel_arms":
        d = replace(d, arms="no_arms")
    if d.back == "barrel":
        d = replace(d, arms="barrel_arms")
    if d.base == "slab_legs" and d.seat == "round":
        d = replace(d, seat="square")
    if d.seat == "round" and d.arms == "panel_arms":
        d = replace(d, arms="post_arms")
    return d


def _palette(rng: np.random.Generator, body: str, base: str) -> dict[str, Color]:
    wood, metal, fabric, plastic = (dyed(rng, colors) for colors in (WOODS, METALS, FABRICS, PLASTICS))
    wooden_base = base.endswith("legs") or base in ("rockers", "plinth")
    legs = wood if wooden_base and rng.random() < 0.85 else metal
    match body:
        case "frame" | "stool":
            hide = (wood, fabric, plastic)[rng.choice(3, p=(0.45, 0.4, 0.15))]
            seat, back = hide, (legs if legs == wood else hide)
        case "shell":
            seat = back = plastic if rng.random() < 0.7 else (wood if rng.random() < 0.5 else fabric)
        case _:
            seat = back = fabric
    arm = fabric if body in ("armchair", "recliner") else (legs if rng.random() < 0.7 else metal)
    if body == "shell":
        arm = seat
    return {"seat": seat, "back": back, "arm": arm, "base": legs, "footrest": seat}


# ---------------------------------------------------------------- the seat's outline and the back's surface


class _Plan:
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
        rounded.append(curve(np.array([a, corner, b]), 4))
    return np.concatenate(rounded)


def _round_outline(d: Design) -> Float[np.ndarray, "corners 2"]:
    return superellipse(d.width, d.depth, 2 + 0.6 * d.roundness, 24)


def _both(solid: Manifold) -> Manifold:
    return solid + mirrored(solid)


def _rod(d: Design, path: np.ndarray, radius: float | np.ndarray) -> Manifold:
    """A leg or post, round or square as the design says."""
    return tube(path, np.asarray(radius) * 1.2, 4) if d.square_section else tube(path, radius, 8)


def _band(plan: _Plan, low: float, high: float, thickness: float, u=(-1.0, 1.0), crest: float = 0) -> Manifold:
    """A piece of the back between two heights over the seat, its upper edge raised by `crest` in the middle."""
    us = np.linspace(*u, 9 if abs(u[1] - u[0]) > 0.7 else 3)
    rows = max(2, min(7, round((high - low) / 8)))
    v = low + np.linspace(0, 1, rows)[:, None] * (high - low + crest * (1 - us**2))
    return sheet(plan.back_at(us, v), thickness)


# ---------------------------------------------------------------- chairs with a frame


def _frame(d: Design) -> list[Part]:
    plan = _Plan(d)
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


def _leg_tops(d: Design, plan: _Plan) -> tuple[float, float, float, float]:
    """x and z of the front and rear legs under the seat."""
    inset = d.member * 1.15 + 0.3
    if d.seat == "round":
        z = 0.5 * d.depth * np.sqrt(0.5) - 0.6 * inset
        x = plan.half_width(z) - 1.1 * inset
        return x, -z, x, z
    front = -d.depth / 2 + inset + 0.8
    inwards = 0.12 * d.width if d.base == "splayed_legs" else 0.0
    return plan.half_width(front) - inset - inwards, front + inwards, plan.half_back - inwards, plan.post_z - inwards


def _legs(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
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
            leg = _rod(d, np.array([hip, foot]), d.member * np.array([1, d.taper]))
        solids.append(_both(leg))
    on = {name: lambda y, hip=hip, foot=foot: foot + (hip - foot) * (y / hip[1]) for name, (hip, foot) in feet.items()}
    if d.stretchers and d.base != "cabriole_legs":
        side, across = (0.25 + 0.2 * d.roundness) * bottom, (0.33 + 0.25 * d.roundness) * bottom
        radius = 0.85 * d.member
        solids.append(_both(_rod(d, np.array([on["front"](side), on["rear"](side)]), radius)))
        for name in ("front", "rear") if d.bars % 2 else ("rear",):
            at = on[name](across)
            solids.append(_rod(d, np.array([at, at * [-1, 1, 1]]), radius))
        if not d.bars % 2:  # an H
            at = 0.5 * (on["front"](side) + on["rear"](side))
            solids.append(_rod(d, np.array([at, at * [-1, 1, 1]]), radius))
    if d.apron and d.seat != "round" and d.base != "splayed_legs":
        low = bottom - 5 - 3 * d.roundness
        hull = np.array([(-front_x, front_z), (front_x, front_z), (rear_x, rear_z), (-rear_x, rear_z)])
        solids.append(cushion(hull * 1.01, low, bottom + 0.5, 0.2))
    return solids


def _stool_ring(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    return []


def _crossed_legs(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """An X at each side and a rail through both crossings."""
    x = min(plan.half_width(-0.4 * d.depth), plan.half_width(0.3 * d.depth)) - 1.3 * d.member
    reach, head = 0.46 * d.depth, bottom + 0.5 * min(d.slab, 4)
    high = 0.4 * d.depth
    crossing = np.array([x, head * reach / (reach + high), 0])
    return [
        _both(_rod(d, np.array([[x, 0, -reach], [x, head, high]]), d.member)),
        _both(_rod(d, np.array([[x, 0, reach], [x, head, -high]]), d.member)),
        _rod(d, np.array([crossing, crossing * [-1, 1, 1]]), 0.9 * d.member),
    ]


def _slab_legs(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """Two side walls and a rail between them."""
    x = min(plan.half_width(-0.35 * d.depth), plan.half_width(0.35 * d.depth)) - d.plate / 2 - 0.2
    wall = box((d.plate, bottom + 1.5, 0.86 * d.depth), (x, (bottom + 1.5) / 2, 0))
    rail = box((2 * x, 7 + 5 * d.roundness, d.plate), (0, 0.72 * bottom, 0.2 * d.depth))
    return [_both(wall), rail]


def _rockers(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """Legs on two curved runners."""
    z = np.linspace(-0.75 * d.depth, 0.95 * d.depth, 10)
    _, front_z, rear_x, rear_z = _leg_tops(d, plan)
    runner = np.column_stack([np.full(10, rear_x), d.member + (z - 0.05 * d.depth) ** 2 / (2.6 * d.depth), z])
    x = rear_x
    head = bottom + 0.6 * min(d.slab, 4)
    solids = [_both(_rod(d, runner, d.member))]
    for at in (front_z, rear_z):
        y = float(np.interp(at, z, runner[:, 1]))
        solids.append(_both(_rod(d, np.array([[x, y, at], [x, head, at]]), d.member)))
    y = 0.45 * bottom
    solids.append(_rod(d, np.array([[-x, y, rear_z], [x, y, rear_z]]), 0.85 * d.member))
    solids.append(_rod(d, np.array([[-x, y, front_z], [x, y, front_z]]), 0.85 * d.member))
    return solids


def _sled(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """Two bent rods that stand on runners."""
    x = plan.half_back if d.seat == "round" else min(plan.half_width(-0.4 * d.depth), plan.half_back + 1)
    reach = 0.34 * d.depth if d.seat == "round" else 0.42 * d.depth
    x = min(x, plan.half_width(reach) - 1.3 * d.member, plan.half_width(-reach) - 1.3 * d.member)
    head, foot, out = bottom + 0.5 * min(d.slab, 4), d.member, 0.05 * bottom
    wide = x + (0.06 * bottom if d.body == "stool" else 0.02 * bottom)
    corners = np.array([[x, head, -reach], [wide, foot, -reach - out], [wide, foot, reach + out], [x, head, reach]])
    solids = [_both(_rod(d, rounded_path(corners, 3 + 5 * d.roundness, 4), d.member))]
    share = 0.3 + 0.15 * d.roundness if d.body == "stool" else 0.0
    for front, rear in ((corners[1], corners[0]),) if share else ((corners[2], corners[3]),):
        at = front + share * (rear - front)
        if not share:
            at = at - [0, 0, 8]
        solids.append(_rod(d, np.array([at, at * [-1, 1, 1]]), 0.9 * d.member))
    return solids


def _cantilever(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
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


def _pedestal(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """A turned foot: a disc or a trumpet with a column."""
    disc, column, head = 0.46 * d.width + 2, 1.2 * d.member + 0.6, bottom + 0.5 * min(d.slab, 4)
    if d.body == "stool":
        disc = min(disc, 21)
    if d.stretchers:  # a trumpet
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


def _star(d: Design, plan: _Plan, bottom: float) -> list[Manifold]:
    """A column on five spokes with castors or glides."""
    reach, hub, head = min(0.58 * d.width + 3, 32), 10 + 3 * d.roundness, bottom + 0.5 * min(d.slab, 4)
    castor = 2.6 if d.stretchers else 1.6
    spread = min(0.3 * d.width, 11)
    profile = [(0, hub - 3), (3.6, hub - 3), (3.6, hub + 4), (2.6, hub + 5), (2.6, bottom - 6)]
    profile += [(spread, bottom - 2), (spread, head), (0, head)]
    solids = [revolve(np.array(profile, dtype=float), 14)]
    for angle in np.pi / 2 + np.arange(5) * 2 * np.pi / 5:
        end = np.array([reach * np.cos(angle), 2 * castor + 0.6, reach * np.sin(angle)])
        solids.append(rod((0, hub, 0), end, 2.6, 1.7, segments=6))
        foot = Manifold.sphere(castor, 8) if d.stretchers else revolve(np.array([(0, -1.6), (2.2, -1.6), (1.4, 2.2), (0, 2.2)]), 8)
        solids.append(foot.translate((end[0], castor, end[2])))
        solids.append(rod(end * [1, 0, 1] + [0, castor, 0], end, 1.5, segments=6))
    if d.body == "stool":
        solids += _foot_ring(d, 0.42 * bottom, 0.3 * d.width + 4)
    return solids


# Backs of frames. Each reaches below the seat's top, so that it unites with it.


def _posts(d: Design, plan: _Plan, high: float) -> list[Manifold]:
    v = np.linspace(-0.6 * min(d.slab, 4), high, 5)
    return [_both(_rod(d, plan.back_at(np.ones(5), v), d.member * np.linspace(1, 0.85, 5)))]


def _rail(d: Design, plan: _Plan, height: float = 0) -> Manifold:
    height = height or 6 + 3 * d.roundness
    return _band(plan, d.back_height - height, d.back_height, d.plate, (-1.06, 1.06), d.crest)


def _panel_back(d: Design, plan: _Plan) -> list[Manifold]:
    thick = d.plate * (1.2 + 0.5 * d.roundness)
    if d.stretchers:
        gap = (0.18 + 0.15 * d.roundness) * d.back_height
        return [*_posts(d, plan, d.back_height - 3), _band(plan, gap, d.back_height, thick, crest=d.crest)]
    return [_band(plan, -0.5 * min(d.slab, 4), d.back_height, thick, crest=d.crest)]


def _ladder_back(d: Design, plan: _Plan) -> list[Manifold]:
    pitch = (0.85 * d.back_height) / d.bars
    tall = max(0.5 * pitch, 3.5)
    rungs = [
        _band(plan, d.back_height - i * pitch - tall, d.back_height - i * pitch, d.plate, crest=d.crest * 0.6)
        for i in range(d.bars)
    ]
    return [*_posts(d, plan, d.back_height + 1), *rungs]


def _slat_back(d: Design, plan: _Plan) -> list[Manifold]:
    count = d.bars + 1
    wide = min(0.55, 1.1 / count)
    low, high = 0.12 * d.back_height, d.back_height - 3
    slats = [_band(plan, low, high, 0.9 * d.plate, (c - wide / 2, c + wide / 2)) for c in _between(count)]
    lower = _band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *slats]


def _spindle_back(d: Design, plan: _Plan) -> list[Manifold]:
    count = d.bars + 2
    v = np.linspace(-0.5 * min(d.slab, 4), d.back_height - 2, 5)
    spindles = [tube(plan.back_at(np.full(5, c), v), 0.85 * d.member, 6) for c in _between(count)]
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), *spindles]


def _hoop_back(d: Design, plan: _Plan) -> list[Manifold]:
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


def _splat_back(d: Design, plan: _Plan) -> list[Manifold]:
    share = np.linspace(0, 1, 9)[:, None]
    half = np.interp(share, [0, 0.15, 0.4, 0.7, 0.9, 1], [0.3, 0.2, 0.38, 0.24, 0.42, 0.45]) * (0.8 + 0.4 * d.roundness)
    v = -0.5 * min(d.slab, 4) + share * (d.back_height - 1)
    splat = sheet(plan.back_at(half * np.array([-1, 0, 1]), v), 0.9 * d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), splat]


def _cross_back(d: Design, plan: _Plan) -> list[Manifold]:
    u, low = np.linspace(-1, 1, 7), 0.14 * d.back_height
    v = np.linspace(low, d.back_height - 4, 7)
    bars = [tube(plan.back_at(u * side, v), 0.85 * d.member, 6) for side in (-1, 1)]
    lower = _band(plan, low - 2, low + 3, d.plate)
    return [*_posts(d, plan, d.back_height - 1), _rail(d, plan), lower, *bars]


def _open_back(d: Design, plan: _Plan) -> list[Manifold]:
    """A bent rod round an empty back, with one rail or a small panel."""
    corner = 0.12 + 0.25 * d.roundness
    uv = np.array([[-1, -0.5 * min(d.slab, 4) / d.back_height, 0], [-1, 1, 0], [1, 1, 0], [1, 0, 0]])
    uv[3, 1] = uv[0, 1]
    loop = rounded_path(np.column_stack([uv[:, 0], uv[:, 1] * 1.6, uv[:, 2]]), 1.6 * corner, 6)
    top = loop[len(loop) // 2 - 1 : len(loop) // 2 + 1]
    fill = np.linspace(top[0], top[1], 7)[1:-1]
    loop = np.concatenate([loop[: len(loop) // 2], fill, loop[len(loop) // 2 :]])
    solids = [tube(plan.back_at(loop[:, 0], loop[:, 1] / 1.6 * d.back_height), 1.05 * d.member, 8)]
    low = (0.35 + 0.2 * d.roundness) * d.back_height
    tall = 0.15 * d.back_height + 2 if d.stretchers else 0.35 * d.back_height
    solids.append(_band(plan, low, low + tall, d.plate))
    return solids


def _wrapped_back(d: Design, plan: _Plan) -> list[Manifold]:
    """A bent wall round the rear of the seat; it falls towards its ends."""
    thick = 1.15 * d.plate
    power, span = (2.2 if d.seat == "round" else 3.0), np.radians(65 + 45 * d.roundness)
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


def _low_back(d: Design, plan: _Plan) -> list[Manifold]:
    """A short back on posts, as a bar stool has."""
    high = 0.65 * d.back_height
    return [*_posts(d, plan, high - 1), _band(plan, 0.45 * high, high, d.plate, (-1.06, 1.06), 0.5 * d.crest)]


def _pad_back(d: Design, plan: _Plan) -> list[Manifold]:
    """A padded back on one stem that comes from under the seat."""
    gap = (0.12 + 0.2 * d.roundness) * d.back_height
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


def _arm_ends(d: Design, plan: _Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Front foot of the arm in the seat, its front and its rear at arm height (right side)."""
    z = -0.08 * d.depth if d.seat == "round" else -0.36 * d.depth
    inset = d.member * 1.15 + 0.2
    foot = np.array([plan.half_width(z) - inset, d.height - 0.55 * min(d.slab, 4), z])
    front = np.array([foot[0] + 0.8 + 2.5 * d.roundness, d.height + d.arm_height, z - 1])
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


def _post_arms(d: Design, plan: _Plan) -> list[Manifold]:
    """A flat rest on a post."""
    foot, front, rear = _arm_ends(d, plan)
    bow = np.array([1.5 * d.roundness, 0, 0])
    tip = front + [0, 0, -3]
    path = curve(np.array([tip, front + bow + [0, 0, 6], 0.5 * (front + rear) + 2 * bow, rear]), 6)
    rest = tube(path, np.linspace(3.2, 2.4, 6), 8, 0.6 if d.member < 2.2 else 0.7)
    if d.back == "pad":  # a T from below
        foot = foot + [0, 0, 0.3 * d.depth]
        front = 0.5 * (tip + rear)
    solids = [_both(rest), _both(_rod(d, np.array([foot, front]), 0.95 * d.member))]
    if d.back == "wrapped":
        solids.append(_both(_rod(d, np.array([foot + [0, 0, 0.5 * d.depth], rear]), 0.95 * d.member)))
    return solids


def _loop_arms(d: Design, plan: _Plan) -> list[Manifold]:
    """A rod bent up from the seat and back to the posts, or down to the seat again."""
    foot, front, rear = _arm_ends(d, plan)
    if d.back in ("pad", "wrapped"):
        corners = np.array([foot, front, rear, [foot[0], foot[1], rear[2] + 1]])
        corners[3, 0] = min(foot[0], plan.half_width(rear[2]) - 1.35 * d.member)
    else:
        corners = np.array([foot, front + [0, 0, -1], rear])
    return [_both(tube(rounded_path(corners, 5 + 5 * d.roundness, 6), 1.05 * d.member, 8))]


def _panel_arms(d: Design, plan: _Plan) -> list[Manifold]:
    """Closed sides."""
    foot, front, rear = _arm_ends(d, plan)
    z = np.linspace(foot[2], plan.post_z, 4)
    x = np.array([plan.half_width(at) for at in z]) - d.plate / 2 - 0.1
    low = np.column_stack([x, np.full(4, foot[1]), z])
    high = np.column_stack([x, np.full(4, front[1]), np.linspace(front[2], rear[2], 4)])
    return [_both(sheet(np.linspace(low, high, 4), d.plate))]


# ---------------------------------------------------------------- shells


def _shell_chair(d: Design) -> list[Part]:
    """A seat and back of one bent piece, on legs that meet under it."""
    tall = d.back_height * (1.45 if d.back == "high_shell" else 1)
    angle = np.radians(8 + d.lean)
    deep = d.depth / 2
    hinge = np.array([deep * 0.85, d.height - 2])
    profile = np.concatenate(
        [
            curve(np.array([(-deep - 1, d.height - 4), (-deep + 2, d.height + 1), (-deep + 12, d.height)]), 4),
            curve(np.array([(0, d.height - 2.5), hinge + [-6, -1.5], hinge, hinge + [2.5, 8]]), 5),
            [hinge + [np.tan(angle) * v + 2.5, v] for v in np.linspace(18, tall - 6, 4)],
            [hinge + [np.tan(angle) * tall + 4.5, tall]],
        ]
    )
    rows = len(profile)
    share = np.linspace(0, 1, rows)
    half = d.width / 2 * (1 - 0.45 * np.abs(2 * share - 1) ** (6 - 2 * d.roundness)) * np.interp(share, [0, 0.5, 1], [1, 0.97, 0.86])
    along = np.gradient(profile, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    normal = np.column_stack([-along[:, 1], along[:, 0]])  # up from the seat, forward from the back
    rise = np.interp(share, [0, 0.25, 0.55, 1], [1, 4, 7, 3 + 3 * d.roundness])
    if d.arms == "shell_arms":
        rise = np.interp(share, [0, 0.15, 0.35, 0.55, 0.8, 1], [1, 6, 19, 20, 9, 4])
    u = np.linspace(-1, 1, 11)
    lift = rise[:, None] * np.abs(u) ** 2.6
    zy = profile[:, None] + lift[..., None] * normal[:, None]
    tuck = 1 - 0.1 * (lift / 20) * np.abs(u)
    grid = np.stack([u * half[:, None] * tuck, zy[..., 1], zy[..., 0]], -1)
    parts = []
    edge = rows // 2 + 1
    # One solid each for seat and back, so that they carry their labels; they share the row at the bend.
    parts.append(Part("seat", sheet(grid[: edge + 1], d.plate)))
    parts.append(Part("back", sheet(grid[edge - 1 :], d.plate)))
    if d.seat == "padded":
        parts.append(Part("seat", sheet(grid[1:6, 2:-2] + [0, 1.5, 0], d.plate)))
    bottom = float(np.interp(0, profile[:edge, 0], profile[:edge, 1])) - d.plate / 2
    hub = Design(**{**d.__dict__, "slab": d.plate, "height": bottom + d.plate, "width": 0.86 * d.width})
    plan = _Plan(hub)
    mount = cushion(superellipse(0.42 * d.width, 0.42 * d.depth, 3, 16), bottom - 2.5, bottom + 0.8 * d.plate, 0.3)
    parts.append(Part("base", mount))
    if d.base == "splayed_legs":
        parts += [Part("base", solid) for solid in _shell_legs(d, bottom)]
    elif d.base in ("sled", "rockers"):
        parts += [Part("base", solid) for solid in _shell_runners(d, bottom)]
    else:
        parts += [Part("base", solid) for solid in BASES[d.base](hub, plan, bottom)]
    return parts


def _shell_legs(d: Design, bottom: float) -> list[Manifold]:
    """Four rods from under the middle of the shell, with a crossing below it."""
    hip = np.array([0.17 * d.width, bottom - 0.6, 0.17 * d.depth])
    foot = np.array([0.42 * d.width, 0, 0.42 * d.depth])
    solids = []
    for z in (-1, 1):
        ends = np.array([hip, foot]) * [1, 1, z]
        solids.append(_both(_rod(d, ends, d.member * np.array([1.1, d.taper]))))
        if d.stretchers:
            low, high = ends[1] + 0.35 * (ends[0] - ends[1]), ends[0] * [-1, 1, 1] + [0, -1.5, 0]
            solids.append(_both(tube(np.array([low, high]), 0.8 * d.member, 6)))
    return solids


def _shell_runners(d: Design, bottom: float) -> list[Manifold]:
    """Two bent rods, their runners straight or curved."""
    x, reach = 0.36 * d.width, 0.42 * d.depth
    hips = [np.array([0.17 * d.width, bottom - 1, z * 0.15 * d.depth]) for z in (-1, 1)]
    if d.base == "sled":
        corners = np.array([hips[0], [x, d.member, -reach], [x, d.member, reach], hips[1]])
        return [_both(_rod(d, rounded_path(corners, 6, 5), d.member))]
    z = np.linspace(-1.4 * reach, 1.6 * reach, 9)
    runner = np.column_stack([np.full(9, x), d.member + z**2 / (4 * reach), z])
    ends = [runner[2], runner[6]]
    struts = [_both(_rod(d, np.array([hip, end]), d.member)) for hip, end in zip(hips, ends, strict=True)]
    return [_both(_rod(d, runner, d.member)), *struts]


# ---------------------------------------------------------------- upholstered chairs


def _upholstered(d: Design) -> list[Part]:
    """An armchair of stuffed blocks; a recliner leans further and puts the feet up."""
    foot = 6 + 8 * d.roundness if d.base != "plinth" else 0.0
    if d.base in ("pedestal", "star"):
        foot = 0.55 * d.height
    arms = d.arms not in ("no_arms",)
    outer = d.width / 2 + (d.arm_width if d.arms in ("block_arms", "rolled_arms") else 0)
    low, top = foot, d.height
    edge = 1.2 + 3 * d.roundness
    thick = 11 + 6 * d.roundness
    rear = d.depth / 2 + thick
    deck = top - (0.42 * (top - low) if d.seat == "cushion" else 0)
    parts = []
    if d.back == "barrel":
        return _barrel(d, low)
    plinth = 6.0 if d.base == "plinth" else 0.0
    front = -d.depth / 2
    if d.seat == "cushion":
        parts.append(Part("seat", rounded_box((d.width + 1, deck - low - plinth + 1, d.depth + thick), edge, (0, (low + plinth + deck + 1) / 2, thick / 2 + 0.5))))
        parts.append(Part("seat", _pillow(d.width - 0.6, top - deck + 1.5, d.depth + 1, edge).translate((0, (top + deck) / 2, -1))))
    else:
        parts.append(Part("seat", rounded_box((d.width + 1, top - low - plinth, d.depth + thick), edge, (0, (low + plinth + top) / 2, thick / 2))))
    # The back is made upright at the origin, then leant and put behind the seat.
    wide = 2 * (outer - 0.4) if d.arms in ("no_arms", "open_arms") else d.width + (1.2 if d.arms != "no_arms" else 0)
    tall = d.back_height + 8
    pieces = [rounded_box((wide, tall, thick), edge + 1, (0, tall / 2 - 8, 0))]
    if d.back == "cushion_back":
        pieces.append(_pillow(d.width - 1, 0.8 * d.back_height, 11, 4).rotate((-4, 0, 0)).translate((0, 0.45 * d.back_height, -thick / 2 - 1.5)))
    if d.back == "wing":
        wing = rounded_box((5.5, 0.55 * d.back_height, 17 + 5 * d.roundness), 2.2, (d.width / 2 - 1, 0.66 * d.back_height, -thick / 2 - 4))
        pieces.append(_both(wing))
    if d.body == "recliner":
        pieces.append(rounded_box((0.7 * d.width, 13, 7), 3, (0, d.back_height - 9, -thick / 2 - 1)))
    lean = d.lean
    for piece in pieces:
        parts.append(Part("back", piece.rotate((lean, 0, 0)).translate((0, top, d.depth / 2 + 0.35 * thick))))
    if arms:
        parts += [Part("arm", solid) for solid in _stuffed_arms(d, low, outer, front, rear, edge)]
    parts += [Part("base", solid) for solid in _stuffed_base(d, low, outer, front, rear, deck)]
    if d.body == "recliner":
        length = 40 + 12 * d.roundness
        tilt = 6 + 14 * d.roundness
        rest = rounded_box((d.width - 4, 9, length), 3.5, (0, -3, -length / 2 - 1)).rotate((-tilt, 0, 0))
        parts.append(Part("footrest", rest.translate((0, top - 3, front))))
        link = np.array([[0.3 * d.width, low + 7, front + 8], [0.3 * d.width, top - 8 - 0.5 * length * np.sin(np.radians(tilt)), front - 0.55 * length]])
        parts.append(Part("footrest", _both(tube(link, 1.9, 6))))
    return parts


def _pillow(width: float, height: float, depth: float, edge: float) -> Manifold:
    """A soft block that swells a little."""
    return rounded_box((width, height, depth), min(edge + 1.5, 0.42 * height), segments=12)


def _stuffed_arms(d: Design, low: float, outer: float, front: float, rear: float, edge: float) -> list[Manifold]:
    top, inner = d.height + d.arm_height, d.width / 2
    if d.arms == "open_arms":
        x = inner + d.member - 0.6
        y = low + 0.35 * (d.height - low)
        lean = np.tan(np.radians(d.lean)) * d.arm_height
        corners = np.array([[x, y, front + 5], [x + 0.6, top, front + 3], [x + 0.6, top, rear - 5 + lean], [x, y, rear - 6]])
        return [_both(tube(rounded_path(corners, 3 + 6 * d.roundness, 5), 1.35 * d.member, 8))]
    deep = rear - front - 2
    wall = max(d.arm_width, 9)
    if d.arms == "block_arms":
        size = (wall + 0.8, top - low, deep)
        return [_both(rounded_box(size, edge, (inner + wall / 2 - 0.4, (low + top) / 2, (front + rear) / 2 - 1)))]
    roll = 0.5 * wall + 0.8
    z0, z1 = front - 0.5, rear - 3
    scroll = rod((inner + 0.62 * wall, top - roll, z0), (inner + 0.62 * wall, top - roll, z1), roll, segments=14)
    body = rounded_box((0.8 * wall, top - roll - low, deep - 2), 1.2, (inner + 0.4 * wall - 0.4, (low + top - roll) / 2, (front + rear) / 2))
    return [_both(scroll), _both(body)]


def _stuffed_base(d: Design, low: float, outer: float, front: float, rear: float, deck: float) -> list[Manifold]:
    wide, middle = outer - 5, (front + rear) / 2
    if d.base == "plinth":
        return [box((2 * outer - 5, 7, rear - front - 6), (0, 3.5, middle))]
    if d.base in ("pedestal", "star"):
        hub = replace(d, slab=4.0, height=low + 4, width=min(d.width, 54.0), stretchers=d.base == "star", body="armchair")
        make = {"pedestal": _pedestal, "star": _star}[d.base]
        return [solid.translate((0, 0, middle)) for solid in make(hub, _Plan(hub), low)]
    if d.base == "sled":
        corners = np.array([[wide, low + 3, front + 6], [wide, 1.3 * d.member, front + 3], [wide, 1.3 * d.member, rear - 3], [wide, low + 3, rear - 6]])
        return [_both(_rod(d, rounded_path(corners, 3, 4), 1.2 * d.member))]
    solids = []
    for z, out in ((front + 5, -1), (rear - 6, 1)):
        head, toe = np.array([wide, low + 3, z]), np.array([wide + 0.1 * low * (d.base != "straight_legs"), 0, z + out * 0.12 * low])
        if d.base == "cabriole_legs":
            path = curve(np.array([head, head + [3.5, -0.3 * low, out * 3.5], toe + [-2, 0.4 * low, -out * 2], toe + [2.5, 0, out * 2.5]]), 6)
            solids.append(_both(tube(path, d.member * np.array([1.6, 1.7, 1.4, 1.1, 1.1, 1.4]), 8)))
        else:
            shrink = 1 if d.base == "straight_legs" else 0.65
            solids.append(_both(_rod(d, np.array([head, toe]), 1.35 * d.member * np.array([1, shrink]))))
    return solids


def _barrel(d: Design, low: float) -> list[Part]:
    """A tub: one wall round the seat, arms and back in one."""
    wall, edge = 7 + 5 * d.roundness, 1.5 + 2 * d.roundness
    a, b = d.width / 2 + wall / 2, d.depth / 2 + wall / 2
    span = np.radians(128)
    angle = np.linspace(-span, span, 25)
    power = 2.2 + 1.5 * d.roundness
    c, s = np.sin(angle), np.cos(angle)
    rim = (np.abs(c / a) ** power + np.abs(s / b) ** power) ** (-1 / power)
    over = d.arm_height + (0.75 * d.back_height - d.arm_height) * np.clip(np.cos(angle * 0.9), 0, 1) ** 1.5
    plinth = 6.0 if d.base == "plinth" else 0.0
    v = np.linspace(0, 1, 5)[:, None]
    y = low + plinth + v * (d.height + over - low - plinth)
    lean = 1 + 0.09 * v
    grid = np.stack([c * rim * lean, y, s * rim * lean], -1)
    thick = np.full(grid.shape[:2], wall)
    thick[-1] *= 0.6
    thick[:, [0, -1]] *= 0.7
    middle = len(angle) // 2
    cut = 7  # columns on either side of the middle that are the back
    parts = [
        Part("back", sheet(grid[:, middle - cut : middle + cut + 1], thick[:, middle - cut : middle + cut + 1])),
        Part("arm", sheet(grid[:, : middle - cut + 1], thick[:, : middle - cut + 1])),
        Part("arm", sheet(grid[:, middle + cut :], thick[:, middle + cut :])),
    ]
    outline = superellipse(2 * a - 0.4 * wall, 2 * b - 0.4 * wall, power, 28)
    parts.append(Part("seat", cushion(outline, low + plinth, d.height - 4, edge)))
    parts.append(Part("seat", cushion(superellipse(2 * a - wall + 1, 2 * b - wall + 1, power, 28), d.height - 5, d.height + 2, 2.5, 1)))
    reach = 0.68 if d.base == "plinth" else 0.66
    if d.base == "plinth":
        return [*parts, Part("base", cushion(outline * 0.9, 0, low + plinth + 1, 0.4))]
    for solid in _stuffed_base(d, low, a * reach + 5, -b * reach - 5, b * reach + 6, 0):
        parts.append(Part("base", solid))
    return parts


Maker = Callable[[Design, _Plan, float], list[Manifold]]
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
BACKS: dict[str, Callable[[Design, _Plan], list[Manifold]]] = {
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
ARMS: dict[str, Callable[[Design, _Plan], list[Manifold]]] = {
    "post_arms": _post_arms,
    "loop_arms": _loop_arms,
    "panel_arms": _panel_arms,
}
