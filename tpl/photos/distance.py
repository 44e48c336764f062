"""How far a picture is from what the encoder learnt from, as a number and a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from tpl.dataset.store import StoreError
from tpl.inference import encode
from tpl.models import Encoder
from tpl.photos.framing import Photo

if TYPE_CHECKING:
    from tpl.dataset.collection import Collection

SHAPES, VIEWS = 256, 12
"""At most so many training shapes, and views of each, are compared with: enough for a percentile."""

Describe = Callable[[UInt8[np.ndarray, "n height width 3"]], Float[np.ndarray, "n dim"]]
"""Images as vectors: their pixels, or what an encoder makes of them."""


class PhotoDistance(NamedTuple):
    """The distance of one picture to the nearest training view."""

    distance: float
    """Root mean square over the vectors' numbers: grey levels (0 to 255) for pixels."""

    nearest: tuple[int, int]
    """Shape and view of the nearest one, as rows of the views."""

    farther: float
    """Share of the training views that are farther from the views of all other shapes; NaN for a single shape."""

    among: Float[np.ndarray, " views"]
    """These distances of the training views, from the smallest to the largest."""

    @property
    def sentence(self) -> str:
        """What the number means."""
        if np.isnan(self.farther):
            return "there is but one training shape: nothing to compare its distance with"
        if self.farther == 0:
            return (
                "farther from the training images than every training view is from those of other shapes: "
                "expect nonsense"
            )
        percent = "every one" if self.farther == 1 else f"{100 * self.farther:.0f} %"
        return f"nearer to the training images than {percent} of the training views to those of other shapes"


def training_views(
    collection: "Collection", category: str, shapes: int = SHAPES, views: int = VIEWS
) -> UInt8[np.ndarray, "shapes views height width 3"]:
    """Easy and hard views of the first training shapes, at even steps around each.

    Raises:
        StoreError: Nothing is prepared.
    """
    images = []
    for shape in collection.shapes(category, "train")[:shapes]:
        of_shape = np.concatenate([collection.store.read_views(shape, kind)[0] for kind in ("easy", "hard")])
        images.append(of_shape[np.linspace(0, len(of_shape) - 1, min(views, len(of_shape))).round().astype(int)])
    return np.stack(images)


def distance_to_training(
    image: UInt8[np.ndarray, "height width 3"],
    views: UInt8[np.ndarray, "shapes views height width 3"],
    describe: Describe | None = None,
) -> PhotoDistance:
    """Sets the distance of an image to the nearest training view beside those among the training views.

    For these, the views of the shape itself do not count: an image of a shape that was never seen, but is one of the
    kind, is about as far away as they are from each other.

    Args:
        image: As the encoder takes it.
        views: Of the training shapes, as `training_views` reads them.
        describe: What is compared: an encoder's features; or without it grey versions of 32 x 32 pixels, as the rival
            "nearest by pixels" does it.
    """
    from sklearn.metrics import pairwise_distances_chunked  # takes a second, which `tpl reconstruct` does without

    describe = describe or _small_grey()
    flat = describe(views.reshape(-1, *views.shape[2:]))
    unit = np.sqrt(flat.shape[1])
    to_views = np.linalg.norm(flat - describe(image[None]), axis=1) / unit
    owner = np.repeat(np.arange(len(views)), views.shape[1])
    among = np.zeros(0)
    if len(views) > 1:
        start, parts = 0, []
        for block in pairwise_distances_chunked(flat):  # all pairs at once would not fit for large collections
            block[owner[start : start + len(block), None] == owner] = np.inf
            parts.append(block.min(axis=1))
            start += len(block)
        among = np.sort(np.concatenate(parts)) / unit
    distance = float(to_views.min())
    farther = float(np.mean(among > distance)) if len(among) else float("nan")
    shape, view = divmod(int(to_views.argmin()), views.shape[1])
    return PhotoDistance(distance, (shape, view), farther, among)


def sentences_of_distance(photo: Photo, data: Path | str, category: str, encoder: Encoder) -> list[str]:
    """What a photo's distances, by pixels and by codes, to the prepared shapes of a folder say; or why there are none.

    Args:
        photo: As it was framed.
        data: Folder of the shapes that the encoder has learnt from.
        category: Which of them.
        encoder: Makes the codes.
    """
    from tpl.dataset.collection import is_collection, open_collection

    if not is_collection(data):
        return [f"unknown, since {data} holds no prepared shapes"]
    try:
        views = training_views(open_collection(data), category)
    except StoreError as error:
        return [f"unknown: {error}"]
    ways: dict[str, Describe] = {"pixels": _small_grey(), "codes": lambda images: encode(encoder, images).cpu().numpy()}
    return [f"by {way}: {distance_to_training(photo.image, views, see).sentence}" for way, see in ways.items()]


def _small_grey() -> Describe:
    from tpl.evaluation.retrieval import small_grey

    return small_grey
