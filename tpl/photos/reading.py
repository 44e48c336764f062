"""A picture file of any kind as upright bytes with alpha, or one sentence that says why not."""

import struct
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from tpl.errors import PlainError

SMALLEST = 16
"""Pixels a side of the smallest picture that is taken; fewer show no shape."""

LONGEST = 16
"""How many times a picture may be longer than it is wide: no object is seen in a strip."""

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
        ImageError: The file is missing, broken, animated, too large or of a format that is not read, or the picture
            too small or a strip.
    """
    if isinstance(picture, np.ndarray):
        return _large_enough(_from_array(picture), "the picture")
    name = "the picture" if isinstance(picture, Image.Image) else str(picture)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if isinstance(picture, Image.Image):
                return _large_enough(_as_rgba(picture, name), name)
            if _is_heic(picture):
                _learn_heic(name)
            with Image.open(picture) as file:
                return _large_enough(_as_rgba(file, name), name)
    except ImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(f"{name} has more than {most} million pixels: shrink it first") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be read as an image ({reason}): give a PNG or JPEG file") from error


def _is_heic(path: Path | str) -> bool:
    with open(path, "rb") as file:
        head = file.read(12)
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
    if min(height, width) < SMALLEST:
        raise ImageError(f"{name} is {width} x {height} pixels: it must have at least {SMALLEST} a side")
    if max(height, width) > LONGEST * min(height, width):
        raise ImageError(
            f"{name} is {width} x {height} pixels, a strip more than {LONGEST} times as long as it is wide: cut it to "
            "the object and its surroundings"
        )
    return picture
