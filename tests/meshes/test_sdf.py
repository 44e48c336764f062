import igl
import manifold3d
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tpl.geometry import primitives
from tpl.meshes import MeshError, Normalization, clean_mesh
from tpl.meshes.sdf import MeshSDF, sample_sdf, sample_surface, signed_distance
from tpl.meshes.votes import VotedSDF

AS_IS = Normalization(np.zeros(3), 1.0)
T = 0.6 * 2 / 128  # half the thickness of a sheet on the default grid
BOX = trimesh.creation.box((1.0, 0.8, 0.6))
EXACT = primitives.box((1.0, 0.8, 0.6))


def rng(seed=0):
    return np.random.default_rng(seed)


def cube(count=20_000, seed=0, bound=1.0):
    return rng(seed).uniform(-bound, bound, (count, 3))


def sdf_of(vertices, faces, **options):
    return signed_distance(trimesh.Trimesh(vertices, faces, process=False), **options)


# --------------------------------------------------------------------------------- closed forms


def test_a_box_is_exact():
    np.testing.assert_allclose(signed_distance(BOX)(cube()), EXACT(cube()), atol=1e-9)


@pytest.mark.parametrize("subdivisions", [2, 4])
def test_a_sphere_is_off_by_its_facets_and_no_more(subdivisions):
    mesh, points = trimesh.creation.icosphere(subdivisions, radius=0.7), cube(5000)
    inner = (mesh.triangles_center * mesh.face_normals).sum(axis=1).min()  # radius of the ball that fits inside
    error = signed_distance(mesh)(points) - primitives.sphere(0.7)(points)
    # ball of radius `inner` in mesh in ball of radius 0.7: the larger a solid, the smaller its distances
    assert -1e-9 <= error.min() and error.max() <= 0.7 - inner + 1e-9
    assert 0.7 - inner < {2: 2e-2, 4: 2e-3}[subdivisions]


def test_a_torus_is_off_by_its_facets_and_has_no_wrong_sign():
    around, across = 128, 64
    mesh = trimesh.creation.torus(0.5, 0.2, major_sections=around, minor_sections=across)
    sdf, exact = signed_distance(mesh)(cube()), primitives.torus(0.5, 0.2)(cube())
    facets = 0.7 * (1 - np.cos(np.pi / around)) + 0.2 * (1 - np.cos(np.pi / across))
    assert np.abs(sdf - exact).max() < facets < 5e-4
    assert (np.sign(sdf) == np.sign(exact))[np.abs(exact) > 1e-3].all()


def test_a_sheet_becomes_a_plate():
    sdf = sdf_of([[-0.5, -0.4, 0], [0.5, -0.4, 0], [0.5, 0.4, 0], [-0.5, 0.4, 0]], [[0, 1, 2], [0, 2, 3]])
    points = np.concatenate([cube(5000), cube(5000) * [0.4, 0.4, T]])
    np.testing.assert_allclose(sdf(points), primitives.box((1, 0.8, 0))(points) - T, atol=1e-9)


def test_the_frame_of_the_normalisation():
    mesh = trimesh.creation.icosphere(4, radius=30)
    mesh.apply_translation([100, 0, -7])
    clean = clean_mesh(mesh, rng())
    sdf = MeshSDF(clean, Normalization.of(clean.vertices))
    np.testing.assert_allclose(sdf(cube(5000)), primitives.sphere(1 / 1.03)(cube(5000)), atol=2e-3)


# --------------------------------------------------------------------------- another library, in full


def test_the_sign_is_that_of_the_whole_winding_number():
    rods = [manifold3d.Manifold.cylinder(1, 0.01 + 0.01 * k).rotate((40 * k, 25 * k, 0)) for k in range(9)]
    solid = manifold3d.Manifold.batch_boolean([manifold3d.Manifold.sphere(0.4, 48), *rods], manifold3d.OpType.Add)
    mesh = trimesh.Trimesh(solid.to_mesh().vert_properties, solid.to_mesh().tri_verts)
    points, _ = trimesh.sample.sample_surface(mesh, 20_000, seed=0)
    points = points + rng().normal(scale=0.02, size=points.shape)
    sdf = signed_distance(mesh)
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces, np.int64)
    inside = igl.winding_number(vertices, faces, points) > 0.5
    distance = np.sqrt(igl.point_mesh_squared_distance(points, vertices, faces)[0])
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_allclose(sdf(points), np.where(inside, -distance, distance), atol=1e-6)


def test_the_sign_is_that_of_the_whole_winding_number_of_an_open_shell_too():
    ball = trimesh.creation.icosphere(3, radius=0.8)
    shell = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 1] < 0.3], process=False)
    clean = clean_mesh(shell, rng())
    solid = clean.faces[~clean.is_sheet].astype(np.int64)
    number = igl.winding_number(clean.vertices, solid, cube())
    clear = np.abs(number - 0.5) > 0.02
    inside = MeshSDF(clean, AS_IS, cell=0)(cube()) < 0
    np.testing.assert_array_equal(inside[clear], number[clear] > 0.5)


# ------------------------------------------------------------------------- meshes as people make them


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.sampled_from(["doubled", "lined", "turned"]))
def test_faults_of_winding_change_nothing(seed, fault):
    faces = BOX.faces
    if fault == "turned":
        faces = np.where(rng(seed).random((12, 1)) < 0.5, faces[:, ::-1], faces)
    else:
        faces = np.concatenate([faces, faces if fault == "doubled" else faces[:, ::-1]])
        faces = rng(seed).permutation(faces)
    np.testing.assert_allclose(sdf_of(BOX.vertices, faces)(cube(2000)), EXACT(cube(2000)), atol=1e-9)


def test_a_box_inside_a_box_changes_nothing():
    mesh = trimesh.util.concatenate([trimesh.creation.box((0.3, 0.3, 0.3)), BOX])
    np.testing.assert_allclose(signed_distance(mesh)(cube(5000)), EXACT(cube(5000)), atol=1e-9)


def test_boxes_that_cut_into_each_other_are_one_solid():
    far = BOX.copy()
    far.apply_translation([0.7, 0.1, 0.05])
    both = primitives.union(EXACT, primitives.translated(EXACT, (0.7, 0.1, 0.05)))
    sdf, exact = signed_distance(trimesh.util.concatenate([BOX, far]))(cube()), both(cube())
    assert (np.sign(sdf) == np.sign(exact)).all()
    np.testing.assert_allclose(sdf[exact > 0], exact[exact > 0], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_box_without_a_bottom_still_has_an_inside(seed):
    open_box = trimesh.Trimesh(BOX.vertices, BOX.faces[BOX.face_normals[:, 0] > -0.5], process=False)
    clean = clean_mesh(open_box, rng(seed))
    points = cube()[cube()[:, 0] > -0.4]  # 0.1 from the hole
    sdf, exact = MeshSDF(clean, AS_IS)(points), EXACT(points)
    wrong = np.sign(sdf) != np.sign(exact)
    assert not clean.card.watertight and wrong[exact < 0].mean() < 0.02 and not wrong[exact > T].any()
    top = (points[:, 0] > 0.55) & (np.abs(points[:, 1:]) < 0.25).all(axis=1)  # over the lid
    np.testing.assert_allclose(sdf[top], exact[top], atol=1e-6)


def test_thin_solids_keep_their_thickness_when_closed_and_get_an_offset_when_not():
    plate = trimesh.creation.box((1, 0.8, 0.004))
    points = np.concatenate([cube(5000), cube(5000) * [0.4, 0.3, T]])
    exact = primitives.box((1, 0.8, 0.004))
    np.testing.assert_allclose(signed_distance(plate)(points), exact(points), atol=1e-9)

    edge = np.flatnonzero(plate.face_normals[:, 0] > 0.5)[0]
    opened = trimesh.Trimesh(plate.vertices, np.delete(plate.faces, edge, axis=0), process=False)
    middle = (np.abs(points[:, :2]) < 0.35).all(axis=1)  # away from the rim
    offset = T - 0.002
    np.testing.assert_allclose(signed_distance(opened)(points[middle]), exact(points[middle]) - offset, atol=1e-4)
    np.testing.assert_allclose(signed_distance(opened, cell=0)(points[middle]), exact(points[middle]), atol=1e-9)


def test_a_stale_vertex_moves_nothing():
    sdf = sdf_of(np.concatenate([BOX.vertices, [[1e6, 0, 0]]]), BOX.faces)
    np.testing.assert_allclose(sdf(cube(1000)), EXACT(cube(1000)), atol=1e-9)


def test_points_leave_as_they_came_in_any_precision_and_none_at_all():
    sdf, points = signed_distance(BOX), cube(100).astype(np.float32)
    before = points.copy()
    np.testing.assert_allclose(sdf(points), EXACT(points), atol=1e-6)
    np.testing.assert_array_equal(points, before)
    assert sdf(np.zeros((0, 3))).shape == (0,)
    assert sdf(points[::-2]).shape == (50,)  # not contiguous


def test_nothing_to_see_is_refused():
    with pytest.raises(MeshError, match="drop the shape"):
        signed_distance(trimesh.Trimesh())


# ------------------------------------------------------------------------------------ surface points


def test_surface_points_are_even_and_lie_on_their_faces():
    clean = clean_mesh(BOX, rng())
    points, faces, normals = sample_surface(clean, 24_000, rng())
    np.testing.assert_allclose(EXACT(points), 0, atol=1e-9)
    np.testing.assert_allclose(normals, clean.mesh.face_normals[faces], atol=1e-9)
    np.testing.assert_allclose(((points - clean.mesh.triangles[faces][:, 0]) * normals).sum(axis=1), 0, atol=1e-9)
    expected = clean.mesh.area_faces / clean.mesh.area * len(points)
    assert stats.chisquare(np.bincount(faces, minlength=12), expected).pvalue > 1e-3
    lid = points[normals[:, 1] > 0.5]
    for axis, side in ((0, 1.0), (2, 0.6)):
        assert stats.kstest(lid[:, axis] / side + 0.5, "uniform").pvalue > 1e-3


def test_no_surface_point_is_buried_and_all_that_shows_is_covered():
    rod = trimesh.creation.box((0.1, 0.1, 1.2))  # half of it within the box
    points, _, _ = sample_surface(clean_mesh(trimesh.util.concatenate([BOX, rod]), rng()), 10_000, rng())
    assert EXACT(points).min() > -1e-3
    on_rod = np.abs(points[:, 2]) > 0.3 + 1e-9
    shows = 2 * (4 * 0.1 * 0.3 + 0.01)
    assert on_rod.mean() == pytest.approx(shows / (shows + BOX.area - 2 * 0.01), abs=0.015)


def test_both_kinds_of_face_are_sampled_and_a_seed_repeats():
    flag = trimesh.Trimesh([[0.5, 0.3, 0], [1.5, 0.3, 0], [1.5, 1, 0]], [[0, 1, 2]], process=False)
    clean = clean_mesh(trimesh.util.concatenate([BOX, flag]), rng())
    points, faces, _ = sample_surface(clean, 4000, rng())
    assert clean.is_sheet.sum() == 1
    assert clean.is_sheet[faces].mean() == pytest.approx(0.35 / (0.35 + BOX.area), abs=0.02)
    np.testing.assert_array_equal(points, sample_surface(clean, 4000, rng())[0])


# ------------------------------------------------------------------------------------------- samples


def test_the_noise_has_deepsdfs_variances_and_six_percent_are_uniform():
    floor = np.concatenate([cube(3000)[:, :2], np.zeros((3000, 1))], axis=1)
    points, sdf = sample_sdf(lambda points: points[:, 2], floor, 50_000, rng())  # a flat world: sdf is the noise
    assert points.dtype == sdf.dtype == np.float32 and len(points) == 50_000
    wide, close, uniform = sdf[:23_500], sdf[23_500:47_000], sdf[47_000:]
    assert stats.kstest(wide, "norm", (0, 0.005**0.5)).pvalue > 1e-3
    assert stats.kstest(close, "norm", (0, 0.0005**0.5)).pvalue > 1e-3
    assert len(uniform) == 0.06 * 50_000 and stats.kstest(uniform, "uniform", (-1, 2)).pvalue > 1e-3
    assert np.abs(points[47_000:]).max() <= 1


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 9))
def test_samples_are_as_many_as_asked_for_and_true_where_they_are_stored(count, seed):
    surface = np.array([[0.5, 0, 0]])
    points, sdf = sample_sdf(primitives.sphere(0.5), surface, count, rng(seed))
    assert len(points) == count
    np.testing.assert_array_equal(sdf, primitives.sphere(0.5)(points.astype(float)).astype(np.float32))


def test_near_the_face_of_a_box():
    clean = clean_mesh(trimesh.creation.box((1.2, 1.2, 1.2)), rng())
    surface, _, _ = sample_surface(clean, 30_000, rng())
    points, sdf = sample_sdf(MeshSDF(clean, AS_IS), surface, 30_000, rng())
    close = slice(14_100, 28_200)
    flat = (np.abs(points[close]) < 0.4).sum(axis=1) == 2  # far from the edges, so that one face gives the distance
    assert sdf[close][flat].std() == pytest.approx(0.0005**0.5, rel=0.03)
    assert abs(sdf[close][flat].mean()) < 1e-3


# ------------------------------------------------------------------------------------ DeepSDF's votes


def voted(mesh, **options):
    clean = clean_mesh(mesh, rng(), **options)
    return VotedSDF(clean, AS_IS, rng())


def test_votes_agree_on_a_sphere_and_with_the_winding_number():
    ball, points = trimesh.creation.icosphere(4, radius=0.7), cube(5000)
    votes, winding = voted(ball)(points), signed_distance(ball)(points)
    known = ~np.isnan(votes)
    np.testing.assert_allclose(votes[known], winding[known], atol=1e-9)
    assert (np.abs(winding[~known]) < 1e-3).all() and known.mean() > 0.99  # in the chord of a facet
    assert (votes[known] < 0).any() and (votes[known] > 0).any()


def test_votes_are_those_of_the_nearest_eleven_one_by_one():
    sdf, points = voted(BOX), cube(200)
    result = sdf(points)
    for point, value in zip(points, result, strict=True):
        nearest = np.argsort(np.linalg.norm(sdf.points - point, axis=1))[:11]
        ahead = [np.dot(point - sdf.points[n], sdf.normals[n]) > 0 for n in nearest]
        if len(set(ahead)) == 2:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(EXACT(point[None])[0]) and (value > 0) == ahead[0]


def test_votes_dispute_a_sheet_and_its_samples_are_dropped():
    """A panel has no inside: by votes nearly every point is in dispute, and by our rule none is."""
    panel = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    points = cube(2000) * 0.9
    assert np.isnan(voted(panel)(points)).mean() > 0.98
    ball = trimesh.creation.icosphere(3, radius=0.8)
    shell = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 1] < 0.7], process=False)
    clean, chance = clean_mesh(shell, rng()), rng()
    surface, _, _ = sample_surface(clean, 2000, chance)
    sdf = VotedSDF(clean, AS_IS, chance)
    samples = sample_sdf(sdf, surface, 4000, rng())
    asked = sample_sdf(MeshSDF(clean, AS_IS, cell=0), surface, 4000, rng())
    assert 0.5 * 4000 < len(samples.sdf) < 4000 and not np.isnan(samples.sdf).any()
    row = {point.tobytes(): value for point, value in zip(*asked, strict=True)}
    both = np.array([row[point.tobytes()] for point in samples.points])
    np.testing.assert_allclose(np.abs(samples.sdf), np.abs(both), atol=1e-6)  # the distance is the same
    assert (np.sign(samples.sdf) == np.sign(both)).mean() > 0.9  # and the sign, but around the opening
