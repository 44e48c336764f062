"""The page in which a picture becomes a mesh without a server, as the output of a cell."""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import trimesh
from jaxtyping import UInt8
from PIL import Image

from tpl.chapters.in_the_page.weights import Packed, encoded, pack_decoder, pack_encoder
from tpl.chapters.pictures import painted_by_place, posters
from tpl.chapters.playground.playing import directions_along, principal_scores
from tpl.files import write_file
from tpl.look.plotting import CLAY
from tpl.look.scenes import FOLDER_VARIABLE, MIME, Panel, _png, _prepared, _snapshot
from tpl.look.tables import Table
from tpl.photos.framing import FRAMING
from tpl.rendering import POSTER
from tpl.shapes import Shape
from tpl.study.bench import Bench
from tpl.study.methods import better_encoder
from tpl.study.trained import Trained, maybe

HERE = Path(__file__).parent
STILL = 288
"""Pixels a side of each picture in the still."""

WORKER = ("reconstruction.js", "picture.js", "worker.js")


@dataclass(frozen=True, eq=False)
class LivePage:
    """The page, and the networks of each category in a script beside it, loaded when the category is chosen."""

    name: str
    networks: dict[str, Packed]
    poster: bytes

    def __repr__(self) -> str:
        return f"A picture of one of the {', '.join(self.networks)} becomes a mesh, which turns beside the truth"

    def files(self) -> dict[str, str]:
        """The page and its scripts by their files' names; they want `look.scenes.libraries` in the folder above."""
        scripts = {name: f"{self.name}_{name}.js" for name in self.networks}
        facts = {
            "files": scripts,
            "still": f"{self.name}.png",  # the site puts it there
            "kernel": base64.b64encode(kernel()).decode(),
            "triangles": triangles(),
            "worker": worker(),
        }
        # Nothing to see, as large as a shape: k3d sets by it how near and how far its camera sees.
        corners = [[-0.6, -0.6, -0.6], [0.6, 0.6, 0.6]]
        blank = trimesh.Trimesh(corners, [[0, 1, 0]], vertex_colors=[[255] * 4] * 2, process=False)
        snapshot = base64.b64encode(_snapshot(Panel("", (blank,)), POSTER)).decode()
        within = json.dumps(facts).replace("</", "<\\/")
        page = (HERE / "page.html").read_text(encoding="utf-8")
        page = page.replace("[MADE]", snapshot).replace("[TRUTH]", snapshot)
        page = page.replace("[PAGE]", within).replace("[SCRIPT]", (HERE / "page.js").read_text(encoding="utf-8"))
        data = {file: f"receive({name!r}, {json.dumps(self.networks[name])});\n" for name, file in scripts.items()}
        return {f"{self.name}.html": page, **data}

    def write(self, folder: Path) -> list[str]:
        """Leaves page and scripts in `folder` and returns their files' names, the page's first."""
        files = self.files()
        for name, text in files.items():
            write_file(folder / name, lambda partial, text=text: partial.write_text(text, encoding="utf-8"))
        return list(files)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "image/png": base64.b64encode(self.poster).decode()}
        if folder := os.environ.get(FOLDER_VARIABLE):
            _, *files = self.write(Path(folder))
            bundle[MIME] = {"name": self.name, "panels": 2, "steps": 1, "files": files}
        return bundle


@dataclass(frozen=True, eq=False)
class LiveLink:
    """The page of another chapter, as the output of a cell: on the site both load the same files."""

    chapter: str
    name: str
    poster: bytes

    def __repr__(self) -> str:
        return "A picture becomes a mesh in this page"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        image = base64.b64encode(self.poster).decode()
        bundle: dict[str, Any] = {"text/plain": repr(self), "image/png": image}
        if FOLDER_VARIABLE in os.environ:
            bundle[MIME] = {"name": self.name, "panels": 2, "steps": 1, "files": [], "chapter": self.chapter}
        return bundle


def live_page(
    bench: Bench, name: str = "reconstruct", views: int = 4, faces: int = 3000, directions: int = 3
) -> LivePage:
    """The page of a bench's categories, with the encoder that the book takes where it shows one.

    Args:
        bench: Of the networks that are shown.
        name: Of the page's file.
        views: Test views to choose from, of shapes as far apart in the split as they can be.
        faces: A truth with more is decimated to so many.
        directions: Principal directions of the codes that have a slider.

    Raises:
        RunError: A category has no encoder.
        SettingsError: The page does not know such networks.
    """
    networks, tiles = {}, []
    for category in bench.categories:
        trained = Trained(bench.of(category))
        shapes = bench.of(category).shapes("test")
        chosen = shapes[:: max(1, len(shapes) // views)][:views]
        networks[category] = pack_category(trained, chosen, faces, directions)
        tiles.append(_still(trained, chosen[0]))
    return LivePage(name, networks, _png(np.concatenate(tiles)))


def live_link(bench: Bench, chapter: str, name: str = "reconstruct") -> LiveLink:
    """A chapter's page for another chapter to show, with the still of the bench's first category."""
    first = bench.of(bench.categories[0])
    return LiveLink(chapter, name, _png(_still(Trained(first), first.shapes("test")[0])))


def pack_category(trained: Trained, shapes: list[Shape], faces: int, directions: int) -> Packed:
    """All that the page knows of a category; arguments as for `live_page`."""
    method, category = better_encoder(trained.encoders), trained.bench.category
    arm = trained.arms[method]
    codes = arm.codes
    return {
        "networks": {"encoder": pack_encoder(arm.encoder), "decoder": pack_decoder(arm.model)},
        "directions": directions_along(principal_scores(codes, directions), codes).tolist(),
        "share": FRAMING[category],
        "clay": CLAY[category],
        "views": [_pack_view(trained, shape, faces) for shape in shapes],
    }


def _pack_view(trained: Trained, shape: Shape, faces: int) -> Packed:
    store = trained.bench.store
    mesh = _prepared(shape.load(), CLAY[shape.category], faces)
    vertices = store.read_normalization(shape).apply(mesh.vertices.view(np.ndarray))
    view = store.read_views(shape, "fixed")[0][0]
    picture = base64.b64encode(_png(view)).decode()
    return {
        "name": shape.family.replace("-", ", ").replace("_", " "),
        "picture": f"data:image/png;base64,{picture}",
        "pixels": encoded(view),
        "truth": {
            "vertices": encoded(np.round(32767 * np.clip(vertices, -1, 1)).astype(np.int16)),
            "faces": encoded(mesh.faces.astype(np.uint16)),
        },
    }


def _still(trained: Trained, shape: Shape) -> UInt8[np.ndarray, "height width 3"]:
    """Picture, mesh and truth of one shape in a row: what stands where the page does not run."""
    bench, method = trained.bench, better_encoder(trained.encoders)
    image, frame = bench.store.read_views(shape, "fixed")[0][:1], bench.store.read_normalization(shape)
    latent = trained.encode(method, image)[0]
    mesh = maybe(trained.decode, latent, frame, method=method)
    painted = None if mesh is None else painted_by_place(trained, mesh, latent, frame, method)
    made = posters([painted], "vertex", bench.shelf, STILL)
    truth = posters([shape.load()], CLAY[shape.category], bench.shelf, STILL)
    blank = Image.new("RGB", (STILL, STILL), "white")
    tiles = [blank if tile is None else Image.fromarray(np.asarray(tile)) for tile in (image[0], *made, *truth)]
    return np.concatenate([np.asarray(tile.resize((STILL, STILL))) for tile in tiles], axis=1)


def parts_table(page: LivePage) -> Table:
    """The files of a page: how large they are, and how many weights they hold."""
    rows = []
    for name, text in page.files().items():
        packed = next((packed for of, packed in page.networks.items() if name == f"{page.name}_{of}.js"), None)
        parts = ("encoder", "decoder") if packed else ()
        weights = [f"{_weights(packed['networks'][part]):,}" for part in parts] if packed else ["", ""]
        rows.append([name, f"{len(text) / 1e6:.2f}", *weights])
    columns = ["file", "MB", "weights of the encoder", "of the decoder"]
    return Table(pd.DataFrame(rows, columns=columns), "What the page is made of.", "tab-in-the-page-files")


def _weights(packed: Any) -> int:
    """How many numbers the matrices of something packed hold."""
    if isinstance(packed, dict) and "bits" in packed:
        return int(np.prod(packed["shape"]))
    children = packed.values() if isinstance(packed, dict) else packed if isinstance(packed, list) else ()
    return sum(map(_weights, children))


def worker() -> str:
    """The worker's script."""
    return "".join((HERE / name).read_text(encoding="utf-8") for name in WORKER)


def kernel() -> bytes:
    """The kernel, from its text (`kernel.wat`) to what a browser runs."""
    from wasmtime import wat2wasm

    return bytes(wat2wasm((HERE / "kernel.wat").read_text(encoding="utf-8")))


def triangles() -> str:
    """The table of marching cubes: 16 edges for each of the 256 signs of a cell's corners, after the last one -1.

    Source: Lorensen and Cline 1987, as scikit-image has it; a test compares the page's meshes with scikit-image's.
    """
    from skimage.measure import _marching_cubes_lewiner_luts as tables

    (rows, columns), table = tables.CASESCLASSIC
    assert (rows, columns) == (256, 16)
    return "".join(table.split())
