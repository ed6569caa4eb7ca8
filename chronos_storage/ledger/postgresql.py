"""What PostgreSQL does for a series better than the portable form: one record in one statement, many by COPY.

The statement calls a function that is made with the triggers. Spelled out as common table expressions it takes a
third longer, because Django's connections prepare nothing, and planning it costs more than running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, models

from .. import codec
from ..chains.numbering import Chained
from ..compat.connections import database_errors
from ..fields import JSONTextField, MetadataField
from ..models import Head, Session
from ..preparing import prepared_cursor
from .definitions import versioned

if TYPE_CHECKING:
    from .series import Series

R = TypeVar("R", bound=Any)

#: The record's place in its chain, which the function gives it.
_PLACE = ("seq_num", "hash")
#: The types whose values are sent as text.
_JSON = ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the database.

    Attributes:
        stem: its name without what tells its versions apart.
        signature: its parameters and options.
    """

    stem: str
    signature: str
    body: str

    @property
    def name(self) -> str:
        return versioned(self.stem, self.signature + self.body)

    def create(self, schema: str) -> str:
        """The statement that makes it, whatever has its name now."""
        return f"CREATE OR REPLACE FUNCTION {schema}.{self.name}{self.signature} AS $${self.body}$$"


@cache
def append_function(series: Series[Any]) -> Function:
    """The function that appends one record.

    It returns nulls and leaves everything as it was where there is no head yet or it is closed, the session has another
    fence, the last number isn't the expected one, or the id is taken, or the number by a row that was made without its
    head.
    """
    columns, chained = _columns(series), isinstance(series, Chained)
    head, session, table = Head._meta.db_table, Session._meta.db_table, series.table.model._meta.db_table
    parameters = {"expected": "bigint", "token": "bigint"} | ({"fixed": "bytea"} if chained else {})
    parameters |= {f"given_{name}": type_name for name, type_name in columns.items()}
    values = {name: f"given_{name}" for name in columns} | {"seq_num": "head.seq_num + 1"}
    moved = {"seq_num": "head.seq_num + 1"}
    hashed = ""
    if chained:
        values["hash"] = moved["hash"] = "new_hash"
        hashed = """new_hash := encode(
                sha256('\\x01'::bytea || decode(head.hash, 'hex') || int8send(head.seq_num + 1) || fixed), 'hex'
            );"""
    active = ""
    if series.is_activity:
        active = f"""UPDATE {session} SET last_activity_at = given_created_at
            WHERE id = given_session_id AND last_activity_at < given_created_at;"""
    signature = (
        f"({', '.join(f'{name} {type_name}' for name, type_name in parameters.items())},"
        " OUT new_seq_num bigint, OUT new_hash text) LANGUAGE plpgsql SET enable_seqscan = off"
    )
    # The session is locked first, as by every writer (see `heads`), before the foreign key does it.
    # The head moves last: moved first, it would leave a gap where the id is stored already. Sequential scans are off
    # for the sake of plans that are made while the tables are small, and kept.
    body = f"""
        DECLARE
            head record;
            session_token bigint;
            needs_token boolean;
        BEGIN
            SELECT fence_token, require_fence INTO session_token, needs_token FROM {session}
            WHERE id = given_session_id FOR NO KEY UPDATE;
            IF session_token IS DISTINCT FROM token AND (token IS NOT NULL OR needs_token) THEN
                RETURN;
            END IF;
            SELECT id, seq_num, hash INTO head FROM {head}
            WHERE owner = given_{series.column} AND kind = '{series.kind.value}' AND namespace = '' AND NOT closed
            FOR NO KEY UPDATE;
            IF NOT FOUND OR head.seq_num <> expected THEN
                RETURN;
            END IF;
            {hashed}
            INSERT INTO {table} ({", ".join(values)})
            VALUES ({", ".join(values.values())})
            ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            UPDATE {head} SET {", ".join(f"{name} = {value}" for name, value in moved.items())} WHERE id = head.id;
            {active}
            new_seq_num := head.seq_num + 1;
        END """
    return Function(f"{table}_append", signature, body)


@cache
def _columns(series: Series[Any]) -> dict[str, str]:
    """The columns that a record fills, and their types as parameters."""
    fields = {field.attname: field for field in series.table.model._meta.concrete_fields}
    return {name: _type(fields[name]) for name in series.table.stored if name not in _PLACE}


def _type(field: models.Field[Any, Any]) -> str:
    """The type of a parameter for this field."""
    types: dict[type[models.Field[Any, Any]], str] = {
        JSONTextField: "json",
        MetadataField: "jsonb",
        models.BigIntegerField: "bigint",
        models.DateTimeField: "timestamptz",
    }
    return next((name for kind, name in types.items() if isinstance(field, kind)), "text")


@cache
def append_statement(series: Series[Any]) -> str:
    """The statement that appends one record; its parameters are what `append_parameters` gives."""
    placeholders = ["%s", "%s", *(["%s::bytea"] if isinstance(series, Chained) else [])]
    placeholders += [f"%s::{type_name}" for type_name in _columns(series).values()]
    return f"SELECT new_seq_num, new_hash FROM {append_function(series).name}({', '.join(placeholders)})"


def append_parameters(series: Series[R], record: R, expected: int | None, fence: int | None) -> list[Any]:
    """The expected number, the writer's token, what the hash covers where there is one, and the columns' values."""
    row = series.table.row_values(record)
    given: list[Any] = []
    document = ""
    for place, name, kind in _given(series):
        value = row[place]
        if kind in _JSON:
            value = document = codec.dumps(value, name)
        elif kind == "timestamptz":
            value = None if value is None else str(value)  # which the driver takes longer to find out how to send
        given.append(value)
    fixed = [series.fixed_part(record, document)] if isinstance(series, Chained) else []
    return [expected, fence, *fixed, *given]


@cache
def _given(series: Series[Any]) -> list[tuple[int, str, str]]:
    """Of each of the columns that a record fills, its place among the record's values, its name and its type."""
    return [(series.table.stored.index(name), name, kind) for name, kind in _columns(series).items()]


def append_one(using: str, series: Series[R], given: R, expected_seq: int | None, fence: int | None) -> R | None:
    """Append a record: its number, its hash, the row and the new head, in one statement.

    Returns:
        The record as it is stored; None if it is not, and `series.append` finds out why.
    """
    record = series.table.copy(given)
    record.complete()
    expected = expected_seq if not record.seq_num else record.seq_num - 1
    if expected_seq not in (None, expected):  # one of the two is wrong
        return None
    with prepared_cursor(connections[using]) as cursor:
        cursor.execute(append_statement(series), append_parameters(series, record, expected, fence))
        seq_num, row_hash = cursor.fetchone()
    if seq_num is None:
        return None
    record.seq_num = seq_num
    if isinstance(series, Chained):
        record.hash = row_hash
    return record


def copy_rows(using: str, series: Series[Any], sealed: Iterable[tuple[Any, str]]) -> None:
    """Insert records, each with the text of its JSON where that is known, by COPY."""
    table, connection = series.table, connections[using]
    documents = [(table.stored.index(name), name) for name, kind in _columns(series).items() if kind in _JSON]
    statement = f"COPY {table.model._meta.db_table} ({', '.join(table.stored)}) FROM STDIN"
    with database_errors(connection), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for record, text in sealed:
            values = list(table.row_values(record))
            for place, name in documents:
                values[place] = text or codec.dumps(values[place], name)
            copy.write_row(values)
