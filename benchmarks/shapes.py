"""Preprocessing: signed distances and views of a mesh."""

import functools
import resource
import statistics
import tempfile
import time
from pathlib import Path

import igl
import numpy as np
import trimesh
from sklearn.neighbors import KDTree

from benchmarks.measuring import interleaved, seconds, table
from tpl.dataset.prepare import PrepareConfig, prepare_shape
from tpl.dataset.store import Store
from tpl.dataset.workers import open_pool
from tpl.meshes import Normalization, clean_mesh
from tpl.meshes.rays import RayScene
from tpl.meshes.sdf import MeshSDF, sample_sdf, sample_surface
from tpl.rendering import blender, easy_camera, render_views
from tpl.shapes import Shape, list_shapes

try:  # no part of any environment of ours: it brings half a gigabyte for one row
    import open3d  # pyright: ignore[reportMissingImports]
except ImportError:
    open3d = None


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


def by_igl(mesh: trimesh.Trimesh, points: np.ndarray, sign: int) -> np.ndarray:
    """libigl's own function; of its signs pseudonormals are right on closed meshes that do not cross themselves."""
    faces = np.asarray(mesh.faces, dtype=np.int64)
    return np.asarray(igl.signed_distance(points, np.asarray(mesh.vertices), faces, sign)[0])


def by_open3d(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Open3D's scene of rays: exact distances, signs by how often rays meet the surface; of closed meshes."""
    core = open3d.core
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        core.Tensor(np.asarray(mesh.vertices, np.float32)), core.Tensor(np.asarray(mesh.faces, np.uint32))
    )
    return scene.compute_signed_distance(core.Tensor(points.astype(np.float32)), nthreads=1).numpy()


def by_us(mesh: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """Ours, cleaning included."""
    return MeshSDF(clean_mesh(mesh, np.random.default_rng(0)), Normalization(np.zeros(3), 1.0))(points)


def others(mesh: trimesh.Trimesh, points: np.ndarray) -> list[str]:
    """One closed mesh and 100 000 points by other libraries, each from the mesh on; those that are slow once."""
    once = {
        "trimesh.proximity.signed_distance": by_trimesh,
        "mesh_to_sdf's way (100 scans, 11 normals)": by_scans,
    }
    thrice = {
        "ours, cleaning included": by_us,
        "igl.signed_distance, pseudonormals": functools.partial(by_igl, sign=igl.SIGNED_DISTANCE_TYPE_PSEUDONORMAL),
        "igl.signed_distance, fast winding number": functools.partial(
            by_igl, sign=igl.SIGNED_DISTANCE_TYPE_FAST_WINDING_NUMBER
        ),
    }
    if open3d:
        thrice["Open3D, RaycastingScene, single precision"] = by_open3d
    for function in (by_trimesh, *thrice.values()):
        function(mesh, points[:100])  # imports, caches of trimesh
    results, rows = {name: function(mesh, points) for name, function in thrice.items()}, []
    spent = interleaved({name: functools.partial(function, mesh, points) for name, function in thrice.items()}, 3)
    for name, function in once.items():
        spent[name] = seconds(lambda name=name, function=function: results.update({name: function(mesh, points)}))
    exact, ours = results["ours, cleaning included"], spent["ours, cleaning included"]
    for name, value in results.items():
        wrong, off = (np.sign(value) != np.sign(exact)).mean(), np.abs(np.abs(value) - np.abs(exact)).max()
        rows.append((name, f"{spent[name]:.2f}", f"{spent[name] / ours:.1f}", f"{wrong:.2%}", f"{off:.4f}"))
    head = f"{len(points):,} samples of one mesh | s | times ours | other signs than ours | distance off, at most"
    told = [] if open3d else ["", "Open3D is not installed here, so it has no row."]
    return [*table(head, rows), *told]


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


PAPER = PrepareConfig()
QUICK = PrepareConfig(sdf_samples=12_000, easy_views=8, hard_views=4, image_size=64)
SHAPENET = 6000  # about as many shapes as DeepSDF's training splits of the three categories


def timed(shape: Shape, root: str, config: PrepareConfig) -> float:
    """Seconds of the processor that one shape takes from its mesh to its files."""
    start = time.process_time()
    prepare_shape(shape, Store(root), config)
    return time.process_time() - start


def measured(config: PrepareConfig, processes: int, count: int) -> tuple[float, float, float]:
    """Shapes an hour, seconds of the processor a shape (the median), and megabytes a shape on the disk."""
    shapes = list_shapes("procedural", "chairs", train=count + processes)
    with tempfile.TemporaryDirectory() as root, open_pool(processes, 3600) as pool:
        first, rest = shapes[:processes], shapes[processes:]
        pool.call_all(timed, [(shape, f"{root}/first", QUICK) for shape in first], "")  # everything is imported
        start = time.perf_counter()
        spent = pool.call_all(timed, [(shape, f"{root}/rest", config) for shape in rest], "")
        rate = 3600 * count / (time.perf_counter() - start)
        stored = sum(file.stat().st_size for file in Path(root, "rest").rglob("*") if file.is_file())
    return rate, statistics.median(spent), stored / count / 1e6


def preparing() -> list[str]:
    """shapes an hour, and what 6000 cost."""
    rows = []
    for name, config, count in (("quick", QUICK, 8), ("the paper's", PAPER, 2)):
        rates = [measured(config, processes, count)[0] for processes in (1, 2)]
        rows.append(
            (
                f"{name}: {config.sdf_samples:,} samples, {views_of(config)} views of {config.image_size} px",
                *(f"{rate:,.0f}" for rate in rates),
                f"{rates[1] / rates[0]:.2f}",
                *(f"{SHAPENET / rate:.1f}" for rate in rates),
            )
        )
    head = (
        "setting | shapes an hour, 1 process | 2 processes | ratio "
        f"| {SHAPENET:,} shapes, h (extrapolated), 1 process | 2 processes"
    )
    return [*table(head, rows), "", ONLY_PROCEDURAL]


def growth() -> list[str]:
    """what one shape costs at the paper's setting, and how that grows; seconds of the processor, not of the clock."""
    changes = [{}, {"sdf_samples": 250_000}, {"sdf_samples": 1_000_000}, {"easy_views": 100, "hard_views": 100}]
    changes += [{"image_size": 112}, {"image_size": 448}]
    configs = [PAPER.model_copy(update=change) for change in changes]
    found = [measured(config, 1, 1)[1:] for config in configs]
    rows = [
        (
            f"{config.sdf_samples:,} samples, {views_of(config)} views of {config.image_size} px",
            f"{seconds:.2f}",
            f"{seconds / found[0][0]:.2f}",
            f"{SHAPENET * seconds / 3600:.1f}",
            f"{megabytes:.2f}",
        )
        for config, (seconds, megabytes) in zip(configs, found, strict=True)
    ]
    head = f"a chair | s of one core | ratio | {SHAPENET:,} such shapes, h of one core (extrapolated) | MB a shape"
    return [*table(head, rows), "", blender_line(), "", ONLY_PROCEDURAL]


ONLY_PROCEDURAL = (
    f"Extrapolated is the rate of procedural chairs, of 1000 to 3000 faces, times {SHAPENET:,}; "
    "many of ShapeNet's meshes have more, and none was measured here."
)


def views_of(config: PrepareConfig) -> int:
    return config.easy_views + config.hard_views + 1


def blender_line(views: int = 6) -> str:
    """A view by Blender, where it is."""
    try:
        version = blender.blender_version()
    except blender.BlenderError as error:
        return f"The renderer blender was not measured: {error}."
    mesh, rng = chair().load(), np.random.default_rng(0)
    cameras = [easy_camera(number, rng) for number in range(views)]
    spent = []
    for some in (cameras[:1], cameras):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        blender.render_views(mesh, some)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    each = (spent[1] - spent[0]) / (views - 1)
    return (
        f"The renderer blender ({version}, one thread, 16 paths a pixel) takes {each:.2f} s of one core for a view of "
        f"224 px and {spent[0] - each:.1f} s to start: {spent[0] + 100 * each:.0f} s for 101 views (extrapolated "
        f"from {views}), and {SHAPENET * (spent[0] + 100 * each) / 3600:.0f} h for {SHAPENET:,} shapes on one core."
    )


PARTS = {"sdf": sdf, "rendering": rendering, "preparing": preparing, "growth": growth}
