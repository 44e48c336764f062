"""`tpl doctor`: what works here, what does not, and what to do about it. It only looks; nothing is changed.

Each check answers with findings, and none can spoil another: one that fails is a finding itself.
"""

import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from tpl.border import read_json, reason
from tpl.errors import PlainError

State = Literal["works", "note", "fault"]
EXTRAS = {
    "jupyter_book": "the book's pages: pip install -e '.[book]'",
    "jupyterlab": "the workbench, `tpl lab`: pip install -e '.[book]'",
    "distributed": "`tpl prepare --cluster`: pip install 'tpl[cluster]'",
    "collada": "meshes in .dae: pip install 'tpl[collada]'",
    "pillow_heif": "photographs in .heic: convert them, or pip install pillow-heif",
}
FEW_FILES, LITTLE_DISK, LITTLE_MEMORY = 256, 2e9, 4e9  # open at a time; bytes


class Finding(NamedTuple):
    """What a check found."""

    subject: str
    state: State
    told: str
    remedy: str = ""

    def __str__(self) -> str:
        sign = {"works": "   ok", "note": " note", "fault": "FAULT"}[self.state]
        return f"{sign}  {self.subject}: {self.told}" + (f"; {self.remedy}" if self.remedy else "")


def doctor(data: Path = Path("data"), runs: Path = Path("runs")) -> None:
    """Say what works here and what does not: environment, machine, disk, shapes, trainings, locks, other programs.

    The exit status is 1 where something must be mended; notes are of what some commands alone need.

    Args:
        data: Folder of the folders of prepared shapes.
        runs: Folder of the folders of trainings.
    """
    found = list(findings(data, runs))
    print(*found, sep="\n")
    if faults := sum(finding.state == "fault" for finding in found):
        raise PlainError(f"{faults} of {len(found)} things must be mended; each says above what to do")


def findings(data: Path, runs: Path) -> Iterator[Finding]:
    """What each check finds, one after the other."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("environment", _environment),
        ("versions", _versions),
        ("processor", _processor),
        ("memory", _memory),
        ("disk", lambda: _disk(data, runs)),
        ("shapes", lambda: _shapes(data)),
        ("trainings", lambda: _trainings(runs)),
        ("locks", lambda: _locks(data, runs)),
        ("other programs", _programs),
    ]
    for subject, check in checks:
        try:
            yield from check()
        except Exception as error:  # whatever is wrong here is what was asked for
            yield Finding(subject, "fault", f"could not be looked at ({reason(error)})", "mend this first")


def _environment() -> Iterator[Finding]:
    yield Finding("python", "works", f"{platform.python_version()} in {sys.prefix}, {platform.platform()}")
    where = Path(__file__).parent
    yield Finding("tpl", "works", f"{metadata.version('tpl')} from {where}")
    try:
        yield Finding("home", "works", str(Path.home()))
    except RuntimeError:
        yield Finding("home", "note", "there is none", "set HOME to a folder if a program asks for one")
    if sys.getfilesystemencoding().lower() != "utf-8":
        coding = sys.getfilesystemencoding()
        yield Finding("names of files", "note", f"are in {coding}", "set LANG=C.UTF-8 if yours have umlauts")
    if importlib.util.find_spec("resource"):
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= most < FEW_FILES:
            yield Finding("open files", "fault", f"{most} at a time are too few", "ulimit -n 1024")


def _versions() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("tpl") or []:
        needed = Requirement(text)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            here = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(here, prereleases=True):
            wrong.append(f"{needed.name} is {here} and should be {needed.specifier}")
    if wrong:
        yield Finding(
            "packages", "fault", "; ".join(wrong), "pip install -r requirements.lock, or pip install tpl anew"
        )
    else:
        yield Finding("packages", "works", "all that the library needs, in versions that it takes")


def _processor() -> Iterator[Finding]:
    import torch

    from tpl.provenance import cpu_name
    from tpl.training.precision import bfloat16_is_faster, has_bfloat16

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = "bfloat16" if bfloat16_is_faster(device) else "single precision"
    has = "has" if has_bfloat16(device) else "has no"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    yield Finding("processor", "works", f"{cpu_name()}, {cores} cores, torch {torch.__version__}")
    yield Finding("trained on", "works", f"{name}, which {has} instructions for bfloat16; `auto` takes {half}")


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    told = f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f}"
    if memory.available < LITTLE_MEMORY:
        yield Finding("memory", "note", told, "train one category at a time: --category chairs")
    else:
        yield Finding("memory", "works", told)


def _disk(data: Path, runs: Path) -> Iterator[Finding]:
    for name, folder in (("data", data), ("runs", runs), ("temporary files", Path(tempfile.gettempdir()))):
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK):
            remedy = "set TMPDIR" if name == "temporary files" else f"ask for access, or name another by --{name}"
            yield Finding(f"disk of {name}", "fault", f"{there} cannot be written to", remedy)
        elif free < LITTLE_DISK:
            yield Finding(f"disk of {name}", "note", f"{there} has {free / 1e9:.1f} GB free", "free some space")
        else:
            yield Finding(f"disk of {name}", "works", f"{there} has {free / 1e9:.1f} GB free")


def _shapes(data: Path) -> Iterator[Finding]:
    from tpl.dataset.collection import is_collection, open_collection
    from tpl.dataset.store import Record

    folders = [folder for folder in (data, *sorted(data.glob("*"))) if is_collection(folder)]
    if not folders:
        yield Finding("shapes", "note", f"none are prepared below {data}", "`tpl prepare` makes them")
    for folder in folders:
        try:
            source = open_collection(folder).config.source
        except PlainError as error:
            yield Finding("shapes", "fault", str(error))
            continue
        records = list((folder / "Prepared").rglob("*.json"))
        broken = [file for file in records if not _is(file, Record.model_validate_json)]
        told = f"{folder} holds {len(records) - len(broken)} shapes of the source {source}"
        if broken:
            remedy = "`tpl prepare` with the same folder makes them anew"
            yield Finding("shapes", "fault", f"{told}, and {len(broken)} broken records, as {broken[0]}", remedy)
        else:
            yield Finding("shapes", "works", told)


def _is(file: Path, read: Callable[[bytes], object]) -> bool:
    try:
        read(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _trainings(runs: Path) -> Iterator[Finding]:
    folders = sorted({file.parent for file in runs.glob("*/*/*/config.json")})
    if not folders:
        yield Finding("trainings", "note", f"none below {runs}", "`tpl train` or `tpl run` makes them")
    finished = 0
    for folder in folders:
        try:
            read_json(folder / "config.json", "move it away and train anew")
            if (folder / "run.json").exists():
                read_json(folder / "run.json", f"move {folder} away and train anew")
                check_weights(folder)
                finished += 1
            else:
                told = f"{folder} is not finished"
                yield Finding("trainings", "note", told, "the command that began it goes on with it")
        except PlainError as error:
            yield Finding("trainings", "fault", str(error))
    if finished:
        yield Finding("trainings", "works", f"{finished} finished below {runs}")


def check_weights(folder: Path) -> None:
    """Looks whether the weights of a run are as long as their header says, without reading them.

    Raises:
        PlainError: They are missing, cut off, or no safetensors.
    """
    file = folder / "model.safetensors"
    parts = [file] if file.exists() else sorted(folder.glob(f"{file.name}.part*"))
    remedy = f"move {folder} away and train anew, or put a whole copy there"
    if not parts:
        raise PlainError(f"there are no weights {file}: {remedy}")
    size = sum(part.stat().st_size for part in parts)
    with parts[0].open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        try:
            header = json.loads(opened.read(min(length, size)))
            end = max(each["data_offsets"][1] for name, each in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlainError(f"{file} cannot be read ({reason(error)}): {remedy}") from error
    if size != 8 + length + end:
        raise PlainError(f"{file} has {size:,} of {8 + length + end:,} bytes: {remedy}")


def _locks(data: Path, runs: Path) -> Iterator[Finding]:
    places = [(data, ".lock"), (data, "*/.lock"), (runs, "*/.*.lock"), (runs, "*/*/.*.lock"), (runs, "*/*/.lock")]
    locks = [lock for folder, pattern in places for lock in folder.glob(pattern)]
    for lock in locks:
        try:
            told = json.loads(lock.read_text())
            here = told["host"] == platform.node()
            alive = not here or Path(f"/proc/{told['process']}").exists() or not Path("/proc/self").exists()
            who = f"process {told['process']} on {told['host']} since {told['since']} ({told['command']})"
        except (OSError, ValueError, KeyError, TypeError):
            alive, who = False, "nobody who says so"
        if alive:
            yield Finding("locks", "works", f"{lock} is held by {who}")
        else:
            yield Finding(
                "locks", "note", f"{lock} was left by {who}", "it binds nobody: the next command takes it over"
            )
    if not locks:
        yield Finding("locks", "works", "nobody works in these folders")


def _programs() -> Iterator[Finding]:
    from tpl.book.pdf import find_chromium
    from tpl.rendering.blender import BlenderError, blender_version

    for module, needed in EXTRAS.items():
        if importlib.util.find_spec(module) is None:
            yield Finding(module, "note", "is not here", f"it is for {needed}")
        else:
            yield Finding(
                module, "works", metadata.version(module.replace("_", "-")) if module != "collada" else "is here"
            )
    if browser := find_chromium():
        yield Finding("browser", "works", browser)
    else:
        yield Finding(
            "browser", "note", "no Chromium is here", "tests of the site alone need one: apt-get install chromium"
        )
    try:
        yield Finding("Blender", "works", blender_version())
    except BlenderError as error:
        yield Finding("Blender", "note", str(error), "`--prepare.renderer blender` alone needs it")
