"""ShapeNetCore.v2 as it is distributed, unpacked or in its zip archives.

    <folder>/<synset>/<id>/models/model_normalized.obj   with model_normalized.mtl
    <folder>/<synset>/<id>/images/                       textures, if it has any
    <folder>/<synset>.zip                                the same below <synset>/, instead of the folder or beside it

Its meshes are in RAW already: +y up, front towards -z, centred, bounding-box diagonal 1; they are not rescaled.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import trimesh

from tpl.border import reason
from tpl.errors import PlainError
from tpl.gate import open_archive
from tpl.meshes import load_mesh
from tpl.shapes.options import SourceOptions
from tpl.shapes.preprocessed import KINDS, find_preprocessed, find_views
from tpl.shapes.shape import CATEGORIES, SPLITS, Shape
from tpl.shapes.splits import read_split
from tpl.source_code import code_digest

MODEL = "models/model_normalized.obj"


class ShapeNetError(PlainError):
    """ShapeNet is not where it should be, or an archive of it is damaged; the message says what to do."""


class Model(NamedTuple):
    """Where a mesh of ShapeNet lies."""

    path: str  # as `load_mesh` takes it: "outer!inner" in an archive
    size: int  # of the OBJ file, unpacked, in bytes


def shapenet_shapes(category: str, counts: Mapping[str, int], seed: int, options: SourceOptions) -> list[Shape]:
    """The shapes of DeepSDF's split that are in the folder, at most so many of each split.

    ShapeNet knows no families; each shape is its own. A validation split is set apart only if shapes of it are asked
    for. `tpl data check` says which shapes of the split are missing. A shape whose mesh is not there, but all of
    DeepSDF's files, is listed without a mesh; with `preprocessed` the folder of ShapeNet may be missing altogether.

    Raises:
        ShapeNetError: There is no such folder, or nothing of the category's split is in it.
        SplitError: There are no split files.
    """
    folder, synset = Path(options.folder), CATEGORIES[category]
    if not folder.is_dir() or not (options.folder or options.preprocessed):
        raise ShapeNetError(
            f"the source shapenet reads the folder of ShapeNetCore.v2 and {options.folder or 'none'} is given: "
            "--folder names it; appendix B of the book tells how to get it"
        )
    beside = options.folder or options.preprocessed
    split = read_split(category, beside, options.splits, validation=counts.get("validation", 0) > 0)
    wanted = [shape_id for ids in split.values() for shape_id in ids]
    models = find_models(folder, synset, wanted) if options.folder else {}
    preprocessed = find_preprocessed(options.preprocessed, synset)
    known = models.keys() | {shape_id for shape_id, files in preprocessed.items() if files.keys() == KINDS.keys()}
    if not known & set(wanted):
        raise ShapeNetError(
            f"none of the {len(wanted)} {category} of the split is in {folder}/{synset} "
            f"or {folder}/{synset}.zip: `tpl data check {folder}` tells what is there"
        )
    shapes = []
    for name in SPLITS:
        there = [shape_id for shape_id in split[name] if shape_id in known]
        for shape_id in there[: counts.get(name, 0)]:
            model = models.get(shape_id)
            given = {**preprocessed.get(shape_id, {}), **find_views(options.views, synset, shape_id)}
            load = functools.partial(load_mesh, model.path) if model else functools.partial(_no_mesh, shape_id)
            key = (shape_id, category, f"shapenet-{shape_id}", name)
            shapes.append(Shape(*key, load, "shapenet", _version(model, given), given, has_mesh=model is not None))
    return shapes


def _no_mesh(shape_id: str) -> trimesh.Trimesh:
    raise ShapeNetError(
        f"{shape_id} has no mesh, only files that others prepared: what is drawn, rendered or measured of its faces "
        f"needs {shape_id}/{MODEL} in the folder of ShapeNet"
    )


def find_models(folder: Path, synset: str, ids: list[str] | None = None) -> dict[str, Model]:
    """The meshes of a synset by their ids; where one is both unpacked and in the archive, the unpacked one counts.

    Args:
        folder: Of ShapeNet.
        synset: WordNet's number of the category.
        ids: Those to look for; all that are there if none are given.

    Raises:
        ShapeNetError: The archive is damaged.
    """
    archive, unpacked = folder / f"{synset}.zip", folder / synset
    archived: dict[str, Model] = {}
    if archive.is_file():
        status = archive.stat()
        archived = _archived(archive, synset, status.st_size, status.st_mtime_ns)
    wanted = ids if ids is not None else sorted({*archived, *(path.name for path in unpacked.glob("*"))})
    found = {}
    for shape_id in wanted:
        file = unpacked / shape_id / MODEL
        if file.is_file():
            found[shape_id] = Model(str(file), file.stat().st_size)
        elif shape_id in archived:
            found[shape_id] = archived[shape_id]
    return found


@functools.lru_cache(maxsize=8)  # an archive of ShapeNet has a hundred thousand members: a second to list
def _archived(archive: Path, synset: str, size: int, changed: int) -> dict[str, Model]:
    pattern = re.compile(rf"(?:^|/){synset}/([\w-]+)/{re.escape(MODEL)}$")
    try:
        with open_archive(archive) as opened:
            members = [(pattern.search(member.filename), member) for member in opened.infolist()]
    except Exception as error:  # cut off, of another kind, or listing what it has not
        raise ShapeNetError(f"{archive} is damaged ({reason(error)}): download it again") from error
    return {match[1]: Model(f"{archive}!{member.filename}", member.file_size) for match, member in members if match}


def _version(model: Model | None, given: Mapping[str, Path]) -> str:
    """Tells by sizes whether a shape's files are others than before, or the code that reads them.

    Hashing gigabytes of a data set that never changes would cost more than it tells; and a size is the same whether
    the archive is unpacked or not.
    """
    of_given = [f"{kind}{path.stat().st_size if path.is_file() else ''}" for kind, path in given.items()]
    sizes = [model.size if model else None, *of_given, code_digest("tpl.meshes.reading")]
    return hashlib.sha256(repr(sizes).encode()).hexdigest()[:16]
