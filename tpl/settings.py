"""Configurations that refuse a wrong name or value in one sentence."""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from tpl.errors import PlainError, did_you_mean

Preset = Literal["paper", "authors", "fixed"]
"""A reading of the method: the text literally, what the authors' code does, what is sound (our default)."""

Config = TypeVar("Config", bound=BaseModel)


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
