"""The API reference: a page a room, out of the sources alone; nothing is imported, so it takes a second.

What is shown of a module: its public functions and classes, constants and types that a comment or docstring explains.
A field's description is the comment beside it. In docstrings, names in backticks become links where the library has
such a thing.
"""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tpl.book.structure import FLOORS, PACKAGE, modules, room

Function = ast.FunctionDef | ast.AsyncFunctionDef
LONGEST_VALUE = 60  # characters of a default that is shown


class Reference:
    """The public things of a package by their dotted names, and where a name in a module leads."""

    def __init__(self, package: Path = PACKAGE, types: bool = False):
        self.types = types  # whether signatures link types as well as classes
        self.trees = modules(package)
        self.lines = {name: _file(package, name).read_text(encoding="utf-8").splitlines() for name in self.trees}
        self.known = {thing for name in self.trees for thing in self._shown(name)}
        self.classes = {
            f"{name}.{node.name}"
            for name, tree in self.trees.items()
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        }
        self.names = {name: self._imported(name) for name in self.trees}

    def _shown(self, module: str) -> Iterator[str]:
        """The dotted names of all that the pages show of a module."""
        for node, _ in _members(self.trees[module].body, self.lines[module]):
            yield f"{module}.{_name(node)}"
            if isinstance(node, ast.ClassDef):
                for member, _ in _members(node.body, self.lines[module], everything=True):
                    yield f"{module}.{node.name}.{_name(member)}"

    def _imported(self, module: str) -> dict[str, str]:
        """What the module's global names stand for, with what others import onwards followed to its source."""
        found = {thing.removeprefix(f"{module}."): thing for thing in self.known if thing.startswith(f"{module}.")}
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.ImportFrom) and node.module in self.trees:
                for alias in node.names:
                    found[alias.asname or alias.name] = self._source(node.module, alias.name)
        return found

    def _source(self, module: str, name: str) -> str:
        """Where a thing is defined that a module defines or imports from another."""
        full = f"{module}.{name}"
        if full in self.known or full in self.trees:
            return full
        for node in self.trees[module].body:
            if isinstance(node, ast.ImportFrom) and node.module in self.trees:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return self._source(node.module, alias.name)
        return full

    def found(self, module: str, name: str) -> str | None:
        """The dotted name of what a name means in a module; none if it is not of this library."""
        first, _, rest = name.partition(".")
        full = self.names[module].get(first, first) + (f".{rest}" if rest else "")
        return full if full in self.known or full in self.trees else None

    def pages(self) -> dict[str, str]:
        """The pages in reST by the names of their rooms, from the ground up."""
        return {name: self._page(name) for name in FLOORS if any(room(module) == name for module in self.trees)}

    def _page(self, name: str) -> str:
        lines = []
        for module in (module for module in self.trees if room(module) == name):
            title = re.sub(r"(__)", r"\\\1", module)  # or it would be a link
            lines += [title, ("=" if module.count(".") == 1 else "-") * len(title), ""]
            lines += [f".. py:module:: {module}", "", *self._text(module, ast.get_docstring(self.trees[module])), ""]
            for node, words in _members(self.trees[module].body, self.lines[module]):
                lines += [*self._entry(module, node, words), ""]
        return "\n".join(lines) + "\n"

    def _entry(self, module: str, node: ast.stmt, words: str, owner: ast.ClassDef | None = None) -> list[str]:
        """The directive of one thing, its contents indented below it."""
        if isinstance(node, ast.ClassDef):
            inner = self._text(module, words)
            if bases := [self._link(module, ast.unparse(base)) for base in node.bases]:
                inner = [f"Bases: {', '.join(bases)}", "", *inner]
            for member, explained in _members(node.body, self.lines[module], everything=True):
                inner += ["", *self._entry(module, member, explained, node)]
            made = next((one for one in node.body if isinstance(one, Function) and one.name == "__init__"), None)
            arguments = self._signature(module, made, bound=True)[0] if made else ""
            raised = any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
            kind = "exception" if raised else "class"
            return _directive(kind, f"{node.name}{arguments}", [], inner)
        if isinstance(node, Function):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            bound = owner is not None and "staticmethod" not in decorators
            arguments, returned = self._signature(module, node, bound)
            options = [f":{kind}:" for kind in ("staticmethod", "classmethod") if kind in decorators]
            if decorators & {"property", "functools.cached_property"}:
                options = [f":type: {returned}"] if returned else []
                return _directive("property", node.name, options, self._text(module, words))
            arrow = f" -> {returned}" if returned else ""
            kind = "method" if owner else "function"
            return _directive(kind, f"{node.name}{arguments}{arrow}", options, self._text(module, words))
        name, annotation, value = _assigned(node)
        if not owner and _is_type(name):
            shown = [f":canonical: {self._annotation(module, value)}"] if value and not _is_made(value) else []
            return _directive("type", name, shown, self._text(module, words))
        options = [f":type: {self._annotation(module, annotation)}"] if annotation else []
        if value is not None and len(shown := ast.unparse(value)) <= LONGEST_VALUE:
            options.append(f":value: {shown}")
        return _directive("attribute" if owner else "data", name, options, self._text(module, words))

    def _signature(self, module: str, node: Function, bound: bool) -> tuple[str, str]:
        """The arguments in parentheses, without `self`, and what is returned."""
        arguments = copy.deepcopy(node.args)
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg) and argument.annotation:
                argument.annotation = _Renamed(self, module).visit(argument.annotation)
        if bound:
            del (arguments.posonlyargs or arguments.args)[0]
        arguments.defaults = [_short(value) for value in arguments.defaults]
        arguments.kw_defaults = [value and _short(value) for value in arguments.kw_defaults]
        return f"({ast.unparse(arguments)})", self._annotation(module, node.returns) if node.returns else ""

    def _annotation(self, module: str, node: ast.expr) -> str:
        return ast.unparse(_Renamed(self, module).visit(copy.deepcopy(node)))

    def _text(self, module: str, docstring: str | None) -> list[str]:
        """A docstring as reST: the sections of arguments, results and errors become fields, all else is prose."""
        from sphinx.ext.napoleon import Config  # here, as only the site needs it
        from sphinx.ext.napoleon.docstring import GoogleDocstring

        prose = "\n".join(self._prose(module, docstring or ""))
        # napoleon would take what stands before a colon for a type
        prose = re.sub(r"^Returns:\n((?: {4}.*\n?|\n(?= {4}))+)", _returned, prose, flags=re.MULTILINE)
        settings: Any = Config(napoleon_use_rtype=False)
        return str(GoogleDocstring(prose, settings)).splitlines()

    def _prose(self, module: str, docstring: str) -> Iterator[str]:
        for paragraph in re.split(r"\n{2,}", docstring):
            lines = paragraph.splitlines()
            if any(re.search(r"\S {3,}\S", line) for line in lines):  # columns, as they were set
                yield from [".. code-block:: text", "", *(f"    {line}" for line in lines), ""]
            else:
                yield from [*self._linked(module, paragraph).splitlines(), ""]

    def _linked(self, module: str, text: str) -> str:
        """Plain text in which names in backticks are code, and links where they can be."""
        pieces = re.split(r"(`+)(.+?)\1", text, flags=re.DOTALL)  # prose, ticks, code, prose, ...
        prose = [re.sub(r"([*|\\]|(?<=\w)_(?!\w))", r"\\\1", piece) for piece in pieces[::3]]
        code = [self._link(module, " ".join(piece.split())) for piece in pieces[2::3]]
        following = ["\\ " + piece if piece[:1].isalnum() else piece for piece in prose[1:]]  # or it is no end of code
        return "".join([prose[0], *(part for pair in zip(code, following, strict=True) for part in pair)])

    def _link(self, module: str, name: str) -> str:
        full = self.found(module, name.removesuffix("()"))
        return f":py:obj:`{name} <{full}>`" if full else f"``{name}``"


class _Renamed(ast.NodeTransformer):
    """Gives the names of the library's own things in annotations their full form, which links need."""

    def __init__(self, reference: Reference, module: str):
        self.reference, self.module = reference, module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        full = self.reference.found(self.module, node.id)
        return ast.Name(full) if full and (self.reference.types or full in self.reference.classes) else node


class _Assignment(NamedTuple):
    name: str
    annotation: ast.expr | None
    value: ast.expr | None


def write_pages(folder: Path, types: bool = False) -> list[str]:
    """Writes the pages of the library's rooms and returns their names, from the ground up.

    Args:
        folder: For the pages.
        types: Whether type aliases in signatures have their full names, which links need. Sphinx 7 finds none from a
            signature; from 8 on it does, and asks which is meant where two share their short name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {name.strip("_"): page for name, page in Reference(types=types).pages().items()}
    for name, page in written.items():
        (folder / f"{name}.rst").write_text(page, encoding="utf-8")
    return list(written)


def _file(package: Path, module: str) -> Path:
    path = package.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef | Function):
        return node.name
    return _assigned(node).name


def _is_type(name: str) -> bool:
    """Whether a module's name stands for a type: `Value`, not `value` nor `VALUE`."""
    return name[0].isupper() and not name.isupper()


def _is_made(value: ast.expr) -> bool:
    """Whether a type is made by a call, as a type variable is."""
    return isinstance(value, ast.Call)


def _assigned(node: ast.stmt) -> _Assignment:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return _Assignment(node.target.id, node.annotation, node.value)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return _Assignment(node.targets[0].id, None, node.value)
    return _Assignment("", None, None)


def _members(body: list[ast.stmt], lines: list[str], everything: bool = False) -> Iterator[tuple[ast.stmt, str]]:
    """What is shown of a module or class, each with its docstring or comment.

    Args:
        body: Its statements.
        lines: Of the file.
        everything: Whether names without any explanation are shown, too, as the fields of a class are.
    """
    for node, after in zip(body, [*body[1:], None], strict=True):
        name = _name(node)
        if not name or (name.startswith("_") and name not in ("__call__", "__getitem__", "__len__")):
            continue
        if isinstance(node, ast.ClassDef | Function):
            yield node, ast.get_docstring(node) or ""
        elif words := _explanation(node, after, lines):
            yield node, words
        elif everything or _is_type(name):
            yield node, ""


def _explanation(node: ast.stmt, after: ast.stmt | None, lines: list[str]) -> str:
    """The string below an assignment, the comment at its end, or the comment above it."""
    if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
        return after.value.value
    rest = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :]
    if "#" in rest and "noqa" not in rest:
        return _sentence(rest.partition("#")[2])
    above = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.lstrip().startswith("# ") or "----" in line:
            break
        above.insert(0, line.strip().removeprefix("#").strip())
    return _sentence(" ".join(above))


def _sentence(comment: str) -> str:
    text = comment.strip()
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".:!?" else "")


def _short(value: ast.expr) -> ast.expr:
    """A default, or three dots where it is long."""
    return value if len(ast.unparse(value)) <= LONGEST_VALUE else ast.Constant(...)


def _returned(section: re.Match[str]) -> str:
    lines = [line.strip() for line in section[1].strip().splitlines()]
    return "\n".join([f":returns: {lines[0]}", *(f"    {line}" for line in lines[1:])]) + "\n"


def _directive(kind: str, signature: str, options: list[str], inner: list[str]) -> list[str]:
    content = [*options, "", *inner]
    return [f".. py:{kind}:: {signature}", *(f"   {line}".rstrip() for line in content)]
