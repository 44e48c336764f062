"""Wings of airplanes with winglets, tanks and struts, and their tails."""

import numpy as np
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.airplane_body import Fuselage, both, turned
from tpl.shapes.procedural.airplane_design import Design
from tpl.shapes.procedural.parts import Part, Vector, loft, mirrored, rod

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
# (z, radius) of a tank at a wing tip, in units of its radius.
TANK = [(0.0, 0.15), (0.5, 0.6), (1.6, 0.96), (2.8, 1.0), (4.4, 0.9), (6.2, 0.5), (7.0, 0.12)]


class Wing:
    """The right half of the wing by rows along x: height, leading edge (z), chord and thickness."""

    def __init__(self, design: Design, fuselage: Fuselage):
        share, chord, lead = _planform(design)
        middle = np.average(lead + chord / 2, weights=np.gradient(share) * chord)
        _, top, bottom = fuselage.at(design.balance)
        height = {"low": 0.62 * bottom, "biplane": 0.7 * bottom, "mid": 0.0, "high": 0.86 * top}[design.mount]
        self.x = share * design.semi_span
        self.y = height + np.tan(np.radians(design.dihedral)) * self.x
        self.lead, self.chord = lead + design.balance - middle, chord
        # thick enough for a grid, at the root more than at the tip
        self.thickness = np.maximum(design.thickness * chord, (0.021 - 0.006 * share) * design.unit)

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


def _through(*rows: np.ndarray) -> Manifold:
    """A surface with its mirror image, which meets it at x = 0; `rows` as for `_surface`."""
    half = _surface(*rows)
    return half + mirrored(half)


def small_plane(
    design: Design,
    root: tuple[float, float],
    span: float,
    chord: float,
    taper: float = 0.55,
    sweep: float = 0.0,
    dihedral: float = 0.0,
) -> Manifold:
    """A plane on both sides of the fuselage; `root` is (y, z) of its leading edge at x = 0, `span` half of it."""
    x, slope = np.array([0, span]), np.radians(dihedral)
    lead = np.column_stack([x, root[0] + np.tan(slope) * x, root[1] + np.tan(np.radians(sweep)) * x])
    chords = chord * np.array([1, taper])
    thickness = np.maximum(0.1 * chords, design.unit * np.array([0.0165, 0.0135]))
    normal = np.array([(0, 1, 0), (-np.sin(slope), np.cos(slope), 0)])
    return _through(lead, chords, thickness, normal)


def _fin(design: Design, base: Vector, size: float = 1.0, cant: float = 0.0, fillet: float = 0.3) -> Manifold:
    """A fin that stands on `base`, the leading edge of its root, and goes on a little below, with a fillet."""
    height, chord, back = size * design.fin_height, size * design.fin_chord, np.tan(np.radians(design.fin_sweep))
    y = np.array([-0.6 * design.radius, 0.1 * height, height])
    z = np.array([-fillet * chord, 0.1 * height * back, height * back])
    lead = np.column_stack([np.sin(np.radians(cant)) * y, y, z]) + np.asarray(base, dtype=float)
    chords = chord * np.array([1 + fillet, 1, 0.45])
    thickness = np.maximum(0.1 * chords, design.unit * np.array([0.0175, 0.0165, 0.0135]))
    return _surface(lead, chords, thickness, np.tile([1.0, 0, 0], (3, 1)))


def wings(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """The wing with what is at its tips and its struts; a biplane has a second one above."""
    lead, chord, thickness, normal = _with_tip(design, wing)
    parts = [Part("wing", _through(lead, chord, thickness, normal))]
    half_width, top, bottom = fuselage.at(design.balance)
    thin = 0.0055 * design.unit
    if design.tip == "tank":
        radius = max(0.2 * wing.chord[-1], 0.012 * design.unit)
        parts += both("wing", turned(TANK, radius, (wing.x[-1], wing.y[-1], wing.lead[-1] - 2 * radius)))
    if design.kind == "light_high_wing":
        x = 0.52 * design.semi_span
        y, z, width = wing.at(x)
        foot = (0.7 * half_width, 0.72 * bottom, design.balance)
        parts += both("strut", rod(foot, (x, y, z + 0.35 * width), thin, segments=6))
    if design.mount == "biplane":
        up, forward = top + 0.08 - wing.y[0], -0.18 * design.chord
        parts.append(Part("wing", _through(lead + np.array([0, up, forward]), chord, thickness, normal)))
        inner, outer = 0.6 * half_width, 0.66 * design.semi_span
        for x, foot_y in ((inner, 0.5 * top), (outer, wing.at(outer)[0])):
            y, z, width = wing.at(x)
            for share in (0.18, 0.7):
                foot = np.array([x, foot_y, z + share * width])
                parts += both("strut", rod(foot, (x, y + up, foot[2] + forward), thin, segments=6))
    return parts


def _with_tip(design: Design, wing: Wing) -> tuple[np.ndarray, ...]:
    """The wing's rows as for `_surface`, with those of a winglet or a rounded end."""
    rows = len(wing.x)
    lead, normal = np.column_stack([wing.x, wing.y, wing.lead]), np.tile([0.0, 1, 0], (rows, 1))
    last, tip = lead[-1], wing.chord[-1]
    if design.tip == "winglet":
        rise = min(0.38 * design.chord, 0.13)
        more = last + [(0.28 * rise, 0.14 * rise, 0.2 * tip), (0.5 * rise, rise, 0.2 * tip + 0.75 * rise)]
        chords, thin, tilted = [0.8 * tip, 0.45 * tip], [0.0135, 0.0125], [(-0.66, 0.75, 0), (-0.97, 0.25, 0)]
    elif "delta" not in design.planform:
        more = last + [(0.16 * tip, 0, 0.22 * tip)]
        chords, thin, tilted = [0.6 * tip], [0.0125], [(0, 1, 0)]
    else:
        return lead, wing.chord, wing.thickness, normal
    return (
        np.concatenate([lead, more]),
        np.append(wing.chord, chords),
        np.append(wing.thickness, design.unit * np.array(thin)),
        np.concatenate([normal, tilted]),
    )


def tail(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """Fins and tailplanes, or canards in their stead."""
    span, chord, fin_chord, height = design.tail_span, design.tail_chord, design.fin_chord, design.fin_height
    end, root = 0.97 - fin_chord, 0.95 - chord  # leading edges, where fin and plane meet the fuselage
    half_width, top, _ = fuselage.at(0.98 - fin_chord / 2)
    middle = fuselage.middle(0.95 - chord / 2)

    def plane(y: float, z: float, **changes: float) -> Part:
        usual = {"span": span, "chord": chord, "sweep": max(0.9 * design.sweep, 6.0)}
        return Part("tail", small_plane(design, (y, z), **(usual | changes)))

    fin = Part("tail", _fin(design, (0, 0.9 * top, end)))
    match design.tail:
        case "conventional":
            return [fin, plane(middle, root)]
        case "T" | "cruciform":
            up = (0.97 if design.tail == "T" else 0.4) * height
            return [fin, plane(0.9 * top + up, end + up * np.tan(np.radians(design.fin_sweep)))]
        case "V":
            return [plane(middle, 0.93 - 1.3 * chord, span=0.9 * span, chord=1.3 * chord, dihedral=38.0)]
        case "H":
            fins = _fin(design, (0.97 * span, middle - 0.3 * height, root), size=0.95, fillet=0.0)
            return [plane(middle, root, taper=0.8), *both("tail", fins)]
        case "twin":  # side by side on the fuselage
            fins = _fin(design, (0.72 * half_width, 0.7 * top, end - 0.04), cant=14.0)
            return [plane(middle, root), *both("tail", fins)]
        case "twin_fins":  # and no tailplane: they stand on the wing
            x = half_width if design.engines == "rocket" else 0.3 * design.semi_span
            y, lead, width = wing.at(x)
            return both("tail", _fin(design, (x, y, lead + width - 1.1 * fin_chord), cant=10.0))
        case "booms":
            x = design.engine_place * design.semi_span
            y, lead, width = wing.at(x)
            boom = rod((x, y, lead + 0.3 * width), (x, y, 1.5), 0.6 * design.engine_radius, 0.008 * design.unit)
            fins = _fin(design, (x, y, 1.48 - fin_chord), size=0.8)
            back = plane(y, 1.47 - chord, span=x, taper=1.0, sweep=0.0)
            return [*both("fuselage", boom), *both("tail", fins), back]
        case "canard" | "canard_and_fin":
            z = 0.1 if design.engines == "pusher" else 0.34
            canard = plane(fuselage.middle(z) + 0.2 * design.radius, z)
            return [canard] if design.tail == "canard" else [canard, fin]
        case "fin_only":
            return [fin]
        case _:
            return []
