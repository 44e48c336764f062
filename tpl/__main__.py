"""The command line: `tpl COMMAND --help` tells what each command takes."""

import argparse
import functools
import itertools
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pandas as pd
import tyro
from pydantic import Field

from tpl.book.book import DEFAULT_PROFILE, Book
from tpl.book.chapter_settings import OF_ORACLE
from tpl.book.commands import (
    ROOT,
    Given,
    compare,
    help_of_chapters,
    networks,
    pair_chapters,
    pdf,
    publish_run,
    run,
    site,
    the_book,
)
from tpl.book.hyperparameters import Chosen, choose, collection_config
from tpl.book.parameters import chosen_parameters
from tpl.border import told_in_a_sentence
from tpl.completion.commands import complete
from tpl.dataset.checking import check_collection, check_shapenet
from tpl.dataset.collection import QUICK, Collection, CollectionConfig, is_collection, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.dataset.store import StoreError
from tpl.dataset.workers import LONGEST, TIMEOUT
from tpl.doctor import doctor
from tpl.errors import check_time
from tpl.files import alone_in, beside, check_file, write_file
from tpl.photos.commands import reconstruct
from tpl.reporting import reported
from tpl.settings import Preset, SettingsError, validated, within_bounds
from tpl.shapes import SourceOptions
from tpl.shapes.folder import remarks
from tpl.shapes.shape import categories_of, check_category
from tpl.shapes.splits import DEFAULT_FOLDER, fetch_splits
from tpl.weights.commands import weights
from tpl.workbench.commands import lab

if TYPE_CHECKING:
    from tpl.study.bench import Bench


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
    timeout: Annotated[float, Field(gt=0, le=LONGEST)] = float(TIMEOUT),
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
    if config.folder and not {"folder", "shapenet"} & set(config.source.split("+")):
        config = config.model_copy(update={"source": "folder"})
    if category != "all" and not config.folder_category and "folder" in config.source.split("+"):
        config = config.model_copy(update={"folder_category": check_category(category)})
    source = "" if config.source == "procedural" else config.source
    folder = data or Path(beside(_data_of_profile(profile), source))
    collection = Collection(folder, config)
    categories = collection.categories(category)  # before the folder is made
    report = open_collection(folder, config=config).prepare(categories, jobs, timeout, cluster)
    if _without_book(profile):
        print(f"the library's own amounts, those of profile {DEFAULT_PROFILE}; other profiles need a clone of the book")
    print(report.groupby(["category", "split", "status"]).size().to_string())
    for status, shape_id, reason in zip(report["status"], report["shape_id"], report["reason"], strict=True):
        if reason:
            print(f"{status}: {shape_id}: {reason}")
    if "note" in report:
        noted = report[report["note"].notna()]
        print(
            *(f"note: {shape_id}: {note}" for shape_id, note in zip(noted.shape_id, noted.note, strict=True)), sep="\n"
        )
    if "folder" in config.source.split("+"):
        print(*remarks(config), sep="\n")
    print(f"a row a shape: {folder / 'report.csv'}")
    if not {"made", "kept"} & set(report["status"]):
        raise StoreError(f"none of {len(report)} shapes can be used; {folder / 'report.csv'} says why of each")


def data(
    action: tyro.conf.Positional[Literal["check"]],
    folder: tyro.conf.Positional[Path],
    category: str = "all",
    splits: str = "",
    preprocessed: str = "",
    views: str = "",
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
    measured: Annotated[int, Field(ge=0)] = 3,
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
    if output:
        check_file(output)
    if is_collection(folder):
        report = check_collection(open_collection(folder), categories, measured, jobs)
    else:
        options = SourceOptions(folder=str(folder), splits=splits, preprocessed=preprocessed, views=views)
        report = check_shapenet(options, categories, prepare, measured, jobs)
    print(report.text())
    if output:
        write_file(output, lambda path: report.rows.to_csv(path, index=False))
    if not report.usable:
        raise ValueError(f"nothing in {folder} can be used")


def train(
    phase: tyro.conf.Positional[
        Literal[
            "embedding",
            "our_embedding",
            "encoder",
            "our_encoder",
            "contrastive",
            "end_to_end",
            "end_to_end_contrastive",
        ]
    ],
    profile: str = DEFAULT_PROFILE,
    category: str = "",
    data: Path | None = None,
    runs: Path | None = None,
    preset: Preset | None = None,
    parameter: Given = [],  # noqa: B006
    device: str = "",
) -> None:
    """Train a phase as its chapter does, or go on where it was interrupted; a finished one is left alone.

    What is not given is as the chapter has it in the profile, so that the chapter finds the training done.

    Args:
        phase: embedding (1, the paper's) or our_embedding (1, ours), encoder (2, the paper's) or our_encoder (2,
            ours), contrastive (pre-training), end_to_end or end_to_end_contrastive.
        profile: A folder of book/profiles: folders, sizes and settings.
        category: chairs, sofas, airplanes, or all, side by side.
        data: Folder of the prepared shapes.
        runs: Folder of the run; later phases find the earlier ones there.
        preset: fixed, paper or authors.
        parameter: A parameter of the chapter, or a field of the configuration, `-p epochs 300 -p model.dropout 0`: it
            goes before the profile and before what a preset settles.
        device: auto, cpu or cuda.
    """
    from tpl.study.phases import PHASES, check_given, configure  # torch takes seconds, and `tpl site` does without

    by_hand = {"category": category, "preset": preset or "", "device": device}
    given = dict(parameter) | {name: value for name, value in by_hand.items() if value}
    asked = choose(the_book(), PHASES[phase].chapter, profile, given)
    bench = _bench(asked, profile, data, runs)
    check_given(phase, asked.given, bench.categories)
    work = PHASES[phase].train
    with reported():
        folders = bench.each(lambda one: work(one, configure(phase, asked.values, one, asked.given)))
    for name, folder in folders.items():
        print(f"{name}: {folder}, {bench.of(name).run(folder.name).facts()['seconds']} s")


def evaluate(
    profile: str = DEFAULT_PROFILE,
    category: str = "",
    data: Path | None = None,
    runs: Path | None = None,
    parameter: Given = [],  # noqa: B006
    device: str = "",
) -> None:
    """Measure every method on a split as the chapter of tables does, and print the table.

    Args:
        profile: A folder of book/profiles: folders and settings.
        category: chairs, sofas, airplanes, or all, side by side.
        data: Folder of the prepared shapes.
        runs: Folder of the run.
        parameter: A parameter of the chapter: `-p split validation -p resolution 96`.
        device: auto, cpu or cuda.
    """
    from tpl.evaluation.results import read_results
    from tpl.evaluation.summary import format_summary, summarize
    from tpl.inference import OracleConfig
    from tpl.study.judging import evaluate_category

    by_hand = {"category": category, "device": device}
    given = dict(parameter) | {name: value for name, value in by_hand.items() if value}
    book = the_book()
    chosen_parameters(book, [book.find("07")], profile, given)  # refuses a name that the chapter does not have
    asked = choose(book, "07", profile, given)
    bench = _bench(asked, profile, data, runs)
    oracle = {field: asked.values[name] for field, name in OF_ORACLE.items()}
    check_time("everything is trained")
    judge = functools.partial(
        evaluate_category,
        split=asked.values["split"],
        oracle=validated(OracleConfig, {**oracle, "seed": asked.values["seed"]}),
        draws=asked.values["draws"],
    )
    results, writable = bench.runs / "results", os.access(bench.runs, os.W_OK)  # who only reads is in nobody's way
    with alone_in(results, results.with_name(".results.lock")) if writable else nullcontext(), reported():
        files = bench.each(judge)
    rows = pd.concat([read_results(file) for file in files.values()])
    print(format_summary(summarize(rows, bench.seed)).to_string(index=False))


def _bench(asked: Chosen, profile: str, data: Path | None, runs: Path | None) -> "Bench":
    """The bench that a chapter's parameters ask for, in other folders if they are given.

    Raises:
        StoreError: There are no shapes; a chapter makes them, and a wrong name shall not.
    """
    from tpl.study.bench import Bench

    folder, values = data or asked.data, asked.values
    if not is_collection(folder):
        raise StoreError(f"no prepared shapes in {folder}: run `tpl prepare --profile {profile}`, or name the folder")
    resolution = values.get("resolution", 64)
    return Bench.open(folder, runs or asked.runs, values["category"], "", values["device"], resolution, values["seed"])


def _config_of(profile: str) -> CollectionConfig:
    """What a profile's chapter of shapes asks for; without the book, the library's own amounts: those of `quick`.

    Raises:
        BookError: Another profile is asked for, and there is no book; or there is no such profile.
    """
    return QUICK if _without_book(profile) else collection_config(_shapes_of_profile(profile))


def _data_of_profile(profile: str) -> str:
    return f"data/{profile}" if _without_book(profile) else str(_shapes_of_profile(profile)["data"])


def _without_book(profile: str) -> bool:
    """Whether the library itself answers for a profile: the default one, where it was installed without the book."""
    return profile == DEFAULT_PROFILE and not Book(ROOT).exists


def _shapes_of_profile(profile: str) -> dict[str, Any]:
    return choose(the_book(), "01", profile, {}).values


def _asked_profile(arguments: list[str]) -> str:
    """The profile that a command line names: its amounts are defaults, so they are needed before it is parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--profile", default=DEFAULT_PROFILE, nargs="?")
    return parser.parse_known_args(arguments)[0].profile or DEFAULT_PROFILE


def _refuse_no_name(arguments: list[str]) -> None:
    """An empty name of a folder would mean the one that the command is run in."""
    places = ("--data", "--runs", "--output", "-o", "--preview", "--mask")
    for option, value in itertools.pairwise([*(part for each in arguments for part in each.split("=", 1)), "-"]):
        if option in places and not value:
            raise SettingsError(f"{option} is given no name; name it, or leave {option} out for the usual one")


COMMANDS = {
    "fetch": fetch,
    "prepare": prepare,
    "data": data,
    "train": train,
    "evaluate": evaluate,
    "reconstruct": reconstruct,
    "complete": complete,
    "weights": weights,
    "run": run,
    "compare": compare,
    "lab": lab,
    "site": site,
    "pdf": pdf,
    "pair": pair_chapters,
    "publish": publish_run,
    "networks": networks,
    "doctor": doctor,
}


def main() -> None:
    """Entry point of `tpl`: a wrong input ends in one sentence and exit status 1."""
    with told_in_a_sentence():
        commands = {name: within_bounds(command) for name, command in COMMANDS.items()}
        _refuse_no_name(sys.argv[1:])
        if sys.argv[1:2] == ["run"] and (told := help_of_chapters(sys.argv[2:])):
            return print(told)
        if sys.argv[1:2] == ["prepare"]:
            config = _config_of(_asked_profile(sys.argv[2:]))
            commands["prepare"] = functools.partial(commands["prepare"], config=config)
        tyro.extras.subcommand_cli_from_dict(commands, prog="tpl", description=__doc__)


if __name__ == "__main__":
    main()
