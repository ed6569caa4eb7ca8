"""The outbox where events are appended by a function of the database: what that does to publish one too.

What it publishes is the queue's to say (see `queues.outbox`), which does the same where there is no such function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ..models import QueueEntry, Topic
from ..records import Event

#: The parameters of the function: when the event is published, NULL for not at all, and the channel that hears of it.
PARAMETERS = {"published": "timestamptz", "channel": "text"}
VARIABLES = "topic_name text := 'session:' || given_session_id; entry_seq bigint;"


def publish(values: Mapping[str, str]) -> str:
    """The statements of a function that publish an event.

    Args:
        values: the expression of each field's value.
    """
    names = [field.name for field in fields(Event) if field.name in values]  # nothing is emptied that is appended
    parts = [f"'\"{name}\":' || {_json(name, values[name])}" for name in names]
    document = " || ',' || ".join(parts)
    given = {"event": f"('{{' || {document} || '}}')::json", "user_id": "''", "created_at": "published"}
    return f"IF published IS NOT NULL THEN {append_entry('given_session_id', 'topic_name', given)} END IF;"


def append_entry(owner: str, topic: str, given: Mapping[str, str]) -> str:
    """The statements of a function that append an entry to a topic, and tell the channel of it.

    Args:
        owner, topic: the expressions of what finds the topic.
        given: of the entry's other columns.
    """
    table, entry = Topic._meta.db_table, QueueEntry._meta.db_table
    values = {"owner": owner, "topic": topic, "seq_num": "entry_seq", **given}
    move = f"""UPDATE {table} SET seq_num = seq_num + 1 WHERE owner = {owner} AND name = {topic}
                RETURNING seq_num INTO entry_seq;"""
    return f"""{move}
                IF NOT FOUND THEN
                    INSERT INTO {table} (owner, name, seq_num, base_seq) VALUES ({owner}, {topic}, 0, 0)
                    ON CONFLICT DO NOTHING;
                    {move}
                END IF;
                INSERT INTO {entry} ({", ".join(values)}) VALUES ({", ".join(values.values())});
                PERFORM pg_notify(channel, {topic});"""


def _json(name: str, value: str) -> str:
    """The text of a field's JSON, as `queues.outbox.as_json` has it."""
    match name:
        case "seq_num" | "schema_version":
            return f"({value})::text"
        case "payload":
            return f"{value}::text"
        case "created_at":  # as Python writes it, without microseconds where there are none
            text = f"to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
            return f"to_json(replace({text}, '.000000', '') || '+00:00')::text"
        case _:
            return f"to_json({value})::text"
