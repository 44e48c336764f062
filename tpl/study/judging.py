"""The trainings and the evaluation of one category, from the data folder to the run folder: what chapters call.

Each function takes a category first and returns a path, so that `side_by_side` can run the categories in processes.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import igl
import joblib
import numpy as np
import trimesh
from jaxtyping import Float
from torch import Tensor

from tpl.dataset.batches import SDFTable
from tpl.dataset.collection import Collection
from tpl.dataset.store import Store
from tpl.evaluation.results import write_results
from tpl.evaluation.retrieval import nearest_by_code, nearest_by_pixels, nearest_by_surface
from tpl.evaluation.rows import (
    DRAWS,
    NO_VIEW,
    POINTS,
    Attempt,
    Case,
    attempt,
    case_rng,
    evaluate_reconstruction,
    random_views,
)
from tpl.files import beside, write_atomically
from tpl.geometry.marching import extract_meshes
from tpl.inference import OracleConfig, Reconstructor, encode, fit_codes, mean_code, to_raw
from tpl.meshes import clean_mesh
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig
from tpl.shapes import Shape
from tpl.study.methods import FOLDERS, ORACLE_RETRIEVAL, RETRIEVED, RIVALS, TWO_PHASE, better_encoder, trained_methods
from tpl.training import (
    RunFolder,
)

AT_ONCE = 8
"""Shapes of a split whose meshes are in memory at the same time."""


def results_file(runs: Path | str, category: str, split: str = "test", judged: Path | str = "") -> Path:
    """Where `evaluate_category` leaves the rows of a split; of another collection's split, if its folder is named."""
    return Path(runs) / "results" / f"{beside(f'{category}_{split}', Path(judged).name)}.csv"


def evaluate_category(
    category: str,
    collection: Collection,
    runs: Path | str,
    split: str = "test",
    device: str = "cpu",
    resolution: int = 64,
    oracle: OracleConfig | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    jobs: int = 1,
    judged: Collection | None = None,
    methods: Sequence[str] = tuple(FOLDERS),
) -> Path:
    """Every method on every shape and view of a split; returns the file of rows.

    Methods that look at an image see the fixed view ("fix") and `draws` seeded random ones ("rnd0", ...). Each encoder
    decodes by the decoder that it was trained with. Beside the encoders stand, by phase 1 and the better of its two
    encoders: the shape whose 32 x 32 grey picture is nearest (all training shapes), those whose predicted code is
    nearest (all training shapes, and those with a code of phase 1), that whose surface is nearest to the true one
    (all training shapes), the mean code's shape and the oracle's.

    The codes of some shapes are decoded side by side, then measured. On a GPU they are one batch; what a CPU does is
    shared by `jobs` processes, on which no number depends but the seconds.

    Args:
        category: Which.
        collection: Holds the shapes that the networks were trained on, and those that retrieval chooses from.
        runs: Folder of the run.
        split: Of the shapes that are judged.
        device: Where the networks work.
        resolution: Grid cells along each side when a mesh is extracted.
        oracle: How codes are fitted.
        draws: Random views of each shape.
        seed: Of all randomness.
        jobs: Processes on a CPU.
        judged: Another collection, whose split is judged; its rows go into a file of their own.
        methods: Those encoders that are judged, where they have been trained.
    """
    file = results_file(runs, category, split, judged.folder if judged else "")
    judged = judged or collection
    oracle = oracle or OracleConfig()
    arms = {
        method: Reconstructor.load(runs, category, device, FOLDERS[method])
        for method in trained_methods(runs, category)
        if method in methods
    }
    if not arms.keys() & set(TWO_PHASE):
        Reconstructor.load(runs, category, device)  # says what is missing
    shapes, store = judged.shapes(category, split), judged.store
    cross = collection.config.prepare.cross_samples > 0
    training = collection.shapes(category, "seen")
    key = {
        "data": [store.fingerprint(shapes, cross), collection.store.fingerprint(training, cross)],
        "runs": {method: RunFolder(Path(runs) / category / FOLDERS[method]).digest() for method in arms},
        "settings": [resolution, draws, seed, oracle.model_dump()],
        "rivals": list(RIVALS),
    }
    key_file = file.with_suffix(".json")
    if file.exists() and key_file.exists() and json.loads(key_file.read_text()) == key:
        return file  # evaluated already, from the very same weights and shapes
    key_file.unlink(missing_ok=True)
    better = better_encoder(arms)
    best = arms[better]
    views, names = split_views(shapes, store, draws, seed)
    flat = views.reshape(-1, *views.shape[2:])
    predicted = {method: encode(arm.encoder, flat) for method, arm in arms.items()}
    gallery = Gallery(collection, category, best)
    asked = predicted[better].cpu().numpy()
    retrieved = {
        "nearest by pixels": gallery.nearest_to_images(flat),
        "nearest by code": gallery.nearest_to_codes(asked),
        "nearest coded shape": gallery.nearest_coded(asked),
    }
    table = SDFTable.read(shapes, store, device, cross)
    fitted = fit_codes(best.model, table, oracle, best.codes)
    mean = _decode(best.model, mean_code(best.codes)[None], resolution)[0]
    answers = {  # the training shapes that retrieval names for each view
        method: [gallery.shapes[row] for row in found] for method, found in retrieved.items()
    }
    surfaces = (store.read_surface(shape) for shape in shapes)
    nearest_of_all = [gallery.shapes[row] for row in gallery.nearest_to_surfaces(surfaces, seed)]
    named = {shape.id: shape for found in [*answers.values(), nearest_of_all] for shape in found}
    seen: Any = joblib.Parallel(n_jobs=jobs)(joblib.delayed(_try_what_is_seen)(shape) for shape in named.values())
    meshes: dict[str, Attempt] = dict(zip(named, seen, strict=True))

    rows = []
    for first in range(0, len(shapes), AT_ONCE):
        group = slice(first, first + AT_ONCE)
        of_views = slice(first * len(names), (first + AT_ONCE) * len(names))
        made = {
            method: _decode(arm.model, predicted[method][of_views], resolution, jobs) for method, arm in arms.items()
        }
        fits = _decode(best.model, fitted[group], resolution, jobs)
        found = {method: answer[of_views] for method, answer in answers.items()}
        tasks = []
        for number, shape in enumerate(shapes[group]):
            of_shape = slice(number * len(names), (number + 1) * len(names))
            decoded = {method: dict(zip(names, attempts[of_shape], strict=True)) for method, attempts in made.items()}
            nearest = {
                method: {view: answer.id for view, answer in zip(names, shapes_named[of_shape], strict=True)}
                for method, shapes_named in found.items()
            }
            nearest[ORACLE_RETRIEVAL] = {NO_VIEW: nearest_of_all[first + number].id}
            asked_for = {answer: meshes[answer] for views in nearest.values() for answer in views.values()}
            alone = {"mean shape": mean, "oracle code": fits[number]}
            tasks.append(joblib.delayed(_judge_shape)(shape, store, seed, names, decoded, nearest, asked_for, alone))
        rows += [row for of_shape in joblib.Parallel(n_jobs=jobs)(tasks) for row in of_shape]  # type: ignore[union-attr]
    write_results(file, rows, f"{POINTS} points, raw units, grid {resolution}", seed, str(runs))
    write_atomically(key_file, lambda path: path.write_text(json.dumps(key)))
    return file


class Gallery:
    """What retrieval chooses from: all training shapes, by their pictures, their predicted codes or their surfaces."""

    def __init__(self, collection: Collection, category: str, arm: Reconstructor):
        self.shapes, self.store = collection.shapes(category, "seen"), collection.store
        per_shape = [
            np.concatenate([self.store.read_views(shape, kind)[0] for kind in ("easy", "hard")])
            for shape in self.shapes
        ]
        self.views = np.concatenate(per_shape)
        self.owner = np.repeat(np.arange(len(self.shapes)), [len(views) for views in per_shape])
        # A shape's place among codes is the mean of what the encoder makes of its views.
        codes = encode(arm.encoder, self.views).cpu().numpy()
        self.codes = np.stack([codes[self.owner == row].mean(axis=0) for row in range(len(self.shapes))])
        self.learnt = arm.codes.cpu().numpy()  # of the first shapes, as phase 1 left them

    def nearest_to_images(self, images: np.ndarray) -> np.ndarray:
        """Rows of the training shapes that own the most similar 32 x 32 grey pictures."""
        return self.owner[nearest_by_pixels(images, self.views)]

    def nearest_to_codes(self, codes: np.ndarray) -> np.ndarray:
        """Rows of the training shapes whose own predicted codes are nearest."""
        return nearest_by_code(codes, self.codes)

    def nearest_to_surfaces(self, surfaces: Iterable[np.ndarray], seed: int) -> np.ndarray:
        """Rows of the training shapes whose surfaces are nearest to these."""
        return nearest_by_surface(surfaces, (self.store.read_surface(shape) for shape in self.shapes), seed=seed)

    def nearest_coded(self, codes: np.ndarray) -> np.ndarray:
        """Rows of the shapes of phase 1 whose learnt codes are nearest."""
        return nearest_by_code(codes, self.learnt)


def split_views(shapes: list[Shape], store: Store, draws: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """The images that methods are judged on: (shapes, 1 + draws, h, w, 3), and the views' names."""
    images = []
    for shape in shapes:
        pool = np.concatenate([store.read_views(shape, kind)[0] for kind in ("easy", "hard")])
        drawn = pool[random_views(shape.id, len(pool), draws, seed)]
        images.append(np.concatenate([store.read_views(shape, "fixed")[0], drawn]))
    return np.stack(images), ["fix", *(f"rnd{draw}" for draw in range(draws))]


def surface_normals(shape: Shape, points: np.ndarray) -> np.ndarray:
    """Unit normals of a shape's mesh at points of its surface, for the normal consistency."""
    mesh = shape.load()
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    tree = igl.AABB()
    tree.init(vertices, faces)
    _, nearest, _ = tree.squared_distance(vertices, faces, points)
    return np.asarray(mesh.face_normals)[np.asarray(nearest)]


def _decode(
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


def _judge_shape(
    shape: Shape,
    store: Store,
    seed: int,
    names: Sequence[str],
    decoded: dict[str, dict[str, Attempt]],
    nearest: dict[str, dict[str, str]],
    retrieved: dict[str, Attempt],
    alone: dict[str, Attempt],
) -> list[dict]:
    """The rows of one shape.

    Args:
        shape: Of the split.
        store: Where it is prepared.
        seed: Of the points that are drawn.
        names: Of its views.
        decoded: What each method made of each view (unit-sphere frame).
        nearest: The id of the training shape with which each method of retrieval answers to each view, or without one.
        retrieved: The meshes of these shapes, raw frame.
        alone: What methods made that look at no view.
    """
    truth, normalization = store.read_surface(shape), store.read_normalization(shape)
    normals = surface_normals(shape, truth)

    def judge(view: str, method: str, made: Attempt) -> dict:
        case = Case(shape.category, shape.split, shape.id, shape.family, view, method)
        rng = case_rng(seed, shape.id, view, method)
        return evaluate_reconstruction(case, made.result, truth, normals, rng, made.seconds)

    def in_raw(made: Attempt) -> Attempt:
        return made if isinstance(made.result, Exception) else replace(made, result=to_raw(made.result, normalization))

    rows = [judge(view, method, in_raw(made[view])) for view in names for method, made in decoded.items()]
    answers = {}  # several views of a shape often retrieve the same one: it is measured once
    for method, found in nearest.items():
        for view, answer in found.items():
            if answer not in answers:
                answers[answer] = judge(NO_VIEW, RETRIEVED, retrieved[answer])
            rows.append({**answers[answer], "view": view, "method": method})
    return rows + [judge(NO_VIEW, method, in_raw(made)) for method, made in alone.items()]


def _try_what_is_seen(shape: Shape) -> Attempt:
    """The mesh of a training shape, raw frame; of one that is open, the faces that can be seen."""

    def seen() -> trimesh.Trimesh:
        mesh = shape.load()
        return mesh if mesh.is_watertight else clean_mesh(mesh, np.random.default_rng(0)).mesh

    return attempt(seen)


# --- contrastive pre-training
