"""The demo's site over a database, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .databases import Database
from .imports import PROJECT


class Site:
    """The admin over a database, in a process of its own."""

    def __init__(self, database: Database) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pages"],
            cwd=PROJECT,
            env=environment(database),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def get(self, address: str) -> None:
        """Ask for a page."""
        self._ask("get", address)

    def queries(self, address: str) -> int:
        """How many queries a page takes."""
        return int(self._ask("count", address)[2])

    def _ask(self, command: str, address: str) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(command, address, file=self._process.stdin, flush=True)
        answer: list[int] = json.loads(self._process.stdout.readline())
        assert answer[0] == 200, f"{address}: {answer[0]}"
        return answer


def environment(database: Database) -> dict[str, str]:
    """The variables of the environment by which the demo's site is over a database."""
    ours = {"DATABASE_URL": database.url, "DJANGO_SECRET_KEY": "only for the benchmark"}
    return {**os.environ, **ours, "DJANGO_SETTINGS_MODULE": "project.settings"}
