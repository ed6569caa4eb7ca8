from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .. import codec
from ..async_variants import async_iterator, async_variant
from ..backends.base import Condition, Query
from ..records import Batch, Event, Fence
from ..upcasters import upcast
from .arguments import any_of, page_slice, records_of, required
from .base import FacadeBase


class EventMethods(FacadeBase):
    def append_event(self, event: Event, *, expected_seq: int | None = None, fence: Fence | int | None = None) -> Event:
        """Append an event to its session's ledger with the next number, 1, 2, 3 … without gap or repeat.

        With the same id and content as a stored event, that one is returned, whatever number came with it.

        Args:
            expected_seq: append only if this is the session's last number (0: nothing appended yet); where the event
                has a number of its own, both must hold.
            fence: the session's.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
            SequenceConflict: the last number is another one, or the event's own number isn't the next.
            AlreadyExists: the id is taken by other content.
        """
        return self._appended(Event, [Event.of(event, "event")], expected_seq, fence)[0][0]

    @async_variant(append_event)
    def aappend_event(self) -> Any: ...

    def append_events(
        self, events: Iterable[Event], *, expected_seq: int | None = None, fence: Fence | int | None = None
    ) -> Batch[Event]:
        """Append events of one session or several in their order, all or none; see `append_event`.

        With `expected_seq` or `fence` they are all of one session. The list's `new` has the ids that this call wrote.
        """
        return Batch(*self._appended(Event, records_of(Event, events, "events"), expected_seq, fence))

    @async_variant(append_events)
    def aappend_events(self) -> Any: ...

    def get_event(self, id: str, *, session_id: str | None = None) -> Event | None:
        """The event, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have an event of this id.
        """
        found = self._one_of_session(Event, id, session_id)
        return None if found is None else upcast(found)

    @async_variant(get_event)
    def aget_event(self) -> Any: ...

    def list_events(
        self,
        session_id: str,
        after_seq: int = 0,
        *,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """A session's events with a number above `after_seq`, ascending."""
        where = _after(session_id, after_seq, types)
        return self._select(Query(record=Event, where=where, order=("seq_num",), **page_slice(limit)))

    @async_variant(list_events)
    def alist_events(self) -> Any: ...

    def iter_events(
        self, session_id: str, after_seq: int = 0, *, types: Sequence[str] | None = None
    ) -> Iterator[Event]:
        """`list_events`, page by page."""
        where = _after(session_id, after_seq, types)
        return self._iterate(Query(record=Event, where=where, order=("seq_num",)))

    @async_iterator(iter_events)
    def aiter_events(self) -> Any: ...

    def get_recent_events(self, session_id: str, limit: int | None) -> list[Event]:
        """The last `limit` events, oldest first."""
        where = required(session_id=session_id)
        return self._select(Query(record=Event, where=where, order=("-seq_num",), **page_slice(limit)))[::-1]

    @async_variant(get_recent_events)
    def aget_recent_events(self) -> Any: ...

    def count_events(self, session_id: str) -> int:
        """How many events a session has."""
        return self._count(Query(record=Event, where=required(session_id=session_id)))

    @async_variant(count_events)
    def acount_events(self) -> Any: ...

    def last_seq(self, session_id: str) -> int:
        """The number of a session's last event; 0 before the first. A purge does not lower it."""
        return self._last_number(Event, session_id)

    @async_variant(last_seq)
    def alast_seq(self) -> Any: ...


def _after(session_id: str, after_seq: int, types: Sequence[str] | None) -> tuple[Condition, ...]:
    number = Condition("seq_num", ">", codec.integer(after_seq, "after_seq"))
    return (*required(session_id=session_id), number, *any_of("type", types, "types"))
