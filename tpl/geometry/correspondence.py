"""Points of two shapes that meet in the template, and what can be carried from one shape to the other by way of it.

The warp puts every point of every shape of a category on one template (`DeepImplicitTemplate.canonical`). Two points
that land at the same place there correspond, though nobody ever said so in the training. The functions here take
places, not models: given the points' places in the template they carry values through it; given the points
themselves they are nearest-point transfer, the baseline that knows no template. A place may have coordinates beside
space after its three (`DeepImplicitTemplate.places`): then points meet that are alike in both.

Source: Zheng et al. 2021 (Deep Implicit Templates), section 4.3.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.spatial import KDTree


class Match(NamedTuple):
    """For each point of the target the point of the source that it meets."""

    index: Int[np.ndarray, " targets"]  # rows of the source
    distance: Float[np.ndarray, " targets"]  # between the two places: small is sure, large is a guess


class LabelScore(NamedTuple):
    """How well labels were carried, over the points that could be right."""

    accuracy: float  # share of the judged points with their true label
    mean_iou: float  # intersection over union, the mean over the parts that both shapes have
    judged: float  # share of the target's points that are judged


def match_points(
    source: Float[np.ndarray, "sources coordinates"], target: Float[np.ndarray, "targets coordinates"]
) -> Match:
    """The nearest source point of each target point.

    Args:
        source: Places of the source's points: on the template (unit-sphere frame) for a match by way of it. Points
            of several shapes may be put together: then the nearest of all is taken.
        target: Places of the target's points, in the same frame.

    Raises:
        ValueError: A set is empty, or a place is not finite.
    """
    for name, places in (("source", source), ("target", target)):
        if len(places) == 0:
            raise ValueError(f"the {name} has no points, so nothing can be carried; sample its surface first")
        if not np.isfinite(places).all():
            raise ValueError(f"a place of the {name} is not finite; check the model that put it there")
    distance, index = KDTree(source).query(target)
    return Match(np.asarray(index, np.int64), np.asarray(distance, np.float64))


def transfer(
    values: Shaped[np.ndarray, "sources *value"],  # noqa: F821
    source: Float[np.ndarray, "sources_placed coordinates"],
    target: Float[np.ndarray, "targets coordinates"],
) -> Shaped[np.ndarray, "targets *value"]:  # noqa: F821
    """Values of the source's points (labels, colours, anything a row holds) at the target's points.

    Args:
        values: One for each source point.
        source: Places of the source's points; see `match_points`.
        target: Places of the target's points.

    Returns:
        For each target point the value of the source point that it meets. Nothing is blended, so labels stay labels.

    Raises:
        ValueError: There are not as many values as points; or as in `match_points`.
    """
    if len(values) != len(source):
        raise ValueError(f"{len(values)} values for {len(source)} source points; give one for each")
    return values[match_points(source, target).index]


def transfer_points(
    keypoints: Float[np.ndarray, "keypoints coordinates"],
    target: Float[np.ndarray, "targets coordinates"],
    surface: Float[np.ndarray, "targets_placed 3"],
) -> Float[np.ndarray, "keypoints 3"]:
    """Where key points of the source lie on the target: its surface points whose places are nearest to theirs.

    Args:
        keypoints: Places of the key points; see `match_points`.
        target: Places of the target's surface points.
        surface: These surface points themselves, in the frame that the answer is wanted in.

    Raises:
        ValueError: There are not as many surface points as places; or as in `match_points`.
    """
    if len(surface) != len(target):
        raise ValueError(f"{len(surface)} surface points and {len(target)} places of them; give one for each")
    return surface[match_points(target, keypoints).index]


def match_boxes(points: Float[np.ndarray, "n 3"], reference: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "n 3"]:
    """Points in the bounding box of `reference`, stretched along each axis to the cube from -1 to 1.

    What nearest-point transfer gains when both shapes are stretched to one box, which takes no learning either.

    Raises:
        ValueError: The reference is empty, or flat along an axis.
    """
    if len(reference) == 0:
        raise ValueError("an empty set has no bounding box; sample the surface first")
    low, high = reference.min(axis=0), reference.max(axis=0)
    if not (high > low).all():
        raise ValueError(f"a bounding box of sides {high - low} cannot be stretched to a cube; drop the shape")
    return 2 * (points - low) / (high - low) - 1


def score_labels(
    carried: Int[np.ndarray, " targets"],
    truth: Int[np.ndarray, " targets_true"],
    known: Int[np.ndarray, " sources"],
) -> LabelScore:
    """Compares carried labels with the true ones, over the parts that both shapes have.

    Points of a part that the source lacks are left out: no transfer can name them. A part that only the source has
    may still be carried over; such points are wrong, and count against the part that is really there.

    Args:
        carried: Label of each target point, as carried.
        truth: Its true label.
        known: The source's labels.

    Raises:
        ValueError: The two have different lengths, or the shapes have no part in common.
    """
    if len(carried) != len(truth):
        raise ValueError(f"{len(carried)} carried labels for {len(truth)} points; give one for each")
    parts = np.intersect1d(truth, known)
    if len(parts) == 0:
        raise ValueError("source and target have no part in common, so there is nothing to judge; drop the pair")
    judged = judged_points(truth, known)
    carried, truth = carried[judged], truth[judged]
    overlap = [_iou(carried == part, truth == part) for part in parts]
    return LabelScore(float(np.mean(carried == truth)), float(np.mean(overlap)), float(judged.mean()))


def _iou(a: Bool[np.ndarray, " n"], b: Bool[np.ndarray, " n"]) -> float:
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


def judged_points(
    truth: Int[np.ndarray, " targets"], known: Int[np.ndarray, " sources"]
) -> Bool[np.ndarray, " targets"]:
    """Which target points `score_labels` judges: those of parts that the source has, too."""
    return np.isin(truth, known)


def majority(labels: Int[np.ndarray, " n"]) -> int:
    """The most frequent label, the smallest of those that tie: the answer that looks at no point."""
    if len(labels) == 0:
        raise ValueError("no labels, so none is the most frequent; sample the surface first")
    found, count = np.unique(labels, return_counts=True)
    return int(found[count.argmax()])
