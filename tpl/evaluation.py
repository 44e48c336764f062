"""How good a method is: one row a shape and view, failures among them, and what the rows say together.

Nothing here knows a method. A method hands in the mesh that it made of a view, or the error that it met; the
rows of all methods go into one table, and the figures of the book are made from that table alone."""

import time
import zlib
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Float, Int, UInt8
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from tpl.errors import PlainError
from tpl.files import write_atomically
from tpl.metrics import F_SCORE_THRESHOLD, chamfer_distance, compare_surfaces
from tpl.reconstruction import remove_floaters, sample_mesh

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
PROVENANCE = ["protocol", "seed", "run"]
NUMBERS = [*SCORES, "seconds"]


class ResultsError(PlainError):
    """Results that are missing, incomplete or not results."""


@dataclass(frozen=True)
class Case:
    """Whose reconstruction a row is about: the key of the table."""

    category: str
    split: str
    shape_id: str
    family: str
    view: str  # "fix", "rnd0" to "rnd4", or "-" for a method that looks at no view
    method: str


@dataclass(frozen=True)
class Attempt:
    """What a method made of one view: a mesh, or the error that it met, and how long it took."""

    result: trimesh.Trimesh | Exception
    seconds: float


def attempt(reconstruct: Callable[[], trimesh.Trimesh]) -> Attempt:
    """Runs a reconstruction to its end, whatever that is: one shape's failure must not stop a data set."""
    start = time.perf_counter()
    try:
        result = reconstruct()
    except Exception as error:  # every kind of failure is a row with its reason
        result = error
    return Attempt(result, time.perf_counter() - start)


def evaluate_reconstruction(
    case: Case,
    reconstruction: trimesh.Trimesh | Exception,
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
            be sampled is a failure too.
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
    mesh: trimesh.Trimesh,
    truth: Float[np.ndarray, "n 3"],
    truth_normals: Float[np.ndarray, "n 3"] | None,
    rng: np.random.Generator,
    points: int,
    threshold: float,
    floater_share: float,
) -> dict[str, float]:
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


def nearest_by_pixels(
    query: UInt8[np.ndarray, "n height width 3"],
    gallery: UInt8[np.ndarray, "m rows columns 3"],
    size: int = 32,
) -> Int[np.ndarray, " n"]:
    """The most similar image, by the distance of their small grey versions: no training at all.

    Args:
        query: Images, on white.
        gallery: Images to choose from, many of one shape if so wished.
        size: Side of the grey version, in pixels.

    Returns:
        Rows of the gallery.
    """
    return _nearest(small_grey(query, size), small_grey(gallery, size))


def nearest_by_code(query: Float[np.ndarray, "n dim"], gallery: Float[np.ndarray, "m dim"]) -> Int[np.ndarray, " n"]:
    """Rows of the gallery whose latent codes are nearest to those asked for."""
    return _nearest(query, gallery)


def nearest_by_surface(
    query: Iterable[Float[np.ndarray, "_ 3"]],
    gallery: Iterable[Float[np.ndarray, "_ 3"]],
    few: int = 500,
    many: int = 5000,
    kept: int = 16,
    seed: int = 0,
) -> Int[np.ndarray, " n"]:
    """Rows of the gallery whose surfaces are nearest by Chamfer distance: retrieval that looks at the answer.

    Args:
        query: Points of each surface, raw frame.
        gallery: Of the surfaces to choose from. Of either, one at a time is kept whole.
        few: Points by which all of them are compared,
        many: and those by which the best `kept` are compared again.
        kept: So many.
        seed: Of the points that are taken.

    Source: Tatarchenko et al. 2019, "What do single-view 3D reconstruction networks learn?" (Oracle NN).
    """
    rng = np.random.default_rng(seed)

    def thinned(points: np.ndarray) -> np.ndarray:
        return points[rng.permutation(len(points))[:many]]

    asked, known = list(map(thinned, query)), list(map(thinned, gallery))
    _refuse_empty(known)
    found = np.zeros(len(asked), np.int64)
    for row, points in enumerate(asked):
        roughly = [chamfer_distance(points[:few], other[:few]) for other in known]
        best = np.argsort(roughly, kind="stable")[:kept]
        found[row] = best[np.argmin([chamfer_distance(points, known[place]) for place in best])]
    return found


def distance_to_nearest_other(
    surfaces: Iterable[Float[np.ndarray, "_ 3"]], points: int = 1500, seed: int = 0
) -> Float[np.ndarray, " n"]:
    """Chamfer distance of each surface to the nearest one among the others: how varied the surfaces are.

    Args:
        surfaces: Points of each, raw frame; at least two surfaces.
        points: So many of each are compared; the fewer, the larger every distance.
        seed: Of the points that are taken.
    """
    rng = np.random.default_rng(seed)
    thinned = [surface[rng.permutation(len(surface))[:points]] for surface in surfaces]
    if len(thinned) < 2:
        raise ValueError(f"{len(thinned)} surfaces have no others: give two or more")
    distance = np.full((len(thinned), len(thinned)), np.inf)
    for (a, first), (b, second) in combinations(enumerate(thinned), 2):
        distance[a, b] = distance[b, a] = chamfer_distance(first, second)
    return distance.min(axis=0)


def small_grey(images: UInt8[np.ndarray, "n height width 3"], size: int = 32) -> Float[np.ndarray, "n pixels"]:
    small = [Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image, np.float32).ravel() for image in small]) if small else np.zeros((0, size**2))


def _refuse_empty(gallery: Sized) -> None:
    if len(gallery) == 0:
        raise ValueError("the gallery is empty: nothing to retrieve; give it the training shapes")


def _nearest(query: Float[np.ndarray, "n dim"], gallery: Float[np.ndarray, "m dim"]) -> Int[np.ndarray, " n"]:
    _refuse_empty(gallery)
    if len(query) == 0:
        return np.zeros(0, np.int64)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(gallery)
    return search.kneighbors(query, return_distance=False)[:, 0]


# What the rows say together.


def summarize(rows: pd.DataFrame, seed: int = 0, resamples: int = 2000) -> pd.DataFrame:
    """Means over shapes, with what is needed to judge them.

    A failure counts as the worst: its Chamfer distances are the largest that any method reached on the
    category in the rows given, its F-score and normal consistency 0. So a method never gains by failing, and
    one failure does not drown the mean. Of the random views every draw is a table of its own: the figures are
    means over the draws, the spread is that of the draws, and the interval is over shapes, each with all its
    draws.

    Args:
        rows: `COLUMNS`, one row a shape, view and method. Every shape has every view of a method, failed or
            not.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        One row per category, split, method and view ("fix", "rnd", "-"), in order of appearance: `shapes`;
        `mean`, with its 95 % interval `low` to `high` (NaN for a single shape), `median` and `spread`
        (standard deviation over draws; NaN without draws) of the Chamfer distance in squared raw units;
        `mean_clean` and `median_clean` without floaters; means of `f_score`, `normal_consistency` and
        `seconds`; `failed`, as in "2 of 44".

    Raises:
        ResultsError: Columns are missing, a key occurs twice, or a shape lacks a view that others have.
    """
    summaries = []
    scored = _count_failures_as_worst(rows)
    for _, group in scored.groupby(["category", "split", "method", "kind"], sort=False):
        first = group.iloc[0]
        table = _by_shape_and_draw(group, "chamfer")
        low, high = bootstrap_mean(table.mean(axis=1).to_numpy(), seed, resamples)
        clean = _by_shape_and_draw(group, "chamfer_clean")
        summaries.append(
            {
                "category": first["category"],
                "split": first["split"],
                "method": first["method"],
                "view": first["kind"],
                "shapes": len(table),
                "mean": table.to_numpy().mean(),
                "low": low,
                "high": high,
                "median": table.median().mean(),
                "spread": table.mean().std() if table.shape[1] > 1 else np.nan,
                "mean_clean": clean.to_numpy().mean(),
                "median_clean": clean.median().mean(),
                "f_score": group["f_score"].mean(),
                "normal_consistency": group["normal_consistency"].mean(),
                "seconds": group["seconds"].mean(),
                "failed": f"{np.count_nonzero(group['failed'])} of {len(group)}",
            }
        )
    return pd.DataFrame(summaries)


def paired_difference(rows: pd.DataFrame, a: str, b: str, seed: int = 0, resamples: int = 2000) -> pd.DataFrame:
    """How much the Chamfer distance of one method is above another's on the same shapes.

    Paired, because shapes differ more in difficulty than methods differ in quality. A method that looks at no
    view is compared with each kind of view of the other.

    Args:
        rows: As for `summarize`; failures count as there.
        a: A method.
        b: Another one; both need the same shapes.

    Returns:
        One row per category, split and view: `shapes`; `difference`, the mean of a - b in squared raw units,
        negative where `a` is better, with its 95 % interval `low` to `high` by bootstrap over shapes;
        `better`, the share of the shapes on which `a` is strictly better.

    Raises:
        ResultsError: A method has no rows, or they are of other shapes.
    """
    scored = _count_failures_as_worst(rows)
    for method in (a, b):
        if method not in set(scored["method"]):
            known = ", ".join(sorted(scored["method"].unique()))
            raise ResultsError(f"no rows of the method {method!r}; there are {known}")
    differences = []
    for _, group in scored.groupby(["category", "split"], sort=False):
        category, split = group["category"].iloc[0], group["split"].iloc[0]
        of_a, of_b = (_mean_of_draws(group.loc[group["method"] == method]) for method in (a, b))
        for view in dict.fromkeys([*of_a, *of_b]):
            first, second = (of_method.get(view, of_method.get(NO_VIEW)) for of_method in (of_a, of_b))
            if first is None or second is None:
                continue
            odd = sorted(set(first.index) ^ set(second.index))
            if odd:
                raise ResultsError(
                    f"{a!r} and {b!r} were not evaluated on the same {category}: only one has {odd[0]!r}; "
                    "evaluate both on all"
                )
            difference = (first - second[first.index]).to_numpy()
            low, high = bootstrap_mean(difference, seed, resamples)
            differences.append(
                {
                    "category": category,
                    "split": split,
                    "view": view,
                    "shapes": len(difference),
                    "difference": difference.mean(),
                    "low": low,
                    "high": high,
                    "better": np.mean(difference < 0),
                }
            )
    if not differences:
        raise ResultsError(f"{a!r} and {b!r} have no category and view in common; evaluate both on the same")
    return pd.DataFrame(differences)


def _count_failures_as_worst(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with every score in place, and columns `kind` ("fix", "rnd", "-") and `failed`."""
    missing = [column for column in COLUMNS if column not in rows]
    if missing:
        raise ResultsError(f"these rows are no results: they lack {', '.join(missing)}")
    scored = rows.reset_index(drop=True).copy()
    scored["failed"] = scored["reason"] != ""
    scored["kind"] = scored["view"].str.rstrip("0123456789")
    silent = scored[~scored["failed"] & scored["chamfer"].isna()]
    if len(silent):
        first = silent.iloc[0]
        raise ResultsError(
            f"{first['method']!r} has neither score nor reason for {first['shape_id']!r}; evaluate it again"
        )
    for column in ("chamfer", "chamfer_clean"):
        worst = scored.groupby("category")[column].transform("max").fillna(WORST)
        scored[column] = scored[column].where(~scored["failed"], worst)
    for column in ("f_score", "normal_consistency"):
        known = scored.groupby("category")[column].transform("max").notna()  # without normals it stays NaN
        scored[column] = scored[column].where(~(scored["failed"] & known), 0.0)
    return scored


def _by_shape_and_draw(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """One method on one kind of view: a row a shape, a column a draw, and no gaps."""
    method = rows["method"].iloc[0]
    twice = rows[rows.duplicated(["shape_id", "view"])]
    if len(twice):
        first = twice.iloc[0]
        raise ResultsError(f"{method!r} has two rows for {first['shape_id']!r}, view {first['view']!r}; keep one")
    table = rows.pivot(index="shape_id", columns="view", values=column)
    if table.isna().to_numpy().any():
        row, column_of_gap = np.argwhere(table.isna().to_numpy())[0]
        shape_id, view = table.index[row], table.columns[column_of_gap]
        raise ResultsError(
            f"{method!r} has no row for {shape_id!r}, view {view!r}; a failure must be a row with its reason"
        )
    return table


def _mean_of_draws(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """For each kind of view of one method, the Chamfer distance of each shape."""
    kinds = rows.groupby("kind", sort=False)
    return {str(kind): _by_shape_and_draw(group, "chamfer").mean(axis=1) for kind, group in kinds}


def bootstrap_mean(values: Float[np.ndarray, " n"], seed: int, resamples: int = 2000) -> tuple[float, float]:
    """The 95 % percentile interval of a mean; one value says nothing of its spread."""
    if len(values) < 2:
        return np.nan, np.nan
    picks = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """The summary as it is printed: Chamfer distances times 1000, two digits after the point."""

    def numbers(column: str, digits: int = 2, scale: int = 1000) -> list[str]:
        return [f"{scale * value:.{digits}f}" if pd.notna(value) else "" for value in summary[column]]

    limits = zip(numbers("low"), numbers("high"), strict=True)
    return pd.DataFrame(
        {
            "category": summary["category"],
            "method": summary["method"],
            "view": summary["view"],
            "shapes": summary["shapes"],
            "mean": numbers("mean"),
            "95 %": [f"{low} to {high}" if low else "" for low, high in limits],
            "median": numbers("median"),
            "spread of draws": numbers("spread"),
            "mean, no floaters": numbers("mean_clean"),
            "median, no floaters": numbers("median_clean"),
            "F-score": numbers("f_score", 3, 1),
            "normals": numbers("normal_consistency", 3, 1),
            "failed": summary["failed"],
        }
    )


# On disk.


def write_results(path: Path, rows: Sequence[dict] | pd.DataFrame, protocol: str, seed: int, run: str) -> None:
    """Writes rows as CSV, all of them or none.

    Args:
        path: Of the file; its folder is made, an older file replaced.
        rows: `COLUMNS`.
        protocol: What the numbers mean, in a few words that stand in every row.
        seed: Of everything random in the evaluation.
        run: Name of the run that the models come from.
    """
    table = pd.DataFrame(rows)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ResultsError(f"nothing written to {path}: the rows lack {', '.join(missing)}")
    table = table[COLUMNS].assign(protocol=protocol, seed=seed, run=run)
    write_atomically(path, lambda partial: table.to_csv(partial, index=False))


def read_results(path: Path, made_by: str = "07_tables") -> pd.DataFrame:
    """Reads what `write_results` wrote, from one file or from all CSV files of a folder.

    Args:
        path: File or folder.
        made_by: The chapter that writes it, for the error.

    Raises:
        ResultsError: There is nothing at this place, or something else.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ResultsError(f"no results at {path}; chapter {made_by} makes them: run `tpl run {made_by}`")
    return pd.concat([_read_file(file) for file in files], ignore_index=True)


def _read_file(file: Path) -> pd.DataFrame:
    # Text as text: an id may look like a number, an empty reason is not a missing one.
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [column for column in [*COLUMNS, *PROVENANCE] if column not in table]
    if missing:
        raise ResultsError(f"{file} is no table of results: it lacks {', '.join(missing)}; delete it")
    for column in NUMBERS:
        table[column] = np.array([float(value or "nan") for value in table[column]])
    return table.astype({"seed": int})
