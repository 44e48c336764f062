"""What was trained for a category, as chapters show it: its meshes and their scores, each computed once.

All of it is kept in `runs/<name>/shelf/` under a hash of what it depends on, our code included. So a chapter that is
executed again only reads, and other weights or another metric leave other files: nothing on the shelf is ever out of
date.
"""

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Float, UInt8
from torch import Tensor

from tpl.evaluation.results import read_results, write_results
from tpl.evaluation.rows import NO_VIEW, POINTS, Case, attempt, case_rng, evaluate_reconstruction
from tpl.files import digest, write_file
from tpl.geometry.marching import EmptyShape, extract_mesh
from tpl.geometry.whole import extract_whole
from tpl.inference import encode, to_raw
from tpl.meshes import Normalization
from tpl.metrics import sampling_floor
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.shapes import Shape
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.exam import split_views
from tpl.study.judging import surface_normals
from tpl.study.methods import ENCODER, ENCODERS, OUR_ENCODER, Learnt, better_phase_1
from tpl.training import RunError, load_embedding

LEARNT = "learnt code"
"""The name of phase 1's own reconstructions of training shapes, in rows of scores."""

NO_SHAPE = Normalization(np.zeros(3), 1.94)
"""The raw frame of what belongs to no shape, such as the template: 2 / 1.03, the scale of a shape whose farthest
vertex is half the diagonal of its bounding box away."""


Made = TypeVar("Made")


class Trained:
    """What was trained for one category, and the meshes that it makes."""

    def __init__(
        self,
        bench: Bench,
        methods: Iterable[Learnt] = tuple(ENCODERS.values()),
        phase_1: str = "",
    ):
        """Loads phase 1, and of the arms what there is: encoders, each with the decoder that belongs to it.

        Args:
            bench: Of the category.
            methods: The arms that are looked for.
            phase_1: The run folder of the codes that are shown; by default ours, the paper's where it alone is there.

        Raises:
            RunError: Phase 1 is missing or broken.
        """
        self.bench = bench
        self.phase_1 = phase_1 or better_phase_1(bench.folder)
        self.embedding = load_embedding(bench.folder / self.phase_1, bench.device)
        self.methods = {method.name: method for method in methods}
        self.arms = {
            name: method.load(bench.folder, bench.device, self.embedding if method.decoder == self.phase_1 else None)
            for name, method in self.methods.items()
            if method.is_trained(bench.folder)
        }
        decoders = {self.phase_1, *(self.methods[name].decoder for name in self.arms)}
        self._weights = {folder: bench.run(folder).digest() for folder in decoders}

    def decode(
        self,
        latent: Float[Tensor, " dim"],
        frame: Normalization = NO_SHAPE,
        step: int = -1,
        method: str = LEARNT,
        measured: bool = False,
    ) -> trimesh.Trimesh:
        """The mesh of a code, in the raw frame.

        One to look at is finer than one that is measured, and whole: `extract_whole`.

        Args:
            latent: The code.
            frame: The normalisation of the shape that the code belongs to.
            step: Which step of the warp to stop after; -1 is the last.
            method: Where the code comes from: an arm's codes mean something to its own decoder alone. What is no arm
                has codes of phase 1.
            measured: Whether it is the mesh that the tables' protocol measures, on its grid, in the cube [-1, 1]^3.

        Raises:
            EmptyShape: The decoded function has no surface.
            RunError: The method is an arm that is not trained.
        """
        sdf = self.decoder(method).shape(latent, step)
        key = (self.weights(method), latent.cpu().numpy().tobytes(), step)
        return to_raw(self._kept_mesh(sdf, measured, *key), frame)

    def template(self, method: str = LEARNT, ambient: Float[Tensor, " ambient"] | None = None) -> trimesh.Trimesh:
        """The mesh of a decoder's template alone, without any warp; raises as `decode`.

        Args:
            method: Whose decoder's.
            ambient: The coordinates beside space at which it is cut, if it has any; by default their mean.
        """
        sdf = self.decoder(method).template_shape(ambient)
        cut = [] if ambient is None else [ambient.cpu().numpy().tobytes()]
        return to_raw(self._kept_mesh(sdf, False, self.weights(method), "template", *cut), NO_SHAPE)

    def encode(self, method: str, images: UInt8[np.ndarray, "views h w 3"]) -> Float[Tensor, "views dim"]:
        """The codes that the encoder of an arm sees in images; raises as `decode`."""
        self._require(method)
        return encode(self.arms[method].encoder, images)

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders of the arms that are trained."""
        return {method: arm.encoder for method, arm in self.arms.items()}

    def decoder(self, method: str = LEARNT) -> DeepImplicitTemplate:
        """The warp and template that a method's codes are made for; raises as `decode`."""
        self._require(method)
        return self.arms[method].model if method in self.arms else self.embedding.model

    def weights(self, method: str = LEARNT) -> str:
        """A hash of the weights of the decoder that a method's codes are made for."""
        return self._weights[self.methods[method].decoder if method in self.arms else self.phase_1]

    def _require(self, method: str) -> None:
        if method in self.methods and method not in self.arms:
            folder = self.bench.folder / self.methods[method].folder
            raise RunError(f"no finished training in {folder}: run its chapter or `tpl train` first")

    def _kept_mesh(self, sdf: Callable, measured: bool, *key: Any) -> trimesh.Trimesh:
        extract = extract_mesh if measured else extract_whole
        resolution = self.bench.resolution if measured else self.bench.shown_resolution
        code = code_digest("tpl.geometry.whole", "tpl.models.implicit")
        path = self.bench.shelf / "meshes" / f"{digest(code, measured, resolution, *key)}.npz"
        if not path.exists():
            mesh = extract(sdf, resolution)
            arrays = {"vertices": mesh.vertices.astype(np.float32), "faces": mesh.faces.astype(np.int32)}
            write_file(path, lambda file: np.savez(file, **arrays))
        with np.load(path) as arrays:
            vertices = arrays["vertices"].astype(np.float64)
            return trimesh.Trimesh(vertices, arrays["faces"], process=False)


Asked = tuple[Shape, str, str, Float[Tensor, " dim"]]
"""A shape, the view and the method that a code comes from, and the code."""


def score_codes(trained: Trained, asked: Sequence[Asked]) -> pd.DataFrame:
    """The evaluation's rows of what some codes decode to: its protocol, for the few shapes that a chapter shows."""
    bench = trained.bench
    shapes = [shape for shape, *_ in asked]
    codes = [
        (shape.id, view, method, trained.weights(method), latent.cpu().numpy().tobytes())
        for shape, view, method, latent in asked
    ]
    code = code_digest("tpl.study.trained", without=MAKERS)
    key = digest(code, bench.resolution, bench.seed, bench.store.fingerprint(shapes), codes)
    file = bench.shelf / "scores" / f"{key}.csv"
    if not file.exists():
        truths = {shape.id: _truth(trained, shape) for shape in shapes}
        rows = []
        for shape, view, method, latent in asked:
            frame, points, normals = truths[shape.id]
            case = Case(shape.category, shape.split, shape.id, shape.family, view, method)
            made = attempt(functools.partial(trained.decode, latent, frame, method=method, measured=True))
            rng = case_rng(bench.seed, shape.id, view, method)
            rows.append(evaluate_reconstruction(case, made.result, points, normals, rng, made.seconds))
        protocol = f"{POINTS} points, raw units, grid {bench.resolution}"
        write_results(file, rows, protocol, bench.seed, str(bench.runs))
    return read_results(file)


def score_training_shapes(bench: Bench, count: int, phase_1: str = "") -> pd.DataFrame:
    """How well a phase 1 remembers: rows of the first `count` shapes that have a code, each from its own code."""
    trained = Trained(bench, (), phase_1)
    shapes = bench.shapes("coded")[:count]
    codes = trained.embedding.codes
    return score_codes(trained, [(shape, NO_VIEW, LEARNT, code) for shape, code in zip(shapes, codes, strict=False)])


def score_views(
    bench: Bench,
    split: str = "",
    count: int = 4,
    methods: Iterable[Learnt] = (ENCODERS[ENCODER], ENCODERS[OUR_ENCODER]),
    kinds: Sequence[str] = ("fix", "rnd0"),
) -> pd.DataFrame:
    """How well encoders do on the first `count` shapes of a split: the fixed view and one random view.

    Without a split it is the one that settings are tried on.
    Of the methods those that are trained are scored.
    """
    trained = Trained(bench, methods)
    shapes = bench.shapes(split or bench.trial_split)[:count]
    views, names = split_views(shapes, bench.store, 1, bench.seed)
    asked = []
    for method in trained.arms:
        codes = trained.encode(method, views.reshape(-1, *views.shape[2:])).unflatten(0, views.shape[:2])
        asked += [
            (shape, name, method, codes[row, column])
            for row, shape in enumerate(shapes)
            for column, name in enumerate(names)
            if name in kinds
        ]
    return score_codes(trained, asked)


def sampling_floors(bench: Bench, split: str, count: int = 0) -> pd.Series:
    """The sampling floor of each of the first `count` shapes of a split, of all if 0, in squared raw units."""
    shapes, seed = bench.shapes(split)[: count or None], bench.seed
    code = code_digest("tpl.metrics", "tpl.evaluation.rows")
    key = digest(code, seed, bench.store.fingerprint(shapes))
    file = bench.shelf / "floors" / f"{key}.json"
    if not file.exists():
        floors = {s.id: sampling_floor(s.load(), POINTS, case_rng(seed, "floor", s.id)) for s in shapes}
        write_file(file, lambda path: path.write_text(json.dumps(floors)))
    return pd.Series(json.loads(file.read_text()), name="floor", dtype=float)


def _truth(trained: Trained, shape: Shape) -> tuple[Normalization, np.ndarray, np.ndarray | None]:
    store = trained.bench.store
    points = store.read_surface(shape)
    return store.read_normalization(shape), points, surface_normals(shape, points)


def maybe(make: Callable[..., Made], *arguments: Any, **options: Any) -> Made | None:
    """What `make` makes, or nothing where the function has no surface: a figure has an empty place then."""
    try:
        return make(*arguments, **options)
    except EmptyShape:
        return None
