"""A call, and arguments that are not the same for every store: what it has given itself."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chronos_storage.records import Record
from chronos_storage.testing.conformance.plain import odd
from tests.comparison.answers import Side


@dataclass(frozen=True)
class Seen:
    """A record that each store has given, with some fields changed."""

    kind: type[Record]
    position: int
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Of:
    """A field of a record that each store has given."""

    kind: type[Record]
    position: int
    name: str


class Backup:
    """What each store had of sessions that are gone, before the last was deleted; where none is, all that it had."""


@dataclass(frozen=True)
class Odd:
    """A value in subclasses of the plain types."""

    value: Any


@dataclass(frozen=True)
class Once:
    """Several values, that can be gone through once."""

    values: list[Any]


def resolved(value: Any, side: Side) -> Any:
    """An argument as a store is given it."""
    if isinstance(value, Seen):
        return dataclasses.replace(side.seen[value.kind][value.position], **value.changes)
    if isinstance(value, Of):
        return getattr(side.seen[value.kind][value.position], value.name)
    if isinstance(value, Backup):
        return side.lost() or side.backup
    if isinstance(value, Odd):
        plain = resolved(value.value, side)
        with suppress(TypeError):  # there are no such subclasses of what is no value of a field
            return odd(plain)
        return plain
    if isinstance(value, Once):
        return iter(resolved(value.values, side))
    return type(value)(resolved(item, side) for item in value) if type(value) in (list, tuple) else value


@dataclass
class Call:
    """A call of a method, and for a permit the calls within its block."""

    method: str
    positional: list[Any] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)
    within: list[Call] = field(default_factory=list)

    def answer(self, side: Side) -> Any:
        """What a store answers, or raises."""
        try:
            return side.plain(self._made(side.store, side))
        except Exception as error:  # whatever it is
            return side.error(error)

    def _made(self, store: Any, side: Side) -> Any:
        named = {name: resolved(value, side) for name, value in self.named.items()}
        found = getattr(store, self.method)(*(resolved(value, side) for value in self.positional), **named)
        if self.method != "purge_permit":
            return found
        with found as permit:
            counts = [call._made(permit, side) for call in self.within]
        return [*counts, permit.audit_log]

    def told(self, side: Side) -> Told:
        """The call as it is told of, with what a store is given."""
        strings: set[str] = set()
        given = [_shown(value, side, strings) for value in self.positional]
        given += [f"{name}={_shown(value, side, strings)}" for name, value in self.named.items()]
        within = [call.told(side) for call in self.within]
        strings = strings.union(*(call.strings for call in within)) - {""}
        text = f"{self.method}({', '.join(given)})" + "".join(f"; permit.{call.text}" for call in within)
        return Told(text, strings)


@dataclass(frozen=True)
class Told:
    """A call as text.

    Attributes:
        strings: those that it may share with another call that has to do with it.
    """

    text: str
    strings: set[str]


def _shown(value: Any, side: Side, strings: set[str]) -> str:
    if isinstance(value, Backup):
        return "what was lost"
    if isinstance(value, Odd):
        return f"odd({_shown(value.value, side, strings)})"
    if isinstance(value, Once):
        return f"iter({_shown(value.values, side, strings)})"
    if type(value) in (list, tuple):
        return f"[{', '.join(_shown(item, side, strings) for item in value)}]"
    value = resolved(value, side)
    if isinstance(value, str):
        strings.add(value)
    if not isinstance(value, Record):
        return _written(value)
    fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    strings.update(str(fields[name]) for name in ("id", "session_id", "topic", "collection") if fields.get(name))
    left_empty = {"None", "''", "0", "{}", "[]", "()"}
    written = {name: _written(item) for name, item in fields.items()}
    told = (f"{name}={item}" for name, item in written.items() if item not in left_empty)
    return f"{type(value).__name__}({', '.join(told)})"


def _written(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 128:  # Python writes no number of more than some thousand digits
        return f"{value:#x}"[:300]
    return f"{value!r:.300}"
