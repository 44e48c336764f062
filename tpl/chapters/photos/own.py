"""The project's own pictures: shapes made by rules, drawn as photographs of many kinds, with their true masks.

They are part of the repository (`book/_static/photos`), and `make_pictures` makes them again.
"""

import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import trimesh
from jaxtyping import Bool, UInt8
from PIL import Image

from tpl.chapters.photos.standins import in_clutter
from tpl.files import write_file
from tpl.rendering import FIXED, Camera, composite, render_poster
from tpl.shapes import Shape, list_shapes

FOLDER = Path(__file__).parents[3] / "book" / "_static" / "photos"
SIZE = 360
LARGEST = 60_000
"""Bytes of a picture."""

CREDITS = """The pictures in this folder, and the masks beside them, were made by this project: shapes of its own rules,
drawn by its own renderer (`tpl.chapters.photos.make_pictures`). They have the licence of the repository.
"""

Drawn = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class OwnPicture:
    """A picture to be made, or that was."""

    name: str
    title: str  # in words
    paint: Callable[[trimesh.Trimesh, Camera, np.random.Generator], Drawn]
    category: str = "chairs"
    number: int = 0  # which test shape
    camera: Camera = FIXED

    @property
    def shape(self) -> Shape:
        """What it shows."""
        return list_shapes("procedural", self.category, test=self.number + 1)[self.number]

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.jpg"

    def read_mask(self) -> Bool[np.ndarray, "height width"]:
        """Where the object truly is."""
        with Image.open(self.file.with_suffix(".png")) as mask:
            return np.asarray(mask.convert("L")) >= 128


class Made(NamedTuple):
    """A picture and where its object is."""

    picture: Drawn
    mask: Bool[np.ndarray, "height width"]


def make_picture(own: OwnPicture) -> Made:
    """Draws a picture again; the same bytes each time."""
    mesh = own.shape.load()
    rng = np.random.default_rng([int(byte) for byte in own.name.encode()])
    cover = render_poster(mesh, own.camera, SIZE, "face", ground=False, samples=2)[..., 3]
    picture = own.paint(mesh, own.camera, rng)
    return Made(picture, cover[: len(picture)] >= 128)


def make_pictures(pictures: Sequence[OwnPicture] | None = None, folder: Path = FOLDER) -> None:
    """Writes pictures as JPEG, with their masks as PNG and a line about where they are from."""
    for own in OWN if pictures is None else pictures:
        made = make_picture(own)
        write_file(folder / own.file.name, functools.partial(_write, _bytes_of(made.picture, "JPEG", quality=82)))
        mask = _bytes_of(made.mask, "PNG", optimize=True)
        write_file(folder / own.file.with_suffix(".png").name, functools.partial(_write, mask))
    write_file(folder / "CREDITS.txt", lambda path: path.write_text(CREDITS))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _bytes_of(pixels: np.ndarray, form: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


# --- ways to paint


def _before(
    mesh: trimesh.Trimesh, camera: Camera, ground: np.ndarray, rng: np.random.Generator, shadow: bool, noise: float
) -> Drawn:
    view = render_poster(mesh, camera, SIZE, "face", ground=shadow, samples=2)
    seen = composite(view, 0).astype(float) + ground * (1 - view[..., 3:] / 255)
    return _bytes(seen + noise * rng.normal(size=seen.shape))


def _bytes(values: np.ndarray) -> Drawn:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _even(above: Sequence[int], below: Sequence[int] | None = None) -> np.ndarray:
    """A ground of one colour, or of an even gradient downwards."""
    along = np.linspace(0, 1, SIZE)[:, None, None]
    return np.broadcast_to((1 - along) * np.array(above) + along * np.array(below or above), (SIZE, SIZE, 3))


def _on(above: Sequence[int], below: Sequence[int] | None = None, shadow: bool = True, noise: float = 1.0):
    return lambda mesh, camera, rng: _before(mesh, camera, _even(above, below), rng, shadow, noise)


def _room(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    """A wall with a picture, a skirting, and a floor of boards."""
    wall = _even((214, 205, 186), (198, 188, 168)).copy()
    edge = round(0.56 * SIZE)
    wall[round(0.05 * SIZE) : round(0.33 * SIZE), round(0.66 * SIZE) : round(0.92 * SIZE)] = (74, 112, 154)
    wall[edge - 8 : edge] = (232, 228, 218)
    boards = (np.arange(SIZE)[None, :] + 0.35 * np.arange(SIZE - edge)[:, None] * 0.5) // 34
    wall[edge:] = np.array((122, 86, 58)) - 9.0 * (boards % 3)[..., None]
    return _before(mesh, camera, wall, rng, True, 4.0)


def _dark(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    lit = 0.28 * _room(mesh, camera, rng).astype(float) * np.array((1.0, 0.92, 0.8))
    return _bytes(lit + 5 * rng.normal(size=lit.shape))


def _blurred(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    sharp = _before(mesh, camera, _even((206, 204, 200), (170, 168, 166)), rng, True, 0.0)
    return _bytes(np.asarray(cv2.GaussianBlur(sharp, (0, 0), 4.0), float) + rng.normal(size=sharp.shape))


def _cropped(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    return _on((238, 236, 232))(mesh, camera, rng)[: round(0.68 * SIZE)]


def _white(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    white = np.full((len(mesh.faces), 4), 250, np.uint8)
    plain = trimesh.Trimesh(mesh.vertices, mesh.faces, face_colors=white, process=False)
    return _before(plain, camera, _even((250, 250, 250)), rng, False, 0.6)


def _untidy(mesh: trimesh.Trimesh, camera: Camera, rng: np.random.Generator) -> Drawn:
    view = render_poster(mesh, camera, SIZE, "face", ground=False, samples=2)
    return in_clutter(view, seed=int(rng.integers(100)))


FAR = Camera(FIXED.azimuth, FIXED.elevation, 2.6 * FIXED.distance)
LEFT = Camera(40.0, 18.0, FIXED.distance)
OWN = (
    OwnPicture("chair_white", "on white", _on((255, 255, 255), shadow=False, noise=0.0)),
    OwnPicture("chair_shadow", "grey ground, shadow", _on((214, 214, 214), (172, 172, 172))),
    OwnPicture("chair_room", "a room", _room),
    OwnPicture("chair_warm", "beige ground, shadow", _on((232, 214, 188), noise=2.0), number=1, camera=LEFT),
    OwnPicture("chair_dark", "a dark room", _dark, number=1, camera=LEFT),
    OwnPicture("chair_blurred", "out of focus", _blurred, number=2),
    OwnPicture("chair_cropped", "legs cut off", _cropped, number=2),
    OwnPicture("chair_white_on_white", "white on white", _white, number=3),
    OwnPicture("chair_far", "small in the picture", _on((205, 214, 220)), number=3, camera=FAR),
    OwnPicture("chair_untidy", "an untidy room", _untidy, number=4),
    OwnPicture("sofa_shadow", "a sofa, shadow", _on((226, 226, 228), (190, 190, 194)), "sofas"),
    OwnPicture("airplane_sky", "an airplane, sky", _on((120, 160, 205), (190, 208, 224), False), "airplanes"),
    OwnPicture("airplane_apron", "an airplane, apron", _on((176, 176, 172), noise=2.0), "airplanes", 1),
)
"""All of them; the first three show one chair, in one view."""
