"""Heads: the last number of each numbered series, and the locks that its writers take turns on.

Whoever writes to a session takes its locks in one order, so that writers of one session cannot deadlock each other,
not even in transactions of several calls:

1. the rows of the sessions, by id, also where only a series of theirs is written. PostgreSQL and InnoDB lock them
   anyway, for the foreign keys, but late, and InnoDB so that two who write then wait for each other;
2. the heads of the series, by owner (those of one session by kind and namespace);
3. the rows themselves;
4. the topics of the queue, by name.

An audit entry without a session has only the head of its agent's chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models.query import QuerySet

from .. import records
from ..chains.hashing import ZERO
from ..chains.numbering import session_of
from ..compat.connections import begins_with_lock
from ..models import Fence, Head, Session
from ..refusals import Reason, Refused
from ..snapshots import current, refuse_unseen

M = TypeVar("M", bound=models.Model)


def locked(rows: QuerySet[M]) -> list[M]:
    """The rows of a queryset, in its order, kept from other writers until the transaction ends."""
    connection = connections[rows.db]
    if connection.vendor != "sqlite":
        return list(rows.select_for_update(no_key=connection.vendor == "postgresql"))
    # SQLite has one lock for all writers, which a transaction that has read first may not get any more. A statement
    # that writes takes it though it changes no row, and so need not look at all that refers to one.
    if not begins_with_lock(connection):
        table, column = rows.model._meta.db_table, rows.model._meta.pk.column
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET {column} = {column} WHERE 0")
    return list(rows)


def _locked_too(rows: QuerySet[M]) -> list[M]:
    """The rows of a queryset, locked after others: on SQLite they are already."""
    return list(rows) if connections[rows.db].vendor == "sqlite" else locked(rows)


def lock_sessions(using: str, ids: Iterable[str]) -> dict[str, Session]:
    """Lock sessions, before anything else of theirs; those that are there, by id, with what writers must know."""
    rows = Session.objects.using(using).filter(id__in=sorted(ids)).order_by("id")
    return {session.id: session for session in locked(rows.only("id", "deleted_at", "fence_token", "require_fence"))}


def require_fence(session: Session, fence: int | None) -> None:
    """Refuse a writer with another token than the session's, or without one where the session requires it.

    Raises:
        Refused: STALE.
    """
    if fence != session.fence_token and (fence is not None or session.require_fence):
        raise Refused(Reason.STALE, records.Session, session.id, (fence, session.fence_token))


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
    owners: Iterable[str],
    namespace: str = "",
    *,
    fence: int | None = None,
    deleted_too: bool = False,
) -> dict[str, Head]:
    """The heads of these series by owner, locked after their sessions, made where they are not there yet.

    Args:
        fence: the writer's token; None for who has none.
        deleted_too: for who writes records as they are: neither a deletion nor a fence keeps them out.

    Raises:
        Refused: MISSING, a session (a chain of audit logs needs none, but for a fence), or DELETED, or STALE.
    """
    names = sorted(set(owners))
    ids = sessions_of(kind, names)
    sessions = lock_sessions(using, ids)
    if kind is not Head.Kind.AUDIT_LOG or fence is not None:
        for id in ids:
            if id not in sessions:
                refuse_unseen(using, Session(id=id))
                raise Refused(Reason.MISSING, records.Session, id)
    rows = Head.objects.using(using).filter(kind=kind, owner__in=names, namespace=namespace).order_by("owner")
    heads = {head.owner: head for head in _locked_too(rows)}
    if missing := [name for name in names if name not in heads]:
        _make(
            using,
            [
                Head(
                    kind=kind,
                    owner=name,
                    namespace=namespace,
                    hash=ZERO,
                    base_hash=ZERO,
                    closed=name in sessions and sessions[name].deleted_at is not None,
                )
                for name in missing
            ],
        )
        heads |= {head.owner: head for head in _locked_too(rows.filter(owner__in=missing))}
    for name in names:
        if heads[name].closed and not deleted_too:
            raise Refused(Reason.DELETED, records.Session, name)
    for session in () if deleted_too else sessions.values():
        require_fence(session, fence)
    return heads


def sessions_of(kind: str, owners: Iterable[str]) -> list[str]:
    """The sessions whose series of this kind these are: of audit entries, some are an agent's."""
    if kind != Head.Kind.AUDIT_LOG:
        return list(owners)
    return [id for owner in owners if (id := session_of(owner)) is not None]


def _make(using: str, heads: list[Head]) -> None:
    """Make heads that are not there yet. Another writer's is locked: MariaDB would share what it only ignores."""
    by_target = connections[using].vendor != "mysql"
    Head.objects.using(using).bulk_create(
        heads,
        update_conflicts=True,
        unique_fields=["owner", "kind", "namespace"] if by_target else None,
        update_fields=["namespace"],
    )


def remove_heads(sender: type[Session], instance: Session, using: str, **kwargs: Any) -> None:
    """The receiver of a session's post_delete: another of its id begins anew, but with a higher token."""
    Head.objects.using(using).filter(owner=instance.pk).exclude(kind=Head.Kind.AUDIT_LOG).delete()
    Fence.objects.using(using).filter(pk=instance.pk).update(holder="", expires_at=None, ttl=None, key="")
