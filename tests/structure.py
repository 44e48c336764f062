"""The structure of `tpl`, measured: rooms, the arrows between them, its longest function, its lines.

    python tests/structure.py

`test_structure.py` holds it to this: imports lead down only, and the numbers do not grow.

A room is a package right below `tpl`, or one of its single modules; of `tpl.chapters` and `tpl.book` each is one room.
"""

import ast
from pathlib import Path

from tpl.book.structure import FLOORS, arrows, doors, modules, room

ROOT = Path(__file__).parents[1]

LIMITS = {"longest function": 60, "lines": 45_000, "import lines of chapters": 210}
"""The most that each number may be. Lower one when it has fallen; lines rise with what the book can do, and for no
other reason: the last time by the workbench, the playground, and runs that can be asked."""


def homeless(trees: dict[str, ast.Module]) -> list[str]:
    """A sentence for each module that stands in no room of `FLOORS`."""
    return [
        f"{module} stands in no room: name {room(module)!r} in FLOORS, at the height of what it imports"
        for module in trees
        if room(module) not in (*FLOORS, "tpl")
    ]


def upward(trees: dict[str, ast.Module]) -> list[str]:
    """A sentence for each import of what stands above."""
    heights = {name: height for height, name in enumerate((*FLOORS, "tpl"))}
    found = {arrow for arrow in arrows(trees) if room(arrow.source) != room(arrow.target)}
    return [
        f"{source} imports {target}, and {room(target)} stands above {room(source)}"
        for source, target in sorted(found)
        if heights.get(room(target), -1) >= heights.get(room(source), len(heights))
    ]


def circles(trees: dict[str, ast.Module]) -> list[str]:
    """A sentence for each set of modules that import each other, directly or not; a package hands on what is in it."""
    below: dict[str, set[str]] = {name: set() for name in trees}
    for source, target in arrows(trees):
        below[source].add(target)
    reach = {name: _reached(name, below) for name in trees}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in trees if name in reach[name]
    }
    return [f"{', '.join(sorted(group))} import each other" for group in sorted(groups, key=sorted)]


def _reached(start: str, below: dict[str, set[str]]) -> set[str]:
    found, waiting = set(), [*below[start]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += below[name]
    return found


def handed_on(tree: ast.Module) -> list[str]:
    """The names in a module's `__all__`."""
    return [
        name
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    ]


def longest_function(trees: dict[str, ast.Module]) -> tuple[int, str]:
    """Lines and name of the longest function, its docstring not counted."""
    return max(
        (_lines(node), f"{module}.{node.name}")
        for module, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    )


def _lines(function: ast.FunctionDef) -> int:
    first = function.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if told else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def lines(root: Path = ROOT) -> int:
    """Lines of the library."""
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in (root / "tpl").rglob("*.py"))


def chapter_imports() -> dict[str, int]:
    """Lines of each chapter that import something, or go on with an import's names."""
    return {file.stem: _import_lines(file.read_text(encoding="utf-8")) for file in sorted((ROOT / "book").glob("*.md"))}


def _import_lines(text: str) -> int:
    count, inside = 0, False
    for line in text.splitlines():
        starts = line.startswith(("import ", "from "))
        count += starts or inside
        inside = (starts and line.endswith("(")) or (inside and not line.startswith(")"))
    return count


def measured() -> dict[str, int]:
    """The numbers that `LIMITS` holds."""
    return {
        "longest function": longest_function(modules())[0],
        "lines": lines(),
        "import lines of chapters": sum(chapter_imports().values()),
    }


def table() -> str:
    """All that is measured, a line a number."""
    trees, chapters = modules(), chapter_imports()
    rows = {
        "rooms": len({room(module) for module in trees} - {"tpl"}),
        "arrows between rooms": len(doors(trees)),
        "arrows between modules": len(set(arrows(trees))),
        "that run back up": len(upward(trees)),
        "circles": len(circles(trees)),
        "longest function": "{} ({})".format(*longest_function(trees)),
        "lines": lines(),
        "import lines of chapters": f"{sum(chapters.values())} (at most {max(chapters.values())} in one)",
    }
    return "\n".join(f"{name:26} {value}" for name, value in rows.items())


if __name__ == "__main__":
    print(table())
