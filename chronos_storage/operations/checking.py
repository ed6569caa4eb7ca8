"""Reading the file that an export is, and seeing that it is what its writer wrote; see `exported`."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .. import codec
from ..backends.base import SeriesHead
from ..backends.document.serialization import record_of
from ..chains import hashing
from ..chains.numbering import AuditLogs, Chained, Events, require_complete
from ..exceptions import InvalidRecord
from ..records import KINDS, Artifact, AuditLog, Event, Record
from .exported import ORDER, VERSION, Notes
from .files import packing_of, read_lines

_CHAINED: dict[type[Record], Chained[Any]] = {Event: Events(), AuditLog: AuditLogs()}
_NO_EXPORT = "is not the first line of what chronos_export writes"


def read(file: IO[bytes], path: Path) -> Iterator[tuple[str, Any, int]]:
    """What the lines of a file say, as `reading.Item`, and their lengths.

    Args:
        file: open; `path` may be another one's by now.

    Raises:
        InvalidRecord: a line is not what an export has there, which `check` would have found, and named.
    """
    for line in read_lines(file, path.name, packing_of(path)):
        kind, value = _parsed(line)
        yield kind, _bytes_of(value) if kind == "bytes" else value, len(line)


def _parsed(line: bytes) -> tuple[str, Any]:
    try:
        found = codec.loads(line.decode()[:-1])
    except (ValueError, RecursionError) as error:
        raise InvalidRecord("line", f"is no JSON: {error}") from None
    if not isinstance(found, dict) or len(found) != 1:
        raise InvalidRecord("line", "is no object with one key")
    [(kind, value)] = found.items()
    if kind not in KINDS:
        return kind, value
    try:
        return kind, record_of(KINDS[kind], value)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InvalidRecord(kind, f"has other fields than such a record: {error}") from None


def check(file: IO[bytes], path: Path) -> Iterator[Counter[str]]:
    """Go through a file, and see that it is whole, and that its records are in order; after each how many there were.

    Args:
        file, path: as of `read`.

    Raises:
        InvalidRecord: it isn't; the line is named.
    """
    checking = _Checking(file, path)
    try:
        yield from checking.run()
    finally:
        checking.notes.close()


class _Checking:
    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._counts: Counter[str] = Counter()
        self._digest = hashlib.sha256()
        self._lines = 0
        self._manifest: dict[str, Any] | None = None
        self._place: tuple[Any, ...] = ()
        self._number, self._hash = 0, hashing.ZERO
        self._content: tuple[str, int, Any] = ("", 0, hashlib.sha256())
        self.notes = Notes()

    def run(self) -> Iterator[Counter[str]]:
        before = b""
        try:
            for line in read_lines(self._file, self._path.name, packing_of(self._path)):
                self._digest.update(before)  # the last line is not part of it
                self._lines += 1
                self._check(*_parsed(line))
                before = line
                yield self._counts
            if self._manifest is None:
                self._lines += 1
                raise InvalidRecord("manifest", "is missing: the file is not whole")
        except InvalidRecord as error:
            if error.field.startswith(f"{self._path.name}:"):
                raise
            raise InvalidRecord(f"{self._path.name}:{self._lines}", f"{error.field}: {error.problem}") from None

    def _check(self, kind: str, value: Any) -> None:
        if self._lines == 1:
            self._check_header(kind, value)
        elif self._manifest is not None:
            raise InvalidRecord("line", "stands after the manifest")
        elif kind == "manifest":
            self._check_manifest(value)
        elif kind == "head":
            self._check_head(value)
        elif kind == "bytes":
            self._take_bytes(value)
        elif kind == "extract":  # which is for reading alone
            self._counts[kind] += 1
        elif kind in KINDS:
            self._check_record(kind, value)
        else:
            raise InvalidRecord("line", f"says nothing of {kind!r} that this version knows")

    def _check_header(self, kind: str, value: Any) -> None:
        if kind != "chronos" or not isinstance(value, dict):
            raise InvalidRecord("line", _NO_EXPORT)
        if value.get("version") != VERSION:
            raise InvalidRecord("version", f"is {value.get('version')!r}; this version reads {VERSION}")

    def _check_manifest(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise InvalidRecord("manifest", "is no object")
        found = {"counts": dict(self._counts), "lines": self._lines - 1, "sha256": self._digest.hexdigest()}
        for name, what in found.items():
            if value.get(name) != what:
                raise InvalidRecord(f"manifest.{name}", f"is {value.get(name)!r}; of the lines before it is {what!r}")
        self._manifest = value

    def _check_head(self, value: Any) -> None:
        if not isinstance(value, list) or [type(each) for each in value] != [str, str, str, int, int, str]:
            raise InvalidRecord("head", "is not a kind, a series, a namespace, two numbers and a hash")
        self.notes.set_head(value[0], SeriesHead(*value[1:]))

    def _take_bytes(self, value: Any) -> None:
        sha256, piece = _bytes_of(value)
        known, size, digest = self._content
        if known != sha256:
            size, digest = 0, hashlib.sha256()
        digest.update(piece)
        self._content = sha256, size + len(piece), digest

    def _check_record(self, kind: str, given: Any) -> None:
        record = require_complete(given.cleaned())
        self._counts[kind] += 1
        place = _place(kind, record)
        if self._place and ORDER.index(kind) < ORDER.index(self._place[0]):
            raise InvalidRecord(kind, f"stands after a record of the kind {self._place[0]!r}")
        is_same_series = place[:-1] == self._place[:-1]
        if is_same_series and place[-1] <= self._place[-1]:
            raise InvalidRecord(kind, f"{place[-1]!r} stands after {self._place[-1]!r}")
        if kind == "session":
            self.notes.add("session", record.id)
        elif not is_same_series and kind in ("message", "event", "checkpoint"):
            self._require_session(record)
        elif kind == "artifact":
            self._check_artifact(record)
        if series := _CHAINED.get(type(record)):
            self._check_hash(kind, series, record, is_same_series)
        self._place = place

    def _require_session(self, record: Any) -> None:
        if not self.notes.has("session", record.session_id):
            raise InvalidRecord("session_id", f"is {record.session_id!r}, a session that the file does not have")

    def _check_hash(self, kind: str, series: Chained[Any], record: Any, goes_on: bool) -> None:
        if not goes_on:
            head = self.notes.head(kind, series.owner(record))
            self._number, self._hash = head.base_seq, head.base_hash
        if record.seq_num != self._number + 1:
            raise InvalidRecord("seq_num", f"is {record.seq_num}; the chain goes on with {self._number + 1}")
        if not series.follows(self._hash, record, series.text(record)):
            raise InvalidRecord("hash", f"of number {record.seq_num} doesn't continue the chain")
        self._number, self._hash = record.seq_num, record.hash

    def _check_artifact(self, record: Artifact) -> None:
        if record.session_id:
            self._require_session(record)
        sha256, size, digest = self._content
        if sha256 == record.sha256 or not record.size:
            if (size if sha256 else 0, digest.hexdigest()) != (record.size, record.sha256):
                raise InvalidRecord("bytes", f"of the artifact {record.id!r} are not those of its SHA-256")
            self.notes.add("bytes", record.sha256)
            self._content = "", 0, hashlib.sha256()
        elif not self.notes.has("bytes", record.sha256):
            raise InvalidRecord("bytes", f"of the artifact {record.id!r} are missing")


def _bytes_of(value: Any) -> tuple[str, bytes]:
    """The digest and the bytes of a line of them."""
    try:
        sha256, text = value
        return str(sha256), base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise InvalidRecord("bytes", f"are not a SHA-256 and base64: {error}") from None


def _place(kind: str, record: Any) -> tuple[Any, ...]:
    """Of which series a record is, and where in it: what comes later has more."""
    if series := _CHAINED.get(type(record)):
        return kind, series.owner(record), record.seq_num
    if kind in ("message", "checkpoint"):
        return kind, record.session_id, getattr(record, "namespace", ""), record.seq_num
    return kind, record.id, 0
