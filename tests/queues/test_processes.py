"""Processes that publish and consume one topic, and are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import connect
from chronos_storage.queues.base import EventQueue
from chronos_storage.queues.beside import queue_beside
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.testing.queues.helpers import events
from tests.integration.test_processes import ROOT, environment_for, lines

REDIS: Any = os.environ.get("TEST_REDIS_URL")
PUBLISHERS, CONSUMERS, EACH = 4, 4, 20
KILLED = {"p0", "c0"}


@contextmanager
def workers(
    store: str, environment: dict[str, str], folder: Path, *roles: str
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """The processes with these roles: who started them, and their ids."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.queues.workers", store, str(folder), *roles],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        assert launcher.stdout is not None
        children = [int(child) for child in launcher.stdout.readline().split()]
        try:
            yield launcher, children
        finally:
            if launcher.poll() is None:
                for child in children:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)


def test_killed_processes_lose_and_double_nothing(event_queue_committed: OrmQueue, tmp_path: Path) -> None:
    queue = event_queue_committed
    nothing_is_lost_or_doubled(queue, queue.alias, environment_for(queue.alias), tmp_path)


@pytest.mark.skipif(not REDIS, reason="no Redis is found")
def test_nor_over_redis(tmp_path: Path) -> None:
    options = {"dsn": REDIS, "base": uuid.uuid4().hex}
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    with closing(queue_beside(connect(**options))) as queue:
        nothing_is_lost_or_doubled(queue, json.dumps(options), environment, tmp_path)


def nothing_is_lost_or_doubled(queue: EventQueue, store: str, environment: dict[str, str], tmp_path: Path) -> None:
    consumers = [f"c{number}" for number in range(CONSUMERS)]
    publishers = [f"p{number}" for number in range(PUBLISHERS)]
    roles = [f"consume:{name}" for name in consumers]
    # the one to be killed would go on for minutes
    roles += [f"publish:{name}:{10_000 * EACH if name in KILLED else EACH}" for name in publishers]
    with workers(store, environment, tmp_path, *roles) as (launcher, children):
        processes = dict(zip([*consumers, *publishers], children, strict=True))
        for name in KILLED:
            while len(lines(tmp_path / name)) < EACH // 3 and launcher.poll() is None:
                time.sleep(0.002)
            os.kill(processes[name], signal.SIGKILL)
        while any(len(lines(tmp_path / name)) < EACH for name in publishers if name not in KILLED):
            assert launcher.poll() is None
            time.sleep(0.02)
        with workers(store, environment, tmp_path, "consume:c0") as (again, _):
            queue.publish("t", "end")
            assert launcher.stdout is not None
            assert again.stdout is not None
            statuses = [int(status) for status in launcher.stdout.readline().split()]
            assert again.stdout.readline().split() == ["0"]
    assert dict(zip([*consumers, *publishers], statuses, strict=True)) == {
        name: -signal.SIGKILL if name in KILLED else 0 for name in [*consumers, *publishers]
    }

    entries = queue.recover("t", limit=None)
    assert events(entries[-1:]) == ["end"]
    stored = [[entry.cursor, entry.event[0], str(entry.event[1])] for entry in entries[:-1]]
    for name in consumers:
        assert lines(tmp_path / name) == stored
        acknowledged = queue.get_cursor(name, "t")
        assert acknowledged is not None
        assert queue.unread_count(name, "t") == sum(entry.cursor > acknowledged for entry in entries)
    for name in publishers:
        numbers = [int(number) for _, publisher, number in stored if publisher == name]
        assert numbers == list(range(len(numbers)))
        told = lines(tmp_path / name)
        assert [entry for entry in stored if entry[1] == name][: len(told)] == [
            [cursor, name, number] for cursor, number in told
        ]
        # the one that was killed may have published once more and not have heard of it
        assert len(numbers) - len(told) in ((0, 1) if name in KILLED else (0,))
