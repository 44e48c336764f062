import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpl.rendering.cameras import FIELD_OF_VIEW, FIXED, POSTER, Camera, easy_camera, hard_camera, is_inside, subpixels

CUBE = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) / np.sqrt(3)  # bounding-box diagonal 1
CHAIRLIKE = CUBE * [0.9, 1.3, 0.7]

cameras = st.builds(
    Camera,
    azimuth=st.floats(0, 360),
    elevation=st.floats(-90, 90),
    distance=st.floats(1.05, 2.5),
    roll=st.floats(-180, 180),
    shift=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
)


def test_the_field_of_view_is_that_of_35_mm_on_32_mm():
    assert pytest.approx(49.13, abs=0.005) == FIELD_OF_VIEW
    half = np.tan(np.radians(FIELD_OF_VIEW / 2))
    # at distance 1 the image shows what lies within tan(half the angle) of the axis, and no more
    pixels, depth = Camera(0, 0, 1).project(np.array([[-half, 0, 0], [half, 0, 0], [0, half, 0]]), 100)
    assert pixels == pytest.approx(np.array([[100, 50], [0, 50], [50, 0]]))
    assert depth == pytest.approx(1)


@pytest.mark.parametrize(
    ("camera", "nearest"),
    [
        (Camera(0, 0, 2), (0, 0, -1)),  # the front of the object
        (Camera(90, 0, 2), (1, 0, 0)),  # its own right side
        (Camera(180, 0, 2), (0, 0, 1)),
        (Camera(270, 0, 2), (-1, 0, 0)),
        (Camera(0, 90, 2), (0, 1, 0)),
    ],
)
def test_where_the_camera_stands(camera, nearest):
    assert camera.origin == pytest.approx(2 * np.array(nearest))
    (pixel,), (depth,) = camera.project(np.array([nearest], dtype=float), 64)
    assert pixel == pytest.approx([32, 32])
    assert depth == pytest.approx(1)


def test_the_position_has_the_formula_of_the_docstring():
    azimuth, elevation = np.radians(50), np.radians(20)
    cos = np.cos(elevation)
    expected = 1.5 * np.array([cos * np.sin(azimuth), np.sin(elevation), -cos * np.cos(azimuth)])
    assert Camera(50, 20, 1.5).origin == pytest.approx(expected)


def test_up_is_up_and_a_roll_turns_the_picture_clockwise():
    top = np.array([[0.0, 0.3, 0.0]])
    (upright,), _ = Camera(30, 10, 2).project(top, 100)
    (rolled,), _ = Camera(30, 10, 2, roll=90).project(top, 100)
    assert upright[0] == pytest.approx(50)
    assert upright[1] < 45
    assert rolled[0] > 55
    assert rolled[1] == pytest.approx(50)


def test_the_picture_is_not_mirrored():
    # looking at the front of an object, its own right hand is at the left of the picture
    (pixel,), _ = Camera(0, 0, 2).project(np.array([[0.3, 0, 0]]), 100)
    assert pixel[0] < 45


@given(camera=cameras)
def test_axes_are_right_handed_and_orthonormal(camera):
    assert camera.axes @ camera.axes.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(camera.axes) == pytest.approx(1)


@given(camera=cameras, size=st.integers(1, 400), seed=st.integers(0, 99))
def test_a_ray_through_a_projected_pixel_passes_through_the_point(camera, size, seed):
    points = np.random.default_rng(seed).uniform(-0.29, 0.29, (20, 3))
    pixels, depth = camera.project(points, size)
    directions = camera.directions(pixels, size)
    along = -(directions @ camera.axes[2])  # depth gained per unit of length
    assert camera.origin + directions * (depth / along)[:, None] == pytest.approx(points, abs=1e-9)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)


@given(camera=cameras, samples=st.integers(1, 4))
def test_rays_run_row_by_row_through_the_samples_of_each_pixel(camera, samples):
    size = 5
    origins, directions = camera.rays(size, samples)
    pixels, _ = camera.project(origins + directions, size)
    cells = np.floor(pixels + 1e-9).reshape(size, size, samples**2, 2)
    assert np.array_equal(cells[..., 0], np.broadcast_to(np.arange(size)[None, :, None], cells.shape[:3]))
    assert np.array_equal(cells[..., 1], np.broadcast_to(np.arange(size)[:, None, None], cells.shape[:3]))
    assert pixels.mean(axis=0) == pytest.approx([size / 2, size / 2], abs=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_samples_have_a_row_and_a_column_each(samples):
    for axis in subpixels(samples).T:
        assert np.sort(axis) == pytest.approx((np.arange(samples**2) + 0.5) / samples**2)
    assert len({tuple(cell) for cell in np.floor(subpixels(samples) * samples)}) == samples**2


@given(camera=cameras, offset=st.tuples(*[st.floats(-0.2, 0.2)] * 3))
def test_a_shift_moves_the_object(camera, offset):
    centred = Camera(camera.azimuth, camera.elevation, camera.distance, camera.roll)
    shifted = Camera(camera.azimuth, camera.elevation, camera.distance, camera.roll, offset)
    points = CUBE * 0.3
    for one, other in zip(shifted.project(points), centred.project(points + offset), strict=True):
        assert one == pytest.approx(other)


def test_what_is_behind_the_camera_has_no_pixel():
    pixels, depth = Camera(0, 0, 1).project(np.array([[0.0, 0.0, -2.0], [0.0, 0.0, 0.0]]))
    assert np.isnan(pixels[0]).all()
    assert depth[0] == pytest.approx(-1)
    assert np.isfinite(pixels[1]).all()


@given(camera=cameras)
def test_metadata_comes_back_exactly(camera):
    line = camera.to_metadata()
    assert len(line.split()) == 10
    assert Camera.from_metadata(line) == camera


def test_the_metadata_line():
    line = Camera(7.5, 25, 1.4, 0, (0.1, -0.2, 0)).to_metadata()
    assert line == "7.5 25.0 0.0 1.4 35.0 32.0 1.75 0.1 -0.2 0.0"


def by_blender(line: str, points: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depths as Blender has them: OBJ files are imported with z up, the camera tracks the origin.

    The authors' script sets `location` of camera and object to what stands here, and writes the line.
    """
    azimuth, elevation, _, ratio, lens, sensor, unit, *shift = json.loads(line.strip().rstrip(","))
    azimuth, elevation, distance = math.radians(azimuth), math.radians(elevation), ratio * unit
    imported = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1) + shift
    flat = distance * math.cos(elevation)
    camera = np.array([flat * math.cos(azimuth), -flat * math.sin(azimuth), distance * math.sin(elevation)])
    forward = -camera / np.linalg.norm(camera)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    seen = (imported - camera) @ np.stack([right, np.cross(right, forward), forward]).T
    focal = size * lens / sensor
    return np.array([[size / 2 + focal * x / z, size / 2 - focal * y / z] for x, y, z in seen]), seen[:, 2]


@given(
    numbers=st.tuples(st.floats(2, 365), st.floats(0, 45), st.floats(0.6, 1.1), *[st.floats(-0.2, 0.2)] * 3),
    seed=st.integers(0, 99),
)
def test_a_line_of_the_authors_script_is_the_camera_that_blender_had(numbers, seed):
    azimuth, elevation, ratio, *shift = numbers
    line = "[{},{},{},{},{},{},{},{},{},{}], ".format(azimuth, elevation, 0, ratio, 35, 32, 1.75, *shift)
    points = np.random.default_rng(seed).uniform(-0.29, 0.29, (30, 3))
    pixels, depth = Camera.from_metadata(line).project(points, 224)
    expected, expected_depth = by_blender(line, points, 224)
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(depth, expected_depth, rtol=0, atol=1e-12)


def test_the_authors_azimuth_starts_at_the_objects_right_side():
    camera = Camera.from_metadata("[13.48,20.19,0,0.70,35,32,1.75,0.0,0.0,0.0], ")
    assert (camera.azimuth, camera.elevation, camera.distance) == pytest.approx((103.48, 20.19, 0.7 * 1.75))
    assert Camera.from_metadata("[275,30,0,1,35,32,1.75,0.1,0.2,-0.3]") == Camera(5, 30, 1.75, 0, (0.1, -0.3, -0.2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 2 3", "ten numbers.*'1 2 3'"),
        ("1,2,0,0.7,35,32,1.75,0,0,0", "ten numbers.*in brackets with commas"),  # whose are these?
        ("[1 2 0 0.7 35 32 1.75 0 0 0]", "ten numbers"),
        ("[1,2,0,0.7,35,32,1.75,0,0], ", "ten numbers"),
        ("[1,2,0,0.7,35,32,1.75,0,0,0], [1,2,0,0.7,35,32,1.75,0,0,0], ", "ten numbers"),
        ("[1,2,5,0.7,35,32,1.75,0,0,0], ", "never rolls a camera, and this one has 5 degrees"),
        ("[1,2,0,0.7,50,32,1.75,0,0,0], ", "50 mm lens on a 32 mm sensor"),
        ("a b c d e f g h i j", "ten numbers"),
        ("1 2 0 1.4 50 32 1.75 0 0 0", "50 mm lens on a 32 mm sensor.*render these views again"),
        ("1 2 0 nan 35 32 1.75 0 0 0", "finite"),
    ],
)
def test_other_metadata_is_refused(line, message):
    with pytest.raises(ValueError, match=message):
        Camera.from_metadata(line)


@pytest.mark.parametrize("distance", [0, -1.5])
def test_a_camera_stands_somewhere(distance):
    with pytest.raises(ValueError, match=f"above 0, not {distance}"):
        Camera(0, 0, distance)


def test_an_image_and_a_pixel_have_contents():
    with pytest.raises(ValueError, match="one pixel a side, not 0"):
        FIXED.rays(0)
    with pytest.raises(ValueError, match="one sample a side, not 0"):
        FIXED.rays(8, samples=0)


def test_the_fixed_view_is_that_of_the_authors():
    """Front three-quarter, from 36 degrees to the object's left and 25 above, at 0.8 of the reference distance."""
    assert (FIXED.azimuth, FIXED.elevation, FIXED.roll, FIXED.shift) == (324, 25, 0, (0, 0, 0))
    assert FIXED.distance == pytest.approx(0.8 * 1.75)


def test_named_cameras_see_all_of_the_ball_around_an_object():
    directions = np.random.default_rng(0).normal(size=(20_000, 3))
    ball = 0.5 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert is_inside(FIXED, ball)
    assert is_inside(POSTER, ball)
    assert not is_inside(Camera(324, 25, 1.2), ball)  # the bound is sin(49.13 / 2) = 0.5 / 1.203


def draw_easy(count):
    rng = np.random.default_rng(0)
    return [easy_camera(index % 50, rng) for index in range(count)]


def draw_hard(count, vertices=CHAIRLIKE):
    rng = np.random.default_rng(0)
    return [hard_camera(index % 50, vertices, rng) for index in range(count)]


def test_easy_views_have_their_ranges():
    views = draw_easy(1000)
    elevation = np.array([view.elevation for view in views])
    distance = np.array([view.distance for view in views]) / 1.75
    assert 20 <= elevation.min() < 20.2 < 29.8 < elevation.max() <= 30
    assert 0.65 <= distance.min() < 0.66 < 0.99 < distance.max() <= 1
    assert {view.shift for view in views} == {(0, 0, 0)}
    assert {view.roll for view in views} == {0}


def test_hard_views_have_their_ranges():
    views = draw_hard(1000, vertices=CUBE * 0.1)  # so small that nothing is refused
    elevation = np.array([view.elevation for view in views])
    distance = np.array([view.distance for view in views]) / 1.75
    shift = np.array([view.shift for view in views])
    assert 0 <= elevation.min() < 1 < 44 < elevation.max() <= 45
    assert 0.6 <= distance.min() < 0.61 < 0.99 < distance.max() <= 1
    assert np.abs(shift).max() <= 0.2
    assert shift.std(axis=0) == pytest.approx(0.2 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize("draw", [draw_easy, draw_hard])
def test_the_azimuth_goes_round_in_steps_of_7_2_degrees(draw):
    views = draw(50)
    steps = np.array([view.azimuth - 7.2 * (index + 1) for index, view in enumerate(views)])
    away = (steps + 180) % 360 - 180
    assert -5 <= away.min() < -4 and 4 < away.max() <= 5
    assert all(0 <= view.azimuth < 360 for view in views)


def test_hard_views_keep_clear_of_the_border():
    easy_would_touch = 0
    for index, view in enumerate(draw_hard(300)):
        pixels, _ = view.project(CHAIRLIKE)
        assert pixels.min() > 1
        assert pixels.max() < 223
        rng = np.random.default_rng(index)
        first_draw = Camera(0.0, rng.uniform(0, 45), 1.75 * rng.uniform(0.6, 1), 0.0, (0.2, 0.2, 0.0))
        easy_would_touch += not is_inside(first_draw, CHAIRLIKE)
    assert easy_would_touch > 30  # so the rejection had something to do


def test_five_rejections_make_the_ranges_milder():
    # A ball that fits only beyond distance 1.75: no first draw does it, some of the later ones do.
    directions = np.random.default_rng(0).normal(size=(500, 3))
    ball = 0.73 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    rng = np.random.default_rng(1)
    views = [hard_camera(index, ball, rng) for index in range(10)]
    assert all(1.75 < view.distance <= 1.75 * 1.10 for view in views)
    assert all(np.abs(view.shift).max() <= 0.1 for view in views)
    assert all(is_inside(view, ball) for view in views)


def test_exactly_the_first_five_draws_are_of_the_wide_ranges_and_a_hundred_are_tried(monkeypatch):
    drawn = []
    monkeypatch.setattr("tpl.rendering.cameras.is_inside", lambda camera, _: drawn.append(camera))
    rng = np.random.default_rng(0)
    for index in range(50):
        with pytest.raises(ValueError, match="does not fit the views"):
            hard_camera(index, CUBE, rng)
    distance = np.array([view.distance for view in drawn]).reshape(50, 100) / 1.75
    shift = np.abs([view.shift for view in drawn]).max(axis=1).reshape(50, 100)
    assert (distance[:, :5].min(axis=0) < 0.65).all() and distance[:, :5].max() <= 1
    assert (shift[:, :5].max(axis=0) > 0.15).all()
    assert (distance[:, 5:].min() >= 0.75) and (distance[:, 5].max() > 1.05)
    assert shift[:, 5:].max() <= 0.1


def test_an_object_that_cannot_fit_is_refused_by_its_size():
    with pytest.raises(ValueError, match="diagonal of 3 does not fit.*scale the diagonal to 1"):
        hard_camera(0, 3 * CUBE, np.random.default_rng(0))


def test_the_same_seed_draws_the_same_views():
    assert draw_hard(20) == draw_hard(20)
    assert draw_easy(20) == draw_easy(20)
