"""The library's own code as a hash, so that what is kept of other code is not taken for a result of this one."""

import ast
import functools
import hashlib
from collections.abc import Iterator
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

PACKAGE: Traversable = files("tpl")

GROUND = ("tpl.errors", "tpl.border", "tpl.gate", "tpl.files", "tpl.settings", "tpl.provenance", "tpl.source_code")
"""What no number comes from: how errors are said, files let in and written, settings read."""

SHAPE_MAKERS = ("tpl.shapes", "tpl.rendering", "tpl.dataset.prepare", "tpl.dataset.collection")
"""What makes prepared shapes: what is computed of these depends on their fingerprint, not on this code."""

MAKERS = ("tpl.training", *SHAPE_MAKERS)
"""What makes weights and prepared shapes: what is computed of these depends on their hashes, not on this code."""


@functools.cache
def code_digest(*roots: str, without: tuple[str, ...] = ()) -> str:
    """A hash of modules and of all that they import of `tpl`, directly or not: what a result of theirs depends on.

    Comments, docstrings and the look of the code do not count, nor where it is installed. A name that a package hands
    on leads to its module alone, not to the whole package. A file beside a module counts where the module names it: it
    is a table that the module reads. Without sources the library's version stands for them.

    Args:
        roots: As "tpl.metrics".
        without: Modules and packages that are not followed, as what they make is known by a hash of its own.

    Raises:
        ModuleNotFoundError: A root does not exist.
    """
    if not PACKAGE.joinpath("__init__.py").is_file():
        return metadata.version("tpl")
    for root in roots:
        if _file(root) is None:
            raise ModuleNotFoundError(f"no module is called {root!r}")
    state = hashlib.sha256()
    for module in modules_of(roots, without):
        state.update(f"{module}\n{_content(module)}\n".encode())
    return state.hexdigest()[:16]


def modules_of(roots: tuple[str, ...], without: tuple[str, ...] = ()) -> list[str]:
    """The modules that `code_digest` takes in, by name."""
    apart = (*GROUND, *without)
    found, waiting = set(), list(roots)
    while waiting:
        module = waiting.pop()
        if module not in found and not any(f"{module}.".startswith(f"{other}.") for other in apart):
            found.add(module)
            waiting += _needed(module)
    return sorted(found)


def files_named(module: str) -> Iterator[Traversable]:
    """The files beside a module whose names stand in its text."""
    file = _file(module)
    folder = _place(module) if file is not None and file.name == "__init__.py" else _place(module.rpartition(".")[0])
    texts = {node.value for node in _nodes(module) if isinstance(node, ast.Constant)}
    beside = sorted((file for file in folder.iterdir() if file.name in texts), key=lambda file: file.name)
    return (file for file in beside if file.is_file())


def _place(module: str) -> Traversable:
    return PACKAGE.joinpath(*module.split(".")[1:])


@functools.cache
def _file(module: str) -> Traversable | None:
    """The file of a module, or of a package's own code, if it is one of `tpl`."""
    package, _, name = module.rpartition(".")
    if module != "tpl" and not module.startswith("tpl."):
        return None
    places = [_place(module).joinpath("__init__.py"), _place(package).joinpath(f"{name}.py")]
    return next((place for place in places if place.is_file()), None)


@functools.cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    return ast.parse(file.read_bytes() if file is not None else b"")


@functools.cache
def _nodes(module: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(module)))


@functools.cache
def _needed(module: str) -> tuple[str, ...]:
    """The modules of `tpl` that a module imports, wherever in its text, or names as files beside it."""
    found = [f"{module.rpartition('.')[0]}.{file.name[:-3]}" for file in files_named(module) if _is_python(file)]
    for node in _nodes(module):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _file(alias.name) is not None]
        elif isinstance(node, ast.ImportFrom) and _file(node.module or "") is not None:
            found += [_origin(str(node.module), alias.name) for alias in node.names]
    return tuple(found)


def _origin(module: str, name: str) -> str:
    """The module that a name which is imported from `module` comes from."""
    if _file(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    for node in _tree(module).body:
        if isinstance(node, ast.ImportFrom) and _file(node.module or "") is not None:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _origin(str(node.module), alias.name)
    return module


@functools.cache
def _content(module: str) -> str:
    """A hash of what the code of a module says, and of the tables beside it."""
    state = hashlib.sha256(repr(_said(_tree(module))).encode())
    for file in files_named(module):
        if not _is_python(file):
            state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.hexdigest()


def _is_python(file: Traversable) -> bool:
    return file.name.endswith(".py")


def _said(node: Any) -> Any:
    """A tree as nested tuples, without places in the text, empty fields, and texts that stand alone: docstrings."""
    if isinstance(node, ast.AST):
        said: list[Any] = [type(node).__name__]
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name != "ctx":  # the context is the place's
                said.append((name, _said(value)))
        return tuple(said)
    if isinstance(node, list):
        return [_said(each) for each in node if not _is_text(each)]
    return node


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
