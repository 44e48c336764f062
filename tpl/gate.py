"""The gate before every reader of foreign files: regular files alone, inside a fence, within one budget.

Readers take a file's word for its size, wait for pipes, follow names wherever they lead, and start other programs for
pictures that are programs. So each file passes here first, and what it will cost is known before it is unpacked.
"""

import errno
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from zipfile import ZipFile

from PIL import Image, UnidentifiedImageError

from tpl.errors import PlainError

PICTURES = "PNG JPEG MPO JPEG2000 WEBP BMP DIB GIF TIFF TGA PPM PCX SGI DDS ICO QOI AVIF HEIF".split()
"""Formats of pictures that are read. None of them is a program or hands its bytes to one, as PostScript does."""

RATIO = 200
"""How many times larger than packed a member of an archive may be; texts of meshes are 3 to 30 times."""

FREE = 2**24
"""Bytes that a member may have whatever it was packed to."""

MOST_MEMBERS = 500_000
"""Of an archive; ShapeNet's largest has a tenth of it, and each takes half a kilobyte of memory to list."""


class NotRegularError(OSError):
    """A pipe or a device where a file should be."""


class GateError(PlainError):
    """What is not let in; the message is the reason and the remedy, after the name of what it is about."""


@dataclass
class Gate:
    """What one thing from outside may cost, all of its files together; each use takes of what is left.

    Args:
        fence: A folder that no file may lie outside of, links followed; None for no fence.
        bytes_left: Of all files, unpacked.
        pixels_left: Of all pictures.
    """

    fence: Path | None = None
    bytes_left: int = 2**29
    pixels_left: int = 2**26

    def read(self, path: Path | str) -> bytes:
        """What is in a file, whole.

        Raises:
            GateError: It is outside the fence, or larger than what is left.
            OSError: It is missing, or no regular file.
        """
        with self.open(path) as file:
            data = file.read(self.bytes_left + 1)  # a file may grow while it is read
        self.spend(len(data), path)
        return data

    def open(self, path: Path | str) -> BufferedReader:
        """A file for reading, at its beginning; raises as `read`, and takes nothing of the budget yet."""
        if self.fence is not None and not Path(path).resolve().is_relative_to(self.fence.resolve()):
            raise GateError(f"{path} lies outside {self.fence}: copy it there")
        file = open_regular(path)
        size = os.fstat(file.fileno()).st_size
        if size > self.bytes_left:
            file.close()
            raise GateError(
                f"{path} has {size / 1e6:,.0f} MB, and {self.bytes_left / 1e6:,.0f} MB are let in: shrink it"
            )
        return file

    def spend(self, count: int, what: object) -> None:
        """Takes bytes of the budget that will be needed, before they are.

        Raises:
            GateError: There are not so many left.
        """
        if count > self.bytes_left:
            raise GateError(
                f"{what} has {count / 1e6:,.0f} MB, and {self.bytes_left / 1e6:,.0f} MB are let in: shrink it"
            )
        self.bytes_left -= count

    def member(self, archive: ZipFile, name: str) -> bytes:
        """A member of a zip archive, unpacked in memory.

        Raises:
            GateError: It claims more than is left, or to be packed better than anything honest is.
            KeyError: There is none of that name.
        """
        info = archive.getinfo(name)
        if info.file_size > max(FREE, RATIO * info.compress_size):
            times = info.file_size // max(1, info.compress_size)
            raise GateError(f"{name} unpacks to {times:,} times its size, as no mesh does: pack it again")
        self.spend(info.file_size, name)
        with archive.open(info) as opened:  # no more than what it claims is ever unpacked
            return opened.read(info.file_size)

    def picture(self, data: bytes) -> Image.Image:
        """A picture, decoded; raises as `open_picture`, and as Pillow does where it is broken."""
        image = open_picture(io.BytesIO(data), self.pixels_left)
        self.pixels_left -= image.width * image.height
        image.load()
        return image


def open_regular(path: Path | str) -> BufferedReader:
    """A regular file for reading; a pipe or a device is not waited for.

    Raises:
        NotRegularError: It is one of these.
        OSError: It is a folder, or cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # some devices do something when they are opened
        raise NotRegularError(errno.EINVAL, "it is a pipe or a device, no file with contents")
    file = open(path, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0)))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotRegularError(errno.EINVAL, "it is a pipe or a device, no file with contents")
    return file


@contextmanager
def open_archive(path: Path | str) -> Iterator[ZipFile]:
    """A zip archive of no more members than can be listed.

    Raises:
        GateError: It has more.
        BadZipFile: It is none.
        OSError: As `open_regular`.
    """
    with open_regular(path) as file:
        if (listed := _members(file)) > MOST_MEMBERS:
            raise GateError(f"{path} has {listed:,} members, and {MOST_MEMBERS:,} is the most: divide it")
        with ZipFile(file) as archive:
            yield archive


def _members(file: BufferedReader) -> int:
    """How many members an archive says at its end that it has."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))
    end = file.read()
    file.seek(0)
    at, wide = end.rfind(b"PK\x05\x06"), end.rfind(b"PK\x06\x06")
    told = int.from_bytes(end[at + 10 : at + 12], "little") if at >= 0 else 0
    return max(told, int.from_bytes(end[wide + 32 : wide + 40], "little")) if wide >= 0 else told


def open_picture(file: BufferedIOBase, most: int) -> Image.Image:
    """A picture whose size is known and whose pixels are not decoded yet.

    Raises:
        GateError: It has more pixels than `most`.
        UnidentifiedImageError: It is in none of `PICTURES`.
    """
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our budget says what is too large
        try:
            image = Image.open(file, formats=[kind for kind in PICTURES if kind in Image.OPEN])  # pyright: ignore[reportArgumentType]
        except UnidentifiedImageError as error:
            raise UnidentifiedImageError("its bytes are no picture of a kind that is read") from error
    if image.width * image.height > most:
        size = f"{image.width} x {image.height} pixels"
        raise GateError(f"a picture of {size}, and {most / 1e6:,.1f} million are let in: shrink it first")
    return image
