"""What networks answer to one or several pictures of an object: code and camera as seen, then fitted; and the mesh."""

from typing import NamedTuple

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from tpl.geometry.marching import EmptyShape, extract_mesh
from tpl.geometry.whole import extract_whole
from tpl.inference import Reconstructor, encode
from tpl.meshes.rays import RayScene
from tpl.refinement.fitting import RefinementConfig, refine
from tpl.refinement.hypotheses import Start
from tpl.refinement.poses import Poses, rays
from tpl.refinement.silhouettes import NoOutline
from tpl.refinement.views import seen_in

STEPS = 30
"""Of the refinement, where nothing else is asked for: as many as the book's row of refined answers has."""

COARSE = 40
"""Grid cells a side of a mesh of which only the silhouette is asked, in an image of some 64 pixels."""


class Answer(NamedTuple):
    """A mesh, where it is from, and how well its silhouettes agree with the pictures'."""

    mesh: trimesh.Trimesh  # unit-sphere frame
    code: Float[Tensor, " dim"]
    seen: Float[Tensor, "views dim"]  # the encoder's own codes
    poses: Poses | None  # None: the encoder names no cameras
    before: Float[np.ndarray, " views"]  # 1 - intersection over union of the silhouettes, of what the encoder sees
    after: Float[np.ndarray, " views"]  # the same in the end
    outlines: Bool[np.ndarray, "when views size size"]  # the silhouettes before and after
    note: str = ""  # why nothing was fitted, where something should have been


def answer(
    arm: Reconstructor,
    images: UInt8[np.ndarray, "views size size 3"],
    covered: Float[Tensor, "views size size"],
    steps: int = STEPS,
    resolution: int = 128,
) -> Answer:
    """One mesh to one or several pictures of one object.

    Args:
        arm: Encoder and decoder of the category.
        images: As the encoder takes them.
        covered: Share of each pixel that the object covers.
        steps: Of the refinement of the code against the silhouettes, after half as many of the camera alone; 0: none.
        resolution: Grid cells along each side of the cube [-1, 1]^3.

    Raises:
        EmptyShape: The decoded function has no surface.
    """
    fitted = fitted_code(arm, images, covered, steps)
    mesh, size = extract_whole(arm.model.shape(fitted.code), resolution), covered.shape[1]
    if fitted.poses is None or fitted.start is None:
        none, empty = np.full(len(images), np.nan), np.zeros((2, *covered.shape), bool)
        return Answer(mesh, fitted.code, fitted.seen, None, none, none, empty, fitted.note)
    after = silhouettes_of(mesh, fitted.poses, size)
    drawn = np.stack([_before(arm, fitted.start, size) if steps else after, after])
    errors = 1 - _overlaps(drawn, covered.cpu().numpy() > 0.5)
    return Answer(mesh, fitted.code, fitted.seen, fitted.poses, errors[0], errors[1], drawn, fitted.note)


class FittedCode(NamedTuple):
    """The code of one object in its pictures, and where it is from."""

    code: Float[Tensor, " dim"]
    seen: Float[Tensor, "views dim"]  # the encoder's own codes
    poses: Poses | None  # in the end; None: the encoder names no cameras
    start: Start | None  # codes and poses that the encoder sees; None as well
    note: str = ""  # why nothing was fitted, where something should have been


def fitted_code(
    arm: Reconstructor,
    images: UInt8[np.ndarray, "views size size 3"],
    covered: Float[Tensor, "views size size"],
    steps: int = STEPS,
) -> FittedCode:
    """The code of one object in one or several pictures, without its mesh.

    Args:
        arm: Encoder and decoder of the category.
        images: As the encoder takes them.
        covered: Share of each pixel that the object covers.
        steps: As for `answer`.
    """
    if not arm.encoder.config.camera:
        seen = encode(arm.encoder, images)
        note = "this encoder names no cameras, so that nothing is refined" if steps else ""
        return FittedCode(seen.mean(dim=0), seen, None, None, note)
    start, note = seen_in(arm, images), ""
    code, poses = start.codes.mean(dim=0), start.poses
    if steps:
        try:
            code, poses = _fitted(arm, covered, start, steps)
        except NoOutline as error:
            note = str(error)
    return FittedCode(code, start.codes, poses, start, note)


def silhouettes_of(mesh: trimesh.Trimesh, poses: Poses, size: int) -> Bool[np.ndarray, "views {size} {size}"]:
    """Which pixels of views so many pixels wide a mesh (unit-sphere frame) covers, by the ray through each middle."""
    scene = RayScene(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    y, x = torch.meshgrid(*[torch.arange(size) + 0.5] * 2, indexing="ij")
    pixels = torch.stack([x, y], dim=2).flatten(0, 1).expand(len(poses), -1, -1)
    beams = rays(poses.detach().cpu().float(), pixels, size)
    origins = beams.origins[:, None].expand_as(beams.directions)
    met = scene.distance(origins.flatten(0, 1).numpy(), beams.directions.flatten(0, 1).numpy())
    return np.isfinite(met).reshape(len(poses), size, size)


def _fitted(
    arm: Reconstructor, covered: Float[Tensor, "views size size"], start: Start, steps: int
) -> tuple[Float[Tensor, " dim"], Poses]:
    config = RefinementConfig(steps=steps, camera_steps=(steps + 1) // 2, one_shape=True)
    fit = refine(arm.model, covered, *start, arm.codes.std(dim=0, correction=0), config).after
    return fit.codes[0], fit.poses


def _before(arm: Reconstructor, start: Start, size: int) -> Bool[np.ndarray, "views {size} {size}"]:
    try:
        mesh = extract_mesh(arm.model.shape(start.codes.mean(dim=0)), COARSE)
    except EmptyShape:
        return np.zeros((len(start.codes), size, size), bool)
    return silhouettes_of(mesh, start.poses, size)


def _overlaps(
    drawn: Bool[np.ndarray, "when views size size"], truth: Bool[np.ndarray, "views size size"]
) -> Float[np.ndarray, "when views"]:
    either = (drawn | truth).sum(axis=(2, 3))
    return (drawn & truth).sum(axis=(2, 3)) / np.maximum(either, 1)
