"""Starts the database servers before pytest-django reads the settings, which name them; sees to what costs time."""

from __future__ import annotations

import gc
import os
import re
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import servers

#: Hypothesis' own, wherever the tests run: the same examples each time, and none fails on a machine that is busy.
settings.load_profile("ci")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, object, object]:
    if (memory := servers.memory()) and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = memory  # of child processes, and of this one
    servers.start_all()
    return (yield)


def pytest_report_header() -> list[str]:
    """Which servers the tests do without."""
    if os.environ.get("TESTS_ON_CLUSTER"):
        return []
    missing = [name for name, variable in servers.VARIABLES.items() if not os.environ.get(variable)]
    return [f"not found, and left out: {', '.join(missing)}"] if missing else []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many tests of the shipped suites each store has passed."""
    passed = Counter(suite for each in terminalreporter.stats.get("passed", ()) if (suite := _suite(each.nodeid)))
    for suite, count in sorted(passed.items()):
        terminalreporter.write_line(f"{suite}: {count:,} passed")


def _suite(nodeid: str) -> str | None:
    """The class whose test this is, in the folders of suites, with the database that it was run on, if one is named."""
    path, _, rest = nodeid.partition("::")
    name, _, test = rest.partition("::")
    if not test or Path(path).parent.name not in ("conformance", "queues", "vectors"):
        return None
    databases = {"sqlite", "postgres", "postgres15", "mariadb", "citus"}.intersection(re.split(r"[\[\]-]", test))
    return " ".join([path, name, *databases])


def _import_a_share(worker: dict[str, Any]) -> None:
    """Let each of several workers begin with other modules than the rest.

    pytest compiles a module in its own way where nobody has done so before, which takes seconds for all of them.
    """
    from tests.conftest import collect_ignore

    folder = Path(__file__).parent
    paths = [path for path in sorted(folder.glob("*/test_*.py")) if path.parent.name not in collect_ignore]
    for path in paths[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        with suppress(pytest.skip.Exception):
            import_module(f"tests.{path.parent.name}.{path.stem}")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Modules and tests stay to the end: looking through them for garbage takes a tenth of the processor's time."""
    gc.disable()
    try:
        worker = getattr(session.config, "workerinput", None)
        if worker and session.config.args == session.config.getini("testpaths"):
            _import_a_share(worker)
        return (yield)
    finally:
        gc.freeze()
        # What a test leaves in circles is no more than a few MB: it need not be looked for hundreds of times in each.
        gc.set_threshold(100_000, 20, 100)
        gc.enable()
