"""Memory: what goes through many large records holds a few of them at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ...facade import Storage
from ...records import Checkpoint, Event, Message
from ..writers import write
from .helpers import open_session

#: How many large records a walk goes through, and the bytes of each.
_COUNT, _SIZE = 8, 2 * 1024 * 1024
_TEXT = "x" * _SIZE

#: By what is walked: a record of it, and the walks.
WALKS: dict[str, tuple[Callable[[], Any], list[Callable[[Storage], Iterable[Any]]]]] = {
    "messages": (
        lambda: Message(session_id="s", role="user", content=_TEXT),
        [lambda storage: storage.iter_messages("s"), lambda storage: storage.scan("message", user_id="user")],
    ),
    # Of states the text is the same, and stored once.
    "states": (
        lambda: Checkpoint(session_id="s", state={"text": _TEXT}, metadata={"n": 1}),
        [lambda storage: storage.iter_checkpoints("s", metadata={"n": 1})],
    ),
    "a chain": (
        lambda: Event(session_id="s", payload=_TEXT),
        [lambda storage: range(storage.verify_events("s").checked)],
    ),
}


class SizeContract:
    @pytest.mark.parametrize("what", WALKS)
    def test_a_walk_through_large_records_holds_few_of_them(self, storage: Storage, what: str) -> None:
        make, walks = WALKS[what]
        open_session(storage, user_id="user")
        for _ in range(_COUNT):
            write(storage, make())
        for walk in walks:
            tracemalloc.start()
            try:
                count = sum(1 for _ in walk(storage))
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert count == _COUNT
            # A page ends with the record that makes it longer than a few MiB; a text may be there a few times.
            assert peak < _COUNT * _SIZE
