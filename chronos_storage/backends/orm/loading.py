"""Writing records as they are: numbers, times and hashes included."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError

from ...exceptions import AlreadyExists, InvalidRecord
from ...ledger.heads import lock_heads
from ...ledger.numbering import go_on, require_complete, unknown
from ...ledger.series import AUDIT_CHAIN, EVENT_CHAIN, MESSAGE_SERIES, Series
from ...models import Head
from ...models.mapping import TABLES, Table
from ...records import AuditLog, Checkpoint, Event, Message, Record

_SERIES: dict[type[Record], Series[Any]] = {Message: MESSAGE_SERIES, Event: EVENT_CHAIN, AuditLog: AUDIT_CHAIN}


def load_some(using: str, record_type: type[Record], given: list[Any]) -> int:
    """Store records of one type, in the caller's transaction; returns how many were new."""
    if record_type not in TABLES:
        raise InvalidRecord("records", f"must be records, not {record_type.__name__}")
    table: Table[Any] = TABLES[record_type]
    cleaned = [require_complete(record.cleaned()) for record in given]
    if series := _SERIES.get(record_type):
        return _load_series(using, series, cleaned)
    if record_type is Checkpoint:
        return _load_checkpoints(using, table, cleaned)
    rows = table.model._default_manager.using(using)
    known = {record.id: record for record in table.fetch(rows.filter(pk__in=[record.id for record in cleaned]))}
    new = unknown(cleaned, known, lambda record: record.id)
    try:
        table.insert(using, new)
    except IntegrityError as error:
        raise AlreadyExists(f"a {record_type.__name__} with the same key is stored under another id") from error
    return len(new)


def _load_series(using: str, series: Series[Any], given: list[Any]) -> int:
    owners = {series.owner(record) for record in given}
    heads = lock_heads(using, series.kind, owners, deleted_too=True)
    new = unknown(given, series.stored(using, given), series.key)
    sealed = go_on(series, new, heads)
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
    new = unknown(given, known, lambda record: (record.session_id, record.id))
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
