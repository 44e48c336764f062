"""The project's own pictures on their way to meshes: what was found, what was said, what it cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import trimesh
from matplotlib.figure import Figure

from tpl.chapters.photos.own import OWN, OwnPicture
from tpl.chapters.photos.showing import in_square
from tpl.chapters.pictures import picture_grid, posters
from tpl.evaluation.rows import POINTS, case_rng
from tpl.look.plotting import CLAY
from tpl.meshes import Normalization
from tpl.metrics import chamfer_distance
from tpl.photos.cutting import cut_out
from tpl.photos.framing import FRAMING, Photo, frame_photo
from tpl.photos.reading import load_photo
from tpl.study.trained import Trained, maybe


class Taken(NamedTuple):
    """A picture of our own, and what became of it."""

    own: OwnPicture
    photo: Photo
    mesh: trimesh.Trimesh | None  # raw frame, to look at
    overlap: float  # of the mask with the true one: intersection over union
    chamfer: dict[
        str, float
    ]  # times 1000, by whose mask: "found", "shadow kept", "true"; NaN where there is no surface


def take_own_pictures(
    trained: Mapping[str, Trained], chosen: Mapping[str, str], pictures: Sequence[OwnPicture] = OWN
) -> list[Taken]:
    """Cuts out, frames and reconstructs the pictures of the categories that are trained, thrice each.

    With the mask that is found; with the one that would be found if shadows were left in; with the true one.

    Args:
        trained: What was trained for each category.
        chosen: Which encoder of each.
        pictures: Which.
    """
    return [_take(own, trained[own.category], chosen[own.category]) for own in pictures if own.category in trained]


def _take(own: OwnPicture, trained: Trained, method: str) -> Taken:
    loaded, truth = load_photo(own.file), own.read_mask()
    size, share = trained.encoders[method].config.image_size, FRAMING[own.category]
    cuts = {
        "found": cut_out(loaded),
        "shadow kept": cut_out(loaded, drop_shadows=False),
        "true": cut_out(loaded, np.where(truth, 255, 0).astype(np.uint8)),
    }
    photos = {way: frame_photo(loaded, cut, size, share) for way, cut in cuts.items()}
    codes = {way: trained.encode(method, photo.image[None])[0] for way, photo in photos.items()}
    true = own.shape.load()
    frame = Normalization.of(np.asarray(true.vertices, dtype=np.float64))
    surface = _sampled(true, own)

    def chamfer(way: str) -> float:
        mesh = maybe(trained.decode, codes[way], frame, method=method, measured=True)
        return float("nan") if mesh is None else 1000 * chamfer_distance(_sampled(mesh, own), surface)

    found = cuts["found"].mask >= 128
    overlap = float(np.sum(found & truth) / np.sum(found | truth))
    mesh = maybe(trained.decode, codes["found"], frame, method=method)
    return Taken(own, photos["found"], mesh, overlap, {way: chamfer(way) for way in cuts})


def _sampled(mesh: trimesh.Trimesh, own: OwnPicture) -> np.ndarray:
    return np.asarray(trimesh.sample.sample_surface(mesh, POINTS, seed=case_rng(0, own.name))[0], dtype=np.float64)


def sheet_of(taken: Sequence[Taken], shelf: Path | str, size: int = 224) -> Figure:
    """A row a picture: as it is, its mask, what the encoder sees, and the mesh; below, what they cost."""
    rows, captions = {}, {}
    for one in taken:
        mask = np.repeat(one.photo.mask[..., None], 3, axis=-1)
        drawn = posters([one.mesh], CLAY[one.own.category], shelf, size)[0]
        label = one.own.title.replace(", ", ",\n")
        rows[label] = [in_square(one.photo.picture, size), in_square(mask, size, 0), one.photo.image, drawn]
        captions[label] = ["", f"{one.photo.source}, {one.overlap:.2f}", "", f"{one.chamfer['found']:.1f}"]
    return picture_grid(rows, ("picture", "mask, overlap", "seen", "mesh, Chamfer"), captions, tile=1.15)


def table_of(taken: Sequence[Taken]) -> pd.DataFrame:
    """Overlap and Chamfer distance of each picture, and in how many sentences it was warned of."""
    rows = [
        {
            "picture": one.own.title,
            "mask by": one.photo.source,
            "overlap": f"{one.overlap:.2f}",
            "Chamfer": _number(one.chamfer["found"]),
            "shadow kept": _number(one.chamfer["shadow kept"]),
            "true mask": _number(one.chamfer["true"]),
            "notes": len(one.photo.notes),
        }
        for one in taken
    ]
    return pd.DataFrame(rows)


def _number(value: float) -> str:
    return "no surface" if np.isnan(value) else f"{value:.2f}"
