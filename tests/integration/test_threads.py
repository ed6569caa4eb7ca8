"""What is left of a thread that has ended, and what a forked child takes over."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path

import pytest
from django.db import connections

from chronos_storage.dsn import connect


@pytest.mark.usefixtures("other_databases")
def test_the_connection_of_a_thread_that_has_ended_is_freed(tmp_path: Path) -> None:
    storage = connect(str(tmp_path / "notes.db"), migrate=True)
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
