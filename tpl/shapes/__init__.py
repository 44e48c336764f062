"""Where shapes come from: each source lists `Shape`s of a category, split by families."""

from collections.abc import Callable, Mapping

from tpl.shapes.folder import folder_shapes
from tpl.shapes.open_collection import open_shapes
from tpl.shapes.options import SourceOptions
from tpl.shapes.procedural import procedural_shapes
from tpl.shapes.shape import CATEGORIES, SPLITS, Shape
from tpl.shapes.shapenet import shapenet_shapes

__all__ = ["CATEGORIES", "SPLITS", "Shape", "SourceOptions", "list_shapes", "procedural_shapes", "source_names"]


def _procedural(category: str, counts: Mapping[str, int], seed: int, options: SourceOptions) -> list[Shape]:
    return procedural_shapes(category, counts, seed)


ALL = 1_000_000
"""More shapes than any source of found ones has."""

SOURCES: dict[str, Callable[[str, Mapping[str, int], int, SourceOptions], list[Shape]]] = {
    "open": open_shapes,
    "shapenet": shapenet_shapes,
    "folder": folder_shapes,
    "procedural": _procedural,  # endless, so it comes last where sources are joined
}


def list_shapes(
    source: str = "procedural",
    category: str = "chairs",
    train: int = 0,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    options: SourceOptions | None = None,
) -> list[Shape]:
    """Shapes of one category: first the training shapes, then validation, then test.

    A larger count keeps the shapes of a smaller one and adds to them. The counts are of shapes that are made; of those
    that are found all are taken whose count is not 0, or at most `options.most` of each split.

    Args:
        source: One of them, or several joined by "+"; of a split, found shapes come before made ones.
        category: chairs, sofas or airplanes.
        train: How many to train with.
        validation: To choose settings with.
        test: To judge with.
        seed: Of shapes that are made.
        options: Where found shapes lie, and how they are split.

    Raises:
        ValueError: The source or category does not exist, or a count is negative.
    """
    counts = {"train": train, "validation": validation, "test": test}
    options = options or SourceOptions()
    of_found = {split: count and (options.most or ALL) for split, count in counts.items()}
    listed = [
        shape
        for name in source_names(source)
        for shape in SOURCES[name](category, counts if name == "procedural" else of_found, seed, options)
    ]
    return [shape for split in SPLITS for shape in listed if shape.split == split]


def source_names(source: str) -> list[str]:
    """The sources that "a+b" names, those of found shapes first.

    Raises:
        ValueError: One of them does not exist.
    """
    names = source.split("+")
    for name in names:
        if name not in SOURCES:
            raise ValueError(f"no source of shapes is called {name!r}; there is {', '.join(SOURCES)}")
    return [name for name in SOURCES if name in names]
