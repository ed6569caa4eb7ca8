"""Random calls of every method of the facade: the methods and their arguments are found by looking at it."""

from __future__ import annotations

import dataclasses
import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chronos_storage import Storage, records
from chronos_storage.chains.permit import PurgePermit
from chronos_storage.records import KINDS, Record, TokenUsage
from chronos_storage.testing.conformance.arguments import WRONG
from chronos_storage.testing.conformance.plain import odd
from tests.comparison.answers import Side
from tests.comparison.pools import GIVEN, UNSTORABLE, pool_of

#: What of the facade is not called, and why.
APART = {
    "arun_atomic": "it is asynchronous alone, and atomic() in a thread",
    "atomic": "it is the block around some of the calls",
    "close": "it ends the connections that the test's transaction is on",
    "health": "it tells of the store itself",
    "migrate": "it is for the tables, which are there",
}
#: The types of records that an argument may have, by its annotation.
_RECORDS = {kind.__name__: [kind] for kind in KINDS.values()} | {"Record": list(KINDS.values())}
#: Numbers that mean something beside the last one of a session.
_NEAR_THE_LAST = {"expected_seq", "seq_num", "after_seq", "before_seq", "through_seq"}


def methods_of(kind: type[Any]) -> dict[str, list[inspect.Parameter]]:
    """The public methods of a class but the asynchronous variants, and what each takes."""
    methods = dict(inspect.getmembers(kind, inspect.isfunction))
    return {
        name: list(inspect.signature(method).parameters.values())[1:]
        for name, method in methods.items()
        if not name.startswith("_") and not (name[0] == "a" and name[1:] in methods)
    }


def records_of(parameter: inspect.Parameter) -> list[type[Record]]:
    """The types of the record, or records, that an argument may be; none if it is something else."""
    kind = str(parameter.annotation).split(" | ")[0]
    return _RECORDS.get(kind.removeprefix("Iterable[").removesuffix("]"), [])


METHODS = {name: parameters for name, parameters in methods_of(Storage).items() if name not in APART}
_PERMIT = {name: found for name, found in methods_of(PurgePermit).items() if name.startswith("purge_")}


@dataclass(frozen=True)
class Seen:
    """A record that each store has given, with some fields changed."""

    kind: type[Record]
    position: int
    changes: dict[str, Any] = field(default_factory=dict)


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
            return side.plain(self._made(side.storage, side))
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

    def names(self) -> set[str]:
        """The strings that it may share with another call that has to do with it."""
        return set(_strings([self.positional, self.named, [each.named for each in self.within]]))

    def __str__(self) -> str:
        given = [f"{value!r:.300}" for value in self.positional]
        given += [f"{name}={value!r:.600}" for name, value in self.named.items()]
        within = "".join(f"; permit.{call}" for call in self.within)
        return f"{self.method}({', '.join(given)}){within}"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
    elif isinstance(value, Odd | Once | Seen):
        yield from _strings([getattr(value, each.name) for each in dataclasses.fields(value)])
    elif isinstance(value, Record):
        yield from filter(None, (str(getattr(value, name, "")) for name in ("id", "session_id")))


class Calls:
    """Random calls, each method as often as the others.

    Args:
        seen: how many records of a type the stores have given, that can be given to them.
        last: the last number of a session's messages, events, or checkpoints, by the record's type.
    """

    def __init__(
        self,
        number: random.Random,
        seen: Callable[[type[Record]], int],
        last: Callable[[type[Record], str], int],
    ) -> None:
        self._random = number
        self._seen = seen
        self._last = last
        self._deck: list[str] = []

    def next(self) -> Call:
        """One more."""
        if not self._deck:
            reads = ("get_", "list_", "iter_", "count_", "verify_", "find_", "last_", "scan")
            self._deck = [name for name in METHODS for _ in range(1 if name.startswith(reads) else 3)]
            self._random.shuffle(self._deck)
        method = self._deck.pop()
        call = self._call(method, METHODS[method])
        if method == "purge_permit":
            permit = list(_PERMIT.items())
            call.within = [self._call(*self._random.choice(permit)) for _ in range(self._random.randint(0, 2))]
        return call

    def _call(self, method: str, parameters: list[inspect.Parameter]) -> Call:
        call, wrong = Call(method), None
        if self._happens(0.15):
            wrong = self._random.choice([None, *parameters])
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                call.named |= self._changes(method)
                continue
            is_required = parameter.default is parameter.empty
            if parameter is wrong and (values := WRONG.get(str(parameter.annotation))):
                value = self._random.choice(values)
            elif is_required or self._happens(0.4):
                value = self._value(method, parameter, call)
            else:
                continue
            by_place = is_required and parameter.kind is not parameter.KEYWORD_ONLY and not call.named
            if parameter.kind is parameter.POSITIONAL_ONLY or (by_place and self._happens(0.5)):
                call.positional.append(value)
            else:
                call.named[parameter.name] = value
        return call

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def _value(self, method: str, parameter: inspect.Parameter, call: Call) -> Any:
        kind, _, optional = str(parameter.annotation).partition(" | ")
        if optional.endswith("None") and self._happens(0.1):
            return None
        if kinds := records_of(parameter):
            known = 0.8 if parameter.name == "after" else 0.3
            if kind.startswith("Iterable["):
                value = self._several(lambda: self._record(self._random.choice(kinds), known))
            else:
                value = self._record(self._random.choice(kinds), known)
        elif kind == "Sequence[str]":
            pool = pool_of(method, parameter.name)
            found = self._random.choices(pool, k=self._random.randint(0, 3))
            value = self._random.choice([found, found, tuple(found), dict.fromkeys(found)])
        elif parameter.name in _NEAR_THE_LAST and self._happens(0.7):
            value = self._near(method, call)
        else:
            value = self._random.choice(pool_of(method, parameter.name))
        return self._perhaps_odd(value)

    def _perhaps_odd(self, value: Any) -> Any:
        return Odd(value) if self._happens(0.04) and not isinstance(value, tuple | Once) else value

    def _near(self, method: str, call: Call) -> int:
        """A number near the last of the session that the call is about."""
        first = [*call.positional, *call.named.values(), None][0]
        for item in first if isinstance(first, list) else [first]:
            if isinstance(item, Seen):
                return self._around(item.kind, item.changes.get("session_id", "s"))
            if isinstance(item, Record):
                return self._around(type(item), getattr(item, "session_id", "s"))
        kind = next((kind for name, kind in KINDS.items() if name in method), records.Event)
        return self._around(kind, first)

    def _around(self, kind: type[Record], session_id: Any) -> int:
        last = self._last(kind, session_id) if isinstance(session_id, str) else 0
        return max(0, last + self._random.choice([0, 0, 0, 1, 1, -1, -2, 2]))

    def _several(self, one: Callable[[], Any]) -> Any:
        values = [one() for _ in range(self._random.choice([0, 1, 1, 2, 2, 3, 4]))]
        if values and self._happens(0.2):  # the same again, or another one of its id
            values.append(self._random.choice(values))
        return self._random.choice([values, values, Once(values), tuple(values)])

    def _record(self, kind: type[Record], known: float) -> Any:
        """A record that is known, as it is or with some fields changed, or a new one."""
        if (seen := self._seen(kind)) and self._happens(known):
            names = [each.name for each in dataclasses.fields(kind)]
            some = self._random.sample(names, self._random.choice([0, 0, 1, 1, 2, 3]))
            changes = {name: self._field(kind, name) for name in some}
            if self._happens(0.3):
                changes["id"] = self._field(kind, "id")
            return Seen(kind, self._random.randrange(seen), changes)
        fields: dict[str, Any] = {}
        for each in dataclasses.fields(kind):
            if self._happens(GIVEN.get(each.name, 0.4)):
                fields[each.name] = self._field(kind, each.name)
        if "seq_num" in fields and self._happens(0.7):
            fields["seq_num"] = self._around(kind, fields.get("session_id"))
        return self._perhaps_odd(kind(**fields))

    def _field(self, kind: type[Record], name: str) -> Any:
        if self._happens(0.005):
            return self._random.choice([None, *UNSTORABLE])
        if name == "usage":
            names = [each.name for each in dataclasses.fields(TokenUsage)]
            some = self._random.sample(names, self._random.randint(0, 3))
            return TokenUsage(**{each: self._random.choice(pool_of("TokenUsage", each)) for each in some})
        return self._random.choice(pool_of(kind.__name__, name))

    def _changes(self, method: str) -> dict[str, Any]:
        """Some fields of a session, rarely one that it doesn't have."""
        names = [each.name for each in dataclasses.fields(records.Session)]
        if method == "fork_session":  # which names the new session by them
            some = ["id", *self._random.sample(names, self._random.randint(0, 3))]
        else:
            changeable = [name for name in names if name not in ("id", "created_at", "updated_at", "deleted_at")]
            some = self._random.sample(changeable, self._random.randint(0, 3))
            some += self._random.sample(names, 1) if self._happens(0.1) else []
        some += ["colour"] if self._happens(0.02) else []
        return {
            name: self._perhaps_odd(self._field(records.Session, name) if name != "colour" else "red") for name in some
        }
