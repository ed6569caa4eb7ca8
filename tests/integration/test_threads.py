"""What is left of a thread that has ended, and what a forked child takes over."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from chronos_storage.backends.document import MemoryBackend
from chronos_storage.dsn import connect
from chronos_storage.facade import Storage
from chronos_storage.facade.stores import storages
from chronos_storage.ids import new_id
from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.records import Container


@pytest.mark.usefixtures("other_databases")
def test_the_connection_of_a_thread_that_has_ended_is_freed(tmp_path: Path) -> None:
    storage: Any = connect(str(tmp_path / "notes.db"), migrate=True)
    opened: list[weakref.ref[object]] = []

    def use() -> None:
        storage.list_sessions()
        opened.append(weakref.ref(connections[storage.alias]))

    for _ in range(3):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    gc.collect()
    assert [connection() for connection in opened] == [None, None, None]


def in_memory() -> list[Callable[[], object]]:
    """What takes a lock of the package's, without a database."""
    storage, queue = Storage(MemoryBackend()), MemoryQueue()

    def save() -> None:
        with storage.atomic():
            storage.save_container(Container())

    return [new_id, lambda: storages["default"], save, lambda: queue.publish("t", "event")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_waits_for_no_thread_that_it_has_not() -> None:
    works, over = in_memory(), threading.Event()

    def go_on(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()

    threads = [threading.Thread(target=go_on, args=[work]) for work in works]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads are often stopped where they hold a lock
    try:
        for thread in threads:
            thread.start()
        for _ in range(30):
            child = os.fork()
            if not child:
                signal.alarm(5)
                for work in works:
                    work()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        over.set()
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join()


def test_a_platform_without_forks_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    spec = importlib.util.find_spec("chronos_storage.forks")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
