"""A backend of one's own: documents in a SQLite file, over nothing but Python's `sqlite3`."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence

from chronos_storage.backends.document import Document, DocumentBackend, Driver, Entry, Key, Write, up_to_size

TABLES = """
    CREATE TABLE IF NOT EXISTS document (
        version INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, body TEXT NOT NULL, entries TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS entry (
        partition TEXT, sort TEXT, key TEXT NOT NULL, PRIMARY KEY (partition, sort)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_key ON entry (key);
"""


class OneTable(DocumentBackend):
    """Agents' records in the SQLite file at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(SQLiteDriver(path))


class SQLiteDriver(Driver):
    """Documents in a table, their places in another; a version for each write tells who was faster."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._threads = threading.local()

    def __repr__(self) -> str:
        return f"SQLiteDriver({self._path!r})"

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._threads, "connection"):
            self._threads.connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection: sqlite3.Connection = self._threads.connection
        return connection

    def prepare(self) -> None:
        self._connection().executescript(TABLES)

    def describe(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def close(self) -> None:
        if hasattr(self._threads, "connection"):
            self._threads.connection.close()
            del self._threads.connection

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        found = {}
        for key in keys:
            row = self._row(key)
            if row is not None:
                found[key] = row
        return found

    def _row(self, key: Key) -> Document | None:
        select = "SELECT body, entries, version FROM document WHERE key = ?"
        row = self._connection().execute(select, [json.dumps(key)]).fetchone()
        return row and document_of(key, *row)

    def scan(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]]:
        order = "DESC" if reverse else "ASC"
        rows = self._connection().execute(
            "SELECT sort, key, body, entries, version FROM entry JOIN document USING (key) WHERE partition = ?"
            " AND (? IS NULL OR sort > ?) AND (? IS NULL OR sort < ?)"
            f" ORDER BY sort {order} LIMIT ?",
            [json.dumps(partition), above, above, below, below, limit],
        )
        # Row by row, as SQLite finds them.
        return up_to_size(((sort, document_of(tuple(json.loads(key)), *rest)) for sort, key, *rest in rows), size)

    def commit(self, writes: Sequence[Write]) -> bool:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            for key, was, _ in writes:
                stored = self._row(key)
                if (stored and stored.version) != (was and was.version):
                    connection.execute("ROLLBACK")
                    return False
            for key, was, now in writes:
                if now is not was:
                    self._replace(key, now)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return True

    def _replace(self, key: Key, document: Document | None) -> None:
        connection, text = self._connection(), json.dumps(key)
        connection.execute("DELETE FROM entry WHERE key = ?", [text])
        connection.execute("DELETE FROM document WHERE key = ?", [text])
        if document is None:
            return
        connection.execute(
            "INSERT INTO document (key, body, entries) VALUES (?, ?, ?)",  # under a version that there never was
            [text, document.body, json.dumps(document.entries)],
        )
        connection.executemany(
            "INSERT INTO entry VALUES (?, ?, ?)",
            [(json.dumps(entry.partition), entry.sort, text) for entry in document.entries],
        )


def document_of(key: Key, body: str, entries: str, version: int) -> Document:
    """A row of the table as a document."""
    places = tuple(Entry(tuple(partition), sort) for partition, sort in json.loads(entries))
    return Document(key, body, places, version)
