from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.models.query import QuerySet

from ... import codec
from ...exceptions import InvalidRecord
from ...ledger.mapping import EVENTS
from ...ledger.series import EVENT_CHAIN, append
from ...models import Head
from ...records import Event
from ...transactions import retried
from ..arguments import identified, several
from . import hooks
from .base import sliced
from .chains import ChainMethods
from .pages import iterate


class EventMethods(ChainMethods):
    def append_event(self, event: Event, *, expected_seq: int | None = None) -> Event:
        if expected_seq is not None:
            expected_seq = codec.integer(expected_seq, "expected_seq")
        return self._append_event(identified(Event.of(event, "event")), expected_seq)

    @retried
    def _append_event(self, event: Event, expected_seq: int | None) -> Event:
        with hooks.joined(self.alias):
            stored, new = self.append_one(EVENT_CHAIN, event, expected_seq)
            hooks.appended(self.alias, new)
        self.written(*new)
        return stored

    def append_events(self, events: Iterable[Event], *, expected_seq: int | None = None) -> list[Event]:
        return self._append_events(list(map(identified, several(Event, events, "events"))), expected_seq)

    @retried
    def _append_events(self, given: list[Event], expected_seq: int | None) -> list[Event]:
        if expected_seq is not None:
            expected_seq = codec.integer(expected_seq, "expected_seq")
            if len({event.session_id for event in given}) > 1:
                raise InvalidRecord("expected_seq", "is one session's last number; these events are of several")
        with hooks.joined(self.alias):
            stored, new = append(self.alias, EVENT_CHAIN, given, expected_seq)
            hooks.appended(self.alias, new)
        self.written(*new)
        return stored

    @retried
    def get_event(self, id: str, *, session_id: str | None = None) -> Event | None:
        return self.one_of_session(EVENTS, id, session_id)

    @retried
    def list_events(
        self,
        session_id: str,
        after_seq: int = 0,
        *,
        types: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        return EVENTS.fetch(sliced(self._events_after(session_id, after_seq, types).order_by("seq_num"), limit))

    def iter_events(
        self, session_id: str, after_seq: int = 0, *, types: Sequence[str] | None = None
    ) -> Iterator[Event]:
        return iterate(EVENTS, self._events_after(session_id, after_seq, types), "seq_num")

    @retried
    def get_recent_events(self, session_id: str, limit: int | None) -> list[Event]:
        newest_first = self._events_of(session_id).order_by("-seq_num")
        return EVENTS.fetch(sliced(newest_first, limit))[::-1]

    @retried
    def count_events(self, session_id: str) -> int:
        return self._events_of(session_id).count()

    @retried
    def last_seq(self, session_id: str) -> int:
        heads = Head.objects.using(self.alias).filter(
            kind=Head.Kind.EVENT, owner=codec.string(session_id, "session_id"), namespace=""
        )
        return heads.values_list("seq_num", flat=True).first() or 0

    def _events_of(self, session_id: str) -> QuerySet[Any]:
        return self.rows(EVENTS).filter(session_id=codec.string(session_id, "session_id"))

    def _events_after(self, session_id: str, after_seq: int, types: Sequence[str] | None) -> QuerySet[Any]:
        rows = self._events_of(session_id).filter(seq_num__gt=codec.integer(after_seq, "after_seq"))
        return rows if types is None else rows.filter(type__in=codec.strings(types, "types"))
