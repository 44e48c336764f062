from collections import Counter
from dataclasses import replace
from functools import cache

import igl
import numpy as np
import pytest
import trimesh

from tpl.shapes.procedural.airplane import LABELS, Design, build, sample_design, style
from tpl.shapes.procedural.airplane_design import DARK, KINDS, LIVERIES, OTHER_COLORS


@cache
def designs_of(kind: str) -> list[Design]:
    """Three designs of a kind, however rare it is."""
    rng, found = np.random.default_rng(0), []
    while len(found) < 3:
        design = sample_design(rng)
        found += [design] if design.kind == kind else []
    return found


@cache
def build_once(design: Design) -> trimesh.Trimesh:
    return build(design)


def airplanes(kind: str) -> list[tuple[Design, trimesh.Trimesh]]:
    return [(design, build_once(design)) for design in designs_of(kind)]


def corners(mesh: trimesh.Trimesh, label: str) -> np.ndarray:
    """The corners of all faces with a label."""
    return mesh.triangles[mesh.metadata["part"] == LABELS.index(label)].reshape(-1, 3)


def area(mesh: trimesh.Trimesh, label: str) -> float:
    return float(mesh.area_faces[mesh.metadata["part"] == LABELS.index(label)].sum())


@pytest.mark.parametrize("kind", KINDS)
def test_an_airplane_is_one_watertight_solid_in_raw(kind):
    for _, mesh in airplanes(kind):
        assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
        assert mesh.body_count == 1
        assert 300 <= len(mesh.faces) <= 3100
        np.testing.assert_allclose(mesh.bounds.sum(axis=0), 0, atol=1e-9)
        assert np.linalg.norm(mesh.extents) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_its_left_side_mirrors_the_right_one(kind):
    for _, mesh in airplanes(kind):
        mirrored = mesh.vertices * (-1, 1, 1)
        squared, _, _ = igl.point_mesh_squared_distance(mirrored, np.array(mesh.vertices), np.array(mesh.faces))
        assert np.sqrt(squared).mean() < 1e-4
        assert np.sqrt(squared).max() < 6e-3  # the two triangles of a bent quad


@pytest.mark.parametrize("kind", KINDS)
def test_the_nose_looks_to_minus_z_and_the_fin_stands_behind(kind):
    for design, mesh in airplanes(kind):
        fuselage = corners(mesh, "fuselage")
        assert corners(mesh, "canopy")[:, 2].min() < (fuselage[:, 2].min() + fuselage[:, 2].max()) / 2
        if design.tail != "no_tail" and "canard" not in design.tail:
            tail = corners(mesh, "tail")
            assert tail[:, 2].mean() > 0.1
            assert tail[:, 1].max() > fuselage[:, 1].max()


@pytest.mark.parametrize("kind", KINDS)
def test_every_face_has_a_label_and_the_labels_are_those_of_the_design(kind):
    for design, mesh in airplanes(kind):
        assert mesh.metadata["parts"] == list(LABELS)
        assert mesh.metadata["part"].shape == (len(mesh.faces),)
        present = {LABELS[index] for index in np.unique(mesh.metadata["part"])}
        assert {"fuselage", "wing", "canopy"} <= present
        assert ("propeller" in present) == ("propeller" in design.engines or design.engines == "pusher")
        assert ("gear" in present) == (design.gear != "retracted")
        assert ("tail" in present) == (design.tail != "no_tail")
        assert np.ptp(corners(mesh, "wing")[:, 0]) == pytest.approx(mesh.extents[0], rel=0.01)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "biplane"])  # where one section is one wing
def test_no_wing_is_too_thin_for_a_grid(kind):
    for _, mesh in airplanes(kind):
        of_wing = mesh.faces[mesh.metadata["part"] == LABELS.index("wing")]
        wing = trimesh.Trimesh(mesh.vertices, of_wing, process=False)
        for share, least in ((0.5, 0.0155), (0.9, 0.0125)):
            section = trimesh.intersections.mesh_plane(wing, (1, 0, 0), (share * wing.bounds[1, 0], 0, 0))
            assert np.ptp(section[..., 1]) > least


def test_a_delta_wing_has_the_span_and_the_taper_of_its_design():
    design = replace(designs_of("supersonic_transport")[0], planform="delta")
    mesh = build(design)
    wing, length = corners(mesh, "wing"), np.ptp(corners(mesh, "fuselage")[:, 2])  # 1 in the design
    assert np.ptp(wing[:, 0]) / length == pytest.approx(2 * design.semi_span, rel=1e-3)
    tip = wing[wing[:, 0] > 0.999 * wing[:, 0].max()]
    assert np.ptp(tip[:, 2]) / length == pytest.approx(design.chord * design.taper, rel=1e-3)


def test_more_engines_show_more_engine():
    """Pods and pylons are alike, so their area goes with their number."""
    none, two, four = (
        area(build(replace(designs_of("airliner")[0], engines=name)), "engine")
        for name in ("no_engine", "two_jets", "four_jets")
    )
    assert none == 0
    assert four / two == pytest.approx(2, abs=0.2)


def test_a_biplane_has_twice_the_wing():
    design = designs_of("biplane")[0]
    one = build(replace(design, mount="low"))
    two = build(design)
    length = [np.ptp(corners(mesh, "fuselage")[:, 2]) for mesh in (one, two)]
    assert (area(two, "wing") / length[1] ** 2) / (area(one, "wing") / length[0] ** 2) == pytest.approx(2, abs=0.2)


def test_liveries_stand_out_from_a_white_page():
    every = [color for livery in LIVERIES.values() for color in livery] + [*OTHER_COLORS, DARK]
    assert np.max(every) <= 0.805 * 255
    _, mesh = airplanes("airliner")[0]
    assert mesh.visual.face_colors[:, :3].max() <= 0.805 * 255


def test_what_faces_down_is_painted_and_inlets_are_dark():
    design, mesh = airplanes("airliner")[0]
    label = np.array(LABELS)[mesh.metadata["part"]]
    colors = mesh.visual.face_colors[:, :3]
    down = (label == "wing") & (mesh.face_normals[:, 1] < -0.9)
    up = (label == "wing") & (mesh.face_normals[:, 1] > 0.9)
    assert (colors[down] == design.underside).all() and (colors[up] == design.palette["wing"]).all()
    inlet = (label == "engine") & (mesh.face_normals[:, 2] < -0.99)
    assert inlet.any() and (colors[inlet] == DARK).all()


def test_the_same_seed_gives_the_same_airplane():
    first, again = (sample_design(np.random.default_rng(5)) for _ in range(2))
    assert first == again
    one, two = build(first), build(again)
    np.testing.assert_array_equal(one.vertices, two.vertices)
    np.testing.assert_array_equal(one.faces, two.faces)
    np.testing.assert_array_equal(one.visual.face_colors, two.visual.face_colors)


def test_designs_are_distinct_and_styles_many():
    rng = np.random.default_rng(0)
    designs = [sample_design(rng) for _ in range(2000)]
    styles = Counter(style(design) for design in designs)
    assert len(set(designs)) == 2000
    assert {design.kind for design in designs} == set(KINDS)
    assert len(styles) > 120
    assert max(styles.values()) < 0.1 * 2000  # no style is most of the airplanes
    assert all(name.count("-") == 4 and " " not in name for name in styles)
