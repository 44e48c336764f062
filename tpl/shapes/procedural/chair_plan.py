"""Where the parts of a chair meet: the seat's outline from above and the surface that its back lies in."""

import numpy as np
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.chair_design import Design
from tpl.shapes.procedural.parts import curve, sheet, superellipse, tube


class Plan:
    """Where things are on a chair: the seat's outline from above and the surface of the back."""

    def __init__(self, d: Design):
        self.d = d
        self.outline = _round_outline(d) if d.seat == "round" else _square_outline(d)
        self.grip = 0.5 * min(d.slab, 4)  # how deep what holds on to the seat reaches into it
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


def band(
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


def round_plan(
    angle: Float[np.ndarray, " n"], half_width: float, half_depth: float, power: float
) -> Float[np.ndarray, "2 n"]:
    """x and z of the superellipse of these half axes, at angles from straight behind the sitter."""
    across, behind = np.sin(angle), np.cos(angle)
    reach = (np.abs(across / half_width) ** power + np.abs(behind / half_depth) ** power) ** (-1 / power)
    return np.stack([across * reach, behind * reach])
