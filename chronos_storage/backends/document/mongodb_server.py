"""The MongoDB server that a driver asks: its client, and errors of ours for the client's."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, InvalidName, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from ...exceptions import ConfigurationError, RetryTransaction, StoreFailure
from ...forks import PerProcess
from .driver import Unavailable

Found: TypeAlias = dict[str, Any]

#: Of the client's options, what the address may say otherwise. A transaction lives for a minute at most.
_OPTIONS = {
    "appName": "chronos_storage",
    "connectTimeoutMS": 10_000,
    "serverSelectionTimeoutMS": 15_000,  # in which others elect a primary
    "socketTimeoutMS": 70_000,
    "waitQueueTimeoutMS": 30_000,
    "maxIdleTimeMS": 600_000,
}
#: The protocol of MongoDB 5.0, since which snapshots can be read outside of transactions.
_OLDEST = 13
_WRITE_CONFLICT, _DUPLICATE = 112, 11000
#: Interrupted by a change of the primary, at its shutdown or as it took too long; a majority could not be waited for;
#: the cursor or the snapshot is gone.
_PASSING = {11600, 11602, 91, 189, 10107, 13435, 50, 64, 100, 262, 43, 239, 246}
DURABLE = WriteConcern("majority", j=True)
TRANSACTION: Any = {
    "read_concern": ReadConcern("snapshot"),
    "read_preference": ReadPreference.PRIMARY,
    "write_concern": DURABLE,
}
_RETRYABLE = ("RetryableWriteError", "UnknownTransactionCommitResult")
#: What a transaction that takes too long, or doesn't fit the cache, is ended with.
_TOO_MUCH = {290, 388}
#: Who asks is not known, or may not.
_NOT_LET_IN = {13, 18, 8000}
#: What transactions, and snapshots, are refused with by a server that stands alone.
_NO_REPLICA_SET = {20, 123}
_ALONE = (
    "this MongoDB server stands alone, and transactions need a replica set, of one server at least: start mongod with"
    " --replSet rs0, and run rs.initiate() in mongosh once"
)


@dataclass(slots=True)
class _Shared:
    """A client, and how many calls are under way with it; once it is closed the last of them closes it."""

    client: MongoClient[Found]
    users: int = 0


class MongoServer(PerProcess):
    """A collection of a MongoDB replica set, or of a sharded cluster.

    Threads share its client, whose connections are a pool; a forked child makes a client of its own.

    Args:
        url: MongoDB's address.
        database: its name; without one the address's, or else "chronos".

    Raises:
        ConfigurationError: the address is none of MongoDB's.
    """

    def __init__(self, url: str, database: str, collection: str) -> None:
        try:
            place = urlsplit(url)
            name = unquote(place.path[1:])
            if not url.startswith("mongodb+srv://"):  # whose servers are looked up when they are needed
                parse_uri(url)
        except (PyMongoError, ValueError):  # whose message may have parts of the password
            raise ConfigurationError(
                "the address of a MongoDB store is written mongodb://user:password@host:27017/name, with what is"
                " special in the user and the password percent-encoded"
            ) from None
        self._hosts = place.netloc.rpartition("@")[2]
        self._url, self._database, self.collection = url, database or name or "chronos", collection
        self._shared: _Shared | None = None
        self._documents: Collection[Found] | None = None
        #: Those of processes that this one was forked from, which are theirs to close.
        self._inherited: list[_Shared] = []
        super().__init__()

    def __str__(self) -> str:
        return f"{self._hosts} {self._database}.{self.collection}"

    def begin(self) -> None:
        self._lock = threading.Lock()
        if self._shared is not None:
            self._inherited.append(self._shared)
            self._shared = None

    @contextmanager
    def asked(self) -> Iterator[MongoClient[Found]]:
        """The client, which is not closed meanwhile; its errors are ours."""
        with self._lock:
            if self._shared is None:
                self._shared = _Shared(self._connected())
            shared = self._shared
            shared.users += 1
        try:
            with _translated():
                yield shared.client
        finally:
            with self._lock:
                shared.users -= 1
                is_left = not shared.users and shared is not self._shared
            if is_left:
                shared.client.close()

    def close(self) -> None:
        with self._lock:
            shared, self._shared = self._shared, None
            is_left = shared is not None and not shared.users
        if shared is not None and is_left:
            shared.client.close()

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # The client misses it otherwise; it is not there where the address was refused. At the end nor are modules.
        if not is_finalizing() and hasattr(self, "_lock"):
            self.close()

    def _connected(self) -> MongoClient[Found]:
        given = {name.lower() for name in parse_qs(urlsplit(self._url).query, keep_blank_values=True)}
        options: Any = {name: value for name, value in _OPTIONS.items() if name.lower() not in given}
        return MongoClient(self._url, **options)

    def documents(self, client: MongoClient[Found]) -> Collection[Found]:
        """The collection, for durable writes, and to read what a majority has."""
        known = self._documents  # to make it takes as long as much of a read
        if known is not None and known.database.client is client:
            return known
        database = client.get_database(
            self._database,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
            write_concern=DURABLE,
        )
        self._documents = database[self.collection]
        return self._documents

    def require_replica_set(self, client: MongoClient[Found]) -> int:
        """See that the server knows transactions; returns the newest protocol that it speaks."""
        server = client.admin.command("hello")
        if "setName" not in server and server.get("msg") != "isdbgrid":
            raise ConfigurationError(_ALONE)
        newest = int(server["maxWireVersion"])
        if newest < _OLDEST:
            raise ConfigurationError("MongoDB 5.0 or later is needed")
        return newest


def is_conflict(error: OperationFailure) -> bool:
    """Whether another transaction, or what it has written, is in the way."""
    codes = {problem.get("code") for problem in _problems(error)}
    is_passing = error.has_error_label("TransientTransactionError") and not codes & _TOO_MUCH
    return is_passing or bool(codes & {_WRITE_CONFLICT, _DUPLICATE})


@contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of ours for the client's."""
    try:
        yield
    except ServerSelectionTimeoutError as error:  # which has waited, and is worth no more attempts now
        raise RetryTransaction("no MongoDB server was found that takes writes") from error
    except ConnectionFailure as error:
        raise Unavailable("the connection with MongoDB was lost, or none could be made") from error
    except InvalidName as error:
        raise ConfigurationError(f"the names of the database and the collection must be MongoDB's: {error}") from error
    except OperationFailure as error:
        problems = _problems(error)
        codes = {problem.get("code") for problem in problems}
        message = next((problem["errmsg"] for problem in problems if "errmsg" in problem), f"error {error.code}")
        if codes & _NO_REPLICA_SET:
            raise ConfigurationError(_ALONE) from error
        if codes & _NOT_LET_IN:
            raise ConfigurationError(f"MongoDB does not let us in: {message}") from error
        if codes & _TOO_MUCH:
            raise StoreFailure(
                "what is written at once is too much for a transaction of this MongoDB server; its parameter"
                f" transactionLifetimeLimitSeconds says how long one may take: {message}"
            ) from error
        if codes & _PASSING or any(map(error.has_error_label, _RETRYABLE)):
            raise Unavailable(f"MongoDB broke it off: {message}") from error
        raise StoreFailure(f"MongoDB refused it: {message}") from error
    except PyMongoError as error:
        raise StoreFailure(f"MongoDB can't do it: {error}") from error


def _problems(error: OperationFailure) -> list[Mapping[str, Any]]:
    """What the server says of an error, which of several writes may be several."""
    details: Mapping[str, Any] = error.details or {}
    return [*details.get("writeErrors", []), *details.get("writeConcernErrors", []), details, {"code": error.code}]
