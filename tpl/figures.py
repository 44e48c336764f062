"""Figures that chapters share: posters of meshes, drawn once; grids of pictures; codes in the plane."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from tpl.collection import open_collection
from tpl.evaluation import read_results
from tpl.experiments import split_views
from tpl.files import write_atomically
from tpl.meshes import Normalization
from tpl.models import DeepImplicitTemplate
from tpl.plotting import CLAY, INK, Picture, on_white, plot_triplets, position_colors
from tpl.rendering import POSTER, Camera, raycast, render_poster
from tpl.scenes import Scene, mesh_scene
from tpl.shapes import CATEGORIES, Shape
from tpl.trained import LEARNT, NO_SHAPE, Trained, digest, maybe


def posters(
    meshes: Sequence[trimesh.Trimesh | None],
    color: tuple[int, int, int] | str,
    shelf: Path | str,
    size: int = 224,
    camera: Camera = POSTER,
    jobs: int = -1,
) -> list[Picture | None]:
    """Pictures of meshes on white, in the clay of their category; None stays None.

    Args:
        meshes: In the raw frame.
        color: The clay, as `CLAY[category]`; "vertex" or "face" for meshes with colours of their own.
        shelf: Folder where the pictures are kept.
        size: Pixels a side.
        camera: The same for all.
        jobs: Processes for those that are not on the shelf; -1 is one a core.
    """
    look = (size, repr(camera), color, Path(raycast.__file__).read_bytes())
    folder = Path(shelf) / "posters"
    files = [None if mesh is None else folder / f"{digest(*look, *_content(mesh, color))}.png" for mesh in meshes]
    missing = {file: mesh for file, mesh in zip(files, meshes, strict=True) if file and not file.exists()}
    draw = joblib.delayed(_draw_poster)
    joblib.Parallel(n_jobs=jobs if len(missing) > 4 else 1)(
        draw(file, mesh, camera, size, color) for file, mesh in missing.items()
    )
    return [None if file is None else np.asarray(Image.open(file)) for file in files]


def _draw_poster(file: Path, mesh: trimesh.Trimesh, camera: Camera, size: int, color: Any) -> None:
    picture = Image.fromarray(on_white(render_poster(mesh, camera, size, color, samples=3)))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_atomically(file, lambda path: path.write_bytes(stream.getvalue()))


def _content(mesh: trimesh.Trimesh, color: Any) -> list[bytes]:
    content = [np.asarray(mesh.vertices, np.float32).tobytes(), np.asarray(mesh.faces, np.int32).tobytes()]
    return content if color not in ("vertex", "face") else [*content, np.asarray(mesh.visual.vertex_colors).tobytes()]  # pyright: ignore


def picture_grid(
    rows: Mapping[str, Sequence[Picture | None]],
    titles: Sequence[str] = (),
    captions: Mapping[str, Sequence[str]] | None = None,
    tile: float = 1.25,
) -> Figure:
    """Pictures in labelled rows; a place without picture says so.

    Args:
        rows: The pictures of each row, by the words at its left.
        titles: Above the columns.
        captions: Below the pictures of a row, by the row's words.
        tile: Inches a picture.
    """
    columns = max(map(len, rows.values()))
    below = 0.17 if captions else 0
    size = (tile * columns + 0.3, (tile + below) * len(rows) + 0.25 * bool(titles))
    fig, axes = _tight_subplots(len(rows), columns, size)
    for place, (label, pictures) in zip(axes, rows.items(), strict=True):
        words = (captions or {}).get(label, [""] * len(pictures))
        for ax, picture, caption in zip(place, pictures, words, strict=False):
            _show(ax, picture)
            if caption:
                ax.set_xlabel(caption, fontsize="x-small", labelpad=1)
        for ax in place[len(pictures) :]:
            ax.set_axis_off()
        place[0].set_ylabel(label, fontsize="small", color=INK)
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, fontsize="small", color="#5a5a5a")
    return fig


def _tight_subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0.01)  # pyright: ignore
    return fig, axes


def _show(ax: Axes, picture: Picture | None) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if picture is None:
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.text(0.5, 0.5, "no surface", ha="center", va="center", color="#8c8c8c", fontsize="x-small")
    else:
        ax.imshow(on_white(picture), interpolation="antialiased")


class Exhibit(NamedTuple):
    """A shape in a gallery: the two meshes, their pictures after the image, and a line below."""

    shape_id: str
    truth: trimesh.Trimesh  # raw frame
    reconstruction: trimesh.Trimesh | None
    triplet: tuple[Picture, Picture, Picture | None]
    caption: str


def exhibits(trained: Trained, method: str, rows: pd.DataFrame, size: int = 224) -> list[Exhibit]:
    """The fixed views of some shapes as one of the encoders reconstructs them, with their Chamfer distance x 1000.

    Args:
        trained: With an encoder of this name.
        method: Which encoder.
        rows: Of this method and the fixed view, as the evaluation makes them; the exhibits keep their order.
        size: Pixels a side of the meshes' pictures.
    """
    store, images, meshes = trained.collection.store, [], []
    splits = {"coded" if split == "train" else split for split in rows["split"]}
    known = {shape.id: shape for split in splits for shape in trained.collection.shapes(trained.category, split)}
    for shape in (known[shape_id] for shape_id in rows["shape_id"]):
        image = store.read_views(shape, "fixed")[0]
        latent = trained.encode(method, image)[0]
        images.append(image[0])
        decode = partial(trained.decode, method=method)
        meshes.append((shape.load(), maybe(decode, latent, store.read_normalization(shape))))
    flat = [mesh for pair in meshes for mesh in pair]
    drawn = posters(flat, CLAY[trained.category], trained.shelf, size)
    scores = zip(rows["chamfer"], rows["reason"], strict=True)
    captions = ["failed" if reason else f"{1000 * chamfer:.2f}" for chamfer, reason in scores]
    return [
        Exhibit(shape_id, *pair, (image, drawn[2 * place], drawn[2 * place + 1]), captions[place])  # pyright: ignore
        for place, (shape_id, pair, image) in enumerate(zip(rows["shape_id"], meshes, images, strict=True))
    ]


def view_row(trained: Trained, shape: Shape, methods: Sequence[str], seed: int = 0) -> list[Picture | None]:
    """A shape's fixed view, the truth, and what each method reconstructs; then a random view and the same again."""
    store, row = trained.collection.store, []
    frame = store.read_normalization(shape)
    for number, image in enumerate(split_views([shape], store, 1, seed)[0][0]):
        meshes = [
            maybe(partial(trained.decode, method=method), trained.encode(method, image[None])[0], frame)
            for method in methods
        ]
        truth = [shape.load()] if number == 0 else []
        row += [image, *posters([*truth, *meshes], CLAY[shape.category], trained.shelf)]
    return row


def gallery(shown: Sequence[Exhibit], per_row: int = 2, tile: float = 1.2) -> Figure:
    """Triplets (image, ground truth, reconstruction), `per_row` of them side by side, each with its line below."""
    lines = -(-len(shown) // per_row)
    size = (3 * per_row * tile, lines * (tile + 0.2) + 0.25)
    fig, axes = _tight_subplots(lines, 3 * per_row, size)
    plot_triplets(axes, [exhibit.triplet for exhibit in shown], [exhibit.caption for exhibit in shown])
    return fig


def teaser(data: Path | str, runs: Path | str, method: str, path: Path) -> None:
    """Writes the picture of the README: of each category the two test shapes around the median of the fixed view."""
    shown: list[Exhibit] = []
    for category in CATEGORIES:
        rows = read_results(Path(runs) / "results" / f"{category}_test.csv")
        asked = (rows["method"] == method) & (rows["view"] == "fix")
        rows = rows.loc[asked].sort_values(by="chamfer")
        middle = rows.iloc[max(len(rows) // 2 - 1, 0) : len(rows) // 2 + 1]
        shown += exhibits(Trained(runs, category, open_collection(data)), method, middle)
    figure = gallery(shown)
    write_atomically(path, lambda file: figure.savefig(file, dpi=110))
    plt.close(figure)


def spread_out(rows: pd.DataFrame, worst: int, others: int) -> pd.DataFrame:
    """From rows that begin with the worst: the first `worst`, and `others` at even distances down to the last."""
    left = len(rows) - worst
    places = np.linspace(0, left, min(others, max(left, 0)) + 1).round().astype(int)[1:] + worst - 1
    return rows.iloc[[*range(min(worst, len(rows))), *places]]


def solid(
    meshes: Mapping[str, trimesh.Trimesh],
    name: str,
    shelf: Path | str,
    color: tuple[int, int, int] | None = None,
    make: Callable[..., Scene] = mesh_scene,
) -> Scene:
    """A 3D scene (`mesh_scene` or `steps_scene`) whose poster is drawn once and kept."""
    content = [part for label, mesh in meshes.items() for part in (label, *_content(mesh, color or "vertex"))]
    look = (make.__name__, color, Path(raycast.__file__).read_bytes())
    file = Path(shelf) / "scenes" / f"{digest(*look, *content)}.png"
    scene = make(meshes, name=name, color=color, poster=file.read_bytes() if file.exists() else None)
    if not file.exists():
        write_atomically(file, lambda path: path.write_bytes(scene.poster))
    return scene


def painted_by_place(
    trained: Trained,
    mesh: trimesh.Trimesh,
    latent: Float[Tensor, " dim"],
    frame: Normalization = NO_SHAPE,
    method: str = LEARNT,
) -> trimesh.Trimesh:
    """A shape's mesh (raw frame) in the colours of the places on the method's template where its warp carries it."""
    places = trained.decoder(method).canonical(frame.apply(np.asarray(mesh.vertices)), latent)
    return _painted(mesh, places)


def painted_template(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The template's mesh (raw frame) in the colours of its own places."""
    return _painted(mesh, NO_SHAPE.apply(np.asarray(mesh.vertices)))


def _painted(mesh: trimesh.Trimesh, places: Float[np.ndarray, "n 3"]) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=position_colors(places), process=False)


# --- codes


def principal_components(codes: Float[np.ndarray, "n dim"]) -> tuple[np.ndarray, np.ndarray]:
    """Codes in the axes of their largest spread, and the share of the variance along each of these axes."""
    centred = codes - codes.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    variance = lengths**2
    return centred @ axes.T, variance / max(variance.sum(), 1e-30)


def plot_kinds(ax: Axes, places: Float[np.ndarray, "n 2"], kinds: Sequence[str], most: int = 8) -> None:
    """Points in the plane, coloured by their kind; the rarest kinds beyond `most` share one grey."""
    counted = pd.Series(kinds).value_counts()
    markers = "osD^vPX*"
    for number, kind in enumerate(counted.index[:most]):
        chosen = places[np.asarray(kinds) == kind]
        ax.scatter(
            *chosen.T, s=18, marker=markers[number % len(markers)], color=f"C{number % 10}", label=kind, linewidths=0
        )
    others = places[~np.isin(kinds, counted.index[:most])]
    if len(others):
        ax.scatter(*others.T, s=12, color="#c6c6c6", label="others", linewidths=0, zorder=0)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.legend(
        fontsize="x-small", loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2, handletextpad=0.1, columnspacing=0.8
    )


def spread_of_views(codes: Float[np.ndarray, "shapes views dim"]) -> tuple[float, float]:
    """How far codes lie apart: those of one shape's views, and the shapes' mean codes (root mean square)."""
    center = codes.mean(axis=1)
    within = np.sqrt(np.mean(np.sum((codes - center[:, None]) ** 2, axis=-1)))
    between = np.sqrt(np.mean(np.sum((center - center.mean(axis=0)) ** 2, axis=-1)))
    return float(within), float(between)


# --- the method in one row


def plot_method(
    axes: Sequence[Axes], trained: Trained, shape: Shape, method: str = "encoder", arrows: int = 350
) -> None:
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
    store = trained.collection.store
    image, frame = store.read_views(shape, "fixed")[0], store.read_normalization(shape)
    latent = trained.encode(method, image)[0]
    decode = partial(trained.decode, method=method)
    mesh, template = maybe(decode, latent, frame), maybe(trained.template, method)
    painted = [
        None if template is None else painted_template(template),
        None if mesh is None else painted_by_place(trained, mesh, latent, frame, method),
    ]
    truth = posters([shape.load()], CLAY[shape.category], trained.shelf)
    pictures = [image[0], None, None, *posters(painted, "vertex", trained.shelf), *truth]
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
