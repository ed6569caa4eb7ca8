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


def session_topic(session_id: str) -> str:
    """The topic on which a session's events are published."""
    return f"session:{session_id}"


def publish(values: Mapping[str, str]) -> str:
    """The statements that publish an event.

    Args:
        values: the expression of each field's value.
    """
    topic, entry = Topic._meta.db_table, QueueEntry._meta.db_table
    parts = [f"'\"{field.name}\":' || {_json(field.name, values[field.name])}" for field in fields(Event)]
    document = " || ',' || ".join(parts)
    return f"""IF published IS NOT NULL THEN
                UPDATE {topic} SET seq_num = seq_num + 1 WHERE name = topic_name RETURNING seq_num INTO entry_seq;
                IF NOT FOUND THEN
                    INSERT INTO {topic} (name, seq_num, base_seq) VALUES (topic_name, 0, 0) ON CONFLICT DO NOTHING;
                    UPDATE {topic} SET seq_num = seq_num + 1 WHERE name = topic_name RETURNING seq_num INTO entry_seq;
                END IF;
                INSERT INTO {entry} (topic, seq_num, event, user_id, created_at)
                VALUES (topic_name, entry_seq, ('{{' || {document} || '}}')::json, '', published);
                PERFORM pg_notify(channel, topic_name);
            END IF;"""


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
