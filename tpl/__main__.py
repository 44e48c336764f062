"""The command line: `tpl COMMAND --help` tells what each command takes."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from tpl.chapters import DEFAULT_PROFILE, Book, pair, publish, run_chapters
from tpl.site import build_site

ROOT = Path(__file__).parents[1]

Given = Annotated[
    list[tuple[str, str]],
    tyro.conf.arg(name="parameter", aliases=["-p"], metavar="NAME VALUE", help_behavior_hint="repeatable"),
    tyro.conf.UseAppendAction,
]


def run(
    chapters: tyro.conf.Positional[tuple[str, ...]] = (),
    profile: str = DEFAULT_PROFILE,
    parameter: Given = [],  # noqa: B006
) -> None:
    """Execute chapters of the book by papermill, all of them by default.

    Args:
        chapters: Names, or their beginnings: `03`.
        profile: A folder of book/profiles: which parameters the chapters are run with.
        parameter: One parameter, for the chapters that have it: `-p epochs 3 -p category sofas`.
    """
    folder = run_chapters(Book(ROOT), chapters, profile, dict(parameter))
    print(f"the executed chapters: {folder}")


def site(source: Annotated[Path | None, tyro.conf.arg(name="from", metavar="FOLDER")] = None) -> None:
    """Build the book as a web site from executed chapters.

    Args:
        source: The folder of the executed chapters, as runs/quick/book; the published run by default.
    """
    print(f"the book: {build_site(Book(ROOT), source)}")


def pair_chapters() -> None:
    """Write the notebooks beside the chapters' sources, where these have changed."""
    for path in pair(Book(ROOT)):
        print(path)


def publish_run(profile: str = DEFAULT_PROFILE) -> None:
    """Copy a finished run of the whole book to book/executed, cleaned, to be committed.

    Args:
        profile: Which run.
    """
    print(f"the published run: {publish(Book(ROOT), profile)}")


COMMANDS = {"run": run, "site": site, "pair": pair_chapters, "publish": publish_run}


def main() -> None:
    """Entry point of `tpl`: a wrong input ends in one sentence and exit status 1."""
    try:
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="tpl", description=__doc__)
    except (ValueError, OSError) as error:
        sys.exit(f"tpl: {error}")
    except KeyboardInterrupt:
        sys.exit("tpl: interrupted; what was finished is kept, and the same command goes on from there")


if __name__ == "__main__":
    main()
