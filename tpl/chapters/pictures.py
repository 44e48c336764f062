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

from tpl.files import digest, write_file
from tpl.geometry.whole import share_closed
from tpl.look.plotting import CLAY, INK, Picture, plot_triplets, position_colors
from tpl.look.scenes import Scene, mesh_scene
from tpl.meshes import Normalization
from tpl.rendering import POSTER, Camera, composite, render_poster
from tpl.shapes import Shape
from tpl.source_code import code_digest
from tpl.study.exam import split_views
from tpl.study.trained import LEARNT, NO_SHAPE, Trained, maybe


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
    look = (size, repr(camera), color, code_digest("tpl.rendering.raycast"))
    folder = Path(shelf) / "posters"
    files = [None if mesh is None else folder / f"{digest(*look, *_content(mesh, color))}.png" for mesh in meshes]
    missing = {file: mesh for file, mesh in zip(files, meshes, strict=True) if file and not file.exists()}
    draw = joblib.delayed(_draw_poster)
    joblib.Parallel(n_jobs=jobs if len(missing) > 4 else 1)(
        draw(file, mesh, camera, size, color) for file, mesh in missing.items()
    )
    return [None if file is None else np.asarray(Image.open(file)) for file in files]


def made_to_fit(meshes: Sequence[trimesh.Trimesh | None]) -> list[trimesh.Trimesh | None]:
    """Meshes made smaller, all by one factor, until the largest is no larger than a shape: templates have any size."""
    sizes = [float(mesh.scale) for mesh in meshes if mesh is not None]
    factor = 1 / max([1.0, *sizes])
    return [None if mesh is None else mesh.copy().apply_scale(factor) for mesh in meshes]


def _draw_poster(file: Path, mesh: trimesh.Trimesh, camera: Camera, size: int, color: Any) -> None:
    picture = Image.fromarray(composite(render_poster(mesh, camera, size, color, samples=3)))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    write_file(file, lambda path: path.write_bytes(stream.getvalue()))


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


def sheet_grid(
    sheet: Mapping[str, Sequence[Picture | None]],
    scores: Mapping[str, Sequence[float]] | None = None,
    columns: int = 6,
) -> Figure:
    """Rows of pictures in bands of some columns each.

    Args:
        sheet: The pictures of each row, by the words at its left; all rows are of one length.
        scores: Shares that stand below the pictures of a row, in percent.
        columns: Pictures in a band.
    """
    rows, words = {}, {}
    for band in range(0, len(next(iter(sheet.values()))), columns):
        for name, pictures in sheet.items():
            label = name + " " * (band // columns)  # rows of one name in several bands
            rows[label] = pictures[band : band + columns]
            of_band = (scores or {}).get(name, [])[band : band + columns]
            words[label] = [f"{100 * value:.0f}" for value in of_band] or [""] * columns
    return picture_grid(rows, captions=words if scores else None, tile=1.3)


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
        ax.imshow(composite(picture), interpolation="antialiased")


class Exhibit(NamedTuple):
    """A shape in a gallery: the two meshes, their pictures after the image, and a line below."""

    shape_id: str
    truth: trimesh.Trimesh  # raw frame
    reconstruction: trimesh.Trimesh | None
    triplet: tuple[Picture, Picture, Picture | None]
    caption: str
    closed: float  # the share of the reconstruction's area that closes what would go on beyond the sphere of all shapes


def exhibits(trained: Trained, method: str, rows: pd.DataFrame, size: int = 224) -> list[Exhibit]:
    """The fixed views of some shapes as one of the encoders reconstructs them, with their Chamfer distance x 1000.

    Args:
        trained: With an encoder of this name.
        method: Which encoder.
        rows: Of this method and the fixed view, as the evaluation makes them; the exhibits keep their order.
        size: Pixels a side of the meshes' pictures.
    """
    store, images, meshes, closed = trained.bench.store, [], [], []
    splits = {"coded" if split == "train" else split for split in rows["split"]}
    known = {shape.id: shape for split in splits for shape in trained.bench.shapes(split)}
    for shape in (known[shape_id] for shape_id in rows["shape_id"]):
        image = store.read_views(shape, "fixed")[0]
        latent = trained.encode(method, image)[0]
        images.append(image[0])
        frame = store.read_normalization(shape)
        mesh = maybe(partial(trained.decode, method=method), latent, frame)
        meshes.append((shape.load(), mesh))
        closed.append(0.0 if mesh is None else _share_closed(mesh, frame))
    flat = [mesh for pair in meshes for mesh in pair]
    drawn = posters(flat, CLAY[trained.bench.category], trained.bench.shelf, size, jobs=trained.bench.jobs)
    scores = zip(rows["chamfer"], rows["reason"], strict=True)
    captions = ["failed" if reason else f"{1000 * chamfer:.2f}" for chamfer, reason in scores]
    return [
        Exhibit(shape_id, *pair, (image, drawn[2 * place], drawn[2 * place + 1]), captions[place], closed[place])  # pyright: ignore
        for place, (shape_id, pair, image) in enumerate(zip(rows["shape_id"], meshes, images, strict=True))
    ]


def _share_closed(mesh: trimesh.Trimesh, frame: Normalization) -> float:
    unit = frame.apply(np.asarray(mesh.vertices))
    return share_closed(trimesh.Trimesh(unit, mesh.faces, process=False))


def view_row(trained: Trained, shape: Shape, methods: Sequence[str]) -> list[Picture | None]:
    """A shape's fixed view, the truth, and what each method reconstructs; then a random view and the same again."""
    store, row = trained.bench.store, []
    frame = store.read_normalization(shape)
    for number, image in enumerate(split_views([shape], store, 1, trained.bench.seed)[0][0]):
        meshes = [
            maybe(partial(trained.decode, method=method), trained.encode(method, image[None])[0], frame)
            for method in methods
        ]
        truth = [shape.load()] if number == 0 else []
        row += [image, *posters([*truth, *meshes], CLAY[shape.category], trained.bench.shelf)]
    return row


def gallery(shown: Sequence[Exhibit], per_row: int = 2, tile: float = 1.2) -> Figure:
    """Triplets (image, ground truth, reconstruction), `per_row` of them side by side, each with its line below."""
    lines = -(-len(shown) // per_row)
    size = (3 * per_row * tile, lines * (tile + 0.2) + 0.25)
    fig, axes = _tight_subplots(lines, 3 * per_row, size)
    plot_triplets(axes, [exhibit.triplet for exhibit in shown], [exhibit.caption for exhibit in shown])
    return fig


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
    look = (make.__name__, color, code_digest("tpl.look.scenes"))
    file = Path(shelf) / "scenes" / f"{digest(*look, *content)}.png"
    scene = make(meshes, name=name, color=color, poster=file.read_bytes() if file.exists() else None)
    if not file.exists():
        write_file(file, lambda path: path.write_bytes(scene.poster))
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


# --- the method in one row
