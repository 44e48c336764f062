"""From a shape to its files: signed distances, surface, frame and views; one shape or a whole data set."""

import dataclasses
import hashlib
import time
import zlib
from collections.abc import Iterable, Sequence

import joblib
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt
from tqdm.auto import tqdm

from tpl.checking import CELLS, SurfaceCheck, check_surface
from tpl.meshes import CleanMesh, Normalization, clean_mesh
from tpl.rendering import FIXED, Camera, easy_camera, hard_camera, render_views
from tpl.sdf import MeshSDF, SdfSamples, sample_sdf, sample_surface
from tpl.shapes import Shape
from tpl.store import Store, check_space

VIEWS_AROUND = 50  # the camera's 7.2 degree steps
POOL_POINTS = 64  # points that each training shape lends to the others' cross samples
CROSS_NOISE = 0.0005**0.5  # unit-sphere lengths: DeepSDF's nearer variance
CROSS_UNIFORM = 0.25
CHECK_POINTS = 30_000
MADE_WELL = "procedural"  # the source whose meshes need no check: solids, watertight by construction


class PrepareConfig(BaseModel):
    """How much is kept of a shape; the defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sdf_samples: PositiveInt = 500_000
    cross_samples: NonNegativeInt = 0  # signed distances near other shapes' surfaces; ours, not the paper's
    surface_points: PositiveInt = 30_000
    easy_views: PositiveInt = 50
    hard_views: PositiveInt = 50
    image_size: PositiveInt = 224
    seed: NonNegativeInt = 0
    check: bool = True  # found shapes whose signed distance does not show what one sees of them are rejected


def prepare_shape(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    """Writes all files of one shape but its cross samples, the record last; a shape that is there is left alone.

    Returns:
        The shape's row of the report: `shape_id`, `category`, `split`, `status` (made, kept or rejected), the `reason`
        of a rejection, `seconds`, its quality card, and what the check afterwards found of a shape that is not made by
        rules. A rejected one leaves nothing but its record.
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
    reason = record.get("rejected", "")
    status = "rejected" if reason else status
    check = record.get("check", {})
    return {**_key(shape), "status": status, "reason": reason, "seconds": seconds, **record["card"], **check}


def prepare(shapes: Sequence[Shape], store: Store, config: PrepareConfig, jobs: int = -1) -> pd.DataFrame:
    """Prepares a data set in parallel; what is there already is kept, and a failure stops nothing.

    Args:
        shapes: All shapes of all splits; cross samples are drawn near the training shapes among them.
        store: Where the files go.
        config: How much is kept.
        jobs: Processes; -1 is one a core. A joblib backend set by the caller, such as dask, is used instead.

    Returns:
        A row a shape with its `status` (made, kept, rejected, failed), the `reason` of a rejection or failure, its
        quality card and check.

    Raises:
        StoreError: The disk is too small for what is asked.
    """
    check_space(store.root, sum(store.read_record(shape) is None for shape in shapes) * _bytes_per_shape(config))
    rows = _in_parallel(_try_prepare, [(shape, store, config) for shape in shapes], jobs, "shapes")
    report = pd.DataFrame(rows)
    if config.cross_samples:
        ready = {(row["category"], row["shape_id"]) for row in rows if row["status"] in ("made", "kept")}
        for category in sorted({shape.category for shape in shapes}):
            of_category = [s for s in shapes if s.category == category and (category, s.id) in ready]
            failures = _prepare_cross(of_category, store, config, jobs)
            for shape_id, reason in failures.items():
                row = (report.category == category) & (report.shape_id == shape_id)
                report.loc[row, ["status", "reason"]] = ["failed", reason]
    return report


def is_current(record: dict, shape: Shape, config: PrepareConfig) -> bool:
    """Whether a shape was prepared as it would be now. A field that its record lacks had its default then."""
    defaults = {name: field.default for name, field in PrepareConfig.model_fields.items() if not field.is_required()}
    return {**defaults, **record["config"]} == config.model_dump() and record.get("version") == shape.version


def is_rejected(record: dict) -> bool:
    """Whether the check afterwards turned a shape down."""
    return bool(record.get("rejected"))


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
    checked: dict = {}
    if config.check and shape.source != MADE_WELL:
        check = _check(clean, normalization, _rng(config.seed, shape.id, "check"))
        checked["check"] = dataclasses.asdict(check)
        if check.reason:
            return {**_record(shape, config, clean), **checked, "rejected": check.reason}
    surface, _, _ = sample_surface(clean, config.surface_points, rng)
    samples = sample_sdf(MeshSDF(clean, normalization), normalization.apply(surface), config.sdf_samples, rng)
    store.write_sdf(shape, samples)
    store.write_surface(shape, surface)
    store.write_normalization(shape, normalization)

    cameras = view_cameras(shape.id, clean.vertices, config)
    images = render_views(mesh, [camera for kind in cameras.values() for camera in kind], config.image_size)
    start = 0
    for kind, of_kind in cameras.items():
        store.write_views(shape, kind, images[start : start + len(of_kind)], of_kind)
        start += len(of_kind)
    digest = hashlib.sha256(samples.points.tobytes() + samples.sdf.tobytes() + images.tobytes()).hexdigest()
    return {**_record(shape, config, clean), **checked, "digest": digest[:16]}


def _record(shape: Shape, config: PrepareConfig, clean: CleanMesh) -> dict:
    return {"config": config.model_dump(), "version": shape.version, "card": dataclasses.asdict(clean.card)}


def _check(clean: CleanMesh, normalization: Normalization, rng: np.random.Generator) -> SurfaceCheck:
    visible, _, _ = sample_surface(clean, CHECK_POINTS, rng)
    return check_surface(MeshSDF(clean, normalization, 2 / CELLS), normalization.apply(visible), rng)


def _try_prepare(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    try:
        return prepare_shape(shape, store, config)
    except Exception as error:  # whatever is wrong with one shape is its row's reason
        return {**_key(shape), "status": "failed", "reason": f"{type(error).__name__}: {error}"}


def _prepare_cross(shapes: Sequence[Shape], store: Store, config: PrepareConfig, jobs: int) -> dict[str, str]:
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
    pool = cross_pool(training, store, config.seed)
    tasks = [(shape, store, config, pool, key) for shape in todo]
    failures = _in_parallel(_try_cross, tasks, jobs, f"cross samples, {shapes[0].category}")
    return {shape_id: reason for shape_id, reason in failures if reason}


def _try_cross(shape: Shape, store: Store, config: PrepareConfig, pool: np.ndarray, key: list) -> tuple[str, str]:
    try:
        rng = _rng(config.seed, shape.id, "cross")
        sdf = MeshSDF(clean_mesh(shape.load(), rng), store.read_normalization(shape))
        uniform = int(CROSS_UNIFORM * config.cross_samples)
        near = rng.choice(pool, config.cross_samples - uniform)
        near = near + rng.normal(scale=CROSS_NOISE, size=near.shape)
        points = np.concatenate([near, rng.uniform(-1, 1, (uniform, 3))]).astype(np.float32)
        store.write_sdf(shape, SdfSamples(points, sdf(points).astype(np.float32)), "CrossSamples")
        store.write_record(shape, {**(store.read_record(shape) or {}), "cross": key})
        return shape.id, ""
    except Exception as error:  # as above
        return shape.id, f"{type(error).__name__}: {error}"


def _in_parallel(function, tasks: Sequence[tuple], jobs: int, label: str) -> list:
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
    results: Iterable = parallel(joblib.delayed(function)(*task) for task in tasks)
    return list(tqdm(results, total=len(tasks), desc=label, mininterval=1.0))


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
