import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.spatial.transform import Rotation
from sklearn.neighbors import NearestNeighbors

from tpl.geometry.primitives import box, sphere, translated, union
from tpl.metrics import chamfer_distance, compare_surfaces, f_score, iou, normal_consistency, sampling_floor

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(60, 3)), RNG.normal(size=(45, 3)) + 0.2
NORMALS_A, NORMALS_B = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (A + 1, B - 2))
seeds = st.integers(0, 99)


def square(height, count=200):
    """A regular grid on the unit square at a height, and its normals."""
    axis = np.linspace(0, 1, round(count**0.5))
    x, y = np.meshgrid(axis, axis)
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)
    return points, np.tile([0.0, 0, 1], (len(points), 1))


def in_loops(a, b):
    """Distance from each point of a to its nearest of b, and that one's row, by comparing all pairs."""
    distance, row = [], []
    for point in a:
        all_distances = [sum((point - other) ** 2) ** 0.5 for other in b]
        distance.append(min(all_distances))
        row.append(all_distances.index(distance[-1]))
    return np.array(distance), np.array(row)


# Chamfer


def test_chamfer_of_two_points_is_twice_the_squared_distance():
    assert chamfer_distance(np.array([[0.0, 0, 0]]), np.array([[0.0, 3, 4]])) == 2 * 25


def test_chamfer_of_shifted_squares_is_twice_the_squared_shift():
    assert chamfer_distance(square(0)[0], square(0.01)[0]) == pytest.approx(2e-4)


def test_chamfer_adds_both_directions_of_which_one_may_be_zero():
    part = np.array([[0.0, 0, 0]])
    whole = np.array([[0.0, 0, 0], [2.0, 0, 0]])
    assert chamfer_distance(part, whole) == (0 + 4) / 2


def test_chamfer_of_concentric_spheres():
    inner, outer = (trimesh.creation.icosphere(5, radius).vertices.view(np.ndarray) for radius in (0.5, 0.6))
    assert chamfer_distance(inner, outer) == pytest.approx(2 * 0.1**2)


def test_chamfer_is_its_formula_in_loops():
    expected = np.mean(in_loops(A, B)[0] ** 2) + np.mean(in_loops(B, A)[0] ** 2)
    assert chamfer_distance(A, B) == pytest.approx(expected)


@settings(deadline=None)
@given(scale=st.floats(0.1, 10), seed=seeds)
def test_rigid_motions_leave_chamfer_and_scaling_squares_it(scale, seed):
    move = Rotation.random(rng=seed)
    moved = [scale * move.apply(points) + 1 for points in (A, B)]
    assert chamfer_distance(*moved) == pytest.approx(scale**2 * chamfer_distance(A, B))


@settings(deadline=None)
@given(seed=seeds, count=st.integers(1, 40))
def test_chamfer_is_symmetric_blind_to_order_and_zero_for_equal_sets(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    shuffled = rng.permutation(points)
    assert chamfer_distance(points, B) == pytest.approx(chamfer_distance(B, points))
    assert chamfer_distance(shuffled, B) == pytest.approx(chamfer_distance(points, B))
    assert chamfer_distance(points, shuffled) == 0
    assert chamfer_distance(points, np.concatenate([points, points])) == 0  # multiplicity does not matter


@settings(deadline=None)
@given(seed=seeds)
def test_more_points_to_choose_from_never_lengthen_the_way_there(seed):
    more = np.concatenate([B, np.random.default_rng(seed).normal(size=(20, 3))])
    one_way = chamfer_distance(A, B) - np.mean(in_loops(B, A)[0] ** 2)
    with_more = chamfer_distance(A, more) - np.mean(in_loops(more, A)[0] ** 2)
    assert with_more <= one_way + 1e-12


def test_chamfer_does_not_depend_on_threads_or_precision():
    assert chamfer_distance(A, B, workers=2) == chamfer_distance(A, B)
    assert chamfer_distance(A.astype(np.float32), B.astype(np.float32)) == pytest.approx(
        chamfer_distance(A, B), rel=1e-5
    )


def test_chamfer_leaves_its_inputs():
    a, b = A.copy(), B.copy()
    chamfer_distance(a, b)
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(b, B)


@pytest.mark.parametrize("metric", [chamfer_distance, f_score])
def test_sets_without_neighbours_are_refused(metric):
    with pytest.raises(ValueError, match="no nearest neighbour in an empty set: 60 and 0 points"):
        metric(A, B[:0])
    with pytest.raises(ValueError, match="a point is not finite"):
        metric(A, np.array([[0, np.nan, 0]]))


def test_points_have_three_coordinates():
    with pytest.raises(TypeCheckError):
        chamfer_distance(A[:, :2], B)  # pyright: ignore


# F-score


def test_f_score_is_a_step_at_the_threshold():
    a, b = square(0)[0], square(0.02)[0]
    assert f_score(a, b, threshold=0.021) == 1
    assert f_score(a, b, threshold=0.019) == 0


def test_a_point_exactly_as_far_as_the_threshold_is_close():
    """No farther than the threshold, says Tatarchenko et al.; both ways, and in numbers without rounding."""
    points, shifted = np.zeros((1, 3)), np.array([[0.25, 0.0, 0.0]])
    assert f_score(points, shifted, threshold=0.25) == 1
    assert f_score(points, shifted, threshold=np.nextafter(0.25, 0)) == 0


def test_f_score_counts_as_close_what_is_within_a_hundredth_of_a_diagonal():
    whole = square(0)[0]
    assert f_score(whole, square(0.0099)[0]) == 1 and f_score(whole, square(0.0101)[0]) == 0
    normals = square(0)[1]
    assert compare_surfaces(whole, normals, square(0.0101)[0], normals).f_score == 0


def test_f_score_of_half_a_surface():
    whole = square(0, 400)[0]
    half = whole[whole[:, 0] < 0.5]
    recall = np.mean(in_loops(whole, half)[0] <= 0.01)
    assert f_score(half, whole) == pytest.approx(2 * recall / (1 + recall))  # precision is 1
    assert recall == pytest.approx(0.5)


@settings(deadline=None)
@given(threshold=st.floats(0.05, 3))
def test_f_score_is_its_formula_symmetric_and_grows_with_the_threshold(threshold):
    precision, recall = (np.mean(in_loops(*pair)[0] <= threshold) for pair in ((A, B), (B, A)))
    harmonic = 0 if precision + recall == 0 else 2 / (1 / max(precision, 1e-12) + 1 / max(recall, 1e-12))
    assert f_score(A, B, threshold) == pytest.approx(harmonic, abs=1e-9)
    assert f_score(B, A, threshold) == pytest.approx(f_score(A, B, threshold))
    assert f_score(A, B, threshold) <= f_score(A, B, 1.5 * threshold)


def test_a_threshold_that_is_no_length_is_refused():
    with pytest.raises(ValueError, match="a threshold of 0 counts nothing as close"):
        f_score(A, B, threshold=0)


# normals


def test_normals_of_parallel_perpendicular_and_tilted_squares():
    points, up = square(0)
    sideways = np.tile([1.0, 0, 0], (len(points), 1))
    tilted = np.tile([0, np.sin(0.3), np.cos(0.3)], (len(points), 1))
    assert normal_consistency(points, up, points + [0, 0, 0.01], up) == 1
    assert normal_consistency(points, up, points, sideways) == 0
    assert normal_consistency(points, up, points, tilted) == pytest.approx(np.cos(0.3))


def test_random_normals_agree_by_half():
    rng = np.random.default_rng(1)
    points, random = rng.normal(size=(20_000, 3)), rng.normal(size=(2, 20_000, 3))
    first, second = random / np.linalg.norm(random, axis=-1, keepdims=True)
    assert normal_consistency(points, first, points, second) == pytest.approx(0.5, abs=0.01)


@settings(deadline=None)
@given(seed=seeds)
def test_normal_consistency_ignores_orientation_rotation_and_the_order_of_surfaces(seed):
    value = normal_consistency(A, NORMALS_A, B, NORMALS_B)
    flip = np.random.default_rng(seed).choice([-1.0, 1.0], size=(len(A), 1))
    assert normal_consistency(A, flip * NORMALS_A, B, NORMALS_B) == pytest.approx(value)
    assert normal_consistency(B, NORMALS_B, A, NORMALS_A) == pytest.approx(value)
    turn = Rotation.random(rng=seed).apply
    assert normal_consistency(turn(A), turn(NORMALS_A), turn(B), turn(NORMALS_B)) == pytest.approx(value)


def test_normal_consistency_is_its_formula_in_loops():
    forth = [abs(NORMALS_A[i] @ NORMALS_B[j]) for i, j in enumerate(in_loops(A, B)[1])]
    back = [abs(NORMALS_B[j] @ NORMALS_A[i]) for j, i in enumerate(in_loops(B, A)[1])]
    assert normal_consistency(A, NORMALS_A, B, NORMALS_B) == pytest.approx((np.mean(forth) + np.mean(back)) / 2)


def test_normals_of_another_length_are_refused():
    with pytest.raises(ValueError, match="a normal has length 2"):
        normal_consistency(A, NORMALS_A, B, 2 * NORMALS_B)


def test_a_normal_is_of_unit_length_to_a_thousandth():
    """So much may be lost in a file; from a normal that is longer or shorter the cosine would be wrong by as much."""
    for length in (0.9991, 1.0009):
        assert normal_consistency(A, length * NORMALS_A, B, NORMALS_B) == pytest.approx(
            length * normal_consistency(A, NORMALS_A, B, NORMALS_B)
        )
    for length in (0.9988, 1.0012):
        one = NORMALS_A.copy()
        one[7] *= length
        with pytest.raises(ValueError, match=f"a normal has length {length:.3g}"):
            normal_consistency(A, one, B, NORMALS_B)


# all at once


def test_compare_surfaces_says_what_the_three_say():
    together = compare_surfaces(A, NORMALS_A, B, NORMALS_B, threshold=0.5)
    assert together == (
        chamfer_distance(A, B),
        f_score(A, B, 0.5),
        normal_consistency(A, NORMALS_A, B, NORMALS_B),
    )
    assert np.isnan(compare_surfaces(A, NORMALS_A, B, None).normal_consistency)


def test_neighbours_are_those_of_scikit_learn():
    distance, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(B).kneighbors(A)
    back, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(A).kneighbors(B)
    assert chamfer_distance(A, B) == pytest.approx(np.mean(distance**2) + np.mean(back**2))


# volumes


@pytest.mark.parametrize("radius", [0.3, 0.5, 0.7])
def test_iou_of_concentric_balls(radius):
    assert iou(sphere(radius), sphere(0.8), resolution=96) == pytest.approx((radius / 0.8) ** 3, rel=0.01)


@pytest.mark.parametrize("cells", [0, 4, 8, 32])
def test_iou_of_a_shifted_cube_is_exact_on_the_grid(cells):
    shift = cells * 2 / 64
    cube = box((1, 1, 1))
    assert iou(cube, translated(cube, (shift, 0, 0))) == (1 - shift) / (1 + shift)


@settings(deadline=None)
@given(x=st.floats(-0.5, 0.5), radius=st.floats(0.1, 0.5))
def test_iou_is_symmetric_and_one_only_for_the_same(x, radius):
    first, second = sphere(radius), translated(sphere(0.4), (x, 0, 0))
    assert iou(first, second, 24) == iou(second, first, 24)
    assert 0 <= iou(first, second, 24) <= 1
    assert iou(first, first, 24) == 1


def test_iou_sees_the_cube_of_side_two_and_of_another_bound_that_one():
    ball, beside = sphere(0.5), union(sphere(0.5), translated(sphere(0.4), (1.45, 0, 0)))
    assert iou(ball, beside, 32) == 1
    assert iou(ball, beside, 64, bound=2) == pytest.approx(0.5**3 / (0.5**3 + 0.4**3), rel=0.05)


def test_iou_of_nothing_with_nothing_is_refused():
    with pytest.raises(ValueError, match="both shapes are empty on a grid of 8 cells"):
        iou(sphere(0.01), sphere(0.02), resolution=8)


# the floor


def test_sampling_floor_falls_with_the_number_of_points():
    """Two Poisson sets of density n on area S: the mean squared distance is S / (pi n) a direction."""
    mesh = trimesh.creation.icosphere(4, 0.5)
    rng = np.random.default_rng(0)
    for count in (1000, 4000, 16_000):
        floor = sampling_floor(mesh, count, rng)
        assert floor == pytest.approx(2 * mesh.area / (np.pi * count), rel=0.1)


def test_sampling_floor_takes_a_sampler_and_only_the_seed_decides():
    def draw(count, rng):
        return rng.random((count, 3))

    first, second = (sampling_floor(draw, 500, np.random.default_rng(3)) for _ in range(2))
    assert first == second > 0
