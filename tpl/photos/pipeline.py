"""From photographs to a mesh: the networks of a category, made ready once, and what they answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image

from tpl.finishing import PartLabels, finish, mean_color, read_labels
from tpl.inference import Reconstructor
from tpl.meshes import Normalization
from tpl.photos.cutting import CutOut, check_rectangle, cut_out, read_mask
from tpl.photos.framing import FRAMING, Photo, frame_photo, sight_of
from tpl.photos.masking import MaskNetwork
from tpl.photos.reading import PictureLike, load_photo
from tpl.pretrained.doubt import FILE, Doubt, Judgement, surface_doubt
from tpl.pretrained.files import MANIFEST, PARTS, check_networks, read_manifest
from tpl.pretrained.loading import load_networks
from tpl.pretrained.sorting import load_sorter
from tpl.refinement.answering import STEPS, Answer, answer
from tpl.refinement.poses import to_cameras
from tpl.rendering.cameras import Camera
from tpl.shapes.shape import check_category

SORTED_SIZE = 64
"""Pixels a side of what categories are told apart by."""

LOOKED_AT = 2048
"""Pixels of a photograph's longer side beyond which it is made smaller: more than any encoder, outline or vertex sees,
and a telephone's 12 million pixels would take half a gigabyte more."""

UNIT = Normalization(np.zeros(3), 1.0)
"""Of a mesh that is in the unit-sphere frame and stays there."""


@dataclass(frozen=True, eq=False)
class PhotoReconstruction:
    """A mesh, what the network saw of the photographs, and how far both can be trusted.

    `mesh, photo = reconstruction` takes it apart.
    """

    category: str
    answer: Answer
    photos: tuple[Photo, ...]
    networks: Reconstructor
    judgement: Judgement | None
    """None: the networks do not come with the package, and nothing was calibrated for them."""

    labels: PartLabels | None = None
    """Of the template's parts; None: nothing is known of them."""

    def __iter__(self) -> Iterator[trimesh.Trimesh | Photo]:
        return iter((self.mesh, self.photo))

    @property
    def mesh(self) -> trimesh.Trimesh:
        """Unit-sphere frame: +y up, front towards -z."""
        return self.answer.mesh

    @property
    def photo(self) -> Photo:
        """The first one."""
        return self.photos[0]

    @property
    def cameras(self) -> list[Camera]:
        """From where each photograph's square image was taken, for the mesh; none where the encoder names no cameras.

        `camera.project(mesh.vertices, size)` places it in an image of any size, `photo.square` that in the photograph.
        """
        poses = self.answer.poses
        return [] if poses is None else to_cameras(poses, [UNIT] * len(poses))

    def finished(self, faces: int | None = None, height: float | None = None, colors: bool = True) -> trimesh.Scene:
        """The mesh for other programs: a node a part, normals, the first photograph's colours, front towards +z.

        Args:
            faces: At most so many triangles.
            height: In metres; by default the unit-sphere frame's lengths stay.
            colors: Whether the photograph's own colours go onto the mesh, or their mean alone.

        Raises:
            FinishError: Too few triangles are asked for, or no height.
        """
        sight, model, code = None, self.networks.model, self.answer.code
        if colors and self.cameras:
            sight = sight_of(self.photo, FRAMING[self.category], self.cameras[0], UNIT)
        return finish(
            self.mesh,
            self.category.removesuffix("s"),
            sight=sight,
            color=mean_color(self.photo.picture, self.photo.mask),
            labels=self.labels,
            places=lambda points: model.places(points, code),
            faces=faces,
            height=height,
        )

    @cached_property
    def moved(self) -> Float[np.ndarray, " vertices"]:
        """How uncertain the surface is at each vertex, in unit-sphere lengths: `tpl.pretrained.doubt.surface_doubt`."""
        return surface_doubt(self.networks, _images(self.photos), self.answer)


@dataclass(frozen=True, eq=False)
class PhotoReconstructor:
    """The networks of a category, ready for photographs."""

    category: str
    networks: Reconstructor
    doubt: Doubt | None
    origin: str
    """Where the networks are from, in words."""

    labels: PartLabels | None = None
    """Of the template's parts."""

    def prepare(
        self, picture: PictureLike, mask: PictureLike | None = None, rectangle: Sequence[int] | None = None
    ) -> Photo:
        """A photograph as these networks take it; arguments and errors are those of `prepare_photo`."""
        return prepare_photo(picture, self.category, self.networks.encoder.config.image_size, mask, rectangle)

    def reconstruct(
        self,
        *pictures: PictureLike,
        mask: PictureLike | None = None,
        rectangle: Sequence[int] | None = None,
        refine: int = STEPS,
        resolution: int = 128,
    ) -> PhotoReconstruction:
        """The mesh of one object in one or several photographs; the rest is as for `reconstruct`."""
        return self.answer([self.prepare(picture, mask, rectangle) for picture in pictures], refine, resolution)

    def frame(self, loaded: UInt8[np.ndarray, "height width 4"], cut: CutOut) -> Photo:
        """What `cut_photo` made of a photograph, as these networks take it."""
        return frame_photo(loaded, cut, self.networks.encoder.config.image_size, FRAMING[self.category])

    def answer(self, photos: Sequence[Photo], refine: int = STEPS, resolution: int = 128) -> PhotoReconstruction:
        """The same of photographs that are prepared."""
        images = _images(photos)
        covered = torch.from_numpy(np.stack([photo.covered for photo in photos])).float() / 255
        given = answer(self.networks, images, covered.to(self.networks.codes), refine, resolution)
        judgement = self.doubt.judge(self.networks, images, given) if self.doubt else None
        return PhotoReconstruction(self.category, given, tuple(photos), self.networks, judgement, self.labels)


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
    return frame_photo(*cut_photo(picture, mask, rectangle), size, FRAMING[check_category(category)])


def cut_photo(
    picture: PictureLike,
    mask: PictureLike | None = None,
    rectangle: Sequence[int] | None = None,
    network: MaskNetwork | None = None,
) -> tuple[UInt8[np.ndarray, "height width 4"], CutOut]:
    """A picture as it was loaded, and its object, which any category's frame takes; raises as `prepare_photo`.

    A large picture is made smaller first, `LOOKED_AT` pixels at the longer side, its mask and its rectangle with it.
    """
    loaded = load_photo(picture)
    height, width, _ = loaded.shape
    scale = LOOKED_AT / max(height, width)
    if scale >= 1:
        return loaded, cut_out(loaded, mask, rectangle, network)
    size = round(scale * width), round(scale * height)
    small = np.asarray(Image.fromarray(loaded).resize(size, Image.Resampling.BOX))  # weighs colours by their alpha
    if mask is not None:
        mask = cv2.resize(read_mask(mask, width, height), size, interpolation=cv2.INTER_AREA)
    if rectangle is not None:
        left, top, right, bottom = check_rectangle(rectangle, width, height)
        low = [min(int(scale * first), side - 4) for first, side in zip((left, top), size, strict=True)]
        high = [max(round(scale * last), first + 4) for first, last in zip(low, (right, bottom), strict=True)]
        rectangle = (*low, *high)
    return small, cut_out(small, mask, rectangle, network)


def category_of(loaded: UInt8[np.ndarray, "height width 4"], cut: CutOut) -> tuple[str, float]:
    """The category that a cut-out looks like, as `find_category`."""
    photo = frame_photo(loaded, cut, SORTED_SIZE, min(FRAMING.values()))
    return load_sorter().votes(photo.image, photo.covered)


def find_category(
    picture: PictureLike, mask: PictureLike | None = None, rectangle: Sequence[int] | None = None
) -> tuple[str, float]:
    """The category that a picture looks like, and the share of the nearest training views that are of it.

    Raises:
        ImageError: Picture, mask or rectangle cannot be used.
        NetworksError: The package has no networks, or not as they were written.
    """
    return category_of(*cut_photo(picture, mask, rectangle))


def find_networks(category: str, runs: Path | str | None = None) -> Path:
    """A category's folder of trainings: in the run that is named, or else in the package.

    Raises:
        NetworksError: The package's are not there, or not as they were written.
        SettingsError: The category does not exist.
    """
    return Path(runs) / check_category(category) if runs else check_networks(check_category(category))


def load_reconstructor(
    category: str, runs: Path | str | None = None, phase: str = "auto", device: str = "cpu"
) -> Reconstructor:
    """The networks that answer to a framed photograph; arguments and errors are those of `reconstruct`."""
    if not runs and phase == "auto":
        return load_networks(category, device)
    from tpl.study.methods import ENCODERS, better_encoder, trained_methods  # what trains takes seconds to import

    place = find_networks(category, runs)
    known = {method.folder: method for method in ENCODERS.values()}
    method = ENCODERS[better_encoder(trained_methods(place))] if phase == "auto" else known[phase]
    return method.load(place, device)


def load(category: str, runs: Path | str | None = None, phase: str = "auto", device: str = "cpu") -> PhotoReconstructor:
    """The networks of a category, ready for any number of photographs.

    Args:
        category: chairs, sofas or airplanes.
        runs: Folder of the run that trained the networks; by default those of the package are taken.
        phase: Which encoder, by its folder in the run; "auto" is the best one there.
        device: cpu or cuda.

    Raises:
        NetworksError: The package has none of the category, or not as they were written.
        RunError: The networks are not trained.
        SettingsError: The category does not exist.
    """
    place, networks = find_networks(category, runs), load_reconstructor(category, runs, phase, device)
    doubt = Doubt.load(place / FILE) if (place / FILE).exists() and phase == "auto" else None
    manifest = place.parent / MANIFEST
    profile = f", of profile {read_manifest(manifest)['profile']}" if manifest.exists() else ""
    origin = str(place) if runs else f"those that come with the package{profile}"
    labels = read_labels(place / PARTS) if (place / PARTS).exists() and phase == "auto" else None
    return PhotoReconstructor(category, networks, doubt, origin, labels)


def reconstruct(
    picture: PictureLike | Sequence[PictureLike],
    category: str,
    runs: Path | str | None = None,
    mask: PictureLike | None = None,
    rectangle: Sequence[int] | None = None,
    phase: str = "auto",
    resolution: int = 128,
    device: str = "cpu",
    refine: int = STEPS,
) -> PhotoReconstruction:
    """The mesh that the trained networks see in pictures of a chair, a sofa or an airplane.

    Args:
        picture: A file, an image of Pillow, or uint8 of (height, width), (..., 3) or (..., 4); or a list of those, of
            one and the same object from several sides.
        category: What it shows: chairs, sofas or airplanes; or "auto".
        runs: Folder of the run that trained the networks; by default those of the package are taken.
        mask: Bright where the object is, of the picture's size. Without it the picture's alpha decides, or else the
            object is searched for.
        rectangle: Left, top, right, bottom in pixels: all outside of it is background.
        phase: Which encoder, by its folder in the run; "auto" is the best one there.
        resolution: Grid cells along each side of the cube [-1, 1]^3.
        device: cpu or cuda.
        refine: Steps of the fit of code and camera to the silhouette; 0: the encoder's own answer.

    Returns:
        `mesh` (unit-sphere frame: +y up, front towards -z), `photo`: what the encoder saw, and notes; and how far they
        can be trusted.

    Raises:
        ImageError: Picture, mask or rectangle cannot be used.
        RunError: The networks are not trained.
        NetworksError: Those of the package are not there, or not as they were written.
        EmptyShape: The decoded function has no surface.
    """
    pictures: list[Any] = [*picture] if isinstance(picture, list | tuple) else [picture]
    cuts = [cut_photo(each, mask, rectangle) for each in pictures]
    ready = load(category_of(*cuts[0])[0] if category == "auto" else category, runs, phase, device)
    return ready.answer([ready.frame(*cut) for cut in cuts], refine, resolution)


def _images(photos: Sequence[Photo]) -> UInt8[np.ndarray, "photos size size 3"]:
    return np.stack([photo.image for photo in photos])
