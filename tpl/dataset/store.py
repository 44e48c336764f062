"""The on-disk layout of prepared shapes: the only module that knows a path below the data folder.

    SdfSamples/<source>/<class>/<id>.npz               pos, neg (n, 4) float32: x y z sdf, unit-sphere frame
    CrossSamples/<source>/<class>/<id>.npz             the same, at points near the surfaces of other shapes (ours)
    SurfaceSamples/<source>/<class>/<id>.ply           points of the visible surface, raw frame
    NormalizationParameters/<source>/<class>/<id>.npz  offset (3,), scale (1,)
    Views/<source>/<class>/<id>/{easy,hard,fixed}/     image/00.png ..., rendering_metadata.txt
    Prepared/<source>/<class>/<id>.json                written last: how the shape was prepared, and its quality card

The first, third and fourth are DeepSDF's files, which DIT and the authors' code read as well.
"""

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from jaxtyping import Float, UInt8
from PIL import Image
from pydantic import BaseModel, ConfigDict, model_validator

from tpl.border import border
from tpl.errors import PlainError
from tpl.files import write_file, write_folder
from tpl.gate import open_picture, open_regular
from tpl.meshes import Normalization
from tpl.meshes.sdf import SdfSamples
from tpl.rendering import Camera, composite
from tpl.shapes import CATEGORIES, Shape
from tpl.shapes.preprocessed import find_metadata

FILES = {
    "SdfSamples": ".npz",
    "CrossSamples": ".npz",
    "SurfaceSamples": ".ply",
    "NormalizationParameters": ".npz",
    "Views": "",
    "Prepared": ".json",
}
"""What a shape leaves, by kind, and how its file's name ends; `Views` is a folder."""


LARGEST_VIEW = 2**24
"""Pixels of one view, of whoever rendered it."""


class StoreError(PlainError):
    """A file of the data folder is missing or broken; the message names it and what writes it anew."""


class Record(BaseModel):
    """How a shape was prepared, and whether it was rejected; what else it says of itself is kept as it is."""

    model_config = ConfigDict(extra="allow")

    config: dict[str, Any]
    version: str
    card: dict[str, Any]
    check: dict[str, Any] = {}
    code: str = ""
    digest: str = ""  # of samples and views
    rejected: str = ""  # why; then there is no digest
    notes: list[str] = []
    thickened: bool = False
    cross: list[Any] | None = None  # amount of cross samples, and the fingerprint of their neighbours

    @model_validator(mode="after")
    def _has_an_end(self) -> "Record":
        if not (self.digest or self.rejected):
            raise ValueError("neither prepared nor rejected")
        return self


class Store:
    """The prepared shapes below a folder, each in that of its source."""

    def __init__(self, root: Path | str):
        self.root = Path(root)

    def path(self, kind: str, shape: Shape, suffix: str = "") -> Path:
        """Where a shape's file of one kind (`SdfSamples`, ...) lies."""
        return self.root / kind / shape.source / CATEGORIES[shape.category] / f"{shape.id}{suffix}"

    def link_given(self, shape: Shape) -> None:
        """Links the files of a shape that others prepared to where the store has its own.

        A link takes no space, and whatever is written later replaces it, not what it points to.
        """
        for kind, source in shape.given.items():
            views = kind in ("easy", "hard")
            target = self.path("Views", shape) / kind if views else self.path(kind, shape, source.suffix)
            write = write_folder if views else write_file
            write(target, lambda path, source=source: path.symlink_to(source.resolve()))

    # --- signed distances

    def write_sdf(self, shape: Shape, samples: SdfSamples, kind: str = "SdfSamples") -> None:
        """Writes samples split by sign; zero counts as inside, as in Deep Implicit Templates."""
        rows = np.column_stack([samples.points, samples.sdf]).astype(np.float32)
        outside = samples.sdf > 0
        target = self.path(kind, shape, ".npz")
        write_file(target, lambda path: np.savez(path, pos=rows[outside], neg=rows[~outside]))

    def read_sdf(self, shape: Shape, kind: str = "SdfSamples") -> SdfSamples:
        """A shape's samples, outside ones first; rows with NaN, which DeepSDF's tool leaves, are dropped."""
        with self._reading(kind, shape, ".npz") as file, np.load(file) as arrays:
            rows = np.concatenate([arrays["pos"], arrays["neg"]]).astype(np.float32)
            rows = rows[~np.isnan(rows).any(axis=1)]
            return SdfSamples(rows[:, :3], rows[:, 3])

    # --- surface and frame

    def write_surface(self, shape: Shape, points: Float[np.ndarray, "n 3"]) -> None:
        cloud = trimesh.PointCloud(points.astype(np.float32))
        write_file(self.path("SurfaceSamples", shape, ".ply"), lambda path: cloud.export(path))

    def read_surface(self, shape: Shape) -> Float[np.ndarray, "n 3"]:
        """Points of the visible surface, raw frame. DeepSDF adds dummy faces; only the vertices count."""
        with self._reading("SurfaceSamples", shape, ".ply") as file:
            cloud = trimesh.load(file, file_type="ply", process=False)
            return np.asarray(getattr(cloud, "vertices"), dtype=np.float64).reshape(-1, 3)  # noqa: B009

    def write_normalization(self, shape: Shape, normalization: Normalization) -> None:
        offset, scale = normalization.offset, np.array([normalization.scale])
        target = self.path("NormalizationParameters", shape, ".npz")
        write_file(target, lambda path: np.savez(path, offset=offset, scale=scale))

    def read_normalization(self, shape: Shape) -> Normalization:
        with self._reading("NormalizationParameters", shape, ".npz") as file, np.load(file) as arrays:
            offset, scale = arrays["offset"].astype(np.float64), float(arrays["scale"].reshape(-1)[0])
            if offset.shape != (3,) or not (np.isfinite(offset).all() and 0 < scale < np.inf):
                raise ValueError(f"offset {offset.tolist()!r:.60} and scale {scale} are no frame")
            return Normalization(offset, scale)

    # --- views

    def write_views(
        self, shape: Shape, kind: str, images: UInt8[np.ndarray, "views h w 4"], cameras: Sequence[Camera]
    ) -> None:
        def write(folder: Path) -> None:
            (folder / "image").mkdir(parents=True)
            for index, image in enumerate(images):
                Image.fromarray(image).save(folder / "image" / f"{index:02d}.png", compress_level=1)
            lines = "\n".join(camera.to_metadata() for camera in cameras)
            (folder / "rendering_metadata.txt").write_text(lines + "\n")

        write_folder(self.path("Views", shape) / kind, write)

    def read_views(self, shape: Shape, kind: str) -> tuple[UInt8[np.ndarray, "views h w 3"], list[Camera]]:
        """Views of one kind on white, in the order of their numbers, and their cameras.

        The authors' folders hold the pictures as `image` or as `image_rgb`, and the cameras' lines among them.
        """
        folder = self.path("Views", shape) / kind
        metadata = find_metadata(folder)
        try:
            lines = metadata.read_text().splitlines()
            pictures = folder / "image" if (folder / "image").is_dir() else folder / "image_rgb"
            files = sorted(pictures.glob("*.png"), key=lambda file: int(file.stem))
            images = np.stack([_picture(file) for file in files])
        except Exception as error:  # whatever is wrong with them
            remedy = "run `tpl prepare`" if shape.has_mesh else "it has no mesh to render, so give them by --views"
            raise StoreError(f"no readable {kind} views of {shape.id} in {folder}: {remedy}") from error
        if len(images) != len(lines):
            raise StoreError(f"{folder} holds {len(images)} images and {len(lines)} cameras: run `tpl prepare` again")
        return images, [_camera(line, f"{metadata}, line {number}") for number, line in enumerate(lines, 1)]

    # --- what was prepared, and how

    def write_record(self, shape: Shape, record: dict[str, Any]) -> None:
        text = json.dumps(record, indent=1)
        write_file(self.path("Prepared", shape, ".json"), lambda path: path.write_text(text))

    def read_record(self, shape: Shape) -> dict[str, Any] | None:
        """How a shape was prepared, as `Record` has it; nothing where it is not, or not wholly, or says something else.

        So the next `prepare` heals it.
        """
        try:
            text = self.path("Prepared", shape, ".json").read_bytes()
            return Record.model_validate_json(text).model_dump(exclude_unset=True)
        except (OSError, ValueError):
            return None

    def forget(self, shape: Shape) -> None:
        """Withdraws a shape's record, so that it counts as not prepared."""
        self.path("Prepared", shape, ".json").unlink(missing_ok=True)

    def adopt(self, shape: Shape, other: "Store") -> None:
        """Takes a shape over from another folder, its record last: as links where the disk allows, so it needs no room.

        Every file here is replaced whole, never changed, so that what is made anew in one folder stays in the other.
        """
        for kind, suffix in FILES.items():
            source, target = (store.path(kind, shape, suffix) for store in (other, self))
            if source.is_dir():
                write_folder(target, functools.partial(shutil.copytree, source, copy_function=_link))
            elif source.exists():
                write_file(target, functools.partial(_link, source))

    def fingerprint(self, shapes: Sequence[Shape], cross: bool = False) -> str:
        """A hash of these shapes' samples and views, and of their cross samples if asked: it changes when they do."""
        records = [self.read_record(shape) for shape in shapes]
        missing = [shape.id for shape, record in zip(shapes, records, strict=True) if record is None]
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(shapes)} shapes are not prepared in {self.root}, among them {missing[0]}: "
                "run chapter 01 or `tpl prepare`"
            )
        keys = [
            (shape.id, record["digest"], record.get("cross") if cross else None)
            for shape, record in zip(shapes, records, strict=True)
            if record
        ]
        return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]

    @contextmanager
    def _reading(self, kind: str, shape: Shape, suffix: str) -> Iterator[BufferedReader]:
        """A file of a shape, open; whatever is wrong with it, and with what is read of it, is one sentence."""
        path, record = self.path(kind, shape, suffix), self.path("Prepared", shape, ".json")
        try:
            file = open_regular(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: run chapter 01 or `tpl prepare`") from error
        remedy = f"remove {record} and run `tpl prepare`"
        with file, border(path, remedy, StoreError):
            yield file


def _picture(file: Path) -> UInt8[np.ndarray, "h w 3"]:
    with open_regular(file) as opened, open_picture(opened, LARGEST_VIEW) as picture:
        return composite(np.asarray(picture.convert("RGBA")))


def check_space(root: Path, needed: int) -> None:
    """Refuses to start what the disk cannot hold.

    Args:
        root: The folder that is to be written to, or will be made.
        needed: Bytes.
    """
    parent = next(folder for folder in (root, *root.resolve().parents) if folder.exists())
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise StoreError(
            f"{root} needs about {needed / 1e9:.1f} GB and its disk has {free / 1e9:.1f} GB left: "
            "free some space or choose another folder"
        )


def _camera(line: str, place: str) -> Camera:
    try:
        return Camera.from_metadata(line)
    except ValueError as error:
        raise StoreError(f"{place}: {error}") from error


def _link(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one that knows no links
        shutil.copy2(source, target)
