import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl.geometry.marching import (
    EmptyShape,
    evaluate,
    extract_mesh,
    extract_meshes,
    remove_floaters,
    sample_mesh,
)
from tpl.geometry.primitives import box, sphere, torus, translated, union
from tpl.geometry.whole import FARTHEST, extract_whole, share_closed
from tpl.meshes.normalization import Normalization
from tpl.metrics import chamfer_distance


class Counted:
    """A function that remembers how many points it was asked for, and the largest request."""

    def __init__(self, sdf):
        self.sdf, self.points, self.largest = sdf, 0, 0

    def __call__(self, points):
        self.points += len(points)
        self.largest = max(self.largest, len(points))
        return self.sdf(points)


def truncated(sdf, distance=0.1):
    return lambda points: np.clip(sdf(points), -distance, distance)


def decoder(seed):
    """A small network as it is before training, with its zero level set amid its values; truncated at 0.1."""
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.nn.Linear(3, 64), torch.nn.Softplus(10), torch.nn.Linear(64, 64), torch.nn.Softplus(10)]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(64, 1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4 if parameter.ndim == 2 else 0.1, generator=generator)

    def raw(points):
        with torch.inference_mode():
            return network(torch.from_numpy(points).float())[:, 0]

    anywhere = torch.rand(2000, 3, generator=generator).numpy() * 2 - 1
    middle = raw(anywhere).median()
    slope = 1.5 * torch.autograd.functional.jacobian(lambda x: network(x).sum(0), torch.from_numpy(anywhere))
    steepest = slope.norm(dim=-1).max()
    return lambda points: ((raw(points) - middle) / steepest).clamp(-0.1, 0.1).numpy()


def assert_same_mesh(sdf, resolution, **options):
    counted = Counted(sdf)
    fine = extract_mesh(counted, resolution, **options)
    dense = extract_mesh(sdf, resolution, method="dense")
    np.testing.assert_array_equal(fine.faces, dense.faces)
    np.testing.assert_allclose(fine.vertices, dense.vertices, rtol=0, atol=1e-6)
    return counted.points / (resolution + 1) ** 3


def two_balls():
    return union(translated(sphere(0.3), (0.4, 0.1, 0)), translated(sphere(0.04), (-0.7, -0.6, 0.65)))


@pytest.mark.parametrize("resolution", [64, 96, 100, 128])
@pytest.mark.parametrize(
    "sdf",
    [sphere(0.53), torus(0.6, 0.08), box((1.0, 0.7, 0.3)), two_balls(), truncated(two_balls())],
    ids=["sphere", "torus", "box", "two balls", "truncated"],
)
def test_coarse_to_fine_is_the_dense_mesh_for_fewer_evaluations(sdf, resolution):
    assert assert_same_mesh(sdf, resolution) < {64: 0.1, 96: 0.08, 100: 0.08, 128: 0.045}[resolution]


@given(radius=st.floats(0.02, 0.9), seed=st.integers(0, 99), resolution=st.integers(8, 72))
@settings(max_examples=15, deadline=None)
def test_coarse_to_fine_is_the_dense_mesh_of_any_ball_at_any_resolution(radius, seed, resolution):
    centre = np.random.default_rng(seed).uniform(-0.3, 0.3, 3).tolist()
    try:
        extract_mesh(translated(sphere(radius), centre), resolution, method="dense")
    except EmptyShape:  # a ball between the nodes is lost by both
        with pytest.raises(EmptyShape):
            extract_mesh(translated(sphere(radius), centre), resolution)
    else:
        assert_same_mesh(translated(sphere(radius), centre), resolution)


@pytest.mark.parametrize("thickness", [0.2, 1.0, 1.7])
def test_no_thin_plate_vanishes_whatever_its_place_between_the_nodes(thickness):
    cell = 2 / 64
    for offset in np.arange(8) / 8 * cell:
        plate = truncated(translated(box((1.1, 0.9, thickness * cell)), (0.01, 0.02, offset)))
        for turned in (plate, lambda points, plate=plate: plate(points[:, [2, 0, 1]])):
            try:
                extract_mesh(turned, method="dense")
            except EmptyShape:
                assert thickness < 1  # no node lies in it: marching cubes itself cannot see it
                with pytest.raises(EmptyShape):
                    extract_mesh(turned)
            else:
                assert_same_mesh(turned, 64)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_coarse_to_fine_is_the_dense_mesh_of_a_network(seed):
    assert assert_same_mesh(decoder(seed), 64) < 0.4


def test_a_surface_steeper_than_promised_is_followed_to_its_end():
    steep = sphere(0.5)
    share = assert_same_mesh(lambda points: 8 * steep(points), 64)  # most nodes claim to be far from it
    assert share < 0.1


@pytest.mark.parametrize("method", ["coarse_to_fine", "dense"])
def test_a_ball_is_found_where_it_is(method):
    mesh = extract_mesh(translated(sphere(0.5), (0.1, 0, -0.2)), 64, method=method)
    distance = np.linalg.norm(mesh.vertices - (0.1, 0, -0.2), axis=1)
    assert np.abs(distance - 0.5).max() < 0.25 * 2 / 64
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=5e-3)  # positive: faces point outward
    assert mesh.is_watertight


def test_a_torus_keeps_its_hole():
    assert extract_mesh(torus(0.6, 0.2), 48).euler_number == 0


@pytest.mark.parametrize("sdf", [box((1, 1.2, 0.01)), box((1, 1, 1)), sphere(0.5)])
@pytest.mark.parametrize("resolution", [50, 64, 100])
def test_surfaces_through_the_nodes_stay_closed(sdf, resolution):
    mesh = extract_mesh(sdf, resolution)
    assert mesh.is_watertight
    assert (mesh.area_faces > 0).all()


def test_a_shape_that_leaves_the_volume_is_closed_at_its_faces():
    mesh = extract_mesh(box((0.8, 4, 4)), 64)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(0.8 * 2 * 2, rel=1e-3)
    assert np.abs(mesh.vertices).max() == pytest.approx(1, abs=1e-3)


def leaf(size, place):
    return translated(box(size), place)


def test_a_mesh_to_look_at_ends_where_all_shapes_do_however_far_its_function_goes_on():
    """A seat whose leg goes on through the cube's side, as a code's may: flat there in one mesh, round in the other."""
    shape = union(leaf((1, 0.2, 1), (0, 0, 0)), leaf((0.2, 1.15, 0.2), (0.1, -0.575, 0)))
    cut, whole = extract_mesh(shape, 64), extract_whole(shape, 64)
    assert cut.bounds[0][1] == pytest.approx(-1, abs=1e-3) and whole.bounds[0][1] == pytest.approx(-1 / 1.03, abs=2e-3)
    assert whole.is_watertight and np.linalg.norm(whole.vertices, axis=1).max() < 1 / 1.03 + 1e-3
    inside = [mesh.vertices[np.linalg.norm(mesh.vertices, axis=1) < 0.9] for mesh in (cut, whole)]
    np.testing.assert_allclose(*(part[np.lexsort(part.round(4).T)] for part in inside), atol=1e-5)
    with pytest.raises(EmptyShape):
        extract_whole(translated(sphere(0.1), (0, 1.3, 0)), 32)


def test_the_sphere_where_it_ends_is_that_of_the_normalisation():
    vertices = np.random.default_rng(0).normal(size=(100, 3))
    assert np.linalg.norm(Normalization.of(vertices).apply(vertices), axis=1).max() == pytest.approx(FARTHEST)


def test_a_mesh_to_look_at_of_a_shape_within_the_sphere_is_the_one_that_is_measured():
    once, alone = extract_whole(torus(0.6, 0.2), 48), extract_mesh(torus(0.6, 0.2), 48)
    order = [mesh.vertices[np.lexsort(mesh.vertices.round(4).T)] for mesh in (once, alone)]
    np.testing.assert_allclose(*order, atol=1e-5)


def test_what_is_closed_is_the_area_on_the_sphere():
    """A beam through it ends in two caps, whose area is known; a ball within has none, nor has one that touches."""
    assert share_closed(extract_whole(sphere(0.5), 48)) == 0
    assert share_closed(extract_whole(box((1.1, 1.1, 1.1)), 48)) == 0  # its corners at 0.953
    half, end = 0.2, np.sqrt(FARTHEST**2 - 0.2**2)
    cap = 2 * np.pi * FARTHEST * (FARTHEST - end)
    expected = 2 * cap / (2 * cap + 2 * np.pi * half * 2 * end)
    assert share_closed(extract_whole(rod(half), 96)) == pytest.approx(expected, rel=0.1)


def rod(radius):
    """An endless rod along y."""
    return lambda points: np.hypot(points[:, 0], points[:, 2]) - radius


def tube(outer, thickness):
    """A hollow cylinder of height 1, open at both ends."""

    def sdf(points):
        across = np.abs(np.hypot(points[:, 0], points[:, 2]) - outer + thickness / 2) - thickness / 2
        both = np.stack([across, np.abs(points[:, 1]) - 0.5], axis=1)
        return np.minimum(both.max(axis=1), 0) + np.linalg.norm(np.maximum(both, 0), axis=1)

    return sdf


def frame_of_rods(thickness):
    """A seat on four legs with a back of three spindles, as thin as chairs have them, amid the nodes of 64 cells."""
    rods = [leaf((thickness, 0.8, thickness), (x, -0.4, z)) for x in (-0.359, 0.36) for z in (-0.359, 0.361)]
    rods += [leaf((thickness, 0.7, thickness), (x, 0.35, 0.361)) for x in (-0.359, 0.016, 0.36)]
    return union(leaf((0.85, 0.081, 0.85), (0.003, 0.002, 0.001)), *rods)


@pytest.mark.parametrize("shape", [tube(0.5, 0.07), torus(0.6, 0.04), frame_of_rods(0.07)])
def test_parts_of_two_cells_of_the_tables_grid_are_measured_as_on_a_finer_one(shape):
    """Two cells of 64 are 0.0625. Chamfer x 1000 between the two meshes is hardly more than between samples of one."""
    draws = [(64, 0), (128, 0), (128, 1)]
    meshes = {cells: extract_mesh(shape, cells, lipschitz=1) for cells in (64, 128)}
    coarse, fine, again = (sample_mesh(meshes[cells], 10_000, np.random.default_rng(seed))[0] for cells, seed in draws)
    grid, floor = (1000 * chamfer_distance(points, again) for points in (coarse, fine))
    assert abs(grid - floor) < 0.02


def test_rods_thinner_than_a_cell_are_there_on_the_finer_grid_alone():
    """As thick as a cell of 128 is wide, a rod holds nodes wherever it stands; of 64, it is chance which are seen."""
    rods = frame_of_rods(0.0157)
    low, high = extract_mesh(rods, 128, lipschitz=1).bounds[:, 1]
    assert low == pytest.approx(-0.8, abs=0.02) and high == pytest.approx(0.7, abs=0.02)
    assert extract_mesh(rods, 64, lipschitz=1).extents[1] < 0.2  # the seat alone


def test_a_function_that_is_inside_everywhere_fills_the_volume():
    mesh = extract_mesh(lambda points: np.full(len(points), -0.1), 16, bound=0.5)
    assert mesh.volume == pytest.approx(1, rel=1e-2)


def test_the_bound_is_the_unit():
    small = extract_mesh(sphere(0.05), 64, bound=0.1, truncation=0.01)
    large = extract_mesh(sphere(0.5), 64)
    np.testing.assert_allclose(10 * small.vertices, large.vertices, atol=1e-5)


def test_requests_fit_into_memory_and_points_arrive_as_doubles():
    counted = Counted(sphere(0.9))
    extract_mesh(counted, 100, method="dense")
    assert counted.points == 101**3
    assert counted.largest <= 65_536


def test_no_surface_is_an_error_of_its_own():
    for method in ("coarse_to_fine", "dense"):
        with pytest.raises(EmptyShape, match="no surface: the function is positive all over .* 64 cells a side"):
            extract_mesh(lambda points: np.ones(len(points)), method=method)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="1 of 2 signed distances are not finite"):
        evaluate(lambda points: points[:, 0], np.array([[0.0, 0, 0], [np.nan, 0, 0]]))
    with pytest.raises(ValueError, match="has the training diverged"):
        extract_mesh(lambda points: np.full(len(points), np.nan))


def test_senseless_grids_are_refused():
    with pytest.raises(ValueError, match="a grid of 1 cells"):
        extract_mesh(sphere(0.5), 1)
    assert extract_mesh(sphere(0.5), 2).is_watertight  # an octahedron around the one node inside


def test_evaluate_is_the_function_in_chunks():
    points = np.random.default_rng(0).uniform(-1, 1, (70_000, 3))
    np.testing.assert_array_equal(evaluate(sphere(0.5), points), sphere(0.5)(points))
    assert evaluate(sphere(0.5), points[:0]).shape == (0,)


def balls(*radii):
    """Separate balls in a row."""
    parts = [trimesh.creation.icosphere(2, radius) for radius in radii]
    for place, part in enumerate(parts):
        part.apply_translation((3 * place, 0, 0))
    return trimesh.util.concatenate(parts)


def test_floaters_go_and_parts_stay():
    mesh = balls(1.0, 0.4, 0.2)  # areas 1, 0.16, 0.04
    assert remove_floaters(mesh).area == pytest.approx(balls(1.0, 0.4).area)
    assert remove_floaters(mesh, share=0.01).area == pytest.approx(mesh.area)
    assert remove_floaters(mesh, share=1).area == pytest.approx(balls(1.0).area)
    assert remove_floaters(mesh, share=0).area == pytest.approx(mesh.area)
    assert len(mesh.faces) == 3 * 320  # the input stays as it is
    assert len(remove_floaters(mesh).vertices) == 2 * 162


def test_the_share_of_a_floater_is_checked():
    with pytest.raises(ValueError, match="10 is no share of an area"):
        remove_floaters(balls(1.0), share=10)


def test_samples_lie_on_the_surface_in_proportion_to_area():
    mesh = trimesh.creation.box((1, 2, 4))
    points, normals = sample_mesh(mesh, 20_000, np.random.default_rng(0))
    beyond = np.abs(points) - (0.5, 1, 2)
    np.testing.assert_allclose(beyond.max(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    share = np.mean(np.abs(normals[:, 0]) > 0.5)  # the two faces of 2 x 4
    assert share == pytest.approx(16 / 28, abs=0.02)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.05)
    assert (np.sum(points * normals, axis=1) > 0).all()


def test_samples_are_uniform_within_a_triangle():
    mesh = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    points, _ = sample_mesh(mesh, 40_000, np.random.default_rng(1))
    np.testing.assert_allclose(points.mean(axis=0), [1 / 3, 1 / 3, 0], atol=5e-3)
    assert np.mean(points[:, 0] > 0.5) == pytest.approx(0.25, abs=0.01)


def test_a_seed_decides_the_samples():
    mesh = balls(1.0)
    first, second = (sample_mesh(mesh, 10, np.random.default_rng(4))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_meshes_without_a_surface_cannot_be_sampled():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a mesh of 0 faces and no area"):
        sample_mesh(trimesh.Trimesh(), 10, rng)
    broken = trimesh.Trimesh([[0, 0, np.nan], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    with pytest.raises(ValueError, match="a vertex is not finite"):
        sample_mesh(broken, 10, rng)


def test_side_by_side_each_shape_gives_its_own_mesh_or_its_own_error():
    balls = [sphere(0.3), sphere(0.7), sphere(-1.0), lambda points: np.full(len(points), np.nan)]
    first, second, empty, broken = extract_meshes(
        lambda requests: [ball(points) for ball, points in zip(balls, requests, strict=True)], 4, 20
    )
    for ball, mesh in zip(balls, (first, second), strict=False):
        alone = extract_mesh(ball, 20)
        assert isinstance(mesh, trimesh.Trimesh)
        assert np.array_equal(mesh.vertices, alone.vertices) and np.array_equal(mesh.faces, alone.faces)
    assert isinstance(empty, EmptyShape) and "no surface" in str(empty)
    assert isinstance(broken, ValueError) and "not finite" in str(broken)
