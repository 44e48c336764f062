"""Which chapters need which others, from `book/needs.yml`: what can be executed side by side.

A run has the order in which its chapters are named, or that of reading; of two chapters of which one needs the other,
directly or not, the later one waits for the earlier one, and no two others wait for each other.
"""

from collections.abc import Mapping, Sequence

import yaml

from tpl.book.book import Book, BookError
from tpl.border import border
from tpl.errors import did_you_mean

NEEDS = "needs.yml"


def read_needs(book: Book) -> dict[str, set[str]]:
    """All chapters that each one needs, directly or not.

    Raises:
        BookError: The file is not what it should be, or names as needed what does not come before.
    """
    file = book.folder / NEEDS
    with border(file, "mend it, or take it out of the repository again", BookError, " as YAML"):
        written = (yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None) or {}
    if not isinstance(written, dict) or not all(isinstance(names, list) for names in written.values()):
        raise BookError(f"{file} should hold lines `chapter: [chapters that it needs]`, not {written!r}")
    before: list[str] = []
    needs: dict[str, set[str]] = {}
    for chapter in book.chapters:
        needs[chapter.name] = set()
        for name in written.get(chapter.name, before):
            if name not in before:
                told = f"{file}: {chapter.name} needs {name}, which is no chapter before it"
                raise BookError(told + did_you_mean(str(name), before))
            needs[chapter.name] |= {name} | needs[name]
        before.append(chapter.name)
    if unknown := [name for name in written if name not in needs]:
        raise BookError(f"{file}: there is no chapter {unknown[0]}{did_you_mean(str(unknown[0]), before)}")
    return needs


def direct_needs(needs: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Of all that each chapter needs, what no other of them needs already."""
    return {
        name: sorted(need for need in own if not any(need in needs[other] for other in own))
        for name, own in needs.items()
    }


def waits(names: Sequence[str], needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of the chapters of a run, in its order: for which of them each one waits."""
    return {
        name: {earlier for earlier in names[:place] if earlier in needs[name] or name in needs[earlier]}
        for place, name in enumerate(names)
    }


def urgency(waiting: Mapping[str, set[str]], seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds that a chapter and the longest chain of those that wait for it take: the larger, the sooner it starts.

    Args:
        waiting: As `waits` gives them.
        seconds: That chapters took earlier; one that is not there takes none.
    """
    chain: dict[str, float] = {}
    for name in reversed([*waiting]):
        after = max((chain[other] for other in chain if name in waiting[other]), default=0.0)
        chain[name] = seconds.get(name, 0.0) + after
    return chain
