"""What PostgreSQL does in one statement, for who has seen the thread: it stores nothing where anything is out of the
usual, and `writing` is for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections

from ... import codec, records
from ...ledger.mapping import SESSIONS
from ...preparing import prepared_cursor
from .channels import Known, Run
from .encoding import Encoding
from .keys import Where
from .models import GraphCheckpoint, GraphItems, GraphWrite, Namespace
from .reading import Write
from .writing import ACTIVITY

_SESSION = SESSIONS.model._meta.db_table
_NAMESPACE = Namespace._meta.db_table

#: What a checkpoint written over another changes.
_COLUMNS = ("parent_id", "run_id", "type", "data", "places", "main", "main_start", "main_stop", "metadata")

#: The session, locked, if it takes more from this writer; and its last activity, told to the minute.
_OPEN = f"""WITH open AS MATERIALIZED (
    SELECT id FROM {_SESSION} WHERE id = %s AND deleted_at IS NULL
    AND CASE WHEN %s::bigint IS NULL THEN NOT require_fence ELSE fence_token = %s END FOR NO KEY UPDATE
), touched AS (
    UPDATE {_SESSION} SET last_activity_at = %s FROM open WHERE {_SESSION}.id = open.id AND last_activity_at < %s
)"""
_MOVE = f"""{_OPEN}, moved AS (
    UPDATE {_NAMESPACE} SET version = %s, ends = %s FROM open
    WHERE {_NAMESPACE}.id = %s AND thread_id = open.id AND version = %s RETURNING {_NAMESPACE}.id
), added AS (
    INSERT INTO {GraphItems._meta.db_table} (namespace_id, channel, start, stop, entries, items)
    SELECT moved.id, """
#: One run, as nearly always, is no array: of that the planner would think anew each time.
_ONE = "%s::text, %s::bigint, %s::bigint, %s::bytea, %s::bytea FROM moved"
_MANY = "run.* FROM moved, unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[]) AS run"
_SAVE = f""")
INSERT INTO {GraphCheckpoint._meta.db_table} (namespace_id, checkpoint_id, created_at, {", ".join(_COLUMNS)})
SELECT moved.id, %s, %s, {", ".join(["%s"] * (len(_COLUMNS) - 1))}, %s::jsonb FROM moved
ON CONFLICT (namespace_id, checkpoint_id) DO UPDATE SET {", ".join(f"{name} = EXCLUDED.{name}" for name in _COLUMNS)}
RETURNING 1"""
# The namespace may have been removed while the session was waited for, which who writes to it sees; and who removes it
# in a snapshot that has not these writes sees that it was written to.
_WRITE = f"""{_OPEN}, namespace AS (
    UPDATE {_NAMESPACE} SET version = version FROM open
    WHERE {_NAMESPACE}.id = %s AND thread_id = open.id RETURNING {_NAMESPACE}.id
), added AS (
    INSERT INTO {GraphWrite._meta.db_table}
        (namespace_id, checkpoint_id, task_id, task_path, idx, channel, type, data)
    SELECT namespace.id, %s, write.* FROM namespace, unnest(
        %s::text[], %s::text[], %s::int[], %s::text[], %s::text[], %s::bytea[]
    ) AS write
    ON CONFLICT (namespace_id, checkpoint_id, task_id, idx) DO UPDATE SET
        task_path = EXCLUDED.task_path, channel = EXCLUDED.channel, type = EXCLUDED.type, data = EXCLUDED.data
    WHERE EXCLUDED.idx < 0
)
SELECT 1 FROM namespace"""


def save(using: str, where: Where, fence: int | None, encoding: Encoding, known: Known) -> Known | None:
    """Store a checkpoint, if the logs are as the writer knows them to be: what is known of them then; None if not."""
    new = encoding.encoded(known)
    is_one = len(new.runs) == 1
    runs: list[Any] = [list(each) for each in zip(*new.runs, strict=True)] or [[]] * len(Run._fields)
    columns = new.columns | {"metadata": codec.dumps(new.columns["metadata"], "metadata")}
    values = [
        *_opened(where, fence),
        new.known.version,
        new.ends,
        known.namespace,
        known.version,
        *(new.runs[0] if is_one else runs),
        encoding.checkpoint_id,
        records.now(),
        *(columns[name] for name in _COLUMNS),
    ]
    return new.known if _stored(using, _MOVE + (_ONE if is_one else _MANY) + _SAVE, values) else None


def add_writes(
    using: str, where: Where, fence: int | None, namespace: int, checkpoint_id: str, writes: Sequence[Write]
) -> bool:
    """Store what a task wrote, if the namespace is there; whether it is."""
    rows = [write.columns() for write in writes]
    columns = [[row[name] for row in rows] for name in ("task_id", "task_path", "idx", "channel", "type", "data")]
    return _stored(using, _WRITE, [*_opened(where, fence), namespace, checkpoint_id, *columns])


def _opened(where: Where, fence: int | None) -> list[Any]:
    now = records.now()
    return [where.session_id, fence, fence, now, now - ACTIVITY]


def _stored(using: str, sql: str, values: list[Any]) -> bool:
    with prepared_cursor(connections[using]) as cursor:
        cursor.execute(sql, values)
        return cursor.fetchone() is not None
