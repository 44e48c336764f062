"""How well part labels and key points of procedural shapes are carried: a row a pair of shapes and method.

Every target gets its labels from single exemplars, one after the other, and from all exemplars together; each time
through the template and by rivals that know none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Float, Int
from torch import Tensor

from tpl.chapters.correspondence.keypoints import find_keypoints, labels_of
from tpl.evaluation.results import ResultsError
from tpl.evaluation.rows import case_rng
from tpl.evaluation.summary import bootstrap_mean
from tpl.files import digest, write_file
from tpl.geometry.correspondence import (
    judged_points,
    majority,
    match_boxes,
    match_points,
    score_labels,
    transfer,
    transfer_points,
)
from tpl.meshes import Normalization
from tpl.shapes import Shape
from tpl.source_code import code_digest
from tpl.study.bench import Bench
from tpl.study.methods import better_encoder
from tpl.study.trained import LEARNT, Trained

TEMPLATE = "through the template"
NEAREST = "nearest point"
"""Of the two surfaces as they lie in the unit-sphere frame: no learning at all."""

BOXES = "nearest point, one box"
"""The same after both shapes were stretched to one bounding box."""

MAJORITY = "most frequent part"
"""Every point gets the source's most frequent label: what accuracy is worth by itself."""

FROM_IMAGE = "from one image"
"""The target's code is what an encoder sees in the fixed view; a `LEARNT` one is phase 1's own."""


@dataclass(frozen=True, eq=False)
class Located:
    """A labelled shape, and where its points lie for each way of carrying."""

    shape: Shape
    frame: Normalization
    canonical: Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n coordinates"]]  # the warp of this shape

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """The true mesh, raw frame; loaded when it is first asked for."""
        return self.shape.load()

    def places(self, points: Float[np.ndarray, "n 3"]) -> dict[str, Float[np.ndarray, "n _"]]:
        """Where points (raw frame) lie in the space of each method, in which nearest points are looked for."""
        there = self.frame.apply(points)
        return {
            TEMPLATE: self.canonical(there).astype(np.float64),
            NEAREST: there,
            BOXES: match_boxes(there, self.frame.apply(np.asarray(self.mesh.bounds))),
        }

    def sample(self, count: int, seed: int = 0) -> "Sample":
        """Points spread evenly over the surface, with their labels and places, and the key points.

        Args:
            count: How many points.
            seed: The points depend on it and on the shape, so that a shape is drawn alike wherever it is needed.
        """
        rng = case_rng(seed, "surface", self.shape.id)
        label, _ = labels_of(self.mesh)
        points, faces = trimesh.sample.sample_surface(self.mesh, count, seed=rng)[:2]
        known = find_keypoints(self.shape.category, self.mesh)
        key_places = self.places(np.stack(list(known.values())))
        surface = np.asarray(points, dtype=np.float64)
        return Sample(self.shape, surface, label[faces].astype(np.int64), self.places(surface), known, key_places)


class Sample(NamedTuple):
    """Labelled points of one shape's surface."""

    shape: Shape
    points: Float[np.ndarray, "n 3"]  # raw frame
    label: Int[np.ndarray, " n"]
    places: dict[str, Float[np.ndarray, "n _"]]  # by method
    keypoints: dict[str, Float[np.ndarray, "3"]]  # raw frame, by name
    key_places: dict[str, Float[np.ndarray, "k _"]]  # by method, in the order of the names


class Transfers(NamedTuple):
    """The tables of one category."""

    labels: pd.DataFrame
    keypoints: pd.DataFrame


def locate(trained: Trained, shape: Shape, latent: Float[Tensor, " dim"], beside: float = 0.0) -> Located:
    """A prepared procedural shape, with the warp of a code.

    Args:
        trained: Whose phase 1 the code is of.
        shape: Which.
        latent: Its code.
        beside: Weight of the template's coordinates beside space, if it has any, in where points meet.
    """
    model, frame = trained.embedding.model, trained.bench.store.read_normalization(shape)
    return Located(shape, frame, lambda points: model.places(points, latent, beside))


def exemplars_and_targets(
    trained: Trained, exemplars: int, coded: int, test: int, beside: float = 0.0
) -> tuple[list[Located], dict[str, list[Located]]]:
    """The first coded shapes as exemplars; as targets the coded shapes after them, and test shapes.

    Only made shapes take part: the parts of found ones have no labels.

    Args:
        trained: With an encoder onto its phase 1.
        exemplars: How many; their codes are learnt ones.
        coded: At most so many targets with learnt codes.
        test: At most so many test shapes, with codes that the encoder sees in their fixed view.
        beside: See `locate`.

    Returns:
        The exemplars, and the targets by where their code comes from: `LEARNT`, `FROM_IMAGE`.

    Raises:
        ValueError: Fewer shapes have a code than exemplars and one target need, or no encoder is trained.
    """
    shapes = trained.bench.shapes("coded")
    coded_pairs = zip(shapes, trained.embedding.codes, strict=False)
    labelled = [(shape, latent) for shape, latent in coded_pairs if shape.source == "procedural"]
    if not 1 <= exemplars < len(labelled):
        raise ValueError(
            f"{exemplars} exemplars and at least one target of the {len(labelled)} made {trained.bench.category} "
            f"that have a code: take 1 to {len(labelled) - 1} exemplars"
        )
    onto = [name for name in trained.encoders if trained.methods[name].decoder == trained.phase_1]
    method = better_encoder(onto)
    if method not in onto:
        raise ValueError(f"no encoder of {trained.bench.category} in {trained.bench.runs}: run chapter 04")
    known = [locate(trained, *pair, beside) for pair in labelled[: exemplars + coded]]
    tested = trained.bench.shapes("test")
    unseen = [shape for shape in tested if shape.source == "procedural"][:test]
    store = trained.bench.store
    seen = [trained.encode(method, store.read_views(shape, "fixed")[0])[0] for shape in unseen]
    from_image = [locate(trained, *pair, beside) for pair in zip(unseen, seen, strict=True)]
    return known[:exemplars], {LEARNT: known[exemplars:], FROM_IMAGE: from_image}


def score_transfer(
    bench: Bench,
    exemplars: int = 3,
    coded: int = 24,
    test: int = 16,
    points: int = 4000,
    beside: float = 0.0,
    phase_1: str = "",
) -> Transfers:
    """Labels and key points carried from the exemplars to all targets, kept on the shelf; see `score_samples`.

    Args:
        bench: Of a category of procedural shapes; the points depend on its seed.
        exemplars: See `exemplars_and_targets`, as for `coded` and `test`.
        coded: Targets with learnt codes.
        test: Targets with codes from one image.
        points: Drawn on each surface.
        beside: See `locate`.
        phase_1: The run folder of the decoder; by default ours.
    """
    trained, seed = Trained(bench, phase_1=phase_1), bench.seed
    weights = [bench.run(trained.methods[name].folder).digest() for name in trained.arms]
    shapes = bench.shapes("coded") + bench.shapes("test")
    settings = (exemplars, coded, test, points, seed, beside)
    key = digest(_code(), trained.weights(), weights, bench.store.fingerprint(shapes), *settings)
    folder = bench.shelf / "correspondence"
    files = [folder / f"{table}-{key}.csv" for table in Transfers._fields]
    if not all(file.exists() for file in files):
        sources, targets = exemplars_and_targets(trained, exemplars, coded, test, beside)
        samples = [source.sample(points, seed) for source in sources]
        tables: list[Transfers] = []
        for codes, found in targets.items():
            tables += [score_samples(samples, target.sample(points, seed), codes) for target in found]
        for file, table in zip(files, map(pd.concat, zip(*tables, strict=True)), strict=True):
            write_file(file, lambda path, table=table: table.to_csv(path, index=False))
    return Transfers(*map(pd.read_csv, files))


def _code() -> str:
    """A hash of the code that results depend on, that of the parts' labels too: the shapes' fingerprint lacks them."""
    apart = ("tpl.training", "tpl.rendering", "tpl.dataset.prepare", "tpl.dataset.collection", "tpl.look")
    return code_digest("tpl.chapters.correspondence.transfer", "tpl.shapes.procedural", without=apart)


def score_samples(sources: Sequence[Sample], target: Sample, codes: str) -> Transfers:
    """One target: its labels from each exemplar and from all together, its key points from each.

    Args:
        sources: The exemplars.
        target: Another shape.
        codes: Where the target's code comes from, for the rows.

    Returns:
        `labels`, a row a source and method: `accuracy`, `mean_iou` and `judged` as `score_labels` has them;
        `accuracy_near` and `accuracy_far` of the halves of the judged points that lie nearer to their source point
        and farther from it in the method's space. `keypoints`, a row a source, method and key point that both have:
        `error`, its distance to the true one in raw units.
    """
    key = {"category": target.shape.category, "split": target.shape.split, "codes": codes, "target": target.shape.id}
    groups = [[source] for source in sources] + ([list(sources)] if len(sources) > 1 else [])
    labels, keypoints = [], []
    for group in groups:
        name = group[0].shape.id if len(group) == 1 else f"{len(group)} together"
        start = {**key, "source": name, "exemplars": len(group)}
        for method in (TEMPLATE, NEAREST, BOXES, MAJORITY):
            labels.append({**start, "method": method, **_label_scores(group, target, method)})
    for source in sources:
        start = {**key, "source": source.shape.id, "exemplars": 1}
        both = [name for name in source.keypoints if name in target.keypoints]
        rows = [list(source.keypoints).index(name) for name in both]
        for method in (TEMPLATE, NEAREST, BOXES) if both else ():
            found = transfer_points(source.key_places[method][rows], target.places[method], target.points)
            for name, point in zip(both, found, strict=True):
                error = float(np.linalg.norm(point - target.keypoints[name]))
                keypoints.append({**start, "method": method, "keypoint": name, "error": error})
    return Transfers(pd.DataFrame(labels), pd.DataFrame(keypoints))


def _label_scores(sources: Sequence[Sample], target: Sample, method: str) -> dict[str, float]:
    known = np.concatenate([source.label for source in sources])
    near = far = np.nan
    if method == MAJORITY:
        carried = np.full_like(target.label, majority(known))
    else:
        match = match_points(np.concatenate([source.places[method] for source in sources]), target.places[method])
        carried = known[match.index]
        judged = judged_points(target.label, known)
        right, distance = (carried == target.label)[judged], match.distance[judged]
        halves = np.array_split(right[np.argsort(distance, kind="stable")], 2)
        near, far = (float(np.mean(half)) if len(half) else np.nan for half in halves)
    return {**score_labels(carried, target.label, known)._asdict(), "accuracy_near": near, "accuracy_far": far}


def carried_labels(
    sources: Sequence[Sample], target: Located, points: Float[np.ndarray, "n 3"], method: str
) -> Int[np.ndarray, " n"]:
    """The labels of any points of the target (raw frame), from all sources together."""
    places = np.concatenate([source.places[method] for source in sources])
    return transfer(np.concatenate([source.label for source in sources]), places, target.places(points)[method])


# What the rows say together.

GROUP = ["category", "codes", "exemplars"]


def summarize_transfer(rows: pd.DataFrame, value: str, seed: int = 0) -> pd.DataFrame:
    """The mean of a score over targets, each the mean over its sources (and key points).

    Args:
        rows: One of the tables of `Transfers`, of any categories.
        value: The column to summarise.
        seed: Of the bootstrap.

    Returns:
        A row a category, kind of code, number of exemplars and method: `targets`, `mean`, and its 95 % interval
        `low` to `high` by bootstrap over the targets, for these exemplars; NaN for a single target.
    """
    summaries = []
    for key, group in rows.groupby([*GROUP, "method"], sort=False):
        values = np.asarray(group.groupby("target", sort=False)[value].mean())
        low, high = bootstrap_mean(values, seed)
        summaries.append((*key, len(values), values.mean(), low, high))  # pyright: ignore  # the key is a tuple
    return pd.DataFrame(summaries, columns=[*GROUP, "method", "targets", "mean", "low", "high"])


def compare_transfer(rows: pd.DataFrame, value: str, a: str, b: str, seed: int = 0) -> pd.DataFrame:
    """How much a score of one method is above another's on the same targets.

    Args:
        rows: As for `summarize_transfer`.
        value: The column to compare.
        a: A method.
        b: Another one.
        seed: Of the bootstrap.

    Returns:
        A row a category, kind of code and number of exemplars: `targets`; `difference`, the mean of a - b, with its
        95 % interval `low` to `high` by bootstrap over the targets; `above`, the share of the targets on which `a`
        is strictly above `b`.

    Raises:
        ResultsError: A method has no rows, or they are of other targets.
    """
    comparisons = []
    for key, group in rows.groupby(GROUP, sort=False):
        table = group.pivot_table(value, "target", "method", sort=False)
        missing = [method for method in (a, b) if method not in table or np.isnan(table[method]).any()]
        if missing:
            raise ResultsError(f"{missing[0]!r} has no {value} for some target of {key}; score all methods on all")
        difference = (table[a] - table[b]).to_numpy()
        low, high = bootstrap_mean(difference, seed)
        comparisons.append((*key, len(difference), difference.mean(), low, high, np.mean(difference > 0)))  # pyright: ignore
    return pd.DataFrame(comparisons, columns=[*GROUP, "targets", "difference", "low", "high", "above"])
