"""Random calls of every method of an interface, with every mix of arguments."""

from __future__ import annotations

import dataclasses
import inspect
import random
from collections.abc import Callable
from typing import Any

from chronos_storage import exceptions
from chronos_storage.records import Checkpoint, Event, Message, QueueEntry, Record, Session, TokenUsage
from chronos_storage.testing.conformance.arguments import WRONG
from tests.comparison.answers import Side
from tests.comparison.calls import Backup, Call, Odd, Of, Once, Seen, resolved
from tests.comparison.methods import PERMIT, Interface, records_of
from tests.comparison.pools import GIVEN, SESSIONS, UNSTORABLE, pool_of

#: Numbers that mean something beside the last one of a session.
_NEAR_THE_LAST = {"expected_seq", "seq_num", "after_seq", "before_seq", "through_seq"}
#: What is left empty for the store, but where records are loaded.
_STORE_FILLS_IN = {"id", "seq_num", "version", "sha256", "role", "created_at", "updated_at", "last_activity_at"}
_STORE_FILLS_IN |= {"started_at"}
#: How often an argument is given that may be left out; most as often as the others of a call.
_PROBABLE = {"session_id": 0.8, "offset": 0.2, "hard": 0.7}
#: The field of what a method is about that an argument with another name is compared with.
_FIELDS = {
    "after_message_id": "id",
    "checkpoint_id": "id",
    "ids": "id",
    "prefix": "key",
    "roles": "role",
    "run_ids": "run_id",
    "since": "created_at",
    "types": "type",
    "until": "created_at",
}


def _often(method: str) -> int:
    """How often a method is called before the next round of all: mostly what makes something that others meet."""
    if method.startswith(("delete", "purge", "truncate", "load", "count", "verify", "last")):
        return 1
    return 4 if method.startswith(("add", "append", "insert", "put", "save_checkpoint", "create", "restore")) else 2


class Calls:
    """Random calls, each method as often as the others.

    Args:
        side: a store that they are for; all others have answered the same.
    """

    def __init__(self, number: random.Random, interface: Interface, side: Side) -> None:
        self._random = number
        self._interface = interface
        self._side = side
        self._deck: list[str] = []
        self._lost = False
        # One session that most of this sequence is about, or none.
        self._favourite = number.choice([None, *SESSIONS])

    def next(self) -> Call:
        """One more."""
        if self._lost and self._happens(0.7):
            self._lost = False
            return Call("load", [Backup()])
        if not self._deck:
            self._deck = [name for name in self._interface.methods for _ in range(_often(name))]
            self._random.shuffle(self._deck)
        method = self._deck.pop()
        call = self._call(method, self._interface.methods[method])
        self._lost = call.method == "delete_session"
        if method == "purge_permit":
            permit = list(PERMIT.items())
            call.within = [self._call(*self._random.choice(permit)) for _ in range(self._random.randint(0, 2))]
        return call

    def _call(self, method: str, parameters: list[inspect.Parameter]) -> Call:
        call, wrong = Call(method), None
        density, subject = self._random.choice([0.1, 0.3, 0.6, 0.9]), None
        kind = self._interface.about(method)
        if self._happens(0.8) and (seen := len(self._side.seen[kind])):
            subject = Seen(kind, self._random.randrange(seen))
        if self._happens(0.15):
            wrong = self._random.choice([None, *parameters])
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                call.named |= self._changes(method)
                continue
            is_required = parameter.default is parameter.empty
            if parameter is wrong and (values := WRONG.get(str(parameter.annotation))):
                value = self._random.choice(values)
            elif is_required or self._happens(_PROBABLE.get(parameter.name, density)):
                value = self._of_subject(subject, parameter) or self._value(method, parameter, call)
            else:
                continue
            by_place = is_required and parameter.kind is not parameter.KEYWORD_ONLY and not call.named
            if parameter.kind is parameter.POSITIONAL_ONLY or (by_place and self._happens(0.5)):
                call.positional.append(value)
            else:
                call.named[parameter.name] = value
        return call

    def _of_subject(self, subject: Seen | None, parameter: inspect.Parameter) -> Any:
        """What one record that was seen has for an argument."""
        name = _FIELDS.get(parameter.name, parameter.name)
        name = "cursor" if subject and subject.kind is QueueEntry and name == "after" else name
        if subject is None or name not in (each.name for each in dataclasses.fields(subject.kind)):
            return None
        if self._happens(0.1) or records_of(parameter) or parameter.name in _NEAR_THE_LAST or name == "metadata":
            return None
        value = Of(subject.kind, subject.position, name)
        return [value] if str(parameter.annotation).startswith("Sequence") else value

    def _happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def _value(self, method: str, parameter: inspect.Parameter, call: Call) -> Any:
        kind, _, optional = str(parameter.annotation).partition(" | ")
        if optional.endswith("None") and self._happens(0.1):
            return None
        if kinds := records_of(parameter):
            known = 0.8 if parameter.name == "after" else 0.3
            is_whole = len(kinds) > 1 and parameter.name == "records"
            if kind.startswith("Iterable["):
                session_id = self._random.choice([self._field(Message, "session_id"), None])
                value = self._several(lambda: self._record(self._random.choice(kinds), known, session_id, is_whole))
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
        first = resolved([*call.positional, *call.named.values(), None][0], self._side)
        given = next(iter(first), None) if isinstance(first, list | tuple) else first
        if isinstance(given, Record):
            return self._around(type(given), getattr(given, "session_id", None))
        return self._around(self._interface.about(method), given)

    def _around(self, kind: type[Record], session_id: Any) -> int:
        try:
            last = self._last(kind, session_id)
        except exceptions.InvalidRecord:
            last = 0
        return max(0, last + self._random.choice([0, 0, 0, 1, 1, -1, -2, 2]))

    def _last(self, kind: type[Record], session_id: Any) -> int:
        storage = self._side.store
        if kind is Message:
            return int(storage.last_message_seq(session_id))
        if kind is Checkpoint:
            latest = storage.get_latest_checkpoint(session_id)
            return latest.seq_num if latest else 0
        return int(storage.last_seq(session_id)) if kind is Event else 1

    def _several(self, one: Callable[[], Any]) -> Any:
        values = [one() for _ in range(self._random.choice([0, 1, 1, 2, 2, 3, 4]))]
        if values and self._happens(0.2):  # the same again, or another one of its id
            values.append(self._random.choice(values))
        return self._random.choice([values, values, Once(values), tuple(values)])

    def _record(self, kind: type[Record], known: float, session_id: str | None = None, is_whole: bool = False) -> Any:
        """A record that is known, as it is or with some fields changed, or a new one, which may have all it needs."""
        if (seen := len(self._side.seen[kind])) and self._happens(known):
            names = [each.name for each in dataclasses.fields(kind)]
            some = self._random.sample(names, self._random.choice([0, 0, 1, 1, 2, 3]))
            changes = {name: self._field(kind, name) for name in some}
            if self._happens(0.3):
                changes["id"] = self._field(kind, "id")
            if session_id is not None and hasattr(kind, "session_id") and self._happens(0.7):
                changes["session_id"] = session_id
            return Seen(kind, self._random.randrange(seen), changes)
        fields: dict[str, Any] = {}
        for each in dataclasses.fields(kind):
            if (is_whole and each.name in _STORE_FILLS_IN) or self._happens(GIVEN.get(each.name, 0.4)):
                fields[each.name] = self._field(kind, each.name)
        if session_id is not None and "session_id" in fields and self._happens(0.9):
            fields["session_id"] = session_id
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
        if (
            self._favourite
            and self._happens(0.6)
            and (kind.__name__ + "." + name).endswith(("session_id", "Session.id"))
        ):
            return self._favourite
        return self._random.choice(pool_of(kind.__name__, name))

    def _changes(self, method: str) -> dict[str, Any]:
        """Some fields of a session, rarely one that it doesn't have."""
        names = [each.name for each in dataclasses.fields(Session)]
        if method == "fork_session":  # which names the new session by them
            some = ["id", *self._random.sample(names, self._random.randint(0, 3))]
        else:
            changeable = [name for name in names if name not in ("id", "created_at", "updated_at", "deleted_at")]
            some = self._random.sample(changeable, self._random.randint(0, 3))
            some += self._random.sample(names, 1) if self._happens(0.1) else []
        some += ["colour"] if self._happens(0.02) else []
        return {name: self._perhaps_odd(self._field(Session, name) if name != "colour" else "red") for name in some}
