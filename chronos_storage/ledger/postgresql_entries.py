"""What PostgreSQL does to append an entry to a topic of the queue: one call of a function, for a topic's first too."""

from __future__ import annotations

from functools import cache

from ..models import QueueEntry
from .outbox import append_entry
from .postgresql import OPTIONS, Function

_GIVEN = {"event": "json", "user_id": "text", "created_at": "timestamptz", "key": "text"}
_PARAMETERS = {
    "given_owner": "varchar",
    "given_topic": "varchar",
    **{f"given_{name}": kind for name, kind in _GIVEN.items()},
    "channel": "text",
}


@cache
def entry_function() -> Function:
    """The function that appends an entry, and returns its number."""
    declared = ", ".join(f"{name} {kind}" for name, kind in _PARAMETERS.items())
    body = f"""
        DECLARE
            entry_seq bigint;
        BEGIN
            {append_entry("given_owner", "given_topic", {name: f"given_{name}" for name in _GIVEN})}
            new_seq_num := entry_seq;
        END """
    return Function(f"{QueueEntry._meta.db_table}_append", f"({declared}, OUT new_seq_num bigint) {OPTIONS}", body)


@cache
def entry_statement() -> str:
    """The statement that appends an entry; its parameters are owner, topic, the entry's columns and the channel."""
    return f"SELECT {entry_function().name}({', '.join(f'%s::{kind}' for kind in _PARAMETERS.values())})"
