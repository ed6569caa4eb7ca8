"""What a process last knew of documents that are asked for again and again, such as the heads of busy series."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...forks import PerProcess
from .driver import Document, Key, Write
from .pieces import is_marked

#: So many are remembered, of so many characters each at most.
_MANY, _LONG = 1000, 4096


class Recent(PerProcess):
    """For a driver that is far from its store: what commits left of some documents, for `Driver.recall`.

    A document is recalled once this process has changed it, or depended on it, twice with nobody else's change in
    between; and by one at a time, until his commit is done. So those who share a document with others ask, as whoever
    recalls what is out of date comes once in vain.
    """

    def begin(self) -> None:
        self._lock = threading.Lock()
        #: By key, the least recently asked for first; whether it may be recalled.
        self._known: dict[Key, tuple[Document | None, bool]] = {}

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        """Those that may be recalled; of the others it is remembered that they were asked for."""
        found = {}
        with self._lock:
            for key in keys:
                document, is_certain = self._known.pop(key, (None, False))
                self._known[key] = document, False
                if document is not None and is_certain:
                    found[key] = document
            while len(self._known) > _MANY:
                del self._known[next(iter(self._known))]
        return found

    def committed(self, writes: Sequence[Write], version: int) -> None:
        """Remember what a commit left, of what is asked for.

        Args:
            version: that of all that it changed.
        """
        with self._lock:
            for key, was, now in writes:
                if key in self._known:
                    before, _ = self._known[key]
                    after = now if now is was or now is None else replace(now, version=version)
                    if after is not None and (len(after.body) > _LONG or is_marked(after)):
                        after = None
                    is_certain = before is not None and was is not None and before.version == was.version
                    self._known[key] = after, is_certain
