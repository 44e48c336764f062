"""The command line: `tpl COMMAND --help` tells what each command takes."""

import argparse
import functools
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import tyro
import yaml
from PIL import Image

from tpl.book.book import DEFAULT_PROFILE, Book
from tpl.book.commands import ROOT, Given, pair_chapters, publish_run, run, site
from tpl.book.parameters import chosen_parameters, parameters
from tpl.dataset.checking import check_collection, check_shapenet
from tpl.dataset.collection import Collection, CollectionConfig, is_collection, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.dataset.workers import TIMEOUT
from tpl.errors import OutOfTime
from tpl.files import beside, write_atomically
from tpl.meshes import check_writable, write_mesh
from tpl.settings import Preset
from tpl.shapes import SourceOptions
from tpl.shapes.shape import categories_of, check_category
from tpl.shapes.splits import DEFAULT_FOLDER, fetch_splits


def fetch(what: tyro.conf.Positional[Literal["open", "splits"]]) -> None:
    """Bring what others publish below data/, each file with a checked hash; what is there already is kept.

    Args:
        what: open: the open collection of shapes, out of eight Debian packages (890 MB, which go again);
            splits: DeepSDF's lists of ShapeNet's shapes (MIT licence).
    """
    from tpl.shapes.open_fetching import FETCHED, fetch_open

    if what == "open":
        fetch_open()
        print(f"the open collection: {FETCHED / what}")
    else:
        print(*fetch_splits(DEFAULT_FOLDER), sep="\n")


def prepare(
    category: str = "all",
    data: Path | None = None,
    profile: str = DEFAULT_PROFILE,
    config: Annotated[CollectionConfig, tyro.conf.arg(name="")] = CollectionConfig(),  # noqa: B008
    jobs: int = -1,
    timeout: float = float(TIMEOUT),
    cluster: str = "",
) -> None:
    """Prepare shapes: signed distances, surfaces, frames and views; what is there already is kept.

    Args:
        category: chairs, sofas, airplanes, or all. Of your own meshes in one folder: what they are.
        data: Folder of the collection; by default the profile's, with the source at the end: data/quick-folder.
        profile: A folder of book/profiles: the amounts that are not given here are those of its chapter of shapes.
        config: What it shall hold. A folder alone implies the source "folder", your own meshes.
        jobs: Processes; -1 is one a core.
        timeout: Seconds that a shape may take; what takes longer is ended and reported as failed.
        cluster: Address of a dask scheduler, as tcp://10.0.0.1:8786: its workers do it, with the same data folder.
    """
    if config.folder and config.source == "procedural":
        config = config.model_copy(update={"source": "folder"})
    if category != "all" and not config.folder_category and "folder" in config.source.split("+"):
        config = config.model_copy(update={"folder_category": check_category(category)})
    source = "" if config.source == "procedural" else config.source
    folder = data or Path(beside(str(_shapes_of_profile(profile)["data"]), source))
    collection = Collection(folder, config)
    categories = collection.categories(category)  # before the folder is made
    report = open_collection(folder, config=config).prepare(categories, jobs, timeout, cluster)
    print(report.groupby(["category", "split", "status"]).size().to_string())
    for status, shape_id, reason in zip(report["status"], report["shape_id"], report["reason"], strict=True):
        if reason:
            print(f"{status}: {shape_id}: {reason}")
    print(f"a row a shape: {folder / 'report.csv'}")


def data(
    action: tyro.conf.Positional[Literal["check"]],
    folder: tyro.conf.Positional[Path],
    category: str = "all",
    splits: str = "",
    preprocessed: str = "",
    views: str = "",
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
    measured: int = 3,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    jobs: int = -1,
) -> None:
    """Say what is there, missing or broken in a folder, and what the rest of the preparation will take.

    The exit status is 1 only when nothing usable is there.

    Args:
        action: check.
        folder: Of ShapeNetCore.v2, or of a collection (it has a collection.json).
        category: chairs, sofas, airplanes, or all.
        splits: Folder of DeepSDF's split files, if not <folder>/splits or data/splits.
        preprocessed: Folder of files that DeepSDF's tools wrote, to be used instead of computed.
        views: Folder of the authors' renders, to be used instead of rendered.
        prepare: How much will be kept of a shape of ShapeNet; a collection knows its own.
        measured: So many shapes are prepared in a temporary folder, to see what all will take.
        output: A CSV file for the whole list, a row a shape.
        jobs: Processes that read; -1 is one a core.
    """
    categories = categories_of(category)
    if is_collection(folder):
        report = check_collection(open_collection(folder), categories, measured, jobs)
    else:
        options = SourceOptions(folder=str(folder), splits=splits, preprocessed=preprocessed, views=views)
        report = check_shapenet(options, categories, prepare, measured, jobs)
    print(report.text())
    if output:
        write_atomically(output, lambda path: report.rows.to_csv(path, index=False))
    if not report.usable:
        raise ValueError(f"nothing in {folder} can be used")


def train(
    phase: tyro.conf.Positional[
        Literal["embedding", "encoder", "encoder_sdf", "contrastive", "end_to_end", "end_to_end_contrastive"]
    ],
    category: str = "all",
    data: Path = Path("data/quick"),
    runs: Path = Path("runs/quick"),
    preset: Preset = "fixed",
    parameter: Given = [],  # noqa: B006
    device: str = "auto",
) -> None:
    """Train a phase, or go on where it was interrupted; a finished one is left alone.

    Args:
        phase: embedding (1), encoder (2, the paper's) or encoder_sdf (2, ours), contrastive (pre-training),
            end_to_end or end_to_end_contrastive.
        category: chairs, sofas, airplanes, or all, side by side.
        data: Folder of the collection; what it lacks is prepared.
        runs: Folder of the run; later phases find the earlier ones there.
        preset: fixed, paper or authors.
        parameter: A field of the configuration: `-p epochs 300 -p model.warp_hidden 64`.
        device: auto, cpu or cuda.
    """
    from tpl import training  # torch takes seconds, and `tpl site` does without
    from tpl.study import methods, trainings
    from tpl.training.presets import OURS

    changes = nested({name: yaml.safe_load(value) for name, value in parameter})
    place = training.training_device(device)
    collection, categories = _opened(data, category)
    if phase == "embedding":
        config = training.embedding_config(preset, **changes)
        work = functools.partial(trainings.embed_category, config=config)
    elif phase in ("end_to_end", "end_to_end_contrastive"):
        contrastive = phase == "end_to_end_contrastive"
        start = "contrastive" if contrastive else "random"
        method = methods.END_TO_END_CONTRASTIVE if contrastive else methods.END_TO_END
        config = training.end_to_end_config(preset, **{"start": start, **changes})
        work = functools.partial(trainings.end_to_end_category, config=config, method=method)
    elif phase == "contrastive":
        config = training.contrastive_config(preset, **changes)
        work = functools.partial(trainings.contrast_category, config=config)
    else:
        ours = OURS if phase == "encoder_sdf" else {"encoder": {}}
        method = methods.ENCODER_SDF if phase == "encoder_sdf" else methods.ENCODER
        encoder = {"encoder": ours["encoder"] | changes.get("encoder", {})}
        config = training.regression_config(preset, **{**ours, **changes, **encoder})
        work = functools.partial(trainings.regress_category, config=config, method=method)
    work = functools.partial(work, collection=collection, runs=runs, device=str(place))
    for name, folder in training.side_by_side(work, categories, place).items():
        print(f"{name}: {folder}, {training.RunFolder(folder).facts()['seconds']} s")


def evaluate(
    category: str = "all",
    data: Path = Path("data/quick"),
    runs: Path = Path("runs/quick"),
    split: Literal["test", "validation"] = "test",
    resolution: int = 64,
    device: str = "auto",
) -> None:
    """Measure every method on a split and print the table.

    Args:
        category: chairs, sofas, airplanes, or all, side by side.
        data: Folder of the collection.
        runs: Folder of the run.
        split: test, or validation where settings are still being chosen.
        resolution: Grid cells along each side when a mesh is extracted.
        device: auto, cpu or cuda.
    """
    from tpl import training
    from tpl.evaluation.results import read_results
    from tpl.evaluation.summary import format_summary, summarize
    from tpl.study.judging import evaluate_category

    place = training.training_device(device)
    collection, categories = _opened(data, category)
    work = functools.partial(
        evaluate_category,
        collection=collection,
        runs=runs,
        split=split,
        resolution=resolution,
        device=str(place),
        jobs=training.cores_each(categories, place),
    )
    files = training.side_by_side(work, categories, place)
    rows = pd.concat([read_results(file) for file in files.values()])
    print(format_summary(summarize(rows)).to_string(index=False))


def reconstruct(
    image: tyro.conf.Positional[Path],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    category: str,
    mask: Path | None = None,
    rectangle: tuple[int, int, int, int] | None = None,
    preview: Path | None = None,
    runs: Path = Path("runs/quick"),
    data: Path = Path("data/quick"),
    phase: Literal["auto", "encoder", "encoder_sdf", "end_to_end", "end_to_end_contrastive"] = "auto",
    resolution: int = 96,
) -> None:
    """One photograph to a mesh file.

    The object is found by the picture's transparency, by a mask, or by its colours; then it is framed as the training
    views are. What looks suspicious is printed, and how far the picture is from the training images.

    Args:
        image: PNG, JPEG, ...
        output: GLB, OBJ, PLY, STL or OFF, by its ending.
        category: chairs, sofas or airplanes.
        mask: A picture of the same size, bright where the object is.
        rectangle: Left, top, right and bottom of a box around the object, in pixels.
        preview: PNG or JPEG: the picture, its mask, and what the network sees.
        runs: Folder of the run that trained the networks.
        data: Folder of the shapes that they were trained on, for the distance.
        phase: Which encoder, with the decoder that belongs to it; auto is the best two-phase one there is.
        resolution: Grid cells along each side.
    """
    from tpl import photos

    check_writable(output)
    if preview and preview.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise photos.ImageError(f"{preview}: a preview is written as .png or .jpg; give the file one of these endings")
    mesh, photo = photos.reconstruct(image, check_category(category), runs, mask, rectangle, phase, resolution)
    if preview:
        picture = Image.fromarray(photos.preview(photo))
        write_atomically(preview, lambda path: picture.save(path))
    write_mesh(mesh, output)
    for note in photo.notes:
        print(f"note: {note}")
    print(f"mask: {photo.source}")
    encoder = photos.load_reconstructor(category, runs, phase).encoder
    for sentence in photos.sentences_of_distance(photo, data, category, encoder):
        print(f"distance {sentence}")
    print(f"{output}: {len(mesh.faces)} triangles")


def config_of(profile: str) -> CollectionConfig:
    """What a profile's chapter of shapes asks for."""
    values = _shapes_of_profile(profile)
    counts = {name: values[f"{name}_shapes"] for name in ("train", "coded", "small", "validation", "test")}
    others = {name: values[name] for name in ("small_sdf_samples", "small_cross_samples", "seed")}
    amounts = {name: values[name] for name in PrepareConfig.model_fields if name in values}
    return CollectionConfig.model_validate({**counts, **others, "prepare": amounts})


def _shapes_of_profile(profile: str) -> dict[str, Any]:
    book = Book(ROOT)
    chapter = book.find("01")
    return parameters(chapter) | chosen_parameters(book, [chapter], profile, {})[chapter.name]


def _opened(data: Path, category: str) -> tuple[Collection, list[str]]:
    """A collection and those of the categories asked for that it has, with what it lacks of them prepared."""
    categories = open_collection(data).categories(category)
    return open_collection(data, categories), categories


def _asked_profile(arguments: list[str]) -> str:
    """The profile that a command line names: its amounts are defaults, so they are needed before it is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--profile", default=DEFAULT_PROFILE, nargs="?")
    return parser.parse_known_args(arguments)[0].profile or DEFAULT_PROFILE


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """`{"model.warp_steps": 4}` as `{"model": {"warp_steps": 4}}`."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        *groups, field = name.split(".")
        inner = result
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[field] = value
    return result


COMMANDS = {
    "fetch": fetch,
    "prepare": prepare,
    "data": data,
    "train": train,
    "evaluate": evaluate,
    "reconstruct": reconstruct,
    "run": run,
    "site": site,
    "pair": pair_chapters,
    "publish": publish_run,
}


def main() -> None:
    """Entry point of `tpl`: a wrong input ends in one sentence and exit status 1."""
    try:
        commands = dict(COMMANDS)
        if sys.argv[1:2] == ["prepare"]:
            commands["prepare"] = functools.partial(prepare, config=config_of(_asked_profile(sys.argv[2:])))
        tyro.extras.subcommand_cli_from_dict(commands, prog="tpl", description=__doc__)
    except OutOfTime as error:
        print(f"tpl: {error}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except (ValueError, OSError) as error:
        sys.exit(f"tpl: {error}")
    except KeyboardInterrupt:
        sys.exit("tpl: interrupted; what was finished is kept, and the same command goes on from there")


if __name__ == "__main__":
    main()
