"""What every group of methods of `DocumentBackend` stands on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any, TypeVar

from ... import records
from ...exceptions import NotSupported, RetryTransaction
from ...transactions import attempts
from ..base import Backend
from .driver import Document, Driver, Key
from .serialization import decode
from .unit_of_work import Base, Conflict, Head, UnitOfWork, base_key, base_of, head_key, head_of

R = TypeVar("R", bound=records.Record)
T = TypeVar("T")

#: Documents of a page, and characters of their bodies, at most; one document may have more.
_PAGE, SIZE = 500, 4 * 1024 * 1024
#: Seconds that a write is attempted for while other writers are always faster.
_PATIENCE = 30


def _delays() -> Iterator[float]:
    deadline = time.monotonic() + _PATIENCE
    for number in count():
        if time.monotonic() > deadline:
            return
        yield 0.0005 * 2 ** min(number, 6)


class DocumentBase(Backend):
    """Records over a driver of documents."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.driver!r}>"

    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        for is_last in attempts(_delays()):
            try:
                return call()
            except Conflict:
                if is_last:
                    raise RetryTransaction from None
        raise AssertionError("the last attempt returns or raises")

    def transaction(self) -> AbstractContextManager[None]:
        raise NotSupported

    def after_commit(self, call: Callable[[], object]) -> None:
        call()

    @contextmanager
    def work(self) -> Iterator[UnitOfWork]:
        """Reads and writes that are committed as one at the end of the block."""
        work = UnitOfWork(self.driver)
        try:
            yield work
        except Exception:
            # What was read in several steps may never have been there together: then it is no reason to refuse.
            work.require_unchanged()
            raise
        work.commit()

    def head(self, kind: str, owner: str) -> Head:
        """A series' head as it is now; of a series without any, a new one."""
        key = head_key(kind, owner)
        return head_of(self.driver.read([key]).get(key))

    def base(self, kind: str, owner: str) -> Base:
        """Where a chain begins now; read before its head, it is never older than that."""
        key = base_key(kind, owner)
        return base_of(self.driver.read([key]).get(key))

    def live(self, documents: Iterable[Document]) -> list[Document]:
        """Those of what belongs to sessions, by keys whose second part is the session's id, that no deleted one has."""
        documents = list(documents)
        sessions = self.driver.read({("session", document.key[1]) for document in documents})
        deleted = {
            key[1] for key, session in sessions.items() if decode(records.Session, session.body).deleted_at is not None
        }
        return [document for document in documents if document.key[1] not in deleted]

    def walk(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        page: int = _PAGE,
        size: int = SIZE,
    ) -> Iterator[Document]:
        """The documents of a partition, in pages that each begin after the last and are larger, up to 500.

        Args:
            size: characters with which a page ends early.
        """
        while True:
            found = self.driver.scan(partition, above=above, below=below, reverse=reverse, limit=page, size=size)
            for _, document in found:
                yield document
            if len(found) < page and sum(len(document.body) for _, document in found) < size:
                return
            if reverse:
                below = found[-1][0]
            else:
                above = found[-1][0]
            del found, document  # before the next page is there
            page = min(2 * page, _PAGE)

    def records(self, kind: type[R], partition: Key, **bounds: Any) -> Iterator[R]:
        """The records of a partition, as `walk` finds them."""
        return (decode(kind, document.body) for document in self.walk(partition, **bounds))
