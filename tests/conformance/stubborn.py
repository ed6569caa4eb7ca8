"""A driver as simple as can be, which refuses every other commit at random, never reads two keys at one moment, and
whose memory is bad.
"""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from chronos_storage.backends.document.driver import Document, Driver, Key, Write, up_to_size


class StubbornDriver(Driver):
    """Documents in one dictionary, looked through for each scan."""

    def __init__(self) -> None:
        self._documents: dict[Key, Document] = {}
        self._lock = threading.Lock()
        self._random = random.Random(0)
        self._version = 0
        self._past: dict[Key, list[Document]] = defaultdict(list)

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        with self._lock:
            return {key: self._random.choice(past[-2:]) for key in keys if (past := self._past.get(key))}

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        found = {}
        for key in keys:  # each at another timestamp
            with self._lock:
                if key in self._documents:
                    found[key] = self._documents[key]
            time.sleep(0)
        return found

    def scan(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]]:
        with self._lock:
            places = {
                entry.sort: document
                for document in self._documents.values()
                for entry in document.entries
                if entry.partition == partition
            }
        found = [
            (place, places[place])
            for place in sorted(places, reverse=reverse)
            if (above is None or place > above) and (below is None or place < below)
        ]
        return up_to_size(found[:limit], size)

    def commit(self, writes: Sequence[Write]) -> bool:
        assert len({write.key for write in writes}) == len(writes)
        with self._lock:
            if self._random.random() < 0.5:
                return False
            for key, was, _ in writes:
                stored = self._documents.get(key)
                if (stored and stored.version) != (was and was.version):
                    return False
            self._version += 1
            for key, was, now in writes:
                if now is None:
                    self._documents.pop(key, None)
                elif now is not was:
                    self._documents[key] = replace(now, version=self._version)
                    self._past[key].append(self._documents[key])
        return True

    def describe(self) -> str:
        return "a dictionary"

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass
