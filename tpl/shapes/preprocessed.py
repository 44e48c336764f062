"""Files of shapes that others have prepared: by DeepSDF's tools, or rendered by the paper's authors.

<folder>/SdfSamples/<dataset>/<class>/<id>.npz               what `preprocess_data.py` of DeepSDF writes
<folder>/SurfaceSamples/<dataset>/<class>/<id>.ply           the same with --surface
<folder>/NormalizationParameters/<dataset>/<class>/<id>.npz
<folder>/<class>/<id>/{easy,hard}/image/00.png               the authors' views, or image_rgb/, and their cameras:
<folder>/<class>/<id>/{easy,hard}/image/rendering_metadata.txt    beside them, as their script writes it,
<folder>/<class>/<id>/{easy,hard}/rendering_metadata.txt          or above them
"""

from pathlib import Path

from tpl.errors import PlainError

KINDS = {"SdfSamples": ".npz", "SurfaceSamples": ".ply", "NormalizationParameters": ".npz"}
VIEWS = ("easy", "hard")
PICTURES = ("image", "image_rgb")


class PreprocessedError(PlainError):
    """Prepared files of others are not what they should be; the message says what is wrong and what to do."""


def find_preprocessed(folder: str, synset: str) -> dict[str, dict[str, Path]]:
    """The files of a class by shape and kind, whatever the data set is called; nothing where no folder is given.

    Raises:
        PreprocessedError: The folder holds none of the three kinds, or the class under two data sets.
    """
    if not folder:
        return {}
    root = Path(folder)
    if not any((root / kind).is_dir() for kind in KINDS):
        raise PreprocessedError(f"{root} has none of the folders {', '.join(KINDS)}: name the folder above them")
    data_sets = sorted({place.parent.name for kind in KINDS for place in root.glob(f"{kind}/*/{synset}")})
    if len(data_sets) > 1:
        raise PreprocessedError(f"{root} holds {synset} under {' and '.join(data_sets)}: keep one of them there")
    found: dict[str, dict[str, Path]] = {}
    for kind, suffix in KINDS.items():
        for file in root.glob(f"{kind}/*/{synset}/*{suffix}"):
            found.setdefault(file.stem, {})[kind] = file
    return found


def find_views(folder: str, synset: str, shape_id: str) -> dict[str, Path]:
    """The folders of a shape's views by their kind, those that have their cameras with them."""
    if not folder:
        return {}
    places = {kind: Path(folder) / synset / shape_id / kind for kind in VIEWS}
    return {kind: place for kind, place in places.items() if find_metadata(place).is_file()}


def find_metadata(views: Path) -> Path:
    """The file of the cameras of a folder of views: in it, or among its pictures; the first where there is none."""
    files = [folder / "rendering_metadata.txt" for folder in (views, *(views / name for name in PICTURES))]
    return next((file for file in files if file.is_file()), files[0])
