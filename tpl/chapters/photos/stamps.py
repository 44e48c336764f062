"""Two freely licensed cut-outs of airplanes, from Debian's package of stamps for the drawing program Tux Paint.

The package is downloaded and opened, not installed, and its pictures are not part of this repository.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tpl.files import write_file
from tpl.shapes.packages import download, members

PACKAGE = "tuxpaint-stamps-default"
LICENCE = "GPL-2 or later, copyright 2002-2022 Bill Kendrick"
"""Of all files of the package, as its own copyright file has it."""


@dataclass(frozen=True)
class Stamp:
    """A picture of the package."""

    title: str
    member: str
    credit: str  # as the package's list of changes has it

    @property
    def name(self) -> str:
        return Path(self.member).name


STAMPS = (
    Stamp(
        "747",
        "usr/share/tuxpaint/stamps/vehicles/flight/planes/747.png",
        "contributed by Albert Cahalan",
    ),
    Stamp(
        "F-22",
        "usr/share/tuxpaint/stamps/military/vehicles/f22_raptor.png",
        "U.S. Air Force photo by TSgt Ben Bloker, by way of Wikimedia Commons; prepared by Steve Karg",
    ),
)
COPYRIGHT = f"usr/share/doc/{PACKAGE}/copyright"


def fetch_stamps(folder: Path | str = "data/photos") -> dict[str, Path]:
    """The stamps' files by their titles; what is not in the folder yet is fetched there (about 160 MB are downloaded).

    Raises:
        FetchError: There is no apt, no network, or no such package or file.
    """
    folder = Path(folder)
    files = {stamp.title: folder / stamp.name for stamp in STAMPS}
    if not all(file.exists() for file in files.values()):
        with tempfile.TemporaryDirectory() as scratch:
            package = download(PACKAGE, Path(scratch))
            wanted = dict(members(package, {*(stamp.member for stamp in STAMPS), COPYRIGHT}))
            for member, content in wanted.items():
                name = f"{PACKAGE}-copyright.txt" if member == COPYRIGHT else Path(member).name
                write_file(folder / name, lambda path, content=content: path.write_bytes(content))
    return files
