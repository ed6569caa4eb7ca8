"""What is public, with its signatures: ``python -m tests.typed.public`` writes it into public.txt, beside this file.

So a change of what hosts use is seen where it is made: a test compares. The source is read and nothing imported, as no
environment has the libraries of all adapters. What a class inherits within the package stands with it; of conformance
suites the names alone are public.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("public.txt")
PACKAGE = "chronos_storage"

#: What CHANGELOG.md calls public: modules, and below a star those of a package.
MODULES = (
    "",
    "records",
    "exceptions",
    "models",
    "config",
    "interfaces.agentos",
    "interfaces.agentx",
    "interfaces.ago",
    "signals",
    "upcasters",
    "redaction",
    "operations.*",
    "health",
    "ids",
    "integrations.*",
    "testing",
    "testing.factories",
    "testing.plugin",
)
#: Of other modules, some names.
NAMES = {
    "codec": ("Storable", "scrub", "storable"),
    "api.access": ("AccessRule",),
    "api.keys.authentication": ("ApiKeyAuthentication",),
    "api.keys.models": ("ApiKey",),
}

#: Methods with two underscores whose parameters say nothing.
_SILENT = {"__repr__", "__str__", "__hash__", "__getattribute__", "__setattr__", "__delattr__", "__init_subclass__"}
_WIDTH = 160


@dataclass(frozen=True)
class Found:
    """A definition, and the module it stands in."""

    module: str
    node: ast.stmt


@cache
def body(module: str) -> list[ast.stmt]:
    """The statements of a module, those that stand in conditions too; none of a module of others."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return list(_flat(ast.parse(path.read_text()).body)) if path.is_file() else []


def _flat(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        if isinstance(statement, ast.If):
            yield from _flat([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            yield from _flat(statement.body)
        else:
            yield statement


def target(statement: ast.stmt) -> str:
    """The name that a statement defines, or nothing."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return ""


def source(module: str, statement: ast.ImportFrom) -> str:
    """The module that a statement imports from."""
    if not statement.level:
        return statement.module or ""
    is_package = ROOT.joinpath(*module.split(".")).is_dir()
    parts = module.split(".")
    parts = parts[: len(parts) - statement.level + is_package]
    return ".".join([*parts, statement.module] if statement.module else parts)


@cache
def find(module: str, name: str) -> Found | None:
    """Where a name of a module is defined within the package."""
    imported = None
    for statement in body(module):
        if target(statement) == name:
            return Found(module, statement)
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    imported = find(source(module, statement), alias.name) or imported
    return imported


def public_names(module: str) -> list[str]:
    """Those of `__all__`, or else what is defined, or imported in order to be exported, without an underscore."""
    names: set[str] = set()
    for statement in body(module):
        if target(statement) == "__all__":
            assert isinstance(statement, ast.Assign)
            return sorted(ast.literal_eval(statement.value))
        if isinstance(statement, ast.ImportFrom):
            names |= {alias.name for alias in statement.names if alias.asname == alias.name}
        elif not (isinstance(statement, ast.Assign) and ast.unparse(statement.value).startswith("TypeVar(")):
            names.add(target(statement))
    return sorted(name for name in names if name and not name.startswith("_"))


def modules() -> Iterator[tuple[str, list[str]]]:
    """Each public module, and its names."""
    for each in MODULES:
        package, star, _ = each.partition(".*")
        name = f"{PACKAGE}.{package}".rstrip(".")
        inside = sorted(path.stem for path in ROOT.joinpath(*name.split(".")).iterdir()) if star else ()
        for module in [name, *(f"{name}.{stem}" for stem in inside if not stem.startswith("_"))]:
            if names := public_names(module):
                yield module, names
    for each, chosen in NAMES.items():
        yield f"{PACKAGE}.{each}", list(chosen)


def bases(found: Found) -> list[tuple[str, Found | None]]:
    """What a class stands on, each with where it is defined within the package."""
    assert isinstance(found.node, ast.ClassDef)
    known: list[tuple[str, Found | None]] = []
    for base in found.node.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        match plain:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                imported = [
                    f"{source(found.module, each)}.{module}"
                    for each in body(found.module)
                    if isinstance(each, ast.ImportFrom) and module in {alias.name for alias in each.names}
                ]
                known.append((ast.unparse(base), find(imported[0], name) if imported else None))
            case _:
                known.append((ast.unparse(base), find(found.module, ast.unparse(plain))))
    return known


def members(found: Found) -> dict[str, list[ast.stmt]]:
    """What a class has, by name, with what it inherits within the package; several of properties that can be set."""
    own: dict[str, list[ast.stmt]] = {}
    assert isinstance(found.node, ast.ClassDef)
    for statement in _flat(found.node.body):
        if name := target(statement):
            own.setdefault(name, []).append(statement)
    for _, base in bases(found):
        if base and isinstance(base.node, ast.ClassDef):
            own = members(base) | own
    return own


def default(value: ast.expr | None) -> str:
    if value is None:
        return ""
    text = ast.unparse(value)
    return f" = {text}" if isinstance(value, ast.Constant) and len(text) < _WIDTH else " = …"


def signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = [ast.unparse(each) for each in node.decorator_list]
    for each in decorators:
        if each.startswith(("async_variant(", "async_iterator(")):
            return f"{node.name} = {each}"
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return "".join(f"@{each} " for each in decorators) + f"{kind} {node.name}({ast.unparse(node.args)}){returned}"


def described(found: Found, public: set[Found], indent: str = "") -> Iterator[str]:
    """The lines that say what a definition is."""
    match found.node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() as function:
            yield indent + signature(function)
        case ast.AnnAssign(target=name, annotation=annotation, value=value):
            yield f"{indent}{ast.unparse(name)}: {ast.unparse(annotation)}{default(value)}"
        case ast.Assign(targets=[name], value=value):
            yield f"{indent}{ast.unparse(name)}{default(value)}"
        case ast.ClassDef(name=name):
            shown = [text for text, base in bases(found) if base is None or base in public]
            yield f"{indent}class {name}" + (f"({', '.join(shown)})" if shown else "")
            if name.endswith("Conformance"):
                return
            for member, statements in sorted(members(found).items()):
                hidden = member.startswith("_") and not (member.endswith("__") and member not in _SILENT)
                if hidden or member in ("Meta", "__slots__"):
                    continue
                for statement in statements:
                    yield from described(Found(found.module, statement), public, indent + "    ")
        case _:
            raise TypeError(f"{ast.unparse(found.node)} defines no name")


def text() -> str:
    """All of it."""
    everything = [(module, [(name, find(module, name)) for name in names]) for module, names in modules()]
    public = {found for _, names in everything for _, found in names if found}
    lines: list[str] = []
    told: dict[Found, str] = {}
    for module, names in everything:
        lines += ["", module]
        for name, found in names:
            if found is None:
                lines.append(f"    {name}")
            elif found in told:
                lines.append(f"    {name}: that of {told[found]}")
            else:
                told[found] = module
                lines += described(found, public, "    ")
    return "\n".join(lines[1:]) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(text())
