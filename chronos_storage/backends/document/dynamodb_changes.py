"""A commit as what it does with DynamoDB's items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

from .driver import Write
from .dynamodb_items import (
    ALONE,
    Address,
    Item,
    Stored,
    attributes_of,
    data_of,
    document_address,
    is_steady,
    linked,
    packed,
    place_address,
    places_of,
    weight_of,
)

#: Bytes of a body that its item has: with its places, and what is to be there next, an item has 400 kB at most.
INLINE, INLINE_OF_MANY = 300 * 1024, 32 * 1024
#: Bytes of a piece of a body.
_PIECE = 350 * 1024
#: What fits one of DynamoDB's transactions, with room for the record of a large commit and what that has noted.
ITEMS, BYTES = 97, 3_500_000
#: That a document is as it was, and that nobody else is about to change it; and who may, where somebody has his turn.
_ABSENT = "attribute_not_exists(pk)"
_AS_IT_WAS = "v = :v AND attribute_not_exists(t)"
_MY_TURN = " AND (attribute_not_exists(w) OR w = :w)"

_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of an item.

    Attributes:
        now: its attributes; None where it is removed, or is a mere condition.
        is_check: whether it is one.
        condition: in DynamoDB's words; empty for a place, which its document's holds for.
        values: those of the condition.
        weight: bytes by which it counts in a transaction, about.
        new: pieces that the item names, and by `pieces` their bytes.
        gone: pieces that the item named.
    """

    address: Address
    now: Item | None
    is_check: bool = False
    condition: str = ""
    values: Item | None = None
    weight: int = 0
    new: str = ""
    gone: str = ""

    def operation(self) -> Item:
        """It as a part of a transaction."""
        condition: Item = {}
        if self.condition:
            condition["ConditionExpression"] = self.condition
        if self.values:
            condition["ExpressionAttributeValues"] = self.values
        if self.is_check:
            return {"ConditionCheck": {"Key": self.address.key, **condition}}
        if self.now is None:
            return {"Delete": {"Key": self.address.key, **condition}}
        return {"Put": {"Item": self.address.key | self.now, **condition}}


class Changes:
    """What a commit does with items, documents first.

    Args:
        turn: the token of the writer's turn.
        inline: bytes of a body that its item has.
    """

    def __init__(self, writes: Sequence[Write], turn: str, inline: int) -> None:
        self.version = _random.getrandbits(63)
        self._turn, self._inline = turn, inline
        #: The bytes of new pieces.
        self.pieces: dict[str, bytes] = {}
        #: What they leave of the documents.
        self.done: list[Write] = []
        documents = []
        places: dict[Address, Item | None] = {}
        for write in writes:
            document, its_places = self._change(write)
            documents.append(document)
            for address, attributes in its_places.items():
                # Where one leaves a place that another takes, it is taken.
                if attributes is not None or address not in places:
                    places[address] = attributes
        #: Whether they are one of DynamoDB's transactions, of which who reads a partition would see what he misses.
        self.fit = len(documents) + len(places) <= ITEMS and _link(places)
        self.all = [*documents, *(Change(address, now, weight=weight_of(now or {})) for address, now in places.items())]
        self.fit = self.fit and sum(change.weight for change in self.all) <= BYTES

    def batches(self) -> Iterator[list[Change]]:
        """They in parts, each of which is one of DynamoDB's transactions."""
        batch: list[Change] = []
        total = 0
        for change in self.all:
            if batch and (len(batch) == ITEMS or total + change.weight > BYTES):
                yield batch
                batch, total = [], 0
            batch.append(change)
            total += change.weight
        yield batch

    def _change(self, write: Write) -> tuple[Change, dict[Address, Item | None]]:
        was: Any = write.was
        address = document_address(write.key)
        condition, values, weight, gone = _ABSENT, None, 0, ""
        if isinstance(was, Stored):
            condition, values, weight, gone = _AS_IT_WAS, {":v": {"N": str(was.version)}}, was.weight, was.pieces
        if write.now is was:
            self.done.append(write)
            return Change(address, None, True, condition, values, weight), {}
        if values is not None:
            condition, values = condition + _MY_TURN, values | {":w": {"S": self._turn}}
        places: dict[Address, Item | None] = {place_address(entry): None for entry in was.entries} if was else {}
        if write.now is None:
            self.done.append(write)
            return Change(address, None, False, condition, values, weight, "", gone), places
        body, new = self._body(write.now.body)
        now = attributes_of(write.now, self.version, body)
        places |= places_of(write.now, was, now)
        stored = Stored(write.key, write.now.body, write.now.entries, self.version, None, new, weight_of(now))
        self.done.append(Write(write.key, was, stored))
        return Change(address, now, False, condition, values, weight + weight_of(now), new, gone), places

    def _body(self, body: str) -> tuple[Item, str]:
        """The attributes that a body is, and its pieces if it has some."""
        attributes = packed(body)
        data, is_deflated = data_of(attributes)
        if len(data) <= self._inline:
            return attributes, ""
        count = -(-len(data) // _PIECE)
        name = f"{_random.getrandbits(128):032x}:{count}:{'z' if is_deflated else 'b'}"
        self.pieces[name] = data
        return {"q": {"S": name}}, name


def _link(places: dict[Address, Item | None]) -> bool:
    """Have each place of a steady partition name its neighbours among these; false where there is nothing to name."""
    together: dict[str, list[bytes]] = defaultdict(list)
    for pk, sk in places:
        if is_steady(pk):
            together[pk].append(sk)
    for pk, found in together.items():
        if len(found) == 1:
            continue
        found.sort()
        for number, sk in enumerate(found):
            if (attributes := places[Address(pk, sk)]) is None:
                return False
            places[Address(pk, sk)] = attributes | linked(found, number)
    return True


# Pieces: bodies that are too large for an item


def piece_items(name: str, data: bytes) -> list[Item]:
    """The items that have a body's bytes."""
    return [
        address.key | {"d": {"B": data[number * _PIECE : (number + 1) * _PIECE]}}
        for number, address in enumerate(piece_addresses(name))
    ]


def piece_addresses(name: str) -> list[Address]:
    """Where they are."""
    token, count, _ = name.split(":")
    return [Address(f"p{token}", ALONE + number.to_bytes(4, "big")) for number in range(int(count))]
