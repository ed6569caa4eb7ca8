"""Heads: the last number of each numbered series, and the lock its writers take turns on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import connections, models
from django.db.models import F
from django.db.models.query import QuerySet

from ..exceptions import NotFound
from ..models import Head, Session
from .chain import ZERO

M = TypeVar("M", bound=models.Model)


def locked(rows: QuerySet[M]) -> list[M]:
    """The rows of a queryset, in its order, kept from other writers until the transaction ends."""
    features = connections[rows.db].features
    if features.has_select_for_update:
        return list(rows.select_for_update(no_key=features.has_select_for_no_key_update))
    # SQLite has one lock for all writers, which a transaction that has read first may not get any more.
    field = rows.model._meta.pk.attname
    rows.order_by().update(**{field: F(field)})
    return list(rows)


def lock_heads(
    using: str, kind: Head.Kind, owners: Iterable[str], namespace: str = "", *, deleted_too: bool = False
) -> dict[str, Head]:
    """The heads of these series by owner, locked in the order of their names, made where they are not there yet.

    Raises:
        NotFound: a session isn't there (a chain of audit logs needs none) or, unless `deleted_too`, is soft-deleted.
    """
    names = sorted(set(owners))
    rows = Head.objects.using(using).filter(kind=kind, owner__in=names, namespace=namespace).order_by("owner")
    heads = {head.owner: head for head in locked(rows)}
    missing = [name for name in names if name not in heads]
    if missing:
        deleted = set() if kind is Head.Kind.AUDIT_LOG else _lock_sessions(using, missing)
        Head.objects.using(using).bulk_create(
            [
                Head(
                    kind=kind,
                    owner=name,
                    namespace=namespace,
                    hash=ZERO,
                    base_hash=ZERO,
                    closed=name in deleted,
                )
                for name in missing
            ],
            ignore_conflicts=True,
        )
        heads |= {head.owner: head for head in locked(rows.filter(owner__in=missing))}
    for name in names:
        if heads[name].closed and not deleted_too:
            raise NotFound(f"session {name!r} is deleted")
    return heads


def _lock_sessions(using: str, ids: list[str]) -> set[str]:
    """Keep sessions from being deleted while their first head is made: a deletion closes only heads that it sees.

    Returns:
        Which of them are soft-deleted.
    """
    rows = Session.objects.using(using).filter(id__in=ids).order_by("id").only("id", "deleted_at")
    sessions = {session.id: session for session in locked(rows)}
    for id in ids:
        if id not in sessions:
            raise NotFound(f"there is no session {id!r}")
    return {session.id for session in sessions.values() if session.deleted_at is not None}


def remove_heads(sender: type[Session], instance: Session, using: str, **kwargs: Any) -> None:
    """The receiver of a session's post_delete: another of its id begins anew, and takes what it is given."""
    Head.objects.using(using).filter(owner=instance.pk).exclude(kind=Head.Kind.AUDIT_LOG).delete()
