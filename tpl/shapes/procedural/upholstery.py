"""What armchairs and sofas share: stuffed blocks, pillows, arms and the short legs under them.

Centimetres, y = 0 the floor, front -z. Functions that say "pair" make the right side and its mirror image.
"""

import numpy as np
from manifold3d import Manifold

from tpl.shapes.procedural.parts import Number, Vector, box, curve, mirrored, rod, rounded_box, rounded_path, tube

ARMS = ("no_arms", "block_arms", "rounded_arms", "rolled_arms", "slanted_arms", "open_arms")
STANDING = {"block_arms": 1.0, "rounded_arms": 0.5, "rolled_arms": 0.75, "slanted_arms": 0.4}


def block(low: Vector, high: Vector, edge: Number) -> Manifold:
    """A stuffed block between two opposite corners."""
    low_corner, high_corner = np.array(low), np.array(high)
    return rounded_box(high_corner - low_corner, edge, (low_corner + high_corner) / 2)


def pillow(width: Number, height: Number, depth: Number, edge: Number) -> Manifold:
    """A soft block about the origin."""
    return rounded_box((width, height, depth), min(edge + 1.5, 0.42 * min(width, height, depth)))


def pair(solid: Manifold) -> Manifold:
    """A solid and its mirror image on the other side."""
    return solid + mirrored(solid)


def standing(kind: str, wall: Number) -> float:
    """How far outwards arms reach at their foot, where the base carries them."""
    return STANDING.get(kind, 0.0) * wall


def stuffed_arms(
    kind: str,
    inner: Number,
    wall: Number,
    low: Number,
    top: Number,
    front: Number,
    rear: Number,
    edge: Number,
    member: Number,
) -> Manifold:
    """A pair of arms of one of the kinds `ARMS`, from x = `inner` outwards; `wall` is how far they reach.

    `member` is the radius of the rods of open arms.
    """
    inside = inner - 0.5  # into the seat, to unite with it
    match kind:
        case "block_arms":
            return pair(block((inside, low, front), (inner + wall, top, rear - 2), edge))
        case "rounded_arms":
            return pair(block((inside, low, front), (inner + wall, top, rear - 2), 0.48 * wall))
        case "rolled_arms":
            roll, x = 0.5 * wall + 0.8, inner + 0.62 * wall
            scroll = rod((x, top - roll, front - 0.6), (x, top - roll, rear - 3), roll, segments=14)
            body = block((inside, low, front + 1), (inner + 0.8 * wall, top - roll, rear - 2), 1.2)
            return pair(scroll + body)
        case "slanted_arms":
            upright = block((inside, low, front), (inner + 0.6 * wall, top, rear - 2), edge)
            lean = 0.4 * wall / (top - low)
            return pair(upright.transform(np.array([[1, lean, 0, -lean * low], [0, 1, 0, 0], [0, 0, 1, 0]])))
        case "open_arms":
            x, y = inner + 0.75 * member, low + 1.5
            corners = np.array(
                [[x, y, front + 5], [x + 0.6, top, front + 3], [x + 0.6, top, rear - 3], [x, y, rear - 6]]
            )
            return pair(tube(rounded_path(corners, 3 * member, 5), member, 8))
    raise ValueError(f"no arms are called {kind!r}; there are {', '.join(ARMS)}")


def short_legs(kind: str, x: Number, low: Number, front: Number, rear: Number, member: Number) -> list[Manifold]:
    """Two legs in front and two behind at x = +-`x`, from the floor into the block that starts at `low`."""
    head = low + 5.0
    if kind == "sled":
        foot = 1.15 * member
        corners = np.array([[x, head, front + 6], [x, foot, front + 3], [x, foot, rear - 3], [x, head, rear - 6]])
        return [pair(tube(rounded_path(corners, 3, 4), 1.15 * member, 8))]
    solids = []
    for z, outwards in ((front + 5 + member, -1), (rear - 6 - member, 1)):
        if kind == "straight_legs":
            solids.append(pair(box((2.4 * member, head, 2.4 * member), (x, head / 2, z))))
        elif kind == "tapered_legs":
            ends = np.array([[x, head, z], [x + 0.1 * low, 0, z + outwards * 0.15 * low]])
            solids.append(pair(tube(ends, member * np.array([1.5, 0.95]), 8)))
        else:
            hip, foot = np.array([x, head, z]), np.array([x + 2.5, 0, z + outwards * 2.5])
            knee, ankle = hip + [3, -0.35 * head, outwards * 3], foot + [-4, 0.4 * low, -outwards * 4]
            radii = member * np.array([1.6, 1.7, 1.4, 1.1, 1.1, 1.5])
            solids.append(pair(tube(curve(np.array([hip, knee, ankle, foot]), 6), radii, 8)))
    return solids
