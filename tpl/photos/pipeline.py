"""From a photograph to a mesh, in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import trimesh

from tpl.inference import Reconstructor
from tpl.photos.cutting import cut_out
from tpl.photos.framing import FRAMING, Photo, frame_photo
from tpl.photos.reading import PictureLike, load_photo
from tpl.shapes.shape import check_category
from tpl.study.methods import ENCODERS, better_encoder, trained_methods
from tpl.study.networks import check_networks, has_networks

USUAL = Path("runs/quick")
"""The run whose networks are taken where none is named."""


class PhotoReconstruction(NamedTuple):
    """A mesh, and what the network saw of the photograph."""

    mesh: trimesh.Trimesh
    photo: Photo


def prepare_photo(
    picture: PictureLike,
    category: str,
    size: int,
    mask: PictureLike | None = None,
    rectangle: Sequence[int] | None = None,
) -> Photo:
    """Loads a picture, cuts out its object and frames it as the views of the category are.

    Args:
        picture: A file, an image of Pillow, or uint8 of (height, width), (..., 3) or (..., 4).
        category: chairs, sofas or airplanes.
        size: Pixels a side of the result, what the encoder takes.
        mask: Bright where the object is, of the picture's size.
        rectangle: Left, top, right, bottom in pixels: all outside of it is background.

    Raises:
        ImageError: Picture, mask or rectangle cannot be used.
        SettingsError: The category does not exist.
    """
    loaded = load_photo(picture)
    return frame_photo(loaded, cut_out(loaded, mask, rectangle), size, FRAMING[check_category(category)])


def find_networks(category: str, runs: Path | str | None = None) -> Path:
    """A category's folder of trainings: in the run that is named, or else in the usual one, where it has an encoder.

    Where neither is the case it is that of the networks that come with the book, if they do.

    Raises:
        NetworksError: These are not as they were written.
        SettingsError: The category does not exist.
    """
    own = Path(runs or USUAL) / check_category(category)
    return own if runs or trained_methods(own) or not has_networks(category) else check_networks(category)


def load_reconstructor(
    category: str, runs: Path | str | None = None, phase: str = "auto", device: str = "cpu"
) -> Reconstructor:
    """The networks that answer to a photograph; arguments and errors are those of `reconstruct`."""
    place = find_networks(category, runs)
    known = {method.folder: method for method in ENCODERS.values()}
    method = ENCODERS[better_encoder(trained_methods(place))] if phase == "auto" else known[phase]
    return method.load(place, device)


def reconstruct(
    picture: PictureLike,
    category: str,
    runs: Path | str | None = None,
    mask: PictureLike | None = None,
    rectangle: Sequence[int] | None = None,
    phase: str = "auto",
    resolution: int = 128,
    device: str = "cpu",
) -> PhotoReconstruction:
    """The mesh that the trained networks see in one picture of a chair, a sofa or an airplane.

    Args:
        picture: A file, an image of Pillow, or uint8 of (height, width), (..., 3) or (..., 4).
        category: What it shows: chairs, sofas or airplanes.
        runs: Folder of the run that trained the networks; by default runs/quick, or where nothing is trained there
            the networks that come with the book.
        mask: Bright where the object is, of the picture's size. Without it the picture's alpha decides, or else the
            object is searched for.
        rectangle: Left, top, right, bottom in pixels: all outside of it is background.
        phase: Which encoder, by its folder in the run; "auto" is the best one there.
        resolution: Grid cells along each side of the cube [-1, 1]^3.
        device: cpu or cuda.

    Returns:
        `mesh` (unit-sphere frame: +y up, front towards -z) and `photo`: what the encoder saw, and notes.

    Raises:
        ImageError: Picture, mask or rectangle cannot be used.
        RunError: The networks are not trained.
        NetworksError: Those that come with the book are not as they were written.
        EmptyShape: The decoded function has no surface.
    """
    reconstructor = load_reconstructor(category, runs, phase, device)
    photo = prepare_photo(picture, category, reconstructor.encoder.config.image_size, mask, rectangle)
    return PhotoReconstruction(reconstructor.reconstruct(photo.image, resolution), photo)
