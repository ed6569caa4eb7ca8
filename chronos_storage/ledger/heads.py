"""Heads: the last number of each numbered series, and the locks that its writers take turns on.

Whoever writes to a session takes its locks in one order, so that writers of one session cannot deadlock each other,
not even in transactions of several calls:

1. the rows of the sessions, by id, also where only a series of theirs is written. PostgreSQL and InnoDB lock them
   anyway, for the foreign keys, but late, and InnoDB so that two who write then wait for each other;
2. the heads of the series, by name (those of one session by kind and namespace);
3. the rows themselves;
4. the topics of the queue, by name.

An audit entry without a session has only the head of its agent's chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models import BigIntegerField, CharField
from django.db.models.query import QuerySet

from .. import records
from ..chains.hashing import ZERO
from ..chains.numbering import owner_of, session_of
from ..compat.connections import begins_with_lock
from ..compat.queries import selecting, updating
from ..distributed.state import is_distributed
from ..exceptions import LegalHold
from ..models import Fence, Head, Session
from ..refusals import Reason, Refused
from ..snapshots import current, refuse_unseen
from ..transactions import connection_of
from .kept import FEW, Built, Place, execute_kept, fetch_kept

M = TypeVar("M", bound=models.Model)

#: What of a session its writers must know, and what a head has, in the order of the fields.
_FOR_WRITERS = ("id", "deleted_at", "require_fence", "fence_token", "legal_hold")
_HEAD = {field.attname: field for field in Head._meta.concrete_fields}


def locked(rows: QuerySet[M]) -> list[M]:
    """The rows of a queryset, in its order, kept from other writers until the transaction ends."""
    _begin_writing(rows.db, rows.model)
    return list(_for_update(rows))


def _for_update(rows: QuerySet[M]) -> QuerySet[M]:
    """The rows of a queryset, to be locked as they are read; not on SQLite, see `_begin_writing`."""
    vendor = connections[rows.db].vendor
    return rows if vendor == "sqlite" else rows.select_for_update(no_key=vendor == "postgresql")


def _begin_writing(using: str, model: type[models.Model]) -> None:
    """Take the lock that SQLite has, one for all writers, which a transaction that has read first may not get any more.

    A statement that writes takes it though it changes no row, and so need not look at all that refers to one.
    """
    connection = connection_of(using)
    if connection.vendor == "sqlite" and not begins_with_lock(connection):
        table, column = model._meta.db_table, model._meta.pk.column
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = {column} WHERE 0")


def _fetch_locked(
    using: str, model: type[M], columns: Sequence[str], make: Callable[..., QuerySet[M]], *values: str
) -> list[M]:
    """Rows of a model, locked; but on SQLite, where who writes has begun with that.

    Args:
        columns: what is wanted of them, in the order of the model's fields.
        make: gives them as a queryset, by strings or by what stands for these.
        values: these.
    """
    if len(values) > FEW:
        return list(_for_update(make(*values)).only(*columns))

    def build() -> Built:
        return selecting(_for_update(make(*(Place(at, CharField()) for at in range(len(values))))), columns)

    found = fetch_kept(connection_of(using), ("locked", model, len(values)), values, build)
    return [model.from_db(using, columns, row) for row in found]


def heads_of(using: str, kind: str, series: Iterable[Any], namespace: str = "") -> QuerySet[Head]:
    """The heads of these series, each found by its owner too."""
    names = list(series)
    return _heads(using, kind, namespace, [head_owner(kind, name) for name in names], names)


def _heads(using: str, kind: Any, namespace: Any, owners: Sequence[Any], names: Sequence[Any]) -> QuerySet[Head]:
    rows = Head.objects.using(using).filter(kind=kind, namespace=namespace)
    if len(names) == 1:
        return rows.filter(owner=owners[0], series=names[0])
    return rows.filter(owner__in=owners, series__in=names)


def _locked_heads(using: str, kind: str, names: Sequence[str], namespace: str) -> list[Head]:
    """The heads of these series that are there, by name, locked after their sessions."""

    def make(kind: Any, namespace: Any, *given: Any) -> QuerySet[Head]:
        owners, series = given[: len(given) // 2], given[len(given) // 2 :]
        return _heads(using, kind, namespace, owners, series).order_by("series")

    found = []
    for some in lockable(using, names):
        owners = (head_owner(kind, name) for name in some)
        found += _fetch_locked(using, Head, list(_HEAD), make, kind, namespace, *owners, *some)
    return found


def lockable(using: str, names: Sequence[str]) -> list[Sequence[str]]:
    """They as far as one statement locks rows of all of them: Citus locks those of one owner."""
    if len(names) > 1 and is_distributed(connection_of(using)):
        return [[name] for name in names]
    return [names]


def head_owner(kind: str, series: str) -> str:
    """Who has a series: the session whose own it is, or an agent's chain itself."""
    return owner_of(series) if kind == Head.Kind.AUDIT_LOG else series


def move(using: str, head: Head, *names: str) -> None:
    """Store these fields of a head that is locked."""

    def build() -> Built:
        places = {name: Place(at, _HEAD[name]) for at, name in enumerate(names, 2)}
        rows = Head.objects.using(using).filter(pk=Place(0, BigIntegerField()), owner=Place(1, CharField()))
        return updating(rows, (), places)

    values = [head.pk, head.owner, *(getattr(head, name) for name in names)]
    execute_kept(connection_of(using), ("move", names), values, build)


def move_all(using: str, heads: Collection[Head], *names: str) -> None:
    """The same for many, in as few statements as the database takes."""
    connection: Any = connections[using]
    if connection.vendor == "sqlite":  # which has no trips to save
        changes = ", ".join(f"{name} = %s" for name in names)
        statement = f"UPDATE {Head._meta.db_table} SET {changes} WHERE id = %s"
        with connection.cursor() as cursor:
            cursor.executemany(statement, list(map(attrgetter(*names, "pk"), heads)))
        return
    rows = Head.objects.using(using).filter(owner__in={head.owner for head in heads})
    rows.bulk_update(heads, names)


def lock_sessions(using: str, ids: Iterable[str]) -> dict[str, Session]:
    """Lock sessions, before anything else of theirs; those that are there, by id, with what writers must know."""
    wanted = sorted(ids)

    def make(*ids: Any) -> QuerySet[Session]:
        return Session.objects.using(using).filter(id__in=ids).order_by("id")

    _begin_writing(using, Session)
    if not wanted:
        return {}
    parts = (_fetch_locked(using, Session, _FOR_WRITERS, make, *some) for some in lockable(using, wanted))
    return {session.id: session for part in parts for session in part}


def require_fence(session: Session, fence: int | None) -> None:
    """Refuse a writer with another token than the session's, or without one where the session requires it.

    Raises:
        Refused: STALE.
    """
    if fence != session.fence_token and (fence is not None or session.require_fence):
        raise Refused(Reason.STALE, records.Session, session.id, (fence, session.fence_token))


def refuse_held(session: Session) -> None:
    """Refuse to remove what belongs to a session, locked, that is under a legal hold.

    Raises:
        LegalHold: it is.
    """
    if session.legal_hold:
        raise LegalHold(session.id)


def open_to(rows: QuerySet[Session], fence: int | None) -> QuerySet[Session]:
    """Those of the sessions that `require_fence` lets a writer change."""
    return rows.filter(require_fence=False) if fence is None else rows.filter(fence_token=fence)


def refuse_stale(rows: QuerySet[Session], fence: int | None) -> None:
    """After a change of a session that is not `open_to` its writer, or not there.

    Raises:
        Refused: STALE.
    """
    for session in current(rows).only("id", "fence_token", "require_fence"):
        require_fence(session, fence)


def lock_heads(
    using: str,
    kind: Head.Kind,
    series: Iterable[str],
    namespace: str = "",
    *,
    fence: int | None = None,
    deleted_too: bool = False,
    removing: bool = False,
) -> dict[str, Head]:
    """The heads of these series by name, locked after their sessions, made where they are not there yet.

    Args:
        fence: the writer's token; None for who has none.
        deleted_too: for who writes records as they are, or looks after the store: neither a deletion nor a fence
            keeps them out.
        removing: for who removes what is there, which a legal hold forbids.

    Raises:
        Refused: MISSING, a session (a chain of audit logs needs none, but for a fence), or DELETED, or STALE.
        LegalHold: a session is under one.
    """
    names = sorted(set(series))
    ids = sessions_of(kind, names)
    sessions = lock_sessions(using, ids)
    if kind is not Head.Kind.AUDIT_LOG or fence is not None:
        for id in ids:
            if id not in sessions:
                refuse_unseen(using, Session(id=id))
                raise Refused(Reason.MISSING, records.Session, id)
    heads = {head.series: head for head in _locked_heads(using, kind, names, namespace)}
    if missing := [name for name in names if name not in heads]:
        new = [
            Head(
                kind=kind,
                series=name,
                namespace=namespace,
                hash=ZERO,
                base_hash=ZERO,
                closed=name in sessions and sessions[name].deleted_at is not None,
            )
            for name in missing
        ]
        heads |= {head.series: head for head in _make(using, new)}
    for id in ids:
        if kind is not Head.Kind.AUDIT_LOG and sessions[id].deleted_at is not None and not deleted_too:
            raise Refused(Reason.DELETED, records.Session, id)
    for session in sessions.values():
        if not deleted_too:
            require_fence(session, fence)
        if removing:
            refuse_held(session)
    return heads


def sessions_of(kind: str, series: Iterable[str]) -> list[str]:
    """The sessions whose series of this kind these are: of audit entries some are an agent's, of artifacts nobody's."""
    if kind == Head.Kind.ARTIFACT:
        return list(filter(None, series))
    if kind != Head.Kind.AUDIT_LOG:
        return list(series)
    return [id for name in series if (id := session_of(name)) is not None]


def _make(using: str, heads: list[Head]) -> list[Head]:
    """Make heads of a kind and a namespace; they, or those that others have made meanwhile, locked."""
    rows, vendor = Head.objects.using(using), connections[using].vendor
    if vendor == "sqlite":  # where nobody else can write meanwhile
        rows.bulk_create(heads)
        if heads[0].pk is not None:  # which older versions don't tell
            return heads
    elif vendor == "mysql":  # it would share the lock on another writer's that it only ignores
        rows.bulk_create(heads, update_conflicts=True, update_fields=["namespace"])
    else:  # without a target, so that it does not matter what makes a head unique
        rows.bulk_create(heads, ignore_conflicts=True)
    return _locked_heads(using, heads[0].kind, sorted(head.series for head in heads), heads[0].namespace)


def remove_heads(sender: type[Session], instance: Session, using: str, **kwargs: Any) -> None:
    """The receiver of a session's post_delete: another of its id begins anew, but with a higher token."""
    own = Head.objects.using(using).filter(owner=instance.pk, series=instance.pk)
    own.exclude(kind=Head.Kind.AUDIT_LOG).delete()
    Fence.objects.using(using).filter(pk=instance.pk).update(holder="", expires_at=None, ttl=None, key="")
