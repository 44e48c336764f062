"""The structure of `tpl`, measured: rooms, the arrows between them, its longest function, its lines.

    python tests/structure.py

A room is a package right below `tpl`, or one of its single modules; of `tpl.chapters` and `tpl.book` each is one room.
"""

import ast
from pathlib import Path

from tpl.book.structure import FLOORS, PACKAGE, arrows, doors, modules, rising, room

ROOT = Path(__file__).parents[1]


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
    print("lines:", sum(len(f.read_text(encoding="utf-8").splitlines()) for f in PACKAGE.rglob("*.py")))
    print("import lines of chapters:", sum(chapters.values()), chapters)


if __name__ == "__main__":
    main()
