"""The evaluation of one category: every method on every shape and view of a split, as rows in a file."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import igl
import joblib
import numpy as np

from tpl.dataset.collection import Collection
from tpl.dataset.store import Store
from tpl.evaluation.results import write_results
from tpl.evaluation.rows import DRAWS, NO_VIEW, POINTS, Attempt, Case, case_rng, evaluate_reconstruction
from tpl.files import beside, write_file
from tpl.inference import OracleConfig, to_raw
from tpl.shapes import Shape
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.exam import Answer, Exam, split_views
from tpl.study.methods import ENCODER, ENCODERS, METHODS, REFINED, TwoPhase, better_encoder, trained_methods
from tpl.watching import Stage

RETRIEVED = "retrieved"
"""Any method that answers with a training shape, where it does not matter which."""


def results_file(bench: Bench, split: str = "test", judged: Path | str = "") -> Path:
    """Where `evaluate_category` leaves the rows of a split; of another collection's split, if its folder is named."""
    return bench.runs / "results" / f"{beside(f'{bench.category}_{split}', Path(judged).name)}.csv"


def evaluate_category(
    bench: Bench,
    split: str = "test",
    oracle: OracleConfig | None = None,
    draws: int = DRAWS,
    judged: Collection | None = None,
    methods: Sequence[str] = tuple(ENCODERS),
) -> Path:
    """Every method on every shape and view of a split; returns the file of rows.

    Methods that look at an image see the fixed view ("fix") and `draws` seeded random ones ("rnd0", ...). Each encoder
    decodes by the decoder that it was trained with; beside them stand the others of `METHODS`, by phase 1 and the
    better of its two encoders.

    The codes of some shapes are decoded side by side, then measured. On a GPU they are one batch; what a CPU does is
    shared by the bench's `jobs` processes, on which no number depends but the seconds.

    Args:
        bench: Of the category: its shapes are those that the networks were trained on and that retrieval chooses from.
        split: Of the shapes that are judged.
        oracle: How codes are fitted.
        draws: Random views of each shape.
        judged: Another collection, whose split is judged; its rows go into a file of their own.
        methods: Those encoders that are judged, where they have been trained.
    """
    file = results_file(bench, split, judged.folder if judged else "")
    judged, oracle = judged or bench.collection, oracle or OracleConfig()
    names = [name for name in trained_methods(bench.folder) if name in methods]
    if not any(isinstance(ENCODERS[name], TwoPhase) for name in names):
        ENCODERS[ENCODER].load(bench.folder, bench.device)  # says what is missing
    shapes = judged.shapes(bench.category, split)
    key, key_file = _key(bench, judged, shapes, names, draws, oracle), file.with_suffix(".json")
    if file.exists() and key_file.exists() and json.loads(key_file.read_text()) == key:
        return file  # evaluated already, from the very same weights and shapes
    key_file.unlink(missing_ok=True)
    arms = {name: ENCODERS[name].load(bench.folder, bench.device) for name in names}
    views, view_names = split_views(shapes, judged.store, draws, bench.seed)
    exam = Exam(bench, judged, shapes, views, view_names, oracle, arms, better_encoder(arms))
    rows = _judge(exam, [name for name, method in METHODS.items() if method.can_answer(exam)])
    write_results(file, rows, f"{POINTS} points, raw units, grid {bench.resolution}", bench.seed, str(bench.runs))
    write_file(key_file, lambda path: path.write_text(json.dumps(key)))
    return file


def _key(
    bench: Bench, judged: Collection, shapes: list[Shape], names: Sequence[str], draws: int, oracle: OracleConfig
) -> dict:
    """All that the rows depend on."""
    cross = bench.collection.config.prepare.cross_samples > 0
    return {
        "data": [judged.store.fingerprint(shapes, cross), bench.store.fingerprint(bench.shapes("seen"), cross)],
        "runs": {name: bench.run(ENCODERS[name].folder).digest() for name in names},
        "settings": [bench.resolution, draws, bench.seed, oracle.model_dump()],
        "others": [name for name in METHODS if name not in ENCODERS],
        "refinement": {name: method.config.model_dump(mode="json") for name, method in REFINED.items()},
        "code": code_digest("tpl.study.judging", without=MAKERS),
    }


def _judge(exam: Exam, methods: Sequence[str]) -> list[dict]:
    """The rows of all shapes: group by group what each method answers is measured, a shape a process."""
    rows, groups, done = [], [*exam.groups], itertools.count(1)
    told = Stage(f"{exam.bench.category}, judged", len(groups) * (len(methods) + 1), unit="answers")
    streams = [METHODS[name].answer(exam) for name in methods]
    for group in groups:
        answers = []
        for stream in streams:
            answers.append(next(stream))
            told.tell(next(done))
        by_shape = [dict(zip(methods, of_shape, strict=True)) for of_shape in zip(*answers, strict=True)]
        tasks = (
            joblib.delayed(_judge_shape)(shape, exam.judged.store, exam.bench.seed, exam.names, of_shape)
            for shape, of_shape in zip(exam.shapes[group], by_shape, strict=True)
        )
        rows += [row for of_shape in joblib.Parallel(n_jobs=exam.bench.jobs)(tasks) for row in of_shape]  # type: ignore[union-attr]
        told.tell(next(done))
    told.end()
    return rows


def _judge_shape(
    shape: Shape, store: Store, seed: int, names: Sequence[str], answers: Mapping[str, Mapping[str, Answer]]
) -> list[dict]:
    """The rows of one shape.

    Args:
        shape: Of the split.
        store: Where it is prepared.
        seed: Of the points that are drawn.
        names: Of its views.
        answers: Of each method, by view.
    """
    truth, normalization = store.read_surface(shape), store.read_normalization(shape)
    normals = surface_normals(shape, truth)

    def judge(view: str, method: str, made: Attempt) -> dict:
        case = Case(shape.category, shape.split, shape.id, shape.family, view, method)
        rng = case_rng(seed, shape.id, view, method)
        return evaluate_reconstruction(case, made.result, truth, normals, rng, made.seconds)

    def in_raw(made: Attempt) -> Attempt:
        return made if isinstance(made.result, Exception) else replace(made, result=to_raw(made.result, normalization))

    rows, found = [], {}  # several views of a shape often retrieve the same one: it is measured once
    for method, view in _in_turn(names, answers):
        made, retrieved = answers[method][view]
        if not retrieved:
            rows.append(judge(view, method, in_raw(made)))
            continue
        if retrieved not in found:
            found[retrieved] = judge(NO_VIEW, RETRIEVED, made)
        rows.append({**found[retrieved], "view": view, "method": method})
    return rows


def _in_turn(names: Sequence[str], answers: Mapping[str, Mapping[str, Answer]]) -> list[tuple[str, str]]:
    """Methods and views in the order of the tables: the encoders view by view, then method by method."""
    encoders = [method for method in answers if method in ENCODERS]
    others = [(method, view) for method, views in answers.items() if method not in ENCODERS for view in views]
    return [(method, view) for view in names for method in encoders] + others


def surface_normals(shape: Shape, points: np.ndarray) -> np.ndarray | None:
    """Unit normals of a shape's mesh, if it has one, at points of its surface, for the normal consistency."""
    if not shape.has_mesh:
        return None
    mesh = shape.load()
    vertices, faces = np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)
    tree = igl.AABB()
    tree.init(vertices, faces)
    _, nearest, _ = tree.squared_distance(vertices, faces, points)
    return np.asarray(mesh.face_normals)[np.asarray(nearest)]
