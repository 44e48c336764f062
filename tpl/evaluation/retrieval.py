"""Retrieval: the answer of a method that only remembers."""

from collections.abc import Iterable, Iterator, Sized
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from tpl.metrics import chamfer_distance
from tpl.rendering.boxes import object_box


def nearest_by_pixels(
    query: UInt8[np.ndarray, "n height width 3"],
    gallery: UInt8[np.ndarray, "m rows columns 3"],
    size: int = 32,
    crop: bool = False,
) -> Int[np.ndarray, " n"]:
    """The most similar image, by the distance of their small grey versions: no training at all.

    Args:
        query: Images, on white.
        gallery: Images to choose from, many of one shape if so wished.
        size: Side of the grey version, in pixels.
        crop: Whether images are compared by the squares around their objects: being nearer or elsewhere is no
            difference then.

    Returns:
        Rows of the gallery.
    """
    return _nearest(small_grey(query, size, crop), small_grey(gallery, size, crop))


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


def small_grey(
    images: UInt8[np.ndarray, "n height width 3"], size: int = 32, crop: bool = False
) -> Float[np.ndarray, "n pixels"]:
    """Grey versions of images, or of the squares around their objects, of size x size pixels."""
    windows = _around_objects(images) if crop else images
    small = [Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BOX) for image in windows]
    return np.stack([np.asarray(image, np.float32).ravel() for image in small]) if small else np.zeros((0, size**2))


def _around_objects(images: UInt8[np.ndarray, "n height width 3"]) -> Iterator[UInt8[np.ndarray, "rows columns 3"]]:
    """The square around the object of each image, in whole pixels; what of it lies outside the image is white."""
    for image in images:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        side, middle = (found[0].numpy() * len(image) for found in object_box(pixels))
        extent = round(float(side))
        across, down = (round(float(place)) for place in middle + (len(image) - extent) / 2)
        around = np.pad(image, ((extent, extent), (extent, extent), (0, 0)), constant_values=255)
        yield around[down + extent : down + 2 * extent, across + extent : across + 2 * extent]


def _refuse_empty(gallery: Sized) -> None:
    if len(gallery) == 0:
        raise ValueError("the gallery is empty: nothing to retrieve; give it the training shapes")


def _nearest(query: Float[np.ndarray, "n dim"], gallery: Float[np.ndarray, "m dim"]) -> Int[np.ndarray, " n"]:
    _refuse_empty(gallery)
    if len(query) == 0:
        return np.zeros(0, np.int64)
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(gallery)
    return search.kneighbors(query, return_distance=False)[:, 0]
