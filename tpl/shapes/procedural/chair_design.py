"""What a chair can be: its choices, its measures, and how one is drawn at random.

A chair is designed in centimetres: y = 0 is the floor, the sitter looks to -z.
"""

from dataclasses import dataclass

import numpy as np

from tpl.shapes.procedural.parts import FABRICS, METALS, PLASTICS, WOODS, Color, dyed

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
        ("pad", "panel", "wrapped", "open"),
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
        ("no_arms", "block_arms", "rounded_arms", "rolled_arms", "slanted_arms", "open_arms"),
        ("square", "cushion"),
    ),
    "recliner": (
        0.06,
        ("plinth", "tapered_legs", "pedestal", "star"),
        ("block", "cushion_back", "wing"),
        ("block_arms", "rounded_arms", "rolled_arms", "open_arms"),
        ("cushion",),
    ),
}

# Ranges in centimetres: width, depth and height of the seat, its slab, height of the back. With them a chair is almost
# as far from its nearest fellow as a real one is (chapter 12 measures it).
MEASURES = {
    "frame": {"width": (37, 56), "depth": (36, 53), "height": (39, 50), "slab": (2.5, 5), "back": (26, 74)},
    "office": {"width": (41.5, 56.5), "depth": (40, 52), "height": (41, 54), "slab": (4, 10), "back": (35, 77)},
    "stool": {"width": (29.5, 44.5), "depth": (29, 42), "height": (55, 85), "slab": (2.5, 8), "back": (19.5, 46.5)},
    "shell": {"width": (41.5, 68.5), "depth": (40, 57), "height": (36, 48), "slab": (3, 4), "back": (33.5, 48.5)},
    "armchair": {"width": (48, 72), "depth": (47, 65), "height": (36, 48), "slab": (10, 22), "back": (27, 69)},
    "recliner": {"width": (49, 67), "depth": (48, 60), "height": (38.5, 47.5), "slab": (12, 19), "back": (54, 78)},
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
    second_form: bool  # of parts that have two: stretchers, castors, a trumpet foot, a gap under the back
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
    rise: float  # 0 to 1: how high those parts lie that may lie higher or lower
    crest: float  # rise of the top rail's middle
    palette: dict[str, Color]


def style(design: Design) -> str:
    """The family of a chair: all of its discrete choices that show at a glance."""
    return "-".join((design.body, design.base, design.back, design.arms, design.seat))


def sample_design(rng: np.random.Generator) -> Design:
    """A random plausible chair."""
    body, base, back, arms, seat = _choices(rng)
    width, depth, height, slab, back_height = (rng.uniform(*span) for span in MEASURES[body].values())
    reach = np.hypot(np.hypot(width, depth + 6), height + (0 if back == "no_back" else back_height))
    slender = base in ("tapered_legs", "splayed_legs")
    return Design(
        body=body,
        base=base,
        back=back,
        arms=arms,
        seat=seat,
        square_section=bool(rng.random() < 0.5),
        second_form=bool(rng.random() < 0.45),
        apron=bool(rng.random() < 0.4),
        bars=int(rng.integers(2, 6)),
        width=width,
        depth=min(depth, 1.02 * width) if seat == "round" else depth,
        height=height,
        slab=slab,
        back_height=back_height * (0.8 if back == "hoop" else 1),
        lean=rng.uniform(28, 42) if body == "recliner" else rng.uniform(4, 16),
        splay=rng.uniform(6, 13) if base == "splayed_legs" else rng.uniform(0, 4),
        taper=rng.uniform(0.55, 0.75) if slender else rng.uniform(0.85, 1),
        rear=rng.uniform(0.82, 1),
        bend=rng.uniform(0, 5),
        flare=rng.uniform(-0.1, 0.14),
        arm_height=rng.uniform(14, 22) if body in ("armchair", "recliner") else rng.uniform(18, 25),
        arm_width=rng.uniform(9, 18),
        member=max(rng.uniform(1.4, 2.6), (0.016 if slender else 0.0135) * reach),
        plate=max(rng.uniform(2.4, 4.5), 0.026 * reach),
        roundness=rng.uniform(0, 1),
        rise=rng.uniform(0, 1),
        crest=rng.uniform(0, 5) if rng.random() < 0.5 else 0.0,
        palette=_palette(rng, body, base, arms),
    )


def _choices(rng: np.random.Generator) -> tuple[str, str, str, str, str]:
    """Body, base, back, arms and seat that go together."""
    bodies = list(CHOICES)
    body = bodies[rng.choice(len(bodies), p=[CHOICES[name][0] for name in bodies])]
    base, back, arms, seat = (options[rng.integers(len(options))] for options in CHOICES[body][1:])
    if back == "barrel":  # its wall is its arms
        return body, "tapered_legs" if base == "sled" else base, back, "barrel_arms", "cushion"
    if arms == "panel_arms" and (back == "wrapped" or seat == "round"):
        arms = "loop_arms"
    if base == "slab_legs" and seat == "round":
        seat = "square"
    return body, base, back, arms, seat


def _palette(rng: np.random.Generator, body: str, base: str, arms: str) -> dict[str, Color]:
    wood, metal, fabric, plastic = (dyed(rng, colors) for colors in (WOODS, METALS, FABRICS, PLASTICS))
    wooden = (base.endswith("legs") or base in ("rockers", "plinth")) and rng.random() < 0.85
    legs = wood if wooden else metal
    hide = (wood, fabric, plastic)[rng.choice(3, p=(0.45, 0.4, 0.15))]
    seat = {"frame": hide, "stool": hide, "shell": plastic if rng.random() < 0.7 else fabric}.get(body, fabric)
    back = wood if wooden and body in ("frame", "stool") else seat
    bare_arms = arms in ("post_arms", "loop_arms", "panel_arms", "open_arms")
    return {"seat": seat, "back": back, "arm": legs if bare_arms else seat, "base": legs, "footrest": seat}
