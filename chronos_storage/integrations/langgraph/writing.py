"""What is stored of threads, in a transaction on any database; `postgresql` has a statement for what is usual.

Whoever writes locks the session first, as all writers of the storage do, and then the namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connections, transaction

from ... import codec, records
from ...exceptions import AlreadyExists, NotFound
from ...facade.storage import Storage
from ...ledger.heads import lock_sessions, locked, require_fence
from ...ledger.mapping import SESSIONS
from .channels import Known
from .encoding import Encoding
from .keys import Where
from .models import GraphCheckpoint, GraphItems, GraphWrite, Namespace, Thread
from .reading import Logs, Write, one

#: The session's last activity is told to the minute: each of its many indexes is written for it.
ACTIVITY = timedelta(minutes=1)
#: Rows that a statement inserts or removes, at most.
BATCH = 500


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
        for start in range(0, len(new.runs), BATCH):
            GraphItems.objects.using(using).bulk_create(
                GraphItems(namespace_id=namespace.pk, **run._asdict()) for run in new.runs[start : start + BATCH]
            )
        if new.runs:
            rows_of(Namespace, using).filter(pk=namespace.pk).update(version=new.known.version, ends=new.ends)
        stored = rows_of(GraphCheckpoint, using).filter(namespace=namespace, checkpoint_id=encoding.checkpoint_id)
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
        table = rows_of(GraphWrite, using)
        if special:
            table.filter(
                namespace=namespace,
                checkpoint_id=checkpoint_id,
                task_id=special[0].task_id,
                idx__in=[row.idx for row in special],
            ).delete()
        table.bulk_create(rows, ignore_conflicts=True, batch_size=BATCH)
        # Who removes the namespace in a snapshot that has not these rows sees that it was written to.
        rows_of(Namespace, using).filter(pk=namespace.pk).update(version=namespace.version)
    return namespace.pk


def copy_thread(storage: Storage, source: Where, target: Where, session: records.Session) -> None:
    """Copy all that a thread has to another, which has nothing yet.

    Raises:
        AlreadyExists: it has.
        NotFound: its session is soft-deleted by itself.
    """
    using = storage.alias
    with transaction.atomic(using=using):
        lock_sessions(using, [source.session_id])
        for namespace in rows_of(Namespace, using).filter(thread_id=source.session_id).order_by("key"):
            copied = _open(storage, Where(target.thread_id, namespace.name), Writer(session))
            if copied.version or any(
                rows_of(model, using).filter(namespace=copied).exists() for model in (GraphCheckpoint, GraphWrite)
            ):
                raise AlreadyExists(f"thread {target.thread_id!r} has checkpoints already")
            for model in (GraphItems, GraphCheckpoint, GraphWrite):
                _copy_rows(using, model, namespace.pk, copied.pk)
            rows_of(Namespace, using).filter(pk=copied.pk).update(version=namespace.version, ends=namespace.ends)


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
    thread = rows_of(Thread, using).filter(pk=id).first()
    is_gone = writer.follows if thread is None else thread.deleted
    is_hidden = session is not None and session.deleted_at is not None
    if (is_gone and not writer.begins) or (is_hidden and not (is_gone and thread is not None)):
        raise NotFound(f"thread {where.thread_id!r} was deleted")
    if session is None or (thread is None and not is_hidden):
        storage.ensure_session(writer.session)  # which refuses another user's
        session = lock_sessions(using, [id]).get(id)
        if session is None:  # it was removed as soon as it was seen
            raise NotFound(f"thread {where.thread_id!r} was deleted")
        thread = rows_of(Thread, using).filter(pk=id).first()  # which another may have made before
    elif is_hidden:
        storage.restore_session(id, fence=writer.fence)
    require_fence(session, writer.fence)
    if thread is None:
        thread = Thread(session_id=id, thread_id=where.thread_id)
        thread.save(using=using, force_insert=True)
    elif thread.deleted:
        rows_of(Thread, using).filter(pk=id).update(deleted=False)
    now = records.now()
    quiet = rows_of(SESSIONS.model, using).filter(pk=id, last_activity_at__lt=now - ACTIVITY)
    quiet.update(last_activity_at=now)
    found: list[Namespace] = locked(rows_of(Namespace, using).filter(thread_id=id, key=where.key))
    if found:
        [namespace] = found
        return namespace
    namespace = Namespace(thread_id=id, key=where.key, name=where.name)
    namespace.save(using=using, force_insert=True)
    return namespace


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


def rows_of(model: Any, using: str) -> Any:
    """All rows of a table."""
    return model._default_manager.using(using)
