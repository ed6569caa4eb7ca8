"""Importing conversations: how much memory it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .databases import Database, Vendor
from .measure import Figure

PROJECT = Path(__file__).resolve().parent.parent
CONVERSATIONS = PROJECT.parent / "shared" / "data" / "airline_conversations.jsonl.gz"

#: Runs a command and prints its peak memory. A process in between: one that has much memory leaves its mark on the
#: peak of those it starts.
_PEAK = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)
_UNIT = 1 if sys.platform == "darwin" else 1024


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    if not CONVERSATIONS.exists():
        print(f"  no figure of imports: {CONVERSATIONS} is not there", file=sys.stderr)
        return
    times = 3 if quick else 10
    with vendor.database() as database:
        once, often = _peak(database, 1), _peak(database, times)
    yield Figure(
        name=f"peak memory of chronos_import, {times} x 200 conversations",
        unit="MB",
        ours=often,
        other=once,
        ratio=often / once,
        against="1 x 200",
        at_most=vendor.bar(1.1),
        rounds=[(often, once)],
    )


def _peak(database: Database, times: int) -> float:
    """The most memory, in megabytes, that an import of the file so many times over takes."""
    command = [sys.executable, "manage.py", "chronos_import", *[str(CONVERSATIONS)] * times]
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, *command, f"--agent-id=agent-{times}"],
        cwd=PROJECT,
        env={**os.environ, "DATABASE_URL": database.url, "DJANGO_SECRET_KEY": "only for the benchmark"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return int(done.stdout) * _UNIT / 1e6
