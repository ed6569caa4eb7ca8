"""The storage that keeps nothing: it accepts every write and finds nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import methodcaller
from typing import Any, TypeVar

from django.dispatch import Signal

from ... import codec
from ...records import Checkpoint, Event, Image, Message, Record, Session, Trace
from ..arguments import filters, of_any_kind, required
from ..changes import fork_of, new_session
from .driver import Document, Driver, Key, Write
from .series import EVENTS, MESSAGES, Series, append
from .storage import DocumentStorage
from .work import Work, gate_key

R = TypeVar("R", bound=Record)

logger = logging.getLogger("chronos_storage")


class _NoDriver(Driver):
    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return {}

    def scan(
        self, partition: Key, *, above: str | None = None, below: str | None = None, reverse: bool = False, limit: int
    ) -> list[tuple[str, Document]]:
        return []

    def commit(self, writes: Sequence[Write]) -> bool:
        return True

    def describe(self) -> str:
        return "nothing: the backend is 'none'"

    def prepare(self) -> None:
        """There is nothing to make."""

    def close(self) -> None:
        """There is no connection."""


class _Forgotten(Work):
    """A write, to which what it belongs to or changes seems to be there: every session, and the records of a type."""

    def __init__(self, driver: Driver, found: type[Record]) -> None:
        super().__init__(driver)
        self._found = found

    def document(self, key: Key) -> Document | None:
        if key[0] == "gate":
            return Document(gate_key(key[1]), codec.dumps(True))
        return super().document(key)

    def get(self, kind: type[R], *key: str) -> R | None:
        if kind is not self._found:
            return super().get(kind, *key)
        make: Any = kind
        record: R = make(id=key[-1])
        record.complete()
        return record


class NoStorage(DocumentStorage):
    """`Storage` for who wants none: every write returns the record as it would be stored, and nothing is kept.

    The first write is warned of in the log ``chronos_storage``. No signal is sent, as nothing was written.
    """

    supports_transactions = True

    def __init__(self) -> None:
        super().__init__(_NoDriver())
        self._found: type[Record] = Session
        self._warned = False

    def atomic(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def work(self) -> Iterator[Work]:
        self._warn()
        yield _Forgotten(self._driver, self._found)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("The storage backend is 'none': what agents write is accepted, and nothing of it is kept.")

    def announce(self, work: Work, signal: Signal, sender: type[Any], **details: Any) -> None:
        """Nothing was written."""

    def _finding(self, kind: type[Record]) -> NoStorage:
        """This storage for one call, to which any record of a type seems to be there."""
        self._warn()
        storage = NoStorage()
        storage._found, storage._warned = kind, True
        return storage

    # What would be refused because there is nothing

    def create(self, work: Work, session: Session) -> None:
        work.put(session)

    def restore_session(self, id: str) -> Session:
        return self.create_session(Session(id=id))

    def delete_session(self, id: str, *, hard: bool = False) -> bool:
        codec.string(id, "id")
        return False

    def truncate_messages(self, session_id: str, after_message_id: str) -> int:
        codec.string(after_message_id, "after_message_id")
        return self.delete_messages(session_id)

    def fork_session(self, checkpoint_id: str, /, *, session_id: str | None = None, **session_fields: Any) -> Session:
        given = required(checkpoint_id=checkpoint_id) | filters(session_id=session_id)
        source = Checkpoint(id=given["checkpoint_id"], session_id=given.get("session_id", ""))
        return self.create_session(new_session(fork_of(source, Session(), session_fields)))

    def end_trace(self, *args: Any, **kwargs: Any) -> Trace:
        return super(NoStorage, self._finding(Trace)).end_trace(*args, **kwargs)

    def patch_image_metadata(self, id: str, changes: dict[str, Any]) -> Image:
        return super(NoStorage, self._finding(Image)).patch_image_metadata(id, changes)

    def _add_messages(self, given: list[Message]) -> list[Message]:
        return self._appended(MESSAGES, given, None)

    def _append_events(self, given: list[Event], expected_seq: int | None) -> list[Event]:
        if expected_seq is not None:
            expected_seq = codec.integer(expected_seq, "expected_seq")
        return self._appended(EVENTS, given, expected_seq)

    def _appended(self, series: Series[R], given: list[R], expected_seq: int | None) -> list[R]:
        """The records, numbered on from what the caller takes for the last number."""
        cleaned: list[Any] = [record.cleaned() for record in given]
        with self.work() as work:
            for record in reversed(cleaned):
                last = record.seq_num - 1 if record.seq_num else expected_seq or 0
                work.head(series.kind, series.owner(record)).seq_num = last
            stored, _ = append(work, series, cleaned)
        return stored

    def load(self, records: Iterable[Record]) -> int:
        self._warn()
        return sum(1 for _ in map(methodcaller("cleaned"), of_any_kind(records)))
