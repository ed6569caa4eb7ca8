"""What finds files: a SQLite file beside them, which can be made anew from them at any time.

It has each document's version, its places in the indexes, and the path and stamp of its file. It is also the journal of
commits: the texts of files, until it is certain that the disk keeps the files themselves.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .... import codec
from ....exceptions import StoreFailure
from ..driver import Entry, Key
from .disk import Stamp

#: The layout of the tables.
_LAYOUT = 1
_TABLES = f"""
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    BEGIN;
    CREATE TABLE document (
        key TEXT PRIMARY KEY, version INTEGER NOT NULL, path TEXT, body TEXT, entries TEXT NOT NULL,
        mtime INTEGER, size INTEGER
    );
    CREATE INDEX document_path ON document (path);
    CREATE INDEX document_body ON document (body) WHERE path IS NULL;
    CREATE TABLE entry (
        partition TEXT, sort TEXT, key TEXT, PRIMARY KEY (partition, sort, key)
    ) WITHOUT ROWID;
    CREATE TABLE journal (
        path TEXT PRIMARY KEY, key TEXT NOT NULL, text TEXT, size INTEGER NOT NULL, is_done INTEGER NOT NULL
    );
    CREATE INDEX journal_is_done ON journal (is_done) WHERE NOT is_done;
    CREATE TABLE state (version INTEGER NOT NULL, folder INTEGER, boot TEXT);
    PRAGMA user_version = {_LAYOUT};
"""
#: Pages that may lie idle in the file, for what comes next.
_IDLE_PAGES = 1_000
_COLUMNS = "d.key, d.version, d.path, d.body, d.entries, d.mtime, d.size, j.text"
_ROWS = f"SELECT {_COLUMNS} FROM document d LEFT JOIN journal j ON j.path = d.path AND NOT j.is_done"  # noqa: S608
_PLACES = f"""
    SELECT e.sort, {_COLUMNS} FROM entry e JOIN document d USING (key)
    LEFT JOIN journal j ON j.path = d.path AND NOT j.is_done
    WHERE e.partition = ? AND (? IS NULL OR e.sort > ?) AND (? IS NULL OR e.sort < ?)
"""  # noqa: S608
#: The keys, and the paths, of `Index.compared_with`, and how many of them are read at once.
_OTHERWISE = """
    SELECT key FROM document d WHERE path IS NOT NULL AND key > ?
    AND NOT EXISTS (SELECT 1 FROM there t WHERE t.path = d.path AND t.mtime IS d.mtime AND t.size IS d.size)
    ORDER BY key LIMIT ?
"""
_UNKNOWN = """
    SELECT path FROM there t WHERE path > ? AND NOT EXISTS (SELECT 1 FROM document d WHERE d.path = t.path)
    ORDER BY path LIMIT ?
"""
_AT_ONCE = 1_000


class Row(NamedTuple):
    """What the index knows of a document.

    Attributes:
        path: of its file; None where it has none, but a body.
        mtime, size: the stamp of its file, once that is written.
        text: what is to be in its file, until it is.
    """

    key: str
    version: int
    path: str | None
    body: str | None
    entries: str
    mtime: int | None
    size: int | None
    text: str | None


class Change(NamedTuple):
    """What is to be in a file, from the journal: `text`, or with None no file."""

    path: str
    key: str
    text: str | None


def text_of(key: Iterable[object]) -> str:
    """A key, or partition, or entries, as one text."""
    return codec.encode(list(key))


def key_of(text: str) -> Key:
    """The key that a text stands for."""
    return tuple(codec.loads(text))


@lru_cache(maxsize=1024)  # heads, and what lists begin with, are read again and again
def entries_of(text: str) -> tuple[Entry, ...]:
    """The entries that a text stands for."""
    return tuple(Entry(tuple(partition), sort) for partition, sort in codec.loads(text))


class Index:
    """A connection with the index, for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would let others read it
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._run = self._connection.execute
        self._run("PRAGMA synchronous = FULL")
        self._lasting = True
        self._run("PRAGMA journal_size_limit = 8388608")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def make(self) -> bool:
        """Make the tables, unless they are there; returns whether they were made.

        Raises:
            StoreFailure: they are another version's.
        """
        (layout,) = self._run("PRAGMA user_version").fetchone()
        if layout not in (0, _LAYOUT):
            raise StoreFailure(
                f"the index {self._path} is of another version of this package: close the store with that one, and"
                " remove the index, which is made anew"
            )
        if layout:
            return False
        self._connection.executescript(_TABLES)
        # Versions go on above any that an index before this one has given.
        self._run("INSERT INTO state VALUES (?, NULL, NULL)", [time.time_ns()])
        self._run("COMMIT")
        return True

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[None]:
        """What the block changes is one change, or where it raises none.

        Args:
            lasting: whether the disk keeps it from the end of the block on, and not only from the next that is.
        """
        if lasting is not self._lasting:
            self._run(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._lasting = lasting
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._run("ROLLBACK")
            raise

    # Documents

    def row(self, key: str) -> Row | None:
        """What is known of the document under a key."""
        found = self._run(f"{_ROWS} WHERE d.key = ?", [key]).fetchone()
        return None if found is None else Row(*found)

    def rows(
        self, partition: str, above: str | None, below: str | None, reverse: bool, limit: int
    ) -> list[tuple[str, Row]]:
        """The first documents of a partition, ascending or in reverse, each after its place."""
        order = "DESC" if reverse else "ASC"
        bounds = [partition, above, above, below, below, limit]
        found = self._run(f"{_PLACES} ORDER BY e.sort {order} LIMIT ?", bounds).fetchall()
        return [(sort, Row(*row)) for sort, *row in found]

    @contextmanager
    def compared_with(self, files: Iterable[tuple[str, Stamp]]) -> Iterator[tuple[Iterator[str], Iterator[str]]]:
        """What differs from all the files there are, within a transaction; the database notes them, as memory may not.

        Args:
            files: the path and stamp of each.

        Returns:
            The keys of the documents whose file is missing or another, and the paths that no document has: to be
            looked through one after the other.
        """
        self._run("CREATE TEMP TABLE there (path TEXT PRIMARY KEY, mtime INTEGER, size INTEGER) WITHOUT ROWID")
        self._connection.executemany("INSERT INTO there VALUES (?, ?, ?)", ((path, *stamp) for path, stamp in files))
        yield self._by_pages(_OTHERWISE), self._by_pages(_UNKNOWN)
        self._run("DROP TABLE there")

    def _by_pages(self, query: str) -> Iterator[str]:
        last = ""
        while page := self._run(query, [last, _AT_ONCE]).fetchall():
            yield from (value for (value,) in page)
            (last,) = page[-1]

    def key_at(self, path: str) -> str | None:
        """The key of the document that has the file at a path."""
        found = self._run("SELECT key FROM document WHERE path = ?", [path]).fetchone()
        return None if found is None else found[0]

    def keys_with(self, body: str) -> list[Key]:
        """The keys of the documents without a file that have this body."""
        return [key_of(key) for (key,) in self._run("SELECT key FROM document WHERE path IS NULL AND body = ?", [body])]

    def next_version(self) -> int:
        """A version that no document has had."""
        (version,) = self._run("SELECT version + 1 FROM state").fetchone()
        self._run("UPDATE state SET version = ?", [version])
        assert isinstance(version, int)
        return version

    def put(
        self,
        key: str,
        version: int,
        entries: str,
        *,
        path: str | None,
        body: str | None = None,
        stamp: Stamp | None = None,
        was: Row | None,
    ) -> None:
        """Write what is known of a document over what was."""
        values = [key, version, path, body, entries, *(stamp or (None, None))]
        self._run("INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        before = [] if was is None else codec.loads(was.entries)
        after = codec.loads(entries)
        if before == after:
            return
        self._remove_entries(key, [entry for entry in before if entry not in after])
        added = [(text_of(partition), sort, key) for partition, sort in after if [partition, sort] not in before]
        self._connection.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", added)

    def remove(self, row: Row) -> None:
        """Forget a document."""
        self._run("DELETE FROM document WHERE key = ?", [row.key])
        self._remove_entries(row.key, codec.loads(row.entries))

    def _remove_entries(self, key: str, entries: Iterable[list[str]]) -> None:
        gone = [(text_of(partition), sort, key) for partition, sort in entries]
        self._connection.executemany("DELETE FROM entry WHERE partition = ? AND sort = ? AND key = ?", gone)

    # The journal

    def note(self, path: str, key: str, text: str | None) -> None:
        """Note what is to be in a file."""
        values = [path, key, text, len(text or ""), False]
        self._run("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?)", values)

    def to_do(self) -> list[Change]:
        """What was noted and is not done."""
        found = self._run("SELECT path, key, text FROM journal WHERE NOT is_done").fetchall()
        return [Change(*change) for change in found]

    def done(self, stamps: dict[str, Stamp | None]) -> None:
        """Note that files are as they are to be, by their paths, with their stamps."""
        run = self._connection.executemany
        run("UPDATE journal SET is_done = 1 WHERE path = ?", [[path] for path in stamps])
        made = [(*stamp, path) for path, stamp in stamps.items() if stamp is not None]
        run("UPDATE document SET mtime = ?, size = ? WHERE path = ?", made)

    def noted(self) -> list[Change]:
        """All that is in the journal."""
        return [Change(*change) for change in self._run("SELECT path, key, text FROM journal").fetchall()]

    def noted_size(self) -> tuple[int, int]:
        """How many files are in the journal, and the characters of their texts."""
        count, size = self._run("SELECT count(*), coalesce(sum(size), 0) FROM journal").fetchone()
        return count, size

    def forget(self) -> None:
        """Empty the journal."""
        self._run("DELETE FROM journal")

    def shrink(self) -> None:
        """Give back what the file has no more use for, where that is much."""
        if self._run("PRAGMA freelist_count").fetchone()[0] > _IDLE_PAGES:
            self._run("PRAGMA incremental_vacuum").fetchall()

    # What it fits

    def place(self) -> tuple[int | None, str | None]:
        """The number of the folder that the index is of, and the start of the system since which it was used."""
        folder, boot = self._run("SELECT folder, boot FROM state").fetchone()
        return folder, boot

    def set_place(self, folder: int, boot: str) -> None:
        """Say what `place` gives."""
        self._run("UPDATE state SET folder = ?, boot = ?", [folder, boot])
