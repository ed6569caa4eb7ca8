"""Writing records as they are: numbers, times and hashes included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import copy
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from ... import records
from ...chains.numbering import extend_chain, not_stored, require_complete
from ...checkpoints.outlines import outline
from ...exceptions import InvalidRecord
from ...ledger.heads import lock_heads, lock_sessions, move_all
from ...ledger.item_log import ItemLog
from ...ledger.mapping import ARTIFACTS, TABLES, TRACES, Table
from ...ledger.series import SERIES, Series
from ...models import Blob, Head, Session
from ...records import Artifact, Checkpoint, Record, now
from ...refusals import Reason, Refused
from ...snapshots import current, refuse_unseen
from ...spans import complete_trace_ids

_IDS_PER_QUERY = 500


def load_some(using: str, record_type: type[Record], given: list[Any]) -> int:
    """Store records of one type, in the caller's transaction; returns how many were new."""
    table: Table[Any] = TABLES[record_type]
    if series := SERIES.get(record_type):
        return _load_series(using, series, given)
    cleaned = _cleaned(given)
    if record_type is Checkpoint:
        return _load_checkpoints(using, table, cleaned)
    if record_type is Artifact:
        return _load_artifacts(using, cleaned)
    return _load_unnumbered(using, table, cleaned)


def _cleaned(given: list[Any]) -> list[Any]:
    """Copies."""
    return [require_complete(record.cleaned()) for record in given]


def _load_unnumbered(using: str, table: Table[Any], given: list[Any]) -> int:
    rows = table.model._default_manager.using(using).filter(pk__in=[record.id for record in given])
    seen = -1
    while True:
        known = {record.id: record for record in table.fetch(current(rows))}
        count = len(known)
        _, new = not_stored(map(copy, given), known, lambda record: record.id)
        if table is TRACES:
            complete_trace_ids(new, partial(stored_trace_ids, using))
        try:
            with transaction.atomic(using=using):
                table.insert(using, new)
        except IntegrityError as error:  # another writer may have stored some of them in between
            if count == seen:
                for record in new:
                    refuse_unseen(using, table.row(record))
                raise Refused(Reason.TAKEN, table.record, new[0].id) from error
            seen = count
        else:
            return len(new)


def stored_trace_ids(using: str, ids: Iterable[str]) -> dict[str, str]:
    """The trace_id of those of these spans that are stored, by id."""
    wanted = list(ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _IDS_PER_QUERY):
        rows = TRACES.model._default_manager.using(using).filter(pk__in=wanted[start : start + _IDS_PER_QUERY])
        found |= dict(rows.values_list("pk", "trace_id"))
    return found


def _load_series(using: str, series: Series[Any], given: list[Any], look_up: bool = False) -> int:
    own = _cleaned(given)  # anew for a second time, as sealing gives them other hashes
    owners = {series.owner(record) for record in own}
    heads = lock_heads(using, series.kind, owners, deleted_too=True)
    # What goes on where its series end is not stored, unless under another number: then it is looked for after all.
    look_up = look_up or any(record.seq_num <= heads[series.owner(record)].seq_num for record in own)
    _, new = not_stored(own, series.stored(using, own) if look_up else {}, series.key)
    try:
        sealed = extend_chain(series, new, heads)
        with transaction.atomic(using=using):
            series.write(using, sealed)
    except (IntegrityError, InvalidRecord) as error:
        if not look_up:
            return _load_series(using, series, given, look_up=True)
        if isinstance(error, InvalidRecord):
            raise
        raise _number_taken(using, series.table, new) from error
    move_all(using, heads.values(), "seq_num", "hash")
    return len(new)


def _load_checkpoints(using: str, table: Table[Any], given: list[Checkpoint]) -> int:
    rows = table.model._default_manager.using(using)
    owners: dict[str, set[str]] = defaultdict(set)
    for record in given:
        owners[record.namespace].add(record.session_id)
    # Locked first, so that nobody stores the same checkpoints between the look and the writing, and the sessions of all
    # namespaces at once, in the one order.
    lock_sessions(using, {record.session_id for record in given})
    heads = {
        namespace: lock_heads(using, Head.Kind.CHECKPOINT, owners[namespace], namespace, deleted_too=True)
        for namespace in sorted(owners)
    }
    known = {}
    for session_id in {record.session_id for record in given}:
        ids = [record.id for record in given if record.session_id == session_id]
        for record in table.fetch(current(rows.filter(session_id=session_id, checkpoint_id__in=ids))):
            known[record.session_id, record.id] = record
    _, new = not_stored(given, known, lambda record: (record.session_id, record.id))
    logs = {
        (namespace, owner): ItemLog(using, head)
        for namespace, by_owner in heads.items()
        for owner, head in by_owner.items()
    }
    kept = []
    for record in new:
        log = logs[record.namespace, record.session_id]
        log.head.seq_num = max(log.head.seq_num, record.seq_num)
        kept.append(log.keep(record, outline(record.state)))
    for log in logs.values():
        log.write()
    move_all(using, [log.head for log in logs.values()], "seq_num", "log_end")
    try:
        with transaction.atomic(using=using):
            table.insert(using, kept)
    except IntegrityError as error:
        raise _number_taken(using, table, new) from error
    return len(new)


def _load_artifacts(using: str, given: list[Artifact]) -> int:
    owners: dict[str, set[str]] = defaultdict(set)
    for record in given:
        owners[record.scope].add(record.session_id)
    sessions = {record.session_id for record in given if record.session_id}
    for missing in sorted(sessions.difference(lock_sessions(using, sessions))):
        refuse_unseen(using, Session(id=missing))
        raise Refused(Reason.MISSING, records.Session, missing)
    heads = {
        scope: lock_heads(using, Head.Kind.ARTIFACT, owners[scope], scope, deleted_too=True) for scope in sorted(owners)
    }
    rows = ARTIFACTS.model._default_manager.using(using)
    known = {record.id: record for record in ARTIFACTS.fetch(current(rows.filter(pk__in=[each.id for each in given])))}
    _, new = not_stored(given, known, lambda record: record.id)
    for record in new:
        head = heads[record.scope][record.session_id]
        head.seq_num = max(head.seq_num, record.version)
    move_all(using, [head for each in heads.values() for head in each.values()], "seq_num")
    # What nobody has used for long may be about to be removed.
    Blob._default_manager.using(using).filter(pk__in=sorted({record.sha256 for record in new})).update(used_at=now())
    try:
        with transaction.atomic(using=using):
            ARTIFACTS.insert(using, new)
    except IntegrityError as error:
        raise _number_taken(using, ARTIFACTS, new) from error
    return len(new)


def _number_taken(using: str, table: Table[Any], new: list[Any]) -> Refused:
    """The refusal that names the session of the first of these records whose number another one has."""
    rows = current(table.model._default_manager.using(using))
    names = [name for name in ("session_id", "namespace", "seq_num", "scope", "version") if hasattr(new[0], name)]
    seen: set[tuple[Any, ...]] = set()
    for record in new:
        place = {name: getattr(record, name) for name in names}
        if tuple(place.values()) in seen or table.fetch(rows.filter(**place)):
            return Refused(Reason.NUMBER_TAKEN, table.record, record.session_id)
        seen.add(tuple(place.values()))
    return Refused(Reason.NUMBER_TAKEN, table.record, new[0].session_id)
