"""What methods are asked: the views of a split's shapes, and what several answers are made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import joblib
import numpy as np
import trimesh
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from tpl.dataset.collection import Collection
from tpl.dataset.store import Store
from tpl.evaluation.retrieval import nearest_by_code, nearest_by_pixels, nearest_by_surface
from tpl.evaluation.rows import Attempt, attempt, random_views
from tpl.inference import OracleConfig, Reconstructor, encode
from tpl.meshes import clean_mesh
from tpl.refinement import Poses, to_poses
from tpl.rendering import Camera
from tpl.shapes import Shape
from tpl.study.bench import Bench

AT_ONCE = 8
"""Shapes of a split whose meshes are in memory at the same time."""

Item = TypeVar("Item")


class Answer(NamedTuple):
    """What a method answers to a view."""

    made: Attempt  # a mesh in the unit-sphere frame; one that was retrieved is in its own raw frame
    retrieved: str = ""  # the id of the training shape that it is; empty where the mesh was made


@dataclass(frozen=True, eq=False)
class Exam:
    """The views of shapes that are judged, and by what they are answered: a run's encoders and training shapes."""

    bench: Bench  # of the run; its shapes are those that retrieval chooses from
    judged: Collection
    shapes: list[Shape]  # of `judged`
    images: UInt8[np.ndarray, "shapes views h w 3"]
    names: list[str]  # of the views
    oracle: OracleConfig  # how a code is fitted
    arms: Mapping[str, Reconstructor]  # the encoders that are judged, by the names of their methods
    best: str  # the one whose codes and decoder stand for phase 1

    @property
    def groups(self) -> Iterator[slice]:
        """The shapes whose answers are in memory at the same time."""
        return (slice(first, first + AT_ONCE) for first in range(0, len(self.shapes), AT_ONCE))

    @property
    def flat(self) -> UInt8[np.ndarray, "all h w 3"]:
        """All views in one row, shape by shape."""
        return self.images.reshape(-1, *self.images.shape[2:])

    def of_views(self, group: slice) -> slice:
        """The views of a group of shapes in that row."""
        return slice(group.start * len(self.names), group.stop * len(self.names))

    def by_shape(self, answers: Sequence[Item]) -> list[dict[str, Item]]:
        """Answers to the views of a group, in that row, by shape and by the view's name."""
        count = len(self.names)
        rows = [answers[first : first + count] for first in range(0, len(answers), count)]
        return [dict(zip(self.names, row, strict=True)) for row in rows]

    @cached_property
    def codes(self) -> dict[str, Float[Tensor, "all dim"]]:
        """What each encoder sees in all views."""
        return {method: encode(arm.encoder, self.flat) for method, arm in self.arms.items()}

    @cached_property
    def poses(self) -> Poses:
        """From where all views were taken, in float64: the answer to what a method does not know."""
        return split_poses(self.shapes, self.judged.store, len(self.names) - 1, self.bench.seed)

    @cached_property
    def best_codes(self) -> Float[np.ndarray, "all dim"]:
        """What the best of phase 2's encoders sees in all views."""
        return self.codes[self.best].cpu().numpy()

    @cached_property
    def gallery(self) -> "Gallery":
        """What retrieval chooses from."""
        return Gallery(self.bench, self.arms[self.best])


@dataclass(eq=False)
class Gallery:
    """What retrieval chooses from: all training shapes, by their pictures, their predicted codes or their surfaces."""

    bench: Bench
    arm: Reconstructor
    meshes: dict[int, Attempt] = field(default_factory=dict)  # of those that were asked for

    def __post_init__(self) -> None:
        self.shapes, self.store = self.bench.shapes("seen"), self.bench.store
        per_shape = [
            np.concatenate([self.store.read_views(shape, kind)[0] for kind in ("easy", "hard")])
            for shape in self.shapes
        ]
        self.views = np.concatenate(per_shape)
        self.owner = np.repeat(np.arange(len(self.shapes)), [len(views) for views in per_shape])
        # A shape's place among codes is the mean of what the encoder makes of its views.
        codes = encode(self.arm.encoder, self.views).cpu().numpy()
        self.codes = np.stack([codes[self.owner == row].mean(axis=0) for row in range(len(self.shapes))])
        self.learnt = self.arm.codes.cpu().numpy()  # of the first shapes, as phase 1 left them

    def nearest_to_images(self, images: np.ndarray, crop: bool = False) -> np.ndarray:
        """Rows of the training shapes that own the most similar 32 x 32 grey pictures, of the objects alone if so."""
        return self.owner[nearest_by_pixels(images, self.views, crop=crop)]

    def nearest_to_codes(self, codes: np.ndarray) -> np.ndarray:
        """Rows of the training shapes whose own predicted codes are nearest."""
        return nearest_by_code(codes, self.codes)

    def nearest_to_surfaces(self, surfaces: Iterable[np.ndarray], seed: int) -> np.ndarray:
        """Rows of the training shapes whose surfaces are nearest to these."""
        return nearest_by_surface(surfaces, (self.store.read_surface(shape) for shape in self.shapes), seed=seed)

    def nearest_coded(self, codes: np.ndarray) -> np.ndarray:
        """Rows of the shapes of phase 1 whose learnt codes are nearest."""
        return nearest_by_code(codes, self.learnt)

    def answers(self, rows: Int[np.ndarray, " n"]) -> list[Answer]:
        """The training shapes of these rows as answers; each is loaded once."""
        missing = [row for row in dict.fromkeys(rows.tolist()) if row not in self.meshes]
        seen: Any = joblib.Parallel(n_jobs=self.bench.jobs)(
            joblib.delayed(_try_what_is_seen)(self.shapes[row], self.store) for row in missing
        )
        self.meshes.update(zip(missing, seen, strict=True))
        return [Answer(self.meshes[row], self.shapes[row].id) for row in rows.tolist()]


def split_views(shapes: list[Shape], store: Store, draws: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """The images that methods are judged on: (shapes, 1 + draws, h, w, 3), and the views' names."""
    images = [[image for image, _ in _asked(shape, store, draws, seed)] for shape in shapes]
    return np.stack(images), ["fix", *(f"rnd{draw}" for draw in range(draws))]


def split_poses(shapes: list[Shape], store: Store, draws: int, seed: int) -> Poses:
    """From where these images were taken, one after the other."""
    asked = [(camera, shape) for shape in shapes for _, camera in _asked(shape, store, draws, seed)]
    return to_poses([camera for camera, _ in asked], [store.read_normalization(shape) for _, shape in asked])


def _asked(shape: Shape, store: Store, draws: int, seed: int) -> list[tuple[np.ndarray, Camera]]:
    """The fixed view of a shape, then those that are drawn of the others."""
    fixed, *others = (list(zip(*store.read_views(shape, kind), strict=True)) for kind in ("fixed", "easy", "hard"))
    pool = [view for kind in others for view in kind]
    return [*fixed, *(pool[place] for place in random_views(shape.id, len(pool), draws, seed))]


def _try_what_is_seen(shape: Shape, store: Store) -> Attempt:
    """The mesh of a training shape, raw frame; of one that is open, the faces that can be seen.

    Of one without a mesh it is the points of its visible surface.
    """

    def seen() -> trimesh.Trimesh | trimesh.PointCloud:
        if not shape.has_mesh:
            return trimesh.PointCloud(store.read_surface(shape))
        mesh = shape.load()
        return mesh if mesh.is_watertight else clean_mesh(mesh, np.random.default_rng(0)).mesh

    return attempt(seen)
