"""Prepared shapes as tensors on the training device; batches with named fields.

Everything is read once and stays on the device: a step draws its batch there, so that no worker, no queue and no
copy stands between the data and the network.
"""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from tpl.dataset.store import Store, StoreError
from tpl.rendering.boxes import WHITE, object_box, object_mask
from tpl.rendering.cameras import LENS_MM, SENSOR_MM
from tpl.rendering.pose import pose_numbers
from tpl.shapes import Shape


class SDFBatch(NamedTuple):
    """Points of some shapes and their signed distances."""

    points: Float[Tensor, "shapes points 3"]  # unit-sphere frame
    sdf: Float[Tensor, "shapes points"]  # unit-sphere lengths, negative inside
    index: Int[Tensor, " shapes"]  # row of the latent table


class ViewSDFBatch(NamedTuple):
    """A view of each of some shapes, and the shape's points."""

    image: Float[Tensor, "shapes 3 height width"]  # RGB in 0 to 1, on white
    points: Float[Tensor, "shapes points 3"]
    sdf: Float[Tensor, "shapes points"]
    index: Int[Tensor, " shapes"]
    pose: Float[Tensor, "shapes numbers"] = torch.zeros((0, 0))  # of the camera, as `pose_numbers` says it, if learnt


LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are to the eye."""

Pairs = Literal["views", "augmentations"]
"""What makes two images a positive pair: they are two views of one object, or one view that is augmented twice."""


class ViewPairBatch(NamedTuple):
    """Two images of each of some shapes."""

    first: Float[Tensor, "shapes 3 height width"]  # RGB in 0 to 1, on white
    second: Float[Tensor, "shapes 3 height width"]
    index: Int[Tensor, " shapes"]  # row of the table of views


class SDFTable:
    """The SDF samples of a list of shapes.

    `samples` are each shape's own, outside ones first (`outside` counts them); `cross` are its signed distances at
    points drawn near the surfaces of the other shapes, and may be empty.
    """

    def __init__(
        self,
        samples: Float[Tensor, "shapes own 4"],
        outside: Int[Tensor, " shapes"],
        cross: Float[Tensor, "shapes others 4"],
    ):
        self.samples, self.outside, self.cross = samples, outside, cross

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def device(self) -> torch.device:
        return self.samples.device

    @classmethod
    def read(cls, shapes: Sequence[Shape], store: Store, device: torch.device | str, cross: bool) -> "SDFTable":
        """Reads shapes from the store; cut to the fewest samples that one of them has.

        Args:
            shapes: Row i of the table is shape i.
            store: The prepared data.
            device: Where the tensors live.
            cross: Whether the cross samples are read, too.

        Raises:
            StoreError: A shape is not prepared.
        """
        own = _stack([_rows(store, shape, "SdfSamples") for shape in shapes])
        others = _stack([_rows(store, shape, "CrossSamples") for shape in shapes]) if cross else own[:, :0]
        return cls.from_rows(torch.from_numpy(own), torch.from_numpy(others), device)

    @classmethod
    def from_rows(
        cls, own: Float[Tensor, "shapes own 4"], cross: Float[Tensor, "shapes others 4"], device: torch.device | str
    ) -> "SDFTable":
        """A table of samples x y z sdf in any order."""
        inside = own[..., 3] <= 0
        order = inside.to(torch.int8).argsort(dim=1, stable=True)
        own = own.gather(1, order[..., None].expand_as(own))
        outside = (~inside).sum(dim=1)
        return cls(own.to(device), outside.to(device), cross.to(device))

    def draw(
        self,
        rows: Int[Tensor, " shapes"],
        points: int,
        generator: torch.Generator,
        inside_share: float = 0.5,
        cross_share: float = 0.0,
    ) -> SDFBatch:
        """Random samples of some shapes.

        Args:
            rows: Which shapes.
            points: How many samples of each.
            generator: The randomness, on the table's device.
            inside_share: Share of a shape's own samples that lie inside; a shape without any gives outside ones.
            cross_share: Share of all samples that are drawn from the cross samples.
        """
        crossed = round(cross_share * points) if self.cross.shape[1] else 0
        own = points - crossed
        uniform = torch.rand((len(rows), points), generator=generator, device=self.device)
        outside = self.outside[rows, None]
        total = self.samples.shape[1]
        wants_inside = torch.arange(own, device=self.device) < round(inside_share * own)
        from_inside = torch.where(outside == total, False, torch.where(outside == 0, True, wants_inside))
        first = torch.where(from_inside, outside, 0)
        size = torch.where(from_inside, total - outside, outside)
        picked = first + (uniform[:, :own] * size).long().clamp(max=size - 1)
        drawn = self.samples[rows[:, None], picked]
        if crossed:
            picked = (uniform[:, own:] * self.cross.shape[1]).long()
            drawn = torch.cat([drawn, self.cross[rows[:, None], picked]], dim=1)
            # Shuffled, because the point-pair term pairs the first eighth with the rest.
        shuffle = torch.rand(points, generator=generator, device=self.device).argsort()
        drawn = drawn[:, shuffle]
        return SDFBatch(drawn[..., :3], drawn[..., 3], rows)


class ViewTable:
    """The views of a list of shapes as bytes, in the layout that convolutions read fastest.

    `poses` are the numbers of each view's camera (`pose_numbers`), where they are wanted.
    """

    def __init__(
        self,
        images: UInt8[Tensor, "shapes views 3 height width"],
        poses: Float[Tensor, "shapes views 7"] | None = None,
    ):
        self.images, self.poses = images, poses

    def __len__(self) -> int:
        return len(self.images)

    @property
    def device(self) -> torch.device:
        return self.images.device

    @classmethod
    def read(
        cls,
        shapes: Sequence[Shape],
        store: Store,
        device: torch.device | str,
        kinds: Sequence[str] = ("easy", "hard"),
        poses: bool = False,
    ) -> "ViewTable":
        """Reads all views of these kinds, and their cameras if `poses`; row i is shape i."""
        images, numbers = [], []
        for shape in shapes:
            pictures, cameras = zip(*(store.read_views(shape, kind) for kind in kinds), strict=True)
            images.append(np.concatenate(pictures))
            if poses:
                frame = store.read_normalization(shape)
                numbers.append(np.stack([pose_numbers(camera, frame) for of_kind in cameras for camera in of_kind]))
        if len({image.shape for image in images}) > 1:
            raise StoreError("shapes have different numbers or sizes of views: run `tpl prepare` for all of them")
        bytes_ = torch.from_numpy(np.stack(images)).permute(0, 1, 4, 2, 3).contiguous().to(device)
        return cls(bytes_, torch.from_numpy(np.stack(numbers)).float().to(device) if poses else None)

    def draw(self, rows: Int[Tensor, " shapes"], generator: torch.Generator) -> Float[Tensor, "shapes 3 height width"]:
        """A random view of each of some shapes, RGB in 0 to 1."""
        return self.images[rows, self.pick(rows, generator)].float() / 255

    def draw_posed(
        self, rows: Int[Tensor, " shapes"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "shapes 3 height width"], Float[Tensor, "shapes numbers"]]:
        """The same views, and the numbers of their cameras; none where the table has none."""
        views = self.pick(rows, generator)
        image = self.images[rows, views].float() / 255
        return image, image.new_zeros((len(rows), 0)) if self.poses is None else self.poses[rows, views]

    def pick(self, rows: Int[Tensor, " shapes"], generator: torch.Generator) -> Int[Tensor, " shapes"]:
        """A random view's number for each of some shapes."""
        return torch.randint(self.images.shape[1], rows.shape, generator=generator, device=self.device)

    def grey(self) -> "ViewTable":
        """The same views without colour."""
        luma = torch.tensor(LUMA, device=self.device)[:, None, None]
        grey = [(image.float() * luma).sum(dim=1, keepdim=True).round().byte() for image in self.images]
        return ViewTable(torch.stack(grey).expand_as(self.images).contiguous(), self.poses)

    def boxed(self) -> "ViewTable":
        """The same views, each cut to the box around its object and scaled to the size that it had."""
        images = (image.float() / 255 for image in self.images)
        return ViewTable(torch.stack([(255 * crop(views, *object_box(views))).round().byte() for views in images]))

    def draw_pairs(
        self, rows: Int[Tensor, " shapes"], generator: torch.Generator, pairs: Pairs = "views"
    ) -> ViewPairBatch:
        """Two random views of each of some shapes, never the same one; or one view twice, to be augmented.

        Raises:
            ValueError: Two views were asked for, and a shape has one.
        """
        views = self.images.shape[1]
        if pairs == "views" and views < 2:
            raise ValueError('pairs="views" needs two views a shape and there is one: prepare more, or "augmentations"')
        first = torch.randint(views, rows.shape, generator=generator, device=self.device)
        second = first
        if pairs == "views":
            second = (first + torch.randint(1, views, rows.shape, generator=generator, device=self.device)) % views
        return ViewPairBatch(self.images[rows, first].float() / 255, self.images[rows, second].float() / 255, rows)


def random_resized_crop(
    images: Float[Tensor, "views 3 height width"], generator: torch.Generator, strength: float | int = 0.3
) -> Float[Tensor, "views 3 height width"]:
    """A random square window of each image, scaled to its size, on the device of the images.

    torchvision draws one window for a whole batch. Its windows also change the aspect ratio, which belongs to the
    shape and is left alone here, and never look beyond the border, beyond which our images are white anyway.

    Args:
        images: RGB in 0 to 1, on white.
        generator: The randomness, on the images' device.
        strength: A window's side is this much shorter than the image's at most, and its middle lies at most half as
            much of a side off the image's; 0 changes nothing.
    """
    if not strength:
        return images
    draws = torch.rand((3, len(images)), generator=generator, device=images.device)
    return crop(images, 1 - strength * draws[0], strength * (draws[1:].T - 0.5))


def random_affine(
    images: Float[Tensor, "views 3 height width"],
    generator: torch.Generator,
    rotation: float | int,
    zoom: float | int,
    shift: float | int,
) -> Float[Tensor, "views 3 height width"]:
    """Each image turned, scaled and moved at random on white, on the device of the images.

    torchvision's RandomAffine draws once for a whole batch.

    Args:
        images: RGB in 0 to 1, on white.
        generator: The randomness, on the images' device.
        rotation: Turns are up to so many degrees to either side.
        zoom: What is seen of the image is larger or smaller by up to this share.
        shift: Moves are up to this share of a side, in both directions.
    """
    if not (rotation or zoom or shift):
        return images
    return crop(images, *random_windows(len(images), generator, rotation, zoom, shift))


class Windows(NamedTuple):
    """Windows of images, as `crop` takes them."""

    side: Float[Tensor, " views"]
    shift: Float[Tensor, "views 2"]
    angle: Float[Tensor, " views"]


def random_windows(
    count: int, generator: torch.Generator, rotation: float | int, zoom: float | int, shift: float | int
) -> Windows:
    """Random windows of so many images, on the generator's device; numbers as for `random_affine`."""
    draws = 2 * torch.rand((4, count), generator=generator, device=generator.device) - 1
    return Windows(1 + zoom * draws[0], shift * draws[1:3].T, torch.pi / 180 * rotation * draws[3])


def pose_in_window(pose: Float[Tensor, "views 7"], windows: Windows) -> Float[Tensor, "views 7"]:
    """The numbers of the cameras (`pose_numbers`) that see through windows what others see in the whole image.

    A window is another picture of the same object from the same side: it stands elsewhere in it, and nearer. The turn
    of a window moves the object about its middle; as a roll of the camera it is not among the numbers.
    """
    focal = LENS_MM / SENSOR_MM  # in sides of the image
    x, y = pose[:, 3] / 4 - windows.shift[:, 0] / focal, pose[:, 4] / 4 + windows.shift[:, 1] / focal
    cos, sin = windows.angle.cos() / windows.side, windows.angle.sin() / windows.side
    moved = [4 * (cos * x - sin * y), 4 * (sin * x + cos * y), pose[:, 5] + 4 * windows.side.log()]
    return torch.cat([pose[:, :3], torch.stack(moved, dim=1), pose[:, 6:]], dim=1)


def crop(
    images: Float[Tensor, "views channels height width"],
    side: Float[Tensor, " views"],
    shift: Float[Tensor, "views 2"],
    angle: Float[Tensor, " views"] | None = None,
) -> Float[Tensor, "views channels height width"]:
    """A window of each image, scaled to the image's size; what of it lies outside is white.

    Args:
        images: RGB, or whatever else is 1 where nothing is, in 0 to 1.
        side: Of the window, in sides of the image.
        shift: Of the window's middle from the image's, to the right and down, in sides of the image.
        angle: By which the window is turned clockwise about its middle, in radians, so that what it shows turns the
            other way; without it windows stand upright.
    """
    angle = torch.zeros_like(side) if angle is None else angle
    along, across = side * angle.cos(), side * angle.sin()
    # Rows of (x, y): where in the image a place of the window is. Grids count half sides.
    rows = [torch.stack([along, -across, 2 * shift[:, 0]], dim=1), torch.stack([across, along, 2 * shift[:, 1]], dim=1)]
    motion = torch.stack(rows, dim=1)
    grid = F.affine_grid(motion, list(images.shape), align_corners=False)
    ink = F.grid_sample(1 - images, grid, padding_mode="zeros", align_corners=False)  # none outside: white
    return ink.neg_().add_(1).clamp_(0, 1)  # in place: on a CPU a fresh tensor costs more than the arithmetic


def crop_sharply(
    images: Float[Tensor, "views 3 height width"], windows: Windows
) -> Float[Tensor, "views 3 height width"]:
    """The same windows, with outlines as sharp as the images': a pixel is white if the object covers less than half.

    Resampling draws a seam of nearly white around an object, and a mask takes it for object: for moved views of chairs
    at 64 pixels it was a fifth larger than for views as they are.
    """
    ground = (~object_mask(images)).float()[:, None]
    moved = crop(torch.cat([images, ground], dim=1), *windows)
    return torch.where(moved[:, 3:] < 0.5, moved[:, :3].clamp(max=WHITE - 0.01), 1.0)


def color_jitter(
    images: Float[Tensor, "views 3 height width"],
    generator: torch.Generator,
    strength: float | int = 0.4,
    hue: float | int = 0.4,
) -> Float[Tensor, "views 3 height width"]:
    """Random brightness, contrast, saturation and hue, drawn for each image, on the device of the images.

    Each of the four is an affine map of colour, so an image costs one 3 x 3 product. torchvision's ColorJitter draws
    once for a whole batch and turns the hue in HSV; here it turns about the grey axis by the same angle.

    Args:
        images: RGB in 0 to 1.
        generator: The randomness, on the images' device.
        strength: Brightness, contrast and saturation are scaled by up to 1 +- this.
        hue: The hue turns by up to +- this share of a full circle.
    """
    if not strength and not hue:
        return images
    views, device = len(images), images.device
    draws = 2 * torch.rand((4, views, 1, 1), generator=generator, device=device) - 1
    brightness, contrast, saturation = 1 + strength * draws[:3]
    eye = torch.eye(3, device=device)
    luma = constant(LUMA, device).expand(3, 3)
    angle = 2 * torch.pi * hue * draws[3]
    ones = torch.full((3, 3), 1 / 3, device=device)
    axis = constant(((0.0, -1, 1), (1, 0, -1), (-1, 1, 0)), device) / 3**0.5
    turn = angle.cos() * (eye - ones) + ones + angle.sin() * axis  # Rodrigues, about (1, 1, 1)
    color = brightness * contrast * (turn @ (luma + saturation * (eye - luma)))
    grey = brightness * (luma[0] * images.mean(dim=(2, 3))).sum(dim=1)[:, None, None]
    shifted = torch.baddbmm((1 - contrast) * grey, color, images.flatten(2))
    return shifted.clamp(0, 1).view_as(images)


def brighten(
    images: Float[Tensor, "views 3 height width"], generator: torch.Generator, strength: float | int
) -> Float[Tensor, "views 3 height width"]:
    """The object of each image brighter or darker at random, its ground as white as it was.

    Args:
        images: RGB in 0 to 1, on white.
        generator: The randomness, on the images' device.
        strength: The object's values are scaled by up to 1 +- this; they stay below white.
    """
    if not strength:
        return images
    draws = 2 * torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device) - 1
    brighter = (images * (1 + strength * draws)).clamp(max=WHITE - 0.01)
    return torch.where(object_mask(images)[:, None], brighter, images)


@functools.cache
def constant(values: tuple, device: torch.device) -> Tensor:
    """Numbers on a device, sent there once: sent at each step they would make a GPU wait for the program."""
    with torch.inference_mode(False):  # they may be asked for the first time where nothing is learnt
        return torch.tensor(values, device=device)


def _rows(store: Store, shape: Shape, kind: str) -> np.ndarray:
    samples = store.read_sdf(shape, kind)
    if not len(samples.points):
        raise StoreError(f"{shape.id} has no sample in {kind}: run `tpl prepare` again")
    return np.column_stack([samples.points, samples.sdf]).astype(np.float32)


def _stack(rows: list[np.ndarray]) -> np.ndarray:
    """Tables of equal length: a longer one is thinned evenly, which keeps its share of inside samples."""
    count = min(map(len, rows))
    return np.stack([table[np.linspace(0, len(table) - 1, count).round().astype(int)] for table in rows])
