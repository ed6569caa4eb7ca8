"""Thousands of sessions in which nothing went wrong but what goes wrong each day, in a PostgreSQL database.

A few patterns are written by the storage, and the rest is copied from them by the database, a statement a table: that
takes a tenth of the time. What has a hash is appended by the storage, so that every chain is intact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models, transaction

from chronos_storage import Storage
from chronos_storage.chains.hashing import ZERO
from chronos_storage.chains.numbering import AuditLogs
from chronos_storage.models import Checkpoint, Head, Message, Session, Trace
from chronos_storage.records import AuditLog
from tests.admin.dialogues import Dialogue

#: How long ago the first session began.
PERIOD = timedelta(days=21)
_PATTERNS = 30
_BATCH = 500
_AGENTS = ("support", "billing", "search")
_TOPICS = (
    ("find_order", "Where is order {}?", "My order {} should have come on Monday. Where is it?"),
    ("find_invoice", "Invoice for order {}", "I need the invoice for order {} with our VAT number on it, please."),
    (
        "find_lamps",
        "A lamp for the desk, as with order {}",
        "I look for a lamp like that of order {}, but in white.",
    ),
    ("change_address", "New address for order {}", "I have moved. Please send order {} to my new address."),
    ("refund", "Refund for order {}", "The vase of order {} came broken. Can I have my money back?"),
)
_ANSWER = """I have looked it up:

| what | how many | at |
| --- | --- | --- |
| lamp | 1 | 59.90 |
| vase | 2 | 24.50 |

Your parcel is **on its way**, and should be there within two days. Is there anything else?"""


@dataclass(frozen=True)
class Copy:
    """A session made of a pattern, which is so much older."""

    number: int
    pattern: Dialogue
    begun: datetime

    @property
    def id(self) -> str:
        """As a UUIDv7 is: what comes later is greater."""
        return f"019a0000-{self.number:04x}-7{self.number % 4093:03x}-8000-{self.number * 7919:012x}"

    @property
    def agent_id(self) -> str:
        return _AGENTS[self.number % len(_AGENTS)]

    @property
    def user_id(self) -> str:
        return f"user-{self.number % 1999}@example.org"

    @property
    def moved(self) -> timedelta:
        created_at = self.pattern.session.created_at
        assert created_at
        return self.begun - created_at

    def row(self) -> tuple[Any, ...]:
        """What `_REPLACED` goes by."""
        title = str(self.pattern.session.title).replace("W-0", f"W-{10_000 + self.number}")
        return self.id, self.pattern.id, self.moved, self.agent_id, self.user_id, title


#: What the rows of a copy have in place of their pattern's, by the column; times are moved.
_REPLACED: dict[type[models.Model], dict[str, str]] = {
    Session: {"id": "c.id", **{name: f"c.{name}" for name in ("agent_id", "user_id", "title")}},
    Message: {"session_id": "c.id"},
    Checkpoint: {"session_id": "c.id"},
    Trace: {
        "session_id": "c.id",
        **{
            name: f"CASE r.{name} WHEN '' THEN '' ELSE c.id || substr(r.{name}, length(c.pattern) + 1) END"
            for name in ("id", "trace_id", "parent_id")
        },
    },
    Head: {"owner": "c.id", "owned_by": "c.id"},
}


def fill(storage: Storage, until: datetime, sessions: int = 10_000, turns: int = 4) -> None:
    """Store so many sessions, the last of which ended before `until`.

    Args:
        turns: of each, on average: for each a question, its answer, and between them a tool's call and result; four
            messages, four spans, two events and a checkpoint.
    """
    patterns = [_pattern(number, 1 + number % (2 * turns - 1), until - PERIOD) for number in range(_PATTERNS)]
    for pattern in patterns:
        pattern.kept(storage, status="completed")
    copies = [
        Copy(number, patterns[number % _PATTERNS], until - PERIOD * (1 - number / sessions) - timedelta(hours=1))
        for number in range(sessions - len(patterns))
    ]
    with transaction.atomic(using=storage.alias):
        _copy_rows(storage, copies)
    for start in range(0, len(copies), _BATCH):
        batch = copies[start : start + _BATCH]
        storage.append_events([event for each in batch for event in _events(each)])
        storage.load([entry for each in batch for entry in _audit_logs(each)])
    for each in copies[700::700]:
        storage.delete_session(each.id)
    with connections[storage.alias].cursor() as cursor:
        cursor.execute("ANALYZE")


def _pattern(number: int, turns: int, begun: datetime) -> Dialogue:
    tool, title, question = _TOPICS[number % len(_TOPICS)]
    dialogue = Dialogue(f"pattern-{number}", begun, title=title.format("W-0"), agent_id="support", author="web")
    for turn in range(turns):
        dialogue.asked(question.format("W-0"))
        call = dialogue.called(tool, 0.8 + number % 7 * 0.3, order_id="W-0", page=turn)
        if number == 1 and not turn:  # as it is with one session in thirty
            dialogue.returned(tool, call, "Error: the warehouse did not answer", error="TimeoutError: after 10 s")
        else:
            items = [{"sku": f"lamp-{item}", "amount": 1, "price": 59.9} for item in range(6)]
            dialogue.returned(tool, call, {"order_id": "W-0", "state": "sent", "items": items, "total": 359.4})
        dialogue.answered(_ANSWER, 1.1 + turn * 0.2, 500 + 90 * turn)
        dialogue.time += timedelta(seconds=25)
    return dialogue


def _copy_rows(storage: Storage, copies: list[Copy]) -> None:
    columns = "id text, pattern text, moved interval, agent_id text, user_id text, title text"
    with connections[storage.alias].cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE copied ({columns}) ON COMMIT DROP")
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for each in copies:
                copy.write_row(each.row())
        cursor.execute("ANALYZE copied")
        for model, replaced in _REPLACED.items():
            cursor.execute(_copying(model, replaced))


def _copying(model: type[models.Model], replaced: dict[str, str]) -> str:
    """The statement that copies the patterns' rows; of the heads those alone that have no hashes."""
    values = {}
    for field in model._meta.concrete_fields:
        if not isinstance(field, models.AutoField):
            column = field.column
            moved = " + c.moved" if isinstance(field, models.DateTimeField) else ""
            values[column] = replaced.get(column, f"r.{column}{moved}")
    session = next(column for column, value in replaced.items() if value == "c.id")
    condition = " AND r.kind IN ('message', 'checkpoint')" if model is Head else ""
    return (
        f"INSERT INTO {model._meta.db_table} ({', '.join(values)}) SELECT {', '.join(values.values())}"
        f" FROM copied c JOIN {model._meta.db_table} r ON r.{session} = c.pattern{condition}"
    )


def _events(copy: Copy) -> Iterator[Any]:
    for number, event in enumerate(copy.pattern.events, 1):
        yield replace(
            event,
            id=f"{copy.id}-{number}",
            session_id=copy.id,
            created_at=(event.created_at or copy.begun) + copy.moved,
        )


def _audit_logs(copy: Copy) -> Iterator[AuditLog]:
    head = Head(hash=ZERO)
    for number, (action, time) in enumerate((("begin", copy.begun), ("end", copy.pattern.time + copy.moved)), 1):
        entry = AuditLog(
            id=f"{copy.id}-audit-{number}",
            session_id=copy.id,
            agent_id=copy.agent_id,
            user_id=copy.user_id,
            actor="shop",
            action=f"session.{action}",
            resource=copy.id,
            seq_num=number,
            created_at=time,
        )
        AuditLogs().seal(head, entry)
        yield entry
