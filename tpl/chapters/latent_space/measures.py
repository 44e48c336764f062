"""What the codes know: the codes of many views of each shape, how they lie together, what is between them.

An encoder should lead all views of a shape to one code (the paper, Fig. 6). Here that is a picture and some numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import trimesh
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tpl.errors import PlainError
from tpl.rendering import Camera
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.trained import LEARNT, Trained, maybe, score_codes

VIEWS = ("easy", "hard")


class LatentSpaceError(PlainError):
    """A question about codes that there are too few shapes, views or trainings for."""


# --- the codes of views


@dataclass(frozen=True, eq=False)
class ViewCodes:
    """The codes that one encoder sees in all views of some shapes: row by row, whose view each one is.

    The rows stand shape by shape, within a shape kind by kind, within a kind in the order of the views' numbers.
    """

    codes: Float[np.ndarray, "n dim"]
    shape: Int[np.ndarray, " n"]  # number of the shape in the list that was asked about
    view: Int[np.ndarray, " n"]  # number of the view among those of its kind
    kind: tuple[str, ...]  # easy, hard
    cameras: tuple[Camera, ...]

    def by_shape(self) -> Float[np.ndarray, "shapes views dim"]:
        """The same codes with an axis for the shapes."""
        return self.codes.reshape(int(self.shape.max()) + 1, -1, self.codes.shape[1])


def first_shapes(bench: Bench, split: str, count: int) -> list[Shape]:
    """The first shapes of a split, exactly as many as asked.

    Raises:
        LatentSpaceError: The split has fewer.
    """
    shapes = bench.shapes(split)
    if len(shapes) < count:
        raise LatentSpaceError(
            f"{count} {split} {bench.category} asked for, and {len(shapes)} are prepared in {bench.collection.folder}: "
            "ask for fewer, or prepare more"
        )
    return shapes[:count]


def known_encoders(trained: Trained) -> list[str]:
    """The names of the encoders that are trained, of which there must be one.

    Raises:
        LatentSpaceError: None is.
    """
    if not trained.encoders:
        raise LatentSpaceError(
            f"no encoder is trained for {trained.bench.category} in {trained.bench.runs}: run chapter 04, or chapter 06"
        )
    return list(trained.encoders)


def view_codes(trained: Trained, method: str, shapes: Sequence[Shape], kinds: Sequence[str] = VIEWS) -> ViewCodes:
    """The codes of all views of some shapes.

    Args:
        trained: Of the shapes' category.
        method: Which of its encoders.
        shapes: Prepared ones.
        kinds: Of views, as the store names them.

    Raises:
        LatentSpaceError: No encoder of this name is trained, there is no shape, or shapes differ in their views.
        StoreError: A shape is not prepared.
    """
    if method not in (there := known_encoders(trained)):
        raise LatentSpaceError(
            f"no encoder called {method!r} is trained for {trained.bench.category} in {trained.bench.runs}; there is "
            f"{', '.join(there)}"
        )
    codes, rows = [], []
    for number, shape in enumerate(shapes):
        # Labels are made beside the images of one file: no order that they could get out of.
        for kind in kinds:
            images, cameras = trained.bench.store.read_views(shape, kind)
            codes.append(trained.encode(method, images).cpu().numpy())
            rows += [(number, view, kind, camera) for view, camera in enumerate(cameras)]
    owners, views, kind_of, cameras = zip(*rows, strict=True) if rows else ((),) * 4
    if len(set(np.bincount(np.array(owners, int)))) != 1:
        raise LatentSpaceError("these shapes have no views, or not equally many: prepare all of them anew")
    return ViewCodes(np.concatenate(codes), np.array(owners), np.array(views), tuple(kind_of), tuple(cameras))


def embed_views(
    codes: Float[np.ndarray, "n dim"], seed: int = 0, perplexity: float | int = 30
) -> Float[np.ndarray, "n 2"]:
    """Places in the plane where codes that are near each other stay near: t-SNE.

    Distances between far groups, and the sizes of groups, mean nothing in it.

    Args:
        codes: At least 4.
        seed: Same seed, same machine, same picture.
        perplexity: About how many neighbours a code shall keep; at most a third of the others.

    Returns:
        Places without a unit; all in the origin where all codes are equal.

    Raises:
        LatentSpaceError: Fewer than 4 codes.

    Source: van der Maaten and Hinton 2008.
    """
    if len(codes) < 4:
        raise LatentSpaceError(f"t-SNE needs at least 4 codes, not {len(codes)}: take more shapes or views")
    if np.ptp(codes, axis=0).max() == 0:
        return np.zeros((len(codes), 2))
    near = min(float(perplexity), (len(codes) - 1) / 3)
    # Exact gradients while there are few points: the approximate ones are made for thousands.
    method = "exact" if len(codes) <= 600 else "barnes_hut"
    tsne = TSNE(perplexity=near, init="pca", method=method, max_iter=500, random_state=seed, n_jobs=1)
    return tsne.fit_transform(codes).astype(np.float64)


# --- how well the views of one shape stay together


class ViewInvariance(NamedTuple):
    """How the codes of one shape's views lie to those of other shapes."""

    neighbours: float  # share of the codes whose nearest other code is of the same shape
    chance: float  # what that share is when codes know nothing
    within: float  # root mean square distance of a code to the mean of its shape
    between: float  # root mean square distance of the shapes' means to their mean
    silhouette: float  # -1 to 1: how much nearer the own shape is than the next one; NaN for a single shape or view


def view_invariance(views: ViewCodes) -> ViewInvariance:
    """How well the views of one shape stay together, in the space of the codes (not in any picture of it).

    Raises:
        LatentSpaceError: Fewer than 2 codes.
    """
    count, shapes = len(views.codes), int(views.shape.max()) + 1
    if count < 2:
        raise LatentSpaceError("a single code has no neighbour: take more shapes or views")
    nearest = NearestNeighbors(n_neighbors=1).fit(views.codes).kneighbors(return_distance=False)[:, 0]
    same = float(np.mean(views.shape[nearest] == views.shape))
    silhouette = float(silhouette_score(views.codes, views.shape)) if 2 <= shapes < count else float("nan")
    return ViewInvariance(same, (count / shapes - 1) / (count - 1), *spread_of_views(views.by_shape()), silhouette)


# --- by camera


def azimuth_bins(azimuth: Float[np.ndarray, " n"], bins: int = 12) -> Int[np.ndarray, " n"]:
    """The sector of each azimuth, in degrees of any turn; sector 0 has the front (0) in its middle."""
    width = 360 / bins
    return np.floor((azimuth + width / 2) % 360 / width).astype(int) % bins  # a hair below 0, modulo 360, is 360


def elevation_bins(elevation: Float[np.ndarray, " n"], edges: Sequence[float | int]) -> Int[np.ndarray, " n"]:
    """The interval of each elevation, in degrees: from an edge up to the next, the last edge included.

    Raises:
        ValueError: An elevation lies beyond the edges.
    """
    outside = (elevation < edges[0]) | (elevation > edges[-1])
    if outside.any():
        met = float(elevation[outside][0])
        raise ValueError(f"elevation {met:g} lies beyond {edges[0]:g} to {edges[-1]:g} degrees; move the outer edges")
    return np.clip(np.searchsorted(edges, elevation, side="right") - 1, 0, len(edges) - 2)


def mean_by_bin(values: Float[np.ndarray, " n"], bin: Int[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " bins"]:
    """The mean of the finite values in each bin; NaN in one that has none."""
    known = np.isfinite(values)
    total = np.bincount(bin[known], values[known], minlength=bins)
    count = np.bincount(bin[known], minlength=bins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def camera_table(views: ViewCodes) -> pd.DataFrame:
    """A row a view: whose, from where, and how far its code is from the mean code of its shape.

    Returns:
        Columns `shape`, `view`, `kind`; `azimuth`, `elevation` in degrees, `distance` in raw units; `error`, the
        distance of the code to its shape's mean as a share of the spread between shapes (NaN where that is 0).
    """
    by_shape = views.by_shape()
    error = np.linalg.norm(by_shape - by_shape.mean(axis=1, keepdims=True), axis=-1).ravel()
    _, between = spread_of_views(by_shape)
    cameras = [(camera.azimuth, camera.elevation, camera.distance) for camera in views.cameras]
    table = pd.DataFrame(cameras, columns=["azimuth", "elevation", "distance"])  # pyright: ignore[reportArgumentType]
    table.insert(0, "shape", views.shape)
    table.insert(1, "view", views.view)
    table.insert(2, "kind", views.kind)
    return table.assign(error=error / between if between else np.nan)


def score_all_views(trained: Trained, method: str, shapes: Sequence[Shape], views: ViewCodes) -> pd.DataFrame:
    """The Chamfer distance of what each view of the first shapes is reconstructed to, by its camera.

    Args:
        trained: Of the shapes' category.
        method: Whose codes they are.
        shapes: So many of the first ones as are to be measured; each mesh costs about a second.
        views: The codes of these shapes, and maybe of more after them.

    Returns:
        `camera_table` of these views, with `chamfer` in squared raw units (NaN for a failure) and `relative`: that
        over its median over the views of the shape, so that hard and easy shapes can be averaged.
    """
    table = camera_table(views)
    table = table[table["shape"] < len(shapes)].reset_index(drop=True)
    latents = torch.from_numpy(views.codes[: len(table)]).to(trained.embedding.codes.device)
    names = [f"{kind}{view}" for kind, view in zip(table["kind"], table["view"], strict=True)]
    asked = [
        (shapes[number], name, method, latent)
        for number, name, latent in zip(table["shape"], names, latents, strict=True)
    ]
    table["chamfer"] = score_codes(trained, asked)["chamfer"].to_numpy()
    return table.assign(relative=table["chamfer"] / table.groupby("shape")["chamfer"].transform("median"))


# --- between two codes


def interpolate(first: Float[Tensor, " dim"], second: Float[Tensor, " dim"], steps: int) -> Float[Tensor, "steps dim"]:
    """Codes on the straight line from one code to another, at equal distances, both ends among them.

    Raises:
        LatentSpaceError: Fewer than 2 steps, which leave no room for both ends.
    """
    if steps < 2:
        raise LatentSpaceError(f"a path of {steps} steps does not have both ends; take at least 2")
    shares = torch.linspace(0, 1, steps, device=first.device)
    return torch.stack([torch.lerp(first, second, share) for share in shares])


def interpolated_meshes(
    trained: Trained, first: Float[Tensor, " dim"], second: Float[Tensor, " dim"], steps: int, method: str = LEARNT
) -> dict[str, trimesh.Trimesh | None]:
    """The shapes on the way from one code to another, by the share of the way; none where there is no surface.

    The path belongs to no shape, so all meshes stand in the raw frame of `tpl.study.trained.NO_SHAPE`. The method is
    where the codes come from: only its own decoder can read them.
    """
    shares = np.linspace(0, 1, steps)
    return {
        f"{share:.0%} of the way": maybe(partial(trained.decode, method=method), code)
        for share, code in zip(shares, interpolate(first, second, steps), strict=True)
    }


# --- what can be read from a code


class Probe(NamedTuple):
    """How many of some shapes have their kind read rightly from their codes, by shapes of other families."""

    shapes: int
    linear: float  # share that is right: logistic regression
    nearest: float  # the kind of the nearest code
    majority: float  # the commonest kind, whatever the code
    possible: float  # share whose kind occurs in the other folds at all


def probe_kinds(
    codes: Float[np.ndarray, "shapes dim"], kinds: Sequence[str], families: Sequence[str], folds: int = 5
) -> Probe:
    """Whether codes tell a kind that nobody told the network.

    Families are parted among the folds, so that no shape is judged by a variant of its own design. The answer for a
    shape comes from the shapes of the other folds, and so does the majority's.

    Args:
        codes: One a shape.
        kinds: What is to be read.
        families: Of the shapes.
        folds: At most; never more than there are families.

    Raises:
        LatentSpaceError: There are not two families, or not two kinds.
    """
    kind, family = np.asarray(kinds), np.asarray(families)
    if min(len(set(kinds)), len(set(families))) < 2:
        raise LatentSpaceError(
            f"{len(set(kinds))} kinds in {len(set(families))} families: a probe needs two of each, so more shapes"
        )
    models = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "nearest": KNeighborsClassifier(n_neighbors=1),
    }
    right = {name: np.zeros(len(kind), bool) for name in (*models, "majority", "possible")}
    for rest, asked in GroupKFold(min(folds, len(set(families)))).split(codes, kind, family):
        names, counts = np.unique(kind[rest], return_counts=True)
        commonest = names[counts.argmax()]
        right["majority"][asked] = kind[asked] == commonest
        right["possible"][asked] = np.isin(kind[asked], names)
        for name, model in models.items():
            # Where all others are of one kind there is nothing to fit: that kind is the answer.
            answer = commonest if len(names) < 2 else model.fit(codes[rest], kind[rest]).predict(codes[asked])
            right[name][asked] = kind[asked] == answer
    return Probe(len(kind), **{name: float(answers.mean()) for name, answers in right.items()})


def kind_of(shape: Shape) -> str:
    """The kind of a shape: the first word of its family, such as "stool" or "jet"."""
    return shape.family.split("-")[0]


def principal_components(codes: Float[np.ndarray, "n dim"]) -> tuple[np.ndarray, np.ndarray]:
    """Codes in the axes of their largest spread, and the share of the variance along each of these axes."""
    centred = codes - codes.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    variance = lengths**2
    return centred @ axes.T, variance / max(variance.sum(), 1e-30)


def spread_of_views(codes: Float[np.ndarray, "shapes views dim"]) -> tuple[float, float]:
    """How far codes lie apart: those of one shape's views, and the shapes' mean codes (root mean square)."""
    center = codes.mean(axis=1)
    within = np.sqrt(np.mean(np.sum((codes - center[:, None]) ** 2, axis=-1)))
    between = np.sqrt(np.mean(np.sum((center - center.mean(axis=0)) ** 2, axis=-1)))
    return float(within), float(between)
