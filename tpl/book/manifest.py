"""What is known of executed chapters: which text, library, parameters, machine, and how long they took."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tpl.book.book import BookError, Chapter, Value
from tpl.book.parameters import parameters
from tpl.border import border, read_json
from tpl.files import write_file

MANIFEST = "manifest.json"

REMEDY = "remove it and run the chapters again"

SCENES = "_scenes"


class Executed(BaseModel):
    """What an entry must say of a chapter, and what it may; whatever else it says is kept as it is."""

    model_config = ConfigDict(extra="allow")

    seconds: float
    longest_seconds: float = 0.0
    finished: str = ""
    profile: str = ""
    parameters: dict[str, Any] = {}
    changed: dict[str, Any] = {}


class Manifest(BaseModel):
    """The entries by the names of their chapters."""

    chapters: dict[str, Executed]


def read_manifest(folder: Path) -> dict[str, Any]:
    """What is known of the executed chapters in a folder: one entry a chapter; empty before the first run.

    Raises:
        BookError: The file is broken, or no manifest.
    """
    file = folder / MANIFEST
    if not file.exists():
        return {}
    found = read_json(file, REMEDY, BookError)
    with border(file, REMEDY, BookError):
        Manifest.model_validate(found)
    return found["chapters"]


def earlier_seconds(*folders: Path) -> dict[str, float]:
    """Seconds that chapters have taken, trainings included as far as they are known: the first folder's word counts."""
    known: dict[str, float] = {}
    for folder in reversed(folders):
        known |= {
            name: float(entry.get("longest_seconds", entry["seconds"])) for name, entry in read_manifest(folder).items()
        }
    return known


def record(
    folder: Path,
    chapter: Chapter,
    profile: str,
    values: Mapping[str, Value],
    seconds: float,
    beside: Sequence[str] = (),
) -> None:
    """Enters an execution in the manifest: what was run, with which parameters, where, beside what, how long."""
    entries, entry = read_manifest(folder), _entry(chapter, profile, values, seconds)
    entry["beside"] = list(beside)  # chapters that shared the cores: seconds are more then than alone
    # The second run of a chapter loads its trainings: what they took stays known.
    before = entries.get(chapter.name, {})
    known = before.get("parameters", {}).items()  # a chapter may have got further ones since
    same = before.get("device") == entry["device"] and known <= entry["parameters"].items()
    entry["longest_seconds"] = max(entry["seconds"], before.get("longest_seconds", 0) if same else 0)
    entries[chapter.name] = entry
    text = json.dumps({"chapters": entries}, indent=1)
    write_file(folder / MANIFEST, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def _entry(chapter: Chapter, profile: str, values: Mapping[str, Value], seconds: float) -> dict[str, Any]:
    import torch

    from tpl.provenance import describe_run

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    facts = describe_run(device, seconds)
    facts.pop("peak_memory_gb", None)  # this process's, not the chapter's
    return {
        "profile": profile,
        "source": chapter.digest,
        "library": library_digest(),
        "parameters": parameters(chapter) | dict(values),
        "changed": dict(values),
        **facts,
        "gpu": device.type == "cuda",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def library_digest() -> str:
    """A hash of the library's sources."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for ending in ("*.py", "*.json") for path in package.rglob(ending)):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
