"""Files that others publish as Debian packages: downloaded and opened, never installed; nobody needs to be root."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tpl.errors import PlainError

PATIENCE = 120.0  # seconds without a new byte, after which a download counts as dead


class FetchError(PlainError):
    """Something that others publish cannot be had now; the message says why."""


def download(
    package: str, folder: Path, version: str = "", advance: Callable[[int], object] = lambda amount: None
) -> Path:
    """The file of a package, brought by apt.

    Args:
        package: Its name.
        folder: An empty folder, where the file is written.
        version: Which one; by default what the archive offers.
        advance: Told of the bytes as they come.

    Raises:
        FetchError: There is no apt, no network, no such package, or only another version of it.
    """
    if shutil.which("apt-get") is None:
        raise FetchError(f"{package} cannot be fetched: this machine has no apt-get, as Debian and Ubuntu have")
    wanted = f"{package}={version}" if version else package
    with subprocess.Popen(
        ["apt-get", "download", wanted],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ) as process:
        here, since = 0, time.monotonic()
        while process.poll() is None:
            time.sleep(0.1)
            now = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            if now > here:
                advance(now - here)
                here, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                process.kill()
                raise FetchError(f"{package} cannot be fetched: nothing came for {PATIENCE:.0f} seconds")
        complaints = process.stderr.read() if process.stderr else ""
    files = list(folder.glob("*.deb"))
    if process.returncode or not files:
        lines = [line for line in complaints.splitlines() if line.startswith("E:")] or ["apt-get gave no package"]
        reason = lines[0].removeprefix("E: ")
        raise FetchError(f"{package} cannot be fetched ({reason}): `apt-get update` and a network may help")
    advance(files[0].stat().st_size - here)
    return files[0]


def members(package: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The names and contents of some files of a package, in its own order.

    Args:
        package: The .deb file.
        wanted: Paths in the package, such as usr/share/doc/tuxpaint/copyright.

    Raises:
        FetchError: There is no dpkg-deb, the file is broken, or it lacks one that is wanted.
    """
    if shutil.which("dpkg-deb") is None:
        raise FetchError(f"{package.name} cannot be opened: this machine has no dpkg-deb, which comes with dpkg")
    missing = set(wanted)
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking:
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    content = archive.extractfile(member) if name in missing else None
                    if content is not None:
                        missing.remove(name)
                        yield name, content.read()
                    if not missing:
                        break
        except tarfile.TarError as error:
            raise FetchError(f"{package.name} is broken ({error}): fetch it again") from error
        finally:
            unpacking.kill()  # what follows is not wanted
    if missing:
        raise FetchError(f"{package.name} has no {min(missing)}: another version of the package?")


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
