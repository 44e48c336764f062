"""Chairs of bent shells and of stuffed blocks: shells, armchairs, tubs and recliners."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from manifold3d import Manifold

from tpl.shapes.procedural.chair_bases import BASES
from tpl.shapes.procedural.chair_design import Design
from tpl.shapes.procedural.chair_plan import Plan, leg_rod, round_plan
from tpl.shapes.procedural.parts import Part, box, cushion, rounded_box, rounded_path, sheet, superellipse, tube
from tpl.shapes.procedural.upholstery import block, pair, pillow, short_legs, standing, stuffed_arms

# ---------------------------------------------------------------- shells


def shell_chair(d: Design) -> list[Part]:
    """A seat and back of one bent piece, on legs that meet under it."""
    tall = d.back_height * (1.45 if d.back == "high_shell" else 1)
    spine = _spine(d, tall)
    rows = len(spine)
    place = 0.98 * np.sin(np.linspace(-1, 1, rows) * np.pi / 2)  # -1 at the front lip, 1 at the top
    power = 3.2 + 3 * d.roundness
    half = d.width / 2 * (1 - np.abs(place) ** power) ** (1 / power) * np.interp(place, [-1, 0, 1], [1, 1, 0.86])
    u = np.sin(np.linspace(-1, 1, 13) * np.pi / 2.4) / np.sin(np.pi / 2.4)  # closer at the rim
    bowl = np.abs(u[:, None]) ** (3.6 if d.arms == "shell_arms" else 2.4)  # from the spine to the rim
    zy = spine[:, None] + bowl * (_edge(d, spine) - spine)[:, None]
    grid = np.stack([u * half[:, None], zy[..., 1], zy[..., 0]], -1)
    bend = rows // 2
    # Seat and back are solids of their own, to carry their labels; they share two rows at the bend.
    parts = [Part("seat", sheet(grid[: bend + 1], d.plate)), Part("back", sheet(grid[bend - 1 :], d.plate))]
    if d.seat == "padded":
        parts.append(Part("seat", sheet(grid[2:bend, 2:-2] + [0, 0.35 * d.plate, 0], d.plate)))

    bottom = float(np.interp(0, *spine[:bend].T)) - d.plate / 2
    mount = superellipse(0.42 * d.width, 0.42 * d.depth, 3, 16)
    parts.append(Part("base", cushion(mount, bottom - 2.5, bottom + 0.8 * d.plate, 0.3)))
    if d.base == "splayed_legs":
        solids = _shell_legs(d, bottom)
    elif d.base in ("sled", "rockers"):
        solids = _shell_runners(d, bottom)
    else:
        hub = replace(d, slab=d.plate, height=bottom + d.plate, width=0.86 * d.width)
        solids = BASES[d.base](hub, Plan(hub), bottom)
    return parts + [Part("base", solid) for solid in solids]


def _spine(d: Design, tall: float) -> Float[np.ndarray, "rows 2"]:
    """The middle line of a shell in (z, y), from the front lip to the top, rows closer at both ends."""
    deep, slope = d.depth / 2, np.tan(np.radians(8 + d.lean))
    corners = [(-deep - 1, d.height - 5), (-deep + 4, d.height), (deep, d.height - 3)]
    corners.append((deep + slope * tall, d.height + tall))
    return _rounded(np.array(corners), 15.0)


def _rounded(corners: Float[np.ndarray, "n 2"], radius: float) -> Float[np.ndarray, "15 2"]:
    """15 points along a polyline with rounded corners, closer at both ends."""
    path = rounded_path(np.insert(corners, 2, 0.0, axis=1), radius, 7)[:, :2]
    length = np.insert(np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1)), 0, 0.0)
    at = (np.sin(np.linspace(-1, 1, 15) * np.pi / 2) + 1) / 2 * length[-1]
    return np.column_stack([np.interp(at, length, path[:, 0]), np.interp(at, length, path[:, 1])])


def _edge(d: Design, spine: Float[np.ndarray, "rows 2"]) -> Float[np.ndarray, "rows 2"]:
    """The rim of a shell in (z, y): it cuts the corner between seat and back, or rises to arms."""
    if d.arms == "shell_arms":
        level, deep = d.height + d.arm_height - 3, d.depth / 2
        corners = np.array([[-0.45 * deep, level - 1], [0.75 * deep, level + 1.5]])
        return _rounded(np.array([spine[0], *corners, spine[-1] + [-1, 0]]), 14.0)
    rim = spine.copy()
    for _ in range(3 + round(4 * d.roundness)):
        rim[1:-1] = 0.25 * rim[:-2] + 0.5 * rim[1:-1] + 0.25 * rim[2:]
    return rim + np.array([-1.0, 1.5]) * np.sin(np.linspace(0, np.pi, len(rim)))[:, None]


def _shell_legs(d: Design, bottom: float) -> list[Manifold]:
    """Four rods from under the middle of the shell, with a crossing below it."""
    hip = np.array([0.17 * d.width, bottom - 0.6, 0.17 * d.depth])
    foot = np.array([0.42 * d.width, 0, 0.42 * d.depth])
    solids = []
    for z in (-1, 1):
        ends = np.array([hip, foot]) * [1, 1, z]
        solids.append(pair(leg_rod(d, ends, d.member * np.array([1.1, d.taper]))))
        if d.second_form:
            low, high = ends[1] + 0.35 * (ends[0] - ends[1]), ends[0] * [-1, 1, 1] + [0, -1.5, 0]
            solids.append(pair(tube(np.array([low, high]), 0.8 * d.member, 6)))
    return solids


def _shell_runners(d: Design, bottom: float) -> list[Manifold]:
    """Two bent rods, their runners straight or curved."""
    x, reach = 0.36 * d.width, 0.42 * d.depth
    hips = [np.array([0.17 * d.width, bottom - 1, z * 0.15 * d.depth]) for z in (-1, 1)]
    if d.base == "sled":
        corners = np.array([hips[0], [x, d.member, -reach], [x, d.member, reach], hips[1]])
        return [pair(leg_rod(d, rounded_path(corners, 6, 5), d.member))]
    z = np.linspace(-1.4 * reach, 1.6 * reach, 9)
    runner = np.column_stack([np.full(9, x), d.member + z**2 / (4 * reach), z])
    struts = [pair(leg_rod(d, np.array([hip, runner[k]]), d.member)) for hip, k in zip(hips, (2, 6), strict=True)]
    return [pair(leg_rod(d, runner, d.member)), *struts]


# ---------------------------------------------------------------- stuffed chairs


def stuffed_chair(d: Design) -> list[Part]:
    """An armchair of stuffed blocks; a recliner leans further back and puts the feet up."""
    low = _clearance(d)
    floor = low + (6.0 if d.base == "plinth" else 0.0)  # where the upholstery begins
    top, edge, thick = d.height, 1.2 + 3 * d.roundness, 11 + 6 * d.roundness
    front, rear, half = -d.depth / 2, d.depth / 2 + thick, d.width / 2
    closed = d.arms not in ("no_arms", "open_arms")
    outer = half + standing(d.arms, d.arm_width)

    parts = []
    if d.seat == "cushion":
        deck = top - 0.42 * (top - low)
        parts.append(Part("seat", block((-half - 0.5, floor, front + 0.5), (half + 0.5, deck + 1, rear), edge)))
        soft = pillow(d.width - 0.6, top - deck + 1.5, d.depth + 1, edge)
        parts.append(Part("seat", soft.translate((0, (top + deck) / 2, -1))))
    else:
        parts.append(Part("seat", block((-half - 0.5, floor, front), (half + 0.5, top, rear), edge)))
    for solid in _stuffed_back(d, half + (0.6 if closed else 0), thick, edge):
        leant = solid.rotate((d.lean, 0, 0))  # about the x axis: its top goes to +z
        parts.append(Part("back", leant.translate((0, top, d.depth / 2 + 0.35 * thick))))
    if d.arms != "no_arms":
        rod_radius = 1.35 * d.member
        level = top + d.arm_height
        at = (half, d.arm_width, floor, level, front, rear, edge, rod_radius)
        parts.append(Part("arm", stuffed_arms(d.arms, *at)))

    if d.base == "plinth":
        solids = [box((2 * outer - 5, floor + 1, rear - front - 6), (0, (floor + 1) / 2, (front + rear) / 2))]
    elif d.base in ("pedestal", "star"):
        as_seen_by_hub = replace(d, slab=4.0, height=low + 4, width=min(d.width, 54.0), second_form=d.base == "star")
        hub = BASES[d.base](as_seen_by_hub, Plan(as_seen_by_hub), low)
        solids = [solid.translate((0, 0, (front + rear) / 2)) for solid in hub]
    else:
        solids = short_legs(d.base, outer - 2 - 1.5 * d.member, floor, front, rear, 1.15 * d.member)
    parts += [Part("base", solid) for solid in solids]
    if d.body == "recliner":
        parts += [Part("footrest", solid) for solid in _footrest(d, low, front)]
    return parts


def _clearance(d: Design) -> float:
    """Height of the upholstery over the floor."""
    if d.base in ("pedestal", "star"):
        return 0.55 * d.height
    return 0.0 if d.base == "plinth" else 6 + 9 * d.rise


def _stuffed_back(d: Design, half: float, thick: float, edge: float) -> list[Manifold]:
    """The back, upright, with its front lower edge near the origin."""
    tall = d.back_height
    solids = [block((-half, -8, -thick / 2), (half, tall, thick / 2), edge + 1)]
    if d.back == "cushion_back":
        soft = pillow(d.width - 1, 0.8 * tall, 11, 4).rotate((-4, 0, 0))
        solids.append(soft.translate((0, 0.45 * tall, -thick / 2 - 1.5)))
    if d.back == "wing":
        reach, foot = 15 + 6 * d.roundness, (0.45 * d.arm_height if d.arms not in ("no_arms", "open_arms") else -4)
        wing = block((half - 5, foot, -thick / 2 - reach), (half + 1, tall - 2, thick / 2 - 1), 2.4)
        solids.append(pair(wing))
    if d.body == "recliner":
        solids.append(rounded_box((0.7 * d.width, 13, 7), 3, (0, tall - 9, -thick / 2 - 1)))
    return solids


def _footrest(d: Design, low: float, front: float) -> list[Manifold]:
    """A board that hangs forward from the seat, and the links that hold it."""
    length, tilt = 40 + 12 * d.roundness, 6 + 14 * d.rise
    board = rounded_box((d.width - 4, 9, length), 3.5, (0, -3, -length / 2 - 1)).rotate((-tilt, 0, 0))
    under = d.height - 8 - 0.5 * length * np.sin(np.radians(tilt))
    x = 0.3 * d.width
    link = tube(np.array([[x, low + 7, front + 8], [x, under, front - 0.55 * length]]), 1.9, 6)
    return [board.translate((0, d.height - 3, front)), pair(link)]


def barrel_chair(d: Design) -> list[Part]:
    """A tub: one wall round the seat is arms and back."""
    low = _clearance(d)
    floor = low + (6.0 if d.base == "plinth" else 0.0)
    wall, power, span = 7 + 0.28 * d.arm_width, 2.2 + 1.8 * d.roundness, np.radians(128)
    a, b = d.width / 2 + wall / 2, d.depth / 2 + wall / 2
    angle = np.linspace(-span, span, 25)
    x, z = round_plan(angle, a, b, power)
    fall = np.clip(np.cos(0.9 * angle), 0, 1) ** (0.8 + 1.4 * d.rise)
    over = d.arm_height + max(0.75 * d.back_height - d.arm_height, 2) * fall
    v = np.linspace(0, 1, 5)[:, None]
    spread = 1 + (0.04 + 0.006 * d.lean) * v
    y = floor + v * (d.height + over - floor)
    grid = np.stack([x * spread, y, z * spread], -1)
    thick = np.full(grid.shape[:2], wall)
    thick[-1] *= 0.6
    thick[:, [0, -1]] *= 0.7
    first, last = 5, 19  # the columns between which the wall is the back
    parts = [
        Part("back", sheet(grid[:, first : last + 1], thick[:, first : last + 1])),
        Part("arm", sheet(grid[:, : first + 1], thick[:, : first + 1])),
        Part("arm", sheet(grid[:, last:], thick[:, last:])),
    ]
    body = superellipse(2 * a - 0.4 * wall, 2 * b - 0.4 * wall, power, 28)
    soft = superellipse(2 * a - wall + 1, 2 * b - wall + 1, power, 28)
    parts.append(Part("seat", cushion(body, floor, d.height - 4, 1.5 + 2 * d.roundness)))
    parts.append(Part("seat", cushion(soft, d.height - 5, d.height + 2, 2.5, 1)))
    if d.base == "plinth":
        return [*parts, Part("base", cushion(body * 0.9, 0, floor + 1, 0.4))]
    legs = short_legs(d.base, 0.62 * a, floor, -0.62 * b - 5, 0.62 * b + 6, 1.2 * d.member)
    return parts + [Part("base", solid) for solid in legs]
