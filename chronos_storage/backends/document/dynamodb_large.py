"""Commits that are more than one of DynamoDB's transactions.

A record of the commit says whether it is: first it is pending (``s`` is ``p``), and all that the commit is about to do
is noted in the items (``t``, ``a``, ``n``), on their conditions, where no reader sees it. One conditional write of the
record then makes it committed (``c``), or given up (``a``), and so all that was noted counts for everybody at once, or
not at all. Last the items become what was noted, or again what they were, and the record goes.

If its writer is killed in between, whoever meets what he has noted finishes it: he gives up what is pending, and goes
on with what is committed. A writer is taken for dead whose record, in which he counts his steps, hasn't changed for
some seconds of who looks at it: no two hosts' clocks are compared.

Pieces of large bodies are written before, and those of the bodies that were there before are removed after; the record
has a list of both, by which those of who was killed are found.

`InPieces`, by which Redis and MongoDB make large commits, would not do here. It marks what comes and what goes; what is
changed besides, it changes at once, with the word that the commit is done. Here a hundred items are all that can be
done at once, of which messages in seven sessions change more; and a body that is larger than an item, alone in its
commit, needs pieces, their record and who finishes what the dead have left in any case.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Collection
from contextlib import suppress
from uuid import uuid4

from ...exceptions import StoreFailure
from ...forks import PerProcess
from .dynamodb_changes import Change, Changes, piece_addresses, piece_items
from .dynamodb_items import AFTER, ALONE, Address, Item, address_of
from .dynamodb_server import DynamoServer, NotFulfilled

#: Seconds after which a writer is dead whose record doesn't change; and those of his own clock, for the sweep.
DEAD_AFTER, _SWEPT_AFTER = 10.0, 3600
#: So many times items are read anew whose commits are over when they are looked at.
_LOOKS = 100
_PENDING, _COMMITTED, _GIVEN_UP = "p", "c", "a"
_STEP = "SET #beat = :beat, #at = :at, s = :s"
_IS_PENDING = "s = :p"
_NAMES = {"#beat": "beat", "#at": "at"}


class LargeCommits(PerProcess):
    """The large commits of a table, those of dead writers too."""

    def __init__(self, server: DynamoServer) -> None:
        self._server = server
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        #: By token, of those that were met: the step at which they are, and since when.
        self._met: dict[str, tuple[str, float]] = {}

    # Reading

    def resolved(self, items: dict[Address, Item]) -> dict[Address, Item]:
        """Items that were read, as they are for everybody: what has been noted in them counts, or doesn't yet."""
        result = {address: item for address, item in items.items() if "t" not in item}
        noted = {address: item for address, item in items.items() if "t" in item}
        for _ in range(_LOOKS):
            if not noted:
                return result
            states = self._states({item["t"]["S"] for item in noted.values()})
            over = []
            for address, item in noted.items():
                if (state := states.get(item["t"]["S"])) is None:
                    over.append(address)
                elif (now := _after(item) if state == _COMMITTED else _before(item)) is not None:
                    result[address] = now
            items = self._server.items(over)
            result |= {address: item for address, item in items.items() if "t" not in item}
            noted = {address: item for address, item in items.items() if "t" in item}
        raise StoreFailure("items of DynamoDB's name commits that are not there: were some removed by other ways?")

    def _states(self, tokens: Collection[str]) -> dict[str, str]:
        """At which step commits are, of those that are not over; what a dead writer has left is finished."""
        records = self._server.items([_record(token) for token in tokens])
        for address, record in records.items():
            if self._is_dead(address.sk.decode(), record["beat"]["N"]):
                self._finish(address.sk.decode())
        return {address.sk.decode(): record["s"]["S"] for address, record in records.items()}

    def _is_dead(self, token: str, beat: str) -> bool:
        now = time.monotonic()
        with self._lock:
            last, since = self._met.get(token, ("", now))
            if last != beat:
                self._met[token] = (beat, now)
                return False
        return now - since > DEAD_AFTER

    # Writing

    def write(self, changes: Changes) -> None:
        """Do it, all or nothing.

        Raises:
            NotFulfilled: a condition didn't hold, or somebody took this writer for dead; nothing was written.
        """
        commit = _Commit(self._server, changes)
        commit.begin()
        try:
            commit.write()
        except NotFulfilled:
            self._finish(commit.token)
            # Who was taken for dead may have written some since.
            self._server.remove(address for name in changes.pieces for address in piece_addresses(name))
            raise
        self._end(commit.token, commit.notes, is_committed=True)

    # What is left to do

    def sweep(self) -> None:
        """Finish what writers have left who died a long time ago, by their own clocks."""
        for page in self._server.query(_RECORDS, b"", AFTER * 64):
            for record in page:
                if int(record["at"]["N"]) < time.time() - _SWEPT_AFTER:
                    self._finish(address_of(record).sk.decode())

    def _finish(self, token: str) -> None:
        """Give a commit up unless it is committed, have its items be what they are then, and forget it."""
        with suppress(NotFulfilled):  # which it is where that is decided, or over
            self._server.transact([_record_change(token, _GIVEN_UP)])
        record = self._server.items([_record(token)]).get(_record(token))
        if record is not None:
            notes = [note for page in self._server.query(_notes(token), ALONE, AFTER) for note in page]
            self._end(token, notes, is_committed=record["s"]["S"] == _COMMITTED)
        with self._lock:
            self._met.pop(token, None)

    def _end(self, token: str, notes: list[Item], *, is_committed: bool) -> None:
        """Have the items of a commit be what they are by the decision, and forget it."""
        for note in reversed(notes):  # so that documents, by which places are locked, are last
            addresses, new, gone = _noted(note)
            self._settle(token, addresses, is_committed)
            pieces = gone if is_committed else new
            self._server.remove(address for name in pieces for address in piece_addresses(name))
        self._server.remove([*map(address_of, notes), _record(token)])

    def _settle(self, token: str, addresses: list[Address], is_committed: bool) -> None:
        """Have items be what they are by the decision, those that are not so yet."""
        items = self._server.items(addresses)
        operations = [
            _settled(item, _after(item) if is_committed else _before(item))
            for address in addresses
            if (item := items.get(address)) is not None and item.get("t") == {"S": token}
        ]
        try:
            if operations:
                self._server.transact(operations)
        except NotFulfilled:  # somebody else is at it too
            for operation in operations:
                with suppress(NotFulfilled):
                    self._server.transact([operation])


class _Commit:
    """A commit under way."""

    def __init__(self, server: DynamoServer, changes: Changes) -> None:
        self.token = uuid4().hex
        self._server, self._changes = server, changes
        self._beat = 0
        #: What it has noted.
        self.notes: list[Item] = []

    def begin(self) -> None:
        self._server.transact([self._stepped(_PENDING, "attribute_not_exists(pk)")])

    def write(self) -> None:
        if self._changes.fit:
            self._note(0, self._changes.all, with_items=False)
            self.decide([change.operation() for change in self._changes.all])
            return
        for number, batch in enumerate(self._changes.batches()):
            self._note(number, batch, with_items=True)
            self._server.transact([self._stepped(_PENDING), *(self._intended(change) for change in batch)])
        self.decide([])

    def decide(self, operations: list[Item]) -> None:
        self._server.transact([self._stepped(_COMMITTED), *operations])

    def _note(self, number: int, batch: list[Change], *, with_items: bool) -> None:
        """List what is about to be written, so that it is found again; and write the pieces."""
        addresses = [[change.address.pk, change.address.sk.hex()] for change in batch] if with_items else []
        new, gone = ([name for change in batch if (name := getattr(change, which))] for which in ("new", "gone"))
        note = Address(_notes(self.token), ALONE + number.to_bytes(4, "big")).key | {
            "m": {"B": zlib.compress(json.dumps([addresses, new, gone]).encode(), 1)}
        }
        self.notes.append(note)
        self._server.transact([self._stepped(_PENDING), {"Put": {"Item": note}}])
        for name in new:
            self._server.write(piece_items(name, self._changes.pieces[name]))

    def _stepped(self, state: str, condition: str = _IS_PENDING) -> Item:
        self._beat += 1
        return _record_change(self.token, state, self._beat, condition)

    def _intended(self, change: Change) -> Item:
        action = "keep" if change.is_check else "remove" if change.now is None else "put"
        update = "SET t = :t, a = :a"
        values: Item = {":t": {"S": self.token}, ":a": {"S": action}, **(change.values or {})}
        if change.now is not None:
            update += ", n = :n"
            values[":n"] = {"M": change.now}
        condition = {"ConditionExpression": change.condition} if change.condition else {}
        return {
            "Update": {
                "Key": change.address.key,
                "UpdateExpression": update,
                "ExpressionAttributeValues": values,
                **condition,
            }
        }


# The record of a commit, and its notes

_RECORDS = "t"


def _record(token: str) -> Address:
    return Address(_RECORDS, token.encode())


def _notes(token: str) -> str:
    return f"t{token}"


def _record_change(token: str, state: str, beat: int = 0, condition: str = _IS_PENDING) -> Item:
    values: Item = {
        ":beat": {"N": str(beat)},
        ":at": {"N": str(int(time.time()))},
        ":s": {"S": state},
    }
    if condition == _IS_PENDING:
        values[":p"] = {"S": _PENDING}
    return {
        "Update": {
            "Key": _record(token).key,
            "UpdateExpression": _STEP,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": _NAMES,
            "ExpressionAttributeValues": values,
        }
    }


def _noted(note: Item) -> tuple[list[Address], list[str], list[str]]:
    """Items, pieces that are new and pieces that go."""
    addresses, new, gone = json.loads(zlib.decompress(note["m"]["B"]))
    return [Address(pk, bytes.fromhex(sk)) for pk, sk in addresses], new, gone


# What was noted in an item


def _before(item: Item) -> Item | None:
    """What it was, without what was noted; None where it wasn't there."""
    return {name: value for name, value in item.items() if name not in ("t", "a", "n")} if "v" in item else None


def _after(item: Item) -> Item | None:
    """What it is once that counts."""
    match item["a"]["S"]:
        case "put":
            return {"pk": item["pk"], "sk": item["sk"], **item["n"]["M"]}
        case "remove":
            return None
        case _:
            return _before(item)


def _settled(item: Item, now: Item | None) -> Item:
    """The part of a transaction that makes it so, if it isn't yet."""
    condition: Item = {"ConditionExpression": "t = :t", "ExpressionAttributeValues": {":t": item["t"]}}
    if now is None:
        return {"Delete": {"Key": address_of(item).key, **condition}}
    return {"Put": {"Item": now, **condition}}
