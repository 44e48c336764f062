"""Fuselages of airplanes with their canopies and windows, and the bodies along z that other parts are made of."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from manifold3d import Manifold, OpType

from tpl.shapes.procedural.airplane_design import Design
from tpl.shapes.procedural.parts import Part, Vector, loft, mirrored, prism, superellipse

# Half width, top and bottom of the fuselage in radii, from the tip (0) to the full section (1) ...
NOSES: dict[str, list[tuple[float, float, float, float]]] = {
    "round": [
        (0.00, 0.10, -0.20, -0.38),
        (0.03, 0.30, 0.00, -0.58),
        (0.12, 0.54, 0.22, -0.76),
        (0.30, 0.79, 0.58, -0.92),
        (0.58, 0.95, 0.90, -0.99),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "hump": [
        (0.00, 0.10, -0.15, -0.40),
        (0.02, 0.32, 0.14, -0.60),
        (0.06, 0.54, 0.52, -0.76),
        (0.14, 0.79, 0.98, -0.92),
        (0.26, 0.95, 1.30, -0.99),
        (0.40, 1.00, 1.42, -1.00),
        (0.70, 1.00, 1.38, -1.00),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "pointed": [
        (0.00, 0.06, -0.22, -0.34),
        (0.12, 0.24, 0.00, -0.48),
        (0.35, 0.52, 0.28, -0.70),
        (0.65, 0.80, 0.60, -0.90),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "needle": [
        (0.00, 0.05, -0.45, -0.55),
        (0.15, 0.30, -0.10, -0.66),
        (0.40, 0.66, 0.42, -0.86),
        (0.70, 0.92, 0.85, -0.97),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "slim": [
        (0.00, 0.13, -0.30, -0.52),
        (0.05, 0.30, -0.12, -0.64),
        (0.18, 0.52, 0.10, -0.76),
        (0.42, 0.76, 0.46, -0.90),
        (0.70, 0.93, 0.85, -0.98),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "cowl": [
        (0.00, 0.50, 0.22, -0.46),
        (0.05, 0.72, 0.34, -0.66),
        (0.30, 0.84, 0.42, -0.82),
        (0.60, 0.94, 0.50, -0.95),
        (0.74, 0.96, 0.78, -0.98),
        (0.90, 0.98, 0.98, -1.00),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "radial": [
        (0.00, 0.78, 0.78, -0.78),
        (0.06, 0.95, 0.94, -0.94),
        (0.30, 1.00, 1.00, -1.00),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "inline": [
        (0.00, 0.34, 0.30, -0.38),
        (0.06, 0.48, 0.44, -0.56),
        (0.35, 0.72, 0.66, -0.86),
        (0.70, 0.92, 0.84, -0.98),
        (1.00, 1.00, 1.00, -1.00),
    ],
    "intake": [
        (0.12, 0.46, 0.46, -0.46),
        (0.00, 0.54, 0.54, -0.54),
        (0.03, 0.62, 0.62, -0.62),
        (0.30, 0.82, 0.80, -0.82),
        (0.65, 0.96, 0.94, -0.97),
        (1.00, 1.00, 1.00, -1.00),
    ],
}
# ... and from the end of the full section (0) to the end of the fuselage (1).
AFTS: dict[str, list[tuple[float, float, float, float]]] = {
    "cone": [
        (0.00, 1.00, 1.00, -1.00),
        (0.25, 0.94, 1.00, -0.84),
        (0.50, 0.75, 0.95, -0.45),
        (0.75, 0.48, 0.86, 0.02),
        (0.94, 0.24, 0.74, 0.34),
        (1.00, 0.12, 0.66, 0.44),
    ],
    "ramp": [
        (0.00, 1.00, 1.00, -1.00),
        (0.20, 0.98, 1.00, -0.72),
        (0.50, 0.82, 0.98, -0.10),
        (0.80, 0.50, 0.90, 0.34),
        (1.00, 0.16, 0.78, 0.52),
    ],
    "taper": [
        (0.00, 1.00, 1.00, -1.00),
        (0.18, 0.88, 0.74, -0.88),
        (0.45, 0.62, 0.54, -0.62),
        (0.75, 0.36, 0.44, -0.30),
        (1.00, 0.14, 0.34, -0.02),
    ],
    "spine": [
        (0.00, 1.00, 1.00, -1.00),
        (0.30, 0.82, 0.88, -0.82),
        (0.65, 0.50, 0.68, -0.44),
        (1.00, 0.16, 0.44, 0.06),
    ],
    "boom": [
        (0.00, 1.00, 1.00, -1.00),
        (0.15, 0.84, 0.84, -0.72),
        (0.32, 0.50, 0.60, -0.30),
        (0.55, 0.34, 0.46, -0.14),
        (1.00, 0.26, 0.40, -0.06),
    ],
    "nozzle": [
        (0.00, 1.00, 1.00, -1.00),
        (0.40, 0.97, 0.92, -0.92),
        (0.80, 0.84, 0.74, -0.74),
        (1.00, 0.70, 0.60, -0.60),
    ],
    "blunt": [
        (0.00, 1.00, 1.00, -1.00),
        (0.60, 1.00, 1.00, -0.96),
        (1.00, 0.94, 0.92, -0.80),
    ],
    "pod": [
        (0.00, 1.00, 1.00, -1.00),
        (0.40, 0.84, 0.82, -0.78),
        (0.80, 0.52, 0.55, -0.42),
        (1.00, 0.30, 0.34, -0.22),
    ],
}


class Fuselage:
    """Sections along z, as rows of z, half width, top and bottom."""

    def __init__(self, design: Design):
        nose, aft = np.array(NOSES[design.nose]), np.array(AFTS[design.aft])
        nose[:, 0] *= design.nose_length
        aft[:, 0] = 1 - design.aft_length * (1 - aft[:, 0])
        aft[:, 1] = np.maximum(aft[:, 1], 0.007 * design.unit / (design.radius * design.width))
        self.rows = np.concatenate([nose, aft]) * (1, design.radius * design.width, design.radius, design.radius)
        self.power = design.squareness

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
        """The fuselage, grown by a margin."""
        return hull(self.rows + np.array([0, margin, margin, -margin]), self.power)


def body(design: Design, fuselage: Fuselage) -> list[Part]:
    """The fuselage and its glass."""
    radius, parts = design.radius, [Part("fuselage", fuselage.solid())]
    start, end = 1.2 * design.nose_length, 1 - design.aft_length
    if design.canopy in ("bubble", "open"):
        share = np.array([0, 0.1, 0.3, 0.6, 0.85, 1])
        z = design.canopy_place + (share - 0.5) * design.canopy_length
        half_width, top, _ = np.array([fuselage.at(value) for value in z]).T
        rise = 0.5 * radius * np.array([-0.1, 0.45, 0.95, 1, 0.55, 0])
        width = 0.66 * half_width.max() * np.array([0.3, 0.7, 0.96, 1, 0.8, 0.4])
        return [*parts, Part("canopy", hull(np.column_stack([z, width, top + rise, top - 0.5 * radius]), 2.2))]

    # Windows are what outlines of (z, y in radii) cut out of a skin just outside the fuselage.
    if design.canopy == "cabin":
        low, high = (fuselage.where_top_reaches(share * radius) for share in (0.5, 0.9))
        last = end + 0.1 * design.aft_length
        outlines = [[(low, 0.3), (low, 0.5), (high, 0.86), (last, 0.82), (last + 0.06, 0.34)]]
    else:
        low, high = (fuselage.where_top_reaches(share * radius) for share in (0.15, 0.72))
        outlines = [[(low, 0.1), (low, 0.7), (high + 0.012, 0.7), (high + 0.012, 0.26)]]
    if design.canopy == "windows":
        last = end + 0.2 * design.aft_length
        outlines.append([(start, 0.14), (start, 0.36), (last, 0.36), (last, 0.14)])
    seen_from_the_side = [prism(np.array(outline) * (1, radius), -1, 1, axis="x") for outline in outlines]
    skin = fuselage.solid(0.0015 * design.unit)
    return [*parts, Part("canopy", skin ^ Manifold.batch_boolean(seen_from_the_side, OpType.Add))]


def hull(rows: Float[np.ndarray, "rows 4"], power: float, center: Vector = (0, 0, 0)) -> Manifold:
    """A body along z from rows of z, half width, top, bottom; its sections are superellipses."""
    ring = superellipse(2.0, 2.0, power, 16)
    z, half_width, top, bottom = (column[:, None] for column in rows.T)
    x = half_width * ring[:, 0]
    y = (top + bottom) / 2 + (top - bottom) / 2 * ring[:, 1]
    return loft(np.stack([x, y, np.broadcast_to(z, x.shape)], -1) + np.asarray(center, dtype=float))


def turned(profile: Sequence[tuple[float | int, float | int]], radius: float, center: Vector) -> Manifold:
    """A round body along z; its profile of (z, radius) is in units of `radius`."""
    angle = (np.arange(12) + 0.5) * np.pi / 6
    z, r = (radius * np.array(column)[:, None] for column in zip(*profile, strict=True))
    rings = np.stack([r * np.cos(angle), r * np.sin(angle), np.broadcast_to(z, (len(z), 12))], -1)
    return loft(rings + np.asarray(center, dtype=float))


def both(label: str, solid: Manifold) -> list[Part]:
    """A solid of the right side and its mirror image."""
    return [Part(label, solid), Part(label, mirrored(solid))]
