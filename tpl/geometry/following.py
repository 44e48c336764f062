"""The surface of a function that is asked again and again while it changes a little, as under a slider."""

import numpy as np
import trimesh

from tpl.geometry.marching import Search, _answer, _corners_of_crossed_cells, _Grid, _polygonise, _search, evaluate
from tpl.geometry.primitives import SDF

SENTINELS = 6
"""Nodes from one sentinel to the next, along each axis."""


class FollowedSurface:
    """The zero level set of a changing function, frame by frame, each from few evaluations.

    Far from its surface a function keeps its sign from one frame to the next. So a frame asks it where the surface was,
    and then wherever it has gone: as in `extract_mesh`, a surface that runs into nodes which were not asked is
    followed. What appears apart from all that was there meets a lattice of sentinels, which stands elsewhere in each
    frame: a part as large as their distance is seen at once, a smaller one within some frames. Where nothing smaller
    appears, the mesh is that of `extract_mesh`, which the first frame is made by.

    Args:
        resolution: Grid cells along each side of the cube [-bound, bound]^3.
        bound: As for `extract_mesh`, with `lipschitz` and `truncation`, which are for the first frame.
    """

    def __init__(
        self,
        resolution: int,
        bound: float | int = 1.0,
        lipschitz: float | int = 1.5,
        truncation: float | int = 0.1,
    ):
        self.resolution, self.bound, self.lipschitz, self.truncation = resolution, bound, lipschitz, truncation
        self.last: _Grid | None = None
        self.frame = 0

    def extract(self, sdf: SDF) -> trimesh.Trimesh:
        """The mesh of this frame's function.

        Args:
            sdf: Signed distances, negative inside. If it raises, the next frame starts from the frame before.

        Raises:
            EmptyShape: The function has no surface where it was looked for; the next frame looks everywhere.
            ValueError: As for `extract_mesh`.
        """
        grid = _Grid(self.resolution, self.bound)
        search = _search(grid, self.lipschitz, self.truncation) if self.last is None else self._follow(grid, self.last)
        (error,) = _answer([search], lambda requests: [evaluate(sdf, points) for points in requests])
        if error is not None:
            raise error
        self.frame += 1
        self.last = None if grid.volume.min() > 0 else grid
        return _polygonise(grid)

    def _follow(self, grid: _Grid, last: _Grid) -> Search:
        grid.volume[:] = np.sign(last.volume)
        asked = _corners_of_crossed_cells(last.volume)
        x, y, z = np.random.default_rng(self.frame).integers(SENTINELS, size=3)
        asked[x::SENTINELS, y::SENTINELS, z::SENTINELS] = True
        yield from grid.ask(np.flatnonzero(asked))
        while len(missing := np.flatnonzero(_corners_of_crossed_cells(grid.volume) & ~grid.known)):
            yield from grid.ask(missing)
