"""DeepSDF's split files: which shapes of ShapeNet are trained on, and which judge.

Form: `{"ShapeNetV2": {"03001627": [ids]}}`, a file a category and split. They are DeepSDF's (MIT licence, copyright
2019 Facebook, Inc. and its affiliates), are not part of this repository, and are fetched from theirs.
"""

import hashlib
import json
import urllib.error
import urllib.request
from pathlib import Path
from zlib import crc32

from tpl.errors import PlainError
from tpl.files import write_file
from tpl.shapes.shape import CATEGORIES

ADDRESS = "https://raw.githubusercontent.com/facebookresearch/DeepSDF/ab4814fe8df368655e6c971cec0819b92574c795/examples/splits"
NAMES = {"chairs": "chairs", "sofas": "sofas", "airplanes": "planes"}  # what the files call them
COUNTS = {
    "chairs": {"train": 3281, "test": 832},
    "sofas": {"train": 1628, "test": 411},
    "airplanes": {"train": 1780, "test": 456},
}
"""How many shapes the files list."""

SHA256 = {
    "sv2_chairs_train.json": "a344974bea072b50141046b337753e5330fc5bd0448715a372cb2b3ec9d7a90b",
    "sv2_chairs_test.json": "63f61c805fd4c997a38bf33f65b501f0c30e3d3500012878fbca60be6e31cf25",
    "sv2_planes_train.json": "fbb5f830177492834414bf9519286c0418b166355cc470e09e9d84d8f3574b09",
    "sv2_planes_test.json": "f08b056876d2463908e9dbce22997478a45d7bbcccf0fb5c66b7433b104ee390",
    "sv2_sofas_train.json": "90622e9b7eb2b0ac897e829e4956bbd9e83ebba4d0e49d2930b4732cedf89441",
    "sv2_sofas_test.json": "fe1e60e009a1e4f7aa2e8e292a8eeaff14374362e2f8b7d9c0a4d4c40aa2282c",
}
DEFAULT_FOLDER = Path("data/splits")
"""Of the files without white space at their ends, which differs between copies that are in circulation."""
VALIDATION_SHARE = 20  # one training shape in so many, where a validation split is asked for


class SplitError(PlainError):
    """A split file is missing, broken or not the one that was published; the message names it and the remedy."""


def read_split(category: str, folder: Path | str, splits: str = "", validation: bool = False) -> dict[str, list[str]]:
    """The ids of a category by their split, in the order of the files.

    DeepSDF has no validation split. Where one is asked for, a twentieth of the training ids is set apart by a hash of
    the id alone: the same ids on every machine, however much of ShapeNet is there.

    Args:
        category: chairs, sofas or airplanes.
        folder: Of ShapeNet; `splits/` in it is looked at first, then `data/splits/`.
        splits: The folder of the files, if they lie elsewhere.
        validation: Whether a validation split is set apart.

    Raises:
        SplitError: A file is nowhere, or is not of the form above.
    """
    folders = [Path(splits)] if splits else [Path(folder) / "splits", DEFAULT_FOLDER]
    read = {split: _read(category, split, folders) for split in ("train", "test")}
    apart = [shape_id for shape_id in read["train"] if validation and crc32(shape_id.encode()) % VALIDATION_SHARE == 0]
    return {"train": [i for i in read["train"] if i not in set(apart)], "validation": apart, "test": read["test"]}


def _read(category: str, split: str, folders: list[Path]) -> list[str]:
    name, synset = f"sv2_{NAMES[category]}_{split}.json", CATEGORIES[category]
    file = next((folder / name for folder in folders if (folder / name).exists()), None)
    if file is None:
        where = " nor in ".join(str(folder) for folder in folders)
        raise SplitError(f"no {name} in {where}: `tpl fetch splits` brings it, or name its folder by --splits")
    try:
        data_sets = json.loads(file.read_text(encoding="utf-8"))
        ids = [shape_id for classes in data_sets.values() for shape_id in classes.get(synset, [])]
    except (ValueError, AttributeError, TypeError) as error:
        raise SplitError(
            f'{file} is not of the form {{"ShapeNetV2": {{"{synset}": [ids]}}}}: fetch it again'
        ) from error
    if not ids or not all(isinstance(shape_id, str) for shape_id in ids):
        raise SplitError(f"{file} lists no shapes of {synset} ({category}): give the file of this category")
    return list(dict.fromkeys(ids))


def fetch_splits(folder: Path | str = DEFAULT_FOLDER, address: str = ADDRESS) -> list[Path]:
    """DeepSDF's six files, each with a checked SHA-256; those that are there already are left alone.

    Args:
        folder: Where they go.
        address: What stands before their names.

    Raises:
        SplitError: There is no network, or a file is another than the one that was published.
    """
    files = [Path(folder) / name for name in SHA256]
    for file in files:
        if not file.exists():
            content = _download(f"{address}/{file.name}")
            if hashlib.sha256(content.strip()).hexdigest() != SHA256[file.name]:
                raise SplitError(f"{address}/{file.name} is not the published file: its SHA-256 differs")
            write_file(file, lambda path, content=content: path.write_bytes(content))
    return files


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=60) as response:
            return response.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise SplitError(
            f"{address} cannot be fetched ({reason}): without a network, copy the files from examples/splits of "
            f"DeepSDF's repository to {DEFAULT_FOLDER}"
        ) from error
