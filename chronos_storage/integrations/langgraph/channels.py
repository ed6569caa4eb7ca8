"""Channels' values as items: of a list one an element, of a dictionary one an entry, of all else one. It is pure.

A list that grows by a message a step is kept as what is new: its items are in its channel's log already, but the last.
What is short stays with the checkpoint. The items of lists and dictionaries are parts of the text that LangGraph's own
serializer makes of the whole, msgpack, so that a value is read in one go whatever it was put together of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from itertools import pairwise
from struct import Struct
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from . import msgpack

_DIGEST = 16
#: Longest value, in bytes, that stays with the checkpoint.
SHORT = 512
#: Items, and bytes, of a run, at most; one item may be longer.
RUN_ITEMS, _RUN_BYTES = 256, 64 * 1024
_ENTRY = Struct(f">{_DIGEST}sI")

Kind: TypeAlias = Literal["list", "dict", "whole"]
#: Positions of a log: the first, and the one after the last.
Range: TypeAlias = tuple[int, int]


class Serializer(Protocol):
    """What LangGraph has for one."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]: ...

    def loads_typed(self, data: tuple[str, bytes]) -> Any: ...


class Parts(NamedTuple):
    """A value as the serializer has it.

    Attributes:
        type: the serializer's name for the form of the bytes.
        length: how many items it has, whose bytes `body` is.
    """

    kind: Kind
    type: str
    length: int
    body: bytes

    def split(self, start: int = 0) -> list[bytes]:
        """The items, from a place in the body on."""
        if self.kind == "whole":
            return [self.body]
        bounds = [start, *msgpack.ends(self.body, start, 2 if self.kind == "dict" else 1)]
        return [self.body[one:other] for one, other in pairwise(bounds)]


class Place(NamedTuple):
    """Where the items of a value are, and where they are known, what tells them from others.

    Attributes:
        entries: of the items, one after the other: the digest and the length of each.
        size: of all of them in bytes, and `total` the digest of these.
    """

    kind: Kind
    type: str
    ranges: tuple[Range, ...]
    entries: bytes = b""
    size: int = 0
    total: bytes = b""


class Run(NamedTuple):
    """Items that lie one behind the other in a channel's log, as a row has them."""

    channel: str
    start: int
    stop: int
    entries: bytes
    items: bytes


@dataclass(frozen=True)
class Known:
    """What is known of a namespace's logs: where they end, and of one checkpoint its channels' versions and places.

    Attributes:
        namespace: the primary key of its row, and `version` what that has.
    """

    namespace: int
    version: int
    ends: Mapping[str, int]
    checkpoint_id: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)


def parts_of(serde: Serializer, value: Any, *, divides: bool) -> Parts | None:
    """A value taken apart; None where it is so short that it stays with the checkpoint.

    Args:
        divides: whether the serializer's bytes for a list are those of its elements, behind a header.
    """
    form, body = serde.dumps_typed(value)
    if divides and form in ("msgpack", "null") and len(body) <= SHORT:
        return None
    if divides and type(value) in (list, dict):
        kind: Kind = "list" if type(value) is list else "dict"
        return Parts(kind, form, len(value), body[len(msgpack.header(kind, len(value))) :])
    return Parts("whole", form, 1, body)


def place(parts: Parts, known: Place | None, end: int) -> tuple[Place, list[bytes], bytes]:
    """Where the items of a value are, those that are to be added to the log, and their entries.

    Args:
        known: the place of the value that the channel had before.
        end: the position at which the log goes on.
    """
    all_of = _hash(parts.kind, parts.type)
    if known is not None and known.entries:
        all_of.update(parts.body[: known.size])
        if all_of.digest() == known.total:  # the same, and perhaps more
            items = parts.split(known.size) if len(parts.body) > known.size else []
            entries = b"".join(_entry(parts.type, item) for item in items)
            all_of.update(parts.body[known.size :])
            ranges = _with(known.ranges, end, end + len(items))
            whole = known.entries + entries
            return Place(parts.kind, parts.type, ranges, whole, len(parts.body), all_of.digest()), items, entries
        all_of.update(parts.body[known.size :])
    else:
        all_of.update(parts.body)
    items = parts.split()
    each = [_entry(parts.type, item) for item in items]
    elsewhere = {} if known is None else dict(zip(_each(known.entries), _positions(known.ranges), strict=False))
    positions: list[int] = []
    added: list[int] = []
    for number, entry in enumerate(each):
        position = elsewhere.get(entry)
        if position is None:
            position = end + len(added)
            added.append(number)
        positions.append(position)
    ranges = _ranges(positions)
    if len(ranges) > 16 + len(each) // 8:  # so many ranges take as much as what they save
        added, ranges = list(range(len(each))), ((end, end + len(each)),)
    whole = b"".join(each)
    new = b"".join(each[number] for number in added)
    place = Place(parts.kind, parts.type, ranges, whole, len(parts.body), all_of.digest())
    return place, [items[number] for number in added], new


def packed(channel: str, items: Sequence[bytes], entries: bytes, start: int) -> list[Run]:
    """Items as runs, the first of which starts at a position."""
    runs: list[Run] = []
    at = 0
    while at < len(items):
        stop, size = at, 0
        while stop < len(items) and stop - at < RUN_ITEMS and (stop == at or size + len(items[stop]) <= _RUN_BYTES):
            size += len(items[stop])
            stop += 1
        theirs = entries[_ENTRY.size * at : _ENTRY.size * stop]
        runs.append(Run(channel, start + at, start + stop, theirs, b"".join(items[at:stop])))
        at = stop
    return runs


class Missing(Exception):
    """Items of a value are not there: what it belongs to was removed since it was read."""


class Items:
    """The items of some runs of one channel."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = sorted(runs, key=lambda run: run.start)
        self._starts = [run.start for run in self._runs]

    def value(self, serde: Serializer, place: Place) -> tuple[Any, Place]:
        """A value, and its place with all that is known of it.

        Raises:
            Missing: items are not there.
        """
        body, entries, count = self._joined(place.ranges)
        before = b"" if place.kind == "whole" else msgpack.header(place.kind, count)
        return serde.loads_typed((place.type, before + body)), _known(place, body, entries)

    def located(self, place: Place) -> Place:
        """A place with all that is known of it.

        Raises:
            Missing: items are not there.
        """
        body, entries, _ = self._joined(place.ranges)
        return _known(place, body, entries)

    def _joined(self, ranges: Sequence[Range]) -> tuple[bytes, bytes, int]:
        texts: list[bytes] = []
        all_entries: list[bytes] = []
        count = 0
        for start, stop in ranges:
            at, number = start, bisect_right(self._starts, start) - 1
            while at < stop:
                if not 0 <= number < len(self._runs) or not self._runs[number].start <= at < self._runs[number].stop:
                    raise Missing
                run = self._runs[number]
                first, last = at - run.start, min(stop, run.stop) - run.start
                entries, items = run.entries[_ENTRY.size * first : _ENTRY.size * last], run.items
                if len(entries) < len(run.entries):
                    begin = _length(run.entries[: _ENTRY.size * first])
                    items = items[begin : begin + _length(entries)]
                all_entries.append(entries)
                texts.append(items)
                at, number = run.start + last, number + 1
            count += stop - start
        return b"".join(texts), b"".join(all_entries), count


def to_json(places: Mapping[str, Place | None]) -> dict[str, list[Any]]:
    """Places as they are stored; one that is None has its value with the checkpoint."""
    return {
        channel: [] if place is None else [place.kind, place.type, *(bound for each in place.ranges for bound in each)]
        for channel, place in places.items()
    }


def from_json(stored: Mapping[str, list[Any]]) -> dict[str, Place]:
    """The places of the channels whose values are in the log."""
    return {
        channel: Place(kind, form, tuple(zip(bounds[::2], bounds[1::2], strict=True)))
        for channel, (kind, form, *bounds) in ((channel, each) for channel, each in stored.items() if each)
    }


def _known(place: Place, body: bytes, entries: bytes) -> Place:
    all_of = _hash(place.kind, place.type)
    all_of.update(body)
    return place._replace(entries=entries, size=len(body), total=all_of.digest())


def _hash(*person: str) -> Any:
    return sha256("\0".join((*person, "")).encode())  # which processors have instructions for


def _entry(form: str, item: bytes) -> bytes:
    """What tells an item, and the form that it is in, from all others, and its length."""
    return _ENTRY.pack(blake2b(item, digest_size=_DIGEST, person=form.encode()[:16]).digest(), len(item))


def _each(entries: bytes) -> list[bytes]:
    return [entries[at : at + _ENTRY.size] for at in range(0, len(entries), _ENTRY.size)]


def _length(entries: bytes) -> int:
    return sum(length for _, length in _ENTRY.iter_unpack(entries))


def _positions(ranges: Sequence[Range]) -> list[int]:
    return [position for start, stop in ranges for position in range(start, stop)]


def _ranges(positions: Sequence[int]) -> tuple[Range, ...]:
    breaks = [at for at, (one, other) in enumerate(pairwise(positions), 1) if other != one + 1]
    return tuple((positions[a], positions[b - 1] + 1) for a, b in pairwise([0, *breaks, len(positions)]) if b > a)


def _with(ranges: tuple[Range, ...], start: int, stop: int) -> tuple[Range, ...]:
    """The ranges and one more, behind all of them."""
    if start == stop:
        return ranges
    if ranges and ranges[-1][1] == start:
        return (*ranges[:-1], (ranges[-1][0], stop))
    return (*ranges, (start, stop))
