"""Walking through all that is stored."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from ... import codec, records
from ...chains.numbering import audit_chain
from ...records import AuditLog, Checkpoint, Container, Event, Image, Message, Record, Session
from ..arguments import choice
from .base import DocumentBase
from .driver import Key
from .places import place_of

#: Of many walks that are merged, each takes so many at a time.
_FEW = 20


class ScanMethods(DocumentBase):
    def scan(self, kind: str, *, user_id: str | None = None, after: Record | None = None) -> Iterator[Any]:
        kind = codec.string(kind, "kind")
        record = choice(kind, "kind", records.KINDS)
        after = None if after is None else record.of(after, "after").cleaned()
        user_id = None if user_id is None else codec.string(user_id, "user_id")
        if record in (Message, Event, Checkpoint):
            sessions = self._ids(("session",) if user_id is None else ("session", "user", user_id), after)
            return self._of_sessions(record, kind, sessions, after)
        if record is AuditLog:
            return self._audit_logs(after) if user_id is None else self._audit_logs_of(user_id, after)
        above = None if after is None else after.id
        if user_id is None:
            return self.records(record, (kind,), above=above)
        if record in (Container, Image):
            return iter(())
        partitions = [] if kind == "trace" else [(kind, "user", user_id)]
        if record is not Session:
            partitions += [(kind, "session", id) for id in self._ids(("session", "user", user_id))]
        walks = [self.records(record, partition, above=above, page=_FEW) for partition in partitions]
        return _merged(walks, lambda found: found.id)

    def _ids(self, partition: Key, after: Any = None) -> Iterator[str]:
        """The ids of sessions in order, from the one that `after` belongs to on."""
        if after is not None:
            if self._driver.read([("session", after.session_id)]):
                yield after.session_id
            above = after.session_id
        else:
            above = None
        for document in self.walk(partition, above=above):
            yield document.key[-1]

    def _of_sessions(self, record: Any, kind: str, sessions: Iterator[str], after: Any) -> Iterator[Any]:
        for session_id in sessions:
            for partition in self._series_of(kind, session_id):
                above = None
                if after is not None and after.session_id == session_id:
                    if kind == "checkpoint" and partition[-1] < after.namespace:
                        continue
                    if kind != "checkpoint" or partition[-1] == after.namespace:
                        above = place_of(after.seq_num)
                yield from self.records(record, partition, above=above)

    def _series_of(self, kind: str, session_id: str) -> Iterator[Key]:
        if kind != "checkpoint":
            yield (kind, "session", session_id)
            return
        for head in self.walk(("head", "checkpoint", session_id)):
            yield ("checkpoint", "series", session_id, head.key[-1])

    def _audit_logs(self, after: Any) -> Iterator[AuditLog]:
        chain = None
        if after is not None:
            chain = audit_chain(after.session_id, after.agent_id)
            yield from self._chain(chain, after.seq_num)
        for head in self.walk(("head", "audit_log"), above=chain):
            yield from self._chain(head.key[2])

    def _audit_logs_of(self, user_id: str, after: Any) -> Iterator[AuditLog]:
        place = ("", 0) if after is None else _place(after)
        above = None if after is None else f"{place[0]}\x00{place_of(place[1])}"

        def in_sessions() -> Iterator[AuditLog]:
            for id in self._ids(("session", "user", user_id)):
                chain = audit_chain(id, None)
                if chain >= place[0]:
                    yield from self._chain(chain, place[1] if chain == place[0] else 0)

        named = self.records(AuditLog, ("audit_log", "user", user_id), above=above)
        return _merged([named, in_sessions()], _place)

    def _chain(self, chain: str, after_seq: int = 0) -> Iterator[AuditLog]:
        return self.records(AuditLog, ("audit_log", "chain", chain), above=place_of(after_seq))


def _place(log: AuditLog) -> tuple[str, int]:
    return audit_chain(log.session_id, log.agent_id), log.seq_num


def _merged(walks: list[Iterator[Any]], place: Callable[[Any], Any]) -> Iterator[Any]:
    """What the walks give, in order and each once."""
    for _, same in groupby(heapq.merge(*walks, key=place), place):
        yield next(same)
