"""Preprocessing: signed distances and views of a mesh."""

import multiprocessing
import statistics
import time
from functools import partial

import igl
import numpy as np
import trimesh
from sklearn.neighbors import KDTree

from benchmarks.measuring import interleaved, seconds, table
from tpl.meshes import Normalization, clean_mesh
from tpl.meshes.rays import RayScene
from tpl.rendering import easy_camera, render_views
from tpl.rendering.cameras import FIXED
from tpl.sdf import MeshSDF, sample_sdf, sample_surface
from tpl.shapes import Shape, list_shapes


def chair() -> Shape:
    return list_shapes("procedural", "chairs", train=1)[0]


def every_triangle(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Signed distances by asking every triangle: the nearest one, and the exact winding number."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64)
    distance = np.empty(len(points))
    for row, point in enumerate(points):
        nearest = trimesh.triangles.closest_point(mesh.triangles, np.repeat(point[None], len(faces), axis=0))
        distance[row] = np.linalg.norm(nearest - point, axis=1).min()
    return np.where(np.asarray(igl.winding_number(vertices, faces, points)) > 0.5, -distance, distance)


def by_trimesh(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """trimesh's own function, ten thousand points at a time, so that its candidates fit into memory."""
    chunks = np.array_split(points, max(1, len(points) // 10_000))
    return -np.concatenate([trimesh.proximity.signed_distance(mesh, chunk) for chunk in chunks])


def by_scans(mesh: trimesh.Trimesh, points: np.ndarray, views: int = 100, size: int = 400) -> np.ndarray:
    """mesh_to_sdf's documented way, its defaults: the nearest of the points that 100 views of 400 x 400 pixels see,
    and the majority of the 11 nearest points' normals. Its renderer is replaced by rays, which are faster on a CPU."""
    scene, normals, cloud, towards = RayScene(mesh.vertices, mesh.faces), mesh.face_normals, [], []
    for number in range(views):  # spread over a sphere by the golden angle
        height, angle = 1 - 2 * (number + 0.5) / views, np.pi * (3 - 5**0.5) * number
        away = np.array([*(np.sqrt(1 - height**2) * np.array([np.cos(angle), np.sin(angle)])), height])
        side = np.linalg.svd(away[None])[2][1:]
        pixels = (np.stack(np.meshgrid(*2 * [np.arange(size) + 0.5]), axis=-1).reshape(-1, 2) / size - 0.5) * 1.2
        rays = pixels @ side - away
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        start = np.broadcast_to(2 * away, rays.shape)
        distance = scene.distance(start, rays)
        hit = np.isfinite(distance)
        face = scene.scene.run(scene._inside(start[hit]), rays[hit].astype(np.float32))
        cloud.append(start[hit] + distance[hit, None] * rays[hit])
        towards.append(normals[face] * -np.sign(np.sum(normals[face] * rays[hit], axis=1, keepdims=True)))
    surface, normal = np.concatenate(cloud), np.concatenate(towards)
    distance, nearest = KDTree(surface).query(points, k=11)
    behind = np.einsum("nvi,nvi->nv", points[:, None] - surface[nearest], normal[nearest]) < 0
    return np.where(behind.mean(axis=1) > 0.5, -distance[:, 0], distance[:, 0])


def by_us(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Ours, cleaning included."""
    return MeshSDF(clean_mesh(mesh, np.random.default_rng(0)), Normalization(np.zeros(3), 1.0))(points)


def others(mesh: trimesh.Trimesh, points: np.ndarray) -> list[str]:
    """One mesh and 100 000 points by other libraries, each from the mesh on and once; ours three times."""
    for function in (by_trimesh, by_us):
        function(mesh, points[:100])  # imports, caches of trimesh
    results, rows = {}, []

    def timed(name, function) -> float:
        return seconds(lambda: results.update({name: function(mesh, points)}))

    ours = statistics.median(timed("ours, cleaning included", by_us) for _ in range(3))
    spent = {
        "trimesh.proximity.signed_distance": timed("trimesh.proximity.signed_distance", by_trimesh),
        "mesh_to_sdf's way (100 scans, 11 normals)": timed("mesh_to_sdf's way (100 scans, 11 normals)", by_scans),
        "ours, cleaning included": ours,
    }
    exact = results["ours, cleaning included"]
    for name, value in results.items():
        wrong, off = (np.sign(value) != np.sign(exact)).mean(), np.abs(np.abs(value) - np.abs(exact)).max()
        rows.append((name, f"{spent[name]:.2f}", f"{spent[name] / ours:.1f}", f"{wrong:.2%}", f"{off:.4f}"))
    head = f"{len(points):,} samples of one mesh | s | times ours | other signs than ours | distance off, at most"
    return table(head, rows)


def sdf() -> list[str]:
    """signed distances of a mesh, against every triangle asked for every point, and against other libraries."""
    clean = clean_mesh(chair().load(), np.random.default_rng(0))
    frame = Normalization.of(clean.vertices)
    mesh = trimesh.Trimesh(frame.apply(clean.vertices), clean.faces, process=False)
    ours, rng = MeshSDF(clean, frame), np.random.default_rng(0)
    surface = frame.apply(sample_surface(clean, 20_000, rng)[0])
    rows = []
    for count, rounds in ((100, 3), (400, 3)):
        points = sample_sdf(ours, surface, count, rng).points.astype(float)
        np.testing.assert_allclose(ours(points), every_triangle(mesh, points), atol=1e-6)
        found = interleaved(
            {
                "plain": lambda points=points: every_triangle(mesh, points),
                "ours": lambda points=points: ours(points),
            },
            rounds,
        )
        rows.append(
            (
                f"{count:,}",
                *(f"{1e5 / count * found[name]:.2f}" for name in ("plain", "ours")),
                f"{found['plain'] / found['ours']:.0f}",
            )
        )
    for count in (30_000, 500_000):
        points = sample_sdf(ours, surface, count, rng).points.astype(float)
        found = interleaved({"ours": lambda points=points: ours(points)}, 3)
        rows.append((f"{count:,}", "-", f"{1e5 / count * found['ours']:.2f}", "-"))
    head = f"points (a chair of {len(clean.faces):,} faces) | every triangle, s per 100 000 | ours | ratio"
    return [*table(head, rows), "", *others(mesh, sample_sdf(ours, surface, 100_000, rng).points.astype(float))]


def rendering() -> list[str]:
    """views of a mesh, against one scene a view."""
    mesh, rng = chair().load(), np.random.default_rng(0)
    cameras = [easy_camera(number, rng) for number in range(8)]
    rows = []
    for size in (64, 128, 224):
        found = interleaved(
            {
                "plain": lambda size=size: [render_views(mesh, [camera], size) for camera in cameras],
                "ours": lambda size=size: render_views(mesh, cameras, size),
            },
            3,
        )
        plain, ours = (1000 * found[name] / len(cameras) for name in ("plain", "ours"))
        rays = 4 * size**2 / (ours / 1000)
        rows.append(
            (f"{size} px, 4 rays a pixel", f"{plain:.1f}", f"{ours:.1f}", f"{plain / ours:.2f}", f"{rays / 1e6:.1f}")
        )
    return table("views | a scene each, ms a view | ours | ratio | million rays a second, empty ones counted", rows)


def whole_shape(sdf_samples: int, views: int, size: int, seed: int) -> float:
    """Seconds that one chair takes, all by hand from the library's functions."""
    start, rng = time.perf_counter(), np.random.default_rng(seed)
    mesh = list_shapes("procedural", "chairs", train=seed + 1)[seed].load()
    clean = clean_mesh(mesh, rng)
    frame = Normalization.of(clean.vertices)
    function = MeshSDF(clean, frame)
    surface = sample_surface(clean, 30_000, rng)[0]
    sample_sdf(function, frame.apply(surface), sdf_samples, rng)
    render_views(mesh, [FIXED, *(easy_camera(number, rng) for number in range(views - 1))], size)
    return time.perf_counter() - start


def preparing() -> list[str]:
    """shapes an hour, and how they grow with processes."""
    rows = []
    for name, amounts in {"quick": (12_000, 13, 64), "the paper's": (500_000, 100, 224)}.items():
        rates = []
        for processes in (1, 2):
            task, count = partial(whole_shape, *amounts), 4 if name == "quick" else 2
            with multiprocessing.get_context("spawn").Pool(processes) as pool:
                pool.map(abs, range(processes))  # the processes exist
                pool.map(task, [0] * processes)  # and have imported everything
                start = time.perf_counter()
                pool.map(task, range(count), chunksize=1)
                rates.append(3600 * count / (time.perf_counter() - start))
        rows.append(
            (
                f"{name}: {amounts[0]:,} samples, {amounts[1]} views of {amounts[2]} px",
                *(f"{rate:,.0f}" for rate in rates),
                f"{rates[1] / rates[0]:.2f}",
            )
        )
    return table("setting | shapes an hour, 1 process | 2 processes | ratio", rows)


PARTS = {"sdf": sdf, "rendering": rendering, "preparing": preparing}
