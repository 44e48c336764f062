"""Small trainings, each measured by what matters for its phase: what settings are compared by (appendix A)."""

import functools
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from tpl.chapters.correspondence.transfer import TEMPLATE, Located
from tpl.dataset.batches import SDFTable, ViewTable
from tpl.evaluation.rows import WORST, attempt, case_rng
from tpl.files import digest, write_file
from tpl.geometry.correspondence import score_labels, transfer
from tpl.geometry.marching import extract_mesh, sample_mesh
from tpl.inference import encode, to_raw
from tpl.metrics import chamfer_distance
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.settings import validated
from tpl.shapes import Shape
from tpl.source_code import SHAPE_MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.training import (
    ContrastiveConfig,
    EmbeddingConfig,
    EmbeddingRun,
    EndToEndConfig,
    RegressionConfig,
    TrainingConfig,
    TrainingInterrupted,
    load_contrastive,
    load_embedding,
    train_contrastive,
    train_embedding,
    train_end_to_end,
    train_regression,
)
from tpl.training.presets import CONTRASTIVE, EMBEDDING, JOINT, REGRESSION
from tpl.training.representation import calibrated, measure

PhaseName = Literal["embedding", "regression", "contrastive", "end_to_end"]

POINTS_PER_SHAPE = 40
"""Points of a shape in a step of phase 1, fixed: what a sum over pairs weighs depends on it."""

HELD_OUT = 8
"""Every so many-th sample of a shape is kept from the training, to be measured at."""

ASKED_POINTS = 1024  # of a validation shape, at which the codes of its views are measured
SURFACE_POINTS = 10_000  # on either surface of a Chamfer distance
LABELLED_POINTS = 1000  # on either surface where labels are carried


class Budget(BaseModel):
    """How large the trainings are; the defaults are the profile `quick`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: PositiveInt = 3
    shapes: PositiveInt = 24  # with a code, in phases 1 and 2
    pictured: PositiveInt = 96  # whose views the other two phases learn from
    embedding_steps: PositiveInt = 600
    regression_steps: PositiveInt = 300
    contrastive_steps: PositiveInt = 150
    end_to_end_steps: PositiveInt = 250
    latent_dim: PositiveInt = 32
    warp_hidden: PositiveInt = 64
    warp_steps: PositiveInt = 4
    template_hidden: PositiveInt = 128
    template_layers: PositiveInt = 5
    width: PositiveInt = 16  # channels of the ResNet's first stage
    resolution: PositiveInt = Field(default=32, ge=2)  # grid cells along each side when a mesh is extracted
    scored_shapes: PositiveInt = 4  # whose Chamfer distance is measured
    precision: Literal["auto", "bf16", "fp32"] = "auto"


class Setup(NamedTuple):
    """What trials are made of, and where they leave what they came to."""

    bench: Bench
    budget: Budget
    data: str  # a hash of all prepared shapes that take part

    @classmethod
    def of(cls, bench: Bench, budget: Budget | None = None) -> "Setup":
        """Trials on the bench of a category.

        Raises:
            StoreError: Shapes are not prepared.
        """
        budget, store = budget or Budget(), bench.store
        learnt = bench.shapes("train")[: max(budget.shapes, budget.pictured)]
        data = digest(store.fingerprint(learnt, cross=True), store.fingerprint(bench.held_out()))
        return cls(bench, budget, data)

    def folder(self, phase: PhaseName) -> Path:
        """The run folder of the one training of a phase that trials of later phases start from."""
        return self.bench.folder / f"appendix_{phase}"

    def shapes(self, count: int) -> list[Shape]:
        """The first training shapes."""
        return self.bench.shapes("train")[:count]


class Trial(NamedTuple):
    """One training."""

    phase: PhaseName
    config: TrainingConfig


def trial_config(phase: PhaseName, changes: Mapping[str, Any], setup: Setup, seed: int = 0) -> TrainingConfig:
    """A phase's small configuration with some fields changed; `encoder.width` names the field of a field.

    Raises:
        SettingsError: A field does not exist or has a wrong value; the message names it.
    """
    values = {**_BASES[phase](setup.budget), "seed": seed, "precision": setup.budget.precision}
    if "encoder" in values:
        values["encoder"] = {**values["encoder"], "image_size": setup.bench.collection.config.prepare.image_size}
    for name, value in changes.items():
        *outer, field = name.split(".")
        if outer:
            values[outer[0]] = {**values[outer[0]], field: value}
        else:
            values[field] = value
    return validated(CONFIGS[phase], values)


def trial_key(trial: Trial, setup: Setup) -> str:
    """A hash of all that a trial's numbers depend on: code, configuration, data, its start, how it is measured."""
    b = setup.budget
    start = [trial_config(phase, {}, setup).model_dump() for phase in STARTS_FROM[trial.phase]]
    measured = (b.shapes, b.pictured, b.resolution, b.scored_shapes)
    code = code_digest("tpl.chapters.paper_and_code.trials", without=SHAPE_MAKERS)
    labels = code_digest("tpl.shapes.procedural", without=("tpl.rendering",))  # prepared shapes hold none
    return digest(code, labels, trial.phase, trial.config.model_dump(), start, measured, setup.data)


def make_starts(phases: set[PhaseName], setup: Setup) -> None:
    """Trains, or finds trained, what trials of these phases start from: the same for all of them."""
    needed = {start for phase in phases for start in STARTS_FROM[phase]}
    if "embedding" in needed:
        config = trial_config("embedding", {}, setup)
        _learn_embedding(config, setup, setup.folder("embedding"))
    if "contrastive" in needed:
        config = trial_config("contrastive", {}, setup)
        _learn_contrastive(config, setup, setup.folder("contrastive"))


def kept_trial(key: str, setup: Setup) -> Path:
    """The file of what a trial came to, there when it is finished."""
    return setup.bench.shelf / "trials" / f"{key}.json"


def run_trial(key: str, trials: Mapping[str, Trial], setup: Setup) -> dict[str, Any]:
    """Trains, measures and keeps one of some trials: its measures, `seconds` of training, and a `reason` if it failed.

    One thread, wherever it is called: another number of threads would change the last digits.
    """
    trial, threads = trials[key], torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    try:
        found: dict[str, Any] = {**_TRIALS[trial.phase](trial.config, setup), "reason": ""}
    except TrainingInterrupted as error:
        found = {"reason": str(error)}
    finally:
        torch.set_num_threads(threads)
    found["seconds"] = round(time.perf_counter() - start, 1)
    write_file(kept_trial(key, setup), lambda path: path.write_text(json.dumps(found)))
    return found


# --- the small configurations


def _model(b: Budget) -> dict[str, Any]:
    sizes = {name: getattr(b, name) for name in ("latent_dim", "warp_hidden", "warp_steps")}
    return {**sizes, "template_hidden": b.template_hidden, "template_layers": b.template_layers, "dropout": 0.0}


def _epochs(steps: int, shapes: int, batch: int) -> int:
    return max(1, round(steps / math.ceil(shapes / batch)))


def _small_embedding(b: Budget) -> dict[str, Any]:
    return {
        **EMBEDDING["fixed"],
        "epochs": _epochs(b.embedding_steps, b.shapes, 16),
        "model": {**_model(b), "weight_norm": False},
        "shapes_per_batch": 16,
        "points_per_shape": POINTS_PER_SHAPE,
        "warp_rate": 3e-3,
        "template_rate": 3e-3,
        "code_rate": 5e-3,
        "schedule": "cosine",
        "warmup": 0.03,
    }


def _small_regression(b: Budget) -> dict[str, Any]:
    return {
        **REGRESSION["fixed"],
        "epochs": _epochs(b.regression_steps, b.shapes, 24),
        "encoder": {"latent_dim": b.latent_dim, "width": b.width},
        "views_per_batch": 24,
        "weight_decay": 0.01,
        "standardise": True,
    }


def _small_contrastive(b: Budget) -> dict[str, Any]:
    return {
        **CONTRASTIVE["fixed"],
        "epochs": _epochs(b.contrastive_steps, b.pictured, 32),
        "encoder": {"latent_dim": b.latent_dim, "width": b.width},
        "pairs_per_batch": 32,
        "learning_rate": 1e-3,
    }


def _small_end_to_end(b: Budget) -> dict[str, Any]:
    return {
        **JOINT["fixed"],
        "epochs": _epochs(b.end_to_end_steps, b.pictured, 24),
        "model": {**_model(b), "weight_norm": False},
        "encoder": {"latent_dim": b.latent_dim, "width": b.width},
        "views_per_batch": 24,
        "points_per_view": 64,
        "outputs": "last",
        "pointwise_outputs": "last",
        "pointwise_boost": 1.0,
        "pointpair_weight": 0.0,
        "start": "contrastive",
        "decoder_start": "embedding",
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warmup": 0.05,
    }


# --- a training of each phase, and its measures


def _learn_embedding(config: Any, setup: Setup, folder: Path | None) -> tuple[EmbeddingRun, Tensor]:
    shapes, store = setup.shapes(setup.budget.shapes), setup.bench.store
    learnt, held = hold_out(SDFTable.read(shapes, store, setup.bench.device, cross=True))
    return train_embedding(learnt, config, folder, setup.data, progress=False), held


def _learn_contrastive(config: Any, setup: Setup, folder: Path | None) -> tuple[torch.nn.Module, ViewTable]:
    shapes, store = setup.shapes(setup.budget.pictured), setup.bench.store
    views = ViewTable.read(shapes, store, setup.bench.device)
    return train_contrastive(views, config, folder, setup.data, progress=False).trunk, views


def _try_embedding(config: Any, setup: Setup) -> dict[str, float]:
    run, held = _learn_embedding(config, setup, None)
    shapes = setup.shapes(setup.budget.scored_shapes)
    distances = [_chamfer(run.model, code, shape, setup) for shape, code in zip(shapes, run.codes, strict=False)]
    return {
        "chamfer": sum(distances) / len(distances),
        "sdf_error": sdf_error(run.model, run.codes[:, None], held, config.truncation),
        "label_iou": label_iou(lambda row, points: run.model.canonical(points, run.codes[row]), setup),
    }


def _try_regression(config: Any, setup: Setup) -> dict[str, float]:
    embedding = load_embedding(setup.folder("embedding"), setup.bench.device)
    shapes, store = setup.shapes(len(embedding.codes)), setup.bench.store
    encoder = train_regression(
        embedding, ViewTable.read(shapes, store, setup.bench.device), None, config, progress=False
    ).encoder
    # Only training shapes have a code: they are asked from the fixed camera, which the training never used.
    fixed = ViewTable.read(shapes, store, setup.bench.device, kinds=("fixed",))
    error = (_codes(encoder, fixed)[:, 0] - embedding.codes).abs().mean().item()
    return {"code_error": error, "sdf_error": _validation_error(encoder, embedding.model, setup, config.truncation)}


def _try_contrastive(config: Any, setup: Setup) -> dict[str, float]:
    trunk, views = _learn_contrastive(config, setup, None)
    others = setup.bench.held_out()
    watched = ViewTable.read(others, setup.bench.store, setup.bench.device)
    return {"retrieval": measure(calibrated(trunk, views), watched).retrieval}


def _try_end_to_end(config: Any, setup: Setup) -> dict[str, float]:
    embedding = load_embedding(setup.folder("embedding"), setup.bench.device)
    trunk = load_contrastive(setup.folder("contrastive"), setup.bench.device).trunk
    shapes, store = setup.shapes(setup.budget.pictured), setup.bench.store
    views = ViewTable.read(shapes, store, setup.bench.device)
    table = SDFTable.read(shapes, store, setup.bench.device, cross=True)
    run = train_end_to_end(views, table, config, trunk=trunk, embedding=embedding, progress=False)
    return {"sdf_error": _validation_error(run.encoder, run.model, setup, config.truncation)}


def hold_out(table: SDFTable) -> tuple[SDFTable, Float[Tensor, "shapes held 4"]]:
    """A table without every eighth of its samples, and these: `x y z sdf`, own and cross samples."""
    parts = (table.samples, table.cross)
    kept = [part[:, torch.arange(part.shape[1], device=table.device) % HELD_OUT > 0] for part in parts]
    held = torch.cat([part[:, ::HELD_OUT] for part in parts], dim=1)
    return SDFTable.from_rows(kept[0], kept[1], table.device), held


@torch.inference_mode()
def sdf_error(
    model: DeepImplicitTemplate,
    codes: Float[Tensor, "shapes views dim"],
    samples: Float[Tensor, "shapes points 4"],
    truncation: float | int,
) -> float:
    """Mean absolute difference between decoded and true signed distances, both truncated (unit-sphere lengths).

    Args:
        model: The decoder.
        codes: Some for each shape.
        samples: `x y z sdf` of the shapes, at which each of its codes is asked.
        truncation: Both are clamped to this distance from zero.
    """
    model.eval()
    errors = []
    for latent, rows in zip(codes, samples, strict=True):
        predicted = model(rows[:, :3].expand(len(latent), -1, -1), latent)
        true = rows[:, 3].clamp(-truncation, truncation)
        errors.append((predicted.clamp(-truncation, truncation) - true).abs().mean())
    return torch.stack(errors).mean().item()


def label_iou(places: Callable[[int, Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]], setup: Setup) -> float:
    """How well part labels are carried between training shapes by nearest places, as chapter 10 scores it.

    The first third of the labelled shapes are exemplars, one at a time, and the others its targets.

    Args:
        places: Where points of a shape lie (unit-sphere frame), by the shape's row and the points.
        setup: Whose shapes with a code these are.

    Returns:
        The mean intersection over union; NaN where fewer than two shapes have labels.
    """
    frame = setup.bench.store.read_normalization
    samples = [
        Located(shape, frame(shape), functools.partial(places, row)).sample(LABELLED_POINTS)
        for row, shape in enumerate(setup.shapes(setup.budget.shapes))
        if shape.source == "procedural"
    ]
    exemplars = max(1, len(samples) // 3)
    scores = []
    for target in samples[exemplars:]:
        for source in samples[:exemplars]:
            carried = transfer(source.label, source.places[TEMPLATE], target.places[TEMPLATE])
            scores.append(score_labels(carried, target.label, source.label).mean_iou)
    return sum(scores) / len(scores) if scores else math.nan


def _validation_error(encoder: Encoder, model: DeepImplicitTemplate, setup: Setup, truncation: float) -> float:
    shapes, store = setup.bench.shapes("validation"), setup.bench.store
    codes = _codes(encoder, ViewTable.read(shapes, store, setup.bench.device))
    samples = SDFTable.read(shapes, store, setup.bench.device, cross=False).samples
    asked = torch.linspace(0, samples.shape[1] - 1, min(ASKED_POINTS, samples.shape[1])).round().long()
    return sdf_error(model, codes, samples[:, asked], truncation)


def _codes(encoder: Encoder, views: ViewTable) -> Float[Tensor, "shapes views dim"]:
    images = views.images.flatten(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return encode(encoder, images).unflatten(0, views.images.shape[:2])


def _chamfer(model: DeepImplicitTemplate, code: Tensor, shape: Shape, setup: Setup) -> float:
    """In raw units; a code without a surface counts as the worst there can be."""
    store = setup.bench.store
    frame = store.read_normalization(shape)
    made = attempt(lambda: to_raw(extract_mesh(model.shape(code), setup.budget.resolution), frame)).result
    if isinstance(made, Exception):
        return WORST
    rng = case_rng(0, shape.id)
    return chamfer_distance(sample_mesh(made, SURFACE_POINTS, rng)[0], store.read_surface(shape)[:SURFACE_POINTS])


CONFIGS: dict[PhaseName, type[TrainingConfig]] = {
    "embedding": EmbeddingConfig,
    "regression": RegressionConfig,
    "contrastive": ContrastiveConfig,
    "end_to_end": EndToEndConfig,
}

STARTS_FROM: dict[PhaseName, tuple[PhaseName, ...]] = {
    "embedding": (),
    "regression": ("embedding",),
    "contrastive": (),
    "end_to_end": ("embedding", "contrastive"),
}
"""The small trainings that a phase's trials start from, of seed 0 whatever the trial's own."""

_BASES: dict[PhaseName, Callable[[Budget], dict[str, Any]]] = {
    "embedding": _small_embedding,
    "regression": _small_regression,
    "contrastive": _small_contrastive,
    "end_to_end": _small_end_to_end,
}
_TRIALS: dict[PhaseName, Callable[[Any, Setup], dict[str, float]]] = {
    "embedding": _try_embedding,
    "regression": _try_regression,
    "contrastive": _try_contrastive,
    "end_to_end": _try_end_to_end,
}
