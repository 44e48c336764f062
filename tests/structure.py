"""The structure of `tpl`, measured: rooms, the arrows between them, its longest function, its lines.

    python tests/structure.py

A room is a package right below `tpl`, or one of its single modules; of `tpl.chapters` and `tpl.book` each is one room.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

FLOORS = (
    "errors files settings provenance geometry losses metrics meshes rendering shapes evaluation look dataset models "
    "training inference refinement study photos chapters book __main__"
).split()
"""The rooms from the ground up: one imports only from those before it. The package itself stands above all."""


class Arrow(NamedTuple):
    """One module imports another."""

    source: str
    target: str


def modules() -> dict[str, ast.Module]:
    """The modules of the library by their dotted names."""
    found = {}
    for file in sorted((ROOT / "tpl").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def arrows(trees: dict[str, ast.Module]) -> Iterator[Arrow]:
    """Which module imports which, wherever in a file the import stands."""
    for source, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (Arrow(source, alias.name) for alias in node.names if alias.name in trees)
            elif isinstance(node, ast.ImportFrom) and node.module in trees:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield Arrow(source, inner if inner in trees else node.module)


def room(module: str) -> str:
    """The room that a module stands in; of the package's own file its name."""
    return (module.split(".") + ["tpl"])[1]


def doors(trees: dict[str, ast.Module]) -> set[Arrow]:
    """The arrows between rooms, each once."""
    between = {Arrow(room(arrow.source), room(arrow.target)) for arrow in arrows(trees)}
    return {arrow for arrow in between if arrow.source != arrow.target}


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


def main() -> None:
    trees = modules()
    between = doors(trees)
    chapters = chapter_imports()
    print("rooms:", len({room(module) for module in trees} - {"tpl"}))
    print("arrows between rooms:", len(between))
    print("arrows between modules of different files:", len(set(arrows(trees))))
    print("that run back up:", sorted(a for a in between if a.source in FLOORS and rising(a)))
    print("longest function:", *longest_function(trees))
    print("lines:", sum(len(f.read_text(encoding="utf-8").splitlines()) for f in (ROOT / "tpl").rglob("*.py")))
    print("import lines of chapters:", sum(chapters.values()), chapters)


def rising(arrow: Arrow) -> bool:
    """Whether an arrow leads to a room that stands above its own."""
    return FLOORS.index(arrow.target) >= FLOORS.index(arrow.source)


if __name__ == "__main__":
    main()
