"""What is stored of threads, in a transaction on any database; `postgresql` has a statement for what is usual.

Whoever writes locks the session first, as all writers of the storage do, and then the namespace.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import Any

from django.db import connections, transaction
from django.db.models import Q

from ... import codec, records
from ...checkpoints.runs import Range, merged
from ...exceptions import AlreadyExists, NotFound
from ...facade.storage import Storage
from ...ledger.heads import lock_sessions, locked, refuse_held, require_fence
from ...ledger.mapping import SESSIONS
from ...snapshots import current
from .channels import Known, from_json
from .encoding import Encoding, new_version, run_key
from .keys import Where, key_of
from .models import GraphCheckpoint, GraphItems, GraphWrite, Namespace, Thread
from .reading import Found, Logs, Write, ancestors, one

#: The session's last activity is told to the minute: each of its many indexes is written for it.
ACTIVITY = timedelta(minutes=1)
#: Rows that a statement inserts or removes, at most.
_BATCH = 500


@dataclass(frozen=True)
class Writer:
    """Who writes to a thread.

    Attributes:
        session: what its session is to have, where there is none yet.
        fence: the token of its fence.
        begins: whether what it writes goes on from nothing: it makes the thread, one that was deleted too.
        follows: whether it goes on from something, so that the thread, if it isn't there, was removed.
    """

    session: records.Session
    fence: int | None = None
    begins: bool = False
    follows: bool = False


def save(storage: Storage, where: Where, writer: Writer, encoding: Encoding, known: Known | None) -> Known:
    """Store a checkpoint, over one of its id where there is one; what is known of the logs now.

    Args:
        known: what the writer knows of the logs, if anything; they may have moved on since.

    Raises:
        NotFound: the thread is gone.
        Refused: STALE.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        namespace = _open(storage, where, writer)
        if known is None or (known.namespace, known.version) != (namespace.pk, namespace.version):
            known = _known(using, where, namespace, encoding)
        new = encoding.encoded(known)
        for start in range(0, len(new.runs), _BATCH):
            GraphItems.objects.using(using).bulk_create(
                GraphItems(namespace_id=namespace.pk, **run._asdict()) for run in new.runs[start : start + _BATCH]
            )
        if new.runs:
            _rows(Namespace, using).filter(pk=namespace.pk).update(version=new.known.version, ends=new.ends)
        stored = _rows(GraphCheckpoint, using).filter(namespace=namespace, checkpoint_id=encoding.checkpoint_id)
        if not stored.update(**new.columns):
            row = GraphCheckpoint(namespace_id=namespace.pk, checkpoint_id=encoding.checkpoint_id, **new.columns)
            stored.bulk_create([row])
    return new.known


def add_writes(storage: Storage, where: Where, writer: Writer, checkpoint_id: str, writes: Sequence[Write]) -> int:
    """Store what a task wrote after a checkpoint, which may still come; the primary key of the namespace.

    What is there already stays, but for the special writes, whose numbers are negative: the last of them counts.

    Raises:
        NotFound: the thread is gone.
        Refused: STALE.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        namespace = _open(storage, where, writer)
        rows = [
            GraphWrite(namespace_id=namespace.pk, checkpoint_id=checkpoint_id, **write.columns()) for write in writes
        ]
        special = [row for row in rows if row.idx < 0]
        table = _rows(GraphWrite, using)
        if special:
            table.filter(
                namespace=namespace,
                checkpoint_id=checkpoint_id,
                task_id=special[0].task_id,
                idx__in=[row.idx for row in special],
            ).delete()
        table.bulk_create(rows, ignore_conflicts=True, batch_size=_BATCH)
        # Who removes the namespace in a snapshot that has not these rows sees that it was written to.
        _rows(Namespace, using).filter(pk=namespace.pk).update(version=namespace.version)
    return namespace.pk


def delete_thread(storage: Storage, where: Where, fence: int | None = None) -> bool:
    """Remove all that a thread has, and soft-delete its session, by which late writes are refused.

    Raises:
        LegalHold: the session is under one.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        for session in lock_sessions(using, [where.session_id]).values():
            require_fence(session, fence)
            refuse_held(session)
            threads = _rows(Thread, using).filter(pk=session.id, deleted=False)
            if not threads.update(deleted=True):
                return False
            _remove(using, _rows(Namespace, using).filter(thread_id=session.id).values_list("pk", flat=True))
            storage.delete_session(session.id, fence=fence)
            return True
    return False


def delete_checkpoints(using: str, where: Where, namespaces: Mapping[int, Collection[str]]) -> None:
    """Remove checkpoints of a thread, by their namespaces, with their writes.

    Raises:
        LegalHold: the session is under one.
    """
    with _closed(using, where):
        for pk, checkpoint_ids in sorted(namespaces.items()):
            _delete(using, pk, checkpoint_ids)


def keep_latest(using: str, where: Where) -> None:
    """Remove all checkpoints of a thread but the latest of each namespace, and what that is rebuilt from.

    The namespace of a subgraph's call goes with the checkpoint of the root that the call began from.

    Raises:
        LegalHold: the session is under one.
    """
    with _closed(using, where):
        names = _rows(Namespace, using).filter(thread_id=where.session_id).order_by("key")
        roots: tuple[set[str], set[str]] = set(), set()
        for pk, name in names.values_list("pk", "name"):  # the root, which has no name, before all others
            latest = one(using, Where(where.thread_id, name), None)
            if latest is None:
                continue
            checkpoints = _rows(GraphCheckpoint, using).filter(namespace_id=pk)
            there = set(checkpoints.values_list("checkpoint_id", flat=True))
            kept = {latest.checkpoint_id} | rebuilt_from(using, latest)
            if not name:
                roots = there, kept
            root = latest.metadata.get("parents", {}).get("")
            if ":" in name and root in roots[0] - roots[1]:
                _remove(using, [pk])
                continue
            _delete(using, pk, there - kept)
            checkpoints.exclude(parent_id__in=kept).exclude(parent_id="").update(parent_id="")


def rebuilt_from(using: str, found: Found) -> set[str]:
    """The ancestors of a checkpoint from whose writes its delta channels are rebuilt, down to their last snapshots."""
    wanted = set(found.metadata.get("counters_since_delta_snapshot") or ()) - set(found.places)
    needed: set[str] = set()
    if wanted:
        for step in ancestors(using, found.namespace, found.checkpoint_id):
            needed.add(step.checkpoint_id)
            wanted -= set(step.places)
            if not wanted:
                break
    return needed


@contextmanager
def _closed(using: str, where: Where) -> Iterator[None]:
    """A transaction in which nobody else writes to a thread, for who removes what it has.

    Raises:
        LegalHold: the session is under one.
    """
    with transaction.atomic(using=using):
        for session in lock_sessions(using, [where.session_id]).values():
            refuse_held(session)
        yield


def _delete(using: str, namespace: int, checkpoint_ids: Collection[str]) -> None:
    listed = sorted(checkpoint_ids)
    for at in range(0, len(listed), _BATCH):
        for model in (GraphWrite, GraphCheckpoint):
            rows = _rows(model, using).filter(namespace_id=namespace)
            rows.filter(checkpoint_id__in=listed[at : at + _BATCH]).delete()
    if listed:
        _sweep(using, namespace)


def copy_thread(storage: Storage, source: Where, target: Where, session: records.Session) -> None:
    """Copy all that a thread has to another, which has nothing yet.

    Raises:
        AlreadyExists: it has.
        NotFound: its session is soft-deleted by itself.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        lock_sessions(using, [source.session_id])
        for namespace in _rows(Namespace, using).filter(thread_id=source.session_id).order_by("key"):
            copied = _open(storage, Where(target.thread_id, namespace.name), Writer(session))
            if copied.version or any(
                _rows(model, using).filter(namespace=copied).exists() for model in (GraphCheckpoint, GraphWrite)
            ):
                raise AlreadyExists(f"thread {target.thread_id!r} has checkpoints already")
            for model in (GraphItems, GraphCheckpoint, GraphWrite):
                _copy_rows(using, model, namespace.pk, copied.pk)
            _rows(Namespace, using).filter(pk=copied.pk).update(version=namespace.version, ends=namespace.ends)


def of_runs(using: str, run_ids: Iterable[str]) -> dict[Where, dict[int, set[str]]]:
    """The checkpoints of these runs, by their threads and namespaces."""
    found: dict[Where, dict[int, set[str]]] = {}
    listed = sorted(set(run_ids))
    for at in range(0, len(listed), _BATCH):
        keys = [run_key(run_id) for run_id in listed[at : at + _BATCH]]
        rows = _rows(GraphCheckpoint, using).filter(~Q(run_id=""), run_id__in=keys)
        columns = rows.values_list("namespace__thread__thread_id", "namespace_id", "checkpoint_id")
        for thread_id, namespace, checkpoint_id in columns.order_by("namespace__thread_id", "pk"):
            found.setdefault(Where(thread_id), {}).setdefault(namespace, set()).add(checkpoint_id)
    return found


def _known(using: str, where: Where, namespace: Namespace, encoding: Encoding) -> Known:
    """What a writer has to know of the logs of a namespace, and of the parent, or else of the one before."""
    found = one(using, where, encoding.parent_id) if encoding.parent_id else None
    if found is None:
        found = one(using, where, None)
    ends = codec.loads(namespace.ends)
    if found is None:
        return Known(namespace.pk, namespace.version, ends)
    versions = encoding.serde.loads_typed((found.type, found.data))["channel_versions"]
    logs = Logs(using, found)
    places = {
        channel: logs.items(found.namespace, channel, [each]).located(each) for channel, each in found.kept.items()
    }
    return Known(namespace.pk, namespace.version, ends, found.checkpoint_id, versions, places)


def _open(storage: Storage, where: Where, writer: Writer) -> Namespace:
    """A namespace, locked after its session, which is one that takes more; each made where it is not there yet."""
    using, id = storage.alias, where.session_id
    session = lock_sessions(using, [id]).get(id)
    thread = _rows(Thread, using).filter(pk=id).first()
    is_gone = writer.follows if thread is None else thread.deleted
    is_hidden = session is not None and session.deleted_at is not None
    if (is_gone and not writer.begins) or (is_hidden and not (is_gone and thread is not None)):
        raise NotFound(f"thread {where.thread_id!r} was deleted")
    if session is None or (thread is None and not is_hidden):
        storage.ensure_session(writer.session)  # which refuses another user's
        session = lock_sessions(using, [id]).get(id)
        if session is None:  # it was removed as soon as it was seen
            raise NotFound(f"thread {where.thread_id!r} was deleted")
        thread = _rows(Thread, using).filter(pk=id).first()  # which another may have made before
    elif is_hidden:
        storage.restore_session(id, fence=writer.fence)
    require_fence(session, writer.fence)
    if thread is None:
        thread = Thread(session_id=id, thread_id=where.thread_id)
        thread.save(using=using, force_insert=True)
    elif thread.deleted:
        _rows(Thread, using).filter(pk=id).update(deleted=False)
    now = records.now()
    quiet = _rows(SESSIONS.model, using).filter(pk=id, last_activity_at__lt=now - ACTIVITY)
    quiet.update(last_activity_at=now)
    found: list[Namespace] = locked(_rows(Namespace, using).filter(thread_id=id, key=where.key))
    if found:
        [namespace] = found
        return namespace
    namespace = Namespace(thread_id=id, key=where.key, name=where.name)
    namespace.save(using=using, force_insert=True)
    return namespace


def _remove(using: str, namespaces: Iterable[int]) -> None:
    pks = list(namespaces)
    for model in (GraphWrite, GraphCheckpoint, GraphItems):
        _rows(model, using).filter(namespace_id__in=pks).delete()
    _rows(Namespace, using).filter(pk__in=pks).delete()


def _sweep(using: str, namespace: int) -> None:
    """Remove the items of a namespace's logs that no checkpoint uses; nobody adds to them meanwhile."""
    used: dict[str, list[Range]] = defaultdict(list)
    kept = current(_rows(GraphCheckpoint, using).filter(namespace_id=namespace))
    for places in kept.values_list("places", flat=True):
        for channel, place in from_json(codec.loads(places)).items():
            ranges = used[key_of(channel)]
            ranges += place.ranges
            if len(ranges) > 10_000:
                used[key_of(channel)] = merged(ranges, near=0)
    spans = {channel: merged(ranges, near=0) for channel, ranges in used.items()}
    runs = _rows(GraphItems, using).filter(namespace_id=namespace)
    unused = [
        pk
        for pk, channel, start, stop in runs.values_list("pk", "channel", "start", "stop")
        if not _touches(spans.get(channel, []), start, stop)
    ]
    for at in range(0, len(unused), _BATCH):
        runs.filter(pk__in=unused[at : at + _BATCH]).delete()
    if unused:  # which who knows the logs as they were has to see
        _rows(Namespace, using).filter(pk=namespace).update(version=new_version())


def _touches(spans: list[Range], start: int, stop: int) -> bool:
    at = bisect_left(spans, stop, key=itemgetter(0)) - 1
    return at >= 0 and spans[at][1] > start


def _copy_rows(using: str, model: type[Any], source: int, target: int) -> None:
    quoted = connections[using].ops.quote_name
    columns = [each.column for each in model._meta.concrete_fields if each.name not in ("id", "namespace")]
    names = ", ".join(map(quoted, columns))
    table = model._meta.db_table
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (namespace_id, {names}) SELECT %s, {names} FROM {table} WHERE namespace_id = %s",
            [target, source],
        )


def _rows(model: Any, using: str) -> Any:
    return model._default_manager.using(using)
