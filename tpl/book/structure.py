"""The structure of the library, measured from its sources: rooms, the arrows between them, and a picture of both."""

import ast
import html
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]

FLOORS: Sequence[str] = (
    "errors ending border gate watching reporting files settings provenance source_code geometry losses metrics meshes "
    "rendering shapes finishing evaluation look dataset models training weights inference refinement pretrained study "
    "photos completion chapters book workbench doctor __main__ start"
).split()
"""The rooms from the ground up: one imports only from those before it. The package itself stands above all."""

WIDE, HIGH = 104, 30  # a room in the picture, in pixels
COLUMN, FLOOR = 124, 62  # from one to the next
LANE = 0.25  # columns that an arrow takes where it passes by rooms


class Arrow(NamedTuple):
    """One module imports another."""

    source: str
    target: str


def modules(package: Path = PACKAGE) -> dict[str, ast.Module]:
    """The modules of a package by their dotted names."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        name = ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def arrows(trees: dict[str, ast.Module]) -> Iterator[Arrow]:
    """Which module imports which, wherever in a file the import stands."""
    for source, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Arrow(source, alias.name) for alias in node.names if alias.name in trees)
            elif isinstance(node, ast.ImportFrom):
                named = [(f"{node.module}.{alias.name}", str(node.module)) for alias in node.names]
                targets = [inner if inner in trees else outer for inner, outer in named]
                yield from (Arrow(source, target) for target in targets if target in trees)


def room(module: str) -> str:
    """The room that a module stands in: a package right below `tpl`, or a single module there."""
    return (module.split(".") + ["tpl"])[1]


def doors(trees: dict[str, ast.Module]) -> set[Arrow]:
    """The arrows between rooms, each once."""
    between = {Arrow(room(arrow.source), room(arrow.target)) for arrow in arrows(trees)}
    return {arrow for arrow in between if arrow.source != arrow.target}


def essential(between: set[Arrow]) -> set[Arrow]:
    """The arrows that no path of other arrows replaces (the transitive reduction; there must be no circle)."""

    def reached(start: str) -> set[str]:
        return {start}.union(*(reached(arrow.target) for arrow in between if arrow.source == start))

    beyond = {arrow: reached(arrow.target) - {arrow.target} for arrow in between}
    return {
        arrow
        for arrow in between
        if not any(other.source == arrow.source and arrow.target in beyond[other] for other in between)
    }


def picture(between: set[Arrow]) -> str:
    """The rooms as an SVG, each above all that it imports; of the arrows those that no others imply."""
    drawn = sorted(essential(between))
    level: dict[str, int] = {}
    for name in FLOORS:
        level[name] = 1 + max((level[arrow.target] for arrow in drawn if arrow.source == name), default=-1)
    top = max(level.values())
    place: dict[tuple[int, str | Arrow], float] = {}  # on each floor its rooms, and the arrows that pass between them
    for floor in range(top + 1):
        wished: dict[str | Arrow, float] = {}
        for name in (name for name in FLOORS if level[name] == floor):
            below = [place[floor - 1, _passing(arrow, floor - 1, level)] for arrow in drawn if arrow.source == name]
            wished[name] = sum(below) / len(below) if below else 0.0
        for arrow in drawn:
            if level[arrow.target] < floor < level[arrow.source]:
                wished[arrow] = place[floor - 1, _passing(arrow, floor - 1, level)]
        row = sorted(wished, key=lambda item: wished[item])
        ends = list(itertools.accumulate(1.0 if isinstance(item, str) else LANE for item in row))
        shift = sum(wished.values()) / len(row) - ends[-1] / 2
        for item, end in zip(row, ends, strict=True):
            place[floor, item] = shift + end - (0.5 if isinstance(item, str) else LANE / 2)
    left = min(place.values())

    def where(floor: int, item: str | Arrow) -> tuple[float, float]:
        return COLUMN * (place[floor, item] - left) + WIDE / 2 + 8, FLOOR * (top - floor) + HIGH / 2 + 8

    lines = []
    for arrow in drawn:
        floors = range(level[arrow.source], level[arrow.target] - 1, -1)
        lines.append(_line([where(floor, _passing(arrow, floor, level)) for floor in floors]))
    boxes = [_box(name, *where(level[name], name)) for name in FLOORS]
    width = COLUMN * (max(place.values()) - left) + WIDE + 16
    height = FLOOR * top + HIGH + 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            'font-family="sans-serif" font-size="13">',
            '<rect width="100%" height="100%" fill="white"/>',
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 1L7 4L0 7" fill="none" stroke="#667"/></marker>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _passing(arrow: Arrow, floor: int, level: dict[str, int]) -> str | Arrow:
    """What stands for an arrow on a floor: the room at its end, or itself on its way down."""
    ends = {level[arrow.source]: arrow.source, level[arrow.target]: arrow.target}
    return ends.get(floor, arrow)


def _line(stations: list[tuple[float, float]]) -> str:
    """A curve down through its stations: out of the bottom of the first, into the top of the last."""
    (x, y), path = stations[0], []
    y += HIGH / 2
    path.append(f"M{x:.0f} {y:.0f}")
    for u, v in stations[1:]:
        v -= HIGH / 2
        half = (y + v) / 2
        path.append(f"C{x:.0f} {half:.0f} {u:.0f} {half:.0f} {u:.0f} {v:.0f}")
        if (u, v + HIGH / 2) != stations[-1]:
            path.append(f"V{v + HIGH:.0f}")
        x, y = u, v + HIGH
    return f'<path d="{"".join(path)}" fill="none" stroke="#667" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float) -> str:
    corner = f'x="{x - WIDE / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{WIDE}" height="{HIGH}"'
    return (
        f'<rect {corner} rx="5" fill="#eef2f7" stroke="#445"/>'
        f'<text x="{x:.0f}" y="{y + 4.5:.1f}" text-anchor="middle" fill="#223">{html.escape(name)}</text>'
    )
