"""Configurations and commands that refuse a wrong name or value in one sentence."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tpl.errors import PlainError, did_you_mean

Preset = Literal["paper", "authors", "fixed"]
"""A reading of the method: the text literally, what the authors' code does, what is sound (our default)."""

Config = TypeVar("Config", bound=BaseModel)
Command = TypeVar("Command", bound=Callable[..., Any])

Resolution = Annotated[int, Field(ge=2, le=2048)]
"""Grid cells along each side: of more than 2048, the numbers at their corners alone take 69 GB."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class SettingsError(PlainError):
    """A parameter does not exist or has a value that it cannot have; the message names it."""


def validated(kind: type[Config], values: dict[str, Any]) -> Config:
    """A configuration of these values.

    Raises:
        SettingsError: A name does not exist or a value is wrong; all of them are named in one sentence.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(kind, problem) for problem in error.errors())) from None


def within_bounds(command: Command) -> Command:
    """A command that refuses numbers that are not finite, or beyond what their annotations say, before it begins.

    Raises:
        SettingsError: The option, its value, and what it may be.
    """
    hints = get_type_hints(command, include_extras=True)
    numbers = {
        name: TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))
        for name, hint in hints.items()
        if name != "return" and _counts(hint)
    }

    @functools.wraps(command)
    def bounded(*arguments: Any, **options: Any) -> Any:
        given = inspect.signature(command).bind(*arguments, **options).arguments
        for name, value in given.items():
            try:
                if name in numbers:
                    numbers[name].validate_python(value)
            except ValidationError as error:
                rule = error.errors()[0]["msg"].replace("Input should", "it must")
                said = " ".join(map(str, value)) if isinstance(value, tuple) else value
                raise SettingsError(f"--{name.strip('_').replace('_', '-')} {said} is refused: {rule}") from None
        return command(*arguments, **options)

    return bounded  # pyright: ignore[reportReturnType]


def _counts(hint: Any) -> bool:
    """Whether an annotation is of numbers, however it is nested."""
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    return hint in (int, float) or any(map(_counts, inner))


def _sentence(kind: type[BaseModel], problem: Any) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        known: Any = kind
        for part in problem["loc"][:-1]:
            known = known.model_fields[part].annotation
        names = list(known.model_fields)
        meant = did_you_mean(str(problem["loc"][-1]), names)
        return f"there is no parameter {name!r}; there are {', '.join(names)}{meant}"
    rule = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{name} = {problem['input']!r} is refused: {rule}"
