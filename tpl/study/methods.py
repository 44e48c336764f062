"""The methods of the book: each answers views with meshes. Those of the tables are peers, and `METHODS` names all."""

import time
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np
import torch
import trimesh
from jaxtyping import Float, Int
from torch import Tensor

from tpl.dataset.batches import SDFTable
from tpl.evaluation.rows import NO_VIEW, Attempt
from tpl.geometry.marching import extract_meshes
from tpl.inference import Reconstructor, fit_codes, mean_code
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.refinement import RefinementConfig, Start, refine_views, seen_in
from tpl.study.exam import Answer, Exam
from tpl.training import EmbeddingRun, load_embedding, load_end_to_end, load_regression

GREY = "#8c8c8c"
PHASE_1 = "embedding"
"""The run folder of the codes, warp and template, as functions the paper's."""

OUR_PHASE_1 = "our_embedding"
"""The same with coordinates beside space, which are ours."""


@dataclass(frozen=True)
class Method(ABC):
    """One way to answer a view with a mesh."""

    name: str  # in tables
    color: str = GREY  # one throughout the book: told apart in grey and by the colour-blind

    @property
    def told_more(self) -> bool:
        """Whether it is told more of a view than the image: it may not be called the best beside those that are not."""
        return False

    def can_answer(self, exam: Exam) -> bool:
        """Whether all that it needs is trained."""
        return True

    @abstractmethod
    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        """Its answers: for each group of the exam's shapes, those to each shape by the view's name.

        A method that looks at no view has one answer to a shape, under `NO_VIEW`.
        """


@dataclass(frozen=True)
class Learnt(Method):
    """A trained encoder with the decoder that belongs to it."""

    folder: str = ""  # its run folder within its category's

    @property
    @abstractmethod
    def decoder(self) -> str:
        """The run folder of the decoder that makes its meshes."""

    def is_trained(self, place: Path) -> bool:
        """Whether a category's folder of trainings holds it."""
        return (place / self.folder / "run.json").exists()

    @abstractmethod
    def load(self, place: Path, device: str = "cpu", embedding: EmbeddingRun | None = None) -> Reconstructor:
        """Its networks out of a category's folder of trainings.

        Args:
            place: That folder, `runs/<name>/<category>`.
            device: Where they shall live.
            embedding: The phase 1 that it stands on, if it is loaded already.

        Raises:
            RunError: A training that is needed is missing or broken.
        """

    def can_answer(self, exam: Exam) -> bool:
        return self.name in exam.arms

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        model, codes = exam.arms[self.name].model, exam.codes[self.name]
        for group in exam.groups:
            made = decode(model, codes[exam.of_views(group)], exam.bench.resolution, exam.bench.jobs)
            yield exam.by_shape([Answer(attempt) for attempt in made])


@dataclass(frozen=True)
class TwoPhase(Learnt):
    """An encoder onto the codes of phase 1."""

    phase_1: str = PHASE_1  # the run folder of that

    @property
    def decoder(self) -> str:
        return self.phase_1

    def load(self, place: Path, device: str = "cpu", embedding: EmbeddingRun | None = None) -> Reconstructor:
        embedding = embedding or load_embedding(place / self.decoder, device)
        encoder = load_regression(place / self.folder, embedding, device).encoder
        return Reconstructor(encoder, embedding.model, embedding.codes)


class EndToEnd(Learnt):
    """Encoder, warp and template in one training: a decoder of its own, and no codes (0 rows)."""

    @property
    def decoder(self) -> str:
        return self.folder

    def load(self, place: Path, device: str = "cpu", embedding: EmbeddingRun | None = None) -> Reconstructor:
        run = load_end_to_end(place / self.folder, device)
        return Reconstructor(run.encoder, run.model, torch.zeros((0, run.model.config.latent_dim), device=device))


@dataclass(frozen=True)
class RefinedEncoder(Method):
    """What an encoder sees, fitted to the outline in the image: single-view fitting by the encoder's own decoder."""

    of: str = ""  # the encoder; it has a head for the camera
    config: RefinementConfig = RefinementConfig()

    @property
    def told_more(self) -> bool:
        return self.config.camera_known

    def can_answer(self, exam: Exam) -> bool:
        return self.of in exam.arms and exam.arms[self.of].encoder.config.camera

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        arm, bench = exam.arms[self.of], exam.bench
        codes = exam.codes[self.of]
        start = Start(codes, exam.poses.to(codes)) if self.told_more else seen_in(arm, exam.flat)
        names = exam.names[:1] if self.told_more else exam.names  # seconds a view: for a bound the fixed one is enough
        for group in exam.groups:
            views = [
                row for row in range(len(exam.flat))[exam.of_views(group)] if exam.names[row % len(exam.names)] in names
            ]
            of_group = Start(*(part[views] for part in start))
            fit = refine_views(arm, exam.flat[views], of_group, self.config, bench.jobs)
            each = fit.seconds / len(fit.after.codes)
            made = decode(arm.model, fit.after.codes, bench.resolution, bench.jobs)
            answers = (Answer(replace(attempt, seconds=attempt.seconds + each)) for attempt in made)
            yield [{name: next(answers) for name in names} for _ in exam.shapes[group]]


class Retrieval(Method):
    """Answers each view with a training shape."""

    @abstractmethod
    def choose(self, exam: Exam) -> Int[np.ndarray, " views"]:
        """The rows of the gallery's shapes that answer the exam's views, all in one row."""

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        answers = exam.gallery.answers(self.choose(exam))
        for group in exam.groups:
            yield exam.by_shape(answers[exam.of_views(group)])


@dataclass(frozen=True)
class PixelNeighbour(Retrieval):
    """The shape whose 32 x 32 grey picture is nearest."""

    crop: bool = False  # whether the squares around the objects are compared

    def choose(self, exam: Exam) -> Int[np.ndarray, " views"]:
        return exam.gallery.nearest_to_images(exam.flat, self.crop)


class CodeNeighbour(Retrieval):
    """The shape whose predicted code is nearest."""

    def choose(self, exam: Exam) -> Int[np.ndarray, " views"]:
        return exam.gallery.nearest_to_codes(exam.best_codes)


class CodedNeighbour(Retrieval):
    """The shape of phase 1 whose learnt code is nearest."""

    def choose(self, exam: Exam) -> Int[np.ndarray, " views"]:
        return exam.gallery.nearest_coded(exam.best_codes)


class OracleRetrieval(Method):
    """The training shape that is nearest to the true one: what no retrieval can beat."""

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        surfaces = (exam.judged.store.read_surface(shape) for shape in exam.shapes)
        answers = exam.gallery.answers(exam.gallery.nearest_to_surfaces(surfaces, exam.bench.seed))
        for group in exam.groups:
            yield [{NO_VIEW: answer} for answer in answers[group]]


class MeanShape(Method):
    """The shape of the mean code: the same answer to all."""

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        best = exam.arms[exam.best]
        (mean,) = decode(best.model, mean_code(best.codes)[None], exam.bench.resolution)
        for group in exam.groups:
            yield [{NO_VIEW: Answer(mean)} for _ in exam.shapes[group]]


@dataclass(frozen=True)
class OracleCode(Method):
    """The code that fits the true shape best: what no encoder in front of this decoder can beat by much."""

    of: str = ""  # the encoder whose decoder it is; without one the better encoder's

    def can_answer(self, exam: Exam) -> bool:
        return not self.of or (self.of in exam.arms and self.of != exam.best)

    def answer(self, exam: Exam) -> Iterator[list[dict[str, Answer]]]:
        best, bench = exam.arms[self.of or exam.best], exam.bench
        cross = bench.collection.config.prepare.cross_samples > 0
        table = SDFTable.read(exam.shapes, exam.judged.store, bench.device, cross)
        fitted = fit_codes(best.model, table, exam.oracle, best.codes)
        for group in exam.groups:
            made = decode(best.model, fitted[group], bench.resolution, bench.jobs)
            yield [{NO_VIEW: Answer(attempt)} for attempt in made]


def decode(
    model: DeepImplicitTemplate, latent: Float[Tensor, "codes dim"], resolution: int, jobs: int = 1
) -> list[Attempt]:
    """The meshes (unit-sphere frame) of codes, side by side: as one batch on a GPU, in processes on a CPU."""
    start = time.perf_counter()
    if latent.is_cuda or jobs == 1:
        meshes = extract_meshes(model.shapes(latent), len(latent), resolution, jobs=jobs)
    else:
        parts = [part for part in latent.tensor_split(jobs) if len(part)]
        weights = model.state_dict()  # a network with weight norm itself cannot be sent
        tasks = (joblib.delayed(_extract)(model.config, weights, part, resolution) for part in parts)
        found: Any = joblib.Parallel(n_jobs=jobs)(tasks)
        meshes = [mesh for of_part in found for mesh in of_part]
    seconds = (time.perf_counter() - start) / max(1, len(latent))
    return [Attempt(mesh, seconds) for mesh in meshes]


def _extract(
    config: DeepImplicitTemplateConfig, weights: dict[str, Tensor], latent: Float[Tensor, "codes dim"], resolution: int
) -> list[trimesh.Trimesh | Exception]:
    model = DeepImplicitTemplate(config)
    model.load_state_dict(weights, strict=True)
    return extract_meshes(model.shapes(latent), len(latent), resolution)


# --- the methods of the tables, in their order

ENCODER = "encoder"
"""Phase 2 as the paper has it."""

OUR_ENCODER = "our encoder"
"""Our variant, onto our phase 1: it also learns through the frozen decoder, on shapes without a code, too."""

END_TO_END = "end to end"
"""Encoder, warp and template in one training, from a random trunk."""

END_TO_END_CONTRASTIVE = "end to end (contrastive)"
"""The same from a trunk that has learnt which views show one object."""

OUR_REFINED = "our encoder, refined"
"""Code and camera that our encoder sees, fitted to the outline."""

OUR_REFINED_KNOWN = "our encoder, refined, camera known"
"""The same from the true camera and the true frame, which no photograph has: a bound, not a method for images."""

NEAREST_PIXELS, NEAREST_CROPS = "nearest by pixels", "nearest by cropped pixels"
NEAREST_CODE, NEAREST_CODED = "nearest by code", "nearest coded shape"
ORACLE_RETRIEVAL, MEAN_SHAPE = "oracle retrieval", "mean shape"

ORACLE_CODE = "oracle code"
"""Of the better encoder's decoder, which is ours where it is trained."""

PAPERS_ORACLE_CODE = "oracle code (paper's decoder)"

Kind = TypeVar("Kind", bound=Method)


def _by_name(*methods: Kind) -> dict[str, Kind]:
    return {method.name: method for method in methods}


ENCODERS = _by_name(
    TwoPhase(ENCODER, "#005baa", "encoder"),
    TwoPhase(OUR_ENCODER, "#c8471e", "our_encoder", OUR_PHASE_1),
    EndToEnd(END_TO_END, "#3b9170", "end_to_end"),
    EndToEnd(END_TO_END_CONTRASTIVE, "#18451b", "end_to_end_contrastive"),
)
"""The methods that are trained on images."""

REFINED = _by_name(
    RefinedEncoder(OUR_REFINED, "#94104a", OUR_ENCODER),
    RefinedEncoder(OUR_REFINED_KNOWN, of=OUR_ENCODER, config=RefinementConfig(camera_known=True)),
)
"""What encoders see, fitted to the image: no training of their own, but seconds a view."""

RIVALS = _by_name(
    PixelNeighbour(NEAREST_PIXELS, "#5cc0e0"),
    PixelNeighbour(NEAREST_CROPS, crop=True),
    CodeNeighbour(NEAREST_CODE, "#d79132"),
    CodedNeighbour(NEAREST_CODED),
    OracleRetrieval(ORACLE_RETRIEVAL, "#151f19"),
    MeanShape(MEAN_SHAPE, "#c6c6c6"),
    OracleCode(ORACLE_CODE, "#381754"),
    OracleCode(PAPERS_ORACLE_CODE, "#8a90a0", of=ENCODER),
)
"""What stands beside them: by phase 1 and the better of its encoders, so none of it needs a training of its own."""

METHODS: dict[str, Method] = {**ENCODERS, **REFINED, **RIVALS}


def method_color(method: str) -> str:
    """The colour of a method; grey for one that the book does not know."""
    return METHODS[method].color if method in METHODS else GREY


def better_encoder(methods: Container[str]) -> str:
    """Of phase 2's encoders among some methods, the one that the book takes where it shows one; the plain one if none.

    It is ours wherever it is trained.
    """
    return OUR_ENCODER if OUR_ENCODER in methods else ENCODER


def better_phase_1(place: Path) -> str:
    """Of the phases 1 in a category's folder of trainings, the one that the book takes where it shows one: ours."""
    return OUR_PHASE_1 if (place / OUR_PHASE_1 / "run.json").exists() else PHASE_1


def trained_methods(place: Path) -> list[str]:
    """The encoders that a category's folder of trainings holds."""
    return [name for name, method in ENCODERS.items() if method.is_trained(place)]
