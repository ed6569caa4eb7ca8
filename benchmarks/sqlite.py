from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from chronos_storage import connect
from chronos_storage.chains import hashing
from chronos_storage.chains.numbering import Chained
from chronos_storage.ledger.mapping import CHECKPOINTS, Table
from chronos_storage.ledger.postgresql import column_values, columns_of
from chronos_storage.ledger.series import SERIES
from chronos_storage.models import Head, Session

from .databases import Bare, Database, Vendor, built, documents, parsed
from .measure import Side, always

#: As durable as PostgreSQL: a commit is on the disk when it returns.
_DURABLE = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
_TIMEOUT = 60


class SqliteBare(Bare):
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, _TIMEOUT, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_DURABLE)
        head = Head._meta.db_table
        self._find = f"SELECT id, seq_num, hash FROM {head} WHERE owner = ? AND kind = ? AND namespace = ''"
        self._move = f"UPDATE {head} SET seq_num = ?, hash = ? WHERE id = ?"
        session = Session._meta.db_table
        self._touch = f"UPDATE {session} SET last_activity_at = MAX(last_activity_at, ?) WHERE id = ?"

    def appending(self, records: Sequence[Any]) -> Callable[[], None]:
        for record in records:
            record.complete()
        first = records[0]
        series: Any = SERIES.get(type(first))
        table: Table[Any] = CHECKPOINTS if series is None else series.table
        kind = "checkpoint" if series is None else series.kind.value
        columns, insert = columns_of(table), self._insert(table)
        given = [column_values(table, record) for record in records]
        chained = isinstance(series, Chained)
        fixed = [series.fixed_part(record, given[at][1]) if chained else b"" for at, record in enumerate(records)]
        order = [[*columns, "seq_num", "hash", "erased"].index(name) for name in table.stored]
        execute = self._connection.execute

        def work() -> None:
            for record, (values, *_), part in zip(records, given, fixed, strict=True):
                execute("BEGIN IMMEDIATE")
                head, seq_num, previous = execute(self._find, [record.session_id, kind]).fetchone()
                row_hash = hashing.row_hash(previous, seq_num + 1, part) if chained else previous
                row = [*values, seq_num + 1, row_hash, ""]
                execute(insert, [row[place] for place in order])
                execute(self._move, [seq_num + 1, row_hash, head])
                if kind == "message":
                    execute(self._touch, [str(record.created_at), record.session_id])
                execute("COMMIT")

        return work

    def insert(self, table: Table[Any], rows: list[list[Any]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._insert(table), rows)
        self._connection.execute("COMMIT")

    @staticmethod
    def _insert(table: Table[Any]) -> str:
        places = ", ".join("?" * len(table.stored))
        return f"INSERT INTO {table.model._meta.db_table} ({', '.join(table.stored)}) VALUES ({places})"

    def select(self, table: Table[Any], rest: str, *parameters: Any, times: int = 1) -> Side:
        statement = f"SELECT {', '.join(table.columns)} FROM {table.model._meta.db_table} {rest.replace('%s', '?')}"
        is_document = documents(table)
        times_at = [place for place, name in enumerate(table.columns) if name.endswith("_at")]

        def work() -> None:
            rows = parsed(self._connection.execute(statement, parameters), is_document)
            for row in rows:
                for place in times_at:
                    if row[place] is not None:
                        row[place] = datetime.fromisoformat(row[place]).replace(tzinfo=UTC)
            built(table, rows)

        return always(work, times)

    def close(self) -> None:
        self._connection.close()


class Sqlite(Vendor):
    def description(self) -> str:
        return f"SQLite {sqlite3.sqlite_version} (a file; {_DURABLE}), sqlite3 of Python's own"

    @contextmanager
    def database(self) -> Iterator[Database]:
        with tempfile.TemporaryDirectory(prefix="chronos-benchmark-") as folder:
            path = str(Path(folder, "db.sqlite3"))
            storage = connect(path, migrate=True, options={"init_command": _DURABLE, "timeout": _TIMEOUT})
            yield Database(
                storage=storage,
                url=f"sqlite:///{path}",
                bare=partial(SqliteBare, path),
                analyze=partial(self._analyze, path),
                size=partial(self._size, path),
            )
            storage.close()

    @staticmethod
    def _size(path: str) -> int:
        connection = sqlite3.connect(path, _TIMEOUT)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        return Path(path).stat().st_size

    @staticmethod
    def _analyze(path: str) -> None:
        connection = sqlite3.connect(path, _TIMEOUT)
        connection.execute("ANALYZE")
        connection.close()


def vendor() -> Vendor:
    """SQLite, which is everywhere."""
    return Sqlite()
