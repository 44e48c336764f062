"""`tpl fetch open`: the files of the open collection, out of eight Debian packages."""

import functools
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

from tqdm.auto import tqdm

from tpl.files import write_folder
from tpl.shapes.open_catalog import FETCHED, PACKAGE_FILE, OpenShape, Package, is_fetched, read_catalog, read_packages
from tpl.shapes.packages import FetchError, download, members, sha256_of


def fetch_open(fetched: Path = FETCHED) -> None:
    """Brings the meshes and textures of all shapes; what is there is kept, and an interrupted fetch goes on.

    Packages that lie in `packages/` below the folder are taken from there and left there. Others are downloaded by
    apt, one after the other, and removed when they are unpacked.

    Args:
        fetched: The folder.

    Raises:
        FetchError: A package cannot be had; the message says which files to put where.
    """
    shapes: dict[str, list[OpenShape]] = {}
    for shape in read_catalog():
        shapes.setdefault(shape.package, []).append(shape)
    missing = {
        name: package
        for name, package in read_packages().items()
        if not all(is_fetched(shape, fetched) for shape in shapes[name])
    }
    if not missing:
        return
    fetched.mkdir(parents=True, exist_ok=True)
    size = sum(package.size for package in missing.values())
    with tqdm(total=size, unit="B", unit_scale=True, desc="packages") as bar:
        for name, package in missing.items():
            bar.set_postfix_str(name)
            given = _given(name, package, fetched)
            with tempfile.TemporaryDirectory(dir=fetched, prefix=".") as scratch:
                if given:
                    bar.update(package.size)
                file = given or _downloaded(name, package, Path(scratch), fetched, bar.update)
                _unpack(file, shapes[name], fetched)


def _given(name: str, package: Package, fetched: Path) -> Path | None:
    """The package that the user put there."""
    files = sorted((fetched / "packages").glob(f"{name}_*.deb"))
    for file in files:
        if sha256_of(file) == package.sha256:
            return file
    if files:
        raise FetchError(f"{files[0]} is not {name} {package.version} (its SHA-256 differs): {_remedy(fetched)}")
    return None


def _downloaded(name: str, package: Package, scratch: Path, fetched: Path, advance: Callable[[int], object]) -> Path:
    try:
        file = download(name, scratch, package.version, advance)
    except FetchError as error:
        raise FetchError(f"{error}; or {_remedy(fetched)}") from error
    if sha256_of(file) != package.sha256:
        raise FetchError(f"{file.name} came with another SHA-256 than the catalogue has: {_remedy(fetched)}")
    return file


def _remedy(fetched: Path) -> str:
    files = ", ".join(
        f"{name}_{package.version.partition(':')[2] or package.version}_all.deb"
        for name, package in read_packages().items()
    )
    return f"put {files}, which snapshot.debian.org keeps, into {fetched / 'packages'} and run this again"


def _unpack(package: Path, shapes: list[OpenShape], fetched: Path) -> None:
    """Writes the folder of each shape of a package, whole or not at all."""
    contents = dict(members(package, {member for shape in shapes for member in shape.members}))
    archives = {shape.archive: ZipFile(io.BytesIO(contents[shape.archive])) for shape in shapes if shape.archive}
    for shape in shapes:
        try:
            files = {
                name: archives[shape.archive].read(path) if shape.archive else contents[path]
                for name, path in shape.files.items()
            }
        except KeyError as error:
            raise FetchError(f"{package.name}: {error.args[0]}: another version of the package?") from error
        files[PACKAGE_FILE] = read_packages()[shape.package].sha256.encode()
        write_folder(shape.folder(fetched), functools.partial(_write, files))


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
