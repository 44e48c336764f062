"""The gate: regular files alone, within a fence and a budget, and no picture that is a program."""

import io
import os
import struct
import zipfile
import zlib

import pytest
from PIL import Image, UnidentifiedImageError

from tpl.gate import Gate, GateError, NotRegularError, open_archive, open_picture, open_regular


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "png")
    return file.getvalue()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mtl")
    for open_it in (open_regular, Gate().read):
        with pytest.raises(NotRegularError, match="it is a pipe or a device"):
            open_it(tmp_path / "pipe.mtl")
    with pytest.raises(NotRegularError):
        open_regular("/dev/zero")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_nothing_comes_from_outside_the_fence_by_name_or_by_link(tmp_path):
    fence = tmp_path / "mesh"
    fence.mkdir()
    (tmp_path / "secret").write_text("mine")
    (fence / "own").write_text("yours")
    (fence / "link").symlink_to(tmp_path / "secret")
    assert Gate(fence).read(fence / "own") == b"yours"
    for name in ("../secret", "link", str(tmp_path / "secret")):
        with pytest.raises(GateError, match="lies outside"):
            Gate(fence).read(fence / name)


def test_all_files_together_pay_from_one_budget(tmp_path):
    (tmp_path / "a").write_bytes(bytes(60))
    gate = Gate(bytes_left=100)
    gate.read(tmp_path / "a")
    with pytest.raises(GateError, match="and 0 MB are let in: shrink it"):
        gate.read(tmp_path / "a")
    pictures = Gate(pixels_left=150)
    pictures.picture(png(10, 10))
    with pytest.raises(GateError, match="a picture of 10 x 10 pixels"):
        pictures.picture(png(10, 10))


def test_a_picture_that_is_a_program_is_none(tmp_path):
    """Pillow would hand PostScript to Ghostscript, whatever the file is called."""
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    with pytest.raises(UnidentifiedImageError, match="no picture of a kind that is read"):
        open_picture(io.BytesIO(program), 1000)


def test_the_size_of_a_picture_is_known_before_its_pixels_are():
    head = png(1, 1)
    huge = head[:16] + struct.pack(">II", 13000, 13000) + head[24:]
    with pytest.raises(GateError, match="13000 x 13000 pixels, and 67.1 million are let in"):
        Gate().picture(huge[:29] + struct.pack(">I", zlib.crc32(huge[12:29])) + huge[33:])


def test_an_archive_that_unpacks_to_far_more_than_it_is_stays_packed(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.off", b"\n" * 30_000_000)
        archive.writestr("small.off", b"\n" * 30_000)
    with open_archive(tmp_path / "bomb.zip") as archive:
        assert len(Gate().member(archive, "small.off")) == 30_000
        with pytest.raises(GateError, match="a.off unpacks to .* times its size"):
            Gate().member(archive, "a.off")
        with pytest.raises(GateError, match="small.off has 0 MB, and 0 MB are let in"):
            Gate(bytes_left=29_999).member(archive, "small.off")
