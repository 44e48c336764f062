"""The check afterwards: it accepts what is right and rejects what is broken, with the reason."""

import numpy as np
import pytest
import trimesh

from tpl.dataset.prepare import PrepareConfig, is_current, prepare
from tpl.dataset.store import Store
from tpl.geometry.primitives import sphere, translated, union
from tpl.meshes.surface_check import check_surface
from tpl.shapes import Shape


def points(radius, count=8000):
    rows = np.random.default_rng(1).standard_normal((count, 3))
    return radius * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def check(sdf, visible):
    return check_surface(sdf, visible, np.random.default_rng(0), cells=48)


def test_a_sphere_is_accepted():
    result = check(sphere(0.6), points(0.6))
    assert result.reason == "" and min(result.found, result.real) > 0.999
    assert 1000 * result.chamfer < 0.05


def test_what_nobody_sees_is_not_real():
    ghost = union(sphere(0.6), translated(sphere(0.2), (0.75, 0.0, 0.0)))
    result = check(ghost, points(0.6))
    assert result.found > 0.9 and result.real < 0.96
    assert "of the surface of its signed distance is there to be seen (96% needed)" in result.reason


def test_what_is_missing_is_far_away():
    visible = np.concatenate([points(0.6), points(0.15) + [0.8, 0, 0]])
    result = check(sphere(0.6), visible)
    assert result.real > 0.999 and result.found < 0.96
    assert "from the visible one (Chamfer x 1000; 0.3 allowed)" in result.reason


def test_a_function_without_a_surface_is_rejected():
    assert check(lambda rows: np.ones(len(rows)), points(0.5)).reason


def ball():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.3)
    mesh.visual.face_colors = [90, 120, 150, 255]
    return mesh


SMALL = PrepareConfig(sdf_samples=600, cross_samples=50, surface_points=500, easy_views=1, hard_views=1, image_size=16)


def test_a_rejected_shape_is_a_row_and_nothing_else_and_stays_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("tpl.meshes.surface_check.REAL", 1.1)  # nothing is that good
    shape = Shape("ball", "chairs", "ball", "train", ball, "found", "1")
    store = Store(tmp_path)
    report = prepare([shape], store, SMALL, jobs=1)
    assert report.status.tolist() == ["rejected"] and "is there to be seen" in report.reason[0]
    assert report.real[0] > 0.999
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Prepared", "report.csv"]
    again = prepare([shape], store, SMALL, jobs=1)
    assert again.status.tolist() == ["rejected"] and again.reason[0] == report.reason[0]
    unchecked = prepare([shape], store, SMALL.model_copy(update={"check": False}), jobs=1)
    assert unchecked.status.tolist() == ["made"]


def test_shapes_made_by_rules_are_not_checked_and_records_from_before_the_check_are_current(tmp_path):
    shape = Shape("ball", "chairs", "ball", "train", ball, "procedural", "1")
    store = Store(tmp_path)
    prepare([shape], store, SMALL, jobs=1)
    record = store.read_record(shape)
    assert record is not None and "check" not in record
    old = {**record, "config": {name: value for name, value in record["config"].items() if name != "check"}}
    assert is_current(old, shape, SMALL)
    assert not is_current(old, shape, SMALL.model_copy(update={"seed": 1}))
    assert not is_current({**old, "version": "2"}, shape, SMALL)


@pytest.mark.parametrize("radius", [0.3, 0.9])
def test_neither_shares_nor_distance_depend_on_the_area(radius):
    """The nine times larger ball has its points three times as far apart, and is as right."""
    result = check(sphere(radius), points(radius))
    assert result.real > 0.999 and 1000 * result.chamfer < 0.05
