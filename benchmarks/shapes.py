"""Preprocessing: signed distances and views of a mesh."""

import multiprocessing
import time
from functools import partial

import igl
import numpy as np
import trimesh

from benchmarks.measuring import interleaved, table
from tpl.meshes import Normalization, clean_mesh
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


def sdf() -> list[str]:
    """signed distances of a mesh, against every triangle asked for every point."""
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
    return table(f"points (a chair of {len(clean.faces):,} faces) | every triangle, s per 100 000 | ours | ratio", rows)


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
