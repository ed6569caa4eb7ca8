"""What PostgreSQL does for a hash chain better than the portable form: one event in one statement, many by COPY.

The statement calls a function that is made with the triggers. Spelled out as common table expressions it takes a
third longer, because Django's connections prepare nothing, and planning it costs more than running it.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections

from .. import codec
from ..compat.connections import database_errors
from ..fields import JSONTextField
from ..models import Head, Session
from .definitions import versioned

if TYPE_CHECKING:
    from .series import ChainSeries

R = TypeVar("R", bound=Any)

#: The record's place in its chain, which the function gives it.
_PLACE = ("seq_num", "hash")


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
def append_function(series: ChainSeries[Any]) -> Function:
    """The function that appends one record.

    It returns nulls and leaves everything as it was where there is no head yet or it is closed, the last number isn't
    the expected one, or the id is taken.
    """
    columns = _columns(series)
    head, table = Head._meta.db_table, series.table.model._meta.db_table
    parameters = ", ".join(f"given_{name} {type_name}" for name, type_name in columns.items())
    key = ", ".join(("session_id", series.table.id) if series.table.id != "id" else ("id",))
    signature = (
        f"(expected bigint, fixed bytea, {parameters}, OUT new_seq_num bigint, OUT new_hash text)"
        " LANGUAGE plpgsql SET enable_seqscan = off"
    )
    # The session is locked first, as by every writer (see `heads`), before the foreign key does it.
    # The head moves last: moved first, it would leave a gap where the id is stored already. Sequential scans are off
    # for the sake of plans that are made while the tables are small, and kept.
    body = f"""
        DECLARE
            head record;
            next_hash text;
        BEGIN
            PERFORM 1 FROM {Session._meta.db_table} WHERE id = given_session_id FOR NO KEY UPDATE;
            SELECT id, seq_num, hash INTO head FROM {head}
            WHERE owner = given_{series.column} AND kind = '{series.kind.value}' AND namespace = '' AND NOT closed
            FOR NO KEY UPDATE;
            IF NOT FOUND OR head.seq_num <> expected THEN
                RETURN;
            END IF;
            next_hash := encode(
                sha256('\\x01'::bytea || decode(head.hash, 'hex') || int8send(head.seq_num + 1) || fixed), 'hex'
            );
            INSERT INTO {table} ({", ".join(columns)}, seq_num, hash)
            VALUES ({", ".join(f"given_{name}" for name in columns)}, head.seq_num + 1, next_hash)
            ON CONFLICT ({key}) DO NOTHING;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            UPDATE {head} SET seq_num = head.seq_num + 1, hash = next_hash WHERE id = head.id;
            new_seq_num := head.seq_num + 1;
            new_hash := next_hash;
        END """
    return Function(f"{table}_append", signature, body)


@cache
def _columns(series: ChainSeries[Any]) -> dict[str, str]:
    """The columns that a record fills, and their types as parameters."""
    meta = series.table.model._meta
    types: dict[str, str] = {}
    for name in series.table.values(series.table.record()):
        if name not in _PLACE:
            field = next(field for field in meta.concrete_fields if field.attname == name)
            types[name] = "json" if isinstance(field, JSONTextField) else "text"
    return types | {"created_at": "timestamptz"}


@cache
def append_statement(series: ChainSeries[Any]) -> str:
    """The statement that appends one record; its parameters are the expected number, the fixed part and the columns."""
    placeholders = ", ".join(f"%s::{type_name}" for type_name in _columns(series).values())
    return f"SELECT new_seq_num, new_hash FROM {append_function(series).name}(%s, %s::bytea, {placeholders})"


def append_one(using: str, series: ChainSeries[R], given: R, expected_seq: int | None) -> R | None:
    """Append a record: its number, its hash, the row and the new head, in one statement.

    Returns:
        The record as it is stored; None if it is not, and `series.append` finds out why.
    """
    record = copy(given)
    record.complete()
    expected = expected_seq if not record.seq_num else record.seq_num - 1
    if expected_seq not in (None, expected):  # one of the two is wrong
        return None
    values = series.table.values(record)
    document = values[series.document] = codec.dumps(values[series.document], series.document)
    parameters = [expected, series.fixed_part(record, document)]
    parameters += [values[name] for name in _columns(series)]
    with connections[using].cursor() as cursor:
        cursor.execute(append_statement(series), parameters)
        seq_num, row_hash = cursor.fetchone()
    if seq_num is None:
        return None
    record.seq_num, record.hash = seq_num, row_hash
    return record


def copy_rows(using: str, series: ChainSeries[Any], sealed: Iterable[tuple[Any, str]]) -> None:
    """Insert records, each with the text of its JSON, by COPY."""
    table, connection = series.table, connections[using]
    names = [name for name in table.names if name != series.document]
    columns = [table.id if name == "id" else name for name in names] + [*table.derived, series.document]
    plain, derived = attrgetter(*names), list(table.derived.values())
    statement = f"COPY {table.model._meta.db_table} ({', '.join(columns)}) FROM STDIN"
    with database_errors(connection), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for record, document in sealed:
            copy.write_row((*plain(record), *(derive(record) for derive in derived), document))
