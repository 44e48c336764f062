"""The book as its files list it: pages, chapters, profiles.

book/NN_name.md                       the source, MyST
book/NN_name.ipynb                    its pair without outputs, for papermill, Colab, GitHub
book/profiles/<profile>/NN_name.yml   parameters that differ from the chapter's defaults
runs/<profile>/book/                  executed notebooks, `_scenes/`, `manifest.json`
book/executed/                        the published run, the same three, cleaned
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tpl.border import border
from tpl.errors import PlainError, did_you_mean
from tpl.files import beside

Value = int | float | str | bool


CONTENTS = "_toc.yml"
DEFAULT_PROFILE = "quick"  # the chapters' own defaults, so that it needs no file


class BookError(PlainError):
    """Something about the book is not what is needed; the message names it and the remedy."""


@dataclass(frozen=True)
class Chapter:
    """One page of the book that is executed."""

    name: str
    source: Path  # .md
    notebook: Path  # .ipynb

    @property
    def digest(self) -> str:
        """A hash of the source, which tells whether an executed copy is of this text."""
        return hashlib.sha256(self.source.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Book:
    """The book below a folder, as its `_toc.yml` lists it."""

    root: Path

    @property
    def exists(self) -> bool:
        """Whether there is one: an installed library comes without it."""
        return (self.root / CONTENTS).exists()

    @property
    def folder(self) -> Path:
        """Where the sources lie."""
        return self.root / "book"

    @property
    def executed(self) -> Path:
        """The published run."""
        return self.folder / "executed"

    def run_folder(self, profile: str, source: str = "") -> Path:
        """Where the chapters of one profile go when they are executed, with shapes of another source if it is named."""
        return self.root / "runs" / beside(profile, source) / "book"

    @property
    def pages(self) -> list[str]:
        """All pages in the order of reading, without `book/` and suffix."""
        if not self.exists:
            raise BookError(f"no book in {self.root}: it has no {CONTENTS}; run this in a clone of the repository")
        with border(self.root / CONTENTS, "take it out of the repository again", BookError):
            toc = yaml.safe_load((self.root / CONTENTS).read_text(encoding="utf-8"))

        def files(entry: Any) -> Iterator[str]:
            if isinstance(entry, dict):
                yield from (str(value) for key, value in entry.items() if key in ("root", "file"))
                for key in ("parts", "chapters", "sections"):
                    yield from files(entry.get(key, []))
            elif isinstance(entry, list):
                for item in entry:
                    yield from files(item)

        return [Path(name).name for name in files(toc)]

    @property
    def chapters(self) -> list[Chapter]:
        """The executed pages in the order of execution: that of reading, but the first page, which shows
        the results of the others, comes last."""
        pages = self.pages
        for name in pages:
            if not (file := self.folder / f"{name}.md").exists():
                raise BookError(f"_toc.yml lists {name}, but there is no {file}")
        written = {chapter.name: chapter for chapter in self.sources}
        return [written[name] for name in [*pages[1:], pages[0]] if name in written]

    @property
    def sources(self) -> list[Chapter]:
        """Every chapter that is written, whether the book lists it or not."""
        found = sorted(self.folder.glob("*.md"))
        return [Chapter(path.stem, path, path.with_suffix(".ipynb")) for path in found if _is_executed(path)]

    def find(self, name: str) -> Chapter:
        """A chapter by its name, its path, or the beginning of its name.

        Raises:
            BookError: None, or more than one.
        """
        stem = Path(name).stem
        exact = [chapter for chapter in self.chapters if chapter.name == stem]
        found = exact or [chapter for chapter in self.chapters if chapter.name.startswith(stem)]
        if len(found) == 1:
            return found[0]
        known = sorted(chapter.name for chapter in found or self.chapters)
        names = ", ".join(known)
        if found:
            raise BookError(f"'{name}' could be {names}")
        raise BookError(f"no chapter '{name}'; there are {names}{did_you_mean(stem, known)}")

    def profile(self, name: str, chapter: Chapter) -> dict[str, Any]:
        """What a profile changes in a chapter.

        Raises:
            BookError: There is no such profile, or its file is not a list of names and values.
        """
        folder = self.folder / "profiles"
        profiles = sorted({DEFAULT_PROFILE} | {path.name for path in folder.glob("*") if path.is_dir()})
        if name not in profiles:
            raise BookError(f"no profile '{name}'; there are {', '.join(profiles)}{did_you_mean(name, profiles)}")
        file = folder / name / f"{chapter.name}.yml"
        if not file.exists():
            return {}
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise BookError(f"{file} is not YAML: {str(error).splitlines()[0]}") from error
        if not isinstance(values, dict):
            raise BookError(f"{file} should hold lines `name: value`, not {values!r}")
        return values


def _is_executed(page: Path) -> bool:
    """Whether a page's front matter names a kernel; one that does not is plain text."""
    front = re.match(r"---\n(.*?)\n---\n", page.read_text(encoding="utf-8"), re.DOTALL)
    return bool(front and "kernelspec:" in front[1])


def at_root() -> None:
    """Makes the root of the repository the working directory, where the chapters' paths begin.

    Papermill starts there already; JupyterLab starts in the folder of the chapter.
    """
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / "_toc.yml").exists()), here)
    os.chdir(root)
