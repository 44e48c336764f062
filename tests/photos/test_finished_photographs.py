"""The book's own pictures through all that `tpl reconstruct` does with them by default, at its default grid."""

import functools
from pathlib import Path

import numpy as np
import pytest

import tpl
from tpl.photos import load

PICTURES = sorted((Path(tpl.__file__).parents[1] / "book" / "_static" / "photos").glob("*.jpg"))


@functools.cache
def ready(category):
    return load(category)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_of_the_book_becomes_a_coloured_mesh_in_named_parts(picture):
    """Whatever its background and however many vertices its mesh has."""
    made = ready(f"{picture.stem.split('_')[0]}s").reconstruct(picture)
    scene = made.finished()
    area = sum(part.area for part in scene.geometry.values())
    assert area == pytest.approx(made.mesh.area, rel=0.01)
    assert len(scene.geometry) >= 2
    colors = np.concatenate([part.visual.vertex_colors[:, :3] for part in scene.geometry.values()])
    assert len(np.unique(colors, axis=0)) > 50  # the photograph's own, not their mean alone
