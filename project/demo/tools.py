"""The agent's tools for reading. They read the source of the installed Django and import nothing of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

ROOT = Path(django.__file__).parent

_KINDS: dict[str, tuple[type[ast.AST], ...]] = {
    "classes": (ast.ClassDef,),
    "functions": (ast.FunctionDef, ast.AsyncFunctionDef),
}


class ToolError(Exception):
    """A tool can't do what it was called for; its message is for the agent, which may try something else."""


def search_source(pattern: str, package: str = "django") -> dict[str, Any]:
    """The lines of a package or module in which a regular expression is found.

    Returns ``lines``, their number; ``files``, the number in each file, highest first; and ``first``, the first one.
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ToolError(f"{pattern!r} is no regular expression: {error}") from None
    files: dict[str, int] = {}
    first = None
    for path in _files(package):
        for number, line in enumerate(_read(path).splitlines(), start=1):
            if search(line):
                file = _relative(path)
                first = first or {"file": file, "line": number, "text": line.strip()}
                files[file] = files.get(file, 0) + 1
    return {"lines": sum(files.values()), "files": _highest_first(files), "first": first}


def read_docstring(name: str) -> str:
    """The docstring of a module, class, method or function, by its dotted path where it is defined."""
    path, names = _locate(name)
    node: ast.AST = ast.parse(_read(path))
    for part in names:
        found = (child for child in getattr(node, "body", ()) if getattr(child, "name", "") == part)
        try:
            node = next(found)
        except StopIteration:
            raise ToolError(f"{_relative(path)} defines no {'.'.join(names)}") from None
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    docstring = ast.get_docstring(node) if documented else None  # type: ignore[arg-type]
    if not docstring:
        raise ToolError(f"{name} has no docstring")
    return docstring


def count_definitions(name: str, kind: str) -> dict[str, Any]:
    """How many ``classes`` or ``functions`` (methods and nested ones too) a package or module defines.

    Returns ``total``, and ``modules``, the number in each module that has any, highest first.
    """
    if kind not in _KINDS:
        raise ToolError(f"can't count {kind!r}, only {' and '.join(_KINDS)}")
    modules = {}
    for path in _files(name):
        number = sum(isinstance(node, _KINDS[kind]) for node in ast.walk(ast.parse(_read(path))))
        if number:
            modules[_module(path)] = number
    return {"total": sum(modules.values()), "modules": _highest_first(modules)}


@dataclass(frozen=True, kw_only=True)
class Docstring:
    """A docstring, the dotted path of what it documents, and the line where that is defined."""

    name: str
    line: int
    text: str


def docstrings(name: str) -> Iterator[Docstring]:
    """Those of all classes, methods and functions that a package or module defines."""
    for path in _files(name):
        yield from _documented(ast.parse(_read(path)), _module(path))


def _documented(node: ast.AST, name: str) -> Iterator[Docstring]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            its_name = f"{name}.{child.name}"
            if text := ast.get_docstring(child):
                yield Docstring(name=its_name, line=child.lineno, text=text)
            yield from _documented(child, its_name)


def _locate(name: str) -> tuple[Path, list[str]]:
    """The file of the module that a dotted path begins with, and the names that are left of the path."""
    package, *names = name.split(".")
    if package != ROOT.name or not all(part.isidentifier() for part in names):
        raise ToolError(f"{name!r} is no dotted path into Django")
    path = ROOT
    while names and (path / names[0]).is_dir():
        path /= names.pop(0)
    if names and (path / f"{names[0]}.py").is_file():
        return path / f"{names.pop(0)}.py", names
    return path / "__init__.py", names


def _files(name: str) -> Iterator[Path]:
    path, names = _locate(name)
    if names:
        raise ToolError(f"there is no module {name}")
    return iter(sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path])


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _relative(path: Path) -> str:
    return path.relative_to(ROOT.parent).as_posix()


def _module(path: Path) -> str:
    return _relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _highest_first(numbers: dict[str, int]) -> dict[str, int]:
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))
