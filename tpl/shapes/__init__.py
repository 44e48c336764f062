"""Where shapes come from: each source lists `Shape`s of a category, split by families."""

from tpl.shapes.procedural import procedural_shapes
from tpl.shapes.shape import CATEGORIES, SPLITS, Shape

__all__ = ["CATEGORIES", "SPLITS", "Shape", "list_shapes", "procedural_shapes"]

SOURCES = {"procedural": procedural_shapes}


def list_shapes(
    source: str = "procedural",
    category: str = "chairs",
    train: int = 0,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
) -> list[Shape]:
    """Shapes of one category from one source: first the training shapes, then validation, then test.

    A larger count keeps the shapes of a smaller one and adds to them.

    Raises:
        ValueError: The source or category does not exist, or a count is negative.
    """
    if source not in SOURCES:
        raise ValueError(f"no source of shapes is called {source!r}; there is {', '.join(SOURCES)}")
    return SOURCES[source](category, {"train": train, "validation": validation, "test": test}, seed)
