from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from .. import codec, records
from ..async_variants import async_iterator, async_variant
from ..backends.base import Condition, Query
from ..exceptions import InvalidRecord
from ..records import Batch, Fence, MemoryRecord
from ..redaction import redacted
from .arguments import any_of, equal, fenced_session, page_slice, records_of, required, start_after, token_of
from .base import FacadeBase

_ORDER = ("-updated_at", "-id")


class MemoryMethods(FacadeBase):
    def put_memory(self, record: MemoryRecord, *, fence: Fence | int | None = None) -> MemoryRecord:
        """Store a value under its natural key (agent_id, user_id, session_id, kind, key), over what was there.

        The row under a key keeps its first id and created_at. An id that is stored under another key moves there.

        Args:
            fence: that of the session that the record names, which is there then.

        Raises:
            NotFound: the session isn't there, and a fence is given.
            StaleWriter: the session was acquired again.
            AlreadyExists: the id would move to a key that another row holds.
        """
        return self._put([MemoryRecord.of(record, "record")], fence)[0]

    @async_variant(put_memory)
    def aput_memory(self) -> Any: ...

    def put_memories(self, records: Iterable[MemoryRecord], *, fence: Fence | int | None = None) -> Batch[MemoryRecord]:
        """`put_memory` for several records, all or none, in one statement where the database can.

        Of records with the same natural key only the last is written.

        Returns:
            For each record given what is stored under its natural key; the list's `new` has the ids of all of them.

        Raises:
            InvalidRecord: one id stands under two natural keys.
            AlreadyExists: an id would move to a key that another row holds.
        """
        return self._put(records_of(MemoryRecord, records, "records"), fence)

    @async_variant(put_memories)
    def aput_memories(self) -> Any: ...

    def _put(self, given: list[MemoryRecord], fence: Fence | int | None) -> Batch[MemoryRecord]:
        if not given:
            return Batch()
        cleaned = [redacted(record) for record in given]
        token = token_of(fence, (record.session_id for record in cleaned))
        new = {_natural_key(record): record for record in cleaned}
        named = [record.id for record in new.values() if record.id]
        if len(set(named)) < len(named):
            raise InvalidRecord("records", "have one id under two natural keys")
        for record in new.values():
            record.complete(touch=True)
        fresh = {record.id for record in new.values()}.difference(named)
        written = self._run(partial(self.backend.put, list(new.values()), fresh, token))
        self._written(*written)
        stored = {_natural_key(record): record for record in written}
        return Batch((stored[_natural_key(record)] for record in cleaned), written)

    def get_memory(
        self,
        agent_id: str,
        key: str,
        *,
        kind: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
    ) -> MemoryRecord | None:
        """The most recently updated record that matches and has not expired, or None. None in a filter is "any"."""
        where = required(agent_id=agent_id, key=key) + equal(kind=kind, user_id=user_id, session_id=session_id)
        found = self._select(Query(record=MemoryRecord, where=(*where, _alive()), order=_ORDER, limit=1))
        return found[0] if found else None

    @async_variant(get_memory)
    def aget_memory(self) -> Any: ...

    def list_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
        keys: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
        after: MemoryRecord | None = None,
    ) -> list[MemoryRecord]:
        """What an agent remembers and has not expired, most recently updated first.

        Args:
            prefix: the start of the key.
            keys: which keys.
        """
        where = _where(agent_id, prefix, kind=kind, user_id=user_id, session_id=session_id)
        where += any_of("key", keys, "keys")
        query = Query(record=MemoryRecord, where=where, order=_ORDER, **page_slice(limit, offset))
        return self._select(start_after(query, after))

    @async_variant(list_memory)
    def alist_memory(self) -> Any: ...

    def iter_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
    ) -> Iterator[MemoryRecord]:
        """`list_memory`, page by page."""
        where = _where(agent_id, prefix, kind=kind, user_id=user_id, session_id=session_id)
        return self._iterate(Query(record=MemoryRecord, where=where, order=_ORDER))

    @async_iterator(iter_memory)
    def aiter_memory(self) -> Any: ...

    def delete_memory(self, id: str, *, fence: Fence | int | None = None) -> bool:
        """Forget one record; whether it was there.

        Args:
            fence: that of the session that the record names.

        Raises:
            NotFound: the session isn't there, and a fence is given.
            StaleWriter: the session was acquired again.
        """
        if fence is None:
            return self._deleted(MemoryRecord, id)
        known = fenced_session(fence)
        token = token_of(fence, known)
        if sessions := self._sessions_of(MemoryRecord, id):
            token_of(fence, sessions)
        sessions = sessions or known
        where = [required(id=id, session_id=session_id) for session_id in sessions]
        return any(self._delete(Query(record=MemoryRecord, where=each), token) for each in where)

    @async_variant(delete_memory)
    def adelete_memory(self) -> Any: ...


def _where(agent_id: str, prefix: str | None, **filters: str | None) -> tuple[Condition, ...]:
    where = (*required(agent_id=agent_id), *equal(**filters), _alive())
    if prefix is not None and (start := codec.string(prefix, "prefix")):
        where += (Condition("key", "prefix", start),)
    return where


def _natural_key(record: MemoryRecord) -> tuple[str, ...]:
    return record.agent_id, record.user_id, record.session_id, record.kind, record.key


def _alive() -> Condition:
    return Condition("expires_at", "unless past", records.now())
