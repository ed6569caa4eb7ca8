"""The driver that keeps documents in this process's memory, and the backend over it."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from operator import itemgetter
from uuid import uuid4

from ...exceptions import RetryTransaction
from ...forks import PerProcess
from .backend import DocumentBackend
from .driver import Document, Driver, Entry, Key, Write, up_to_size

#: Seconds that another thread's transaction is waited for.
_PATIENCE = 30
#: So many removals from one list are cheaper in one pass over it.
_MANY = 32

_place = itemgetter(0)


class MemoryDriver(Driver, PerProcess):
    """Documents in dictionaries, their indexes in sorted lists, under one lock.

    A list is inserted into where a place is due, at its end for what is appended. That moves the pointers after it,
    a megabyte of them, for a hundred thousand, in well under a tenth of a millisecond.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._documents: dict[Key, Document] = {}
        self._indexes: dict[Key, list[tuple[str, Key]]] = {}
        self._version = 0
        # Those of the transaction that holds the lock:
        self._depth = 0
        self._undo: list[dict[Key, Document | None]] = []
        self._then: list[Callable[[], object]] = []
        super().__init__()

    def begin(self) -> None:
        #: Another one in each process, as what is kept is.
        self.token = uuid4().hex  # not of `new_id`, whose lock may not have begun anew yet
        self._lock = threading.RLock()
        # A forked child begins without the transaction, or the half of a commit, that was under way.
        while self._undo:
            self._apply(self._undo.pop())
        self._then.clear()
        self._depth = 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_PATIENCE):
            raise RetryTransaction
        try:
            yield
        finally:
            self._lock.release()

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        with self._locked():
            return {key: self._documents[key] for key in keys if key in self._documents}

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
        with self._locked():
            index = self._indexes.get(partition, [])
            start = 0 if above is None else bisect_right(index, above, key=_place)
            stop = len(index) if below is None else bisect_left(index, below, key=_place)
            found = index[max(start, stop - limit) : stop][::-1] if reverse else index[start : min(stop, start + limit)]
            return up_to_size(((place, self._documents[key]) for place, key in found), size)

    def commit(self, writes: Sequence[Write]) -> bool:
        with self._locked():
            for write in writes:
                stored = self._documents.get(write.key)
                if (stored and stored.version) != (write.was and write.was.version):
                    return False
            changes = {write.key: write.now for write in writes if write.now is not write.was}
            self._undo.append({key: self._documents.get(key) for key in changes})
            self._apply(changes)
            if not self._depth:
                self._undo.clear()
        return True

    def _apply(self, changes: dict[Key, Document | None]) -> None:
        """Make changes, any part of which may have been made already where a fork came in between."""
        gone: dict[Key, list[str]] = defaultdict(list)
        new: list[tuple[Entry, Key]] = []
        for key, document in changes.items():
            old = self._documents.pop(key, None)
            before, after = old.entries if old else (), document.entries if document else ()
            if before != after:
                for entry in set(before).difference(after):
                    gone[entry.partition].append(entry.sort)
                new += [(entry, key) for entry in after if entry not in before]
            if document is not None:
                self._version += 1
                self._documents[key] = Document(key, document.body, document.entries, self._version)
        for partition, places in gone.items():
            self._remove(partition, places)
        for entry, key in new:
            index = self._indexes.setdefault(entry.partition, [])
            if not index or index[-1][0] < entry.sort:
                index.append((entry.sort, key))
            elif index[place := bisect_left(index, entry.sort, key=_place)][0] != entry.sort:
                index.insert(place, (entry.sort, key))

    def _remove(self, partition: Key, places: list[str]) -> None:
        index = self._indexes.get(partition, [])
        if len(places) > _MANY:
            leaving = set(places)
            index[:] = [entry for entry in index if entry[0] not in leaving]
        else:
            for place in places:
                at = bisect_left(index, place, key=_place)
                del index[at : bisect_right(index, place, lo=at, key=_place)]
        if not index:
            self._indexes.pop(partition, None)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several commits as one, which all other threads wait for; inside another, part of it."""
        then: list[Callable[[], object]] = []
        with self._locked():
            undo, calls = len(self._undo), len(self._then)
            self._depth += 1
            try:
                yield
            except BaseException:
                while len(self._undo) > undo:
                    self._apply(self._undo.pop())
                del self._then[calls:]
                raise
            finally:
                self._depth -= 1
                if not self._depth:
                    then, self._then = self._then, []
                    self._undo.clear()
        for call in then:
            call()

    def on_commit(self, call: Callable[[], object]) -> None:
        """Call this once this thread's transaction is committed; without one, now."""
        with self._locked():
            if self._depth:
                self._then.append(call)
                return
        call()

    def describe(self) -> str:
        return f"memory {self.name!r}" if self.name else "memory"

    def prepare(self) -> None:
        """There is nothing to make."""

    def close(self) -> None:
        """There is no connection."""


_named: dict[str, MemoryDriver] = {}


class MemoryBackend(DocumentBackend):
    """Records in this process's memory: for tests, for what may be forgotten, and to try things out.

    Threads may share one. A transaction keeps all other threads waiting, readers too, until it ends; whoever has waited
    for half a minute gets `RetryTransaction`.

    Args:
        name: backends of the same name share what they keep, until the process ends; without one it is this object's.
    """

    supports_transactions = True

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._memory = _named.setdefault(name, MemoryDriver(name)) if name else MemoryDriver()
        super().__init__(self._memory)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {self._memory.token}>"

    def transaction(self) -> AbstractContextManager[None]:
        return self._memory.transaction()

    def after_commit(self, call: Callable[[], object]) -> None:
        self._memory.on_commit(call)
