"""What a second and a third picture of an object are worth, and what the fit to the outlines is: by test shapes."""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from tpl.files import digest, write_file
from tpl.refinement.answering import STEPS, fitted_code
from tpl.refinement.silhouettes import coverage
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.exam import split_views
from tpl.study.methods import ENCODERS, OUR_ENCODER
from tpl.study.trained import Trained, score_codes


class Pictures(NamedTuple):
    """How a code is found."""

    count: int  # of the pictures
    steps: int  # of the fit to their outlines


WAYS = {
    "one picture": Pictures(1, 0),
    "one, fitted": Pictures(1, STEPS),
    "three pictures": Pictures(3, 0),
    "three, fitted": Pictures(3, STEPS),
}
"""By their names; in the tables they stand where a method does."""

PLACES = {"fix": (0, 1, 2), "rnd0": (1, 2, 3)}
"""Which of a shape's views (the fixed one, then random ones) are the first, second and third picture."""


def score_pictures(bench: Bench, count: int = 8, split: str = "test") -> pd.DataFrame:
    """How far from the truth our encoder's answers to one and to three pictures of a shape are, as seen and as fitted.

    The pictures are prepared views. One that is named "fix" begins with the fixed view, "rnd0" has random ones alone.

    Args:
        bench: Of a category. Its shapes need not be those that its networks were trained on.
        count: Of the first shapes of the split.
        split: Of the shapes.

    Returns:
        Rows as an evaluation has them, with the ways of `WAYS` as methods, and the seconds from pictures to code.

    Raises:
        RunError: The encoder is not trained.
    """
    trained = Trained(bench, [ENCODERS[OUR_ENCODER]])
    shapes = bench.shapes(split)[:count]
    images, _ = split_views(shapes, bench.store, max(map(max, PLACES.values())), bench.seed)
    codes, seconds = _fitted(trained, images, bench.store.fingerprint(shapes))
    keys = [(view, way) for view in PLACES for way in WAYS]
    asked = [(shape, f"{view}, {way}", OUR_ENCODER) for shape in shapes for view, way in keys]
    found = torch.from_numpy(codes).to(bench.device).flatten(0, 1)
    rows = score_codes(trained, [(*of, code) for of, code in zip(asked, found, strict=True)])
    view, way = zip(*keys * len(shapes), strict=True)
    return rows.assign(view=view, method=way, seconds=seconds.flatten())


def _fitted(trained: Trained, images: np.ndarray, data: str) -> tuple[np.ndarray, np.ndarray]:
    """A code for each shape and, in its row, each place and way; and the seconds that each took."""
    trained.decoder(OUR_ENCODER)  # says what is missing
    bench, arm = trained.bench, trained.arms[OUR_ENCODER]
    weights = [bench.run(folder).digest() for folder in (ENCODERS[OUR_ENCODER].folder, ENCODERS[OUR_ENCODER].decoder)]
    key = digest(code_digest("tpl.study.photographs", without=MAKERS), weights, data, images.tobytes())
    path = bench.shelf / "pictures" / f"{key}.npz"
    if not path.exists():
        codes, seconds = [], []
        for of_shape in images:
            for places in PLACES.values():
                for way in WAYS.values():
                    began, seen = time.perf_counter(), of_shape[[*places[: way.count]]]
                    covered = coverage(seen, seen.shape[1]).to(arm.codes)
                    codes.append(fitted_code(arm, seen, covered, way.steps).code.cpu().numpy())
                    seconds.append(time.perf_counter() - began)
        shape = (len(images), len(PLACES) * len(WAYS))
        arrays = {"codes": np.stack(codes).reshape(*shape, -1), "seconds": np.reshape(seconds, shape)}
        write_file(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    with np.load(path) as arrays:
        return arrays["codes"], arrays["seconds"]
