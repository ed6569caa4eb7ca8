from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ... import codec
from ...exceptions import InvalidRecord
from ...records import Event
from ..arguments import several
from .chains import ChainMethods
from .places import place_of
from .series import EVENTS, append
from .work import retried


class EventMethods(ChainMethods):
    def append_event(self, event: Event, *, expected_seq: int | None = None) -> Event:
        return self._append_events([Event.of(event, "event")], expected_seq)[0]

    def append_events(self, events: Iterable[Event], *, expected_seq: int | None = None) -> list[Event]:
        return self._append_events(several(Event, events, "events"), expected_seq)

    @retried
    def _append_events(self, given: list[Event], expected_seq: int | None) -> list[Event]:
        if expected_seq is not None:
            expected_seq = codec.integer(expected_seq, "expected_seq")
            if len({event.session_id for event in given}) > 1:
                raise InvalidRecord("expected_seq", "is one session's last number; these events are of several")
        with self.work() as work:
            stored, new = append(work, EVENTS, [event.cleaned() for event in given], expected_seq)
            self.written(work, *new)
        return stored

    def get_event(self, id: str, *, session_id: str | None = None) -> Event | None:
        return self.one_of_session(Event, id, session_id)

    def list_events(
        self,
        session_id: str,
        after_seq: int = 0,
        *,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        return list(self._events_after(session_id, after_seq, types, limit=limit))

    def iter_events(
        self, session_id: str, after_seq: int = 0, *, types: Sequence[str] | None = None
    ) -> Iterator[Event]:
        return self._events_after(session_id, after_seq, types)

    def get_recent_events(self, session_id: str, limit: int | None) -> list[Event]:
        return list(self._events_after(session_id, limit=limit, reverse=True))[::-1]

    def count_events(self, session_id: str) -> int:
        session_id = codec.string(session_id, "session_id")
        base = self.base("event", session_id)
        return self.head("event", session_id).count - base.seq_num

    def last_seq(self, session_id: str) -> int:
        return self.head("event", codec.string(session_id, "session_id")).seq_num

    def _events_after(
        self, session_id: str, after_seq: int = 0, types: Sequence[str] | None = None, **part: Any
    ) -> Iterator[Event]:
        partition = ("event", "session", codec.string(session_id, "session_id"))
        above = place_of(codec.integer(after_seq, "after_seq"))
        if types is None:
            return self.records(Event, partition, above=above, **part)
        wanted = frozenset(codec.strings(types, "types"))
        return self.records(Event, partition, lambda event: event.type in wanted, above=above, **part)
