"""What is loaded from a generator is not all in memory at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from chronos_storage.facade import Storage
from chronos_storage.records import Message, Session, now
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)

COUNT, SIZE = 8, 3 * 1024 * 1024


def large_messages() -> Iterator[Message]:
    for number in range(1, COUNT + 1):
        content = f"{number}" * SIZE
        yield Message(id=f"m{number}", session_id="s", role="user", content=content, seq_num=number, created_at=now())


def test_large_records_are_loaded_a_few_at_a_time(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    tracemalloc.start()
    try:
        assert storage.load(large_messages()) == COUNT
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < COUNT * SIZE
