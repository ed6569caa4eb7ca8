"""Writing records as they are: numbers, times and hashes included."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError

from ...exceptions import AlreadyExists, InvalidRecord
from ...ledger.heads import lock_heads
from ...ledger.series import AUDIT_CHAIN, EVENT_CHAIN, MESSAGE_SERIES, ChainSeries, Series
from ...models import Head
from ...models.mapping import TABLES, Table
from ...records import AuditLog, Checkpoint, Event, Message, Record, require_same

_SERIES: dict[type[Record], Series[Any]] = {Message: MESSAGE_SERIES, Event: EVENT_CHAIN, AuditLog: AUDIT_CHAIN}


def load_some(using: str, record_type: type[Record], given: list[Any]) -> int:
    """Store records of one type, in the caller's transaction; returns how many were new."""
    if record_type not in TABLES:
        raise InvalidRecord("records", f"must be records, not {record_type.__name__}")
    table: Table[Any] = TABLES[record_type]
    cleaned = [_complete(record.cleaned(), table) for record in given]
    if series := _SERIES.get(record_type):
        return _load_series(using, series, cleaned)
    if record_type is Checkpoint:
        return _load_checkpoints(using, table, cleaned)
    rows = table.model._default_manager.using(using)
    known = {record.id: record for record in table.fetch(rows.filter(pk__in=[record.id for record in cleaned]))}
    new = _unknown(cleaned, known, lambda record: record.id)
    try:
        table.insert(using, new)
    except IntegrityError as error:
        raise AlreadyExists(f"a {record_type.__name__} with the same key is stored under another id") from error
    return len(new)


def _complete(record: Any, table: Table[Any]) -> Any:
    """The record, if it holds all that a store fills in."""
    for name in ("id", "seq_num", "created_at", "updated_at", "last_activity_at", "started_at"):
        if name in table.names and not getattr(record, name):
            raise InvalidRecord(name, "is empty; load() writes complete records, as scan() gives them")
    return record


def _unknown(given: list[Any], known: dict[Any, Any], key: Any) -> list[Any]:
    new = []
    for record in given:
        if earlier := known.get(key(record)):
            require_same(record, earlier)
        else:
            known[key(record)] = record
            new.append(record)
    return new


def _load_series(using: str, series: Series[Any], given: list[Any]) -> int:
    owners = {series.owner(record) for record in given}
    heads = lock_heads(using, series.kind, owners, deleted_too=True)
    new = _unknown(given, series.stored(using, given), series.key)
    sealed = []
    for record in new:
        head = heads[series.owner(record)]
        given_hash = getattr(record, "hash", "")
        if isinstance(series, ChainSeries) and record.seq_num != head.seq_num + 1:
            raise InvalidRecord("seq_num", f"is {record.seq_num}; the chain goes on with {head.seq_num + 1}")
        sealed.append(series.seal(head, record))
        if getattr(record, "hash", "") != given_hash:
            raise InvalidRecord("hash", f"of number {record.seq_num} doesn't continue the chain")
        head.seq_num = max(head.seq_num, record.seq_num)
    try:
        series.write(using, sealed)
    except IntegrityError as error:
        raise AlreadyExists("a number of the session is taken by another record") from error
    Head.objects.using(using).bulk_update(heads.values(), ["seq_num", "hash"])
    return len(new)


def _load_checkpoints(using: str, table: Table[Any], given: list[Checkpoint]) -> int:
    rows = table.model._default_manager.using(using)
    known = {}
    for session_id in {record.session_id for record in given}:
        ids = [record.id for record in given if record.session_id == session_id]
        for record in table.fetch(rows.filter(session_id=session_id, checkpoint_id__in=ids)):
            known[record.session_id, record.id] = record
    new = _unknown(given, known, lambda record: (record.session_id, record.id))
    for namespace in sorted({record.namespace for record in new}):
        numbers: dict[str, int] = {}
        for record in new:
            if record.namespace == namespace:
                numbers[record.session_id] = max(record.seq_num, numbers.get(record.session_id, 0))
        heads = lock_heads(using, Head.Kind.CHECKPOINT, numbers, namespace, deleted_too=True)
        for session_id, head in heads.items():
            head.seq_num = max(head.seq_num, numbers[session_id])
        Head.objects.using(using).bulk_update(heads.values(), ["seq_num"])
    try:
        table.insert(using, new)
    except IntegrityError as error:
        raise AlreadyExists("a checkpoint's number is taken by another") from error
    return len(new)
