"""``python -m benchmarks``: measures the groups that are named, or all, and exits with 1 if a bar is not met."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django
from django.conf import settings

_HELPERS = {
    "__main__",
    "appending",
    "by_hand",
    "databases",
    "engines",
    "measure",
    "pages",
    "postgres",
    "requests",
    "samples",
    "shop",
    "sites",
    "sqlite",
}
_GROUPS = sorted({module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - _HELPERS)
_DATABASES = ("postgres", "sqlite")
#: The group that is measured on each engine that keeps documents, and not on the databases.
_ON_ENGINES = "backends"


def main() -> int:
    """Measure, show the table, and keep it where that is asked for."""
    arguments = _arguments()
    apps = ["chronos_storage", "chronos_storage.vectors"]
    if find_spec("langgraph"):  # which has tables of its own
        apps.append("chronos_storage.integrations.langgraph")
    settings.configure(INSTALLED_APPS=apps, USE_TZ=True)
    django.setup()
    databases = [arguments.database] if arguments.database else _DATABASES
    groups = arguments.groups or _GROUPS
    on_databases = [group for group in groups if group != _ON_ENGINES]
    try:
        results = [_run(database, on_databases, arguments.quick) for database in databases if on_databases]
        if _ON_ENGINES in groups:
            results += _run_engines(arguments.quick)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if arguments.json:
        kept = {"when": datetime.now(UTC).isoformat(), "machine": _machine(), "quick": arguments.quick}
        arguments.json.write_text(json.dumps({**kept, "databases": results}, indent=1) + "\n")
    return int(any(figure["met"] is False for result in results for figure in result["figures"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"what to measure: {', '.join(_GROUPS)}")
    parser.add_argument("--database", choices=_DATABASES, help="measure on this one only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there, with those of each round")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and rows: does it run? The figures are rough"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(_GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(_GROUPS)}")
    return arguments


def _run(database: str, groups: list[str], quick: bool) -> dict[str, Any]:
    from .measure import as_json, header, row

    vendor = importlib.import_module(f".{database}", __package__).vendor()
    if vendor is None:
        print(f"{database}: no server is found", file=sys.stderr)
        return {"database": database, "figures": []}
    print(f"{vendor.description()}\n{_machine()}\n{header()}", flush=True)
    figures = []
    for group in groups:
        for figure in importlib.import_module(f".{group}", __package__).figures(vendor, quick):
            print(row(figure), flush=True)
            figures.append({"group": group, **as_json(figure)})
    print()
    return {"database": vendor.description(), "figures": figures}


def _run_engines(quick: bool) -> Iterator[dict[str, Any]]:
    from .backends import figures
    from .engines import ENGINES
    from .measure import as_json, header, row

    for name, opened in ENGINES.items():
        with opened() as engine:
            if engine is None:
                print(f"{name}: no server is found", file=sys.stderr)
                continue
            print(f"{engine.description}\n{_machine()}\n{header()}", flush=True)
            found = []
            for figure in figures(engine, quick):
                print(row(figure), flush=True)
                found.append({"group": _ON_ENGINES, **as_json(figure)})
            print()
            yield {"database": engine.description, "figures": found}


def _machine() -> str:
    return (
        f"Python {platform.python_version()}, Django {django.__version__}, "
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}"
    )


if __name__ == "__main__":
    sys.exit(main())
