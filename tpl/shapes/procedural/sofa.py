"""Sofas by rules: one to four seats, straight, bent, with a chaise or round a corner.

A sofa is designed in centimetres: y = 0 is the floor, the sitters look to -z, the seat's front edge is at
z = -depth / 2. A `Design` says everything about it; its first five fields are its style.
"""

from dataclasses import dataclass

import numpy as np
import trimesh
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.parts import (
    FABRICS,
    METALS,
    WOODS,
    Color,
    Part,
    Vector,
    assemble,
    box,
    dyed,
    loft,
    mirrored,
    rounded_box,
    sheet,
    superellipse,
)
from tpl.shapes.procedural.upholstery import ARMS, block, pillow, short_legs, standing, stuffed_arms

LABELS = ("seat", "back", "arm", "base", "cushion")

SEATS = {"one_seat": 0.12, "two_seats": 0.3, "three_seats": 0.4, "four_seats": 0.18}
BACKS = {"block": 0.22, "cushions": 0.3, "camel": 0.14, "channels": 0.14, "slatted": 0.1, "curved": 0.1}
BASES = ("straight_legs", "tapered_legs", "cabriole_legs", "sled", "plinth")
LAYOUTS = ("straight", "chaise_left", "chaise_right", "corner_left", "corner_right")


@dataclass(frozen=True)
class Design:
    """One sofa. Lengths in centimetres, angles in degrees."""

    seats: str
    arms: str
    back: str
    base: str
    layout: str  # left and right as the sitter has them
    seat_width: float  # of one seat
    depth: float  # of the seat
    height: float  # of the seat's top over the floor
    clearance: float  # of the upholstery over the floor
    pad: float  # thickness of the seat cushions; 0 for a tight seat
    split_pads: bool  # a cushion for each seat, not one for all
    back_height: float  # over the seat
    back_depth: float
    lean: float
    arm_height: float  # over the seat
    arm_width: float
    edge: float  # radius of the edges
    extent: float  # how far a chaise or a corner's other side reaches forward
    bend: float  # how far the ends of a curved sofa come forward
    crest: float  # rise of a camel back's middle
    member: float  # radius of legs and rods
    channels: int  # rolls or slats of the back for each seat
    pillows: tuple[float, ...]  # loose pillows: where they lie, from -1 (the sitter's left) to 1
    palette: dict[str, Color]


def style(design: Design) -> str:
    """The family of a sofa: all of its discrete choices that show at a glance."""
    return "-".join((design.seats, design.arms, design.back, design.base, design.layout))


def sample_design(rng: np.random.Generator) -> Design:
    """A random plausible sofa."""
    seats, arms, back, base, layout = _choices(rng)
    count = list(SEATS).index(seats) + 1
    seat_width = rng.uniform(*{1: (58, 84), 2: (56, 78), 3: (54, 72), 4: (48, 60)}[count])
    depth, height, back_height = rng.uniform(52, 64), rng.uniform(38, 46), rng.uniform(32, 50)
    arm_height = rng.uniform(12, min(24, 0.75 * back_height))
    reach = float(np.linalg.norm([count * seat_width + 30, depth + 25, height + back_height]))
    wood, metal, fabric = (dyed(rng, colors) for colors in (WOODS, METALS, FABRICS))
    base_color = metal if base == "sled" or rng.random() < 0.2 else wood
    return Design(
        seats=seats,
        arms=arms,
        back=back,
        base=base,
        layout=layout,
        seat_width=seat_width,
        depth=depth,
        height=height,
        clearance=rng.uniform(5, 9) if base == "plinth" else rng.uniform(7, 15),
        pad=0.0 if rng.random() < 0.2 or back == "curved" else rng.uniform(10, 17),
        split_pads=bool(rng.random() < 0.7),
        back_height=back_height,
        back_depth=rng.uniform(13, 22),
        lean=rng.uniform(4, 14),
        arm_height=arm_height,
        arm_width=max(rng.uniform(9, 26), 0.045 * reach),
        edge=rng.uniform(1.5, 5),
        extent=rng.uniform(0.8, 1.25) * 70,
        bend=rng.uniform(0.1, 0.2) * count * seat_width,
        crest=rng.uniform(6, 14),
        member=max(rng.uniform(2, 3.4), 0.0125 * reach),
        channels=2 if count == 4 or layout.startswith("corner") else int(rng.integers(3, 6)),
        pillows=tuple(rng.uniform(-1, 1, rng.integers(1, 3)).tolist()) if rng.random() < 0.2 else (),
        palette={
            "seat": fabric,
            "back": wood if back == "slatted" else fabric,
            "arm": base_color if arms == "open_arms" else fabric,
            "base": base_color,
            "cushion": dyed(rng, FABRICS),
        },
    )


def _choices(rng: np.random.Generator) -> tuple[str, str, str, str, str]:
    """Seats, arms, back, base and layout that go together."""
    seats = list(SEATS)[rng.choice(len(SEATS), p=list(SEATS.values()))]
    back = list(BACKS)[rng.choice(len(BACKS), p=list(BACKS.values()))]
    arms, base = (options[rng.integers(len(options))] for options in (ARMS, BASES))
    layout = LAYOUTS[rng.choice(len(LAYOUTS), p=(0.6, 0.1, 0.1, 0.1, 0.1))]
    if seats == "one_seat" or back in ("camel", "curved", "slatted"):
        layout = "straight"
    if back == "curved" and seats == "one_seat":
        back = "block"
    if back == "slatted":
        arms = "no_arms" if arms == "no_arms" else "open_arms"
        base = "straight_legs" if base == "cabriole_legs" else base
    if back == "curved":
        arms = {"rolled_arms": "rounded_arms", "slanted_arms": "block_arms", "open_arms": "no_arms"}.get(arms, arms)
        base = "tapered_legs" if base in ("sled", "cabriole_legs") else base
    if layout != "straight":
        arms = "block_arms" if arms in ("open_arms", "slanted_arms") else arms
        base = "straight_legs" if base in ("sled", "cabriole_legs") else base
    return seats, arms, back, base, layout


def build(design: Design) -> trimesh.Trimesh:
    """The mesh of a sofa in RAW, its faces labelled by `LABELS`."""
    parts = _straight(design)
    if design.layout.startswith("chaise"):
        parts += _chaise(design)
    if design.layout.startswith("corner"):
        parts += _corner(design)
    if design.layout.endswith("left"):  # they are made at +x, which is the sitter's right
        parts = [Part(part.label, mirrored(part.solid)) for part in parts]
    if design.back == "curved":
        radius = _half(design) ** 2 / (2 * design.bend)
        parts = [Part(part.label, _bent(part.solid, radius)) for part in parts]
    return assemble(parts, design.palette)


def _count(d: Design) -> int:
    return list(SEATS).index(d.seats) + 1


def _half(d: Design) -> float:
    """Half of the width between the arms."""
    return _count(d) * d.seat_width / 2


def _straight(d: Design) -> list[Part]:
    """The sofa without what reaches forward of it."""
    half, front, rear = _half(d), -d.depth / 2, d.depth / 2 + d.back_depth
    corner, level = d.layout.startswith("corner"), d.height + d.arm_height
    wall = 0.0 if d.arms in ("no_arms", "open_arms") else d.arm_width
    end = half + (d.back_depth - 1 if corner else 0)  # of seat and back at the side where a corner is
    between_arms = 0.6 if wall else 0.0

    deck = _run(d, (-half - 0.5, d.clearance, front + 1), (end + 0.5, d.height - d.pad + 1, rear))
    parts = [Part("seat", deck)]
    if d.pad:
        parts += [Part("seat", pad) for pad in _pads(d)]
    parts += [Part("back", solid) for solid in _back(d, -half - between_arms, end + between_arms, _count(d))]
    if d.arms != "no_arms":
        arms = stuffed_arms(d.arms, half, d.arm_width, d.clearance, level, front, rear, d.edge, 1.15 * d.member)
        parts.append(Part("arm", arms.trim_by_plane((-1, 0, 0), 0) if corner else arms))

    left, right = -half - standing(d.arms, wall), (end if corner else half + standing(d.arms, wall))
    if d.base == "plinth":
        parts.append(Part("base", _run(d, (left + 3, 0, front + 5), (right - 3, d.clearance + 1, rear - 3), 0.0)))
    else:
        x = (right - left) / 2 - 3 - 1.5 * d.member
        legs = short_legs(d.base, x, d.clearance, front, rear, d.member)
        if _count(d) == 4 and d.base != "sled":
            legs += short_legs(d.base, 8, d.clearance, front, rear, d.member)
        parts += [Part("base", leg.translate(((left + right) / 2, 0, 0))) for leg in legs]
    inset = 9 if d.back == "cushions" else 0
    for place in d.pillows:
        side = min(42, 0.62 * d.seat_width)
        loose = pillow(side, side, 13, 5).rotate((d.lean + 9, 0, 0)).rotate((0, 22 * place, 0))
        spot = (place * (half - side / 2 - 3), d.height + 0.43 * side, d.depth / 2 - 8 - inset)
        parts.append(Part("cushion", loose.translate(spot)))
    return parts


def _pads(d: Design) -> list[Manifold]:
    """The seat cushions; the one on a chaise reaches forward with it."""
    chaise = d.layout.startswith("chaise")
    half, count = _half(d), _count(d) if d.split_pads or chaise else 1
    edges = np.linspace(-half, half, count + 1)
    pads = []
    for number, (left, right) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        front = -d.depth / 2 - 1 - (d.extent if chaise and number == count - 1 else 0)
        pads.append(_pad(d, (left - 0.1, right + 0.1), (front, d.depth / 2 + 1)))
    return pads


def _pad(d: Design, x: tuple[float, float], z: tuple[float, float]) -> Manifold:
    soft = pillow(x[1] - x[0], d.pad + 1, z[1] - z[0], d.edge)
    return soft.translate(((x[0] + x[1]) / 2, d.height - d.pad / 2 - 0.5, (z[0] + z[1]) / 2))


def _back(d: Design, left: float, right: float, count: int) -> list[Manifold]:
    """The back between two places along x: made upright with the seat's top at y = 0, then leant."""
    under, tall, thick = d.clearance - d.height + 3, d.back_height, d.back_depth
    places = np.linspace(left, right, count + 1)
    match d.back:
        case "slatted":
            solids = _slats(d, left, right)
        case "camel":
            x, v = np.linspace(left, right, 21), np.linspace(0, 1, 5)[:, None]
            hump = 0.5 + 0.5 * np.cos(2 * np.pi * (x - left) / (right - left) - np.pi)
            y = under + v * (tall - d.crest * (1 - hump) - under)
            z = np.zeros_like(y)
            width = thick * np.interp(v, [0, 0.8, 1], [1, 1, 0.6]) * np.ones_like(x)
            solids = [sheet(np.stack([x + z, y, z], -1), width)]
        case "channels":
            solids = [block((left, under, -0.3 * thick), (right, tall - 2, thick / 2), 1.5)]
            rolls = np.linspace(left, right, count * d.channels + 1)
            for a, b in zip(rolls[:-1], rolls[1:], strict=True):
                size, middle = (b - a + 0.6, tall + 4, 0.8 * thick), ((a + b) / 2, tall / 2 - 2, -0.1 * thick)
                solids.append(rounded_box(size, 0.3 * (b - a), middle, segments=4))
        case _:
            top = tall - (4 if d.back == "cushions" else 0)
            solids = [_run(d, (left, under, -thick / 2), (right, top, thick / 2), d.edge + 1)]
    if d.back == "cushions":
        for a, b in zip(places[:-1], places[1:], strict=True):
            soft = pillow(b - a + 0.3, 0.92 * tall, 14, 4).rotate((-5, 0, 0))
            solids.append(soft.translate(((a + b) / 2, 0.5 * tall, -thick / 2 - 3)))
    lean = 0.0 if d.back == "curved" else d.lean
    return [solid.rotate((lean, 0, 0)).translate((0, d.height, d.depth / 2 + 0.4 * thick)) for solid in solids]


def _slats(d: Design, left: float, right: float) -> list[Manifold]:
    """A wooden back: two rails, two posts, upright slats."""
    thick, tall, under = 2.4 * d.member, d.back_height, d.clearance - d.height + 3
    solids = [
        box((right - left, 9, thick), ((left + right) / 2, tall - 4.5, 0)),
        box((right - left, 6, thick), ((left + right) / 2, 0.12 * tall, 0)),
    ]
    for x in (left + thick / 2, right - thick / 2):
        solids.append(box((thick, tall - under, thick + 0.6), (x, (tall + under) / 2, 0)))
    for x in np.linspace(left, right, _count(d) * (d.channels + 1) + 1)[1:-1]:
        solids.append(box((1.1 * thick, tall - 4, 0.8 * thick), (x, tall / 2, 0)))
    return solids


def _chaise(d: Design) -> list[Part]:
    """The last seat drawn out forward to lie on."""
    half, front = _half(d), -d.depth / 2
    left, fore = half - d.seat_width, front - d.extent
    parts = [Part("seat", block((left, d.clearance, fore + 1), (half + 0.5, d.height - d.pad + 1, 0), d.edge))]
    if d.base == "plinth":
        parts.append(
            Part(
                "base",
                box(
                    (d.seat_width - 6, d.clearance + 1, d.extent + 8),
                    (half - d.seat_width / 2, (d.clearance + 1) / 2, front + 4 - d.extent / 2 + 5),
                ),
            )
        )
    else:
        legs = short_legs(d.base, d.seat_width / 2 - 4 - d.member, d.clearance, fore, front, d.member)
        parts += [Part("base", leg.translate((half - d.seat_width / 2, 0, 0))) for leg in legs]
    return parts


def _corner(d: Design) -> list[Part]:
    """A second side that reaches forward, its back on the right.

    It is made like a sofa that looks to -z and ends at x = 0, then turned to look to -x.
    """
    front, rear, extent = -d.depth / 2, d.depth / 2 + d.back_depth, 1.3 * d.extent
    far = -(extent + d.depth + d.back_depth)  # the rear of the main back
    parts = [Part("seat", block((-extent - 9, d.clearance, front + 1), (0.5, d.height - d.pad + 1, rear), d.edge))]
    if d.pad:
        parts.append(Part("seat", _pad(d, (-extent - 0.4, 0.1), (front - 1, d.depth / 2 + 1))))
    parts += [Part("back", solid) for solid in _back(d, far + 1, 0.6, 2)]
    outer = standing(d.arms, d.arm_width)
    if d.arms != "no_arms":
        level = d.height + d.arm_height
        arms = stuffed_arms(d.arms, 0.0, d.arm_width, d.clearance, level, front, rear, d.edge, d.member)
        parts.append(Part("arm", arms.trim_by_plane((1, 0, 0), -0.5)))
    if d.base == "plinth":
        parts.append(
            Part(
                "base",
                box(
                    (extent + 6, d.clearance + 1, rear - front - 8),
                    (outer - 3 - extent / 2, (d.clearance + 1) / 2, (front + rear) / 2 + 1),
                ),
            )
        )
    else:
        half = extent / 2 + outer / 2
        legs = short_legs(d.base, half - 4 - d.member, d.clearance, front, rear, d.member)
        parts += [Part("base", leg.translate((outer - half, 0, 0))) for leg in legs]
    shift = (_half(d) - d.depth / 2, 0, front - extent)
    return [Part(part.label, part.solid.rotate((0, 90, 0)).translate(shift)) for part in parts]


def _run(d: Design, low: Vector, high: Vector, edge: float | None = None) -> Manifold:
    """A block along the whole sofa; with many sections where it will be bent."""
    edge = d.edge if edge is None else edge
    if d.back != "curved":
        return block(low, high, edge) if edge else box(np.subtract(high, low), np.add(low, high) / 2)
    (x0, y0, z0), (x1, y1, z1) = low, high
    insets = [max(edge, 0.1), 0.3 * edge, *[0.0] * 13, 0.3 * edge, max(edge, 0.1)]
    xs = [x0, x0 + 0.3 * edge + 0.05, *np.linspace(x0 + edge + 0.1, x1 - edge - 0.1, 13), x1 - 0.3 * edge - 0.05, x1]
    rings = []
    for x, inset in zip(xs, insets, strict=True):
        ring = superellipse(z1 - z0 - 2 * inset, y1 - y0 - 2 * inset, 4 + 14 / (1 + edge), 16)
        rings.append(np.column_stack([np.full(16, x), ring[:, 1] + (y0 + y1) / 2, ring[:, 0] + (z0 + z1) / 2]))
    return loft(np.stack(rings))


def _bent(solid: Manifold, radius: float) -> Manifold:
    """A solid bent about a vertical axis in front of the sofa, so that its ends come forward."""

    def onto_arc(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        angle, reach = points[:, 0] / radius, radius + points[:, 2]
        return np.column_stack([reach * np.sin(angle), points[:, 1], reach * np.cos(angle) - radius])

    return solid.warp_batch(onto_arc)
