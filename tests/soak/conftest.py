"""What takes minutes, for ``make soak`` alone: it collects the files that are named ``soak_*.py``.

A soak prints how far it is, can be stopped with Ctrl-C, and at its end has a line for each part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.admin.conftest import site as site

_LINES = pytest.StashKey[dict[str, str]]()


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Prints how far a soak is; the last time is kept for the end of the run."""
    lines = request.config.stash.setdefault(_LINES, {})

    def print_and_keep(progress: object) -> None:
        lines[request.node.name] = str(progress)
        print(f"{request.node.name}: {progress}", file=sys.stderr, flush=True)

    return print_and_keep


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, {})
    if lines:
        terminalreporter.section("soaked")
    for name, progress in lines.items():
        terminalreporter.line(f"{name}: {progress}")
