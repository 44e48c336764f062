"""What the colours of a mesh say: where its points lie on the template, which part they are, how far off they are."""

from collections.abc import Callable
from functools import cached_property

import igl
import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from scipy.spatial import KDTree

from tpl.chapters.correspondence.figures import PART_COLORS
from tpl.chapters.correspondence.transfer import TEMPLATE, locate
from tpl.chapters.playground.playing import CLAY, ERROR, PAINTS, PART, PLACE, Player, PlaygroundError, State
from tpl.look.plotting import CLAY as CLAYS
from tpl.look.plotting import error_colors, position_colors

ERROR_LIMIT = 0.04
"""Distance to the truth at which the colours end, in raw units: diagonals of the shape."""

Distance = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, " n"]]


class Painter:
    """Paints the meshes of a player.

    Args:
        player: Whose meshes.
        exemplars: Labelled shapes that parts are carried from: the first that have a code.
        points: Of each exemplar's surface.
        beside: Weight of the coordinates beside space in where points meet on the template.
        seed: Of these points.
    """

    def __init__(
        self, player: Player, exemplars: int = 3, points: int = 4000, beside: float | int = 0.3, seed: int = 0
    ):
        self.player, self.points, self.beside, self.seed = player, points, float(beside), seed
        coded = [player.shapes[name] for name in player.coded]
        self.exemplars = [shape for shape in coded if shape.source == "procedural"][:exemplars]
        self._carried: tuple[KDTree, np.ndarray] | None = None
        self._truths: dict[str, Distance] = {}

    @property
    def paints(self) -> list[str]:
        """What its colours can say: parts only where shapes come with labels."""
        return [paint for paint in PAINTS if paint != PART or self.exemplars]

    @cached_property
    def part_names(self) -> list[str]:
        """What the parts are called, in the order of `PART_COLORS`; none where shapes come without labels."""
        return list(self.exemplars[0].load().metadata["parts"]) if self.exemplars else []

    def colors(self, mesh: trimesh.Trimesh, state: State) -> UInt8[np.ndarray, "n 3"]:
        """The colour of each vertex.

        Args:
            mesh: The state's, in the raw frame of its shape.
            state: Where the controls stand.

        Raises:
            PlaygroundError: The colours cannot say what the state asks for.
        """
        if state.paint not in self.paints:
            raise PlaygroundError(f"colours cannot say {state.paint!r}; they can say {', '.join(self.paints)}")
        vertices = np.asarray(mesh.vertices)
        if state.paint == CLAY:
            return np.tile(np.array(CLAYS[self.player.bench.category], np.uint8), (len(vertices), 1))
        if state.paint == ERROR:
            return error_colors(self.distance(state.shape)(vertices), ERROR_LIMIT)
        places = self.player.places(self.player.frame(state).apply(vertices), state)
        return position_colors(places[:, :3]) if state.paint == PLACE else PART_COLORS[self._parts(places)]

    def painted(self, state: State, resolution: int = 64) -> trimesh.Trimesh:
        """The state's mesh (raw frame) in its colours; raises as `Player.mesh` and `colors`."""
        mesh = self.player.mesh(state, resolution)
        return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=self.colors(mesh, state), process=False)

    def _parts(self, places: Float[np.ndarray, "n coordinates"]) -> np.ndarray:
        """The part of the exemplars' point that lies nearest on the template."""
        if self._carried is None:
            codes = self.player.codes
            samples = [
                locate(self.player.trained, shape, codes[self.player.coded[shape.id]], self.beside).sample(
                    self.points, self.seed
                )
                for shape in self.exemplars
            ]
            there = np.concatenate([sample.places[TEMPLATE] for sample in samples])
            self._carried = KDTree(there), np.concatenate([sample.label for sample in samples])
        tree, labels = self._carried
        weights = np.where(np.arange(places.shape[1]) < 3, 1.0, self.beside)
        return labels[tree.query(places * weights)[1]]

    def distance(self, shape: str) -> Distance:
        """How far points (raw frame) are from the surface of a shape; from points of it, where it has no mesh."""
        if shape not in self._truths:
            known = self.player.shapes[shape]
            if known.has_mesh:
                self._truths[shape] = distance_to(known.load())
            else:
                cloud = KDTree(self.player.bench.store.read_surface(known))
                self._truths[shape] = lambda points: cloud.query(points)[0]
        return self._truths[shape]


def distance_to(mesh: trimesh.Trimesh) -> Distance:
    """How far points are from the faces of a mesh, in its frame."""
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)

    def distance(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        tree = igl.AABB()  # made in a millisecond; one that outlives the interpreter's end is reported as a leak
        tree.init(vertices, faces)
        squared, _, _ = tree.squared_distance(vertices, faces, points)
        return np.sqrt(squared)

    return distance
