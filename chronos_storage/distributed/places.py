"""By what each table is spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from ..models import (
    AuditLog,
    Checkpoint,
    CheckpointItems,
    Consumer,
    Event,
    Fence,
    Head,
    Message,
    QueueEntry,
    Session,
    Topic,
    Trace,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows of a table go.

    Attributes:
        table: its name.
        column: rows with the same value there are on one worker, beside those of all other tables.
    """

    table: str
    column: str


def _place(model: type[Model], name: str) -> Place:
    field: Any = model._meta.get_field(name)
    return Place(model._meta.db_table, field.column)


#: The tables, the heads' first: Citus cuts what it goes by to the length that the first of them has.
#: What belongs to a session goes by its id and so stays together; spans go by their own, which must be unique.
PLACES: tuple[Place, ...] = tuple(
    _place(model, field)
    for model, field in (
        (Head, "owner"),
        (Session, "id"),
        (Message, "session"),
        (Event, "session"),
        (Checkpoint, "session"),
        (CheckpointItems, "session"),
        (AuditLog, "owner"),
        (Fence, "session_id"),
        (Trace, "id"),
        (Topic, "owner"),
        (QueueEntry, "owner"),
        (Consumer, "topic"),
    )
)
FIRST = PLACES[0].table
#: The table of the ids that audit entries have, in whatever chain; there is none where nothing is spread.
AUDIT_IDS = "chronos_storage_auditid"
