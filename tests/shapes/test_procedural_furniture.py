"""Solids with known volumes; chairs and sofas that are one watertight, labelled piece and look forward."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl.shapes.procedural import chair, parts, sofa
from tpl.shapes.procedural.parts import Part, assemble

FURNITURE = {"chair": chair, "sofa": sofa}
length = st.floats(0.5, 5)


def designs(maker, count, start=0):
    return [maker.sample_design(np.random.default_rng([3, start + number])) for number in range(count)]


# Solids.


@given(length, length, length)
def test_a_box_has_its_volume_and_place(width, height, depth):
    solid = parts.box((width, height, depth), (1, 2, 3))
    assert solid.volume() == pytest.approx(width * height * depth)
    assert solid.bounding_box() == pytest.approx(
        (1 - width / 2, 2 - height / 2, 3 - depth / 2, 1 + width / 2, 2 + height / 2, 3 + depth / 2)
    )


def test_a_rounded_box_is_a_box_without_its_edges():
    size, radius = np.array([3.0, 2.0, 4.0]), 0.5
    solid = parts.rounded_box(size, radius, segments=64)
    core = size - 2 * radius
    faces = 2 * radius * (core[0] * core[1] + core[1] * core[2] + core[2] * core[0])
    exact = core.prod() + faces + np.pi * radius**2 * core.sum() + 4 / 3 * np.pi * radius**3  # Steiner's formula
    assert solid.volume() == pytest.approx(exact, rel=2e-3)
    assert np.subtract(solid.bounding_box()[3:], solid.bounding_box()[:3]) == pytest.approx(size)


@given(length, length, length, st.integers(3, 12))
def test_a_rod_is_a_stump_of_a_pyramid(height, first, second, segments):
    solid = parts.rod((1, 1, 1), (1, 1 + height, 1), first, second, segments)
    area = segments / 2 * np.sin(2 * np.pi / segments)  # of a polygon in the unit circle
    exact = area * height / 3 * (first**2 + first * second + second**2)
    assert solid.volume() == pytest.approx(exact)


def test_a_tube_along_an_arc_has_the_length_of_its_axis():
    angle = np.linspace(0, np.pi, 40)
    path = 5 * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    pappus = np.pi * 5 * 12 * np.sin(2 * np.pi / 24) * 0.25
    assert parts.tube(path, 0.5, 24).volume() == pytest.approx(pappus, rel=2e-3)
    assert parts.tube(path + 7, 0.5, 24, squash=0.5).volume() < parts.tube(path, 0.5, 24).volume()


def test_a_turned_and_a_drawn_solid_lie_along_their_axes():
    ring = parts.revolve(np.array([[2, 1], [3, 1], [3, 5], [2, 5]], dtype=float), 200)
    assert ring.volume() == pytest.approx(4 * np.pi * (9 - 4), rel=1e-3)
    assert ring.bounding_box() == pytest.approx((-3, 1, -3, 3, 5, 3), abs=1e-3)
    outline = np.array([[0, 0], [1, 0], [1, 2], [0, 2]], dtype=float)
    assert parts.prism(outline, 3, 7, "y").bounding_box() == pytest.approx((0, 3, 0, 1, 7, 2))
    assert parts.prism(outline[::-1], 3, 7, "x").bounding_box() == pytest.approx((3, 0, 0, 7, 2, 1))
    assert parts.prism(outline, 3, 7, "z").volume() == pytest.approx(8)


@given(length, length, st.floats(0.1, 0.4))
def test_a_flat_sheet_is_a_board(width, height, thickness):
    x, y = np.meshgrid(np.linspace(0, width, 4), np.linspace(0, height, 3), indexing="ij")
    solid = parts.sheet(np.stack([x, y, 0 * x], -1), thickness)
    assert solid.volume() == pytest.approx(width * height * thickness)


def test_a_cushion_stays_within_its_outline_and_heights():
    solid = parts.cushion(parts.superellipse(4, 6, 3), 1, 2, 0.3, 0.2)
    assert solid.bounding_box() == pytest.approx((-2, 1, -3, 2, 2.2, 3), abs=0.02)
    assert 0.7 * 24 < solid.volume() < 1.2 * 24


def test_a_rounded_path_keeps_its_ends_and_stays_near_its_corners():
    corners = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 0]], dtype=float)
    path = parts.rounded_path(corners, 1, 5)
    np.testing.assert_array_equal(path[[0, -1]], corners[[0, -1]])
    assert np.abs(path - corners[1]).sum(axis=1).min() == pytest.approx(0.5)  # the parabola's middle


def test_a_mesh_that_is_open_bounds_no_solid():
    with pytest.raises(ValueError, match="is the mesh closed"):
        parts.solid(np.eye(3), np.array([[0, 1, 2]]))


# Their union.


def test_assembled_parts_keep_their_areas_under_their_labels():
    pieces = [Part("low", parts.box((2, 2, 2), (0, 1, 0))), Part("high", parts.box((1, 2, 1), (0, 2.5, 0)))]
    mesh = assemble(pieces, {"high": (10, 20, 30), "low": (40, 50, 60)})
    scale = 1 / np.linalg.norm([2, 3.5, 2])
    area = [mesh.area_faces[mesh.metadata["part"] == label].sum() / scale**2 for label in (0, 1)]
    assert mesh.metadata["parts"] == ["high", "low"]
    assert area == pytest.approx([1 + 4 * 1.5, 5 * 4 + 4 - 1])
    assert mesh.volume / scale**3 == pytest.approx(8 + 1.5)
    colors = mesh.visual.face_colors[mesh.metadata["part"] == 0]
    assert (colors == [10, 20, 30, 255]).all()


def test_an_enclosed_cavity_is_filled_with_what_floats_in_it():
    shell = parts.box((4, 4, 4)) - parts.box((2, 2, 2))
    mesh = assemble([Part("wall", shell), Part("wall", parts.box((1, 1, 1)))], {"wall": (90, 90, 90)})
    assert mesh.body_count == 1
    assert mesh.volume == pytest.approx(64 / np.linalg.norm([4, 4, 4]) ** 3)


def test_an_assembly_refuses_what_it_cannot_make():
    with pytest.raises(ValueError, match="at least one part, got none"):
        assemble([], {})
    with pytest.raises(ValueError, match="'leg' has no colour; the palette has seat"):
        assemble([Part("leg", parts.box((1, 1, 1)))], {"seat": (0, 0, 0)})
    with pytest.raises(ValueError, match="'seat' is empty"):
        assemble([Part("seat", parts.box((1, 1, 1)) - parts.box((2, 2, 2)))], {"seat": (0, 0, 0)})


# Chairs and sofas.


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=st.sampled_from(list(FURNITURE)), number=st.integers(0, 10**6))
def test_furniture_is_one_watertight_labelled_piece_in_raw(name, number):
    maker = FURNITURE[name]
    design = maker.sample_design(np.random.default_rng(number))
    mesh = maker.build(design)
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    assert mesh.body_count == 1
    assert 150 <= len(mesh.faces) <= 4000
    assert np.linalg.norm(np.ptp(mesh.vertices, axis=0)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(mesh.bounds.sum(axis=0), 0, atol=1e-6)

    label, names = mesh.metadata["part"], mesh.metadata["parts"]
    assert tuple(names) == maker.LABELS and len(label) == len(mesh.faces)
    palette = np.array([design.palette[name] for name in names])
    np.testing.assert_array_equal(mesh.visual.face_colors[:, :3], palette[label])
    assert palette.max() <= 204  # visible on white

    def centre(part):
        mine = label == names.index(part)
        return np.average(mesh.triangles_center[mine], axis=0, weights=mesh.area_faces[mine])

    assert centre("base")[1] < centre("seat")[1]
    if names.index("back") in label:
        assert centre("back")[2] > centre("seat")[2]  # who sits looks to -z
        assert centre("back")[1] > centre("seat")[1]


@pytest.mark.parametrize("name", FURNITURE)
def test_styles_are_many_and_none_dominates(name):
    maker = FURNITURE[name]
    frequency = Counter(maker.style(design) for design in designs(maker, 600))
    assert len(frequency) > 200
    assert frequency.most_common(1)[0][1] < 0.05 * 600


@pytest.mark.parametrize("name", FURNITURE)
def test_a_design_decides_the_mesh(name):
    maker = FURNITURE[name]
    first, again, other = (maker.sample_design(np.random.default_rng(seed)) for seed in (8, 8, 9))
    assert first == again != other
    np.testing.assert_array_equal(maker.build(first).vertices, maker.build(again).vertices)


def test_every_choice_of_chair_can_be_drawn_and_made():
    wanted = {
        (field, option)
        for _, *groups in chair.CHOICES.values()
        for field, group in zip(("base", "back", "arms", "seat"), groups, strict=True)
        for option in group
    }
    made = set()
    for design in designs(chair, 1500):
        news = {(field, getattr(design, field)) for field in ("base", "back", "arms", "seat")} & wanted - made
        if news:
            assert chair.build(design).is_watertight
            made |= news
    assert made == wanted


def test_armless_chairs_have_no_arm_and_stools_can_lack_a_back():
    for design in designs(chair, 40):
        names = {chair.LABELS[label] for label in chair.build(design).metadata["part"]}
        assert ("arm" in names) == (design.arms not in ("no_arms", "shell_arms"))
        assert ("back" in names) == (design.back != "no_back")
        assert ("footrest" in names) == (design.body == "recliner")


def test_a_longer_sofa_is_wider_and_a_left_chaise_is_left():
    widths = {}
    for design in designs(sofa, 150):
        if design.layout == "straight" and design.back != "curved" and design.seats not in widths:
            x, y, _ = np.ptp(sofa.build(design).vertices, axis=0)
            widths[design.seats] = x / y
        if design.layout == "chaise_left":
            mesh = sofa.build(design)
            foremost = mesh.vertices[mesh.vertices[:, 2] < mesh.bounds[0, 2] + 0.02]
            assert foremost[:, 0].max() < 0  # who looks to -z has -x at the left hand
    assert widths["one_seat"] < widths["two_seats"] < widths["four_seats"]
