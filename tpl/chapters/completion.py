"""Chapter 09: shapes completed from parts of their surface, beside the fit to all of it."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import trimesh

from tpl.chapters.correspondence.figures import painted
from tpl.completion.fitting import CompletionConfig, complete
from tpl.completion.observation import Intervals, Observation, intervals
from tpl.evaluation.results import read_results, write_results
from tpl.evaluation.rows import POINTS, WORST, Case, attempt, case_rng, evaluate_reconstruction
from tpl.files import digest
from tpl.geometry.marching import extract_mesh
from tpl.inference import to_raw
from tpl.look.plotting import CLAY
from tpl.meshes.rays import RayScene
from tpl.rendering import FIXED
from tpl.shapes import Shape
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.judging import surface_normals
from tpl.study.trained import Trained, maybe

COMPLETED = "completed"
"""The name of completions, in rows of scores."""

SEEN = (200, 71, 30)
"""The colour of points that were seen."""

SHOWN = 300
"""How many of them are drawn."""

MOST = 3000
"""Points of an observation at most: more say nothing new."""

ALL, FEW = "all of it", "200 points"
VIEW, QUARTER = "half, from one view", "quarter"
BARE, UNFRAMED = "half, no normals", "half, frame unknown"

KINDS = {
    ALL: "all of the surface with normals, and signed distances about it: the floor",
    FEW: "200 points all over the surface, with normals",
    VIEW: "what the fixed camera sees, with normals and the camera's place",
    BARE: "the same without normals",
    UNFRAMED: "the same with normals, its place and size in the unit sphere unknown",
    QUARTER: "what lies in front and at the left of the middle, with normals, seen from nowhere",
}


class _Surface(NamedTuple):
    points: np.ndarray  # raw frame
    normals: np.ndarray
    visible: np.ndarray  # from the fixed camera


def observe(shape: Shape, kind: str, bench: Bench) -> Observation:
    """The part of a shape's surface that a kind of `KINDS` shows, raw frame.

    Args:
        shape: Prepared, with a mesh.
        kind: Which part; not `ALL`.
        bench: Of the shape; the points depend on its seed.
    """
    rng = case_rng(bench.seed, "seen", shape.id)
    seen = _surface(shape, bench)
    middle = -bench.store.read_normalization(shape).offset
    chosen = {
        FEW: np.ones(len(seen.points), dtype=bool),
        QUARTER: (seen.points[:, 0] < middle[0]) & (seen.points[:, 2] < middle[2]),
    }.get(kind, seen.visible)
    rows = rng.permutation(np.flatnonzero(chosen))[: 200 if kind == FEW else MOST]
    normals = None if kind == BARE else seen.normals[rows]
    return Observation(seen.points[rows], normals, FIXED.origin if kind in (VIEW, BARE, UNFRAMED) else None)


def known(shape: Shape, bench: Bench) -> Intervals:
    """All that is prepared of a shape's signed distance, unit-sphere frame, also where other shapes have surfaces.

    Points on its surface alone do not say that nothing else is there.
    """
    cross = bench.collection.config.prepare.cross_samples > 0
    tables = [bench.store.read_sdf(shape, kind) for kind in ("SdfSamples", *(["CrossSamples"] if cross else []))]
    points, sdf = (np.concatenate([part[place] for part in tables]).astype(np.float64) for place in (0, 1))
    frame, surface = bench.store.read_normalization(shape), _surface(shape, bench)
    # As many again close to the surface as a part of it would have them, or the whole would be seen less sharply.
    close = Observation(frame.apply(surface.points), surface.normals)
    rng = case_rng(bench.seed, "known", shape.id)
    near = intervals(close, len(points), CompletionConfig().offset, 0.0, rng)
    return Intervals(*(np.concatenate(pair) for pair in zip(Intervals(points, sdf, sdf), near, strict=True)))


def _surface(shape: Shape, bench: Bench) -> _Surface:
    points = bench.store.read_surface(shape)
    normals = surface_normals(shape, points)
    if normals is None:
        raise ValueError(f"shape {shape.id} has no mesh, which tells the normals: take shapes that have one")
    mesh = shape.load()
    scene = RayScene(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    way = FIXED.origin - points
    # A surface shows the side that its viewer sees, whichever way its faces are wound.
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return _Surface(points, normals, np.isinf(scene.distance(points + 1e-4 * way, way)))


def score_completions(
    bench: Bench, count: int = 8, kinds: Sequence[str] = tuple(KINDS), config: CompletionConfig | None = None
) -> pd.DataFrame:
    """The evaluation's rows of completions, kept on the shelf: the first `count` shapes of the split for trials.

    Args:
        bench: Of one category.
        count: Shapes.
        kinds: Of `KINDS`; it is the view of a row.
        config: Of the fits.
    """
    config, trained = config or CompletionConfig(seed=bench.seed), Trained(bench, ())
    shapes = _with_meshes(bench)[:count]
    code = code_digest("tpl.chapters.completion", without=MAKERS)
    data = bench.store.fingerprint(shapes)
    key = digest(code, trained.weights(), data, bench.resolution, bench.seed, tuple(kinds), config.model_dump_json())
    file = bench.shelf / "completion" / f"{key}.csv"
    if not file.exists():
        rows = [_row(trained, shape, kind, config) for kind in kinds for shape in shapes]
        write_results(file, rows, f"{POINTS} points, raw units, grid {bench.resolution}", bench.seed, str(bench.runs))
    return read_results(file)


def _with_meshes(bench: Bench) -> list[Shape]:
    """The shapes of the split for trials that have a mesh, which tells where their points look."""
    return [shape for shape in bench.shapes(bench.trial_split) if shape.has_mesh]


def _row(trained: Trained, shape: Shape, kind: str, config: CompletionConfig) -> dict:
    bench = trained.bench
    case = Case(shape.category, shape.split, shape.id, shape.family, kind, COMPLETED)
    made = attempt(partial(_completed, trained, shape, kind, config, bench.resolution))
    truth, rng = bench.store.read_surface(shape), case_rng(bench.seed, shape.id, kind, COMPLETED)
    return evaluate_reconstruction(case, made.result, truth, surface_normals(shape, truth), rng, made.seconds)


def _completed(trained: Trained, shape: Shape, kind: str, config: CompletionConfig, resolution: int) -> trimesh.Trimesh:
    bench = trained.bench
    frames = None if kind == UNFRAMED else [bench.store.read_normalization(shape)]
    model, learnt = trained.embedding.model, trained.embedding.codes
    seen = known(shape, bench) if kind == ALL else observe(shape, kind, bench)
    done = complete(model, [seen], learnt, frames, config)
    return to_raw(extract_mesh(model.shape(done.codes[0]), resolution), done.frames[0])


def summarize_completions(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a category and kind: Chamfer distance x 1000, mean and median (a failure counts as the worst), seconds."""
    rows = rows.assign(chamfer=1000 * rows.chamfer.fillna(WORST))
    groups = rows.groupby(["category", "view"], sort=False)
    table = groups.agg(shapes=("shape_id", "nunique"), mean=("chamfer", "mean"), median=("chamfer", "median"))
    return table.assign(seconds=groups["seconds"].mean()).reset_index().rename(columns={"view": "seen"})


def shown_completions(trained: Trained, kinds: Sequence[str] = (FEW, VIEW, QUARTER)) -> list[trimesh.Trimesh | None]:
    """The first shape of the split for trials: its mesh, and for each kind what was seen of it and its completion."""
    bench = trained.bench
    shape = _with_meshes(bench)[0]
    config = CompletionConfig(seed=bench.seed)
    pictures: list[trimesh.Trimesh | None] = [shape.load()]
    for kind in kinds:
        pictures.append(_as_dots(observe(shape, kind, bench).points[:SHOWN]))
        pictures.append(maybe(_completed, trained, shape, kind, config, bench.shown_resolution))
    clay = CLAY[bench.category]
    return [
        mesh and painted(mesh, np.tile(np.array(SEEN if place % 2 else clay, np.uint8), (len(mesh.faces), 1)))
        for place, mesh in enumerate(pictures)
    ]


def _as_dots(points: np.ndarray, radius: float = 0.007) -> trimesh.Trimesh:
    """Points (raw frame) as little balls."""
    dot = trimesh.creation.icosphere(subdivisions=1, radius=radius)
    vertices = (points[:, None] + np.asarray(dot.vertices)).reshape(-1, 3)
    faces = (np.arange(len(points))[:, None, None] * len(dot.vertices) + np.asarray(dot.faces)).reshape(-1, 3)
    return trimesh.Trimesh(vertices, faces, process=False)
