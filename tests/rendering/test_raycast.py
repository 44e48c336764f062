import numpy as np
import pytest
import trimesh
from PIL import Image
from skimage.measure import marching_cubes

from tpl.rendering import FIXED, Camera, composite, contact_sheet, hard_camera, render_poster, render_view, render_views
from tpl.rendering.raycast import RayMesh, corner_colors, corner_normals, irradiance, studio, to_srgb

BALL = trimesh.creation.icosphere(subdivisions=4, radius=0.4)
BOX = trimesh.creation.box((0.6, 0.4, 0.5))
FRONT = Camera(0, 0, 1.5)


def painted(mesh, rgb):
    mesh = mesh.copy()
    mesh.visual.face_colors = [*rgb, 255]
    return mesh


def both_ways(mesh, camera, size):
    return {
        "view": render_view(mesh, camera, size),
        "poster": render_poster(mesh, camera, size, ground=False),
    }.items()


# --- silhouettes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [1.1, 1.5])
def test_a_ball_is_a_disc_of_the_right_size(distance):
    size = 96
    radius = size * 35 / 32 * np.tan(np.arcsin(0.4 / distance))  # the cone that touches the ball
    for kind, image in both_ways(BALL, Camera(40, 20, distance), size):
        alpha = image[..., 3] / 255
        assert alpha.sum() == pytest.approx(np.pi * radius**2, rel=0.01), kind
        y, x = np.mgrid[:size, :size] + 0.5
        from_centre = np.hypot(x - size / 2, y - size / 2)
        assert (alpha[from_centre < radius - 1.5] == 1).all(), kind
        assert (alpha[from_centre > radius + 1] == 0).all(), kind


def test_the_corners_of_a_box_are_where_they_are_projected():
    camera = Camera(30, 25, 1.3, roll=10, shift=(0.05, -0.1, 0.1))
    corners, _ = camera.project(np.asarray(BOX.vertices), 128)
    for kind, image in both_ways(BOX, camera, 128):
        rows, columns = np.nonzero(image[..., 3])
        assert columns.min() == pytest.approx(corners[:, 0].min(), abs=1.1), kind
        assert columns.max() + 1 == pytest.approx(corners[:, 0].max(), abs=1.1), kind
        assert rows.min() == pytest.approx(corners[:, 1].min(), abs=1.1), kind
        assert rows.max() + 1 == pytest.approx(corners[:, 1].max(), abs=1.1), kind


def test_alpha_is_the_covered_share_of_a_pixel():
    # a square face of 40.4 pixels: its border pixels are covered by a fifth, less than half of the samples
    side = 40.4 / 64 * 32 / 35
    square = trimesh.Trimesh(side * (np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]) - [0.5, 0.5, 0]),
                             [[0, 1, 2], [0, 2, 3]])  # fmt: skip
    alpha = render_view(square, Camera(0, 0, 1), 64, samples=4)[..., 3] / 255
    assert alpha[32].sum() == pytest.approx(40.4, abs=0.15)
    assert alpha[:, 32].sum() == pytest.approx(40.4, abs=0.15)
    assert alpha[32, 11] == pytest.approx(0.2, abs=0.07)


def test_a_hard_view_leaves_the_border_free():
    rng = np.random.default_rng(0)
    cameras = [hard_camera(index, np.asarray(BOX.vertices), rng) for index in range(0, 50, 5)]
    alpha = render_views(BOX, cameras, 224, samples=1)[..., 3]
    assert alpha.any(axis=(1, 2)).all()
    for border in (alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]):
        assert not border.any()


def test_a_camera_inside_sees_walls_everywhere_and_one_that_looks_past_sees_nothing():
    assert (render_view(BOX, Camera(0, 0, 0.1), 16)[..., 3] == 255).all()
    assert not render_view(BOX, Camera(0, 0, 2, shift=(9.0, 0.0, 0.0)), 16).any()
    assert not render_poster(BOX, Camera(0, 0, 2, shift=(9.0, 0.0, 0.0)), 16, ground=False).any()


# --- directions and light -----------------------------------------------------------------------------------


def test_azimuth_0_shows_the_front_and_90_the_right_side():
    box = BOX.copy()
    colors = np.full((len(box.faces), 4), 255)
    colors[box.face_normals[:, 2] < -0.9] = [255, 0, 0, 255]  # front, -z
    colors[box.face_normals[:, 0] > 0.9] = [0, 255, 0, 255]  # its right side, +x
    box.visual.face_colors = colors
    front, right = render_views(box, [Camera(0, 0, 1.5), Camera(90, 0, 1.5)], 32)
    assert front[16, 16, 0] > 60
    assert not front[16, 16, 1:3].any()
    assert right[16, 16, 1] > 60
    assert not right[16, 16, [0, 2]].any()


def test_a_shift_moves_the_object_in_the_picture():
    moved = render_view(BALL, Camera(0, 0, 1.5, shift=(0.0, 0.2, 0.0)), 64)[..., 3]
    where = np.nonzero(moved)[0].mean()
    assert where < 32 - 5  # up, in a picture that counts its rows from the top
    there = BALL.copy().apply_translation((0, 0.2, 0))
    assert np.array_equal(moved, render_view(there, FRONT, 64)[..., 3])


def test_a_face_turned_from_the_light_is_darker():
    top = render_view(BOX, Camera(0, 89, 1.5), 32)[16, 16, 0]
    back = render_view(BOX, Camera(180, 0, 1.5), 32)[16, 16, 0]
    bottom = render_view(BOX, Camera(0, -89, 1.5), 32)[16, 16, 0]
    assert top > back > bottom > 20
    image = render_poster(BOX, Camera(0, 60, 1.5), 64, ground=False)
    assert image[24, 32, 0] > image[48, 32, 0]  # its top, its front


def test_winding_does_not_matter():
    turned = BALL.copy()
    turned.invert()
    for (kind, image), (_, other) in zip(both_ways(BALL, FIXED, 48), both_ways(turned, FIXED, 48), strict=True):
        assert np.abs(image.astype(int) - other).max() <= 1, kind


def test_the_order_of_triangles_does_not_matter():
    order = np.random.default_rng(0).permutation(len(BALL.faces))
    shuffled = trimesh.Trimesh(BALL.vertices, BALL.faces[order], process=False)
    for (kind, image), (_, other) in zip(both_ways(BALL, FIXED, 48), both_ways(shuffled, FIXED, 48), strict=True):
        assert np.abs(image.astype(int) - other).mean() < 0.1, kind


def test_the_same_mesh_gives_the_same_bytes_and_stays_as_it_was():
    mesh = painted(BOX, (200, 90, 30))
    before = mesh.vertices.tobytes(), mesh.faces.tobytes(), mesh.visual.face_colors.tobytes()
    for render in (render_view, render_poster):
        assert render(mesh, FIXED, 32).tobytes() == render(mesh, FIXED, 32).tobytes()
    assert (mesh.vertices.tobytes(), mesh.faces.tobytes(), mesh.visual.face_colors.tobytes()) == before


def test_many_views_are_the_single_views():
    cameras = [FIXED, FRONT]
    for image, camera in zip(render_views(BOX, cameras, 32), cameras, strict=True):
        assert np.array_equal(image, render_view(BOX, camera, 32))
    assert render_views(BOX, [], 32).shape == (0, 32, 32, 4)


def test_the_studio_lights_a_level_surface_by_1_and_half_of_it_does_nearly_so():
    directions, powers = studio(azimuth=70, groups=16)
    assert directions.shape[:2] == powers.shape
    assert np.linalg.norm(directions, axis=-1) == pytest.approx(1)
    level = (powers * np.maximum(directions[..., 1], 0)).sum(axis=1).reshape(4, 4)
    assert level.mean() == pytest.approx(1)
    for half in (level[:2], level[2:], level[:, :2], level[:, 2:]):
        assert half.mean() == pytest.approx(1, abs=0.08)


def test_irradiance_under_a_roof_is_what_the_roof_leaves():
    # A square of side 2 at height 1: the form factor from the point under its centre is the textbook's
    # 4 / (2 pi) * 2 X / sqrt(1 + X^2) * atan(X / sqrt(1 + X^2)), X = 1: a quarter of the roof, four times.
    roof = trimesh.Trimesh([[-1, 1, -1], [1, 1, -1], [1, 1, 1], [-1, 1, 1]], [[0, 1, 2], [0, 2, 3]])
    form_factor = 4 / (2 * np.pi) * 2 / np.sqrt(2) * np.arctan(1 / np.sqrt(2))
    index = np.arange(6_000) + 0.5  # a uniform sky, by Fibonacci's hemisphere
    y, turn = 1 - index / len(index), np.pi * (3 - np.sqrt(5)) * index
    ring = np.sqrt(1 - y**2)
    sky = np.stack([ring * np.cos(turn), y, ring * np.sin(turn)], axis=1)
    point, up = np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]])
    direct, hidden = irradiance(RayMesh(roof), point, up, sky, np.full(len(sky), 2 / len(sky)))
    assert direct[0, 0] + hidden[0, 0] == pytest.approx(1, abs=1e-3)
    assert hidden[0, 0] == pytest.approx(form_factor, abs=2e-3)


def test_crevices_are_darker_in_a_poster():
    wall = trimesh.creation.box((0.8, 0.5, 0.05)).apply_translation((0, 0.25, 0.3))
    floor = trimesh.creation.box((0.8, 0.05, 0.6))
    room = trimesh.util.concatenate([wall, floor])
    camera = Camera(0, 60, 1.5)
    (near, far), _ = camera.project(np.array([[0, 0.025, 0.25], [0, 0.025, -0.25]]), 96)
    image = render_poster(room, camera, 96, ground=False)[..., 0].astype(int)
    assert image[tuple(near.astype(int)[::-1])] < image[tuple(far.astype(int)[::-1])] - 5


def test_the_ground_shadow_is_black_lies_beside_the_mesh_and_leaves_it_alone():
    without, shadowed = (render_poster(BOX, FIXED, 96, ground=ground) for ground in (False, True))
    solid = without[..., 3] == 255
    assert np.array_equal(without[solid], shadowed[solid])
    floor = without[..., 3] == 0
    assert not shadowed[floor][:, :3].any()
    assert shadowed[floor][:, 3].max() > 60
    assert shadowed[0, :, 3].max() == 0  # above the horizon of the shadow
    assert not render_poster(BOX, Camera(0, -30, 1.5), 48)[[0, -1], :, 3].any()  # from below there is no floor


# --- shading normals ----------------------------------------------------------------------------------------


def test_crease_0_shows_facets_and_crease_180_a_ball():
    scene = RayMesh(BALL)
    flat = corner_normals(scene, 0)
    assert flat == pytest.approx(np.repeat(scene.normals[:, None], 3, axis=1))
    round_ = corner_normals(scene, 180)
    assert (round_ * scene.triangles).sum(axis=2) / 0.4 == pytest.approx(1, abs=1e-3)


def test_a_crease_keeps_the_edges_of_a_box_and_rounds_a_prism():
    box = RayMesh(BOX)
    assert corner_normals(box, 35) == pytest.approx(np.repeat(box.normals[:, None], 3, axis=1))
    prism = RayMesh(trimesh.creation.cylinder(radius=0.2, height=0.8, sections=24))  # edges of 15 degrees
    normals = corner_normals(prism, 35)
    side = np.abs(prism.normals[:, 2]) < 0.5
    outward = prism.triangles[side] * [1, 1, 0] / 0.2
    assert (normals[side] * outward).sum(axis=2) == pytest.approx(1, abs=1e-6)
    assert normals[~side] == pytest.approx(np.repeat(prism.normals[~side][:, None], 3, axis=1))


def test_faces_need_no_common_vertices_to_look_smooth():
    apart = trimesh.Trimesh(BALL.triangles.reshape(-1, 3), np.arange(3 * len(BALL.faces)).reshape(-1, 3),
                            process=False)  # fmt: skip
    assert corner_normals(RayMesh(apart), 35) == pytest.approx(corner_normals(RayMesh(BALL), 35))


def test_a_ball_of_marching_cubes_looks_round():
    centre = np.array([0.51, 0.507, 0.503])  # off the grid, so that vertices come in clusters
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 20)] * 3, indexing="ij"), axis=-1) - centre
    vertices, faces, _, _ = marching_cubes(np.linalg.norm(grid, axis=-1) - 0.4, 0, spacing=3 * (1 / 19,))
    mesh = trimesh.Trimesh(vertices - centre, faces)
    outward = mesh.triangles / np.linalg.norm(mesh.triangles, axis=2, keepdims=True)
    ours, one_a_vertex = (
        np.degrees(np.arccos(np.clip((normals * outward).sum(axis=2), -1, 1))).max()
        for normals in (corner_normals(RayMesh(mesh), 40), mesh.vertex_normals[mesh.faces])
    )
    assert ours < 2.2
    assert one_a_vertex > 3.3  # degrees: so the clusters did matter


# --- colours ------------------------------------------------------------------------------------------------


def test_colours_of_faces_are_respected():
    for rgb in ((220, 40, 40), (40, 220, 40), (40, 40, 220)):
        ball = painted(BALL, rgb)
        for image in (render_view(ball, FRONT, 32), render_poster(ball, FRONT, 32, "face", ground=False, samples=2)):
            assert image[16, 16, :3].argmax() == np.argmax(rgb)
            low = image[16, 16, :3][np.array(rgb) == 40]
            assert low[0] == low[1] < image[16, 16, :3].max() / 2


def test_shading_scales_linear_light():
    # two greys under the same light: the ratio of their linear values is that of their albedos
    dark, bright = (render_view(painted(BALL, 3 * (grey,)), FRONT, 32)[16, 16, 0] for grey in (80, 160))
    linear = corner_colors(BALL, (int(dark), int(bright), 160))[0, 0]
    albedo = corner_colors(BALL, (80, 160, 160))[0, 0]
    assert linear[0] / linear[1] == pytest.approx(albedo[0] / albedo[1], rel=0.03)


def test_colours_of_vertices_run_smoothly_and_one_clay_covers_all():
    ball = BALL.copy()
    grey = (127 + 300 * ball.vertices[:, 1]).astype(np.uint8)
    ball.visual.vertex_colors = np.stack([grey, grey, 255 - grey, np.full_like(grey, 255)], axis=1)
    image = render_poster(ball, FRONT, 64, "vertex", ground=False).astype(int)
    column = image[18:46, 32]
    assert (np.diff(column[:, 0] - column[:, 2]) < 0).all()  # from yellow at the top to blue
    clay = render_poster(ball, FRONT, 32, (200, 50, 50), ground=False)
    assert np.array_equal(clay, render_poster(BALL, FRONT, 32, (200, 50, 50), ground=False))


def test_a_texture_becomes_colour():
    square = trimesh.Trimesh([[-0.3, -0.3, 0], [0.3, -0.3, 0], [0.3, 0.3, 0], [-0.3, 0.3, 0]],
                             [[0, 1, 2], [0, 2, 3]])  # fmt: skip
    square.visual = trimesh.visual.TextureVisuals(
        uv=np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]),
        image=Image.new("RGB", (4, 4), (20, 200, 20)),
    )
    assert render_view(square, FRONT, 32)[16, 16, 1] > 2 * render_view(square, FRONT, 32)[16, 16, 0]


def test_srgb_there_and_back():
    values = np.arange(255).reshape(-1, 3)
    triangle = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    for value in values:
        linear = corner_colors(triangle, tuple(value.tolist()))
        assert 255 * to_srgb(linear)[0, 0] == pytest.approx(value, abs=1e-3)
    assert to_srgb(np.array([0.5])) == pytest.approx(0.7354, abs=1e-4)


def test_a_colour_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"0 to 255, not \(1, 2, 300\)"):
        render_poster(BOX, color=(1, 2, 300), size=16)


# --- pixels -------------------------------------------------------------------------------------------------


def test_composite_agrees_with_pillow():
    image = render_view(painted(BALL, (200, 120, 60)), FIXED, 48)
    for background in (255, (30, 60, 90)):
        rgb = background if isinstance(background, tuple) else 3 * (background,)
        below = Image.new("RGBA", (48, 48), (*rgb, 255))
        expected = np.asarray(Image.alpha_composite(below, Image.fromarray(image)))[..., :3]
        np.testing.assert_array_equal(composite(image, background), expected)
    assert composite(render_views(BOX, [FIXED, FRONT], 16)).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("background", [255, 0, 77])
def test_composite_is_its_formula_for_every_value_and_alpha(background):
    color, alpha = np.meshgrid(np.arange(256), np.arange(256))
    found = composite(np.stack([color, color, color, alpha], axis=-1).astype(np.uint8), background)
    exact = (color * alpha + background * (255 - alpha)) / 255
    np.testing.assert_array_equal(found, np.rint(exact)[..., None].repeat(3, axis=-1))


def test_an_opaque_image_is_composed_already():
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(composite(image, 0), image)


def test_a_contact_sheet_sets_images_row_by_row():
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet(tiles, columns=2, pad=1)
    assert sheet.shape == (9, 13, 3)
    assert (sheet[:4, :6] == 10).all() and (sheet[:4, 7:] == 20).all() and (sheet[5:, :6] == 30).all()
    assert (sheet[4] == 255).all() and (sheet[:, 6] == 255).all() and (sheet[5:, 7:] == 255).all()
    clear = np.zeros((4, 6, 4), np.uint8)
    assert (contact_sheet([clear], columns=3) == 255).all()


def test_a_contact_sheet_needs_images_of_one_size():
    with pytest.raises(ValueError, match="0 images, 2 columns"):
        contact_sheet([], columns=2)
    with pytest.raises(ValueError, match=r"one size, not \[\(2, 2, 3\), \(3, 2, 3\)\]"):
        contact_sheet([np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2, 3), np.uint8)], columns=2)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("render", [render_view, render_poster])
def test_what_cannot_be_rendered_is_refused(render):
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="without faces"):
        render(trimesh.Trimesh(), FIXED, 16)
    with pytest.raises(ValueError, match="NaN or infinite"):
        render(trimesh.Trimesh(triangle * [np.nan, 1, 1], [[0, 1, 2]], process=False), FIXED, 16)
    with pytest.raises(ValueError, match="all one point"):
        render(trimesh.Trimesh(triangle * 0, [[0, 1, 2]], process=False), FIXED, 16)
    for size in (0, -3):
        with pytest.raises(ValueError, match=f"one pixel a side, not {size}"):
            render(BOX, FIXED, size)
    with pytest.raises(ValueError, match="one sample a side, not 0"):
        render(BOX, FIXED, 16, samples=0)


def test_a_face_without_area_does_no_harm():
    faces = np.vstack([BOX.faces, [[0, 0, 1]]])
    mesh = trimesh.Trimesh(BOX.vertices, faces, process=False)
    for (kind, image), (_, other) in zip(both_ways(BOX, FIXED, 32), both_ways(mesh, FIXED, 32), strict=True):
        assert np.array_equal(image, other), kind
