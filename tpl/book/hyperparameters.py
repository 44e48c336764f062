"""Who asks for a configuration, a chapter or the command line, asks here: both get the same one.

The parameters cell of a chapter is the one place of the defaults, which are the profile `quick`; a profile's file says
what differs, a preset what it settles, and what was given by hand wins.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tpl.book.book import Book, BookError, Value
from tpl.book.chapter_settings import OF_COLLECTION
from tpl.book.parameters import chosen_parameters, parameters
from tpl.dataset.collection import CollectionConfig
from tpl.dataset.prepare import PrepareConfig
from tpl.files import beside
from tpl.settings import validated

if TYPE_CHECKING:
    from tpl.study.bench import Bench
    from tpl.training import TrainingConfig

GIVEN = "TPL_GIVEN"
"""The environment variable by which `tpl run` tells a chapter which of its parameters were given by hand."""


class Chosen(NamedTuple):
    """The parameters of a chapter in a profile."""

    values: dict[str, Any]
    given: frozenset[str]  # the names that were given by hand

    @property
    def data(self) -> Path:
        """Folder of the shapes."""
        return Path(beside(self.values["data"], self.values.get("source", "")))

    @property
    def runs(self) -> Path:
        """Folder of the trainings."""
        return Path(beside(self.values["runs"], self.values.get("source", "")))


def choose(book: Book, chapter: str, profile: str, given: Mapping[str, Any]) -> Chosen:
    """The parameters of a chapter with what a profile changes and what was given by hand.

    Args:
        book: Whose chapter.
        chapter: Its number or name.
        profile: A folder of book/profiles.
        given: Values by their names, as text; names that the chapter does not have are kept as they are, read as YAML.

    Raises:
        BookError: There is no such profile, or a value is none that its parameter may have.
    """
    page = book.find(chapter)
    defaults = parameters(page)
    own = {name: value for name, value in given.items() if name in defaults}
    others = {name: _read(name, value) for name, value in given.items() if name not in defaults}
    chosen = chosen_parameters(book, [page], profile, own)[page.name]
    return Chosen({**others, **defaults, **chosen}, frozenset(given))


def _read(name: str, value: Any) -> Any:
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BookError(f"{name} = {value!r:.60} is not YAML: {str(error).splitlines()[0]}") from error


def chapter_config(phase: str, names: Mapping[str, Any], bench: "Bench") -> "TrainingConfig":
    """The configuration of a training as the parameters of a running chapter have it; errors are those of `configure`.

    Args:
        phase: Which training.
        names: The chapter's `globals()`.
        bench: Of the category.
    """
    from tpl.study.phases import PHASES, configure  # torch takes seconds, and `tpl site` does without

    chapter = Book(Path.cwd()).find(PHASES[phase].chapter)
    defaults = parameters(chapter)
    values = {name: names[name] for name in defaults}
    return configure(phase, values, bench, given_by_hand(values, defaults))


def given_by_hand(values: Mapping[str, Value], defaults: Mapping[str, Value]) -> frozenset[str]:
    """The parameters of a running chapter that were given by hand.

    `tpl run` says which. Papermill alone does not: then they are those that differ from the chapter's own.
    """
    if GIVEN in os.environ:
        return frozenset(os.environ[GIVEN].split())
    return frozenset(name for name, value in values.items() if value != defaults[name])


def collection_config(values: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> CollectionConfig:
    """What the parameters of the chapter of shapes ask for.

    Args:
        values: The parameters.
        told: What is known of the source, such as where its meshes lie.
    """
    asked: dict[str, Any] = {field: values[name] for field, name in OF_COLLECTION.items()}
    asked["source"] = values["source"] or "procedural"
    if not values["folder"]:  # then that which is known already
        del asked["folder"]
    amounts = {name: values[name] for name in PrepareConfig.model_fields if name in values}
    return validated(CollectionConfig, {**(told or {}), **asked, "prepare": amounts})
