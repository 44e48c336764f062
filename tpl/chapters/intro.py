"""Pictures of the introduction: the method at a glance, and the README's."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import PIL.Image
import trimesh
from IPython import display
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from tpl.chapters.pictures import Exhibit, _show, exhibits, gallery, painted_by_place, painted_template, posters, solid
from tpl.evaluation.results import read_results
from tpl.evaluation.summary import summarize
from tpl.files import write_file
from tpl.look.plotting import CLAY, position_colors
from tpl.look.scenes import Scene
from tpl.meshes import Normalization
from tpl.models import DeepImplicitTemplate
from tpl.refinement import refine_views, seen_in
from tpl.rendering import POSTER
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.judging import results_file
from tpl.study.methods import (
    ENCODER,
    NEAREST_CODE,
    NEAREST_CODED,
    NEAREST_CROPS,
    NEAREST_PIXELS,
    OUR_ENCODER,
    OUR_REFINED,
    REFINED,
)
from tpl.study.trained import NO_SHAPE, Trained, maybe

REFINED_FROM = {OUR_ENCODER: OUR_REFINED}
"""What an encoder's answer is called once it was fitted to the outline."""

RETRIEVED = (NEAREST_PIXELS, NEAREST_CROPS, NEAREST_CODE, NEAREST_CODED)
"""The rivals that look at the image and answer with a training shape."""

SEEN = 150
"""Pixels a side at which the first page shows an image."""


def teaser(bench: Bench, method: str, path: Path) -> None:
    """Writes the picture of the README: of each category the two test shapes around the median of the fixed view."""
    shown: list[Exhibit] = []
    for category in bench.categories:
        rows = read_results(results_file(bench.of(category)))
        asked = (rows["method"] == method) & (rows["view"] == "fix")
        rows = rows.loc[asked].sort_values(by="chamfer")
        middle = rows.iloc[max(len(rows) // 2 - 1, 0) : len(rows) // 2 + 1]
        shown += exhibits(Trained(bench.of(category)), method, middle)
    figure = gallery(shown)
    write_file(path, lambda file: figure.savefig(file, dpi=110))
    plt.close(figure)


class Glance(NamedTuple):
    """A category's result at a glance."""

    image: display.Image
    scene: Scene
    words: display.Markdown


def glance(trained: Trained, shape: Shape, method: str, rows: pd.DataFrame | None = None) -> Glance:
    """One test shape: the image, the mesh beside the truth, and how the category's scores stand to a rival's.

    The mesh of our encoder is fitted to the image's outline, as the score beside it says.

    Args:
        trained: With an encoder of this name.
        shape: A prepared one; its fixed view is shown.
        method: Which encoder.
        rows: Of the category's evaluation, if there was one.
    """
    store = trained.bench.store
    image, frame = store.read_views(shape, "fixed")[0], store.read_normalization(shape)
    codes, arm = trained.encode(method, image), trained.arms[method]
    if REFINED_FROM.get(method) and arm.encoder.config.camera:
        fit = refine_views(arm, image, seen_in(arm, image), REFINED[REFINED_FROM[method]].config, jobs=1)
        codes = fit.after.codes
    mesh, truth = maybe(trained.decode, codes[0], frame, method=method), shape.load()
    meshes = ({} if mesh is None else {"the mesh": mesh}) | {"the truth": truth}
    png = io.BytesIO()
    PIL.Image.fromarray(image[0]).resize((2 * SEEN, 2 * SEEN), PIL.Image.Resampling.LANCZOS).save(png, "PNG")
    scene = solid(meshes, f"intro-{shape.category}", trained.bench.shelf, CLAY[shape.category])
    alt = f"the image of a shape of {shape.category}, as the network sees it"
    words = f"**{shape.category}**" + (f": {score_sentence(rows, method)}" if rows is not None else "")
    return Glance(display.Image(png.getvalue(), width=SEEN, alt=alt), scene, display.Markdown(words))


def score_sentence(rows: pd.DataFrame, method: str) -> str:
    """A method's mean Chamfer distance x 1000 from random views, and that of the best rival which only retrieves.

    Args:
        rows: Of one category's evaluation, as `evaluation.read_results` gives them.
        method: Which; where it was refined as well, the refined one is spoken of first.
    """
    summary = summarize(rows)
    means = 1000 * summary.loc[summary["view"] == "rnd"].set_index("method")["mean"]
    rivals = means.reindex([name for name in RETRIEVED if name in means.index])
    if method not in means.index:
        return "not judged"
    own, told = float(means[method]), f"{means[method]:.2f}"
    if (refined := REFINED_FROM.get(method, "")) in means.index:
        own, told = float(means[refined]), f"{means[refined]:.2f} ({told} before the fit to the outline)"
    if not len(rivals):
        return f"{told}, and no rival was judged"
    best = str(rivals.idxmin())
    told += f"; the best training shape that a picture leads to (*{best}*) {rivals[best]:.2f}"
    return told if own < rivals[best] else f"{told}, which wins"


def plot_method(axes: Sequence[Axes], trained: Trained, shape: Shape, method: str = ENCODER, arrows: int = 350) -> None:
    """One shape through the method: image (the fixed view), code, warp, template, mesh, ground truth.

    The warp is drawn as the camera sees it: from points of the mesh to their places on the template. Colours are
    places on the template.

    Args:
        axes: Six, of equal size.
        trained: With an encoder of this name.
        shape: A prepared one.
        method: Which encoder.
        arrows: At most so many points.
    """
    store = trained.bench.store
    image, frame = store.read_views(shape, "fixed")[0], store.read_normalization(shape)
    latent = trained.encode(method, image)[0]
    decode = partial(trained.decode, method=method)
    mesh, template = maybe(decode, latent, frame), maybe(trained.template, method)
    painted = [
        None if template is None else painted_template(template),
        None if mesh is None else painted_by_place(trained, mesh, latent, frame, method),
    ]
    truth = posters([shape.load()], CLAY[shape.category], trained.bench.shelf)
    pictures = [image[0], None, None, *posters(painted, "vertex", trained.bench.shelf), *truth]
    for stage, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
        if stage not in (1, 2):
            _show(ax, picture)
    code = latent.cpu().numpy()
    tall = next(rows for rows in range(max(1, round(len(code) ** 0.5)), 0, -1) if len(code) % rows == 0)
    limit = max(float(np.abs(code).max()), 1e-6)
    axes[1].imshow(code.reshape(tall, -1), cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes[1].set_box_aspect(1)
    _plot_warp(axes[2], trained.decoder(method), mesh, latent, frame, arrows)
    for ax in axes[1:3]:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)


def _plot_warp(
    ax: Axes,
    model: DeepImplicitTemplate,
    mesh: trimesh.Trimesh | None,
    latent: Float[Tensor, " dim"],
    frame: Normalization,
    arrows: int,
) -> None:
    if mesh is None:
        return _show(ax, None)
    points = mesh.vertices[np.random.default_rng(0).permutation(len(mesh.vertices))[:arrows]].view(np.ndarray)
    places = model.canonical(frame.apply(points), latent)
    start, end = (POSTER.project(p, 224)[0] for p in (points, NO_SHAPE.undo(places)))
    colors = position_colors(places) / 255
    ax.quiver(*start.T, *(end - start).T, color=colors, angles="xy", scale_units="xy", scale=1, width=0.008)
    ax.set(xlim=(0, 224), ylim=(224, 0), aspect="equal")
