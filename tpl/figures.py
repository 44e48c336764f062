"""What chapters show of a trained category: its meshes and their scores, computed once, and grids of their pictures.

Everything here is kept in `runs/<name>/shelf/` under a hash of all that it depends on. So a chapter that is executed
again only reads, and a training with other weights leaves other files: nothing on the shelf can be out of date.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import trimesh
from jaxtyping import Float, UInt8
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from tpl.collection import Collection
from tpl.evaluation import (
    NO_VIEW,
    POINTS,
    Case,
    attempt,
    case_rng,
    evaluate_reconstruction,
    read_results,
    write_results,
)
from tpl.experiments import FOLDERS, split_views, surface_normals
from tpl.inference import MEAN_SCALE, encode, to_raw
from tpl.meshes import Normalization
from tpl.metrics import sampling_floor
from tpl.plotting import INK, Picture, on_white, plot_triplets, position_colors
from tpl.reconstruction import EmptyShape, extract_mesh
from tpl.rendering import POSTER, Camera, raycast, render_poster
from tpl.shapes import Shape
from tpl.store import write_atomically
from tpl.training import RunFolder, load_embedding, load_regression

LEARNT = "learnt code"
"""The name of phase 1's own reconstructions of training shapes, in rows of scores."""

NO_SHAPE = Normalization(np.zeros(3), MEAN_SCALE)
"""The raw frame of what belongs to no shape, such as the template."""


class Trained:
    """What was trained for one category, and the meshes that it makes."""

    def __init__(
        self, runs: Path | str, category: str, collection: Collection, resolution: int = 64, device: str = "cpu"
    ):
        """Loads phase 1, and of phase 2 what there is.

        Raises:
            RunError: Phase 1 is missing or broken.
        """
        folder = Path(runs) / category
        self.runs, self.category, self.collection, self.resolution = str(runs), category, collection, resolution
        self.shelf = Path(runs) / "shelf"
        self.embedding = load_embedding(folder / "embedding", device)
        self.encoders = {
            method: load_regression(folder / name, self.embedding, device).encoder
            for method, name in FOLDERS.items()
            if (folder / name / "run.json").exists()
        }
        self._weights = RunFolder(folder / "embedding").digest()

    def decode(self, latent: Float[Tensor, " dim"], frame: Normalization = NO_SHAPE, step: int = -1) -> trimesh.Trimesh:
        """The mesh of a code, in the raw frame.

        Args:
            latent: The code.
            frame: The normalisation of the shape that the code belongs to.
            step: Which step of the warp to stop after; -1 is the last.

        Raises:
            EmptyShape: The decoded function has no surface.
        """
        sdf = self.embedding.model.shape(latent, step)
        return to_raw(self._kept_mesh(sdf, latent.cpu().numpy().tobytes(), step), frame)

    def template(self) -> trimesh.Trimesh:
        """The mesh of the template alone, without any warp; raises as `decode`."""
        return to_raw(self._kept_mesh(self.embedding.model.template_shape(), "template"), NO_SHAPE)

    def encode(self, method: str, images: UInt8[np.ndarray, "views h w 3"]) -> Float[Tensor, "views dim"]:
        """The codes that one of the encoders sees in images."""
        return encode(self.encoders[method], images)

    def _kept_mesh(self, sdf: Callable, *key: Any) -> trimesh.Trimesh:
        path = self.shelf / "meshes" / f"{digest(self._weights, self.resolution, *key)}.npz"
        if not path.exists():
            mesh = extract_mesh(sdf, self.resolution)
            arrays = {"vertices": mesh.vertices.astype(np.float32), "faces": mesh.faces.astype(np.int32)}
            write_atomically(path, lambda file: np.savez(file, **arrays))
        with np.load(path) as arrays:
            vertices = arrays["vertices"].astype(np.float64)
            return trimesh.Trimesh(vertices, arrays["faces"], process=False)


Asked = tuple[Shape, str, str, Float[Tensor, " dim"]]
"""A shape, the view and the method that a code comes from, and the code."""


def score_codes(trained: Trained, asked: Sequence[Asked], seed: int = 0) -> pd.DataFrame:
    """The evaluation's rows of what some codes decode to: its protocol, for the few shapes that a chapter shows."""
    shapes = [shape for shape, *_ in asked]
    codes = [(shape.id, view, method, latent.cpu().numpy().tobytes()) for shape, view, method, latent in asked]
    store = trained.collection.store
    key = digest(trained._weights, trained.resolution, seed, store.fingerprint(shapes), codes)
    file = trained.shelf / "scores" / f"{key}.csv"
    if not file.exists():
        truths = {shape.id: _truth(trained, shape) for shape in shapes}
        rows = []
        for shape, view, method, latent in asked:
            frame, points, normals = truths[shape.id]
            case = Case(shape.category, shape.split, shape.id, shape.family, view, method)
            made = attempt(lambda latent=latent, frame=frame: trained.decode(latent, frame))
            rng = case_rng(seed, shape.id, view, method)
            rows.append(evaluate_reconstruction(case, made.result, points, normals, rng, made.seconds))
        protocol = f"{POINTS} points, raw units, grid {trained.resolution}"
        write_results(file, rows, protocol, seed, trained.runs)
    return read_results(file)


def score_training_shapes(
    category: str,
    collection: Collection,
    runs: Path | str,
    count: int,
    resolution: int = 64,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """How well phase 1 remembers: rows of the first `count` shapes that have a code, each from its own code."""
    trained = Trained(runs, category, collection, resolution, device)
    shapes = collection.shapes(category, "coded")[:count]
    codes = trained.embedding.codes
    return score_codes(
        trained, [(shape, NO_VIEW, LEARNT, code) for shape, code in zip(shapes, codes, strict=False)], seed
    )


def score_views(
    category: str,
    collection: Collection,
    runs: Path | str,
    split: str,
    count: int,
    resolution: int = 64,
    seed: int = 0,
    device: str = "cpu",
) -> pd.DataFrame:
    """How well each encoder does on the first `count` shapes of a split: the fixed view and one random view."""
    trained = Trained(runs, category, collection, resolution, device)
    shapes = collection.shapes(category, split)[:count]
    views, names = split_views(shapes, collection.store, 1, seed)
    asked = []
    for method in trained.encoders:
        codes = trained.encode(method, views.reshape(-1, *views.shape[2:])).unflatten(0, views.shape[:2])
        asked += [
            (shape, name, method, codes[row, column])
            for row, shape in enumerate(shapes)
            for column, name in enumerate(names)
        ]
    return score_codes(trained, asked, seed)


def sampling_floors(
    category: str, collection: Collection, runs: Path | str, split: str, count: int = 0, seed: int = 0
) -> pd.Series:
    """The sampling floor of each of the first `count` shapes of a split, of all if 0, in squared raw units."""
    shapes = collection.shapes(category, split)[: count or None]
    file = Path(runs) / "shelf" / "floors" / f"{digest(POINTS, seed, collection.store.fingerprint(shapes))}.json"
    if not file.exists():
        floors = {s.id: sampling_floor(s.load(), POINTS, case_rng(seed, "floor", s.id)) for s in shapes}
        write_atomically(file, lambda path: path.write_text(json.dumps(floors)))
    return pd.Series(json.loads(file.read_text()), name="floor", dtype=float)


def _truth(trained: Trained, shape: Shape) -> tuple[Normalization, np.ndarray, np.ndarray]:
    points = trained.collection.store.read_surface(shape)
    return trained.collection.store.read_normalization(shape), points, surface_normals(shape, points)


# --- pictures


def maybe(make: Callable[..., trimesh.Trimesh], *arguments: Any) -> trimesh.Trimesh | None:
    """What `make` makes, or nothing where the function has no surface: a figure has an empty place then."""
    try:
        return make(*arguments)
    except EmptyShape:
        return None


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
        color: The clay, as `CLAY[category]`; "vertex" for meshes with colours of their own.
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
    return content if color != "vertex" else [*content, np.asarray(mesh.visual.vertex_colors).tobytes()]  # pyright: ignore


def digest(*values: Any) -> str:
    """A hash of values by what they say (`repr`), or by their bytes."""
    state = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        state.update(f"{len(content)}:".encode() + content)
    return state.hexdigest()[:24]


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
    fig, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(tile * columns + 0.3, (tile + below) * len(rows) + 0.25 * bool(titles)),
        squeeze=False,
    )
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)  # pyright: ignore
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


def _show(ax: Axes, picture: Picture | None) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if picture is None:
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.text(0.5, 0.5, "no surface", ha="center", va="center", color="#8c8c8c", fontsize="x-small")
    else:
        ax.imshow(on_white(picture), interpolation="antialiased")


def triplet_figure(
    triplets: Sequence[tuple[Picture | None, Picture | None, Picture | None]],
    captions: Sequence[str],
    per_row: int = 2,
    tile: float = 1.2,
) -> Figure:
    """Triplets (image, ground truth, reconstruction) in rows, each with a line below."""
    lines = -(-len(triplets) // per_row)
    fig, axes = plt.subplots(
        lines, 3 * per_row, figsize=(3 * per_row * tile, lines * (tile + 0.2) + 0.25), squeeze=False
    )
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0.02)  # pyright: ignore
    plot_triplets(axes, triplets, captions)
    return fig


def spread_out(order: Sequence[Any], worst: int, others: int) -> list[Any]:
    """From a list that begins with the worst: the first `worst`, and `others` at even distances from the rest.

    The last of the others is the last of the list, so that a gallery shows the failures and the best as well.
    """
    first, rest = list(order[:worst]), list(order[worst:])
    places = (
        np.unique(np.linspace(0, len(rest) - 1, min(others, len(rest)) + 1).round().astype(int)[1:]) if rest else []
    )
    return first + [rest[place] for place in places]


def painted_by_place(
    trained: Trained, mesh: trimesh.Trimesh, latent: Float[Tensor, " dim"], frame: Normalization = NO_SHAPE
) -> trimesh.Trimesh:
    """A shape's mesh (raw frame) in the colours of the places on the template where its warp carries it."""
    places = trained.embedding.model.canonical(frame.apply(np.asarray(mesh.vertices)), latent)
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
    ax.legend(
        fontsize="x-small", loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2, handletextpad=0.1, columnspacing=0.8
    )


def spread_of_views(codes: Float[np.ndarray, "shapes views dim"]) -> tuple[float, float]:
    """How far codes lie apart: those of one shape's views, and the shapes' mean codes (root mean square)."""
    center = codes.mean(axis=1)
    within = np.sqrt(np.mean(np.sum((codes - center[:, None]) ** 2, axis=-1)))
    between = np.sqrt(np.mean(np.sum((center - center.mean(axis=0)) ** 2, axis=-1)))
    return float(within), float(between)
