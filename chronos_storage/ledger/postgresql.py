"""What PostgreSQL does for a series better than the portable form: one record in one statement, many by COPY.

The statement calls a function that is made with the triggers. Spelled out as common table expressions it takes a
third longer where nothing is prepared, as behind a pooler: planning it costs more than running it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, models

from .. import codec, records
from ..chains.hashing import ZERO, time_text
from ..chains.numbering import Chained
from ..compat.connections import database_errors
from ..fields import CostField, IdField, JSONTextField, MetadataField
from ..models import Head, Session
from ..preparing import prepared_cursor
from . import outbox
from .definitions import versioned

if TYPE_CHECKING:
    from .mapping import Table
    from .series import Series

R = TypeVar("R", bound=Any)

#: The record's place in its chain, which the function gives it, and what nothing has that is appended.
_PLACE = ("seq_num", "hash", "erased")
#: The types whose values are sent as text.
_JSON = ("json", "jsonb")
#: Sequential scans are off for the sake of plans that are made while the tables are small, and kept.
OPTIONS = "LANGUAGE plpgsql SET enable_seqscan = off"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the database.

    Attributes:
        stem: its name without what tells its versions apart.
        signature: its parameters and options.
        routed_by: the parameter that says on which worker it runs, where the tables are spread over several; without
            one it runs where it is called.
    """

    stem: str
    signature: str
    body: str
    routed_by: str = ""

    @property
    def name(self) -> str:
        return versioned(self.stem, self.signature + self.body)

    def create(self, schema: str) -> str:
        """The statement that makes it, whatever has its name now."""
        return f"CREATE OR REPLACE FUNCTION {schema}.{self.name}{self.signature} AS $${self.body}$$"


@dataclass(frozen=True, slots=True)
class HeadOf:
    """Of which series a function of the database locks and moves the head: expressions of what finds it.

    Attributes:
        owner: the first, as whoever calls the function is sent where that is kept.
    """

    kind: Head.Kind
    owner: str
    series: str
    namespace: str = "''"

    @property
    def columns(self) -> dict[str, str]:
        """They by column."""
        return {
            "owned_by": self.owner,
            "owner": self.series,
            "kind": f"'{self.kind.value}'",
            "namespace": self.namespace,
        }


def lock_head(head: HeadOf, columns: str, *, needs_session: bool) -> str:
    """The statements of a function that lock the session, as every writer does first (see `heads`), and then the head.

    The function returns where the session is not there, is deleted or has another fence. A head that is not there yet
    is one without an id.

    Args:
        columns: of the head.
        needs_session: whether the series can't be without its session.
    """
    found = " AND ".join(f"{name} = {value}" for name, value in head.columns.items())
    takes_none = "of_session.id IS NULL OR of_session.deleted_at IS NOT NULL"
    refused = (
        f"""IF {takes_none} THEN
                RETURN;
            END IF;"""
        if needs_session
        else ""
    )
    return f"""SELECT id, deleted_at, fence_token, require_fence INTO of_session FROM {Session._meta.db_table}
            WHERE id = {head.owner} AND id = given_session_id FOR NO KEY UPDATE;
            IF of_session.fence_token IS DISTINCT FROM token AND (token IS NOT NULL OR of_session.require_fence) THEN
                RETURN;
            END IF;
            {refused}
            SELECT id, {columns} INTO head FROM {Head._meta.db_table} WHERE {found} FOR NO KEY UPDATE;"""


def move_head(head: HeadOf, moved: Mapping[str, str]) -> str:
    """The statements of a function that move the head, or make it.

    They come last: a head that was moved first would leave a gap where the id is stored already. Who makes one holds
    the session's lock, or else the chain's first number; one that is there nevertheless could not be seen.

    Args:
        moved: what its columns become.
    """
    begun = head.columns | {
        "hash": f"'{ZERO}'",
        "base_seq": "0",
        "base_hash": f"'{ZERO}'",
        "log_end": "0",
        "removed": "0",
        "closed": "FALSE",
        **moved,
    }
    table = Head._meta.db_table
    return f"""IF head.id IS NULL THEN
                INSERT INTO {table} ({", ".join(begun)}) VALUES ({", ".join(begun.values())}) ON CONFLICT DO NOTHING;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'chronos_storage: another writer has begun the series' USING ERRCODE = '40001';
                END IF;
            ELSE
                UPDATE {table} SET {", ".join(f"{name} = {value}" for name, value in moved.items())}
                WHERE id = head.id AND owned_by = {head.owner};
            END IF;"""


@cache
def append_function(series: Series[Any]) -> Function:
    """The function that appends one record.

    It returns nulls and leaves everything as it was where there is no session, or it is deleted or has another fence,
    the last number isn't the expected one, or the id is taken, or the number by a row that was made without its head.
    """
    columns, chained = columns_of(series.table), isinstance(series, Chained)
    table = series.table.model._meta.db_table
    of_series = HeadOf(series.kind, f"given_{series.owner_column}", f"given_{series.column}")
    parameters = {"expected": "bigint", "token": "bigint"} | ({"fixed": "bytea"} if chained else {})
    parameters |= outbox.PARAMETERS if series.is_published else {}
    parameters |= {f"given_{name}": type_name for name, type_name in columns.items()}
    values = {name: f"given_{name}" for name in columns} | {"seq_num": "head.seq_num + 1"}
    moved = {"seq_num": "head.seq_num + 1"}
    hashed = further = ""
    if chained:
        values["hash"] = moved["hash"] = "new_hash"
        hashed = """new_hash := encode(
                sha256('\\x01'::bytea || decode(head.hash, 'hex') || int8send(head.seq_num + 1) || fixed), 'hex'
            );"""
    if series.is_activity:
        further = f"""UPDATE {Session._meta.db_table} SET last_activity_at = given_created_at
            WHERE id = given_session_id AND last_activity_at < given_created_at;"""
    if series.is_published:
        further = outbox.publish({"id": f"given_{series.table.id}", **values})
    body = f"""
        DECLARE
            head record;
            of_session record;
            {outbox.VARIABLES if series.is_published else ""}
        BEGIN
            {lock_head(of_series, "seq_num, hash", needs_session=series.owner_column == "session_id")}
            IF head.id IS NULL THEN
                head.seq_num := 0;
                head.hash := '{ZERO}';
            END IF;
            IF head.seq_num <> expected THEN
                RETURN;
            END IF;
            {hashed}
            INSERT INTO {table} ({", ".join(values)})
            VALUES ({", ".join(values.values())})
            ON CONFLICT DO NOTHING;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            {move_head(of_series, moved)}
            {further}
            new_seq_num := head.seq_num + 1;
        END """
    signature = f"({_declared(parameters)}, OUT new_hash text) {OPTIONS}"
    return Function(f"{table}_append", signature, body, routed_by=of_series.owner)


def _declared(parameters: Mapping[str, str]) -> str:
    return ", ".join([*(f"{name} {kind}" for name, kind in parameters.items()), "OUT new_seq_num bigint"])


@cache
def columns_of(table: Table[Any]) -> dict[str, str]:
    """The columns that a record fills, and their types as parameters."""
    fields = {field.attname: field for field in table.model._meta.concrete_fields}
    return {name: _type(fields[name]) for name in table.stored if name not in _PLACE}


def _type(field: models.Field[Any, Any]) -> str:
    """The type of a parameter for this field."""
    types: dict[type[models.Field[Any, Any]], str] = {
        JSONTextField: "json",
        IdField: "varchar",  # as the columns are: of another type, no distributed database could route it
        MetadataField: "jsonb",
        models.BigIntegerField: "bigint",
        CostField: "numeric",
        models.DateTimeField: "timestamptz",
    }
    return next((name for kind, name in types.items() if isinstance(field, kind)), "text")


@cache
def append_statement(series: Series[Any]) -> str:
    """The statement that appends one record; its parameters are what `append_parameters` gives."""
    placeholders = ["%s", "%s", *(["%s::bytea"] if isinstance(series, Chained) else [])]
    extra = list(outbox.PARAMETERS.values()) if series.is_published else []
    placeholders += [f"%s::{type_name}" for type_name in (*extra, *columns_of(series.table).values())]
    return f"SELECT new_seq_num, new_hash FROM {append_function(series).name}({', '.join(placeholders)})"


def append_parameters(
    series: Series[R], record: R, expected: int | None, fence: int | None, channel: str | None = None
) -> list[Any]:
    """The expected number, the writer's token, what the hash covers where there is one, and the columns' values.

    Args:
        channel: where an event is published: who hears of it.
    """
    given, document, time = column_values(series.table, record)
    extra: list[Any] = [series.fixed_part(record, document, time)] if isinstance(series, Chained) else []
    if series.is_published:
        extra += (None, None) if channel is None else (str(records.now()), channel)
    return [expected, fence, *extra, *given]


def column_values(table: Table[R], record: R) -> tuple[list[Any], str, str]:
    """What the columns of `columns_of` are to hold, as parameters, and the texts of the last JSON and the last time."""
    pick, documents, times = _places(table)
    given = list(pick(table.row_values(record)))
    document = time = ""
    for place, name in documents:
        given[place] = document = codec.dumps(given[place], name)
    for place in times:
        if (value := given[place]) is not None:
            given[place] = time = time_text(value)  # which the driver takes longer to find out how to send
    return given, document, time


@cache
def _places(table: Table[Any]) -> tuple[Callable[[Any], tuple[Any, ...]], list[tuple[int, str]], list[int]]:
    """What picks the values of the columns that a record fills from all of its values; and of these columns the places
    and names of those that are JSON, and the places of the times.
    """
    kinds = list(columns_of(table).items())
    documents = [(place, name) for place, (name, kind) in enumerate(kinds) if kind in _JSON]
    times = [place for place, (_, kind) in enumerate(kinds) if kind == "timestamptz"]
    return itemgetter(*(table.stored.index(name) for name, _ in kinds)), documents, times


def append_one(
    connection: Any,
    series: Series[R],
    given: R,
    expected_seq: int | None,
    fence: int | None = None,
    channel: str | None = None,
) -> R | None:
    """Append a record: its number, its hash, the row and the new head, in one statement, and publish an event.

    Args:
        connection: Django's.
        channel: where it is published: who hears of it.

    Returns:
        The record as it is stored; None if it is not, and `series.append` finds out why.
    """
    record = series.table.copy(given)
    record.complete()
    expected = expected_seq if not record.seq_num else record.seq_num - 1
    if expected_seq not in (None, expected):  # one of the two is wrong
        return None
    if isinstance(series, Chained):
        record.erased = ""  # is the store's, and would be hashed in place of the content
    with prepared_cursor(connection) as cursor:
        cursor.execute(append_statement(series), append_parameters(series, record, expected, fence, channel))
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
    documents = [(table.stored.index(name), name) for name, kind in columns_of(table).items() if kind in _JSON]
    statement = f"COPY {table.model._meta.db_table} ({', '.join(table.stored)}) FROM STDIN"
    with database_errors(connection), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for record, text in sealed:
            values = list(table.row_values(record))
            for place, name in documents:
                values[place] = text or codec.dumps(values[place], name)
            copy.write_row(values)
