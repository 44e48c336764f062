"""Chapter 08: test shapes that nobody chose, and all that is made of the image of each."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import trimesh
from jaxtyping import Float
from torch import Tensor

from tpl.chapters.pictures import posters
from tpl.look.plotting import CLAY, Picture
from tpl.refinement import refine_views, seen_in
from tpl.shapes import Shape
from tpl.study.methods import OUR_ENCODER, OUR_REFINED, REFINED
from tpl.study.trained import Trained, maybe


def drawn(shapes: Sequence[Shape], count: int, seed: int = 0) -> list[Shape]:
    """So many shapes, no one twice, drawn by the seed; in the order in which they were."""
    places = np.random.default_rng(seed).permutation(len(shapes))[:count]
    return [shapes[place] for place in sorted(places)]


def sheet_at_random(
    trained: Trained, count: int = 12, seed: int = 0, size: int = 176
) -> dict[str, list[Picture | None]]:
    """Rows of pictures of test shapes: the image, the truth, and what our encoder makes of it, alone and refined.

    Args:
        trained: With our encoder; without its head for the camera nothing is refined.
        count: Shapes, at most those of the test split.
        seed: Of the draw.
        size: Pixels a side of the meshes' pictures.
    """
    bench, arm = trained.bench, trained.arms[OUR_ENCODER]
    shapes = drawn(bench.shapes("test"), count, seed)
    images = np.stack([bench.store.read_views(shape, "fixed")[0][0] for shape in shapes])
    codes = {OUR_ENCODER: trained.encode(OUR_ENCODER, images)}
    if arm.encoder.config.camera:
        start = seen_in(arm, images)
        codes[OUR_REFINED] = refine_views(arm, images, start, REFINED[OUR_REFINED].config, bench.jobs).after.codes

    def made(of: Float[Tensor, "shapes dim"]) -> list[trimesh.Trimesh | None]:
        decode = partial(trained.decode, method=OUR_ENCODER)
        return [
            maybe(decode, code, bench.store.read_normalization(shape)) for code, shape in zip(of, shapes, strict=True)
        ]

    clay = CLAY[bench.category]
    draw = partial(posters, color=clay, shelf=bench.shelf, size=size, jobs=bench.jobs)
    rows = {"truth": draw([shape.load() for shape in shapes])}
    rows |= {method: draw(made(of)) for method, of in codes.items()}
    return {"image": list(images), **rows}
