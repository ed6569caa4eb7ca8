"""What every group of methods of `DocumentStorage` stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from django.dispatch import Signal

from ... import codec, records, signals
from ...compat import is_heard
from ...exceptions import AmbiguousId, NotSupported
from ..arguments import span
from ..base import Storage
from .bodies import decode
from .driver import Document, Driver, Key
from .places import filtered, key_of
from .work import Base, Head, Work, base_key, base_of, head_key, head_of

R = TypeVar("R", bound=records.Record)

_PAGE = 500


class DocumentBase(Storage):
    """Storage over a driver of documents."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def atomic(self) -> AbstractContextManager[None]:
        raise NotSupported

    def after_commit(self, call: Callable[[], object]) -> None:
        """Call this once what was written is committed: at once, but in a transaction."""
        call()

    @contextmanager
    def work(self) -> Iterator[Work]:
        """Reads and writes that are committed as one at the end of the block."""
        work = Work(self._driver)
        try:
            yield work
        except Exception:
            # What was read in several steps may never have been there together: then it is no reason to refuse.
            work.require_unchanged()
            raise
        work.commit()
        for call in work.then:
            self.after_commit(call)

    def written(self, work: Work, *stored: records.Record) -> None:
        """Tell the receivers of `signals.records_written`, once the work is committed."""
        if stored:
            self.announce(work, signals.records_written, type(stored[0]), records=stored)

    def announce(self, work: Work, signal: Signal, sender: type[Any], **details: Any) -> None:
        """Send a signal once the work is committed."""
        if is_heard(signal, sender):
            work.then.append(partial(signal.send_robust, sender, using=None, **details))

    def one(self, kind: type[R], *key: str) -> R | None:
        """The record under a key, or None."""
        found = self._driver.read([key])
        return decode(kind, found[key].body) if key in found else None

    def one_of_session(self, kind: type[R], id: str, session_id: str | None, argument: str = "id") -> R | None:
        """The record of this id, the argument of that name, which is unique within a session only."""
        id, name = codec.string(id, argument), kind.__name__
        if session_id is not None:
            return self.one(kind, name.lower(), codec.string(session_id, "session_id"), id)
        found = list(self.walk((name.lower(), "id", id)))
        if len(found) > 1:
            found = self.live(found) or found
        if len(found) > 1:
            raise AmbiguousId(f"{name} {id!r} stands in several sessions: name the session too")
        return decode(kind, found[0].body) if found else None

    def live(self, documents: Iterable[Document]) -> list[Document]:
        """Those of what belongs to sessions, by keys whose second part is the session's id, that no deleted one has."""
        documents = list(documents)
        sessions = self._driver.read({("session", document.key[1]) for document in documents})
        deleted = {
            key[1] for key, session in sessions.items() if decode(records.Session, session.body).deleted_at is not None
        }
        return [document for document in documents if document.key[1] not in deleted]

    def head(self, kind: str, owner: str) -> Head:
        """A series' head as it is now; of a series without any, a new one."""
        key = head_key(kind, owner)
        return head_of(self._driver.read([key]).get(key))

    def base(self, kind: str, owner: str) -> Base:
        """Where a chain begins now; read before its head, it is never behind that."""
        key = base_key(kind, owner)
        return base_of(self._driver.read([key]).get(key))

    def walk(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        page: int = _PAGE,
    ) -> Iterator[Document]:
        """The documents of a partition, in pages that each begin behind the last and are larger, up to 500."""
        while True:
            found = self._driver.scan(partition, above=above, below=below, reverse=reverse, limit=page)
            for _, document in found:
                yield document
            if len(found) < page:
                return
            if reverse:
                below = found[-1][0]
            else:
                above = found[-1][0]
            page = min(2 * page, _PAGE)

    def records(
        self,
        kind: type[R],
        partition: Key,
        where: Callable[[R], bool] | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
        page: int = _PAGE,
        **bounds: Any,
    ) -> Iterator[R]:
        """The records of a partition that fulfil a condition, from the offset on.

        Args:
            page: how many are read at first.
            bounds: the others of `walk`.
        """
        part = span(limit, offset)
        page = page if part.stop is None else max(1, min(part.stop, page))
        documents = self.walk(partition, page=page, **bounds)
        if where is None:
            return (decode(kind, document.body) for document in islice(documents, part.start, part.stop))
        return islice(filter(where, (decode(kind, document.body) for document in documents)), part.start, part.stop)

    def upserted(self, kind: type[R], given: Any, argument: str) -> R:
        """Store a record over what its id had; a known one keeps its created_at.

        An updated_at that is given stays; otherwise it is now.
        """
        record = kind.of(given, argument).cleaned()
        record.complete(touch=record.updated_at is None)  # type: ignore[attr-defined]  # of all that are saved so
        with self.work() as work:
            stored: Any = work.get(type(record), *key_of(record))
            if stored is not None:
                record.created_at = stored.created_at  # type: ignore[attr-defined]  # of all that are saved so
            work.put(record)
            self.written(work, record)
        return record

    def deleted(self, name: str, id: str) -> bool:
        """Remove a record; whether it was there."""
        key = (name, codec.string(id, "id"))
        with self.work() as work:
            if work.document(key) is None:
                return False
            work.remove(key)
        return True

    def merged(self, work: Work, record: Any, changes: dict[str, Any]) -> None:
        """Merge checked changes into the top level of a record's metadata."""
        record.metadata = {**record.metadata, **changes}
        record.updated_at = records.now()
        record.check_size()  # which the changes may have made too large
        work.put(record)
        self.written(work, record)


def list_of(kind: str, order: str, given: dict[str, str], indexed: tuple[str, ...]) -> tuple[Key, Any]:
    """Where a list with these filters is found: the partition, and what is left for a condition."""
    rest = dict(given)
    for name in indexed:
        if name in rest:
            return filtered(kind, order, name, rest.pop(name)), matching(rest)
    return filtered(kind, order), matching(rest)


def matching(values: dict[str, Any]) -> Callable[[Any], bool] | None:
    """The condition that fields have these values; None if there are none."""
    if not values:
        return None
    return lambda record: all(getattr(record, name) == value for name, value in values.items())
