"""What takes minutes, for ``make soak`` alone: it collects the files that are named ``soak_*.py``.

A soak prints how far it is, can be stopped with Ctrl-C, and has a line of its own at the end. ``SOAK_CALLS`` and its
like say how large it is, and ``SEED`` what it begins with, so that it is the same each time.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from tests.admin.conftest import site as site


class Progress(Protocol):
    """How far a soak is: as text, a line."""

    def told(self) -> str:
        """What it has found wrong."""


def size(name: str, default: int) -> int:
    """How many of something, unless the environment says otherwise."""
    return int(os.environ.get(f"SOAK_{name}", default))


def seeds() -> Iterator[int]:
    """What each round begins with: the seed of the environment and those that come from it, or others each time."""
    given = os.environ.get("SEED")
    if given:
        yield int(given)
    source = random.Random(int(given)) if given else random.SystemRandom()
    while True:
        yield source.getrandbits(32)


_SOAKS = pytest.StashKey[dict[str, Progress]]()


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[Progress], None]:
    """Prints how far the soak is."""
    soaks = request.config.stash.setdefault(_SOAKS, {})

    def print_line(progress: Progress) -> None:
        soaks[request.node.name] = progress
        print(f"{request.node.name}: {progress}", file=sys.stderr, flush=True)

    return print_line


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    soaks = config.stash.get(_SOAKS, {})
    terminalreporter.section("soaked")
    for name, progress in soaks.items():
        terminalreporter.line(f"{name}: {progress}")
        if exitstatus == pytest.ExitCode.INTERRUPTED:  # else the failure has told it
            terminalreporter.line(progress.told())
