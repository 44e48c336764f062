"""Two freely licensed cut-outs of airplanes, from Debian's package of stamps for the drawing program Tux Paint.

The package is downloaded and opened, not installed, and its pictures are not part of this repository.
"""

import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tpl.errors import PlainError
from tpl.files import write_atomically

PACKAGE = "tuxpaint-stamps-default"
LICENCE = "GPL-2 or later, copyright 2002-2022 Bill Kendrick"
"""Of all files of the package, as its own copyright file has it."""


class FetchError(PlainError):
    """Something that others publish cannot be had now; the message says why."""


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
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise FetchError(f"{PACKAGE} cannot be fetched: this machine has no {tool}, as Debian and Ubuntu have")
        with tempfile.TemporaryDirectory() as scratch:
            _download(Path(scratch))
            for member, content in _members(next(Path(scratch).glob("*.deb"))).items():
                name = f"{PACKAGE}-copyright.txt" if member == COPYRIGHT else Path(member).name
                write_atomically(folder / name, lambda path, content=content: path.write_bytes(content))
    return files


def _download(folder: Path) -> None:
    try:
        result = subprocess.run(
            ["apt-get", "download", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=600
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{PACKAGE} cannot be fetched: nothing after {error.timeout:.0f} seconds") from error
    if result.returncode or not list(folder.glob("*.deb")):
        lines = [line for line in result.stderr.splitlines() if line.startswith("E:")] or ["apt-get gave no package"]
        reason = lines[0].removeprefix("E: ")
        raise FetchError(f"{PACKAGE} cannot be fetched ({reason}): `apt-get update` and a network may help")


def _members(package: Path) -> dict[str, bytes]:
    """The contents of the stamps and of the package's copyright file."""
    wanted = {*(stamp.member for stamp in STAMPS), COPYRIGHT}
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    content = archive.extractfile(member) if name in wanted else None
                    if content is not None:
                        found[name] = content.read()
        except tarfile.TarError as error:
            raise FetchError(f"{package.name} is broken ({error}): fetch it again") from error
    missing = sorted(wanted - set(found))
    if missing:
        raise FetchError(f"{package.name} has no {missing[0]}: another version of the package?")
    return found
