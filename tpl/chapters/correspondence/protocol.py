"""Correspondence by the measure of others: few sources, all targets, nearest places in the template's space.

Labels of parts are voted on by the nearest points of all sources together; a key point of the target is where the
mean place of the sources' key points is. Files in the form of the published evaluation are scored alike:

    <folder>/<id>/coords.pt     (n, 7 or more) float: x y z, number of the part, place in the template's space
    <folder>/<id>/kp_label.pt   (k,) integer: for each key point its row of coords.pt, -1 where the shape has none

Source: Kim et al. 2023 (Semantic-aware implicit template learning via part deformation consistency), section 4, and
the files that their published evaluation reads.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from tpl.chapters.correspondence.keypoints import KEYPOINTS
from tpl.chapters.correspondence.transfer import (
    BOXES,
    FROM_IMAGE,
    NEAREST,
    TEMPLATE,
    Sample,
    exemplars_and_targets,
)
from tpl.errors import PlainError
from tpl.files import digest, write_file
from tpl.source_code import code_digest
from tpl.study.bench import Bench
from tpl.study.trained import LEARNT, Trained
from tpl.weights.files import read_tensors

THRESHOLDS = (0.01, 0.02, 0.05, 0.10)
"""Of PCK, the share of key points that are off by no more than so much of the diagonal of the target's box."""

NEIGHBOURS, SHARPNESS = 10, 3.0
"""The votes for a point's part, and how fast they lose weight with distance: exp(-3 d)."""

ABSENT = -1


class PointFilesError(PlainError):
    """A folder of point files that cannot be scored; the message names the file."""


class Marked(NamedTuple):
    """A shape as points with parts, places and key points."""

    name: str
    points: Float[np.ndarray, "n 3"]
    label: Int[np.ndarray, " n"]
    places: Float[np.ndarray, "n _"]
    keypoints: Int[np.ndarray, " k"]  # rows of the points, ABSENT where the shape has none such


def read_marked(folder: Path | str) -> list[Marked]:
    """The shapes of a folder in the form above, by name; without `kp_label.pt` a shape has no key points.

    Raises:
        PointFilesError: There are none, or one is not in that form.
        WeightsError: A file cannot be read.
    """
    files = sorted(Path(folder).glob("*/coords.pt"))
    if not files:
        raise PointFilesError(f"no shapes in {folder}: it holds a folder <id> with coords.pt for each")
    return [_read(file) for file in files]


def _read(file: Path) -> Marked:
    rows, marks = read_tensors(file), file.with_name("kp_label.pt")
    if (
        not isinstance(rows, Tensor)
        or rows.ndim != 2
        or rows.shape[1] < 7
        or not len(rows)
        or not rows.isfinite().all()
    ):
        raise PointFilesError(f"{file} is no table of finite numbers with the columns x y z part X Y Z")
    table = rows.double().numpy()
    keypoints = np.zeros(0, dtype=np.int64)
    if marks.exists():
        found = read_tensors(marks)
        if not isinstance(found, Tensor) or found.ndim != 1 or found.is_floating_point():
            raise PointFilesError(f"{marks} is no list of rows of coords.pt")
        keypoints = found.numpy().astype(np.int64)
        if ((keypoints < ABSENT) | (keypoints >= len(table))).any():
            raise PointFilesError(f"{marks} names rows that {file.name} does not have")
    return Marked(file.parent.name, table[:, :3], table[:, 3].astype(np.int64), table[:, 4:7], keypoints)


def marked(sample: Sample, method: str, names: Sequence[str]) -> Marked:
    """A made shape in that form, its key points the last of its points, as the published files have them among theirs.

    Args:
        sample: Of the shape's surface.
        method: Whose places.
        names: Of the key points, in the order that all shapes have them in.
    """
    own = list(sample.keypoints)
    points = np.concatenate([sample.points, np.stack(list(sample.keypoints.values()))])
    label = np.concatenate([sample.label, sample.label[KDTree(sample.points).query(points[len(sample.points) :])[1]]])
    places = np.concatenate([sample.places[method], sample.key_places[method]])
    rows = [len(sample.points) + own.index(name) if name in own else ABSENT for name in names]
    return Marked(sample.shape.id, points, label, places, np.array(rows, dtype=np.int64))


def voted_labels(sources: Sequence[Marked], target: Marked) -> Int[np.ndarray, " n"]:
    """The part of each of a target's points, by the votes of its nearest source points, weighted by exp(-3 d)."""
    places, labels = (np.concatenate([getattr(source, field) for source in sources]) for field in ("places", "label"))
    parts = np.unique(labels)
    distance, index = KDTree(places).query(target.places, k=min(NEIGHBOURS, len(places)))
    weights = np.exp(-SHARPNESS * np.asarray(distance).reshape(len(target.points), -1))
    voters = labels[np.asarray(index).reshape(weights.shape)]
    votes = np.stack([(weights * (voters == part)).sum(axis=1) for part in parts], axis=1)
    return parts[votes.argmax(axis=1)]


def mean_iou(carried: Int[np.ndarray, " n"], truth: Int[np.ndarray, " m"]) -> float:
    """Intersection over union, the mean over the parts that the target has."""
    overlaps = [
        np.count_nonzero((carried == part) & (truth == part)) / np.count_nonzero((carried == part) | (truth == part))
        for part in np.unique(truth)
    ]
    return float(np.mean(overlaps))


def carried_keypoints(
    sources: Sequence[Marked], target: Marked
) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, "found 3"]]:
    """Which key points the target and some source have, and where the mean of the sources' places puts them on it."""
    count = max((len(shape.keypoints) for shape in (*sources, target)), default=0)
    both, means = [], []
    for key in range(count):
        there = [
            source.places[source.keypoints[key]]
            for source in sources
            if key < len(source.keypoints) and source.keypoints[key] != ABSENT
        ]
        if there and key < len(target.keypoints) and target.keypoints[key] != ABSENT:
            both.append(key)
            means.append(np.mean(there, axis=0))
    if not both:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    return np.array(both), target.points[KDTree(target.places).query(np.stack(means))[1]]


def score_marked(sources: Sequence[Marked], targets: Sequence[Marked]) -> pd.DataFrame:
    """A row a target: `mean_iou`, `keypoints` that were carried, and of these `pck_1` ... `pck_10` and `error`.

    Errors are shares of the diagonal of the target's bounding box; without key points they are NaN.
    """
    rows = []
    for target in targets:
        both, found = carried_keypoints(sources, target)
        diagonal = np.linalg.norm(np.ptp(target.points, axis=0))
        error = np.linalg.norm(found - target.points[target.keypoints[both]], axis=1) / diagonal
        shares = {
            f"pck_{round(100 * threshold)}": float((error <= threshold).mean()) if len(both) else np.nan
            for threshold in THRESHOLDS
        }
        whole = float(error.mean()) if len(both) else np.nan
        score = mean_iou(voted_labels(sources, target), target.label)
        rows.append({"target": target.name, "mean_iou": score, "keypoints": len(both), **shares, "error": whole})
    return pd.DataFrame(rows)


def score_folder(folder: Path | str, sources: Sequence[str]) -> pd.DataFrame:
    """The scores of a folder of point files: all shapes are targets that are no sources.

    Args:
        folder: In the form above.
        sources: Names of the sources; the protocol has three.

    Raises:
        PointFilesError: As `read_marked`; or a source is not there, or nothing else is.
    """
    shapes = {shape.name: shape for shape in read_marked(folder)}
    if missing := [name for name in sources if name not in shapes]:
        raise PointFilesError(f"{folder} has no shape {missing[0]!r} to be a source")
    targets = [shape for name, shape in shapes.items() if name not in sources]
    if not sources or not targets:
        raise PointFilesError(f"{folder} holds {len(shapes)} shapes, {len(sources)} of them sources: both are needed")
    return score_marked([shapes[name] for name in sources], targets)


def score_protocol(
    bench: Bench, sources: int = 3, coded: int = 24, test: int = 16, points: int = 4000, beside: float = 0.0
) -> pd.DataFrame:
    """Made shapes by the protocol: a row a kind of code, target and method, kept on the shelf.

    Args:
        bench: Of a category of procedural shapes.
        sources: See `exemplars_and_targets`, as for `coded` and `test`.
        coded: Targets with learnt codes.
        test: Targets with codes from one image.
        points: Drawn on each surface.
        beside: Weight of the coordinates beside space.
    """
    trained, settings = Trained(bench), (sources, coded, test, points, bench.seed, beside)
    weights = [bench.run(trained.methods[name].folder).digest() for name in trained.arms]
    shapes = bench.shapes("coded") + bench.shapes("test")
    apart = ("tpl.training", "tpl.rendering", "tpl.dataset.prepare", "tpl.dataset.collection", "tpl.look")
    code = code_digest("tpl.chapters.correspondence.protocol", "tpl.shapes.procedural", without=apart)
    key = digest(code, trained.weights(), weights, bench.store.fingerprint(shapes), *settings)
    file = bench.shelf / "correspondence" / f"protocol-{key}.csv"
    if not file.exists():
        known, targets = exemplars_and_targets(trained, sources, coded, test, beside)
        names = list(KEYPOINTS[bench.category])
        samples = [one.sample(points, bench.seed) for one in known]
        parts = []
        for codes in (LEARNT, FROM_IMAGE):
            drawn = [target.sample(points, bench.seed) for target in targets[codes]]
            for method in (TEMPLATE, NEAREST, BOXES):
                given = [[marked(sample, method, names) for sample in group] for group in (samples, drawn)]
                parts.append(score_marked(*given).assign(category=bench.category, codes=codes, method=method))
        table = pd.concat(parts, ignore_index=True)
        write_file(file, lambda path: table.to_csv(path, index=False))
    return pd.read_csv(file)
