"""The outbox: with ``CHRONOS_STORAGE["QUEUE"]["PUBLISH_EVENTS"]`` each event of the ledger is published when stored.

It is published on the topic ``session:<id>``, in the transaction that appends it. The entry's event is the record as an
object: id, session_id, seq_num, hash, type, payload, schema, schema_version and created_at, an ISO 8601 text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, cast

from django.core.signals import setting_changed
from django.db.models import F

from .. import conf
from ..chains.numbering import session_topic
from ..exceptions import ConfigurationError
from ..records import Event
from .base import EventQueue
from .entries import NewEntry, entries_of, head_of
from .handler import queue_handler
from .orm import OrmQueue

#: What is appended was never emptied.
_FIELDS = tuple(field.name for field in fields(Event) if field.name != "erased")


@cache
def is_on() -> bool:
    """Whether appended events are published."""
    return bool(conf.section("QUEUE").get("PUBLISH_EVENTS"))


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == conf.NAME:
        is_on.cache_clear()


setting_changed.connect(_forget, dispatch_uid=__name__)


def channel(using: str) -> str | None:
    """Who hears of what a function of the database publishes that appends events; None where `store` has to do it.

    Raises:
        ConfigurationError: the queue is in another database.
    """
    return _queue(using).channel


def store(using: str, events: Sequence[Event]) -> None:
    """Publish events that were appended just now, in the same transaction.

    Raises:
        ConfigurationError: the queue is in another database.
    """
    _queue(using).append([NewEntry(topic=session_topic(event.session_id), event=as_json(event)) for event in events])


def _queue(using: str) -> OrmQueue:
    queue: Any = queue_handler.only
    if not shares_transactions(queue, using):
        raise ConfigurationError(mismatch(using))
    return cast(OrmQueue, queue)


def as_json(event: Event) -> dict[str, Any]:
    """An event of the ledger as an entry of the queue holds it."""
    found = {name: getattr(event, name) for name in _FIELDS}
    return found | {"created_at": event.created_at.isoformat() if event.created_at else None}


def forget(using: str, session_id: str) -> None:
    """Remove what was published of a session that is being removed itself; its topic's numbers go on."""
    topic = session_topic(session_id)
    head_of(using, topic).update(base_seq=F("seq_num"))
    entries_of(using, topic).delete()


def shares_transactions(queue: EventQueue, using: str) -> bool:
    """Whether publishing on the queue is part of a transaction of this database alias."""
    return isinstance(queue, OrmQueue) and queue.alias == using


def mismatch(using: str) -> str:
    """What to say of a storage whose transactions the queue does not join."""
    return (
        f"with PUBLISH_EVENTS the queue must be an OrmQueue on the storage's database {using!r}, "
        "so that an event is published in the transaction that appends it"
    )
