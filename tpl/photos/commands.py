"""The command `tpl reconstruct`: photographs to mesh files."""

import csv
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import trimesh
import tyro
from PIL import Image
from pydantic import Field

from tpl.errors import PlainError
from tpl.files import check_file, write_file
from tpl.geometry.marching import EmptyShape
from tpl.geometry.whole import notes_of_closing
from tpl.meshes import check_writable
from tpl.photos.distance import sentences_of_distance
from tpl.photos.masking import rembg_network
from tpl.photos.pipeline import PhotoReconstruction, PhotoReconstructor, category_of, cut_photo, load
from tpl.photos.reading import ImageError
from tpl.photos.showing import doubt_picture, seen_picture
from tpl.refinement.answering import STEPS
from tpl.settings import Resolution, SettingsError
from tpl.shapes.shape import check_category

Form = Callable[[PhotoReconstruction], trimesh.Scene]
Format = Literal["glb", "obj", "ply", "stl", "off", "html"]
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Endings of the files that are taken for photographs in a folder."""

COLUMNS = (
    *("picture", "mesh", "category", "mask", "mismatch_before", "mismatch_after", "distance", "as_far"),
    *("chamfer_low", "chamfer_high", "triangles", "seconds", "notes"),
)
TABLE = "results.csv"


def reconstruct(
    images: tyro.conf.Positional[tuple[Path, ...]],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    category: str = "auto",
    mask: Path | None = None,
    rectangle: tuple[int, int, int, int] | None = None,
    preview: Path | None = None,
    doubt: Path | None = None,
    refine: Annotated[int, Field(le=10**6)] = STEPS,
    format_: Annotated[Format | None, tyro.conf.arg(name="format")] = None,
    runs: Path | None = None,
    data: Path = Path("data/quick"),
    phase: Literal["auto", "encoder", "our_encoder", "end_to_end", "end_to_end_contrastive"] = "auto",
    resolution: Resolution = 128,
    faces: int | None = None,
    height: Annotated[float, Field(gt=0, le=10**6)] | None = None,
    colors: bool = True,
    network: str = "",
) -> None:
    """One photograph to a mesh file; several of one object to one mesh; or a folder of them to a folder of meshes.

    The object is found by the picture's transparency, by a mask, or by its colours; then it is framed as the training
    views are, and code and camera are fitted to its silhouette. What looks suspicious is printed, and how far the
    answer can be trusted.

    Args:
        images: PNG, JPEG, ...; several are of one and the same object, from any sides. A folder: each picture in it is
            of an object of its own, and a table beside the meshes, results.csv, tells of all.
        output: GLB, OBJ, PLY, STL, OFF or HTML (a page of its own with the turning mesh), by its ending; for a folder
            of pictures a folder.
        category: chairs, sofas or airplanes; auto: what the first picture looks like.
        mask: A picture of the same size, bright where the object is.
        rectangle: Left, top, right and bottom of a box around the object, in pixels.
        preview: PNG or JPEG: the picture with the outlines before (orange) and after (blue) the refinement, its mask,
            and what the network sees; for a folder of pictures a folder.
        doubt: PNG or JPEG: the mesh from two sides, the redder the less certain it is; for a folder a folder.
        refine: Steps of the fit to the silhouette; 0: the encoder's own answer.
        format_: Of meshes whose file has no ending: glb where nothing is said.
        runs: Folder of the run that trained the networks; by default those that come with the package are taken.
        data: Folder of the shapes that a run's networks were trained on, for the distance.
        phase: Which encoder, with the decoder that belongs to it; auto is the best two-phase one there is.
        resolution: Grid cells along each side.
        faces: At most so many triangles.
        height: In metres: the mesh is scaled to it and stands on the ground.
        colors: The photograph's own colours where the camera saw the surface; else their mean alone.
        network: Finds the object, in the place of its colours: a model of rembg, such as u2net (`pip install
            tpl[masks]`, its weights are fetched by rembg).
    """
    if not images:
        raise ImageError("no photograph is given: name a file, or a folder of files")
    if refine < 0:
        raise SettingsError(f"{refine} steps of refinement are not possible: give 0 or more")
    first = Path(next(iter(images)))
    of_folder = first.is_dir()
    if of_folder and (len(images) > 1 or mask or rectangle):
        raise ImageError(f"{first} is a folder: give it alone, without a mask or a rectangle")
    if len(images) > 1 and (mask or rectangle):
        raise ImageError("a mask or a rectangle belongs to one photograph: give several their masks as transparency")
    session = Session(category, runs, data, phase, refine, resolution, network)
    form = functools.partial(PhotoReconstruction.finished, faces=faces, height=height, colors=colors)
    if of_folder:
        return _folder(session, first, output, preview, doubt, format_ or "glb", form)
    path = check_output(output if output.suffix else output.with_suffix(f".{format_ or 'glb'}"))
    if format_ and path.suffix.lower() != f".{format_}":
        raise ImageError(f"{path} does not end in .{format_}: give one of both")
    for picture in filter(None, (preview, doubt)):
        check_picture(picture)
    made = session.reconstruct(images, mask, rectangle)
    write_pictures(made, preview, doubt)
    said = write_output(made, path, form)
    print(*session.told(made), *said, sep="\n")


class Session:
    """Networks that are loaded once, however many photographs there are."""

    def __init__(
        self,
        category: str,
        runs: Path | None,
        data: Path,
        phase: str = "auto",
        refine: int = STEPS,
        resolution: int = 128,
        network: str = "",
    ):
        self.category, self.runs, self.data, self.phase = category, runs, data, phase
        self.refine, self.resolution = refine, resolution
        self.network = rembg_network(network) if network else None
        self.ready: dict[str, PhotoReconstructor] = {}
        self.sorted = ""  # what was said of the category of the last photograph

    def reconstruct(
        self, pictures: Sequence[Path], mask: Path | None = None, rectangle: tuple[int, int, int, int] | None = None
    ) -> PhotoReconstruction:
        """The mesh of one object; raises as `tpl.photos.reconstruct`."""
        category = self.category if self.category == "auto" else check_category(self.category)
        cuts = [cut_photo(picture, mask, rectangle, self.network) for picture in pictures]
        if category == "auto":
            category, share = category_of(*cuts[0])
            self.sorted = f"category: {category} ({share:.0%} of the training views that look most like it are)"
        if category not in self.ready:
            self.ready[category] = load(category, self.runs, self.phase)
        ready = self.ready[category]
        return ready.answer([ready.frame(*cut) for cut in cuts], self.refine, self.resolution)

    def told(self, made: PhotoReconstruction) -> list[str]:
        """What is to be said of a reconstruction, a line each."""
        ready = self.ready[made.category]
        lines = [self.sorted] if self.category == "auto" else []
        lines += [f"mask: {photo.source}" for photo in made.photos]
        lines += [f"note: {note}" for note in notes_of(made)]
        lines.append(f"networks: {ready.origin}")
        if made.answer.poses is not None:
            before, after = (
                ", ".join(f"{error:.3f}" for error in part) for part in (made.answer.before, made.answer.after)
            )
            refined = f", after the refinement {after}" if self.refine else ""
            lines.append(f"silhouette: {before} of it as the encoder sees it does not agree (1 - IoU){refined}")
        if made.judgement:
            return lines + [f"doubt: {sentence}" for sentence in made.judgement.sentences]
        sentences = sentences_of_distance(made.photo, self.data, made.category, ready.networks.encoder)
        return lines + [f"distance {sentence}" for sentence in sentences]


def notes_of(made: PhotoReconstruction) -> list[str]:
    """What looks suspicious of a reconstruction, a sentence each."""
    return [note for photo in made.photos for note in photo.notes] + [made.answer.note] * bool(made.answer.note)


def check_output(path: Path) -> Path:
    """Gives a path back where a mesh or a page can be written; raises as `write_mesh`."""
    return check_file(path) if path.suffix.lower() == ".html" else check_writable(path)


def check_picture(path: Path) -> Path:
    """Gives a path back where a picture can be written.

    Raises:
        ImageError: Its ending is neither .png nor .jpg.
        OutputError: A folder is there.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ImageError(f"{path}: a preview is written as .png or .jpg; give the file one of these endings")
    return check_file(path)


def write_output(made: PhotoReconstruction, path: Path, form: Form = PhotoReconstruction.finished) -> list[str]:
    """The mesh of a reconstruction to a file, as its ending says.

    Args:
        made: What was reconstructed.
        path: Ends in .html for a page, or as `tpl.meshes.check_writable` has it.
        form: Makes the scene that other programs take.

    Returns:
        What is to be said of it, a line each.
    """
    if path.suffix.lower() != ".html":
        from tpl.finishing import write_finished

        scene = form(made)
        write_finished(scene, path)
        parts = sorted(scene.geometry)
        named = f", in parts: {', '.join(parts)}" if len(parts) > 1 else ""
        triangles = sum(len(part.faces) for part in scene.geometry.values())
        return [*(f"note: {note}" for note in scene.metadata["notes"]), f"{path}: {triangles} triangles{named}"]
    from tpl.look.scenes import mesh_scene

    shown = made.mesh.copy()
    shown.vertices = shown.vertices / 2  # scenes are of diameter 1
    page = mesh_scene(shown, name="mesh", poster=b"").page(alone=True)
    write_file(path, lambda partial: partial.write_text(page, encoding="utf-8"))
    notes = [f"note: {note}" for note in notes_of_closing(made.mesh)]
    return [*notes, f"{path}: {len(made.mesh.faces)} triangles, to be opened in a browser"]


def write_pictures(made: PhotoReconstruction, preview: Path | None, doubt: Path | None) -> None:
    """The preview and the picture of doubt of a reconstruction, where they are asked for."""
    for path, draw in ((preview, seen_picture), (doubt, doubt_picture)):
        if path:
            picture = Image.fromarray(draw(made))
            write_file(path, lambda partial, picture=picture: picture.save(partial))


def _folder(
    session: Session, folder: Path, output: Path, preview: Path | None, doubt: Path | None, ending: str, form: Form
) -> None:
    """Each picture of a folder to a mesh, and a row in the table; one that fails has its reason there."""
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise ImageError(f"no photographs in {folder}: files that end in {', '.join(PICTURES)} are taken")
    check_file(output / TABLE)
    rows, failed = [], 0
    for picture in pictures:
        began, path = time.perf_counter(), output / f"{picture.stem}.{ending}"
        row: dict[str, Any] = {"picture": picture.name}
        try:
            made = session.reconstruct([picture])
            seen = [each / f"{picture.stem}.png" if each else None for each in (preview, doubt)]
            write_pictures(made, *seen)
            write_output(made, check_output(path), form)
            row |= {"mesh": path.name, **_facts(made), "seconds": f"{time.perf_counter() - began:.2f}"}
        except (PlainError, EmptyShape) as error:
            failed += 1
            row["notes"] = f"failed: {error}"
        rows.append(row)
        print(", ".join(f"{name} {value}" for name, value in row.items()))

    def write(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)

    write_file(output / TABLE, write)
    print(f"{output / TABLE}: {len(rows) - failed} of {len(rows)} pictures")
    if failed == len(rows):
        raise ImageError(f"none of {failed} pictures became a mesh; {output / TABLE} says why of each")


def _facts(made: PhotoReconstruction) -> dict[str, Any]:
    facts = {
        "category": made.category,
        "mask": made.photo.source,
        "triangles": len(made.mesh.faces),
        "notes": "; ".join([*notes_of(made), *notes_of_closing(made.mesh)]),
    }
    numbers = {"mismatch_before": made.answer.before[0], "mismatch_after": made.answer.after[0]}
    if made.judgement:
        numbers |= {"distance": made.judgement.clues.distance, "as_far": made.judgement.as_far}
        if made.judgement.interval:
            numbers |= dict(zip(("chamfer_low", "chamfer_high"), made.judgement.interval, strict=True))
    return facts | {name: f"{number:.3g}" for name, number in numbers.items() if np.isfinite(number)}
