"""How documents and their places are items of DynamoDB's.

All are in one table, whose keys are a string, ``pk``, and bytes, ``sk``:

- A document: ``d`` and its key, and always the same ``sk``. Its version is ``v``, its body ``b`` (or deflated, ``z``),
  its places ``e``. A body that is too large for an item is in pieces, ``q``; ``x`` is when DynamoDB may remove it.
- A place: ``i`` and the partition, and the place in it. ``k`` is the ``pk`` of the document, ``v`` its version, so that
  whoever reads places sees what was written; ``s`` is the length of its body, and ``m`` says that the document was
  elsewhere in this partition before. The first place of a small document has all of it, so that reading a partition of
  such documents is one query. Where one transaction writes several places of a steady partition, each names the one
  before it and the one after it, ``y``.
- ``p``, ``t`` and ``l`` are of `dynamodb_large` and `dynamodb_line`.

What a large commit is about to do with an item is in ``t``, ``a`` and ``n``.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

from ...exceptions import StoreFailure
from .driver import Document, Entry, Key
from .entries import Entries
from .indexes import STEADY

#: An item's attributes as the client takes them, by name: ``{"S": "…"}`` and so on.
Item: TypeAlias = dict[str, Any]

_LONGEST_PARTITION, _LONGEST_PLACE = 2048, 1024
#: The ``sk`` of what is alone under its ``pk``.
ALONE = b"-"
#: With the first the ``sk`` of places begin, as none may be empty; the other is after all of them.
FIRST, AFTER = b"=", b">"
#: Bytes of a document that its first place has too.
_SMALL = 4096
#: Bytes of a body from which it is deflated, if that makes it smaller.
_DEFLATED = 1024
#: How long what has expired is still kept, as elsewhere it is for good: put again, it keeps its id.
_GRACE = timedelta(hours=1)


class Address(NamedTuple):
    """Where an item is."""

    pk: str
    sk: bytes = ALONE

    @property
    def key(self) -> Item:
        """As the client takes it."""
        return {"pk": {"S": self.pk}, "sk": {"B": self.sk}}


@dataclass(slots=True, frozen=True)
class Stored(Document):
    """A document that was read.

    Attributes:
        pieces: those that have its body; empty where its item has it.
        weight: bytes of its item.
        is_awaited: somebody had his turn at it.
    """

    pieces: str = ""
    weight: int = 0
    is_awaited: bool = False


def address_of(item: Item) -> Address:
    """Where an item is that was read."""
    return Address(item["pk"]["S"], item["sk"]["B"])


def document_address(key: Key) -> Address:
    """Where a document is."""
    return Address(_pk("d", key))


def partition_of(partition: Key) -> str:
    """The ``pk`` of the places of a partition."""
    return _pk("i", partition)


def place_address(entry: Entry) -> Address:
    """Where a place is.

    Raises:
        StoreFailure: it is longer than DynamoDB's keys may be.
    """
    place = place_key(entry.sort)
    if len(place) > _LONGEST_PLACE:
        raise StoreFailure(f"DynamoDB sorts by {_LONGEST_PLACE} bytes; a place in {entry.partition[0]!r} is longer")
    return Address(partition_of(entry.partition), place)


def place_key(sort: str) -> bytes:
    """A place as bytes that are in the order of its code points, three at most for each: of UTF-8's, 255 are too many
    for a key.
    """
    return FIRST + (sort.encode() if sort.isascii() else b"".join(map(_coded, map(ord, sort))))


def _coded(point: int) -> bytes:
    if point < 0x80:
        return point.to_bytes(1, "big")
    if point < 0x4080:
        return (0x8000 + point - 0x80).to_bytes(2, "big")
    return (0xC00000 + point).to_bytes(3, "big")


def sort_of(key: bytes) -> str:
    """The place that is kept under a ``sk``."""
    coded = key[len(FIRST) :]
    return coded.decode() if coded.isascii() else "".join(_decoded(coded))


def _decoded(coded: bytes) -> Iterator[str]:
    at = 0
    while at < len(coded):
        if coded[at] < 0x80:
            yield chr(coded[at])
            at += 1
        elif coded[at] < 0xC0:
            yield chr(int.from_bytes(coded[at : at + 2], "big") - 0x8000 + 0x80)
            at += 2
        else:
            yield chr(int.from_bytes(coded[at : at + 3], "big") - 0xC00000)
            at += 3


def is_steady(pk: str) -> bool:
    """Whether what is in a partition, of which this is the ``pk``, hardly ever is elsewhere in it later."""
    return "".join(pk.split("\x00", 2)[1:2]) in STEADY


def linked(places: Sequence[bytes], number: int) -> Item:
    """That of these places of a partition, in their order, this one names its neighbours."""
    before, after = (places[at] if 0 <= at < len(places) else b"" for at in (number - 1, number + 1))
    return {"y": {"B": len(before).to_bytes(2, "big") + before + after}}


def neighbours_of(item: Item) -> list[bytes]:
    """The places that one names: those that were written with it, next to it."""
    if "y" not in item:
        return []
    data = item["y"]["B"]
    end = 2 + int.from_bytes(data[:2], "big")
    return [place for place in (data[2:end], data[end:]) if place]


def _pk(kind: str, parts: Key) -> str:
    """Of what is too long for a key there is the digest, under a kind of its own."""
    text = kind + "\x00".join(parts)
    if 4 * len(text) > _LONGEST_PARTITION and len(text.encode()) > _LONGEST_PARTITION:
        return kind.upper() + hashlib.sha256(text.encode()).hexdigest()
    return text


# Bodies


def packed(body: str) -> Item:
    """A body as an attribute: deflated where that makes it smaller."""
    data = body.encode()
    if len(data) >= _DEFLATED and len(small := zlib.compress(data, 1)) < len(data):
        return {"z": {"B": small}}
    return {"b": {"S": body}}


def data_of(attributes: Item) -> tuple[bytes, bool]:
    """A packed body as bytes, and whether it is deflated."""
    return (attributes["z"]["B"], True) if "z" in attributes else (attributes["b"]["S"].encode(), False)


def unpacked(data: bytes, is_deflated: bool) -> str:
    """The body that was packed."""
    return (zlib.decompress(data) if is_deflated else data).decode()


def body_of(attributes: Item) -> str:
    """The same, of an item that has it."""
    text: str = attributes["b"]["S"] if "b" in attributes else unpacked(attributes["z"]["B"], True)
    return text


def weight_of(attributes: Item) -> int:
    """Bytes of an item, as DynamoDB counts them, or a few more."""
    weight = 0
    for name, typed in attributes.items():
        weight += len(name) + 24
        for kind, value in typed.items():
            if kind == "S":
                weight += len(value) if value.isascii() else len(value.encode())
            elif kind == "M":
                weight += weight_of(value)
            elif kind == "B":
                weight += len(value)
    return weight


# Documents and places


def attributes_of(document: Document, version: int, body: Item) -> Item:
    """A document's attributes without its address; the body is packed, or says where its pieces are."""
    attributes: Item = {"v": {"N": str(version)}, **body}
    if document.entries:
        attributes["e"] = {"S": _text(document.entries)}
    if document_address(document.key).pk[0] == "D":
        attributes["key"] = {"S": json.dumps(document.key)}
    if document.expires_at is not None:
        attributes["x"] = {"N": str(int((document.expires_at + _GRACE).timestamp()))}
    return attributes


def places_of(document: Document, was: Document | None, attributes: Item) -> dict[Address, Item]:
    """The attributes of a document's places, by their addresses."""
    pk = document_address(document.key).pk
    place: Item = {"k": {"S": pk}, "v": attributes["v"], "s": {"N": str(len(document.body))}}
    if "x" in attributes:
        place["x"] = attributes["x"]
    before = {entry.partition for entry in was.entries if entry not in document.entries} if was else set()
    places = {}
    for number, entry in enumerate(document.entries):
        has_all = number == 0 and "q" not in attributes and weight_of(attributes) <= _SMALL
        found = place | attributes if has_all else place
        places[place_address(entry)] = found | {"m": {"BOOL": True}} if entry.partition in before else found
    return places


def document_of(item: Item, pk: str, body: str) -> Stored:
    """The document that an item has, or the place of one, with its body."""
    key = tuple(json.loads(item["key"]["S"])) if "key" in item else tuple(pk[1:].split("\x00"))
    entries = Entries(item["e"]["S"]) if "e" in item else ()
    pieces = item["q"]["S"] if "q" in item else ""
    return Stored(key, body, entries, int(item["v"]["N"]), None, pieces, weight_of(item), "w" in item)


def _text(entries: Sequence[Entry]) -> str:
    return entries.text if isinstance(entries, Entries) else json.dumps(entries, separators=(",", ":"))
