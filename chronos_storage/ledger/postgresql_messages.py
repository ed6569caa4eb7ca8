"""What PostgreSQL does to append a few messages of a session: one call of a function, as for one alone.

They come as one parameter of JSON, which the server takes apart. COPY, which many go by, needs round trips before it
and after it, and a transaction around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from .. import codec
from ..batches import SIZE
from ..models import Head, Session
from ..preparing import prepared_cursor
from ..records import Message
from .mapping import MESSAGES
from .postgresql import OPTIONS, Function, HeadOf, column_values, columns_of, lock_head, move_head

#: Up to how many are few.
FEW = 50
_SESSION = "session_id"
_PARAMETERS = {"expected": "bigint", "token": "bigint", f"given_{_SESSION}": "varchar", "given": "json"}


@cache
def messages_function() -> Function:
    """The function that appends messages, and returns the last one's number.

    It returns nulls and leaves everything as it was where `postgresql.append_function` would for one of them.
    """
    table = MESSAGES.model._meta.db_table
    columns = {name: kind for name, kind in columns_of(MESSAGES).items() if name != _SESSION}
    # JSON's null becomes the database's, which no column of JSON has.
    values = [f"COALESCE({name}, 'null')" if kind == "json" else name for name, kind in columns.items()]
    of_series = HeadOf(Head.Kind.MESSAGE, f"given_{_SESSION}", f"given_{_SESSION}")
    declared = ", ".join(f"{name} {kind}" for name, kind in _PARAMETERS.items())
    body = f"""
        DECLARE
            head record;
            of_session record;
            added bigint;
        BEGIN
            {lock_head(of_series, "seq_num", needs_session=True)}
            IF head.id IS NULL THEN
                head.seq_num := 0;
            END IF;
            IF head.seq_num <> expected THEN
                RETURN;
            END IF;
            BEGIN
                INSERT INTO {table} ({", ".join(columns)}, {_SESSION}, seq_num)
                SELECT {", ".join(values)}, given_{_SESSION}, head.seq_num + place
                FROM ROWS FROM (json_to_recordset(given) AS ({", ".join(map(" ".join, columns.items()))}))
                WITH ORDINALITY AS message ({", ".join(columns)}, place);
                GET DIAGNOSTICS added = ROW_COUNT;
            EXCEPTION WHEN unique_violation THEN
                RETURN;
            END;
            {move_head(of_series, {"seq_num": "head.seq_num + added"})}
            UPDATE {Session._meta.db_table} SET last_activity_at = newest
            FROM (SELECT max(created_at) FROM json_to_recordset(given) AS (created_at timestamptz)) AS message (newest)
            WHERE id = given_{_SESSION} AND last_activity_at < newest;
            new_seq_num := head.seq_num + added;
        END """
    signature = f"({declared}, OUT new_seq_num bigint) {OPTIONS}"
    return Function(f"{table}_append_few", signature, body, routed_by=of_series.owner)


@cache
def messages_statement() -> str:
    """The statement that appends messages; its parameters are the expected number, the writer's token, the session and
    the messages.
    """
    return f"SELECT {messages_function().name}({', '.join(f'%s::{kind}' for kind in _PARAMETERS.values())})"


def append_few(
    connection: Any, given: Sequence[Message], expected_seq: int | None, fence: int | None
) -> list[Message] | None:
    """Append messages of one session, all or none.

    Args:
        connection: Django's.

    Returns:
        They as they are stored; None if they are not, and `series.append` finds out why, or are too long.
    """
    messages = list(map(MESSAGES.copy, given))
    expected = expected_seq
    for place, message in enumerate(messages):
        if message.seq_num:
            before = message.seq_num - 1 - place
            if expected not in (None, before):  # one of them is wrong
                return None
            expected = before
        message.complete()
    text = f"[{','.join(map(_json, messages))}]"
    if len(text) > SIZE:
        return None
    with prepared_cursor(connection) as cursor:
        cursor.execute(messages_statement(), [expected, fence, messages[0].session_id, text])
        (last,) = cursor.fetchone()
    if last is None:
        return None
    for message, number in zip(messages, range(last - len(messages) + 1, last + 1), strict=True):
        message.seq_num = number
    return messages


def _json(message: Message) -> str:
    """The text of the object that a row is made of."""
    values, *_ = column_values(MESSAGES, message)
    parts = [
        beginning + (value if is_document else codec.encode(value))
        for (beginning, is_document), value in zip(_keys(), values, strict=True)
    ]
    return f"{{{','.join(parts)}}}"


@cache
def _keys() -> list[tuple[str, bool]]:
    """How each column's value begins in the object, and whether the value is the text of JSON."""
    return [(f'"{name}":', kind in ("json", "jsonb")) for name, kind in columns_of(MESSAGES).items()]
