"""What stores answer, in a form in which the answers of two can be compared.

Nothing is left out but that each store makes ids of its own, and with them hashes: one that a store has given first
counts as the one that the others have given at the same place, and nothing else does.
"""

from __future__ import annotations

import dataclasses
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from io import BufferedReader
from typing import Any

from chronos_storage.records import (
    KINDS,
    Artifact,
    AuditLog,
    Batch,
    Checkpoint,
    Embedding,
    Event,
    Message,
    Record,
    Session,
)

#: The ids that stores make, and hashes.
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|[0-9a-f]{64}")
#: Objects that come back equal, but not with their keys in their order.
_UNORDERED = frozenset({"metadata", "attributes", "resource"})
_RECENT = 40


class Side:
    """A store, and what it has answered.

    Attributes:
        seen: by their type the records that it gave last, which are at the same places on every side.
        backup: all that it had before a session was deleted.
    """

    def __init__(self, name: str, store: Any) -> None:
        self.name = name
        self.store = store
        self.seen: dict[type[Record], list[Any]] = defaultdict(list)
        self.backup: list[Any] = []
        self._made: dict[str, str] = {}

    def plain(self, value: Any, name: str = "") -> Any:
        """A value, of the field of that name, as what is the same on all sides; the records in it are noted."""
        if isinstance(value, str) and type(value) is str:
            return _MADE.sub(self._number, value)
        if value is None or type(value) in (bool, int):
            return value
        if type(value) is float and name == "score":  # which stores add up in orders of their own
            return f"{value:.5f}"
        if type(value) in (float, Decimal):
            return repr(value)
        if type(value) is tuple:
            return ["tuple", *(self.plain(item) for item in value)]
        if type(value) is array:
            return ["array", repr(value)]
        if type(value) is datetime:
            return value.isoformat() if value.tzinfo is UTC else ("not UTC", repr(value))
        if isinstance(value, Batch):
            return ["Batch", [self.plain(item) for item in value], "new", self.plain(value.new)]
        if type(value) is list:
            return [self.plain(item, name) for item in value]
        if isinstance(value, BufferedReader):
            with value:
                return ["file", value.read().hex()]
        if isinstance(value, Iterator):
            return ["iterator", *(self.plain(item) for item in value)]
        if type(value) is dict:
            items = sorted(value.items()) if name in _UNORDERED else value.items()
            return {"object": [[self.plain(key), self.plain(item, name)] for key, item in items]}
        if dataclasses.is_dataclass(value):
            return self._fields(value)
        return "of a strange type", type(value).__name__, repr(value)

    def noted(self) -> tuple[dict[type[Record], list[Any]], dict[str, str], list[Any]]:
        """What was noted of the answers until now, for `forget`."""
        return {kind: list(seen) for kind, seen in self.seen.items()}, dict(self._made), self.backup

    def forget(self, noted: tuple[dict[type[Record], list[Any]], dict[str, str], list[Any]]) -> None:
        """Note no more than what was noted then: other sides have not been asked since."""
        seen, self._made, self.backup = noted
        self.seen = defaultdict(list, seen)

    def back_up(self) -> None:
        """Remember all that the store has, as `load` takes it."""
        self.backup = [record for kind in KINDS for record in self.store.scan(kind)]

    def lost(self) -> list[Any]:
        """What of it belonged to sessions that are not there any more."""
        there = {session.id for session in self.store.scan("session")}
        return [record for record in self.backup if (owner := _owner(record)) and owner not in there]

    def _fields(self, value: Any) -> Any:
        if isinstance(value, Record):
            # What a search found is an embedding, of which a store is given the same fields.
            kind = Embedding if isinstance(value, Embedding) else type(value)
            seen = self.seen[kind]
            seen.append(kind.of(value, ""))
            del seen[:-_RECENT]
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"": type(value).__name__} | {name: self.plain(item, name) for name, item in fields.items()}

    def _number(self, made: re.Match[str]) -> str:
        return self._made.setdefault(made[0], f"<{len(self._made)}>")

    def error(self, error: Exception) -> Any:
        """What was raised, with all that it says."""
        details = {name: self.plain(detail) for name, detail in vars(error).items() if not name.startswith("__")}
        return {"raises": type(error).__name__, "text": self.plain(str(error)), **details}


def _owner(record: Record) -> str:
    """The session without which there is no such record."""
    if isinstance(record, Session):
        return record.id
    return record.session_id if isinstance(record, Message | Event | Checkpoint | AuditLog | Artifact) else ""


def difference(one: Any, other: Any, path: str = "") -> str:
    """Where two answers first differ; empty where they don't."""
    if type(one) is not type(other):
        return f"{path or 'the answer'}: {one!r:.300} or {other!r:.300}"
    if isinstance(one, dict):
        for name in dict.fromkeys([*one, *other]):
            missing = object()
            if found := difference(one.get(name, missing), other.get(name, missing), f"{path}.{name}"):
                return found
        return ""
    if isinstance(one, list):
        for position, (item, another) in enumerate(zip(one, other, strict=False)):
            if found := difference(item, another, f"{path}[{position}]"):
                return found
        return "" if len(one) == len(other) else f"{path}: {len(one)} or {len(other)} items"
    return "" if one == other else f"{path or 'the answer'}: {one!r:.300} or {other!r:.300}"
