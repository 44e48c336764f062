"""Networks that come with the package: a finished run's, in half precision, small enough for a clone and a wheel.

tpl/pretrained/networks/
    manifest.json                            format, profile, the run's weights by hash, and a hash of every file
    results/<category>_test.csv              the rows of the run's evaluation
    <category>/card.md                       what they are, what they score, and what they cannot do
    <category>/doubt.safetensors             what tells how far an answer can be trusted (`tpl.pretrained.doubt`)
    <category>/parts.npz                     points of the template that know their part
    <category>/{our_embedding,our_encoder}/  run folders whose weights have 16 bits

So it is a folder of runs like any other, and whatever reads one reads it. `tpl networks` writes it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from tpl.errors import PlainError

PACKAGED = Path(__file__).parent / "networks"
DECODER, ENCODER = "our_embedding", "our_encoder"
"""The run folders of a category's two trainings."""

PARTS = "parts.npz"
"""Points of the template that know their part (`tpl.finishing.parts`)."""

MANIFEST = "manifest.json"
FORMAT = 2
LARGEST = 3_000_000
"""Bytes of a category's weights at the most: a clone carries them for ever."""


class NetworksError(PlainError):
    """Networks that come with the package are not there, or not as they were written; the message says what to do."""


def has_networks(category: str, folder: Path | None = None) -> bool:
    """Whether networks of a category come with the package."""
    return category in packaged_categories(folder)


def packaged_categories(folder: Path | None = None) -> list[str]:
    """The categories whose networks come with the package."""
    file = (folder or PACKAGED) / MANIFEST
    return list(read_manifest(file)["weights"]) if file.exists() else []


def check_networks(category: str, folder: Path | None = None) -> Path:
    """The category's folder of trainings among the networks that come with the package.

    Raises:
        NetworksError: There are none, they are of another format, or a file is not the one that was written.
    """
    folder = folder or PACKAGED
    if not has_networks(category, folder):
        raise NetworksError(
            f"no networks of {category} come with the package in {folder}: name the folder of a run that has trained "
            "them, such as runs/quick"
        )
    for name, expected in read_manifest(folder / MANIFEST)["files"].items():
        file = folder / name
        if category in name and (not file.exists() or file_hash(file) != expected):
            raise NetworksError(f"{file} is not the file that {MANIFEST} beside it tells of: check it out anew")
    return folder / category


def read_manifest(file: Path) -> dict[str, Any]:
    """What the manifest of packaged networks says.

    Raises:
        NetworksError: It is broken, or of another format.
    """
    try:
        manifest = json.loads(file.read_text())
    except ValueError as error:
        raise NetworksError(f"{file} is not valid JSON: check it out anew") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise NetworksError(f"{file} is of format {found}, and this library reads {FORMAT}: use that of its own commit")
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("profile"), str):
        raise NetworksError(f"{file} names no files or no profile: check it out anew")
    return manifest


def file_hash(file: Path) -> str:
    """What a manifest says of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
