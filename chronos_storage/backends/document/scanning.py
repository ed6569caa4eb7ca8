"""Walking through all that is stored."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, TypeVar

from ...chains.numbering import audit_chain
from ...records import AuditLog, Checkpoint, Container, Image, Record, Session
from .base import SIZE
from .driver import Key
from .indexes import BY_ID, CHAINS_OF_USER, KIND_OF, OF_SESSION, Index, place_of, series_of
from .item_log import ItemLogMethods

R = TypeVar("R", bound=Record)

#: Of many walks that are merged, each takes so many at a time.
_FEW = 20


class ScanMethods(ItemLogMethods):
    def scan(self, record: type[R], user_id: str | None, after: R | None) -> Iterator[R]:
        found: Any
        if issubclass(record, OF_SESSION):
            found = self._of_sessions(record, self._session_ids(user_id, after), after)
        elif record is AuditLog:
            found = self._audit_logs(after) if user_id is None else self._audit_logs_of(user_id, after)
        else:
            found = self._by_id(record, user_id, None if after is None else after.id)
        return self.whole(found)

    def _by_id(self, record: type[R], user_id: str | None, above: str | None) -> Iterator[R]:
        kind = KIND_OF[record]
        if user_id is None:
            return self.records(record, BY_ID.partition(kind, {}), above=above)
        if record in (Container, Image):
            return iter(())
        owned = [_by("user_id", kind, user_id)] if hasattr(record, "user_id") else []
        if record is not Session:
            owned += [_by("session_id", kind, id) for id in self._session_ids(user_id)]
        size = SIZE // max(len(owned), 1)  # as a page of each is in memory
        walks = [self.records(record, partition, above=above, page=_FEW, size=size) for partition in owned]
        return _merged(walks, lambda found: found.id)

    def _session_ids(self, user_id: str | None, after: Any = None) -> Iterator[str]:
        """The ids of sessions in order, from the one that `after` belongs to on."""
        above = None
        partition = BY_ID.partition("session", {}) if user_id is None else _by("user_id", "session", user_id)
        if after is not None:
            above = after.session_id
            session = self.read_one(("session", above))
            if session is not None and any(entry.partition == partition for entry in session.entries):
                yield above
        for document in self.walk(partition, above=above):
            yield document.key[-1]

    def _of_sessions(self, record: Any, sessions: Iterator[str], after: Any) -> Iterator[Any]:
        for session_id in sessions:
            for namespace in self._numbered_in(session_id) if record is Checkpoint else ("",):
                above = None
                if after is not None and after.session_id == session_id:
                    reached = getattr(after, "namespace", "")
                    if namespace < reached:
                        continue
                    if namespace == reached:
                        above = place_of(after.seq_num)
                yield from self.records(record, series_of(KIND_OF[record], session_id, namespace), above=above)

    def _numbered_in(self, session_id: str) -> Iterator[str]:
        """The namespaces in which a session has, or had, checkpoints."""
        for head in self.walk(("head", "checkpoint", session_id)):
            yield head.key[-1]

    def _audit_logs(self, after: Any) -> Iterator[AuditLog]:
        chain = None
        if after is not None:
            chain, seq_num = _place(after)
            yield from self._chain(chain, seq_num)
        for head in self.walk(("head", "audit_log"), above=chain):
            yield from self._chain(head.key[2])

    def _audit_logs_of(self, user_id: str, after: Any) -> Iterator[AuditLog]:
        place = ("", 0) if after is None else _place(after)
        above = None if after is None else place_of(*place)

        def in_sessions() -> Iterator[AuditLog]:
            for id in self._session_ids(user_id):
                chain = audit_chain(id, None)
                if chain >= place[0]:
                    yield from self._chain(chain, place[1] if chain == place[0] else 0)

        named = self.records(AuditLog, CHAINS_OF_USER.partition("audit_log", {"user_id": user_id}), above=above)
        return _merged([named, in_sessions()], _place)

    def _chain(self, chain: str, after_seq: int = 0) -> Iterator[AuditLog]:
        return self.records(AuditLog, series_of("audit_log", chain), above=place_of(after_seq))


def _by(name: str, kind: str, value: str) -> Key:
    return Index(("id",), (name,)).partition(kind, {name: value})


def _place(log: AuditLog) -> tuple[str, int]:
    return audit_chain(log.session_id, log.agent_id), log.seq_num


def _merged(walks: list[Iterator[Any]], place: Callable[[Any], Any]) -> Iterator[Any]:
    """What the walks give, in order and each once."""
    for _, same in groupby(heapq.merge(*walks, key=place), place):
        yield next(same)
