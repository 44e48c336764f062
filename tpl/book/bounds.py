"""What each parameter of a chapter may be, so that a wrong value is refused before anything starts.

A parameter has one definition: its line in the parameters cell names it, sets its default and says what it is for; what
it may be is said by the field of the configuration that it becomes, or, where no configuration has it, by
`tpl.book.chapter_settings`. A new parameter of a training therefore appears with its bounds by itself.
"""

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tpl.book.book import BookError, Chapter, Value
from tpl.book.chapter_settings import OF_ALL, OF_COLLECTION, OF_ONE, OF_ORACLE, OF_REFINEMENT, Among, Place
from tpl.dataset.collection import CollectionConfig
from tpl.dataset.prepare import PrepareConfig
from tpl.errors import did_you_mean
from tpl.shapes.shape import CATEGORIES

Kind = Literal["int", "float", "bool", "choice", "choices", "folder", "file", "text"]

GROUPS = ("shapes, folders, machine", "shapes", "training", "networks", "measured and shown", "others")
"""In the order in which they are listed."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter, and what it may be."""

    name: str
    default: Value
    help: str = ""  # the comment behind it in the cell
    group: str = GROUPS[-1]
    kind: Kind = "text"  # "choices": several, joined
    minimum: float | int | None = None
    maximum: float | int | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    choices: tuple[Value, ...] = ()
    joined: str = ""  # what stands between several choices; a choice "" is none at all
    pattern: str = ""  # of values that are none of the choices
    example: str = ""  # of such a value

    @property
    def allowed(self) -> str:
        """What it may be, in words: "at least 0 and less than 1"; empty if that is anything of its kind."""
        if self.choices:
            names = ", ".join(str(choice) or '""' for choice in self.choices)
            several = f", or several joined by {self.joined!r}" if self.joined else ""
            return f"one of {names}{several}" + (f", or as {self.example}" if self.example else "")
        bounds = []
        if self.minimum is not None:
            bounds.append(f"{'greater than' if self.exclusive_minimum else 'at least'} {self.minimum:g}")
        if self.maximum is not None:
            bounds.append(f"{'less than' if self.exclusive_maximum else 'at most'} {self.maximum:g}")
        return " and ".join(bounds)


class Rule(NamedTuple):
    """A field that a parameter becomes, and the group of such fields."""

    field: FieldInfo
    group: str


def parameters_of(chapter: Chapter) -> dict[str, Parameter]:
    """The parameters of a chapter in the order of its cell.

    One that no configuration and no settings know may be anything of its default's type; the book has none.
    """
    import papermill

    cell = papermill.inspect_notebook(chapter.notebook)
    rules: dict[str, list[Rule]] = {name: [] for name in cell}
    for name, rule in _rules(chapter.name.partition("_")[0]):
        if name in rules:
            rules[name].append(rule)
    found = {}
    for name, line in cell.items():
        default = ast.literal_eval(line["default"])
        found[name] = Parameter(name, default, line["help"], kind=_kind_of(default))
        for rule in rules[name]:
            found[name] = _narrowed(found[name], rule)
    return found


def check(parameter: Parameter, value: Any) -> Value:
    """A value as its parameter wants it: what a command line, YAML or a form says, in the type of the default.

    Raises:
        BookError: It is of another type, or not among what the parameter may be; the sentence says what that is.
    """
    value = converted(parameter.name, value, parameter.default)
    if isinstance(value, str) and (parameter.choices or parameter.pattern):
        _check_choice(parameter, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = parameter.minimum, parameter.maximum
        below = low is not None and (value <= low if parameter.exclusive_minimum else value < low)
        above = high is not None and (value >= high if parameter.exclusive_maximum else value > high)
        if not math.isfinite(value) or below or above:
            raise BookError(f"{parameter.name} = {value!r}: it must be {parameter.allowed or 'a finite number'}")
    return value


def converted(name: str, value: Any, default: Value) -> Value:
    """A value in the type of its parameter's default.

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


def _check_choice(parameter: Parameter, value: str) -> None:
    if value in parameter.choices or (parameter.pattern and re.fullmatch(parameter.pattern, value)):
        return
    names = [str(choice) for choice in parameter.choices if choice]
    words = [word.strip() for word in value.split(parameter.joined)] if parameter.joined else [value]
    for word in words:
        if word not in names:
            raise BookError(f"{parameter.name} = {value!r}: {parameter.allowed}{did_you_mean(word, names)}")


def _kind_of(default: Value) -> Kind:
    kinds: dict[type, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(type(default), "text")


def _narrowed(parameter: Parameter, rule: Rule) -> Parameter:
    """A parameter that also keeps to a rule; its group is that of the first."""
    found = replace(parameter, group=rule.group) if parameter.group == GROUPS[-1] else parameter
    found = _one_of(found, _choices(rule.field.annotation))
    for limit in rule.field.metadata:
        if isinstance(limit, Place):
            found = replace(found, kind=limit.kind)
        elif isinstance(limit, Among):
            found = _one_of(found, tuple(limit.names()))
            found = replace(found, joined=limit.joined, pattern=limit.pattern, example=limit.example)
            found = replace(found, kind="choices") if limit.joined else found
            found = replace(found, kind="text") if not any(found.choices) else found
        else:
            found = _bounded(found, limit)
    return found


def _one_of(parameter: Parameter, choices: tuple[Value, ...]) -> Parameter:
    if not choices:
        return parameter
    kept = tuple(choice for choice in parameter.choices if choice in choices)
    return replace(parameter, kind="choice", choices=kept or choices)


def _bounded(parameter: Parameter, limit: Any) -> Parameter:
    """A parameter within one limit more: of two of a kind the narrower holds."""
    for name, exclusive in (("ge", False), ("gt", True)):
        low, least = getattr(limit, name, None), parameter.minimum
        if low is not None and (least is None or (low, exclusive) > (least, parameter.exclusive_minimum)):
            parameter = replace(parameter, minimum=low, exclusive_minimum=exclusive)
    for name, exclusive in (("le", False), ("lt", True)):
        high, most = getattr(limit, name, None), parameter.maximum
        if high is not None and (most is None or (-high, exclusive) > (-most, parameter.exclusive_maximum)):
            parameter = replace(parameter, maximum=high, exclusive_maximum=exclusive)
    return parameter


def _choices(annotation: Any) -> tuple[Value, ...]:
    """The values of a Literal, or of a union of them."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return ()


# --- which fields a chapter's parameters become


def _rules(number: str) -> Iterator[tuple[str, Rule]]:
    """For the chapter of a number: each parameter that something is known of, and what."""
    if number in CONFIGURED:
        yield from CONFIGURED[number](number)
    for group, kind in OF_ALL.items():
        yield from _fields(kind, group)
    if number in OF_ONE:
        yield from _fields(OF_ONE[number], "measured and shown")


def _fields(kind: type[BaseModel], group: str, named: Mapping[str, str] | None = None) -> Iterator[tuple[str, Rule]]:
    """The fields of a configuration, and those of networks inside it, with the names of their parameters."""
    for field, parameter in ({name: name for name in kind.model_fields} if named is None else named).items():
        *outer, last = field.split(".")
        inner = kind.model_fields[outer[0]].annotation if outer else kind
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        yield parameter, Rule(inner.model_fields[last], "networks" if outer else group)


def _of_trainings(number: str) -> Iterator[tuple[str, Rule]]:
    from tpl.study.phases import PHASES  # torch takes seconds, and other chapters do without

    for spec in PHASES.values():
        if spec.chapter == number:
            for category in CATEGORIES:
                yield from _fields(spec.kind, "training", spec.parameters(category))


def _of_toys(number: str) -> Iterator[tuple[str, Rule]]:
    from tpl.study.phases import PHASES

    spec = PHASES["our_embedding"]
    yield from _fields(spec.kind, "training", spec.parameters("sofas"))


def _of_collections(number: str) -> Iterator[tuple[str, Rule]]:
    yield from _fields(CollectionConfig, "shapes", OF_COLLECTION)
    yield from _fields(PrepareConfig, "shapes")


def _of_encoders(number: str) -> Iterator[tuple[str, Rule]]:
    from tpl.refinement import RefinementConfig

    yield from _of_trainings(number)
    yield from _fields(RefinementConfig, "measured and shown", OF_REFINEMENT)


def _of_oracles(number: str) -> Iterator[tuple[str, Rule]]:
    from tpl.inference import OracleConfig

    yield from _fields(OracleConfig, "measured and shown", OF_ORACLE)


def _of_trials(number: str) -> Iterator[tuple[str, Rule]]:
    from tpl.chapters.paper_and_code import Budget

    yield from _fields(Budget, "training")


CONFIGURED: Mapping[str, Callable[[str], Iterator[tuple[str, Rule]]]] = {
    "01": _of_collections,
    "02": _of_toys,
    "03": _of_trainings,
    "04": _of_encoders,
    "05": _of_trainings,
    "06": _of_trainings,
    "07": _of_oracles,
    "12": _of_oracles,
    "A": _of_trials,
    "B": _of_collections,
}
"""The chapters some of whose parameters become configurations, by their numbers."""
