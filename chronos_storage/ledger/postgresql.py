"""What PostgreSQL does for a hash chain in one statement."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import connections

from .. import codec
from ..fields import JSONTextField
from ..models import Head
from .chain import POSTGRESQL_LINK, time_text
from .series import ChainSeries

_PLACE = ("seq_num", "hash")


def append_one(using: str, series: ChainSeries[Any], record: Any, expected_seq: int | None) -> bool:
    """Append a completed record: its number, its hash, the row and the new head, in one statement.

    Returns:
        Whether it was appended, and the record given its place. If not, there is no head yet or it is closed, the
        number isn't the expected one, or the id is taken: `series.append` finds out which.
    """
    values = series.table.values(record)
    document = codec.dumps(values[series.document])
    values[series.document] = document
    if record.seq_num:
        expected_seq = record.seq_num - 1
    parameters: list[Any] = [series.kind.value, series.owner(record)]
    if expected_seq is not None:
        parameters.append(expected_seq)
    parameters += [value for name, value in values.items() if name not in _PLACE]
    parameters.append(series.tail(record, document))
    with connections[using].cursor() as cursor:
        cursor.execute(_append_statement(series, expected_seq is not None), parameters)
        row = cursor.fetchone()
    if row is None:
        return False
    record.seq_num, record.hash = row
    return True


@cache
def _append_statement(series: ChainSeries[Any], expects: bool) -> str:
    # The head is locked first and moved last: moved first, it would leave a gap where the id is stored already.
    columns = _columns(series)
    placeholders = ", ".join("%s::json" if name == series.document else "%s" for name in columns)
    key = ", ".join({"session_id": None, series.table.id: None} if series.table.id != "id" else ["id"])
    return f"""
        WITH head AS (
            SELECT id, seq_num, hash FROM {Head._meta.db_table}
            WHERE kind = %s AND owner = %s AND namespace = '' AND NOT closed{" AND seq_num = %s" if expects else ""}
            FOR NO KEY UPDATE
        ), new AS (
            INSERT INTO {series.table.model._meta.db_table} ({", ".join(columns)}, seq_num, hash)
            SELECT {placeholders}, head.seq_num + 1, {POSTGRESQL_LINK} FROM head
            ON CONFLICT ({key}) DO NOTHING
            RETURNING seq_num, hash
        )
        UPDATE {Head._meta.db_table} AS moved SET seq_num = new.seq_num, hash = new.hash
        FROM new, head WHERE moved.id = head.id
        RETURNING moved.seq_num, moved.hash"""


def _columns(series: ChainSeries[Any]) -> list[str]:
    return [name for name in series.table.values(series.table.record()) if name not in _PLACE]


def insert(using: str, series: ChainSeries[Any], new: list[Any]) -> None:
    """Insert records that have their place, in one statement with one parameter: near COPY's speed."""
    rows = []
    for record in new:
        values = series.table.values(record)
        values[series.document] = codec.dumps(values[series.document])
        values["created_at"] = time_text(values["created_at"])
        rows.append(values)
    with connections[using].cursor() as cursor:
        cursor.execute(_insert_statement(series), [codec.dumps(rows)])


@cache
def _insert_statement(series: ChainSeries[Any]) -> str:
    columns = (*_columns(series), *_PLACE)
    fields = {field.attname: field for field in series.table.model._meta.concrete_fields}
    types = {"seq_num": "bigint", "created_at": "timestamptz"}
    definitions = ", ".join(f"{name} {types.get(name, 'text')}" for name in columns)
    selected = ", ".join(f"{name}::json" if isinstance(fields[name], JSONTextField) else name for name in columns)
    return (
        f"INSERT INTO {series.table.model._meta.db_table} ({', '.join(columns)}) "
        f"SELECT {selected} FROM json_to_recordset(%s::json) AS given ({definitions})"
    )
