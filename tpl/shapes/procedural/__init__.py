"""Shapes made by rules: chairs, sofas and airplanes, watertight, with labelled parts, as many as wanted.

A category is one endless sequence of designs for each seed. The style of a design (its combination of
discrete choices, such as "frame-splayed_legs-ladder-no_arms-round") is its family, and alone decides its
split: styles of validation and test are never trained on.
"""

import functools
from collections.abc import Mapping
from itertools import count
from zlib import crc32

import numpy as np

from tpl.shapes.procedural import airplane, chair, sofa
from tpl.shapes.shape import SPLITS, Shape
from tpl.source_code import code_digest

MAKERS = {"chairs": chair, "sofas": sofa, "airplanes": airplane}


def procedural_shapes(category: str, count_by_split: Mapping[str, int], seed: int = 0) -> list[Shape]:
    """The first designs of the sequence that fall into each split, split after split.

    A shape depends on the category, the seed and its number in the sequence, not on the counts: larger
    counts keep the shapes of smaller ones.

    Raises:
        ValueError: Unknown category or split, or a negative count or seed.
    """
    if category not in MAKERS:
        raise ValueError(f"no procedural category is called {category!r}; there are {', '.join(MAKERS)}")
    for split, wanted in count_by_split.items():
        if split not in SPLITS:
            raise ValueError(f"no split is called {split!r}; there are {', '.join(SPLITS)}")
        if wanted < 0:
            raise ValueError(f"{wanted} shapes for {split} asked for; ask for 0 or more")
    if seed < 0:
        raise ValueError(f"the seed is {seed}; take 0 or more")

    version = code_digest(__name__)  # a shape of the same name from other code is another shape
    maker, noun = MAKERS[category], category.removesuffix("s")
    series = noun if seed == 0 else f"{noun}-seed{seed}"
    found: dict[str, list[Shape]] = {split: [] for split in SPLITS if split in count_by_split}
    for number in count():
        if all(len(found[split]) == count_by_split[split] for split in found):
            break
        design = maker.sample_design(np.random.default_rng([crc32(category.encode()), seed, number]))
        family = maker.style(design)
        split = split_of(category, family)
        if split in found and len(found[split]) < count_by_split[split]:
            shape_id = f"{series}-{number:06d}-{family}"
            build = functools.partial(maker.build, design)
            found[split].append(Shape(shape_id, category, family, split, build, version=version))
    return [shape for split in found for shape in found[split]]


def split_of(category: str, family: str) -> str:
    """The split of a style: about 70 % train, 15 % validation, 15 % test, by a hash that never changes."""
    percent = crc32(f"{category}/{family}".encode()) % 100
    return "train" if percent < 70 else "validation" if percent < 85 else "test"
