"""What an airplane can be: its choices, its measures, and how one is drawn at random.

An airplane is designed in fuselage lengths: its fuselage reaches from the nose at z = 0 to z = 1, its wings
lie along x, y is up.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tpl.shapes.procedural.parts import Color

_TABLE = json.loads(Path(__file__).with_name("airplane_kinds.json").read_text())
KINDS: dict[str, dict[str, Any]] = {
    kind: _TABLE["common"] | row | {"livery": _TABLE["liveries"][row["livery"]]}
    for kind, row in _TABLE["kinds"].items()
}
"""The kinds of airplanes: which choices go together, and between which bounds the numbers lie.

Words are options, the more often one is named the likelier it is; pairs of numbers are bounds, so wide that an airplane
is as far from its nearest fellow as a real one is (chapter 12 measures it). `share` says how frequent a kind is. The
other names are those of the fields of `Design`; `common` is what every kind has where its row says nothing.
"""

LABELS = ("fuselage", "wing", "tail", "engine", "canopy", "propeller", "gear", "strut")

# Colours of fuselage, wing, tail, engine and of what faces down. Views lie on white: nothing is near it.
LIVERIES: dict[str, tuple[Color, Color, Color, Color, Color]] = {
    "silver and blue": ((196, 200, 204), (158, 164, 170), (38, 84, 156), (186, 190, 196), (150, 156, 164)),
    "silver and red": ((200, 198, 194), (162, 164, 166), (184, 40, 46), (188, 52, 54), (152, 154, 158)),
    "silver and green": ((194, 200, 196), (156, 162, 160), (28, 122, 86), (176, 182, 180), (148, 154, 152)),
    "navy airline": ((44, 62, 110), (158, 162, 168), (198, 150, 40), (150, 154, 160), (38, 50, 86)),
    "orange airline": (
        (198, 196, 190),
        (164, 164, 162),
        (200, 104, 28),
        (198, 104, 34),
        (156, 156, 154),
    ),
    "sky airline": ((110, 160, 196), (160, 166, 170), (60, 104, 160), (150, 158, 166), (140, 150, 160)),
    "sand airline": ((190, 172, 136), (160, 158, 150), (116, 30, 60), (170, 156, 128), (150, 142, 122)),
    "graphite": ((84, 88, 96), (110, 114, 120), (160, 36, 40), (70, 72, 78), (74, 78, 84)),
    "champagne": ((194, 184, 162), (168, 162, 148), (120, 84, 40), (150, 140, 120), (150, 142, 126)),
    "air grey": ((128, 138, 146), (118, 128, 136), (112, 122, 130), (88, 94, 100), (156, 164, 170)),
    "olive": ((88, 94, 62), (82, 90, 58), (78, 84, 54), (70, 72, 56), (140, 152, 158)),
    "desert": ((168, 142, 98), (158, 130, 86), (150, 124, 84), (110, 98, 76), (136, 154, 164)),
    "navy": ((62, 82, 116), (56, 76, 108), (52, 70, 102), (64, 74, 92), (142, 148, 154)),
    "bare metal": ((172, 176, 180), (164, 168, 172), (176, 62, 40), (140, 142, 146), (156, 160, 164)),
    "forest": ((66, 82, 60), (72, 86, 62), (62, 78, 58), (66, 70, 64), (128, 140, 136)),
    "yellow": ((204, 168, 40), (204, 172, 52), (200, 160, 36), (60, 62, 68), (190, 156, 40)),
    "red": ((176, 38, 36), (184, 48, 42), (168, 34, 34), (78, 70, 70), (160, 36, 34)),
    "cream and blue": ((198, 192, 172), (194, 188, 168), (40, 88, 150), (70, 90, 130), (60, 96, 150)),
    "cream and red": ((200, 192, 170), (196, 188, 168), (176, 44, 40), (110, 60, 56), (170, 60, 52)),
    "green and cream": ((48, 112, 78), (196, 190, 166), (44, 104, 72), (54, 70, 62), (170, 166, 146)),
    "blue and yellow": ((36, 76, 140), (202, 168, 48), (200, 164, 46), (58, 64, 76), (180, 150, 48)),
    "pale": ((196, 200, 202), (190, 195, 198), (186, 190, 194), (120, 124, 128), (176, 182, 186)),
    "pale and red": ((196, 198, 200), (192, 195, 196), (190, 48, 44), (120, 124, 128), (178, 182, 184)),
}
OTHER_COLORS: tuple[Color, ...] = ((34, 46, 60), (48, 46, 46), (52, 52, 56), (112, 104, 92))  # canopy to strut
DARK: Color = (30, 31, 34)  # inside of intakes and nozzles


@dataclass(frozen=True)
class Design:
    """One airplane. Lengths in fuselage lengths, angles in degrees."""

    kind: str  # a row of KINDS
    nose: str  # of airplane_body.NOSES
    aft: str  # of airplane_body.AFTS
    canopy: str  # cockpit, windows (a row of them), cabin, bubble, open
    mount: str  # where the wing meets the fuselage: low, mid, high; biplane has two wings
    planform: str  # the wing from above: straight, tapered, elliptic, swept, trapezoid, delta, double_delta
    tip: str  # of the wing: plain, winglet, tank
    engines: str  # of airplane_engines.MAKERS
    tail: str  # of airplane_wings.TAILS
    gear: str  # retracted, tricycle, taildragger, floats
    livery: str  # a row of LIVERIES
    blades: str  # how many, of each propeller
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
        """The length that becomes 1 in RAW: about the diagonal of the bounding box.

        What is thin is measured in it, so that a grid resolves it.
        """
        length = 1.5 if self.tail == "booms" else 1.05
        return float(np.linalg.norm([length, 2 * self.semi_span, 2 * self.radius + self.fin_height]))

    @property
    def palette(self) -> dict[str, Color]:
        """The colour of each label."""
        colors = zip(LABELS, (*LIVERIES[self.livery][:4], *OTHER_COLORS), strict=True)
        return {label: self.tinted(color) for label, color in colors}

    @property
    def underside(self) -> Color:
        """The colour of what faces down."""
        return self.tinted(LIVERIES[self.livery][4])

    def tinted(self, color: Color) -> Color:
        red, green, blue = (int(self.tint * value) for value in color)
        return red, green, blue


def sample_design(rng: np.random.Generator) -> Design:
    """A random airplane: first its kind, then each choice and number as that kind has them."""
    shares = np.array([row["share"] for row in KINDS.values()])
    kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    drawn: dict[str, Any] = {"kind": kind}
    for field in fields(Design)[1:]:
        options = KINDS[kind][field.name]
        if isinstance(options[0], str):
            drawn[field.name] = options[rng.integers(len(options))]
        else:
            drawn[field.name] = float(rng.uniform(*options))
    return Design(**drawn)


def style(design: Design) -> str:
    """The family of an airplane: the discrete choices that show from afar."""
    return "-".join((design.kind, design.mount, design.planform, design.engines, design.tail))
