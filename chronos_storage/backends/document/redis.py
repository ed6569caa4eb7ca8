"""The driver that keeps documents in Redis, and the backend over it."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import methodcaller
from typing import Any
from uuid import uuid4

from ... import records
from ...exceptions import ConfigurationError, StoreFailure
from .backend import DocumentBackend
from .driver import Document, Entry, Key, Unavailable, Write
from .entries import Entries
from .pieces import InPieces
from .recent import Recent
from .redis_scripts import COMMIT, LEAVE, SCAN, STAND
from .redis_server import RedisServer, open_server

#: So many documents are asked for at once.
_MANY = 1000
#: How long what has expired is still kept, as elsewhere it is for good: put again, it keeps its id.
_GRACE = timedelta(hours=1)
#: Bytes of a commit: a server takes a gigabyte from a client.
_MAX_BYTES = 512 * 1024 * 1024
_OLDEST = 7
#: Seconds after which who waits in a line looks whether those before him are still there.
_LOOK = 0.5


class RedisDriver(InPieces):
    """Documents in Redis 7 or later, or in what speaks as it does, under keys that begin with ``{base}:``.

    Args:
        server: where.
        base: how the keys of the store begin, so that several can share a server.
    """

    def __init__(self, server: RedisServer, base: str) -> None:
        if not base or {"{", "}"} & set(base):
            raise ConfigurationError("base, with which the keys begin, must be some text without braces")
        self.server = server
        self._base = base
        #: How all keys begin: with the hash tag.
        self.prefix: str = f"{{{base}}}:"
        self._documents, self._indexes = f"{self.prefix}d:", f"{self.prefix}i:"
        #: The token of the turn that a thread has.
        self._turns = threading.local()
        self._recent = Recent()

    def __repr__(self) -> str:
        return f"RedisDriver({str(self.server)!r}, base={self._base!r})"

    def read_kept(self, keys: Iterable[Key]) -> dict[Key, Document]:
        wanted = list(keys)
        found = {}
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            values = self.server.ask(partial(_values, list(map(self._name, some))))
            for key, value in zip(some, values, strict=True):
                if value is not None:
                    found[key] = _document(key, memoryview(value))
        return found

    def scan_kept(
        self, partition: Key, *, above: str | None, below: str | None, reverse: bool, limit: int, size: int
    ) -> list[tuple[str, Document]]:
        # A member ends with the document's key, in which no byte is as high as this one.
        low = b"-" if above is None else b"(" + _place(above).encode() + b"\xff"
        high = "+" if below is None else f"({_place(below)}"
        arguments = [self._documents, low, high, int(reverse), limit, size]
        if limit <= 0 or size <= 0:
            return []
        texts = self._run(SCAN, self._index(partition), arguments)
        return [found for text in texts for found in _placed(text)]

    def commit_at_once(self, writes: Sequence[Write], *, in_turn: bool = True) -> bool:
        contested = [write for write in writes if in_turn and write.was is not None and write.now is not write.was]
        others = [write for write in writes if not in_turn or write.was is None or write.now is write.was]
        arguments: list[Any] = [getattr(self._turns, "token", ""), len(contested), len(writes)]
        for write in [*contested, *others]:
            arguments += [self._name(write.key), "" if write.was is None else f"{write.was.version:016}"]
        if any(write.now is not write.was for write in writes):
            arguments += self._changes(writes)
        if _bytes(arguments) > _MAX_BYTES:
            raise StoreFailure(
                f"what is written at once is more than {_MAX_BYTES >> 20} MiB, which Redis does not take"
            )
        version = int(self._run(COMMIT, self.prefix, arguments))
        if version:
            self._recent.committed(writes, version)
        return bool(version)

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return self._recent.recall(keys)

    def _changes(self, writes: Sequence[Write]) -> list[Any]:
        """The arguments of a commit that say what is written and removed."""
        puts: list[Any] = []
        gone: list[str] = []
        passing: list[Any] = []
        places: dict[Key, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for key, was, now in writes:
            if now is was:
                continue
            name, suffix = self._name(key), "\x00\x00" + "\x00".join(key)
            before = was.entries if was else ()
            after = now.entries if now else ()
            if before != after:
                for entry in set(before).difference(after):
                    places[entry.partition][0].append(_escaped(entry.sort) + suffix)
                for entry in set(after).difference(before):
                    places[entry.partition][1].extend(("0", _escaped(entry.sort) + suffix))
            if now is None:
                gone.append(name)
            elif now.expires_at is None:
                puts += [name, _value(now), ""]
            else:
                lasts = _milliseconds(max(now.expires_at - records.now(), timedelta()) + _GRACE)
                puts += [name, _value(now), lasts]
                indexed = [[self._index(entry.partition), _escaped(entry.sort) + suffix] for entry in after]
                passing += [lasts, json.dumps([name, indexed])]
        arguments = [len(puts) // 3, *puts, len(gone), *gone, len(places)]
        for partition, (removed, added) in places.items():
            arguments += [self._index(partition), len(removed), *removed, len(added), *added]
        return [*arguments, len(passing) // 2, *passing]

    def _name(self, key: Key) -> str:
        return self._documents + "\x00".join(key)

    def _index(self, partition: Key) -> str:
        return self._indexes + "\x00".join(partition)

    @contextmanager
    def turn(self, keys: Set[Key], patience: float) -> Iterator[None]:
        deadline = time.monotonic() + patience
        self._turns.token = token = uuid4().hex
        self._turns.arguments = arguments = [token, *map(self._name, keys)]
        try:
            # Without a server nobody is first; the attempt that follows says so.
            with suppress(Unavailable):
                while self._run(STAND, self.prefix, arguments) and (left := deadline - time.monotonic()) > 0:
                    self.server.ask(methodcaller("blpop", f"{self.prefix}wake:{token}", min(left, _LOOK)))
            yield
        finally:
            del self._turns.token
            with suppress(Unavailable):
                self._run(LEAVE, self.prefix, arguments)

    def keep_turn(self) -> None:
        if hasattr(self._turns, "token"):
            self._run(STAND, self.prefix, self._turns.arguments)

    def now(self) -> datetime:
        seconds, microseconds = self.server.ask(methodcaller("time"))
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)

    def _run(self, script: str, key: str, arguments: list[Any]) -> Any:
        return self.server.run(script, key, arguments)

    def describe(self) -> str:
        about = self.server.about()
        if about.problem:
            raise StoreFailure(f"Redis at {self.server} {about.problem}")
        return about.version

    def prepare(self) -> None:
        """See that the server can be used; there is nothing to make, but what the dead have left to take away."""
        about = self.server.about()
        if about.number < _OLDEST:
            raise ConfigurationError(f"the storage needs Redis {_OLDEST}.0 or later; {self.server} has {about.version}")
        self.take_away_marks()

    def close(self) -> None:
        self.server.close()


class RedisBackend(DocumentBackend):
    """Records in Redis, or in what speaks as it does, such as Valkey.

    What is acknowledged is as durable as the server is set up to be: the page on backends says what to set.

    Args:
        address: ``host:port``.
        password: empty for none.
        database: its number.
        url: instead of those three ``redis://user:password@host:port/database``, or ``rediss://`` for TLS, or
            ``unix:///path``. Its query may have the options below, and what redis-py calls ``ssl_ca_certs``,
            ``ssl_certfile``, ``ssl_keyfile``, ``ssl_cert_reqs`` and so on.
        base: how the store's keys begin, so that several can share a database.
        cluster: whether the server is part of a cluster, which keeps the whole store on one of its nodes.
        timeout: seconds that an answer is waited for.
        max_connections: how many there are at most in this process.
    """

    def __init__(
        self,
        address: str = "localhost:6379",
        password: str = "",
        database: int = 0,
        *,
        url: str = "",
        **options: Any,
    ) -> None:
        server, base = open_server(address, password, database, url=url, **options)
        super().__init__(RedisDriver(server, base))


def _bytes(arguments: list[Any]) -> int:
    """How much is sent; of what is little, how many characters."""
    texts = [each for each in arguments if isinstance(each, str)]
    count = sum(map(len, texts))
    return count if 4 * count <= _MAX_BYTES else sum(len(text.encode()) for text in texts)


def _values(names: list[str], client: Any) -> list[bytes | None]:
    found: list[bytes | None] = client.mget(names)
    return found


def _value(document: Document) -> str:
    """What is kept of a document, behind its version."""
    entries = _text(document.entries)
    return f"{len(entries):08}{len(document.body):08}{entries}{document.body}"


def _text(entries: Sequence[Entry]) -> str:
    """Places as ASCII, which has as many bytes as characters."""
    if isinstance(entries, Entries):
        text: str = entries.text
        return text
    return json.dumps(entries, separators=(",", ":")) if entries else ""


def _document(key: Key, value: memoryview) -> Document:
    """What is kept as a document. The text, which may be long, is copied once."""
    start = 32 + int(value[16:24])
    entries = Entries(str(value[32:start], "ascii")) if start > 32 else ()
    return Document(key, str(value[start:], "utf-8"), entries, int(value[:16]))


def _placed(found: bytes) -> Iterator[tuple[str, Document]]:
    """What is in a text of a scan, after its places."""
    at, view = 0, memoryview(found)
    while at < len(found):
        middle = at + 16 + int(found[at : at + 8])
        end = middle + int(found[at + 8 : at + 16])
        place, _, key = found[at + 16 : middle].partition(b"\x00\x00")
        names = tuple(key.decode().split("\x00"))
        yield place.decode().replace("\x00\x01", "\x00"), _document(names, view[middle:end])
        at = end


def _escaped(sort: str) -> str:
    """A place that can be followed by two NULs, before all that it is the beginning of."""
    return sort.replace("\x00", "\x00\x01") if "\x00" in sort else sort


def _place(sort: str) -> str:
    return f"{_escaped(sort)}\x00\x00"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
