from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from chronos_storage import connect
from chronos_storage.chains import hashing
from chronos_storage.ledger.mapping import EVENTS, Table
from chronos_storage.models import Head

from .databases import COLUMNS, GIVEN, Bare, Database, Row, Vendor, documents, parsed
from .measure import Side, always

#: As durable as PostgreSQL: a commit is on the disk when it returns.
_DURABLE = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
_TIMEOUT = 60


class SqliteBare(Bare):
    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, _TIMEOUT, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_DURABLE)
        places = ", ".join("?" * len(COLUMNS))
        self._insert = f"INSERT INTO {EVENTS.model._meta.db_table} ({', '.join(COLUMNS)}) VALUES ({places})"
        head = Head._meta.db_table
        self._find = f"SELECT id, seq_num, hash FROM {head} WHERE owner = ? AND kind = 'event' AND namespace = ''"
        self._move = f"UPDATE {head} SET seq_num = ?, hash = ? WHERE id = ?"

    def append_event(self, row: Row) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        head, seq_num, previous = execute(self._find, [row.values[GIVEN.index("session_id")]]).fetchone()
        row_hash = hashing.row_hash(previous, seq_num + 1, row.fixed)
        execute(self._insert, [*row.values, seq_num + 1, row_hash])
        execute(self._move, [seq_num + 1, row_hash, head])
        execute("COMMIT")

    def insert_events(self, rows: list[list[Any]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._insert, rows)
        self._connection.execute("COMMIT")

    def select(self, table: Table[Any], rest: str, *parameters: Any, times: int = 1) -> Side:
        statement = f"SELECT {', '.join(table.columns)} FROM {table.model._meta.db_table} {rest.replace('%s', '?')}"
        is_document = documents(table)
        return always(lambda: parsed(self._connection.execute(statement, parameters), is_document), times)

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
