"""The file that an export is: lines of JSON, each an object with one key that says what it is.

1. ``{"chronos": {"version": 1, "chosen": {…}, "began_at": "…"}}``;
2. ``{"session": {…}}``, a session in the form that stores of documents keep it in;
3. ``{"head": [kind, series, namespace, number, base, hash]}``: up to which number each numbered series goes, and of a
   hash chain that was purged, up to which number it went, and the hash of that;
4. a record a line, as the sessions, in the order of `ORDER`; before an artifact whose bytes the file does not have yet,
   these as ``{"bytes": [sha256, base64]}``, in pieces;
5. of a user's export, what names the user and can't be loaded, as ``{"extract": {kind: …}}``; see `extracts`;
6. ``{"manifest": {…}}``: how many records of each kind, when they were read, and the SHA-256 of all lines before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from ..backends.base import SeriesHead
from ..backends.document.serialization import encode_any
from ..records import KINDS, Record

VERSION = 1
#: The kinds of records in the order in which they stand in the file: what belongs to sessions after these.
ORDER = ("session", *(kind for kind in KINDS if kind != "session"))
KIND_OF = {record: kind for kind, record in KINDS.items()}
#: Bytes of an artifact in a line.
PIECE = 3 * 64 * 1024

_PART = b'{"bytes":'


def line_of(kind: str, value: Any) -> bytes:
    """The line of something that is no record."""
    return json.dumps({kind: value}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def line_of_record(record: Record) -> bytes:
    """The line of a record."""
    return encode_any(record, KIND_OF[type(record)]).encode() + b"\n"


def is_part(line: bytes) -> bool:
    """Whether the line belongs together with the next one: bytes, and the artifact that has them."""
    return line.startswith(_PART)


class Notes:
    """What must be known of a file of any length: kept in a file of its own, which is gone with the object."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)  # a temporary file, once it is large
        for statement in (
            "PRAGMA journal_mode = OFF",
            "BEGIN",
            "CREATE TABLE head (kind, series, namespace, seq_num, base_seq, base_hash)",
            "CREATE UNIQUE INDEX head_series ON head (kind, series, namespace)",
            "CREATE TABLE noted (what, name, PRIMARY KEY (what, name)) WITHOUT ROWID",
            "CREATE TABLE digest (kind, name, digest, PRIMARY KEY (kind, name)) WITHOUT ROWID",
        ):
            self._connection.execute(statement)
        self._last: tuple[Any, Any] = (None, None)

    def close(self) -> None:
        """Forget all."""
        self._connection.close()

    def add(self, what: str, name: str) -> bool:
        """Note a name; whether it is new."""
        return self._connection.execute("INSERT OR IGNORE INTO noted VALUES (?, ?)", (what, name)).rowcount > 0

    def has(self, what: str, name: str) -> bool:
        """Whether a name was noted."""
        found = self._connection.execute("SELECT 1 FROM noted WHERE what = ? AND name = ?", (what, name))
        return found.fetchone() is not None

    def all(self, what: str) -> Iterator[str]:
        """The names, sorted; others may be noted meanwhile."""
        name = None
        while True:
            rows = self._connection.execute(
                "SELECT name FROM noted WHERE what = ? AND name > ? ORDER BY name LIMIT 500"
                if name is not None
                else "SELECT name FROM noted WHERE what = ? ORDER BY name LIMIT 500",
                (what,) if name is None else (what, name),
            ).fetchall()
            for (name,) in rows:
                yield name
            if not rows:
                return

    def set_digest(self, kind: str, name: str, digest: bytes) -> None:
        """Note what something says."""
        self._connection.execute("INSERT OR REPLACE INTO digest VALUES (?, ?, ?)", (kind, name, digest))

    def take_digest(self, kind: str, name: str) -> bytes | None:
        """What was noted of something, which is forgotten; None for nothing."""
        key = (kind, name)
        found = self._connection.execute("SELECT digest FROM digest WHERE kind = ? AND name = ?", key).fetchone()
        self._connection.execute("DELETE FROM digest WHERE kind = ? AND name = ?", key)
        return None if found is None else found[0]

    def digests(self) -> Iterator[tuple[str, str]]:
        """The kinds and names of which something is noted."""
        yield from self._connection.execute("SELECT kind, name FROM digest")

    def set_head(self, kind: str, head: SeriesHead) -> None:
        """Note where a series ends."""
        self._connection.execute("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?, ?)", (kind, *head))

    def head(self, kind: str, series: str, namespace: str = "") -> SeriesHead:
        """Where a series ends; before its first number, where that was not noted."""
        key = (kind, series, namespace)
        if self._last[0] != key:  # records of one series come one after the other
            found = self._connection.execute(
                "SELECT series, namespace, seq_num, base_seq, base_hash FROM head"
                " WHERE kind = ? AND series = ? AND namespace = ?",
                key,
            ).fetchone()
            self._last = key, SeriesHead(series, namespace, 0) if found is None else SeriesHead(*found)
        head: SeriesHead = self._last[1]
        return head

    def namespaces(self, session_id: str) -> list[str]:
        """The namespaces of a session's checkpoints, sorted."""
        rows = self._connection.execute(
            "SELECT namespace FROM head WHERE kind = 'checkpoint' AND series = ? ORDER BY namespace", (session_id,)
        )
        return [namespace for (namespace,) in rows]
