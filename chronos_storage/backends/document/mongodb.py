"""The driver that keeps documents in MongoDB, and the backend over it.

Two kinds of MongoDB's documents are in one collection, told apart by how their ``_id`` begins:

- ``d`` and the parts of a key: a document, its body (``b``), its places (``e``) and its version (``v``). ``t`` counts
  the commits of which it was a mere condition.
- ``e`` and the parts of a partition and a place in it: an entry, with the ``_id`` of what is there (``k``), and where
  its body is longer than a thousand characters, the power of two below which its length is (``s``).

What begins with ``l`` is of `MongoLine`.

An index over the places themselves would not do: MongoDB can't walk along one that has several places for a document.
"""

from __future__ import annotations

import threading
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any, NamedTuple

from pymongo import DeleteOne, InsertOne, MongoClient, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from ...exceptions import ConfigurationError, RetryTransaction
from .backend import DocumentBackend
from .driver import Document, Entry, Key, Write, up_to_size
from .entries import Entries
from .mongodb_line import MongoLine
from .mongodb_server import TRANSACTION, Found, MongoServer, is_conflict
from .pieces import InPieces
from .recent import Recent

#: Those that are asked for in one command, at most.
_MANY = 1000
#: Up to so many one command does several things; of more each is a command, which is quicker then.
_FEW = 50
#: The protocol of MongoDB 5.3, since which collections can be clustered.
_CLUSTERED = 16
_EXISTS = 48
#: What a body's characters are taken for where its entries don't say.
_SHORT = 1024
#: So many documents are looked up each by itself; of so many entries they come along, if they are no longer than this.
_FEW_READ, _NEAR = 20, 1 << 14
#: No stored version: what is written under it replaces nothing.
_NONE = -1
_random = SystemRandom()


class _Awaited(Document):
    """A document at which somebody had his turn when it was read."""

    __slots__ = ()


class _Place(NamedTuple):
    """A place of a scan, with the id of what is there, and about its length."""

    place: str
    id: str
    length: int


class MongoDriver(InPieces):
    """Documents in a collection of MongoDB's.

    A commit is a transaction, or one conditional write; it has returned once a majority has it in its journal, and
    nothing is read that could be rolled back.
    """

    #: What a transaction does within some seconds of the minute that it may take.
    most = (20_000, 64 * 1024 * 1024)

    def __init__(self, server: MongoServer) -> None:
        self.server = server
        #: The token of the turn that a thread has.
        self._turns = threading.local()
        self._recent = Recent()

    def __repr__(self) -> str:
        return f"MongoDriver({str(self.server)!r})"

    # Reading

    def read_kept(self, keys: Iterable[Key]) -> dict[Key, Document]:
        with self.server.asked() as client:
            found = _by_id(self.server.documents(client), map(_id_of, keys))
            return {document.key: document for document in map(_document, found)}

    def scan_kept(
        self, partition: Key, *, above: str | None, below: str | None, reverse: bool, limit: int, size: int
    ) -> list[tuple[str, Document]]:
        if limit <= 0:
            return []
        prefix = _entry_id(partition, "")
        bounds = {
            "$gt" if above is not None else "$gte": prefix + (above or ""),
            "$lt": f"{prefix[:-1]}\x01" if below is None else prefix + below,
        }
        steps: list[Found] = [
            {"$match": {"_id": bounds}},
            {"$sort": {"_id": -1 if reverse else 1}},
            {"$limit": limit},
        ]
        with self.server.asked() as client, client.start_session(snapshot=True) as session:
            collection = self.server.documents(client)
            if limit <= _FEW_READ:
                near = {"$cond": [{"$gt": ["$s", _NEAR]}, None, "$k"]}
                steps += [{"$set": {"near": near}}, _lookup(collection, "near")]
            entries = list(collection.aggregate(steps, session=session, batchSize=limit + 1))
            places = [_Place(entry["_id"][len(prefix) :], entry["k"], entry.get("s", _SHORT)) for entry in entries]
            found = [each for entry in entries for each in entry.get("found", ())]
            return up_to_size(_in_parts(collection, session, places, found, size), size)

    # Writing

    def commit_at_once(self, writes: Sequence[Write], *, in_turn: bool = True) -> bool:
        conditions = [write for write in writes if write.now is write.was]
        with self.server.asked() as client:
            if len(conditions) == len(writes):
                return self._holds(client, conditions)
            turn = getattr(self._turns, "token", None)
            turns = [None, turn] if in_turn else None
            if turns == [None, None] and any(
                write.now is not write.was and isinstance(write.was, _Awaited) for write in writes
            ):
                return False  # as the condition would find too, in the way of who has his turn
            work = _Work(writes, turns)
            collection = self.server.documents(client)
            try:
                if len(writes) == len(work.requests) == 1:
                    is_done = work.done(collection, None)
                else:
                    with client.start_session() as session, session.start_transaction(**TRANSACTION):
                        is_done = work.done(collection, session)
                        if not is_done:
                            session.abort_transaction()
            except OperationFailure as error:
                if is_conflict(error):
                    return False
                raise
        if is_done:
            self._recent.committed(writes, work.version)
        return is_done

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return self._recent.recall(keys)

    def _holds(self, client: MongoClient[Found], conditions: Sequence[Write]) -> bool:
        """Whether all of this is there, at one moment."""
        expected = {_id_of(key): was.version for key, was, _ in conditions if was is not None}
        with client.start_session(snapshot=True) as session:
            ids = [_id_of(key) for key, *_ in conditions]
            found = _by_id(self.server.documents(client), ids, session, {"v": 1})
            return {document["_id"]: document["v"] for document in found} == expected

    @contextmanager
    def turn(self, keys: Set[Key], patience: float) -> Iterator[None]:
        line = MongoLine(self.server, list(map(_id_of, keys)))
        self._turns.token, self._turns.line = line.token, line
        try:
            # Without a server nobody is first; the attempt that follows says so.
            with suppress(RetryTransaction):
                line.wait(patience)
            yield
        finally:
            del self._turns.token
            with suppress(RetryTransaction):
                line.leave()

    def keep_turn(self) -> None:
        if hasattr(self._turns, "token"):
            self._turns.line.stand()

    # The store itself

    def now(self) -> datetime:
        with self.server.asked() as client:
            told: datetime = client.admin.command("hello")["localTime"]
        return told.replace(tzinfo=UTC)

    def describe(self) -> str:
        with self.server.asked() as client:
            self.server.require_replica_set(client)
            version = client.server_info()["version"]
        return f"MongoDB {version}, {self.server}"

    def prepare(self) -> None:
        with self.server.asked() as client:
            oldest = self.server.require_replica_set(client)
            collection = self.server.documents(client)
            clustered: Any = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}} if oldest >= _CLUSTERED else {}
            try:
                collection.database.create_collection(collection.name, check_exists=False, **clustered)
            except OperationFailure as error:
                if error.code != _EXISTS:
                    raise
            known = collection.options()
            if "collation" in known or known.get("capped"):
                raise ConfigurationError(
                    f"the collection {collection.full_name} has a collation, or is capped: name another one"
                )
            ends = [collection.find_one(projection={"_id": 1}, sort={"_id": order}) for order in (1, -1)]
            if not all(isinstance(end["_id"], str) for end in ends if end is not None):
                raise ConfigurationError(
                    f"the collection {collection.full_name} has documents of somebody else: name another one"
                )
        self.take_away_marks()

    def close(self) -> None:
        self.server.close()


class MongoBackend(DocumentBackend):
    """Records in MongoDB.

    Args:
        url: ``mongodb://user:password@host:27017/name?options``, or ``mongodb+srv://``; the options are MongoDB's own.
        database: its name; without one the address's, or else "chronos".
        collection: in which all records are.
    """

    def __init__(self, url: str, database: str = "", collection: str = "storage") -> None:
        super().__init__(MongoDriver(MongoServer(url, database, collection)))


class _Work:
    """A commit as MongoDB's writes, each on its condition.

    Args:
        turns: whose turn it may be at what is changed; None for anybody's.
    """

    def __init__(self, writes: Sequence[Write], turns: list[str | None] | None) -> None:
        absent: list[str] = []
        gone: list[str] = []
        #: That of what is written.
        self.version = version = _random.getrandbits(63)
        changes: list[Any] = []
        removed: list[Found] = []
        new: list[Found] = []
        for key, was, now in writes:
            id = _id_of(key)
            before, after = _entries(id, was), _entries(id, now)
            gone += [entry for entry in before if entry not in after]
            new += [fields | {"_id": entry} for entry, fields in after.items() if entry not in before]
            if was is None:
                if now is None:
                    absent.append(id)
                else:
                    new.append({"_id": id, "b": now.body, "e": list(after), "v": version})
                continue
            condition: Found = {"_id": id, "v": was.version}
            if now is not was and turns is not None:
                condition["turn"] = {"$in": turns}
            if now is None:
                removed.append(condition)
            elif now is was:
                # A mere condition is written too: only so another transaction that changes it is in the way of this.
                changes.append(UpdateOne(condition, {"$inc": {"t": 1}}))
            else:
                values: Found = {"b": now.body, "v": version}
                if before.keys() != after.keys():
                    values["e"] = list(after)
                changes.append(UpdateOne(condition, {"$set": values}))
                for entry, fields in after.items():
                    if before.get(entry, fields) != fields:
                        changes.append(ReplaceOne({"_id": entry}, fields))
        # Each by itself: for several in one condition, the server goes through all that is between them.
        removals = list(map(DeleteOne, [*removed, *({"_id": id} for id in [*absent, *gone])]))
        if len(new) > _FEW:
            inserts: list[Any] = list(map(InsertOne, new))
        else:  # with what changes, these are one command
            inserts = [ReplaceOne({"_id": each.pop("_id"), "v": _NONE}, each, upsert=True) for each in new]
        #: What must not be there is put there for a moment, so that nobody else does.
        self.requests = [*(InsertOne({"_id": id}) for id in absent), *removals, *changes, *inserts]
        self._changed, self._removed = len(changes), len(removed) + len(absent) + len(gone)
        self._new = len(new) + len(absent)

    def done(self, collection: Collection[Found], session: ClientSession | None) -> bool:
        """Write; whether all conditions held."""
        result = collection.bulk_write(self.requests, session=session)
        return (result.matched_count, result.deleted_count, result.upserted_count + result.inserted_count) == (
            self._changed,
            self._removed,
            self._new,
        )


# What is read


def _by_id(
    collection: Collection[Found],
    ids: Iterable[str],
    session: ClientSession | None = None,
    fields: Mapping[str, int] | None = None,
) -> Iterator[Found]:
    """These documents, in any order.

    For several in one condition the server goes through all that is between the first and the last of them, as far as
    they are in a clustered collection. That is quick where they lie close together, and so done for so many as may; the
    others are looked up each by itself.
    """
    wanted = sorted(set(ids))
    shown: list[Found] = [{"$project": fields}] if fields else []
    for start in range(0, len(wanted), _MANY):
        some = wanted[start : start + _MANY]
        if len(some) > _FEW_READ:
            steps: list[Found] = [
                {"$match": {"_id": {"$gte": some[0], "$lte": some[-1]}}},
                {"$sort": {"_id": 1}},
                {"$limit": 2 * len(some)},
                {"$match": {"_id": {"$in": some}}},
            ]
            # All in one answer, which MongoDB begins with a hundred of them unless it is asked for more.
            last = ""
            for found in collection.aggregate([*steps, *shown], session=session, batchSize=len(some) + 1):
                last = found["_id"]
                yield found
            some = some[bisect(some, last) :]
        if len(some) == 1:
            yield from collection.find({"_id": some[0]}, fields, session=session)
        elif some:
            steps = [
                {"$sort": {"_id": -1}},  # where a short one is
                {"$limit": 1},
                {"$project": {"_id": 0, "id": {"$literal": some}}},
                {"$unwind": "$id"},
                _lookup(collection, "id"),
                {"$unwind": "$found"},
                {"$replaceRoot": {"newRoot": "$found"}},
            ]
            yield from collection.aggregate([*steps, *shown], session=session, batchSize=len(some) + 1)


def _lookup(collection: Collection[Found], field: str) -> Found:
    """The step that finds the document whose `_id` a field has."""
    return {"$lookup": {"from": collection.name, "localField": field, "foreignField": "_id", "as": "found"}}


def _in_parts(
    collection: Collection[Found], session: ClientSession, places: list[_Place], near: list[Found], size: int
) -> Iterator[tuple[str, Document]]:
    """The documents at these places; those that are not near are read so many at a time as may have `size` characters
    together.
    """
    found = {each["_id"]: each for each in near}
    while places:
        total = 0
        count = 0
        for _, _, length in places:
            total += length
            count += 1
            if total >= size:
                break
        part, places = places[:count], places[count:]
        far = [id for _, id, _ in part if id not in found]
        found |= {each["_id"]: each for each in _by_id(collection, far, session)}
        for place, id, _ in part:
            yield place, _document(found[id])


def _document(found: Found) -> Document:
    kind = _Awaited if "turn" in found else Document
    return kind(tuple(found["_id"][1:].split("\x00")), found["b"], Entries(found["e"], _read_ids), found["v"])


# Ids: parts have no NUL, so that one ends each


def _id_of(key: Key) -> str:
    return "d" + "\x00".join(key)


def _entries(id: str, document: Document | None) -> dict[str, Found]:
    """The other fields of a document's entries, by their ids."""
    if document is None:
        return {}
    length = len(document.body)
    fields: Found = {"k": id} if length < _SHORT else {"k": id, "s": 1 << length.bit_length()}
    return {_entry_id(*entry): fields for entry in document.entries}


def _entry_id(partition: Key, sort: str) -> str:
    """As a place may begin with NULs, the number of parts before it is there too."""
    return f"e{len(partition)}\x00" + "".join(f"{part}\x00" for part in partition) + sort


def _read_ids(ids: list[str]) -> Iterator[Entry]:
    return map(_entry, ids)


def _entry(id: str) -> Entry:
    count, _, rest = id[1:].partition("\x00")
    *partition, sort = rest.split("\x00", int(count))
    return Entry(tuple(partition), sort)
