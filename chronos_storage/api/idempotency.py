"""``Idempotency-Key``: a repeated creation finds what the first one stored.

The key becomes the id, or a queue entry's key: the UUIDv5 of the user, the route and the key. So nothing has to be
remembered beside the row.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rest_framework.exceptions import ValidationError

from .. import codec, records
from ..exceptions import AlreadyExists
from ..redaction import redacted
from .found import Condition
from .store import exclusively

R = TypeVar("R", bound=records.Record)

HEADER = "Idempotency-Key"
#: What an answer carries, as "true", that repeats an earlier one.
REPLAYED = "Idempotent-Replayed"
_NAMESPACE = uuid.UUID("5cb3b8a5-1a74-5d0e-9f0c-6f5cfb1d0a4e")
_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


def own_key(view: Any, place: int | None = None) -> str | None:
    """What the key stands for: the UUIDv5 of the user, the route and the key; None where there is no key.

    Args:
        place: where in a batch the record stands.
    """
    key = view.request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not _KEY.match(key):
        raise ValidationError({HEADER: "must be 1 to 255 printable ASCII characters"})
    match = view.request.resolver_match
    path = sorted((name, str(part)) for name, part in view.kwargs.items())
    parts = [view.access.user_id, match.view_name, path, key, place]
    return str(uuid.uuid5(_NAMESPACE, codec.canonical(parts)))


def id_from_key(view: Any, given: str = "", place: int | None = None) -> str:
    """The id that a new record gets: that of the key if there is one, else the given one, which may be empty.

    Args:
        given: the id that the body names, which only staff may do.
        place: where in a batch the record stands.
    """
    id = own_key(view, place)
    if id is None:
        return given
    if given:
        raise ValidationError({"id": f"is made from the {HEADER}: give one of them"})
    if place is None:
        view.replayed = view.found().where(Condition("id", "=", id)).exists()
    return id


def store_batch(view: Any, given: Sequence[R], store: Callable[[], records.Batch[R]]) -> records.Batch[R]:
    """What `store` returns, which stores records: with a key all are new, or all are stored already.

    Raises:
        AlreadyExists: the key was given to a batch of another length, or some of that one were removed since.
    """
    if HEADER not in view.request.headers or view.action not in view.idempotent_actions:
        return store()
    ids = {record.id for record in given}
    session_id: str = view.kwargs.get("session_id", "")
    asked = [*ids, id_from_key(view, place=len(given))]

    def refuse_unless(stored: set[str], *right: set[str]) -> None:
        if stored not in right:
            raise AlreadyExists(f"the {HEADER} was given to a batch of another length")

    def known() -> set[str]:
        there: set[str] = view.found().where(Condition("id", "in", asked)).ids()
        return there

    def store_unless_another() -> records.Batch[R]:
        refuse_unless(known(), set(), ids)
        batch = store()
        if not session_id:  # no row was there to be locked: another may have come between, for which this one waited
            refuse_unless(known(), ids)
            refuse_unless(set(batch.new), set(), ids)
        view.replayed = bool(ids) and not batch.new
        return batch

    return exclusively(view.table.record, asked, store_unless_another, session_id)


def repeated(view: Any, given: R, stored: R | None) -> R:
    """`stored`, where the creation of `given` found its key's id taken, and is the repeat of the one that stored it.

    A row that has been changed since can't be told from another; it is taken for the one.

    Raises:
        AlreadyExists: other content is stored under the id.
    """
    if stored is None or HEADER not in view.request.headers:
        raise AlreadyExists(f"{type(given).__name__} {given.id!r} is stored already")
    if stored.updated_at != stored.created_at:  # type: ignore[attr-defined]
        return stored
    return records.require_same(redacted(given), stored)
