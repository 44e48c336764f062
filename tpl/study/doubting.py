"""What a category's networks must know to tell how far they can be trusted: measured on shapes that were held out."""

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, UInt8

from tpl.dataset.store import Store
from tpl.evaluation.rows import POINTS, case_rng
from tpl.geometry.marching import EmptyShape, sample_mesh
from tpl.geometry.whole import extract_whole
from tpl.inference import Reconstructor, encode, to_raw
from tpl.metrics import chamfer_distance
from tpl.pretrained.doubt import COUNTS, Clues, Doubt, calibrate, code_spread, coverage_of, distances_to, mode_of
from tpl.pretrained.sorting import Sorter, small_object
from tpl.refinement import coverage
from tpl.refinement.answering import STEPS, Answer, answer
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.exam import split_views
from tpl.study.methods import ENCODERS, OUR_ENCODER

VIEWS = 12
"""Views of each training shape whose codes are kept, and of each held-out shape whose distances to these are."""

SORTED = 5
"""Views of each training shape that tell categories apart."""


FEWEST = 8
"""Validation shapes below which there is no interval."""


class Measured(NamedTuple):
    """Answers to views of held-out shapes, by mode, and how wrong they are."""

    clues: list[Clues]
    chamfer: list[float]
    shapes: list[str]


def measure_doubt(bench: Bench, steps: int = STEPS) -> Doubt:
    """Calibrates on the validation shapes of a category, and measures on the test shapes what that is worth.

    Of each of these shapes one view is answered, in turn the fixed and a random one, then that and one or two random
    ones together: some ten seconds each.

    Args:
        bench: Of the category, whose own encoder of ours is trained.
        steps: Of the refinement.

    Raises:
        RunError: The encoder is not trained.
    """
    arm = ENCODERS[OUR_ENCODER].load(bench.folder, bench.device)
    spread = code_spread(arm)
    learnt, held = (_codes(arm, bench, split) / spread for split in ("train", "validation"))
    doubt = Doubt(learnt.astype(np.float16).astype(np.float32), np.sort(distances_to(learnt, held)).astype("f4"), {})
    of_split = {split: _answers(arm, doubt, bench, split, steps) for split in ("validation", "test")}
    calibrations = {}
    for mode in of_split["validation"]:
        found, judged = (of_split[split][mode] for split in ("validation", "test"))
        if len(set(found.shapes)) < FEWEST:
            continue
        calibration = calibrate(found.clues, np.array(found.chamfer), found.shapes)
        tested = coverage_of(calibration, judged.clues, np.array(judged.chamfer))
        calibrations[mode] = calibration._replace(tested=tested)
    return doubt._replace(calibrations=calibrations)


def learn_sorter(bench: Bench) -> Sorter:
    """What tells a bench's categories apart, learnt from their training views."""
    return Sorter.of({name: small_objects(bench.of(name), "train") for name in bench.categories})


def small_objects(bench: Bench, split: str) -> Float32[np.ndarray, "views features"]:
    """Some views of the shapes of a split, as `small_object` has them."""
    views = np.concatenate([_some_views(shape, bench.store, SORTED) for shape in bench.shapes(split)])
    covered = np.rint(255 * coverage(views, views.shape[1]).numpy()).astype(np.uint8)
    return np.stack([small_object(*one) for one in zip(views, covered, strict=True)])


def _codes(arm: Reconstructor, bench: Bench, split: str) -> Float[np.ndarray, "views dim"]:
    views = [_some_views(shape, bench.store) for shape in bench.shapes(split)]
    return encode(arm.encoder, np.concatenate(views)).cpu().numpy()


def _some_views(shape: Shape, store: Store, count: int = VIEWS) -> UInt8[np.ndarray, "views size size 3"]:
    views = np.concatenate([store.read_views(shape, kind)[0] for kind in ("fixed", "easy", "hard")])
    return views[np.linspace(0, len(views) - 1, min(count, len(views))).round().astype(int)]


def _answers(arm: Reconstructor, doubt: Doubt, bench: Bench, split: str, steps: int) -> dict[str, Measured]:
    """What is known of the answers to views of a split, and their distances from the truth, by `mode_of`.

    Where there is no surface there is no answer, and nothing to be said of it.
    """
    shapes = bench.shapes(split)
    images, _ = split_views(shapes, bench.store, max(COUNTS), bench.seed)
    found = {mode_of(fitted, count): Measured([], [], []) for count in COUNTS for fitted in (True, False)}
    for number, shape in enumerate(shapes):
        truth, frame = bench.store.read_surface(shape), bench.store.read_normalization(shape)
        for count in COUNTS:
            seen = images[number, number % 2 :][:count]
            with suppress(EmptyShape):
                for fitted, given in zip((True, False), _both(arm, seen, steps, bench.resolution), strict=True):
                    points = sample_mesh(to_raw(given.mesh, frame), POINTS, case_rng(bench.seed, shape.id))[0]
                    of_mode = found[mode_of(fitted, count)]
                    of_mode.clues.append(doubt.clues(arm, seen, given))
                    of_mode.chamfer.append(chamfer_distance(points, truth))
                    of_mode.shapes.append(shape.id)
    return found


def _both(
    arm: Reconstructor, images: UInt8[np.ndarray, "views size size 3"], steps: int, resolution: int
) -> tuple[Answer, Answer]:
    """The fitted answer to views of a shape, and the encoder's own."""
    fitted = answer(arm, images, coverage(images, images.shape[1]), steps, resolution)
    code = fitted.seen.mean(dim=0)
    return fitted, fitted._replace(
        mesh=extract_whole(arm.model.shape(code), resolution), code=code, after=fitted.before
    )
