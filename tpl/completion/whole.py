"""From a file of points to a mesh, in one call, with the networks that answer to photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh

from tpl.completion.fitting import CompletionConfig, complete
from tpl.completion.observation import CompletionError, Observation, read_points
from tpl.geometry.whole import extract_whole
from tpl.inference import to_raw
from tpl.meshes import Normalization
from tpl.photos.pipeline import find_networks, load_reconstructor


class Whole(NamedTuple):
    """A completed shape, and what there is to say of it."""

    mesh: trimesh.Trimesh  # in the frame of the points
    frame: Normalization  # from that to the unit-sphere frame
    sentences: Sequence[str]


def complete_points(
    points: Path | str | Observation,
    category: str,
    runs: Path | str | None = None,
    viewpoint: Sequence[float] | None = None,
    frame: Sequence[float] | Normalization | None = None,
    resolution: int = 128,
    seed: int = 0,
    device: str = "cpu",
) -> Whole:
    """The whole shape of which points are a part.

    Args:
        points: A PLY file, or an observation; up +y, front -z.
        category: chairs, sofas or airplanes.
        runs: Folder of the run that trained the networks; by default as for `tpl.reconstruct`.
        viewpoint: Where the points were seen from, in their frame.
        frame: Offset and scale of the whole; estimated where it is not given.
        resolution: Grid cells along each side of the cube [-1, 1]^3.
        seed: Of all randomness.
        device: cpu or cuda.

    Raises:
        CompletionError: The points cannot be completed, or the networks have no codes.
        RunError: The networks are not trained.
        EmptyShape: The decoded function has no surface.
    """
    seen = points if isinstance(points, Observation) else read_points(points)
    if viewpoint is not None:
        if not np.isfinite(viewpoint).all():
            raise CompletionError(f"the viewpoint {viewpoint} is no place: give finite numbers")
        seen = seen._replace(viewpoint=np.array(viewpoint, dtype=np.float64))
    if frame is not None and not isinstance(frame, Normalization):
        *offset, scale = frame
        if not (np.isfinite(frame).all() and scale > 0):
            told = " ".join(f"{number:g}" for number in frame)
            raise CompletionError(f"the frame {told} is none: give finite numbers, and a scale above 0")
        frame = Normalization(np.array(offset, dtype=np.float64), float(scale))
    networks = load_reconstructor(category, runs, device=device)
    if len(networks.codes) == 0:
        raise CompletionError(
            f"the networks in {find_networks(category, runs)} have no codes to start from: train phase 1"
        )
    config = CompletionConfig(seed=seed)
    done = complete(networks.model, [seen], networks.codes, None if frame is None else [frame], config)
    (found,) = done.frames
    mesh = to_raw(extract_whole(networks.model.shape(done.codes[0]), resolution), found)
    told = [
        f"points: {len(seen.points)}, {'with' if seen.normals is not None else 'without'} normals"
        + ("" if seen.viewpoint is None else ", seen from one viewpoint"),
        f"networks: {find_networks(category, runs)}",
        f"frame ({'estimated' if frame is None else 'given'}): offset "
        + " ".join(f"{value:.4g}" for value in found.offset)
        + f", scale {found.scale:.4g}",
        f"error: {done.errors[0]:.4f} of the sphere's radius, mean over what was seen; {done.seconds:.1f} s",
    ]
    return Whole(mesh, found, told)
