"""The driver that keeps documents in DynamoDB, and the backend over it.

`dynamodb_items` says how they are kept, `dynamodb_large` how a commit is written that is too large for one of
DynamoDB's transactions.

DynamoDB isolates a query from each item of a transaction, not from the transaction: it may see some of what is written
at once. In a partition where documents stay at their places, those that come together name each other, and several go
together only as a large commit does, so that one look tells whether it saw all. Any other is looked at twice, and again
until it was at rest in between; what came new to it only then is no part of what was read.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from typing import Any

from ...exceptions import RetryTransaction, StoreFailure
from .backend import DocumentBackend
from .driver import Document, Driver, Key, Unavailable, Write
from .dynamodb_changes import INLINE, INLINE_OF_MANY, Changes, piece_addresses
from .dynamodb_items import (
    AFTER,
    FIRST,
    Address,
    Item,
    Stored,
    address_of,
    body_of,
    document_address,
    document_of,
    is_steady,
    neighbours_of,
    partition_of,
    place_key,
    sort_of,
    unpacked,
)
from .dynamodb_large import LargeCommits
from .dynamodb_line import DynamoLine
from .dynamodb_server import DynamoServer, NotFulfilled, open_server
from .dynamodb_table import make, require
from .recent import Recent

#: Seconds for which a partition is looked at that changes all the time, and the longest between two looks.
_PATIENCE, _LONGEST = 10.0, 0.1
#: What the second look asks for.
_SEEN = "sk, k, v, m, t, a, n"


class DynamoDriver(Driver):
    """Documents in a table of DynamoDB's. All that is read is read consistently."""

    def __init__(self, server: DynamoServer) -> None:
        self.server = server
        self._large = LargeCommits(server)
        #: The token of the turn that a thread has.
        self._turns = threading.local()
        self._recent = Recent()

    def __repr__(self) -> str:
        return f"DynamoDriver({str(self.server)!r})"

    # Reading

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        wanted = {document_address(key): key for key in keys}
        found = self._documents(wanted)
        return {key: found[address] for address, key in wanted.items() if address in found}

    def _documents(self, addresses: Iterable[Address]) -> dict[Address, Stored]:
        """The documents that are there, with their bodies."""
        found: dict[Address, Stored] = {}
        wanted = list(addresses)
        while wanted:
            items = self._large.resolved(self.server.items(wanted))
            wanted = []
            for address, item in items.items():
                body = self._joined(item["q"]["S"]) if "q" in item else body_of(item)
                if body is None:
                    wanted.append(address)  # another is there meanwhile
                else:
                    found[address] = document_of(item, address.pk, body)
        return found

    def _joined(self, pieces: str) -> str | None:
        """A body that is in pieces; None where they are not there any more."""
        addresses = piece_addresses(pieces)
        pages = self.server.query(addresses[0].pk, addresses[0].sk, addresses[-1].sk)
        found = [item["d"]["B"] for page in pages for item in page]
        return unpacked(b"".join(found), pieces.endswith("z")) if len(found) == len(addresses) else None

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
        if limit <= 0 or size <= 0:
            return []
        pk = partition_of(partition)
        low = FIRST if above is None else place_key(above) + b"\x00"
        high = AFTER if below is None else place_key(below)
        deadline, pause = time.monotonic() + _PATIENCE, 0.001
        while True:
            seen, is_all, is_one = self._look(pk, low, high, reverse, limit, size)
            found = self._found(seen)
            if found is not None:
                last = seen[-1]["sk"]["B"] if seen and not is_all else None
                ends = (last or low, high) if reverse else (low, last or high)
                if is_one and is_steady(pk) and _is_whole(seen, *ends):
                    return found
                again = self._again(pk, last if reverse and last else low, high if reverse or not last else last)
                if _was_at_rest(seen, [item for item in again if item["sk"]["B"] != high or item["sk"]["B"] == last]):
                    return found
            if time.monotonic() > deadline:
                raise Unavailable(f"what is listed in {self.server} changes too fast to be read as one")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(2 * pause, _LONGEST)

    def _look(
        self, pk: str, low: bytes, high: bytes, reverse: bool, limit: int, size: int
    ) -> tuple[list[Item], bool, bool]:
        """The first places of a partition, as many as have so many characters; whether they are all; and whether it
        was one request, and no large commit under way was met.
        """
        seen: list[Item] = []
        is_one = True
        # One more, as the upper end itself is none of them.
        pages = self.server.query(pk, low, high, reverse=reverse, Limit=min(limit + 1, 1000))
        for number, page in enumerate(pages):
            is_one = number == 0 and not any("t" in item for item in page)
            for item in self._places(page):
                if item["sk"]["B"] == high:
                    continue
                if len(seen) == limit:
                    return seen, False, is_one
                seen.append(item)
                size -= int(item["s"]["N"])
                if size <= 0:
                    return seen, False, is_one
        return seen, True, is_one

    def _again(self, pk: str, low: bytes, high: bytes) -> list[Item]:
        """The places from one to another, with what tells whether something has changed."""
        pages = self.server.query(pk, low, high, ProjectionExpression=_SEEN)
        return [item for page in pages for item in self._places([{"pk": {"S": pk}, **item} for item in page])]

    def _places(self, page: list[Item]) -> list[Item]:
        """Places as they are for everybody, in their order."""
        if not any("t" in item for item in page):
            return page
        resolved = self._large.resolved({address_of(item): item for item in page})
        return [resolved[address] for address in map(address_of, page) if address in resolved]

    def _found(self, seen: list[Item]) -> list[tuple[str, Document]] | None:
        """The documents at these places; None where one is not as it was there."""
        missing = [Address(item["k"]["S"]) for item in seen if "b" not in item and "z" not in item]
        documents = self._documents(missing)
        found: list[tuple[str, Document]] = []
        for item in seen:
            pk, version = item["k"]["S"], int(item["v"]["N"])
            if "b" in item or "z" in item:
                document: Stored | None = document_of(item, pk, body_of(item))
            else:
                document = documents.get(Address(pk))
            if document is None and "x" in item and int(item["x"]["N"]) < time.time():
                continue  # DynamoDB has removed the document already, and not yet this place of it
            if document is None or document.version != version:
                return None
            found.append((sort_of(item["sk"]["B"]), document))
        return found

    # Writing

    def commit(self, writes: Sequence[Write]) -> bool:
        if all(write.now is write.was for write in writes):
            return self._holds(writes)
        turn = getattr(self._turns, "token", "-")
        if turn == "-" and any(_is_awaited(write) for write in writes):
            return False  # as the condition would find too, in the way of who has his turn
        changes = Changes(writes, turn, INLINE)
        if not changes.fit:
            changes = Changes(writes, turn, INLINE_OF_MANY)
        try:
            if changes.fit and not any(change.new or change.gone for change in changes.all):
                self.server.transact([change.operation() for change in changes.all])
            else:
                self._large.write(changes)
        except NotFulfilled:
            return False
        self._turns.is_next = False
        if turn != "-":
            self._turns.written = {document_address(write.key) for write in writes if write.now is not write.was}
        self._recent.committed(changes.done, changes.version)
        return True

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return self._recent.recall(keys)

    def _holds(self, conditions: Sequence[Write]) -> bool:
        """Whether all of this is there, at one moment: it is the second time as it was the first."""
        expected = {document_address(key): str(was.version) for key, was, _ in conditions if was is not None}
        addresses = [document_address(key) for key, *_ in conditions]
        for _ in conditions[:2]:
            items = self._large.resolved(self.server.items(addresses, "v t a n"))
            if {address: item["v"]["N"] for address, item in items.items()} != expected:
                return False
        return True

    @contextmanager
    def turn(self, keys: Set[Key], patience: float) -> Iterator[None]:
        if not getattr(self._turns, "is_next", False):
            # Most often it is another thread of this process, whose turn is over: a line is some requests.
            self._turns.is_next = True
            yield
            return
        line = DynamoLine(self.server, list(map(document_address, keys)))
        self._turns.token, self._turns.written = line.token, set()
        try:
            # Without a server nobody is first; the attempt that follows says so.
            with suppress(RetryTransaction, StoreFailure):
                line.wait(patience)
            yield
        finally:
            del self._turns.token
            with suppress(RetryTransaction, StoreFailure):
                line.leave(self._turns.written)

    # The store itself

    def describe(self) -> str:
        require(self.server)
        return f"DynamoDB, {self.server}"

    def prepare(self) -> None:
        make(self.server)
        self._large.sweep()

    def close(self) -> None:
        self.server.close()


class DynamoBackend(DocumentBackend):
    """Records in a table of DynamoDB's.

    Args:
        region: such as "us-east-1".
        table: in which all records are.
        url: ``dynamodb://region/table``, whose query may have ``endpoint_url``, ``timeout`` and ``max_connections``;
            before the region there may be ``key:secret@``. The other arguments go before what it says.
        endpoint_url: of a server that speaks as DynamoDB does; empty for the region's own.
        access_key_id: with ``secret_access_key`` and ``session_token``, who asks; without them boto3 looks where it
            always does, in the environment, the profile and the machine's role.
        timeout: seconds that an answer is waited for; 30 unless said otherwise.
        max_connections: how many there are at most in this process; 50 unless said otherwise.
    """

    def __init__(
        self, region: str = "", table: str = "", *, url: str = "", endpoint_url: str = "", **options: Any
    ) -> None:
        super().__init__(DynamoDriver(open_server(url, region, table, endpoint_url, **options)))


def _is_whole(seen: list[Item], low: bytes, high: bytes) -> bool:
    """Whether all that came together with what was seen between these places was seen too."""
    commits = {item["sk"]["B"]: item["v"] for item in seen}
    return all(
        commits.get(place) == item["v"]
        for item in seen
        for place in neighbours_of(item)
        if low <= place < high or place in commits
    )


def _was_at_rest(seen: list[Item], again: list[Item]) -> bool:
    """Whether what was seen was there at one moment, by a second look at the same part of a partition."""
    first, second = ({item["sk"]["B"]: (item["k"], item["v"]["N"]) for item in items} for items in (seen, again))
    if any(second.get(place) != found for place, found in first.items()):
        return False
    commits = {version for _, version in first.values()}
    # Neither part of a commit of which some was seen, nor a document that may have been seen at no place.
    return not any("m" in item or item["v"]["N"] in commits for item in again if item["sk"]["B"] not in first)


def _is_awaited(write: Write) -> bool:
    return write.now is not write.was and isinstance(write.was, Stored) and write.was.is_awaited
