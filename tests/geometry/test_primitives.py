import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from tpl.geometry.primitives import box, sphere, torus, translated, union

coordinates = st.floats(-3, 3)
points = st.tuples(coordinates, coordinates, coordinates).map(lambda p: np.array([p]))


def test_values_known_by_heart():
    at = np.array([[0.0, 0, 0], [2, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(sphere(0.5)(at), [-0.5, 1.5, 0.5])
    np.testing.assert_allclose(box((2, 4, 6))(at), [-1, 1, -1])
    np.testing.assert_allclose(torus(1.0, 0.25)(at), [0.75, 0.75, 2**0.5 - 0.25])


def test_box_at_an_edge_and_a_corner():
    at = np.array([[4.0, 6, 0], [2, 3, 5]])  # 3 and 4 past two faces; 1, 1 and 2 past three
    np.testing.assert_allclose(box((2, 4, 6))(at), [5, 6**0.5])


@settings(deadline=None)
@given(points, points, st.sampled_from([sphere(0.7), box((1, 2, 0.1)), torus(1, 0.3)]))
def test_no_distance_grows_faster_than_the_way(a, b, sdf):
    assert abs(sdf(a) - sdf(b))[0] <= np.linalg.norm(a - b) + 1e-9


@settings(deadline=None)
@given(points)
def test_union_is_inside_where_a_part_is(p):
    left, right = translated(sphere(1), (-0.5, 0, 0)), translated(sphere(1), (0.5, 0, 0))
    assert union(left, right)(p) == min(left(p), right(p))
    assert left(p)[0] == pytest.approx(np.linalg.norm(p - [-0.5, 0, 0]) - 1)


def test_shapes_are_checked_in_this_run():
    with pytest.raises(TypeCheckError):
        sphere(1)(np.zeros((5, 2)))
