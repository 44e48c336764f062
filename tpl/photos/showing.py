"""What the networks saw of a photograph, and how far their answer can be trusted, as pictures."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from tpl.photos.framing import Photo, preview
from tpl.photos.pipeline import PhotoReconstruction
from tpl.pretrained.doubt import doubt_mesh
from tpl.rendering import POSTER, composite, render_view

BEFORE, AFTER = (213, 94, 0), (0, 114, 178)
"""Outlines of what the encoder saw, and of what was fitted; the colours of the book's pictures of outlines."""

PALE = 0.5
"""Share of the white that lies over a photograph, so that outlines are seen."""


def seen_picture(made: PhotoReconstruction, height: int = 256) -> UInt8[np.ndarray, "rows width 3"]:
    """For each photograph, the outlines before and after the refinement over it, its mask, and what the encoder saw."""
    rows = []
    for photo, before, after in zip(made.photos, *made.answer.outlines, strict=True):
        drawn = outlined(photo, before, after) if made.answer.poses is not None else photo.picture
        rows.append(preview(photo._replace(picture=drawn), height))
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), "edge") for row in rows])


def outlined(
    photo: Photo, before: Bool[np.ndarray, "size size"], after: Bool[np.ndarray, "size size"]
) -> UInt8[np.ndarray, "height width 3"]:
    """A photograph, pale, with the outlines of two silhouettes of what its square shows: before and after a fit."""
    left, top, side = photo.square
    pale = np.rint(255 - (1 - PALE) * (255.0 - photo.picture)).astype(np.uint8)
    thick = max(1, round(min(pale.shape[:2]) / 150))
    for silhouette, color in ((before, BEFORE), (after, AFTER)):
        large = cv2.resize(silhouette.astype(np.float32), (max(1, round(side)),) * 2, interpolation=cv2.INTER_LINEAR)
        edges = cv2.findContours((large > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
        cv2.drawContours(pale, edges, -1, color, thick, offset=(round(left), round(top)))
    return pale


def doubt_picture(made: PhotoReconstruction, size: int = 384) -> UInt8[np.ndarray, "size width 3"]:
    """The mesh from the front and from behind, the redder the less certain its surface is there."""
    colored = doubt_mesh(made.mesh, made.moved)
    colored.vertices = colored.vertices / 2  # the poster's camera is for shapes of diameter 1
    behind = dataclasses.replace(POSTER, azimuth=POSTER.azimuth - 180)
    views = [composite(render_view(colored, camera, size)) for camera in (POSTER, behind)]
    return np.concatenate(views, axis=1)
