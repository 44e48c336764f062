"""Which category a picture shows: that of the training view whose object, small and cropped, looks most like it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import safetensors.numpy
from jaxtyping import Float32, Int, UInt8

from tpl.pretrained.files import MANIFEST, PACKAGED, NetworksError, file_hash, read_manifest

FILE = "sorter.safetensors"
SIDE = 16
"""Pixels a side of the small pictures."""


VOTES = 9
"""Of the nearest views, those that say how sure it is."""


class Sorter(NamedTuple):
    """Training views of several categories as small pictures, in the principal components of these.

    Source: Turk and Pentland 1991 (eigenfaces).
    """

    categories: tuple[str, ...]
    middle: Float32[np.ndarray, " features"]
    components: Float32[np.ndarray, "components features"]
    places: Float32[np.ndarray, "views components"]
    owners: Int[np.ndarray, " views"]  # the number of each view's category

    @classmethod
    def of(cls, views: Mapping[str, Float32[np.ndarray, "n features"]], components: int = 32) -> "Sorter":
        """What tells the small pictures of categories apart."""
        together = np.concatenate(list(views.values()))
        middle = together.mean(axis=0)
        axes = np.linalg.svd(together - middle, full_matrices=False)[2][:components]
        owners = np.repeat(np.arange(len(views)), [len(one) for one in views.values()])
        return cls(tuple(views), middle, axes, (together - middle) @ axes.T, owners)

    def votes(
        self, image: UInt8[np.ndarray, "size size 3"], covered: UInt8[np.ndarray, "size size"]
    ) -> tuple[str, float]:
        """The category of the nearest view, and the share of the nearest ones that are of it, too.

        Args:
            image: On white.
            covered: Its mask.
        """
        place = self.components @ (small_object(image, covered) - self.middle)
        order = np.argsort(np.linalg.norm(self.places - place, axis=1))
        first = self.owners[order[0]]
        return self.categories[first], float(np.mean(self.owners[order[:VOTES]] == first))

    def save(self, file: Path) -> None:
        """Writes it, in half precision."""
        tensors = {name: getattr(self, name).astype(np.float16) for name in ("middle", "components", "places")}
        tensors["owners"] = self.owners.astype(np.uint8)
        safetensors.numpy.save_file(tensors, str(file), metadata={"categories": " ".join(self.categories)})

    @classmethod
    def load(cls, file: Path) -> "Sorter":
        """What `save` wrote."""
        with safetensors.safe_open(str(file), "np") as stored:
            categories = tuple(stored.metadata()["categories"].split())
            middle, components, places = (
                stored.get_tensor(name).astype(np.float32) for name in ("middle", "components", "places")
            )
            return cls(categories, middle, components, places, stored.get_tensor("owners").astype(np.int64))


def load_sorter(folder: Path | None = None) -> Sorter:
    """The sorter that comes with the package.

    Raises:
        NetworksError: There is none, or it is not as it was written.
    """
    file = (folder or PACKAGED) / FILE
    if not file.exists():
        raise NetworksError(
            f"{file}, which tells categories apart, is not there: name the category, chairs for example"
        )
    if file_hash(file) != read_manifest(file.with_name(MANIFEST))["files"].get(FILE):
        raise NetworksError(f"{file} is not the file that {MANIFEST} beside it tells of: check it out anew")
    return Sorter.load(file)


def small_object(
    image: UInt8[np.ndarray, "size size 3"], covered: UInt8[np.ndarray, "size size"]
) -> Float32[np.ndarray, " features"]:
    """The square around an object in a few pixels: how far each is covered, and how dark it is, half as important."""
    rows, columns = (np.flatnonzero((covered >= 128).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros(2 * SIDE**2, np.float32)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left)
    up, across = (side - (bottom - top)) // 2, (side - (right - left)) // 2
    parts = []
    for part, weight in ((covered, 1.0), (255 - image.mean(axis=2).astype(np.uint8), 0.5)):
        square = np.zeros((side, side), np.uint8)
        square[up : up + bottom - top, across : across + right - left] = part[top:bottom, left:right]
        parts.append(weight / 255 * cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32))
    return np.stack(parts).astype(np.float32).ravel()
