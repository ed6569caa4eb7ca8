"""Calls of tools and their results, each beside the other.

A result belongs to a call of the messages just before it: between the two there may be what users and systems say, but
no other answer of the model. So what was sent to the model to get an answer stays as it is whatever comes later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count

from .said import Call, Part, Result, Said, result_text

#: What the model reads where a call has no result, as after a crash.
NO_RESULT = "No result of this call was recorded: it may have been done or not."

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def paired(messages: Iterable[Said]) -> Iterator[Said]:
    """The messages, where each one with calls is followed by one with a result for each of them, in their order.

    What has no call is a user's text.
    """
    ids = _Ids()
    waiting: list[Said] = []
    calls = False
    for said in messages:
        is_answer = said.role == "assistant"
        if is_answer and waiting and waiting[-1].role != "assistant":
            yield from _exchange(waiting, ids)
            waiting, calls = [], False
        if not said.parts:
            continue
        calls = calls or (is_answer and _has(said, Call))
        if calls:
            waiting.append(said)
        else:
            yield from _without_call(said)
    yield from _exchange(waiting, ids)


class _Ids:
    """Ids that every provider takes, each of which is given once in a conversation."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, id: str) -> str:
        own = id
        for attempt in count(1):
            if own not in self._given and _ID.fullmatch(own):
                self._given.add(own)
                return own
            own = "call_" + sha256(f"{id}\n{attempt}".encode()).hexdigest()[:32]
        raise AssertionError


def _exchange(messages: list[Said], ids: _Ids) -> Iterator[Said]:
    """One or several answers of the model, and what was said to it until the next."""
    answers = [said for said in messages if said.role == "assistant"]
    calls = [part for said in answers for part in said.parts if isinstance(part, Call)]
    results: dict[int, Result] = {}
    others: list[Said] = []
    for said in messages[len(answers) :]:
        left: list[Part] = []
        for part in said.parts:
            place = _asked(part, calls, results) if isinstance(part, Result) else None
            if place is None:
                left.append(part)
            elif isinstance(part, Result):
                results[place] = part
        if left:
            others.append(Said(said.role, left, said.name))
    yield from _answered(answers, results, ids)
    for said in others:
        yield from _without_call(said)


def _asked(result: Result, calls: list[Call], results: dict[int, Result]) -> int | None:
    """The place of the call that a result is of: that of its id, or without one the first of its name."""
    for place, call in enumerate(calls):
        if place not in results and (result.id == call.id if result.id else result.name in ("", call.name)):
            return place
    return None


def _answered(answers: list[Said], results: dict[int, Result], ids: _Ids) -> Iterator[Said]:
    """Answers with the results of their calls. Those that follow each other are calls made at once, as some frameworks
    keep each in a message of its own; but one of which no call has a result was given up, and the next made in its
    place.
    """
    parts: list[Part] = []
    name, given, first = "", list[Part](), 0
    for said in answers:
        calls = [part for part in said.parts if isinstance(part, Call)]
        places = range(first, first := first + len(calls))
        has_result = any(place in results for place in places)
        if given and not (calls and has_result):
            yield Said("assistant", parts, name)
            yield Said("tool", given)
            parts, given = [], []
        own = {place: ids.of(call.id) for place, call in zip(places, calls, strict=True)}
        numbers = iter(places)
        for part in said.parts:
            if isinstance(part, Call):
                place = next(numbers)
                call = Call(own[place], _name(part.name), part.arguments, part.extra)
                parts.append(call)
                result = results.get(place, Result("", "", NO_RESULT, failed=True))
                given.append(Result(call.id, call.name, result.content, result.failed))
            else:
                parts.append(part)
        name = said.name
        if not (calls and has_result):
            yield Said("assistant", parts, name)
            if given:
                yield Said("tool", given)
            parts, given = [], []
    if parts:
        yield Said("assistant", parts, name)
        yield Said("tool", given)


def _has(said: Said, kind: type[Call | Result]) -> bool:
    for part in said.parts:  # noqa: SIM110  (three times as fast as any() of a generator)
        if isinstance(part, kind):
            return True
    return False


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"


def _without_call(said: Said) -> Iterator[Said]:
    """A message that has no calls, each result in it as a text of the user's."""
    if _has(said, Result):
        yield Said("user", [_orphan(part) if isinstance(part, Result) else part for part in said.parts], said.name)
    else:
        yield said


def _orphan(result: Result) -> str:
    name = f" {result.name}" if result.name else ""
    return f"[result of the tool{name}, of a call that is not in this conversation]\n{result_text(result.content)}"
