"""What is left of a thread that has ended, and what a forked child takes over."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from chronos_storage.dsn import connect


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


ROOT = Path(__file__).resolve().parents[2]

#: Forks while threads take every lock of the package's that needs no database, and has each child take them too. In a
#: process of its own, as one that has all tests in its memory takes three times as long to fork.
_FORKS = """
import os, signal, sys, threading
import django
django.setup()
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.facade import Storage
from chronos_storage.facade.stores import storages
from chronos_storage.ids import new_id
from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.records import Container
storage, queue, over = Storage(MemoryBackend()), MemoryQueue(), threading.Event()

def save():
    with storage.atomic():
        storage.save_container(Container())

def go_on(work):
    while not over.is_set():
        work()

works = [new_id, lambda: storages["default"], save, lambda: queue.publish("t", "event")]
threads = [threading.Thread(target=go_on, args=[work], daemon=True) for work in works]
sys.setswitchinterval(1e-6)  # so that threads are often stopped where they hold a lock
for thread in threads:
    thread.start()
for _ in range(30):
    child = os.fork()
    if not child:
        signal.alarm(60)
        for work in works:
            work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no forks")
def test_a_forked_child_waits_for_no_thread_that_it_has_not() -> None:
    done = subprocess.run([sys.executable, "-c", _FORKS], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_platform_without_forks_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    spec = importlib.util.find_spec("chronos_storage.forks")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
