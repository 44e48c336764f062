"""From a shape to its files: signed distances, surface, frame and views; one shape or a whole data set."""

import dataclasses
import hashlib
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from tpl.files import write_atomically
from tpl.isolated import Lost, Pool, open_pool
from tpl.meshes import Normalization, clean_mesh
from tpl.rendering import FIXED, Camera, blender, easy_camera, hard_camera, render_views
from tpl.sdf import MeshSDF, SdfSamples, sample_sdf, sample_surface
from tpl.shapes import Shape
from tpl.store import Store, check_space

VIEWS_AROUND = 50  # the camera's 7.2 degree steps
POOL_POINTS = 64  # points that each training shape lends to the others' cross samples
CROSS_NOISE = 0.0005**0.5  # unit-sphere lengths: DeepSDF's nearer variance
CROSS_UNIFORM = 0.25


class PrepareConfig(BaseModel):
    """How much is kept of a shape; the defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sdf_samples: PositiveInt = 500_000
    cross_samples: NonNegativeInt = 0  # signed distances near other shapes' surfaces; ours, not the paper's
    surface_points: PositiveInt = 30_000
    easy_views: PositiveInt = 50
    hard_views: PositiveInt = 50
    image_size: PositiveInt = 224
    renderer: Literal["rays", "blender"] = "rays"  # blender is the paper's: path tracing, and much slower
    seed: NonNegativeInt = 0


def prepare_shape(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    """Writes all files of one shape but its cross samples, the record last; a shape that is there is left alone.

    Returns:
        The shape's row of the report: `shape_id`, `category`, `split`, `status` (made, kept), `seconds` and its
        quality card.
    """
    start = time.perf_counter()
    record = store.read_record(shape)
    status = "kept"
    if record is None or not is_current(record, shape, config):
        store.forget(shape)
        record = _make(shape, store, config)
        store.write_record(shape, record)
        status = "made"
    seconds = time.perf_counter() - start
    return {**_key(shape), "status": status, "reason": "", "seconds": seconds, **record["card"]}


def prepare(
    shapes: Sequence[Shape],
    store: Store,
    config: PrepareConfig,
    jobs: int = -1,
    timeout: float | int | None = None,
    cluster: str = "",
) -> pd.DataFrame:
    """Prepares a data set in parallel; what is there already is kept, and a failure stops nothing.

    A shape that takes too long, or takes its process down with it, is a failure like any other.

    Args:
        shapes: All shapes of all splits; cross samples are drawn near the training shapes among them.
        store: Where the files go.
        config: How much is kept.
        jobs: Processes; -1 is one a core.
        timeout: Seconds that a shape may take; None is half an hour, or no limit where `jobs` is 1, which works in
            this very process.
        cluster: Address of a dask scheduler whose workers do it instead, as "tcp://10.0.0.1:8786"; they see the
            store's folder under the same name.

    Returns:
        A row a shape with its `status` (made, kept, failed), the `reason` of a failure, its `seconds`, and its quality
        card. `report.csv` in the store's folder holds the same, and what it said of other shapes before.

    Raises:
        StoreError: The disk is too small for what is asked.
        BlenderError: The renderer is Blender, and there is none.
        ClusterError: The cluster does not answer.
    """
    store = Store(store.root.resolve())  # the processes of a cluster start in other folders
    if config.renderer == "blender" and not cluster:
        blender.blender_version()  # one clear sentence now, not one a shape
    check_space(store.root, sum(store.read_record(shape) is None for shape in shapes) * _bytes_per_shape(config))
    with open_pool(jobs, timeout, cluster) as pool:
        found = pool.call_all(prepare_shape, [(shape, store, config) for shape in shapes], "shapes")
        report = pd.DataFrame([_row(shape, result) for shape, result in zip(shapes, found, strict=True)])
        if config.cross_samples:
            ready = set(report.shape_id[report.status != "failed"])
            for category in sorted({shape.category for shape in shapes}):
                of_category = [s for s in shapes if s.category == category and s.id in ready]
                failures = _prepare_cross(of_category, store, config, pool)
                for shape_id, reason in failures.items():
                    report.loc[report.shape_id == shape_id, ["status", "reason"]] = ["failed", reason]
    write_report(report, store.root / "report.csv")
    return report


def write_report(report: pd.DataFrame, file: Path) -> None:
    """Writes a report of shapes; the file's rows of other shapes stay."""
    try:
        before = pd.read_csv(file, keep_default_na=False, dtype=str)
        key = before.category + "/" + before.shape_id
        others = before[~key.isin(report.category + "/" + report.shape_id)]
    except (OSError, ValueError, AttributeError):  # none, or none of ours
        others = report[:0]
    whole = pd.concat([others.astype(object), report.astype(object)]) if len(others) else report
    write_atomically(file, lambda path: whole.to_csv(path, index=False))


def is_current(record: dict, shape: Shape, config: PrepareConfig) -> bool:
    """Whether a shape was prepared as it would be now."""
    settings = {"renderer": "rays", **record["config"]}  # as it was before there was a choice
    return settings == config.model_dump() and record.get("version") == shape.version


def cross_pool(shapes: Sequence[Shape], store: Store, seed: int) -> np.ndarray:
    """Surface points of all these shapes, each in its own unit-sphere frame: (shapes x 64, 3) float32."""
    pool = []
    for shape in shapes:
        points = store.read_normalization(shape).apply(store.read_surface(shape))
        pool.append(_rng(seed, shape.id, "pool").choice(points, POOL_POINTS))
    return np.concatenate(pool).astype(np.float32)


def view_cameras(shape_id: str, vertices: np.ndarray, config: PrepareConfig) -> dict[str, list[Camera]]:
    """The cameras of a shape's easy, hard and fixed views, spread around it however few they are."""
    rng = _rng(config.seed, shape_id, "cameras")
    easy = [easy_camera(index, rng) for index in _around(config.easy_views)]
    hard = [hard_camera(index, vertices, rng) for index in _around(config.hard_views)]
    return {"easy": easy, "hard": hard, "fixed": [FIXED]}


def _make(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    mesh = shape.load()
    rng = _rng(config.seed, shape.id, "samples")
    clean = clean_mesh(mesh, rng)
    normalization = Normalization.of(clean.vertices)
    surface, _, _ = sample_surface(clean, config.surface_points, rng)
    samples = sample_sdf(MeshSDF(clean, normalization), normalization.apply(surface), config.sdf_samples, rng)
    store.write_sdf(shape, samples)
    store.write_surface(shape, surface)
    store.write_normalization(shape, normalization)

    cameras = view_cameras(shape.id, clean.vertices, config)
    render = blender.render_views if config.renderer == "blender" else render_views
    images = render(mesh, [camera for kind in cameras.values() for camera in kind], config.image_size)
    start = 0
    for kind, of_kind in cameras.items():
        store.write_views(shape, kind, images[start : start + len(of_kind)], of_kind)
        start += len(of_kind)
    digest = hashlib.sha256(samples.points.tobytes() + samples.sdf.tobytes() + images.tobytes()).hexdigest()
    return {
        "config": config.model_dump(),
        "version": shape.version,
        "digest": digest[:16],
        "card": dataclasses.asdict(clean.card),
    }


def _row(shape: Shape, result: dict | Lost) -> dict:
    if isinstance(result, Lost):
        return {**_key(shape), "status": "failed", "reason": result.reason, "seconds": result.seconds}
    return result


def _prepare_cross(shapes: Sequence[Shape], store: Store, config: PrepareConfig, pool: Pool) -> dict[str, str]:
    """Writes the shapes' cross samples, near training shapes' surfaces; returns the reasons of failures by shape.

    Training shapes learn from them. Those held out have them for the oracle, which fits a code to the truth.
    """
    training = [shape for shape in shapes if shape.split == "train"]
    if not training:
        return {}
    key = [config.cross_samples, store.fingerprint(training)]  # other neighbours, other samples
    todo = [shape for shape in shapes if (store.read_record(shape) or {}).get("cross") != key]
    if not todo:
        return {}
    near = cross_pool(training, store, config.seed)
    tasks = [(shape, store, config, near, key) for shape in todo]
    found = pool.call_all(_make_cross, tasks, f"cross samples, {shapes[0].category}")
    return {shape.id: result.reason for shape, result in zip(todo, found, strict=True) if isinstance(result, Lost)}


def _make_cross(shape: Shape, store: Store, config: PrepareConfig, pool: np.ndarray, key: list) -> None:
    rng = _rng(config.seed, shape.id, "cross")
    sdf = MeshSDF(clean_mesh(shape.load(), rng), store.read_normalization(shape))
    uniform = int(CROSS_UNIFORM * config.cross_samples)
    near = rng.choice(pool, config.cross_samples - uniform)
    near = near + rng.normal(scale=CROSS_NOISE, size=near.shape)
    points = np.concatenate([near, rng.uniform(-1, 1, (uniform, 3))]).astype(np.float32)
    store.write_sdf(shape, SdfSamples(points, sdf(points).astype(np.float32)), "CrossSamples")
    store.write_record(shape, {**(store.read_record(shape) or {}), "cross": key})


def _key(shape: Shape) -> dict:
    return {"shape_id": shape.id, "category": shape.category, "family": shape.family, "split": shape.split}


def _rng(seed: int, shape_id: str, purpose: str) -> np.random.Generator:
    """Randomness that depends on the shape and its purpose alone, so that no order of work can change it."""
    return np.random.default_rng([seed, zlib.crc32(shape_id.encode()), zlib.crc32(purpose.encode())])


def _around(views: int) -> list[int]:
    return [round(index * VIEWS_AROUND / views) for index in range(views)]


def _bytes_per_shape(config: PrepareConfig) -> int:
    views = config.easy_views + config.hard_views + 1
    samples = 16 * (config.sdf_samples + config.cross_samples) + 12 * config.surface_points
    return samples + views * config.image_size**2 * 2
