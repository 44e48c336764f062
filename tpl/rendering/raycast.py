"""Renders by embree's rays and a NumPy shader: cheap views to learn from, and posters for the eye.

Light is added up in linear units and leaves as sRGB; an image is uint8 RGBA with straight alpha, and alpha is
the share of the pixel that is covered. Nothing here is random: the same mesh gives the same bytes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Float32, Int, UInt8
from scipy import sparse
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import KDTree

from tpl.rendering.cameras import POSTER, SIZE, Camera, check_size, subpixels

PLASTER = (212, 203, 190)  # sRGB: what a mesh is made of that has no colour of its own

EXPOSURE = np.array([1.15, 1.15, 1.15, 1.0])  # of posters: upright faces get less than the level one's light 1

Color = tuple[int, int, int] | Literal["vertex", "face"] | None
Rgba = UInt8[np.ndarray, "height width 4"]


class RayMesh:
    """A mesh made ready for rays: embree's tree over its triangles, seen from both sides, and their normals."""

    def __init__(self, mesh: trimesh.Trimesh) -> None:
        if len(mesh.faces) == 0:
            raise ValueError("a mesh without faces shows nothing; count the shape as failed instead")
        self.triangles = np.asarray(mesh.vertices, dtype=float)[mesh.faces]
        if not np.isfinite(self.triangles).all():
            raise ValueError("a mesh with NaN or infinite vertices cannot be rendered; clean it first")
        self.low, self.high = self.triangles.min(axis=(0, 1)), self.triangles.max(axis=(0, 1))
        self.diagonal = float(np.linalg.norm(self.high - self.low))
        if self.diagonal == 0:
            raise ValueError("a mesh whose faces are all one point shows nothing; count the shape as failed")
        self.normals = unit(np.cross(*np.diff(self.triangles, axis=1).swapaxes(0, 1)))
        self.embree = EmbreeScene()
        TriangleMesh(self.embree, np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32))

    def first_hits(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "n 3"]
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 3"]]:
        """The face that each ray from one point meets first (-1: none), and barycentric coordinates in it."""
        origins = np.broadcast_to(origin.astype(np.float32), directions.shape)
        hits = self.embree.run(origins, directions.astype(np.float32), output=True)
        u, v = hits["u"].astype(float), hits["v"].astype(float)
        return hits["primID"], np.stack([1 - u - v, u, v], axis=1)

    def sees(self, points: Float32[np.ndarray, "n 3"], direction: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " n"]:
        """1 where nothing stands between a point and a far lamp in that direction, else 0."""
        shared = direction.astype(np.float32)[None]  # embreex takes one direction for all rays
        return (self.embree.run(points, shared, query="OCCLUDED") == -1).astype(float)

    def pixels(self, camera: Camera, size: int) -> Int[np.ndarray, "n 2"]:
        """Columns and rows of the pixels that the mesh can cover: those of its bounding box's image."""
        corners, depth = camera.project(trimesh.bounds.corners([self.low, self.high]), size)
        if (depth > 0).all():
            first, last = np.clip([np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))], 0, size)
        else:
            first, last = [0, 0], [size, size]
        x, y = np.meshgrid(*map(np.arange, first, last))
        return np.stack([x.ravel(), y.ravel()], axis=1).astype(int)


def render_views(
    mesh: trimesh.Trimesh, cameras: Sequence[Camera], size: int = SIZE, samples: int = 2
) -> UInt8[np.ndarray, "views height width 4"]:
    """What the encoder learns from: the mesh in its faces' colours, under lamps that stand still in the world.

    Flat shading without shadows, so that a face's light is found once and a view is one cast of rays.

    Args:
        mesh: In ShapeNet units; `mesh.visual` gives the colours.
        cameras: One a view.
        size: Width and height in pixels.
        samples: Rays a pixel along each side.

    Returns:
        A transparent background; `composite` puts it on white.

    Raises:
        ValueError: No faces, vertices that are not finite, a size or a number of samples below 1.
    """
    check_size(size)
    scene, offsets = RayMesh(mesh), subpixels(samples)
    albedo = corner_colors(mesh, "face")[:, 0]
    lit = np.stack([albedo * lamps(scene.normals), albedo * lamps(-scene.normals)])  # front and back
    images = np.zeros((len(cameras), size, size, 4), np.uint8)
    for image, camera in zip(images, cameras, strict=True):
        pixels = scene.pixels(camera, size)
        directions = camera.directions((pixels[:, None] + offsets).reshape(-1, 2), size)
        face, _ = scene.first_hits(camera.origin, directions)
        hit = np.flatnonzero(face >= 0)
        behind = np.einsum("ij,ij->i", directions[hit], scene.normals[face[hit]]) > 0
        light = np.zeros((len(directions), 4))
        light[hit, :3] = lit[behind.astype(int), face[hit]]
        light[hit, 3] = 1
        image[pixels[:, 1], pixels[:, 0]] = encode(light.reshape(len(pixels), len(offsets), 4).mean(axis=1))
    return images


def render_view(mesh: trimesh.Trimesh, camera: Camera, size: int = SIZE, samples: int = 2) -> Rgba:
    """One view, as `render_views` makes it."""
    return render_views(mesh, [camera], size, samples)[0]


def lamps(normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 1"]:
    """Light on white surfaces, 0 to 1: a sky, a key lamp high at the front, a weaker one at the other side."""
    sky = 0.5 + 0.5 * normals[:, 1:2]
    key = np.maximum(normals @ unit(np.array([[0.5], [0.8], [-0.7]]), axis=0), 0)
    fill = np.maximum(normals @ unit(np.array([[-0.8], [0.3], [0.2]]), axis=0), 0)
    return np.minimum(0.14 + 0.26 * sky + 0.55 * key + 0.2 * fill, 1)


def render_poster(
    mesh: trimesh.Trimesh,
    camera: Camera = POSTER,
    size: int = 512,
    color: Color = None,
    *,
    crease: float | int = 40.0,
    ground: bool = True,
    samples: int = 4,
) -> Rgba:
    """The one look of all meshes in the book: clay in a studio, soft key light and sky, on a soft floor.

    The studio is some 200 far lamps, each with hard shadows; together they throw soft shadows and ambient
    occlusion, without noise. Each of a pixel's samples asks its own share of the lamps. The studio turns
    with the camera, so that every side of a shape is as well lit as its front.

    Args:
        mesh: In ShapeNet units, any winding.
        camera: The same for all meshes that are to be compared.
        size: Width and height in pixels.
        color: sRGB of the clay, or the mesh's own colours by "vertex" or by "face"; None is plain clay.
        crease: Faces that meet at less than this angle, in degrees, look smooth; 0 shows every facet.
        ground: Whether the mesh throws its shadow on a floor: black, with partial alpha. Without, alpha is
            the mesh alone.
        samples: Rays a pixel along each side.

    Raises:
        ValueError: No faces, vertices that are not finite, a size or a number of samples below 1.
    """
    check_size(size)
    scene = RayMesh(mesh)
    normals, albedos = corner_normals(scene, crease), corner_colors(mesh, color)
    offsets = subpixels(samples)
    directions, powers = studio(camera.azimuth, len(offsets))
    pixels, lift = scene.pixels(camera, size), 1e-4 * scene.diagonal
    light = np.zeros((len(pixels), 4))
    # how far corner j of a face lies above the tangent plane of its corner i (Hanika 2021, see below)
    above = np.einsum("fijk,fik->fij", scene.triangles[:, None] - scene.triangles[:, :, None], normals)
    for k, offset in enumerate(offsets):
        rays = camera.directions(pixels + offset, size)
        face, place = scene.first_hits(camera.origin, rays)
        hit = np.flatnonzero(face >= 0)
        face, place, rays = face[hit], place[hit], rays[hit]
        points, normal, albedo = (
            np.einsum("ij,ijk->ik", place, corners[face]) for corners in (scene.triangles, normals, albedos)
        )
        flat = scene.normals[face]
        facing = np.where(np.einsum("ij,ij->i", rays, flat) > 0, -1.0, 1.0)[:, None]
        normal = facing * unit(normal)
        # shadow rays leave from the round surface that the facets stand for, or facets would show as shadows
        under = np.maximum(-facing * np.einsum("ijk,ik->ij", above[face], place), 0)
        points += lift * facing * flat + np.einsum("ij,ij->i", place, under)[:, None] * normal
        direct, hidden = irradiance(scene, points, normal, directions[k], powers[k])
        light[hit, :3] += albedo * (direct + 0.5 * albedo * hidden)  # what hides a lamp is clay too, and lit
        light[hit, 3] += 1
    image = np.zeros((size, size, 4), np.uint8)
    image[pixels[:, 1], pixels[:, 0]] = encode(light * EXPOSURE / len(offsets))
    if ground:
        shadow = floor_shadow(scene, camera, size)
        cover = image[..., 3] / 255
        alpha = cover + shadow * (1 - cover)
        image[..., :3] = np.rint(image[..., :3] * (cover / np.maximum(alpha, 1e-9))[..., None])
        image[..., 3] = np.rint(255 * alpha)
    return image


def studio(
    azimuth: float | int, groups: int, sky_lamps: int = 96, key_lamps: int = 48
) -> tuple[Float[np.ndarray, "groups lamps 3"], Float[np.ndarray, "groups lamps"]]:
    """Directions and powers of the poster's lamps, dealt into groups.

    On average over the groups they add up to light 1 on a level white surface that nothing hides, and any few
    successive groups resemble the whole, so that a half covered pixel is lit like its neighbours. A sphere of
    lamps is the sky, brightest above, and the floor's reflection; a disc of lamps is the key light.
    """
    golden = np.pi * (3 - np.sqrt(5))  # neighbours on Fibonacci's sphere and Vogel's disc differ by this angle
    index = np.arange(groups * -(-sky_lamps // groups)) + 0.5
    grid = np.linspace(1, -1, 1000)
    brightness = np.interp(grid, [-1, -0.2, 0.3, 1], [0.25, 0.28, 0.7, 1.0]).cumsum()
    height = np.interp(index / len(index), brightness / brightness[-1], grid)  # lamps of one power, dense above
    ring = np.sqrt(1 - height**2)
    sky = np.stack([ring * np.cos(golden * index), height, ring * np.sin(golden * index)], axis=1)
    sky_power = np.full(len(sky), 0.4 / np.maximum(height, 0).sum())

    index = np.arange(groups * -(-key_lamps // groups)) + 0.5
    radius = np.tan(np.radians(11)) * np.sqrt(index / len(index))
    right, up, back = Camera(azimuth + 50, 50, 1).axes  # from the upper left of the picture
    disc = radius * np.stack([np.cos(golden * index), np.sin(golden * index)])
    key = unit(disc.T @ np.stack([right, up]) + back)
    key_power = np.full(len(key), 0.6 / key[:, 1].sum())

    directions = np.concatenate([lights.reshape(-1, groups, 3) for lights in (sky, key)])
    powers = np.concatenate([lights.reshape(-1, groups) for lights in (sky_power, key_power)])
    return directions.swapaxes(0, 1), powers.T * groups


def irradiance(
    scene: RayMesh,
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "lamps 3"],
    powers: Float[np.ndarray, " lamps"],
) -> tuple[Float[np.ndarray, "n 1"], Float[np.ndarray, "n 1"]]:
    """The light of far lamps that reaches surface points, and that which the mesh keeps from them.

    Args:
        scene: What throws the shadows.
        points: A little above the surface, or it would hide the lamps from itself.
        normals: Unit normals to shade by.
        directions: Towards the lamps.
        powers: Each lamp's light on a surface that faces it.
    """
    starts = points.astype(np.float32)
    falling = np.maximum(directions @ normals.T, 0) * powers[:, None]
    direct = np.zeros(len(points))
    for light, direction in zip(falling, directions, strict=True):
        lit = np.flatnonzero(light)
        direct[lit] += light[lit] * scene.sees(starts[lit], direction)
    return direct[:, None], (falling.sum(axis=0) - direct)[:, None]


def floor_shadow(scene: RayMesh, camera: Camera, size: int) -> Float[np.ndarray, "height width"]:
    """Opacity of the shadow on a floor under the mesh's lowest point, seen by the camera.

    The shadow is soft, so it is found on a coarse map of the floor, which fades out at its edge.
    """
    margin = 0.6 * scene.diagonal
    start, stop = (scene.low - margin)[[0, 2]], (scene.high + margin)[[0, 2]]
    steps = np.linspace(0, 1, 88)
    x, z = np.meshgrid(*(start + steps[:, None] * (stop - start)).T, indexing="ij")
    floor = np.stack([x, np.full_like(x, scene.low[1] + 1e-4 * scene.diagonal), z], axis=-1).reshape(-1, 3)
    up = np.broadcast_to([0.0, 1.0, 0.0], floor.shape)
    directions, powers = studio(camera.azimuth, groups=1, sky_lamps=400)  # the eye is strict on plain white
    _, hidden = irradiance(scene, floor, up, directions[0], powers[0])
    fade = np.clip(4 * np.minimum(steps, 1 - steps), 0, 1)
    fade = fade**2 * (3 - 2 * fade)
    dark = gaussian_filter(hidden.reshape(x.shape), 1)
    dark = dark**2 / (dark + 0.08) * fade[:, None] * fade  # a faint shade far away would only soil the page

    _, rays = camera.rays(size)
    height = camera.origin[1] - scene.low[1]
    down = np.flatnonzero((rays[:, 1] < -1e-3) & (height > 0))
    seen = (camera.origin - height * rays[down] / rays[down, 1:2])[:, [0, 2]]
    shadow = np.zeros(size * size)
    shadow[down] = map_coordinates(dark, ((seen - start) / (stop - start)).T * (len(steps) - 1), order=1)
    return 1 - to_srgb(1 - shadow.reshape(size, size))


def corner_normals(scene: RayMesh, crease: float | int) -> Float[np.ndarray, "faces 3 3"]:
    """Normals to shade by: at each corner of a face, the mean of the faces around that are no edge away.

    Marching cubes leaves clusters of vertices that stand for one point of the surface, and a normal for each
    of them would show as facets. So on a mesh of even edges, like theirs, corners up to 0.4 edges apart meet.

    Args:
        scene: Gives the faces, which weigh by their angle.
        crease: The angle in degrees from which an edge stays sharp.
    """
    corners = scene.triangles.reshape(-1, 3)
    places, place = np.unique(np.rint(corners / (1e-6 * scene.diagonal)), axis=0, return_inverse=True)
    places, place = places * 1e-6 * scene.diagonal, place.ravel()
    edges = np.linalg.norm(scene.triangles - np.roll(scene.triangles, 1, axis=1), axis=2)
    reach = 0.4 * np.median(edges) if edges.max() < 3 * np.median(edges) else 0
    around = KDTree(places).query_ball_point(places, reach)
    ends = np.cumsum([0, *map(len, around)])
    near = sparse.csr_array((np.ones(ends[-1]), np.concatenate(around), ends), shape=2 * places.shape[:1])
    at = sparse.csr_array((np.ones(len(place)), (np.arange(len(place)), place)))
    mine, other = (at @ near @ at.T).nonzero()  # all pairs of corners that meet

    normals = np.repeat(scene.normals, 3, axis=0)
    alike = np.einsum("ij,ij->i", normals[mine], normals[other]) >= np.cos(np.radians(crease)) - 1e-9
    weights = np.where(alike, trimesh.triangles.angles(scene.triangles).ravel()[other], 0)
    summed = sparse.csr_array((weights, (mine, other)), shape=2 * place.shape) @ normals
    return np.where(np.any(summed, axis=1, keepdims=True), unit(summed), normals).reshape(-1, 3, 3)


def corner_colors(mesh: trimesh.Trimesh, color: Color) -> Float[np.ndarray, "faces 3 3"]:
    """Linear albedo at each corner of each face: the mesh's own, or of one clay if it has none."""
    visual: Any = mesh.visual  # trimesh has four kinds: by face, by vertex, texture and None
    if visual.kind == "texture":
        visual = visual.to_color()
    if color is None or (isinstance(color, str) and visual.kind is None):
        color = PLASTER
    if isinstance(color, tuple):
        if min(color) < 0 or max(color) > 255:
            raise ValueError(f"a colour is three numbers from 0 to 255, not {color}")
        srgb = np.broadcast_to(color, (len(mesh.faces), 3, 3))
    elif color == "face" and visual.kind == "face":
        srgb = np.repeat(visual.face_colors[:, None, :3], 3, axis=1)
    else:
        srgb = visual.vertex_colors[mesh.faces, :3]
        if color == "face":
            srgb = np.broadcast_to(srgb.mean(axis=1, keepdims=True), srgb.shape)
    value = np.asarray(srgb) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Display values 0..1 of linear light, which is cut to 0..1 (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def encode(light: Float[np.ndarray, "n 4"]) -> UInt8[np.ndarray, "n 4"]:
    """8-bit sRGB with straight alpha, of linear light that is weighted by its alpha."""
    color = to_srgb(light[:, :3] / np.maximum(light[:, 3:], 1e-9))
    return np.rint(255 * np.concatenate([color, light[:, 3:]], axis=1)).astype(np.uint8)


def unit(vectors: Float[np.ndarray, "n m"], axis: int = 1) -> Float[np.ndarray, "n m"]:
    """Vectors of length 1 along an axis; zero ones stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=True), 1e-30)


def composite(
    image: UInt8[np.ndarray, "*batch channels"], background: int | tuple[int, int, int] = 255
) -> UInt8[np.ndarray, "*batch 3"]:
    """An image, or many, on a plain background; blended in sRGB values, as browsers and Pillow do.

    Args:
        image: Of 4 channels, the last of them straight alpha; one of 3 is opaque and stays as it is.
        background: Grey value or sRGB colour.
    """
    if image.shape[-1] == 3:
        return image
    color, alpha = image[..., :3].astype(np.uint16), image[..., 3:].astype(np.uint16)
    blended = color * alpha + np.asarray(background, np.uint16) * (255 - alpha)  # at most 255^2, which 16 bits hold
    return ((blended + 127) // 255).astype(np.uint8)  # rounded: 255 is odd, so nothing lies halfway


def contact_sheet(
    images: Sequence[UInt8[np.ndarray, "height width channels"]], columns: int, pad: int = 4
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Images of one size side by side, row by row, on white.

    Args:
        images: RGB or RGBA.
        columns: Images a row; the last row may be shorter.
        pad: White pixels between two images.
    """
    if not images or columns < 1:
        raise ValueError(f"a contact sheet needs images and columns: {len(images)} images, {columns} columns")
    tiles = [composite(image) for image in images]
    if len(sizes := {tile.shape for tile in tiles}) > 1:
        raise ValueError(f"the images of a contact sheet have one size, not {sorted(sizes)}")
    height, width, _ = tiles[0].shape
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + pad) - pad, columns * (width + pad) - pad, 3), 255, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (height + pad), column * (width + pad)
        sheet[top : top + height, left : left + width] = tile
    return sheet
