"""A photograph and what became of it, as a row of pictures."""

import dataclasses
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

from tpl.chapters.pictures import posters
from tpl.look.plotting import CLAY, Picture
from tpl.photos.framing import Photo
from tpl.rendering import POSTER

BEHIND = dataclasses.replace(POSTER, azimuth=POSTER.azimuth - 180)
"""The poster's camera on the other side: what no photograph of the front shows."""

TITLES = ("photograph", "mask", "seen", "reconstruction", "from behind")


def photo_row(
    photo: Photo, mesh: trimesh.Trimesh | None, category: str, shelf: Path | str, size: int = 224
) -> list[Picture | None]:
    """The photograph, its mask, what the encoder sees, and the reconstruction from the front and from behind.

    Args:
        photo: As `prepare_photo` makes it.
        mesh: In the raw frame; None where there is no surface.
        category: Whose clay it is drawn in.
        shelf: Folder where pictures of meshes are kept.
        size: Pixels a side of these pictures.
    """
    mask = np.repeat(photo.mask[..., None], 3, axis=-1)
    drawn = [posters([mesh], CLAY[category], shelf, size, camera)[0] for camera in (POSTER, BEHIND)]
    return [in_square(photo.picture, size), in_square(mask, size, 0), photo.image, *drawn]


def in_square(picture: Picture, size: int, paper: int = 255) -> Picture:
    """A picture of any format in the middle of a square, so that rows of a grid are of one height."""
    image = Image.fromarray(picture)
    image.thumbnail((size, size), Image.Resampling.BOX)
    square = Image.new("RGB", (size, size), (paper,) * 3)
    square.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return np.asarray(square)
