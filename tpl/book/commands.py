"""The commands of the book: run, compare, site, pair, publish, networks."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from tpl.book.book import DEFAULT_PROFILE, Book, BookError
from tpl.book.execution import run_chapters
from tpl.book.hyperparameters import choose
from tpl.book.listing import chapter_list, parameter_list
from tpl.book.pairs import pair
from tpl.book.publishing import publish
from tpl.book.site import build_site
from tpl.files import alone_in

ROOT = Path(__file__).parents[2]

LONGEST = 10**6  # minutes: two years


def the_book() -> Book:
    """The book of the clone that the library is installed from.

    Raises:
        BookError: The library was installed by itself.
    """
    book = Book(ROOT)
    if not book.exists:
        raise BookError(
            f"no book in {ROOT}: this needs a clone of the repository and the library installed from it, "
            "`pip install -e .[book]`"
        )
    return book


Given = Annotated[
    list[tuple[str, str]],
    tyro.conf.arg(name="parameter", aliases=["-p"], metavar="NAME VALUE", help_behavior_hint="repeatable"),
    tyro.conf.UseAppendAction,
]


def run(
    chapters: tyro.conf.Positional[tuple[str, ...]] = (),
    profile: str = DEFAULT_PROFILE,
    parameter: Given = [],  # noqa: B006
    again: bool = False,
    minutes: Annotated[float, Field(ge=0, le=LONGEST)] | None = None,
    jobs: int = 0,
    list_: Annotated[bool, tyro.conf.arg(name="list")] = False,
) -> None:
    """Execute chapters of the book by papermill, all of them by default; of all, those are kept that have not changed.

    `tpl run 03 --help` lists the parameters of a chapter, with their bounds. A chapter that fails stops those that need
    it, and no others; the same command goes on from there.

    Args:
        chapters: Names, or their beginnings: `03`.
        profile: A folder of book/profiles: which parameters the chapters are run with.
        parameter: One parameter, for the chapters that have it: `-p epochs 3 -p category sofas`.
        again: Execute everything even where nothing has changed since.
        minutes: Pause after so many; the same command goes on from there, and keeps named chapters, too, that have not
            changed. The exit status is 75 until all is done.
        jobs: Chapters at a time, where neither needs the other. 0: as many as there are cores and 6 GB of free memory
            each; one after the other on a GPU, and where minutes settle how long a training is. A further one begins
            only while 6 GB are free.
        list_: Only list the chapters: what each needs, how long it took last time, its parameters.
    """
    if list_:
        return print(chapter_list(the_book(), profile))
    folder = run_chapters(the_book(), chapters, profile, dict(parameter), again=again, minutes=minutes, jobs=jobs)
    print(f"the executed chapters: {folder}")


def help_of_chapters(arguments: Sequence[str]) -> str:
    """What `tpl run 03 --help` says: the parameters of the chapters that are named; nothing if none is.

    Args:
        arguments: Of the command line, after `run`.

    Raises:
        BookError: There is no such chapter or profile.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("chapters", nargs="*")
    parser.add_argument("--profile", default=DEFAULT_PROFILE)
    parser.add_argument("--parameter", "-p", nargs=2, action="append")
    for name in ("--minutes", "--jobs"):
        parser.add_argument(name)
    for name in ("--again", "--no-again", "--list", "--help", "-h"):
        parser.add_argument(name, action="store_true", dest=name)
    try:
        asked = parser.parse_intermixed_args(list(arguments))
    except (argparse.ArgumentError, SystemExit):  # then the command line itself says what is wrong
        return ""
    if not (asked.chapters and (vars(asked)["--help"] or vars(asked)["-h"])):
        return ""
    book = the_book()
    return "\n\n".join(parameter_list(book, book.find(name), asked.profile) for name in asked.chapters)


def compare(
    first: tyro.conf.Positional[Path],
    second: tyro.conf.Positional[Path],
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
) -> None:
    """Show what differs between two runs: settings, seconds, and results with their paired differences.

    Args:
        first: Folder of a run, as runs/quick; what one of the two lacks is said.
        second: Folder of another one.
        output: A file for it: .html for a page with a figure, .png, .svg or .pdf for the figure alone.
    """
    from tpl.book.comparing import compare_runs, write_comparison

    comparison = compare_runs(first, second)
    print(comparison.text())
    if output:
        write_comparison(comparison, output)
        print(f"\n{output}")


def site(
    source: Annotated[Path | None, tyro.conf.arg(name="from", metavar="FOLDER")] = None,
    sphinx: Annotated[Path | None, tyro.conf.arg(metavar="PYTHON")] = None,
) -> None:
    """Build the book as a web site from executed chapters.

    Args:
        source: The folder of the executed chapters, as runs/quick/book; the published run by default.
        sphinx: The interpreter of another environment whose Sphinx builds the pages in place of Jupyter Book, into
            _build/next; `make site-next` makes such a one.
    """
    if sphinx:
        from tpl.book.next_site import build_next

        return print(f"the book: {build_next(the_book(), sphinx, source)}")
    print(f"the book: {build_site(the_book(), source)}")


def pdf() -> None:
    """Print the built site as one PDF, by Chromium, with page numbers and an outline; `tpl site` comes before."""
    from tpl.book.pdf import print_book

    print(f"the book: {print_book(the_book())}")


def pair_chapters() -> None:
    """Write the notebooks beside the chapters' sources, where these have changed."""
    for path in pair(the_book()):
        print(path)


def publish_run(profile: str = DEFAULT_PROFILE) -> None:
    """Copy a finished run of the whole book to book/executed, cleaned, to be committed, with the README's picture.

    Args:
        profile: Which run.
    """
    print(f"the published run: {publish(the_book(), profile)}")
    from tpl.chapters.intro import teaser
    from tpl.pretrained.files import has_networks
    from tpl.study.bench import Bench
    from tpl.study.methods import OUR_ENCODER
    from tpl.study.networks import origin, served

    picture = ROOT / "book" / "_static" / "teaser.png"
    bench = Bench.open(ROOT / "data" / profile, ROOT / "runs" / profile, device="cpu", prepared=False)
    bench = served(bench, "committed" if all(map(has_networks, bench.categories)) else "run")
    teaser(bench, OUR_ENCODER, picture)
    print(f"the picture of the README: {picture}, by {origin(bench)}")


def networks(profile: str = "long", output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None) -> None:
    """Write a finished run's networks, in half precision, with cards, results and their doubt, into the package.

    They are committed, and serve whoever has trained nothing yet.

    Args:
        profile: Which run; its chapter of tables, or `tpl evaluate`, has judged it on the test split.
        output: Another folder for them, which `tpl reconstruct --runs` takes.
    """
    from tpl.pretrained.files import PACKAGED
    from tpl.study.bench import Bench
    from tpl.study.networks import commit_networks, origin

    asked = choose(the_book(), "07", profile, {})
    bench = Bench.open(asked.data, asked.runs, device="cpu", prepared=False)
    target = output or PACKAGED
    with alone_in(target, target.with_name(f".{target.name}.lock")):
        folder = commit_networks(bench, profile, output)
    print(f"{folder}: {origin(replace(bench, runs=folder))}")
