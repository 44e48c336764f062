"""The parameters of chapters: what there is, what a profile and a command line choose."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from tpl.book.book import Book, BookError, Chapter, Value
from tpl.book.bounds import Parameter, check, parameters_of
from tpl.errors import did_you_mean


def parameters(chapter: Chapter) -> dict[str, Value]:
    """The parameters of a chapter and their defaults, from its cell tagged `parameters`."""
    import papermill

    found = papermill.inspect_notebook(chapter.notebook)
    return {name: ast.literal_eval(parameter["default"]) for name, parameter in found.items()}


def chosen_parameters(
    book: Book, chapters: Sequence[Chapter], profile: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Value]]:
    """What each chapter is run with beyond its defaults: the profile's values, then those given by hand.

    A given parameter goes to all chapters that have it; one that none of them has is refused, as is any
    parameter in a profile that its chapter does not have.

    Raises:
        BookError: The unknown name and those that exist, or a value of another type.
    """
    known = {chapter.name: parameters_of(chapter) for chapter in chapters}
    for name in given:
        if not any(name in defaults for defaults in known.values()):
            raise BookError(_unknown(name, known))
    chosen = {}
    for chapter in chapters:
        own, values = known[chapter.name], book.profile(profile, chapter)
        for name in values:
            if name not in own:
                raise BookError(f"profile '{profile}': {_unknown(name, {chapter.name: own})}")
        values = values | {name: value for name, value in given.items() if name in own}
        chosen[chapter.name] = {name: check(own[name], value) for name, value in values.items()}
    return chosen


def _unknown(name: str, known: Mapping[str, Mapping[str, Parameter]]) -> str:
    """The parameters that there are, but where one of them must have been meant."""
    if meant := did_you_mean(name, {each for own in known.values() for each in own}):
        return f"no parameter '{name}'{meant}"
    has = "; ".join(
        f"{chapter} has " + (", ".join(f"{each.name} = {each.default!r}" for each in own.values()) or "none")
        for chapter, own in known.items()
    )
    return f"no parameter '{name}': {has}"
