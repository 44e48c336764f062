"""Chairs that are a seat on a base with a back and arms."""

from collections.abc import Callable

import numpy as np
from manifold3d import Manifold

from tpl.shapes.procedural.chair_backs import BACKS, HOOP
from tpl.shapes.procedural.chair_bases import BASES
from tpl.shapes.procedural.chair_design import Design
from tpl.shapes.procedural.chair_plan import Plan, leg_rod
from tpl.shapes.procedural.parts import Part, curve, cushion, rounded_path, sheet, tube
from tpl.shapes.procedural.upholstery import pair


def frame_chair(d: Design) -> list[Part]:
    """A seat, a base, and perhaps a back and arms, each of its kind."""
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


def _arm_ends(d: Design, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Front foot of the arm in the seat, its front and its rear at arm height (right side)."""
    z = -0.08 * d.depth if d.seat == "round" else -0.36 * d.depth
    inset = d.member * 1.15 + 0.2
    foot = np.array([plan.half_width(z) - inset, d.height - plan.grip, z])
    front = np.array([foot[0] + 0.8 + 2.5 * d.rise, d.height + d.arm_height, z - 1])
    if d.back == "wrapped":
        rear = np.array([front[0] - 1, front[1], 0.32 * d.depth])
    elif d.back == "pad":
        rear = np.array([front[0], front[1], 0.2 * d.depth])
    else:
        height = min(d.arm_height, 0.8 * d.back_height)
        rear = plan.back_at(np.array([1.0]), np.array([height]))[0]
        if d.back == "hoop":
            u = (1 - (height / d.back_height) ** (2 / HOOP)) ** (HOOP / 2)
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


ARMS: dict[str, Callable[[Design, Plan], list[Manifold]]] = {
    "post_arms": _post_arms,
    "loop_arms": _loop_arms,
    "panel_arms": _panel_arms,
}
