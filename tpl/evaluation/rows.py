"""How good a method is: one row a shape and view, failures among them, and what the rows say together.

Nothing here knows a method. A method hands in the mesh that it made of a view, or the error that it met; the
rows of all methods go into one table, and the figures of the book are made from that table alone."""

import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

import numpy as np
import trimesh
from jaxtyping import Float, Int

from tpl.geometry.marching import remove_floaters, sample_mesh
from tpl.metrics import F_SCORE_THRESHOLD, chamfer_distance, compare_surfaces

POINTS = 30_000
"""Points on either surface, in the protocol of DeepSDF, Deep Implicit Templates and the paper."""

DRAWS = 5
"""Seeded draws of a random view of each shape."""

WORST = 2.0
"""Chamfer distance of a failure where nothing succeeded: raw shapes have a diagonal of 1, and 1^2 + 1^2 is
the most that two surfaces within one such ball can be apart."""

NO_VIEW = "-"
"""The view of methods that look at none, such as the mean shape."""

KEYS = ["category", "split", "shape_id", "family", "view", "method"]
SCORES = ["chamfer", "chamfer_clean", "f_score", "normal_consistency"]
COLUMNS = [*KEYS, *SCORES, "seconds", "reason"]


@dataclass(frozen=True)
class Case:
    """Whose reconstruction a row is about: the key of the table."""

    category: str
    split: str
    shape_id: str
    family: str
    view: str  # "fix", "rnd0" to "rnd4", or "-" for a method that looks at no view
    method: str


Surface = TypeVar("Surface", bound=trimesh.Trimesh | trimesh.PointCloud)


@dataclass(frozen=True)
class Attempt(Generic[Surface]):
    """What a method made of one view, or the error that it met, and how long it took.

    Points stand for the surface of a retrieved shape that has no mesh.
    """

    result: Surface | Exception
    seconds: float


def attempt(reconstruct: Callable[[], Surface]) -> Attempt[Surface]:
    """Runs a reconstruction to its end, whatever that is: one shape's failure must not stop a data set."""
    start = time.perf_counter()
    try:
        result = reconstruct()
    except Exception as error:  # every kind of failure is a row with its reason
        result = error
    return Attempt(result, time.perf_counter() - start)


def evaluate_reconstruction(
    case: Case,
    reconstruction: trimesh.Trimesh | trimesh.PointCloud | Exception,
    truth: Float[np.ndarray, "n 3"],
    truth_normals: Float[np.ndarray, "n 3"] | None,
    rng: np.random.Generator,
    seconds: float = float("nan"),
    points: int = POINTS,
    threshold: float = F_SCORE_THRESHOLD,
    floater_share: float = 0.1,
) -> dict:
    """One row of the table.

    Args:
        case: Goes into the row's first columns.
        reconstruction: In raw units, as the truth; or the error that stands in its place. A mesh that cannot
            be sampled is a failure too. Of points as many are taken at random; they have no normals and no floaters.
        truth: Points of the visible surface, raw units.
        truth_normals: Unit normals there; without them the row's normal consistency is NaN.
        rng: Draws the points of the reconstruction.
        seconds: What the reconstruction took.
        points: How many are drawn.
        threshold: Of the F-score, raw units.
        floater_share: Components below this share of the largest's area are left out of `chamfer_clean`.

    Returns:
        A value for each of `COLUMNS`. A failure has NaN scores and a reason; a success has an empty reason.

    Raises:
        ValueError: The truth itself is empty or not finite: a fault of the data, not of the method.
    """
    if len(truth) == 0 or not np.isfinite(truth).all():
        raise ValueError(f"shape {case.shape_id!r} has no usable ground truth; prepare it again")
    scores, reason = dict.fromkeys(SCORES, float("nan")), ""
    if isinstance(reconstruction, Exception):
        reason = describe(reconstruction)
    else:
        try:
            scores = _scores(reconstruction, truth, truth_normals, rng, points, threshold, floater_share)
        except ValueError as error:
            reason = describe(error)
    row = {**asdict(case), **scores, "seconds": seconds, "reason": reason}
    return {column: row[column] for column in COLUMNS}


def _scores(
    mesh: trimesh.Trimesh | trimesh.PointCloud,
    truth: Float[np.ndarray, "n 3"],
    truth_normals: Float[np.ndarray, "n 3"] | None,
    rng: np.random.Generator,
    points: int,
    threshold: float,
    floater_share: float,
) -> dict[str, float]:
    if isinstance(mesh, trimesh.PointCloud):
        drawn = rng.permutation(np.asarray(mesh.vertices))[:points]
        raw = compare_surfaces(drawn, None, truth, None, threshold)
        return {**raw._asdict(), "chamfer_clean": raw.chamfer}
    surface, normals = sample_mesh(mesh, points, rng)
    raw = compare_surfaces(surface, normals, truth, truth_normals, threshold)
    clean = remove_floaters(mesh, floater_share)
    chamfer_clean = raw.chamfer
    if len(clean.faces) < len(mesh.faces):
        chamfer_clean = chamfer_distance(sample_mesh(clean, points, rng)[0], truth)
    return {**raw._asdict(), "chamfer_clean": chamfer_clean}


def describe(error: Exception) -> str:
    """An error on one line, never empty."""
    sentence = " ".join(str(error).split())
    return f"{type(error).__name__}: {sentence}" if sentence else type(error).__name__


def case_rng(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each case: results do not depend on the order or the number of processes."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def random_views(shape_id: str, available: int, draws: int = DRAWS, seed: int = 0) -> Int[np.ndarray, " draws"]:
    """Which view of a shape each draw looks at; all different as long as there are enough."""
    if available < 1:
        raise ValueError(f"shape {shape_id!r} has no views to draw from; prepare it again")
    rng = case_rng(seed, "views", shape_id)
    rounds = [rng.permutation(available) for _ in range(-(-draws // available))]
    return np.concatenate(rounds)[:draws]


# Retrieval: the answer of a method that only remembers.


# What the rows say together.


# On disk.
