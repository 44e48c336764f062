"""Airplanes: fuselages, wings, tails, engines and propellers of twenty kinds, from airliner to glider.

We design in fuselage lengths: the fuselage reaches from z = 0 (nose) to z = 1 (tail), wings lie along x,
y is up; `assemble` scales the union to RAW. Each kind of airplane is a row of `airplane_kinds.KINDS`: the
options of its choices and the bounds of its numbers. So every draw is a coherent airplane.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import trimesh
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.airplane_kinds import (
    AFTS,
    CHIN_INTAKE,
    COMMON,
    DARK,
    FIXED_COLORS,
    FOUR_JETS,
    FOUR_PROPS,
    KINDS,
    LIVERIES,
    NOSE_INTAKE,
    NOSE_PROP,
    NOSES,
    PUSHER,
    SIDE_INTAKES,
    TAIL_JETS,
    TAIL_TRIJET,
    THREE_JETS,
    TWO_JETS,
    TWO_PROPS,
)
from tpl.shapes.procedural.parts import Part, Vector, assemble, loft, mirrored, prism, rod, superellipse

# Across the flow, from the nose of the section round its back: share of the chord, share of the thickness.
AIRFOIL = np.array(
    [
        (0.0, 0.14),
        (0.06, 0.36),
        (0.28, 0.5),
        (0.62, 0.42),
        (1.0, 0.16),
        (1.0, -0.16),
        (0.62, -0.42),
        (0.28, -0.5),
        (0.06, -0.36),
        (0.0, -0.14),
    ]
)
# (z, radius): an open front, the hull, and the core that sticks out behind; lengths in radii of the hull.
JET_POD = [
    (0.4, 0.76),
    (0.0, 0.84),
    (0.1, 0.94),
    (0.6, 1.0),
    (1.8, 0.95),
    (2.9, 0.66),
    (2.9, 0.45),
    (3.5, 0.2),
]
PROP_POD = [(0.0, 0.52), (0.25, 0.72), (1.2, 1.0), (3.2, 0.98), (5.0, 0.62), (6.2, 0.26)]
NOZZLE = [(0.0, 0.9), (1.0, 1.0), (1.9, 0.84), (1.4, 0.7)]
SPINNER = [(-0.9, 0.12), (-0.7, 0.5), (-0.3, 0.86), (0.3, 1.0), (0.8, 1.0)]
TANK = [(0.0, 0.15), (0.5, 0.6), (1.6, 0.96), (2.8, 1.0), (4.4, 0.9), (6.2, 0.5), (7.0, 0.12)]


@dataclass(frozen=True)
class Design:
    """All that `build` needs. Words are choices of style; lengths are fuselage lengths, angles degrees."""

    kind: str  # a row of KINDS
    nose: str  # a table of NOSES
    aft: str  # a table of AFTS
    canopy: str  # cockpit, row of windows, cabin, bubble, open
    mount: str  # where the wing meets the fuselage: low, mid, high; biplane has two wings
    planform: str  # the wing from above: straight, tapered, elliptic, swept, trapezoid, delta, double delta
    tip: str  # of the wing: plain, winglet, tank
    engines: str
    tail: str
    gear: str  # retracted, tricycle, taildragger, floats
    livery: str  # a row of LIVERIES
    blades: str  # of each propeller
    radius: float  # half the height of the fuselage
    width: float  # of the fuselage, over its height
    squareness: float  # power of the superellipse that is the fuselage's section; 2 is an ellipse
    nose_length: float
    aft_length: float
    semi_span: float
    chord: float  # of the wing at its root
    taper: float  # chord at the tip over chord at the root
    sweep: float  # of the wing's leading edge
    dihedral: float
    thickness: float  # of the wing over its chord, where that is not too thin for a grid
    balance: float  # z of the wing's middle
    engine_radius: float
    engine_place: float  # of the inner engines along the half span
    fin_height: float
    fin_chord: float
    fin_sweep: float
    tail_span: float  # half of it
    tail_chord: float
    canopy_place: float  # z of its middle
    canopy_length: float
    tint: float  # darkens the livery

    @property
    def unit(self) -> float:
        """The length that becomes 1 in RAW: about the diagonal of the bounding box."""
        return float(np.linalg.norm([1, 2 * self.semi_span, 2 * self.radius + self.fin_height]))


def sample_design(rng: np.random.Generator) -> Design:
    """A random airplane: first its kind, then each choice and number as that kind has them."""
    weights = np.array([row["weight"][0] for row in KINDS.values()])
    kind = str(rng.choice(list(KINDS), p=weights / weights.sum()))
    drawn = {"kind": kind}
    for field in fields(Design)[1:]:
        options = (COMMON | KINDS[kind])[field.name]
        if isinstance(options[0], str):
            drawn[field.name] = options[rng.integers(len(options))]
        else:
            drawn[field.name] = float(rng.uniform(*options))
    return Design(**drawn)


def style(design: Design) -> str:
    """The family of an airplane: the discrete choices that show from afar."""
    return "-".join((design.kind, design.mount, design.planform, design.engines, design.tail))


def build(design: Design) -> trimesh.Trimesh:
    """The airplane as one watertight, labelled, coloured mesh in RAW: nose to -z, wings along x."""
    fuselage = Fuselage(design)
    wing = Wing(design, fuselage)
    parts = [
        *_body(design, fuselage),
        *_wings(design, fuselage, wing),
        *_tail(design, fuselage, wing),
        *_engines(design, fuselage, wing),
        *_gear(design, fuselage, wing),
    ]
    livery = dict(zip(("fuselage", "wing", "tail", "engine"), LIVERIES[design.livery], strict=False))
    palette = {
        label: tuple(int(design.tint * value) for value in color)
        for label, color in (livery | FIXED_COLORS).items()
    }
    mesh = assemble(parts, palette)
    _paint(mesh, design)
    return mesh


class Fuselage:
    """Sections along z, as rows of z, half width, top and bottom."""

    def __init__(self, design: Design):
        nose, aft = np.array(NOSES[design.nose]), np.array(AFTS[design.aft])
        nose[:, 0] *= design.nose_length
        aft[:, 0] = 1 - design.aft_length * (1 - aft[:, 0])
        rows = np.concatenate([nose, aft]) * (1, design.radius * design.width, design.radius, design.radius)
        thin = aft_rows = rows[len(nose) :]
        thin[:, 1] = np.maximum(aft_rows[:, 1], 0.007 * design.unit)  # a tail boom that a grid resolves
        self.rows, self.power = rows, design.squareness

    def at(self, z: float) -> tuple[float, float, float]:
        """Half width, top and bottom at z."""
        rows = self.rows[np.argmin(self.rows[:, 0]) :]  # without the inside of an intake
        half_width, top, bottom = (float(np.interp(z, rows[:, 0], column)) for column in rows.T[1:])
        return half_width, top, bottom

    def middle(self, z: float) -> float:
        """Height of the axis at z."""
        return sum(self.at(z)[1:]) / 2

    def where_top_reaches(self, y: float) -> float:
        """The z at which the nose has risen to the height y."""
        rising = self.rows[: np.argmax(self.rows[:, 2]) + 1]
        return float(np.interp(y, rising[:, 2], rising[:, 0]))

    def solid(self, margin: float = 0.0) -> Manifold:
        return _hull(self.rows + np.array([0, margin, margin, -margin]), self.power)


class Wing:
    """The right half of a wing as rows along x: share of the half span, height, leading edge, chord."""

    def __init__(self, design: Design, fuselage: Fuselage):
        share, chord, lead = _planform(design)
        middle = np.average(lead + chord / 2, weights=np.gradient(share) * chord)
        _, top, bottom = fuselage.at(design.balance)
        height = {"low": 0.62 * bottom, "biplane": 0.7 * bottom, "mid": 0.0, "high": 0.86 * top}[design.mount]
        self.x = share * design.semi_span
        self.y = height + np.tan(np.radians(design.dihedral)) * self.x
        self.lead, self.chord = lead + design.balance - middle, chord
        # thick enough for a grid, at the root more than at the tip
        self.thickness = np.maximum(design.thickness * chord, (0.0135 - 0.0045 * share) * design.unit)

    def at(self, x: float) -> tuple[float, float, float]:
        """Height, leading edge and chord at x."""
        y, lead, chord = (float(np.interp(x, self.x, column)) for column in (self.y, self.lead, self.chord))
        return y, lead, chord


def _planform(design: Design) -> Float[np.ndarray, "3 rows"]:
    """Share of the half span, chord, and leading edge behind that of the root."""
    chord, tip = design.chord, design.chord * design.taper
    back = np.tan(np.radians(design.sweep)) * design.semi_span  # from the root's leading edge to the tip's
    match design.planform:
        case "straight":
            rows = [(0, chord, 0), (0.55, chord, 0), (1, 0.5 * (chord + tip), 0.15 * (chord - tip))]
        case "elliptic":
            share = np.array([0, 0.3, 0.55, 0.75, 0.9, 1])
            ellipse = chord * np.sqrt(1 - 0.93 * share**2)
            rows = np.column_stack([share, ellipse, 0.35 * (chord - ellipse)])
        case "swept":  # a kink where the trailing edge turns back
            inner = max(chord - 0.8 * 0.36 * back, 0.5 * (chord + tip) * 0.85)
            rows = [(0, chord, 0), (0.36, inner, 0.36 * back), (1, tip, back)]
        case "trapezoid":  # with a strake at the root
            inner = 0.42 * tip + 0.58 * chord
            rows = [(0, 1.5 * chord, -0.5 * chord), (0.42, inner, 0.42 * back), (1, tip, back)]
        case "double_delta":
            inner = max(chord - 0.62 * back, 0.45 * chord)
            rows = [(0, chord, 0), (0.42, inner, 0.62 * back), (1, tip, back)]
        case _:  # tapered, delta
            rows = [(0, chord, 0), (1, tip, back)]
    return np.array(rows, dtype=float).T


def _hull(rows: Float[np.ndarray, "rows 4"], power: float, center: Vector = (0, 0, 0)) -> Manifold:
    """A body along z from rows of z, half width, top, bottom; its sections are superellipses."""
    ring = superellipse(2.0, 2.0, power, 16)
    z, half_width, top, bottom = (column[:, None] for column in rows.T)
    x = half_width * ring[:, 0]
    y = (top + bottom) / 2 + (top - bottom) / 2 * ring[:, 1]
    return loft(np.stack([x, y, np.broadcast_to(z, x.shape)], -1) + np.asarray(center, dtype=float))


def _turned(profile: Sequence[tuple[float, float]], radius: float, center: Vector) -> Manifold:
    """A round body along z; its profile of (z, radius) is in units of `radius`."""
    angle = (np.arange(12) + 0.5) * np.pi / 6
    z, r = (radius * np.array(column)[:, None] for column in zip(*profile, strict=True))
    rings = np.stack([r * np.cos(angle), r * np.sin(angle), np.broadcast_to(z, (len(z), 12))], -1)
    return loft(rings + np.asarray(center, dtype=float))


def _surface(
    lead: Float[np.ndarray, "rows 3"],
    chord: Float[np.ndarray, " rows"],
    thickness: Float[np.ndarray, " rows"],
    normal: Float[np.ndarray, "rows 3"],
) -> Manifold:
    """A wing, fin or blade: airfoils from `lead` backwards along z, their upper side towards `normal`."""
    along = np.array([0, 0, 1]) * AIRFOIL[:, :1] * chord[:, None, None]
    across = normal[:, None] * AIRFOIL[:, 1:] * thickness[:, None, None]
    return loft(lead[:, None] + along + across)


def _through(lead, chord, thickness, normal) -> Manifold:
    """A surface that goes on through the plane of symmetry: the rows of its right half, first x = 0."""
    flip = np.array([-1, 1, 1])
    both = [np.concatenate([rows[:0:-1], rows]) for rows in (chord, thickness)]
    return _surface(
        np.concatenate([lead[:0:-1] * flip, lead]), *both, np.concatenate([normal[:0:-1] * flip, normal])
    )


def _pair(
    design: Design,
    root: tuple[float, float],
    span: float,
    chord: float,
    taper: float = 0.55,
    sweep: float = 0.0,
    dihedral: float = 0.0,
) -> Manifold:
    """A small plane on both sides of the fuselage; `root` is (y, z) of its leading edge at x = 0."""
    x, slope = np.array([0, span]), np.radians(dihedral)
    lead = np.column_stack([x, root[0] + np.tan(slope) * x, root[1] + np.tan(np.radians(sweep)) * x])
    chords = chord * np.array([1, taper])
    thickness = np.maximum(0.1 * chords, design.unit * np.array([0.0115, 0.009]))
    normal = np.array([(0, 1, 0), (-np.sin(slope), np.cos(slope), 0)])
    return _through(lead, chords, thickness, normal)


def _fin(
    design: Design, base: Vector, height: float, chord: float, cant: float = 0.0, fillet: float = 0.3
) -> Manifold:
    """A fin that stands on `base`, the leading edge of its root; it goes on a little below, with a fillet."""
    back = np.tan(np.radians(design.fin_sweep))
    y = np.array([-0.6 * design.radius, 0.1 * height, height])
    z = np.array([-fillet * chord, 0.1 * height * back, height * back])
    lead = np.column_stack([np.sin(np.radians(cant)) * y, y, z]) + np.asarray(base, dtype=float)
    chords = chord * np.array([1 + fillet, 1, 0.45])
    thickness = np.maximum(0.1 * chords, design.unit * np.array([0.0125, 0.0115, 0.009]))
    return _surface(lead, chords, thickness, np.tile([1.0, 0, 0], (3, 1)))


def _body(design: Design, fuselage: Fuselage) -> list[Part]:
    """The fuselage and its glass."""
    radius, parts = design.radius, [Part("fuselage", fuselage.solid())]
    start, end = design.nose_length, 1 - design.aft_length

    def glass(outline: list[tuple[float, float]]) -> Part:
        """What of a skin just outside the fuselage lies in an outline of (z, y in radii)."""
        skin = fuselage.solid(0.0015 * design.unit)
        shadow = np.array(outline) * (1, radius)
        return Part("canopy", skin ^ prism(shadow, -1, 1, axis="x"))

    if design.canopy in ("cockpit", "windows"):
        low, high = (fuselage.where_top_reaches(share * radius) for share in (0.15, 0.72))
        parts.append(glass([(low, 0.1), (low, 0.7), (high + 0.012, 0.7), (high + 0.012, 0.26)]))
    if design.canopy == "windows":
        last = 1 - 0.8 * design.aft_length
        parts.append(glass([(1.2 * start, 0.14), (1.2 * start, 0.36), (last, 0.36), (last, 0.14)]))
    if design.canopy == "cabin":
        low, high = (fuselage.where_top_reaches(share * radius) for share in (0.5, 0.9))
        last = end + 0.1 * design.aft_length
        parts.append(glass([(low, 0.3), (low, 0.5), (high, 0.86), (last, 0.82), (last + 0.06, 0.34)]))
    if design.canopy in ("bubble", "open"):
        share = np.array([0, 0.1, 0.3, 0.6, 0.85, 1])
        z = design.canopy_place + (share - 0.5) * design.canopy_length
        half_width, top, _ = np.array([fuselage.at(value) for value in z]).T
        rise = 0.5 * radius * np.array([-0.1, 0.45, 0.95, 1, 0.55, 0])
        width = 0.66 * half_width.max() * np.array([0.3, 0.7, 0.96, 1, 0.8, 0.4])
        parts.append(Part("canopy", _hull(np.column_stack([z, width, top + rise, top - 0.5 * radius]), 2.2)))
    return parts


def _wings(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """The wing with its tips and struts; a biplane has a second one above."""
    tip, unit = len(wing.x) - 1, design.unit
    x, y, lead, chord, thickness = wing.x, wing.y, wing.lead, wing.chord, wing.thickness
    normal = np.tile([0.0, 1, 0], (len(x), 1))
    if design.tip == "winglet":
        rise = 0.38 * design.chord
        x, y = (
            np.append(x, x[tip] + rise * np.array([0.28, 0.5])),
            np.append(y, y[tip] + rise * np.array([0.14, 1])),
        )
        lead = np.append(lead, lead[tip] + np.array([0.2 * chord[tip], 0.2 * chord[tip] + 0.75 * rise]))
        chord = np.append(chord, chord[tip] * np.array([0.8, 0.45]))
        thickness = np.append(thickness, unit * np.array([0.0095, 0.0085]))
        normal = np.concatenate([normal, [(-0.66, 0.75, 0), (-0.97, 0.25, 0)]])
    elif "delta" not in design.planform:  # a rounded end
        x, y = np.append(x, x[tip] + 0.16 * chord[tip]), np.append(y, y[tip])
        lead, chord = np.append(lead, lead[tip] + 0.22 * chord[tip]), np.append(chord, 0.6 * chord[tip])
        thickness, normal = np.append(thickness, 0.0085 * unit), np.concatenate([normal, normal[:1]])
    parts = [Part("wing", _through(np.column_stack([x, y, lead]), chord, thickness, normal))]

    if design.tip == "tank":
        radius = max(0.2 * wing.chord[tip], 0.012 * unit)
        tank = _turned(TANK, radius, (wing.x[tip], wing.y[tip], wing.lead[tip] - 2 * radius))
        parts += _both("wing", tank)
    thin = 0.0055 * unit
    if design.kind == "light_high_wing":
        half_width, _, bottom = fuselage.at(design.balance)
        foot, place = (0.7 * half_width, 0.72 * bottom, design.balance), 0.52 * design.semi_span
        height, front, width = wing.at(place)
        parts += _both("strut", rod(foot, (place, height, front + 0.35 * width), thin, segments=6))
    if design.mount == "biplane":
        half_width, top, _ = fuselage.at(design.balance)
        shift = np.array([0, top + 0.08 - wing.y[0], -0.18 * design.chord])
        parts.append(Part("wing", _through(np.column_stack([x, y, lead]) + shift, chord, thickness, normal)))
        for at, foot_y in ((0.66 * design.semi_span, None), (0.6 * half_width, 0.5 * top)):
            height, front, width = wing.at(at)
            for share in (0.18, 0.7):
                z = front + share * width
                foot = (at, height if foot_y is None else foot_y, z)
                head = (at, height + shift[1], z + shift[2])
                parts += _both("strut", rod(foot, head, thin, segments=6))
    return parts


def _tail(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """Fins and tailplanes, or canards in their stead."""
    span, chord, height = design.tail_span, design.tail_chord, design.fin_height
    sweep, end = max(0.9 * design.sweep, 6.0), 0.97 - design.fin_chord
    half_width, top, _ = fuselage.at(0.98 - design.fin_chord / 2)
    low = fuselage.middle(0.95 - chord / 2)  # where a tailplane goes through the fuselage
    root = 0.95 - chord

    def plane(y: float, z: float, **changes: float) -> Manifold:
        return _pair(design, (y, z), **({"span": span, "chord": chord, "sweep": sweep} | changes))

    if design.tail == "V":
        return [
            Part("tail", plane(low, 0.93 - 1.3 * chord, span=0.9 * span, chord=1.3 * chord, dihedral=38.0))
        ]
    if design.tail == "H":
        fins = _fin(
            design, (0.97 * span, low - 0.3 * height, root), height, 0.9 * design.fin_chord, fillet=0.0
        )
        return [Part("tail", plane(low, root, taper=0.8)), *_both("tail", fins)]
    if design.tail == "twin":
        fins = _fin(design, (0.72 * half_width, 0.7 * top, end - 0.04), height, design.fin_chord, cant=14.0)
        return [Part("tail", plane(low, root)), *_both("tail", fins)]
    if design.tail == "booms":
        x = design.engine_place * design.semi_span
        y, lead, width = wing.at(x)
        boom = rod((x, y, lead + 0.3 * width), (x, y, 1.5), 0.6 * design.engine_radius, 0.008 * design.unit)
        fin = _fin(design, (x, y, 1.48 - design.fin_chord), 0.7 * height, design.fin_chord)
        back = plane(y, 1.47 - chord, span=x, taper=1.0, sweep=0.0)
        return [*_both("fuselage", boom), *_both("tail", fin), Part("tail", back)]

    parts = []
    if design.tail != "canard":
        parts.append(Part("tail", _fin(design, (0, 0.9 * top, end), height, design.fin_chord)))
    if design.tail == "conventional":
        parts.append(Part("tail", plane(low, root)))
    if design.tail in ("T", "cruciform"):
        share = 0.97 if design.tail == "T" else 0.4
        z = end + share * height * np.tan(np.radians(design.fin_sweep))
        parts.append(Part("tail", plane(0.9 * top + share * height, z)))
    if "canard" in design.tail:
        z = 0.1 if design.engines == PUSHER else 0.4
        parts.append(Part("tail", plane(fuselage.middle(z) + 0.2 * design.radius, z)))
    return parts


def _engines(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """Jets in pods or inside the fuselage, propellers with their nacelles."""
    radius, unit, parts = design.engine_radius, design.unit, []
    places = [design.engine_place * design.semi_span]
    if design.engines in (FOUR_JETS, FOUR_PROPS):
        places.append(
            places[0] + (0.26 if design.kind != "supersonic_transport" else 0.24) * design.semi_span
        )

    if design.engines in (TWO_JETS, FOUR_JETS, THREE_JETS):
        for x in places:
            y, lead, chord = wing.at(x)
            ahead = 0.45 * chord - 2.6 * radius if "delta" in design.planform else -2.1 * radius
            pod = np.array([x, y - 1.35 * radius - 0.006 * unit, lead + ahead])
            pylon = np.array(
                [
                    (pod[2] + 0.9 * radius, pod[1]),
                    (pod[2] + 0.9 * radius, pod[1] + 0.95 * radius),
                    (max(lead, pod[2]) + 0.1 * chord, y),
                    (max(lead, pod[2]) + 0.5 * chord, y),
                    (pod[2] + 2.6 * radius, pod[1]),
                ]
            )
            parts += _both("engine", _turned(JET_POD, radius, pod))
            parts += _both("engine", prism(pylon, x - 0.005 * unit, x + 0.005 * unit, axis="x"))
    if design.engines in (TAIL_JETS, TAIL_TRIJET):
        z = 1 - (0.98 if design.kind != "attack_jet" else 1.05) * design.aft_length
        half_width, top, _ = fuselage.at(z + 2 * radius)
        y = (0.45 if design.kind != "attack_jet" else 0.9) * top
        x = half_width + 1.25 * radius
        pylon = _pair(design, (y, z + radius), span=x, chord=2 * radius, taper=1.0)
        parts += [*_both("engine", _turned(JET_POD, radius, (x, y, z))), Part("engine", pylon)]
    if design.engines in (THREE_JETS, TAIL_TRIJET):
        z = 0.97 - 1.15 * design.fin_chord
        _, top, _ = fuselage.at(z)
        parts.append(Part("engine", _turned(JET_POD, radius, (0, top + 0.75 * radius, z))))
    if design.engines in (TWO_PROPS, FOUR_PROPS):
        for x in places:
            y, lead, _ = wing.at(x)
            front = lead - 2.2 * radius
            clear = x - fuselage.at(front)[0] if len(places) == 1 else 0.5 * (places[1] - places[0])
            nacelle = _turned(PROP_POD, radius, (x, y, front))
            propeller = _propeller(design, 0.9 * min(clear, 0.13), 0.5 * radius, (x, y, front))
            parts += [*_both("engine", nacelle), *_both("propeller", propeller)]
    if design.engines == NOSE_PROP:
        y, hub = fuselage.middle(0.0), 0.9 * fuselage.at(0.0)[0]
        if design.nose == "radial":
            parts.append(Part("engine", _turned([(0, 1), (1, 1)], 0.8 * hub, (0, y, -0.008))))
            hub *= 0.45
        parts.append(Part("propeller", _propeller(design, 0.135, hub, (0, y, -0.008))))
    if design.engines == PUSHER:
        half_width, top, bottom = fuselage.at(1.0)
        propeller = _propeller(design, 0.135, 0.8 * half_width, (0, 0, 0)).mirror((0, 0, 1))
        parts.append(Part("propeller", propeller.translate((0.0, (top + bottom) / 2, 1.0))))
    if design.engines in (SIDE_INTAKES, CHIN_INTAKE):
        shape = np.array([(0.42, 0.8), (0.38, 0.9), (0.4, 1), (0.65, 1), (0.92, 0.3)])
        width, height = (0.44, 0.66) if design.engines == SIDE_INTAKES else (0.6, 0.42)
        grown = shape[:, 1:] * design.radius
        duct = _hull(np.hstack([shape[:, :1], width * grown, height * grown, -height * grown]), 3.5)
        half_width, _, bottom = fuselage.at(0.45)
        if design.engines == SIDE_INTAKES:
            parts += _both("engine", duct.translate((half_width, -0.1 * design.radius, 0)))
        else:
            parts.append(Part("engine", duct.translate((0, 0.95 * bottom, 0))))
    if design.engines == NOSE_INTAKE:
        parts.append(Part("engine", _turned([(0, 1), (0.8, 1)], 0.48 * design.radius, (0, 0, 0.03))))
        if design.planform == "delta":  # the cone of a supersonic intake
            cone = [(-0.6, 0.06), (0.6, 0.3)]
            parts.append(Part("engine", _turned(cone, design.radius, (0, 0, 0.0))))
    if design.aft == "nozzle":
        half_width, top, bottom = fuselage.at(1.0)
        if design.width > 1.2:
            nozzle = _turned(NOZZLE, 0.72 * top, (0.5 * half_width, 0, 1 - 0.6 * top))
            parts += _both("engine", nozzle)
        else:
            parts.append(Part("engine", _turned(NOZZLE, 0.9 * top, (0, 0, 1 - 0.7 * top))))
    return parts


def _propeller(design: Design, radius: float, hub: float, center: Vector) -> Manifold:
    """A spinner that points forwards, with flat blades, so that the airplane stays mirror symmetric."""
    blades, half_depth = int(design.blades), 0.0045 * design.unit
    hub = max(hub, 0.01 * design.unit)
    solid = _turned(SPINNER, hub, (0, 0, 0))
    for angle in np.pi / 2 * (blades > 2) + np.arange(blades) * 2 * np.pi / blades:
        outwards, sideways = (
            np.array([np.cos(angle), np.sin(angle), 0]),
            np.array([-np.sin(angle), np.cos(angle), 0]),
        )
        rings = [
            [
                reach * outwards + across * width * sideways + (0, 0, along * half_depth)
                for across, along in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            for reach, width in ((0.0, 0.1 * radius), (0.45 * radius, 0.13 * radius), (radius, 0.07 * radius))
        ]
        solid += loft(np.array(rings))
    return solid.translate(tuple(float(value) for value in center))


def _gear(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """Fixed wheels with their legs, or floats."""
    thin, parts = 0.0055 * design.unit, []
    ground = -design.radius - 0.075

    def wheel(x: float, z: float, size: float = 0.03) -> Manifold:
        half_width, _, bottom = fuselage.at(z)
        leg = rod((min(x, 0.5 * half_width), 0.8 * bottom, z), (x, ground + size, z), thin, segments=6)
        axle = 0.007 * design.unit
        return leg + rod((x - axle, ground + size, z), (x + axle, ground + size, z), size, segments=12)

    if design.gear == "tricycle":
        main = design.balance + 0.05
        parts += [Part("gear", wheel(0, 0.13)), *_both("gear", wheel(0.105, main))]
    if design.gear == "taildragger":
        parts += _both("gear", wheel(0.105, design.balance - 0.05, 0.036))
        _, _, bottom = fuselage.at(0.94)
        leg = rod((0, bottom + 0.01, 0.93), (0, bottom - 0.03, 0.95), thin, segments=6)
        parts.append(
            Part("gear", leg + rod((-thin, bottom - 0.03, 0.95), (thin, bottom - 0.03, 0.95), 0.018))
        )
    if design.gear == "floats":
        x, y = 0.13, ground - 0.02
        shape = np.array(
            [
                (0.02, 0.2, 0.6),
                (0.08, 0.7, -0.2),
                (0.2, 1, -0.9),
                (0.5, 1, -1),
                (0.52, 1, -0.6),
                (0.82, 0.4, 0.3),
            ]
        )
        rows = np.column_stack([shape[:, 0], 0.034 * shape[:, 1], np.full(6, 0.03), 0.035 * shape[:, 2]])
        parts += _both("gear", _hull(rows, 3.0, (x, y, 0)))
        for z in (0.24, 0.52):
            half_width, _, bottom = fuselage.at(z)
            parts += _both("strut", rod((0.5 * half_width, 0.8 * bottom, z), (x, y, z), thin, segments=6))
    return parts


def _both(label: str, solid: Manifold) -> list[Part]:
    """A solid of the right side and its mirror image."""
    return [Part(label, solid), Part(label, mirrored(solid))]


def _paint(mesh: trimesh.Trimesh, design: Design) -> None:
    """The lighter underside of the livery, and the dark inside of engines, where faces look along z."""
    under, normals = design.tint * np.array(LIVERIES[design.livery][4]), mesh.face_normals
    label = np.array(mesh.metadata["parts"])[mesh.metadata["part"]]
    colors = mesh.visual.face_colors.copy()
    colors[np.isin(label, ["fuselage", "wing", "tail"]) & (normals[:, 1] < -0.4), :3] = under
    colors[(label == "engine") & (np.abs(normals[:, 2]) > 0.97), :3] = DARK
    mesh.visual.face_colors = colors
