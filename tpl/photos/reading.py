"""A picture file of any kind as upright bytes with alpha, or one sentence that says why not."""

import warnings
from importlib import import_module
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from tpl.border import border
from tpl.errors import PlainError
from tpl.gate import open_picture, open_regular

SMALLEST = 16
"""Pixels a side of the smallest picture that is taken; fewer show no shape."""

LONGEST = 16
"""How many times a picture may be longer than it is wide: no object is seen in a strip."""

MOST_PIXELS = 2**31
"""Of a file that is opened to see how large it is; `Image.MAX_IMAGE_PIXELS` is what is decoded."""

HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands, as a file's first bytes have them, of what telephones write by themselves."""

PictureLike = Path | str | Image.Image | np.ndarray
"""What is taken for a picture: a file, an image of Pillow, or uint8 of (height, width), (..., 3) or (..., 4)."""


class ImageError(PlainError):
    """A picture, a mask or a rectangle that cannot be used; the message names it and the remedy."""


def load_photo(picture: PictureLike) -> UInt8[np.ndarray, "height width 4"]:
    """A picture as its maker saw it: upright, 8 bits, sRGB with straight alpha (255 where it has none).

    Grey, palette, 16-bit and CMYK pictures are converted, and the camera's orientation (EXIF) is applied. HEIC is read
    where pillow-heif is installed.

    Args:
        picture: A file in any format that Pillow reads, or a picture in memory; it is left as it is.

    Raises:
        ImageError: The file is missing, broken, animated, a strip or too large, or the picture too small.
    """
    if isinstance(picture, np.ndarray):
        return _large_enough(_from_array(picture), "the picture")
    name = "the picture" if isinstance(picture, Image.Image) else str(picture)
    with border(name, "give a PNG or JPEG file", ImageError, " as an image"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's complaints about tags that do no harm
        if isinstance(picture, Image.Image):
            return _large_enough(_as_rgba(picture, name), name)
        try:
            with open_regular(picture) as opened:
                if _is_heic(opened):
                    _learn_heic(name)
                with open_picture(opened, MOST_PIXELS) as file:
                    return _large_enough(_as_rgba(_sized(file, name), name), name)
        except Image.DecompressionBombError as error:  # Pillow's own limit, before it tells the size
            raise ImageError(_too_many(name)) from error


def _sized(file: Image.Image, name: str) -> Image.Image:
    """Gives a picture back whose pixels can be decoded: they are not yet."""
    if file.width * file.height > (Image.MAX_IMAGE_PIXELS or MOST_PIXELS):
        raise ImageError(_too_many(name))
    _shaped(file.width, file.height, name)
    return file


def _too_many(name: str) -> str:
    most = (Image.MAX_IMAGE_PIXELS or MOST_PIXELS) // 1_000_000
    return f"{name} has more than {most} million pixels: shrink it first"


def _is_heic(file: BufferedReader) -> bool:
    head = file.peek(12)[:12]
    return head[4:8] == b"ftyp" and head[8:] in HEIC


def _learn_heic(name: str) -> None:
    """Has Pillow read HEIC, by a package that is no part of what `tpl` needs."""
    try:
        pillow_heif = import_module("pillow_heif")
    except ImportError as error:
        raise ImageError(
            f"{name} is HEIC, which telephones write and Pillow alone cannot read: save it as JPEG or PNG, or "
            "`pip install pillow-heif`"
        ) from error
    pillow_heif.register_heif_opener()


def _as_rgba(file: Image.Image, name: str) -> UInt8[np.ndarray, "height width 4"]:
    # MPO is how many telephones write a JPEG: the photograph first, then its depth or gain map.
    if getattr(file, "is_animated", False) and file.format != "MPO":
        frames = getattr(file, "n_frames", 2)
        raise ImageError(f"{name} has {frames} frames: save the one that is meant as PNG or JPEG")
    if file.mode == "F":
        raise ImageError(f"{name} has pixels of floating point: save it with 8 bits a channel")
    upright = ImageOps.exif_transpose(file)
    if upright.mode.startswith("I"):  # Pillow's own conversion cuts 16 bits off at 255 instead of scaling them
        sixteen = np.clip(np.asarray(upright), 0, 65535)
        upright = Image.fromarray((sixteen // 257).astype(np.uint8))
    elif upright.mode == "CMYK":  # Pillow has no direct way to RGBA
        upright = upright.convert("RGB")
    return np.asarray(upright.convert("RGBA"))


def _from_array(array: np.ndarray) -> UInt8[np.ndarray, "height width 4"]:
    grey, colored = array.ndim == 2, array.ndim == 3 and array.shape[-1] in (3, 4)
    if array.dtype != np.uint8 or not (grey or colored):
        raise ImageError(
            f"an array of {array.dtype} and shape {array.shape} is no picture: "
            "give uint8 of (height, width), (height, width, 3) or (height, width, 4)"
        )
    color = array[..., :3] if colored else np.repeat(array[..., None], 3, axis=-1)
    alpha = array[..., 3:] if array.shape[-1] == 4 and colored else np.full_like(color[..., :1], 255)
    return np.concatenate([color, alpha], axis=-1)


def _large_enough(picture: UInt8[np.ndarray, "height width 4"], name: str) -> UInt8[np.ndarray, "height width 4"]:
    height, width, _ = picture.shape
    _shaped(width, height, name)
    return picture


def _shaped(width: int, height: int, name: str) -> None:
    shorter, longer = sorted((width, height))
    if shorter < SMALLEST:
        raise ImageError(f"{name} is {width} x {height} pixels: it must have at least {SMALLEST} a side")
    if longer > LONGEST * shorter:
        raise ImageError(
            f"{name} is {width} x {height} pixels, a strip more than {LONGEST} times as long as it is wide: cut it to "
            "the object and its surroundings"
        )
