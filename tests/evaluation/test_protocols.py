"""The four protocols against closed forms of spheres, and what each of them reacts to.

For a point at distance R from the centre and n random points on the sphere of radius r, the nearest one is expected at
the squared distance (R - r)^2 + 4 R r / (n + 1): the smallest of n shares of the sphere is 1 / (n + 1) on average."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from tpl.evaluation.protocols import BOOK, DISN, ONET, PIXEL2MESH, PROTOCOLS, isosurface, mean_distance
from tpl.geometry.marching import sample_mesh
from tpl.meshes import MeshError, Normalization
from tpl.metrics import chamfer_distance, sampling_floor

RADIUS, GAP = 0.4, 0.05
NAMES = [protocol.name for protocol in PROTOCOLS]
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)


def ball(radius, subdivisions=4):
    return trimesh.creation.icosphere(subdivisions, radius)


def normalization_of(mesh):
    return Normalization.of(np.asarray(mesh.vertices))


TRUTH = ball(RADIUS)
FRAME = normalization_of(TRUTH)


def measure(protocol, reconstruction, truth=TRUTH, seed=0):
    return protocol.measure(reconstruction, truth, normalization_of(truth), np.random.default_rng(seed))


UNITS = {"this book": 1.0, "DISN": 1 / RADIUS, "Pixel2Mesh": 0.57}


@pytest.mark.parametrize("protocol", [BOOK, DISN, PIXEL2MESH], ids=lambda protocol: protocol.name)
def test_two_concentric_spheres_are_twice_the_squared_gap_apart_and_the_sampling(protocol):
    unit = UNITS[protocol.name]
    gap, sampling = 2 * GAP**2, 8 * RADIUS * (RADIUS + GAP) / (protocol.points + 1)
    found = measure(protocol, ball(RADIUS + GAP, 5)) / unit**2
    # Points of a thinned grid of vertices are spaced between a full grid's, with half the sampling term, and random
    # ones; vertices drawn twice are fewer. The faces of the balls lie up to 0.1 % of the radius within the sphere.
    irregular = 0 if protocol is BOOK else sampling / 2
    assert found == pytest.approx(gap + sampling, abs=0.02 * gap + irregular)


def test_two_concentric_spheres_are_the_gap_apart_where_nothing_is_squared():
    unit = 1 / (2 * RADIUS)  # the truth's box has sides of twice its radius
    found = measure(ONET, ball(RADIUS + GAP)) / unit
    squares = GAP**2 + 4 * RADIUS * (RADIUS + GAP) / (ONET.points + 1)
    assert 0.995 * GAP < found < 1.005 * np.sqrt(squares)  # Jensen: a mean is below the root of the mean of squares


def test_this_books_protocol_is_the_evaluations_on_the_same_points():
    reconstruction, rng = ball(RADIUS + GAP, 2), np.random.default_rng(3)
    first = sample_mesh(reconstruction, 30_000, rng)[0]
    assert measure(BOOK, reconstruction, seed=3) == chamfer_distance(first, sample_mesh(TRUTH, 30_000, rng)[0])


def test_the_mean_distance_is_its_formula_in_loops():
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 3)), rng.random((7, 3))
    forth = [min(np.linalg.norm(p - q) for q in b) for p in a]
    back = [min(np.linalg.norm(p - q) for p in a) for q in b]
    assert mean_distance(a, b) == pytest.approx((np.mean(forth) + np.mean(back)) / 2)


@pytest.mark.parametrize("protocol, factor", [(BOOK, 4), (DISN, 1), (PIXEL2MESH, 4), (ONET, 1)], ids=NAMES)
def test_only_protocols_that_do_not_normalise_grow_with_the_scale(protocol, factor):
    protocol = replace(protocol, points=2000)
    reconstruction = ball(RADIUS + GAP, 3)
    doubled = [trimesh.Trimesh(2 * mesh.vertices, mesh.faces, process=False) for mesh in (reconstruction, TRUTH)]
    assert measure(protocol, *doubled) == pytest.approx(factor * measure(protocol, reconstruction), rel=1e-9)


@each_protocol
def test_a_common_motion_changes_nothing_beyond_sampling(protocol):
    protocol = replace(protocol, points=2000)
    reconstruction = ball(RADIUS + GAP, 3)
    before = measure(protocol, reconstruction)
    moved = [mesh.copy().apply_translation([3.0, -2.0, 5.0]) for mesh in (reconstruction, TRUTH)]
    assert measure(protocol, *moved) == pytest.approx(before, rel=0.02)


def crowded(mesh, times=7):
    """The same surface with one of its faces cut into 4^times."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    chosen = [0]
    for _ in range(times):
        rest = len(faces) - len(chosen)
        vertices, faces = trimesh.remesh.subdivide(vertices, faces, face_index=chosen)
        chosen = np.arange(rest, len(faces))
    return trimesh.Trimesh(vertices, faces, process=False)


def test_vertices_that_crowd_in_one_face_change_only_protocols_of_vertices():
    plain = ball(RADIUS + GAP, 3)
    changed = crowded(plain)
    assert len(changed.vertices) > 10 * len(plain.vertices) and changed.area == pytest.approx(plain.area)
    fewer = [*PROTOCOLS[:3], replace(ONET, points=20_000)]
    ratio = {protocol.name: measure(protocol, changed) / measure(protocol, plain) for protocol in fewer}
    assert ratio[BOOK.name] == pytest.approx(1, abs=0.01) and ratio[ONET.name] == pytest.approx(1, abs=0.01)
    assert ratio[DISN.name] > 1.3 and ratio[PIXEL2MESH.name] > 1.3


@each_protocol
def test_the_same_seed_gives_the_same_number(protocol):
    protocol = replace(protocol, points=500)
    reconstruction = ball(RADIUS + GAP, 3)
    first, again, other = (measure(protocol, reconstruction, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@each_protocol
def test_a_mesh_without_faces_or_with_nan_is_refused(protocol):
    empty = trimesh.Trimesh(np.zeros((0, 3)), np.zeros((0, 3), int))
    with pytest.raises(MeshError, match=f"the reconstruction has no faces: {protocol.name} has nothing to measure"):
        measure(protocol, empty)
    with pytest.raises(MeshError, match="the truth has no faces"):
        protocol.measure(TRUTH, empty, FRAME, np.random.default_rng(0))
    broken = ball(RADIUS, 1)
    broken.vertices[0] = np.nan
    with pytest.raises(MeshError, match="the reconstruction has vertices that are not finite"):
        measure(protocol, broken)


def test_floors_are_those_of_two_samplings_of_the_truth():
    floors = {protocol.name: protocol.floor(TRUTH, FRAME, np.random.default_rng(4)) for protocol in PROTOCOLS}
    assert floors[BOOK.name] == sampling_floor(TRUTH, 30_000, np.random.default_rng(4))
    # n random points on an area A: the nearest is sqrt(A / n) / 2 away on average; here A is pi.
    assert floors[ONET.name] == pytest.approx(np.sqrt(np.pi / ONET.points) / 2, rel=0.02)
    for protocol in (DISN, PIXEL2MESH):
        sampling = UNITS[protocol.name] ** 2 * 8 * RADIUS**2 / (protocol.points + 1)
        assert 0.7 * sampling < floors[protocol.name] < 1.2 * sampling


def test_the_isosurface_is_the_surface_with_vertices_all_over_it():
    box = trimesh.creation.box((1.0, 0.5, 0.25))  # 8 vertices
    before = box.vertices.copy()
    made = isosurface(box, normalization_of(box), cells=48)
    assert np.array_equal(box.vertices, before) and made.is_watertight
    cell = 2 / 48 / normalization_of(box).scale
    surface = sample_mesh(box, 500, np.random.default_rng(0))[0]
    distance = np.linalg.norm(surface[:, None] - made.vertices[None], axis=-1).min(axis=1)
    assert distance.max() < 1.5 * cell
    assert made.volume == pytest.approx(box.volume, rel=0.03)
