"""Both backends give one answer to arguments that hardly anybody gives: extremes, and what is no such argument."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from chronos_storage import Storage, records
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.testing.conformance.arguments import WRONG
from chronos_storage.testing.conformance.samples import NAIVE, at, nested
from tests.calls import Call, answer, change

STEPS = 250
LAST = 2**63 - 1
WEST = timezone(timedelta(hours=-23, minutes=-59))

#: What is not asked of two stores at once: the same for both, or of the process.
_APART = {"arun_atomic", "atomic", "close", "health", "migrate", "purge_permit"}
_STRINGS = ["s", "S", "a", "a0", "b", "u", "sub", "", "x" * 255, "\U0010ffff", "\ue000", "a\x01", "%", "nowhere"]
_NUMBERS = [0, 1, 2, 3, LAST - 1, LAST]
_MOMENTS = [
    at(20),
    at(40),
    datetime(1000, 1, 1, tzinfo=WEST),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=at(0).tzinfo),
]
_CHANGES: list[Any] = [{}, {"k": 1}, {"": None}, {"a.b": {"$x": [1.5]}}, {"k": nested(98)}]
#: What is given, by the annotation of a parameter.
_GIVEN: dict[str, list[Any]] = {
    "str": _STRINGS,
    "int": _NUMBERS,
    "datetime": _MOMENTS,
    "Sequence[str]": [[], ["user"], ["tool", "user"], ("a0",), {"a0": 1}, ["", "x" * 255]],
    "dict[str, Any]": _CHANGES,
    "SessionOrder": ["-created_at", "-last_activity_at"],
    "MessageOrder": ["asc", "desc"],
    "bool": [False, True],
    "Any": [None, 1, {"b": 1, "a": 2}],
}
#: What may be changed of a session, or given to a fork, rightly and wrongly.
_FIELDS: list[dict[str, Any]] = [
    {},
    {"title": "t"},
    {"title": None},
    {"user_id": "u"},
    {"user_id": "another"},
    {"id": "new"},
    {"deleted_at": at(1)},
    {"colour": "red"},
    {"metadata": []},
    {"last_activity_at": NAIVE},
    {"last_activity_at": _MOMENTS[-1]},
]


def _methods() -> list[tuple[str, list[inspect.Parameter]]]:
    methods = dict(inspect.getmembers(Storage, inspect.isfunction))
    return [
        (name, list(inspect.signature(method).parameters.values())[1:])
        for name, method in methods.items()
        if not (name.startswith("_") or name in _APART or (name[0] == "a" and name[1:] in methods))
    ]


def hostile(r: random.Random) -> Call:
    """A random call of a random method, with at most one argument that is wrong."""
    method, parameters = r.choice(_methods())
    positional, named = [], {}
    wrong = r.choice([None, *parameters])
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= r.choice(_FIELDS)
        elif parameter is wrong and str(parameter.annotation) in WRONG:
            value = r.choice(WRONG[str(parameter.annotation)])
            positional.append(value) if parameter.kind is parameter.POSITIONAL_ONLY else named.update(
                {parameter.name: value}
            )
        elif parameter.default is parameter.empty or parameter.name == "ended_at" or r.random() < 0.4:
            value = _given(r, parameter)
            positional.append(value) if parameter.kind is parameter.POSITIONAL_ONLY else named.update(
                {parameter.name: value}
            )
    if method == "fork_session":
        named = {"id": "fork", "created_at": at(1), "last_activity_at": at(1)} | named

    def call(storage: Storage) -> Any:
        found = getattr(storage, method)(*positional, **named)
        return list(found) if isinstance(found, Iterator) else found

    call.__name__ = f"{method} {positional!a:.200} {named!a:.500}"
    return call


def _given(r: random.Random, parameter: inspect.Parameter) -> Any:
    kind = str(parameter.annotation).split(" | ")[0]
    if parameter.name == "kind" and parameter.default is parameter.empty:
        return r.choice([*records.KINDS, "sessions"])
    if kind == "Record":
        return r.choice([_record(r, each) for each in records.KINDS.values()])
    if kind == "Iterable[Record]":
        return [_record(r, each) for each in r.sample(list(records.KINDS.values()), 2)]
    if kind.startswith("Iterable["):
        return [_record(r, getattr(records, kind[9:-1])) for _ in range(r.randint(0, 2))]
    return r.choice(_GIVEN[kind]) if kind in _GIVEN else _record(r, getattr(records, kind))


def _record(r: random.Random, kind: Any) -> Any:
    """A record of few fields, with an id and times, so that nothing in it is the store's own."""
    fields = {name for name, _ in inspect.signature(kind).parameters.items()}
    given: dict[str, Any] = {
        "id": r.choice(["a", "b", "e0", "s"]),
        "session_id": r.choice(["s", "S", "nowhere", ""]),
        "role": "user",
    }
    given |= {"namespace": r.choice(["", "sub"]), "key": r.choice("kl"), "agent_id": "a"}
    given |= {name: at(r.randint(1, 60)) for name in ("created_at", "updated_at", "started_at", "last_activity_at")}
    given |= {"seq_num": r.choice([0, 0, 0, 1, LAST])}
    if r.random() < 0.5:
        given["created_at"] = r.choice(_MOMENTS)
    return kind(**{name: value for name, value in given.items() if name in fields})


@pytest.mark.parametrize("seed", range(2))
def test_hostile_arguments_have_one_answer(storage, seed: int) -> None:
    """Against: errors of the database or of Python, and answers that differ between backends."""
    r, memory = random.Random(seed), Storage(MemoryBackend())
    for step in range(STEPS):
        call = change(r) if step < 60 or step % 5 == 0 else hostile(r)
        assert (step, call.__name__, answer(call, memory)) == (step, call.__name__, answer(call, storage))
