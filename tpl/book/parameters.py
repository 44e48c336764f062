"""The parameters of chapters: what there is, what a profile and a command line choose."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from tpl.book.book import Book, BookError, Chapter, Value


def parameters(chapter: Chapter) -> dict[str, Value]:
    """The parameters of a chapter and their defaults, from its cell tagged `parameters`."""
    import papermill

    found = papermill.inspect_notebook(chapter.notebook)
    return {name: ast.literal_eval(parameter["default"]) for name, parameter in found.items()}


def converted(name: str, value: Any, default: Value) -> Value:
    """A value as its parameter wants it: what a command line or YAML says, in the type of the default.

    Raises:
        BookError: It is not of this type.
    """
    kind = type(default)
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and kind in (int, float):  # YAML itself reads 1e-4 as text
        try:
            return kind(value)
        except ValueError:
            pass
    if type(value) is kind or (kind is float and type(value) is int):
        return kind(value)
    raise BookError(f"parameter {name} is {kind.__name__} (default {default!r}), and {value!r} is not")


def chosen_parameters(
    book: Book, chapters: Sequence[Chapter], profile: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Value]]:
    """What each chapter is run with beyond its defaults: the profile's values, then those given by hand.

    A given parameter goes to all chapters that have it; one that none of them has is refused, as is any
    parameter in a profile that its chapter does not have.

    Raises:
        BookError: The unknown name and those that exist, or a value of another type.
    """
    known = {chapter.name: parameters(chapter) for chapter in chapters}
    for name in given:
        if not any(name in defaults for defaults in known.values()):
            raise BookError(_unknown(name, known))
    chosen = {}
    for chapter in chapters:
        defaults, values = known[chapter.name], book.profile(profile, chapter)
        for name in values:
            if name not in defaults:
                raise BookError(f"profile '{profile}': {_unknown(name, {chapter.name: defaults})}")
        values = values | {name: value for name, value in given.items() if name in defaults}
        chosen[chapter.name] = {name: converted(name, value, defaults[name]) for name, value in values.items()}
    return chosen


def _unknown(name: str, known: Mapping[str, Mapping[str, Value]]) -> str:
    has = "; ".join(
        f"{chapter} has " + (", ".join(f"{key} = {default!r}" for key, default in defaults.items()) or "none")
        for chapter, defaults in known.items()
    )
    return f"no parameter '{name}': {has}"
