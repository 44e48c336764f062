"""Engines of airplanes: jets in pods or inside the fuselage, propellers; and what they roll or float on."""

import numpy as np
from manifold3d import Manifold, OpType

from tpl.shapes.procedural.airplane_body import Fuselage, both, hull, turned
from tpl.shapes.procedural.airplane_design import Design
from tpl.shapes.procedural.airplane_wings import Wing, small_plane
from tpl.shapes.procedural.parts import Part, Vector, loft, prism, rod

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
SPINNER = [(-0.9, 0.12), (-0.6, 0.6), (0.0, 1.0), (0.8, 1.0)]


def engines(design: Design, fuselage: Fuselage, wing: Wing) -> list[Part]:
    """The engines that the design names, and the nozzle of a jet inside the fuselage."""
    place, span = design.engine_place, design.semi_span
    both_places = (place * span, (place + 0.26) * span)
    match design.engines:
        case "two_jets":
            parts = _wing_jets(design, wing, both_places[:1])
        case "four_jets":
            parts = _wing_jets(design, wing, both_places)
        case "three_jets":
            parts = [*_wing_jets(design, wing, both_places[:1]), _fin_jet(design, fuselage)]
        case "tail_jets":
            parts = _tail_jets(design, fuselage)
        case "tail_trijet":
            parts = [*_tail_jets(design, fuselage), _fin_jet(design, fuselage)]
        case "two_propellers":
            clear = both_places[0] - fuselage.at(design.balance)[0]
            parts = _wing_propellers(design, wing, both_places[:1], clear)
        case "four_propellers":
            parts = _wing_propellers(design, wing, both_places, 0.13 * span)
        case "nose_propeller":
            parts = _nose_propeller(design, fuselage)
        case "pusher":
            half_width = fuselage.at(1.0)[0]
            propeller = _propeller(design, 0.135, 0.8 * half_width, (0, 0, 0)).mirror((0, 0, 1))
            parts = [Part("propeller", propeller.translate((0.0, fuselage.middle(1.0), 1.0)))]
        case "side_intakes" | "chin_intake":
            parts = _intakes(design, fuselage)
        case "nose_intake":
            parts = [Part("engine", turned([(0, 1), (0.8, 1)], 0.48 * design.radius, (0, 0, 0.03)))]
            if design.planform == "delta":  # the cone of a supersonic intake
                parts.append(Part("engine", turned([(-0.6, 0.06), (0.6, 0.3)], design.radius, (0, 0, 0))))
        case "buried_jets":
            parts = _buried_jets(design, wing)
        case _:  # no_engine, rocket
            parts = []
    return parts + _nozzles(design, fuselage)


def _wing_jets(design: Design, wing: Wing, places: tuple[float, ...]) -> list[Part]:
    """Pods on pylons under the wing, ahead of it; under the rear half of a delta."""
    radius, half_width, parts = design.engine_radius, 0.005 * design.unit, []
    for x in places:
        y, lead, chord = wing.at(x)
        front = lead + (0.45 * chord - 2.6 * radius if "delta" in design.planform else -2.1 * radius)
        pod_y, wing_z = y - 1.35 * radius - 0.006 * design.unit, max(lead, front)
        pylon = [
            (front + 0.9 * radius, pod_y),
            (front + 0.9 * radius, pod_y + 0.95 * radius),
            (wing_z + 0.1 * chord, y),
            (wing_z + 0.5 * chord, y),
            (front + 2.6 * radius, pod_y),
        ]
        parts += both("engine", turned(JET_POD, radius, (x, pod_y, front)))
        parts += both("engine", prism(np.array(pylon), x - half_width, x + half_width, axis="x"))
    return parts


def _tail_jets(design: Design, fuselage: Fuselage) -> list[Part]:
    """Pods at both sides of the fuselage; those of an attack jet sit higher."""
    radius, high = design.engine_radius, design.kind == "attack_jet"
    z = 1 - (1.05 if high else 0.98) * design.aft_length
    half_width, top, _ = fuselage.at(z + 2 * radius)
    x, y = half_width + 1.25 * radius, (0.9 if high else 0.45) * top
    pylon = small_plane(design, (y, z + radius), span=x, chord=2 * radius, taper=1.0)
    return [*both("engine", turned(JET_POD, radius, (x, y, z))), Part("engine", pylon)]


def _fin_jet(design: Design, fuselage: Fuselage) -> Part:
    z = 0.97 - 1.15 * design.fin_chord
    y = fuselage.at(z)[1] + 0.75 * design.engine_radius
    return Part("engine", turned(JET_POD, design.engine_radius, (0, y, z)))


def _intakes(design: Design, fuselage: Fuselage) -> list[Part]:
    """Ducts along the sides of the fuselage or under it, open in front."""
    at_sides = design.engines == "side_intakes"
    z, size = np.array([(0.42, 0.8), (0.38, 0.9), (0.4, 1), (0.65, 1), (0.92, 0.3)]).T
    width, height = (0.44, 0.66) if at_sides else (0.6, 0.42)
    grown = size * design.radius
    duct = hull(np.column_stack([z, width * grown, height * grown, -height * grown]), 3.5)
    half_width, _, bottom = fuselage.at(0.45)
    if at_sides:
        return both("engine", duct.translate((half_width, -0.1 * design.radius, 0)))
    return [Part("engine", duct.translate((0, 0.95 * bottom, 0)))]


def _buried_jets(design: Design, wing: Wing) -> list[Part]:
    """Humps on a flying wing, open in front."""
    x = 0.2 * design.semi_span
    y, lead, chord = wing.at(x)
    z, width, top = np.array([(0.3, 0.8, 0.8), (0.24, 0.9, 0.9), (0.27, 1, 1), (0.55, 1, 0.9), (0.95, 0.7, 0.1)]).T
    radius, bottom = design.engine_radius, np.full(5, -0.2 * design.radius)
    rows = np.column_stack([lead + chord * z, radius * width, radius * top, bottom])
    return both("engine", hull(rows, 2.6, (x, y, 0)))


def _nozzles(design: Design, fuselage: Fuselage) -> list[Part]:
    """One nozzle at the end of a fuselage that is open there, two if it is broad."""
    if design.aft not in ("nozzle", "blunt"):
        return []
    half_width, top, _ = fuselage.at(1.0)
    broad = design.width > 1.2
    size = top * {"nozzle": (0.9, 0.72), "blunt": (0.6, 0.42)}[design.aft][broad]
    nozzle = turned(NOZZLE, size, (0.5 * half_width if broad else 0, 0, 1 - 0.8 * size))
    return both("engine", nozzle) if broad else [Part("engine", nozzle)]


def _wing_propellers(design: Design, wing: Wing, places: tuple[float, ...], clear: float) -> list[Part]:
    """Nacelles on the wing with propellers in front, whose blades keep clear of what is beside them."""
    radius, parts = design.engine_radius, []
    for x in places:
        y, lead, _ = wing.at(x)
        hub = (x, y, lead - 2.2 * radius)
        parts += both("engine", turned(PROP_POD, radius, hub))
        parts += both("propeller", _propeller(design, 0.9 * min(clear, 0.13), 0.5 * radius, hub))
    return parts


def _nose_propeller(design: Design, fuselage: Fuselage) -> list[Part]:
    hub, center = 0.9 * fuselage.at(0.0)[0], (0, fuselage.middle(0.0), -0.008)
    if design.nose != "radial":
        return [Part("propeller", _propeller(design, 0.135, hub, center))]
    cylinders = turned([(0, 1), (1, 1)], 0.8 * hub, center)
    return [Part("engine", cylinders), Part("propeller", _propeller(design, 0.135, 0.45 * hub, center))]


def _propeller(design: Design, radius: float, hub: float, center: Vector) -> Manifold:
    """A spinner that points forwards, with flat blades, so that the airplane stays mirror symmetric."""
    blades, hub, half_depth = int(design.blades), max(hub, 0.01 * design.unit), 0.0045 * design.unit
    rings = [
        [(-width, y, -half_depth), (width, y, -half_depth), (width, y, half_depth), (-width, y, half_depth)]
        for y, width in ((0, 0.1 * radius), (0.45 * radius, 0.13 * radius), (radius, 0.07 * radius))
    ]
    blade, first = loft(np.array(rings)), 90 if blades == 2 else 0
    solids = [blade.rotate((0, 0, first + k * 360 / blades)) for k in range(blades)]
    solids.append(turned(SPINNER, hub, (0, 0, 0)))
    x, y, z = center
    return Manifold.batch_boolean(solids, OpType.Add).translate((float(x), float(y), float(z)))


def gear(design: Design, fuselage: Fuselage) -> list[Part]:
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
        parts += [Part("gear", wheel(0.0, 0.13)), *both("gear", wheel(0.105, main))]
    if design.gear == "taildragger":
        parts += both("gear", wheel(0.105, design.balance - 0.05, 0.036))
        _, _, bottom = fuselage.at(0.94)
        leg = rod((0, bottom + 0.01, 0.93), (0, bottom - 0.03, 0.95), thin, segments=6)
        parts.append(Part("gear", leg + rod((-thin, bottom - 0.03, 0.95), (thin, bottom - 0.03, 0.95), 0.018)))
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
        parts += both("gear", hull(rows, 3.0, (x, y, 0)))
        for z in (0.24, 0.52):
            half_width, _, bottom = fuselage.at(z)
            parts += both("strut", rod((0.5 * half_width, 0.8 * bottom, z), (x, y, z), thin, segments=6))
    return parts
