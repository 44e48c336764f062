"""How well the outline of a signed distance function agrees with an image's.

A ray passes a shape as far from it as the least distance along the ray, and through it where that is below zero. What
an image says of that number: below zero inside the silhouette, above it outside, and at the outline how far from the
middle of the pixel, which the share of the pixel that is covered tells.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from tpl.refinement.poses import Poses, Rays, RefinementError, pixel_width, rays

Field = Callable[[Float[Tensor, "views points 3"], Float[Tensor, "views dim"]], Float[Tensor, "views points"]]
"""Shapes with codes: maps each view's points (unit-sphere frame) and its code to signed distances; a decoder is one."""

COVERED = 0.98
"""Pixels that are covered more than this are inside, those covered less than the rest of it outside."""

LIMIT = 2.0
"""Pixels: an outline that is farther away than this costs no more. Decoders are trained no farther from a surface."""

LESSER = 0.3
"""Weight of errors where the outline of the shape lies outside the image's."""

REACH = 2
"""Pixels on either side of the outline that most rays are drawn from."""

NEAREST = 0.02
"""Unit-sphere lengths: how closely the least along a ray is looked for."""

CLOSER = 2
"""How often one looks closer to be sure."""

POINTS_AT_ONCE = 16_384
"""That a field is asked for without a gradient: larger blocks fall out of a CPU's cache."""


class NoOutline(RefinementError):
    """An image that shows nothing, or nothing but the shape."""


def coverage(images: UInt8[np.ndarray, "views height width 3"], size: int) -> Float[Tensor, "views {size} {size}"]:
    """The share of each pixel that a shape covers, in images on white, scaled to `size` pixels a side by areas.

    A pixel beside a white one is covered as far as it is darkened as much as the darkest around it; all others that
    are not white are covered.

    Raises:
        RefinementError: An image is not square.
        NoOutline: An image is white all over.
    """
    if images.shape[1] != images.shape[2]:
        raise RefinementError(f"images of {images.shape[2]} x {images.shape[1]} pixels are no views: make them square")
    ink = 1 - torch.from_numpy(images.min(axis=3)).float() / 255
    drawn = ink > 0.02
    if not drawn.any(dim=(1, 2)).all():
        raise NoOutline("an image is white all over: there is no outline to fit; leave it out")
    around = F.max_pool2d(ink[:, None], 3, 1, 1)[:, 0]
    beside_white = F.max_pool2d((~drawn)[:, None].float(), 3, 1, 1)[:, 0] > 0
    covered = torch.where(drawn, torch.where(beside_white, ink / around.clamp_min(0.02), 1), 0)
    edges = torch.arange(size + 1) * (images.shape[1] / size)
    places = torch.arange(images.shape[1])
    low, high = edges[:-1, None].maximum(places), edges[1:, None].minimum(places + 1)
    share = (high - low).clamp_min(0) * (size / images.shape[1])
    return (share @ covered @ share.T).clamp(0, 1)


class Targets(NamedTuple):
    """Positions in images, and what the images show there."""

    pixels: Float[Tensor, "views rays 2"]  # middles of pixels
    covered: Float[Tensor, "views rays"]


class Outlines:
    """The silhouettes of some views, ready to be looked at by a few rays a time."""

    def __init__(self, covered: Float[Tensor, "views size size"], near_share: float = 0.8):
        """Sorts the pixels.

        Args:
            covered: Share of each pixel that the shape covers.
            near_share: Of the rays, those through pixels at most `REACH` from the outline; the others go through the
                square around the silhouette, a quarter larger.

        Raises:
            NoOutline: A view shows nothing, or nothing but the shape.
        """
        self.covered, self.size = covered, covered.shape[1]
        inside = F.max_pool2d(covered[:, None], 2 * REACH + 1, 1, REACH)[:, 0] > 0.5
        outside = F.max_pool2d(1 - covered[:, None], 2 * REACH + 1, 1, REACH)[:, 0] > 0.5
        near = (inside & outside).flatten(1).double()
        if not near.any(dim=1).all():
            raise NoOutline("an image without an outline cannot be fitted: leave it out")
        wide = _surrounding_squares(covered > 0.5).flatten(1).double()
        weights = near_share * near / near.sum(dim=1, keepdim=True)
        weights += (1 - near_share) * wide / wide.sum(dim=1, keepdim=True)
        self.cumulative = weights.cumsum(dim=1)

    def draw(self, uniform: Float[Tensor, " rays"]) -> Targets:
        """Pixels by numbers in 0 to 1, evenly spread ones by evenly spread ones; the same numbers for all views."""
        wanted = uniform.double().expand(len(self.covered), -1) * self.cumulative[:, -1:]
        picked = torch.searchsorted(self.cumulative, wanted.contiguous(), right=True).clamp(max=self.size**2 - 1)
        return self.at(picked)

    def at(self, picked: Tensor) -> Targets:
        """Pixels by their numbers, (views, rays), row by row of the image."""
        y, x = picked // self.size, picked % self.size
        return Targets(torch.stack([x, y], dim=2) + 0.5, self.covered.flatten(1).gather(1, picked))


def _surrounding_squares(silhouette: Tensor) -> Tensor:
    """For each view whether a pixel is in the square around its silhouette, a quarter larger."""
    places = torch.arange(silhouette.shape[1], device=silhouette.device) + 0.5
    offsets = []
    for other in (1, 2):
        along = silhouette.any(dim=other)  # of columns, then of rows
        first, last = along.float().argmax(dim=1), along.shape[1] - along.flip(1).float().argmax(dim=1)
        offsets.append((places - (first + last)[:, None] / 2, last - first))
    half = 1.25 / 2 * torch.maximum(offsets[0][1], offsets[1][1])[:, None]
    within_columns, within_rows = (middle.abs() <= half for middle, _ in offsets)
    return within_rows[:, :, None] & within_columns[:, None]


class Look(NamedTuple):
    """Where along rays a signed distance was found least, and how near to there it may be less."""

    along: Float[Tensor, "views rays"]  # from where the ray comes nearest to the origin
    reach: Float[Tensor, "views rays"]


def look_along(
    field: Field, codes: Float[Tensor, "views dim"], beams: Rays, uniform: Float[Tensor, "rays places"]
) -> Look:
    """The least signed distance along the part of each ray within the unit ball, at one place in each even part of it.

    A ray that misses the ball is looked at where it comes nearest.

    Args:
        field: The shapes.
        codes: A code a view.
        beams: The rays.
        uniform: In 0 to 1, where in its part each place is.
    """
    with torch.no_grad():
        half = (1 - _nearest(beams).square().sum(dim=2)).clamp_min(1e-4).sqrt()
        places = uniform.shape[1]
        steps = (torch.arange(places, device=uniform.device) + uniform) / places
        along = half[..., None] * (2 * steps - 1)
        best = _values(field, codes, beams, along).argmin(dim=2, keepdim=True)
        return Look(along.gather(2, best)[..., 0], 2 * half / places)


def look_closer(field: Field, codes: Float[Tensor, "views dim"], beams: Rays, look: Look) -> Look:
    """Looks again where the least was found, and half as far as it may be from there to either side.

    The next time it looks half as far; never nearer than `NEAREST`, so that it follows a least that moves.
    """
    with torch.no_grad():
        along = look.along[..., None] + look.reach[..., None] * look.reach.new_tensor([-0.5, 0.0, 0.5])
        best = _values(field, codes, beams, along).argmin(dim=2, keepdim=True)
        return Look(along.gather(2, best)[..., 0], (look.reach / 2).clamp_min(NEAREST))


def distances_at(
    field: Field, codes: Float[Tensor, "views dim"], beams: Rays, along: Float[Tensor, "views rays"]
) -> Float[Tensor, "views rays"]:
    """Signed distances at places along rays, as a function of codes and rays.

    Where a distance is least its derivative along the ray is zero, so that the place itself needs no gradient.
    """
    return field(_nearest(beams) + along[..., None] * beams.directions, codes)


def _nearest(beams: Rays) -> Tensor:
    """Where rays come nearest to the origin."""
    origins, directions = beams.origins[:, None], beams.directions
    return origins - (directions * origins).sum(dim=2, keepdim=True) * directions


def _values(field: Field, codes: Tensor, beams: Rays, along: Tensor) -> Tensor:
    """Signed distances at places along rays, (views, rays, places), asked for in blocks."""
    points = (_nearest(beams)[:, :, None] + along[..., None] * beams.directions[:, :, None]).flatten(1, 2)
    blocks = points.split(max(1, POINTS_AT_ONCE // len(points)), dim=1)
    return torch.cat([field(block, codes) for block in blocks], dim=1).view_as(along)


def outline_errors(
    least: Float[Tensor, "views rays"], width: Float[Tensor, " views"], covered: Float[Tensor, "views rays"]
) -> Float[Tensor, "views rays"]:
    """How far, in pixels, rays pass from where the image says; at most `LIMIT`.

    Args:
        least: The least signed distance along each ray, m.
        width: What a pixel measures, w.
        covered: Share of the ray's pixel that is covered, a.

    Returns:
        At the outline |m / w - (1/2 - a)|, of which the share `LESSER` counts where m is smaller; inside what m / w is
        above -0.1; outside what it is below 1/2.
    """
    pixels = least / width[:, None]
    beyond = pixels - (0.5 - covered)
    outline = torch.where(beyond < 0, -LESSER * beyond, beyond)
    within, without = F.relu(pixels + 0.1), F.relu(0.5 - pixels)
    errors = torch.where(covered > COVERED, within, torch.where(covered < 1 - COVERED, without, outline))
    return errors.clamp_max(LIMIT)


def silhouettes(
    field: Field, codes: Float[Tensor, "views dim"], poses: Poses, size: int, places: int = 24
) -> Float[Tensor, "views {size} {size}"]:
    """The least signed distance along the ray through each pixel, in pixels: the outline is where it is zero.

    Rays that miss the unit ball are not looked at; they count as passing the shape at a distance of 1.
    """
    with torch.no_grad():
        y, x = torch.meshgrid(*[torch.arange(size, device=poses.device) + 0.5] * 2, indexing="ij")
        pixels = torch.stack([x, y], dim=2).flatten(0, 1).expand(len(poses), -1, -1)
        beams = rays(poses, pixels.to(poses), size)
        past = _nearest(beams).norm(dim=2)
        meeting = past.topk(max(1, int((past < 1).sum(dim=1).max())), dim=1, largest=False).indices
        chosen = Rays(beams.origins, beams.directions.gather(1, meeting[..., None].expand(-1, -1, 3)))
        even = torch.full((meeting.shape[1], places), 0.5, dtype=poses.dtype, device=poses.device)
        look = look_along(field, codes, chosen, even)
        for _ in range(CLOSER):
            look = look_closer(field, codes, chosen, look)
        least = distances_at(field, codes, chosen, look.along)
        found = torch.ones_like(past).scatter(1, meeting, least)
        return found.unflatten(1, (size, size)) / pixel_width(poses, size)[:, None, None]


def intersection_over_union(
    first: Float[Tensor, "views *image"],  # noqa: F821
    second: Float[Tensor, "views *image"],  # noqa: F821
) -> Float[Tensor, " views"]:
    """Of the pixels that either of two coverages fills more than half, the share that both do."""
    a, b = (covered.flatten(1) > 0.5 for covered in (first, second))
    return (a & b).sum(dim=1) / (a | b).sum(dim=1).clamp_min(1)
