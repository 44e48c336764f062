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
import trimesh
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt
from scipy.spatial import KDTree

from tpl.dataset.store import Store, StoreError, check_space
from tpl.dataset.workers import Lost, Pool, open_pool
from tpl.files import alone_in, write_file
from tpl.meshes import CleanMesh, MeshError, Normalization, clean_mesh
from tpl.meshes.cleaning import thickened
from tpl.meshes.notes import odd_looks
from tpl.meshes.sdf import MeshSDF, SdfSamples, sample_sdf, sample_surface
from tpl.meshes.surface_check import CELLS, SurfaceCheck, check_surface
from tpl.meshes.votes import VotedSDF
from tpl.rendering import FIXED, Camera, blender, easy_camera, hard_camera, render_views
from tpl.shapes import Shape
from tpl.source_code import code_digest

VIEWS_AROUND = 50  # the camera's 7.2 degree steps
POOL_POINTS = 64  # points that each training shape lends to the others' cross samples
CROSS_NOISE = 0.0005**0.5  # unit-sphere lengths: DeepSDF's nearer variance
CROSS_UNIFORM = 0.25
GIVEN_ERROR = 0.02  # unit-sphere lengths: what others computed of the same mesh differs by less, at the median
CHECK_POINTS = 30_000
MADE_WELL = "procedural"  # the source whose meshes need no check: solids, watertight by construction
SAME_FILES = ("b26a304476f5c668",)
"""Earlier code that made the very files of shapes made by rules that this one makes: what it left is current."""


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
    sign: Literal["winding", "votes"] = "winding"  # who says what is inside; DeepSDF's votes drop what they dispute
    check: bool = True  # found shapes whose signed distance does not show what one sees of them are rejected


def prepare_shape(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    """Writes all files of one shape but its cross samples, the record last; a shape that is there is left alone.

    Returns:
        The shape's row of the report: `shape_id`, `category`, `split`, `status` (made, kept or rejected), the `reason`
        of a rejection, `seconds`, its quality card, and of a shape that is not made by rules what the check afterwards
        found and what looks odd (`note`). A rejected one leaves nothing but its record.
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
    noted = {"note": "; ".join(record["notes"])} if "notes" in record else {}
    return {**_key(shape), "status": status, "reason": reason, "seconds": seconds, **record["card"], **check, **noted}


def prepare(
    shapes: Sequence[Shape],
    store: Store,
    config: PrepareConfig,
    jobs: int = -1,
    timeout: float | int | None = None,
    cluster: str = "",
    near: Sequence[Shape] = (),
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
        near: Prepared training shapes near whose surfaces cross samples are drawn instead, in each category.

    Returns:
        A row a shape with its `status` (made, kept, rejected, failed), the `reason` of a rejection or failure, its
        `seconds`, and its quality card and check. `report.csv` in the store's folder holds the same, and what it said
        of other shapes before.

    Raises:
        StoreError: The disk is too small for what is asked.
        BusyError: Another process prepares shapes in the same folder.
        BlenderError: The renderer is Blender, and there is none.
        ClusterError: The cluster does not answer.
    """
    store = Store(store.root.resolve())  # the processes of a cluster start in other folders
    if config.renderer == "blender" and not cluster:
        blender.blender_version()  # one clear sentence now, not one a shape
    check_space(store.root, sum(store.read_record(shape) is None for shape in shapes) * _bytes_per_shape(config))
    with alone_in(store.root), open_pool(jobs, timeout, cluster) as pool:
        found = pool.call_all(prepare_shape, [(shape, store, config) for shape in shapes], "shapes")
        report = pd.DataFrame([_row(shape, result) for shape, result in zip(shapes, found, strict=True)])
        if config.cross_samples:
            usable = report[report.status.isin(["made", "kept"])]
            ready = set(zip(usable.category, usable.shape_id, strict=True))
            for category in sorted({shape.category for shape in shapes}):
                of_category = [s for s in shapes if s.category == category and (category, s.id) in ready]
                others = [shape for shape in near or of_category if shape.category == category]
                failures = _prepare_cross(of_category, others, store, config, pool)
                for shape_id, reason in failures.items():
                    row = (report.category == category) & (report.shape_id == shape_id)
                    report.loc[row, ["status", "reason"]] = ["failed", reason]
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
    write_file(file, lambda path: whole.to_csv(path, index=False))


def is_current(record: dict, shape: Shape, config: PrepareConfig) -> bool:
    """Whether a shape was prepared as it would be now, by the very code of now.

    A record from before a setting existed was made in the way that has become the setting's default.
    """
    made_with = PrepareConfig().model_dump() | record["config"]
    codes = (_code(), *SAME_FILES) if shape.source == MADE_WELL else (_code(),)
    same_shape = record.get("version") == shape.version and record.get("code") in codes
    return same_shape and made_with == config.model_dump()


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
    if not shape.has_mesh:
        return _take(shape, store, config)
    mesh, given = shape.load(), shape.given
    rng = _rng(config.seed, shape.id, "samples")
    clean = clean_mesh(mesh, rng)
    store.link_given(shape)
    if "NormalizationParameters" in given:
        normalization = store.read_normalization(shape)
    else:  # samples of others are in the frame of all faces: only we drop hidden ones
        normalization = Normalization.of(mesh.vertices if "SdfSamples" in given else clean.vertices)
    checked: dict = {}
    if config.check and shape.source != MADE_WELL:
        clean, check = _judged(clean, normalization, shape, config)
        checked = {"check": dataclasses.asdict(check), "thickened": clean.card.watertight and not clean.keeps_thin}
        if notes := [*mesh.metadata.get("notes", ()), *odd_looks(mesh)]:
            checked["notes"] = notes
        if check.reason:
            return {**_record(shape, config, clean), **checked, "rejected": check.reason}
    if "NormalizationParameters" not in given:
        store.write_normalization(shape, normalization)
    sdf = _signed_distance(shape, clean, normalization, config)
    if "SurfaceSamples" in given:
        surface = store.read_surface(shape)
    else:
        surface, _, _ = sample_surface(clean, config.surface_points, rng)
        store.write_surface(shape, surface)
    if "SdfSamples" in given:
        samples = store.read_sdf(shape)
    else:
        samples = sample_sdf(sdf, normalization.apply(surface), config.sdf_samples, rng)
        if len(samples.sdf) < config.sdf_samples / 2:  # a training uses of each shape as many as the poorest has
            kept = f"{len(samples.sdf)} of {config.sdf_samples}"
            raise MeshError(f"the votes agree on the sign of {kept} samples only; take --prepare.sign winding")
        store.write_sdf(shape, samples)
    if given:
        _check_given(samples, surface, normalization, MeshSDF(clean, normalization))
    views = _make_views(shape, mesh, clean.vertices, store, config)
    return {**_record(shape, config, clean), **checked, "digest": _digest(samples, views)}


def _take(shape: Shape, store: Store, config: PrepareConfig) -> dict:
    """Takes what others prepared of a shape that has no mesh.

    Nothing can be rendered: where its easy views are given, that whose camera is nearest to the fixed one stands in
    for the fixed view.
    """
    store.link_given(shape)
    samples, surface = store.read_sdf(shape), store.read_surface(shape)
    _check_among_each_other(samples, store.read_normalization(shape).apply(surface))
    views = _given_pixels(shape, store, config)
    if "easy" in shape.given:
        images, cameras = store.read_views(shape, "easy")
        nearest = int(np.argmax([camera.axes[2] @ FIXED.axes[2] for camera in cameras]))
        opaque = np.full_like(images[[nearest], ..., :1], 255)
        store.write_views(shape, "fixed", np.concatenate([images[[nearest]], opaque], axis=-1), [cameras[nearest]])
    return {**_record(shape, config), "digest": _digest(samples, views)}


def _record(shape: Shape, config: PrepareConfig, clean: CleanMesh | None = None) -> dict:
    card = dataclasses.asdict(clean.card) if clean else {}
    return {"config": config.model_dump(), "version": shape.version, "code": _code(), "card": card}


def _digest(samples: SdfSamples, views: bytes) -> str:
    return hashlib.sha256(samples.points.tobytes() + samples.sdf.tobytes() + views).hexdigest()[:16]


def _code() -> str:
    """A hash of the code that prepares shapes; what makes the mesh of one is in its version."""
    return code_digest("tpl.dataset.prepare", without=("tpl.shapes", "tpl.dataset.workers"))


def _check(clean: CleanMesh, normalization: Normalization, rng: np.random.Generator) -> SurfaceCheck:
    visible, _, _ = sample_surface(clean, CHECK_POINTS, rng)
    return check_surface(MeshSDF(clean, normalization, 2 / CELLS), normalization.apply(visible), rng)


def _judged(
    clean: CleanMesh, normalization: Normalization, shape: Shape, config: PrepareConfig
) -> tuple[CleanMesh, SurfaceCheck]:
    """The mesh and its check; a closed one whose thin parts no grid shows is judged again with these thickened."""
    check = _check(clean, normalization, _rng(config.seed, shape.id, "check"))
    if check.reason and clean.keeps_thin and clean.card.thin_area > 0:
        thicker = thickened(clean)
        again = _check(thicker, normalization, _rng(config.seed, shape.id, "check"))
        if not again.reason:
            return thicker, again
    return clean, check


def _make_views(
    shape: Shape, mesh: trimesh.Trimesh, vertices: np.ndarray, store: Store, config: PrepareConfig
) -> bytes:
    """Renders the views that are not given; returns the pixels of all."""
    every = view_cameras(shape.id, vertices, config)
    cameras = {kind: of_kind for kind, of_kind in every.items() if kind not in shape.given}
    render = blender.render_views if config.renderer == "blender" else render_views
    images = render(mesh, [camera for of_kind in cameras.values() for camera in of_kind], config.image_size)
    start = 0
    for kind, of_kind in cameras.items():
        store.write_views(shape, kind, images[start : start + len(of_kind)], of_kind)
        start += len(of_kind)
    return images.tobytes() + _given_pixels(shape, store, config)


def _given_pixels(shape: Shape, store: Store, config: PrepareConfig) -> bytes:
    """The pixels of the views that are given, which must be as large as those that are rendered."""
    pixels = []
    for kind in [kind for kind in ("easy", "hard") if kind in shape.given]:
        given, _ = store.read_views(shape, kind)
        if given.shape[1] != config.image_size:
            raise StoreError(f"the given {kind} views are {given.shape[1]} pixels high: set image_size to that number")
        pixels.append(given.tobytes())
    return b"".join(pixels)


def _check_given(samples: SdfSamples, surface: np.ndarray, normalization: Normalization, sdf: MeshSDF) -> None:
    """Refuses samples and surface points that others made of another mesh, or in another frame; a few of each tell.

    Args:
        samples: In the unit-sphere frame, as they should be.
        surface: Points in the raw frame.
        normalization: From there to the unit-sphere frame.
        sdf: Of the shape's mesh.
    """
    few = _few(samples.sdf)
    truth, theirs = sdf(samples.points[few].astype(float)), samples.sdf[few]
    apart = np.abs(sdf(normalization.apply(surface[_few(surface)])))
    off = np.abs(np.abs(truth) - np.abs(theirs))  # the signs apart: of hidden and thin parts they may well differ
    for what, error in {"signed distances": np.median(off), "surface points": np.median(apart)}.items():
        if not error < GIVEN_ERROR:
            raise StoreError(f"the given {what} are off the mesh by {error:.3f}: they are of another mesh or frame")
    _refuse_turned_signs(theirs, truth)


def _check_among_each_other(samples: SdfSamples, surface: np.ndarray) -> None:
    """Refuses samples and surface points (both unit-sphere frame) that are not of one shape; there is no mesh to ask.

    Between the surface points there are gaps, which are narrower than the error that is allowed. All of the shape
    lies in the unit sphere, so what lies beyond is outside.
    """
    few = _few(samples.sdf)
    distance, _ = KDTree(surface).query(samples.points[few])
    error = np.median(np.abs(distance - np.abs(samples.sdf[few])))
    if not error < GIVEN_ERROR:
        raise StoreError(
            f"the given signed distances are off the given surface points by {error:.3f}: "
            "they are of different shapes or frames"
        )
    beyond = np.linalg.norm(samples.points, axis=1) > 1
    _refuse_turned_signs(samples.sdf[beyond], np.ones(beyond.sum()))


def _few(rows: np.ndarray) -> slice:
    if not len(rows):
        raise StoreError("a given file has no samples or no surface points: prepare it anew, or take it away")
    return slice(None, None, max(1, len(rows) // 500))


def _refuse_turned_signs(theirs: np.ndarray, truth: np.ndarray) -> None:
    """Far points weigh most, because nobody disputes their signs."""
    if np.dot(theirs, truth) < 0:
        raise StoreError("the given signed distances have their signs turned over: inside must be negative")


def _signed_distance(
    shape: Shape, clean: CleanMesh, normalization: Normalization, config: PrepareConfig
) -> MeshSDF | VotedSDF:
    if config.sign == "votes":
        return VotedSDF(clean, normalization, _rng(config.seed, shape.id, "votes"))
    return MeshSDF(clean, normalization)


def _row(shape: Shape, result: dict | Lost) -> dict:
    if isinstance(result, Lost):
        return {**_key(shape), "status": "failed", "reason": result.reason, "seconds": result.seconds}
    return result


def _prepare_cross(
    shapes: Sequence[Shape], others: Sequence[Shape], store: Store, config: PrepareConfig, pool: Pool
) -> dict[str, str]:
    """Writes the shapes' cross samples, near others' surfaces, if these are trained on; returns failures by shape.

    Training shapes learn from them. Those held out have them for the oracle, which fits a code to the truth.
    """
    training = [shape for shape in others if shape.split == "train"]
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
    if not shape.has_mesh:
        raise StoreError(f"cross samples need a mesh and {shape.id} has none: set prepare.cross_samples to 0")
    rng = _rng(config.seed, shape.id, "cross")
    clean, record = clean_mesh(shape.load(), rng), store.read_record(shape) or {}
    clean = thickened(clean) if record.get("thickened") else clean
    sdf = _signed_distance(shape, clean, store.read_normalization(shape), config)
    uniform = int(CROSS_UNIFORM * config.cross_samples)
    near = rng.choice(pool, config.cross_samples - uniform)
    near = near + rng.normal(scale=CROSS_NOISE, size=near.shape)
    points = np.concatenate([near, rng.uniform(-1, 1, (uniform, 3))]).astype(np.float32)
    values = sdf(points).astype(np.float32)
    known = ~np.isnan(values)
    store.write_sdf(shape, SdfSamples(points[known], values[known]), "CrossSamples")
    store.write_record(shape, {**record, "cross": key})


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
