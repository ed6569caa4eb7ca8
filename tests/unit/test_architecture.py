"""ARCHITECTURE.md: it names every package, layer and contract, and nothing that is not there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chronos_storage"
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def section(title: str) -> str:
    """What stands under a heading."""
    return re.split(r"^## .+$", PAGE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[list[str]]:
    """What is named in the first column of a table, row by row."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [re.findall(r"`([^`]+)`", row) for row in rows]


def test_every_package_is_named_once() -> None:
    named = [name for row in first_column(section("Packages")) for name in row]
    packages = {path.parent.relative_to(PACKAGE).as_posix() + "/" for path in PACKAGE.rglob("__init__.py")} - {"./"}
    assert sorted(named) == sorted(packages)


def test_every_file_and_folder_that_is_named_is_there() -> None:
    prose = re.sub(r"^```.*?^```", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    paths = {name for name in re.findall(r"`([\w/.-]+)`", prose) if "/" in name or re.search(r"\.(py|md|toml)$", name)}
    assert len(paths) > 50
    assert [path for path in sorted(paths) if not ((PACKAGE / path).exists() or (ROOT / path).exists())] == []


def test_every_name_is_one_of_the_code() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    known = set(re.findall(r"\w+", code))
    names = {
        part
        for name in re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\([^`]*\))?`", PAGE)
        if not re.search(r"\.(py|md|toml)$", name)
        for part in name.split(".")
    } - {"docs", "make"}
    assert {"Storage", "OrmBackend", "append_event"} <= names
    assert sorted(names - known) == []


def test_layers_are_those_that_the_linter_holds() -> None:
    (layers,) = [contract["layers"] for contract in CONTRACTS if contract["type"] == "layers"]
    assert first_column(section("Layers")) == [layer.split(" | ") for layer in layers]


def test_contracts_are_named_as_the_linter_names_them() -> None:
    layers = section("Layers")
    listed = re.findall(r"^- (.+)$", layers, re.MULTILINE)
    assert listed == [contract["name"] for contract in CONTRACTS if contract["type"] != "layers"]
    assert all(f'"{contract["name"]}"' in layers for contract in CONTRACTS if contract["type"] == "layers")
