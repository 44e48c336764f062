"""A small tree in the form of ShapeNetCore.v2, of procedural shapes: every step can be seen without ShapeNet."""

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import trimesh
from PIL import Image
from trimesh.exchange.obj import export_obj
from trimesh.visual import TextureVisuals
from trimesh.visual.material import SimpleMaterial

from tpl.shapes.procedural import procedural_shapes
from tpl.shapes.shape import CATEGORIES
from tpl.shapes.shapenet import MODEL
from tpl.shapes.splits import NAMES

BLOCK = 8  # pixels a side of a colour in the texture


def write_miniature(
    folder: Path | str, counts: Mapping[str, int], zipped: str = "", seed: int = 0
) -> dict[str, dict[str, list[str]]]:
    """Writes procedural shapes of all categories as models of ShapeNet, and split files beside them.

    Args:
        folder: Where the tree goes.
        counts: Shapes of each category by split, train and test.
        zipped: A category that is left as an archive, as ShapeNet is downloaded.
        seed: Of the shapes.

    Returns:
        The ids by category and split.
    """
    folder, ids = Path(folder), {}
    (folder / "splits").mkdir(parents=True, exist_ok=True)
    for category, synset in CATEGORIES.items():
        ids[category] = {split: [] for split in counts}
        for shape in procedural_shapes(category, counts, seed):
            name = hashlib.md5(shape.id.encode(), usedforsecurity=False).hexdigest()  # an id as ShapeNet's look
            write_model(shape.load(), folder / synset / name)
            ids[category][shape.split].append(name)
        for split, names in ids[category].items():
            text = json.dumps({"ShapeNetV2": {synset: names}}, indent=2)
            (folder / "splits" / f"sv2_{NAMES[category]}_{split}.json").write_text(text)
        if category == zipped:
            _pack(folder, synset)
    return ids


def write_model(mesh: trimesh.Trimesh, folder: Path | str) -> None:
    """Writes a mesh with face colours as a model of ShapeNet: OBJ and MTL, the colours as a texture in `images/`."""
    colors = np.asarray(getattr(mesh.visual, "face_colors"))[:, :3]  # noqa: B009
    palette, number = np.unique(colors, axis=0, return_inverse=True)
    across = (np.repeat(number.ravel(), 3) + 0.5) / len(palette)
    strip = np.kron(palette[None], np.ones((BLOCK, BLOCK, 1), np.uint8))
    material = SimpleMaterial(image=Image.fromarray(strip.astype(np.uint8)))
    faces = np.arange(3 * len(mesh.faces)).reshape(-1, 3)  # each has corners of its own, for its place in the texture
    corners = trimesh.Trimesh(mesh.triangles.reshape(-1, 3), faces, process=False)
    corners.visual = TextureVisuals(np.stack([across, np.full(len(across), 0.5)], axis=1), material)
    model = Path(folder) / MODEL
    text, beside = export_obj(corners, return_texture=True, mtl_name=f"{model.stem}.mtl", include_normals=False)
    for place in (model.parent, Path(folder) / "images"):
        place.mkdir(parents=True, exist_ok=True)
    model.write_text(text)
    (picture,) = [name for name in beside if not name.endswith(".mtl")]
    Image.open(io.BytesIO(beside[picture])).save(Path(folder) / "images" / "texture0.png")
    library = beside[f"{model.stem}.mtl"].decode().replace(picture, "../images/texture0.png")
    model.with_suffix(".mtl").write_text(library)


def _pack(folder: Path, synset: str) -> None:
    with ZipFile(folder / f"{synset}.zip", "w", ZIP_DEFLATED) as archive:
        for file in sorted((folder / synset).rglob("*")):
            archive.write(file, file.relative_to(folder))
    shutil.rmtree(folder / synset)
