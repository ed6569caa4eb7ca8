"""Calls of tools and their results, each beside the other.

A result belongs to a call of the messages just before it: between the two there may be what users and systems say, but
no other answer of the model. So what was sent to the model to get an answer stays as it is whatever comes later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256

from ..dialects.said import Call, Part, Result, Said, result_text

#: What the model reads where a call has no result, as after a crash.
NO_RESULT = "No result of this call was recorded: it may have been done or not."

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def paired(messages: Iterable[Said]) -> Iterator[Said]:
    """The messages, where each one with calls is followed by one with a result for each of them, in their order.

    What has no call is a user's text.
    """
    ids = _Ids()
    answers: list[Said] = []  # that have calls
    since: list[Said] = []
    for said in messages:
        parts = said.parts
        if since and said.role == "assistant":
            yield from _exchange(answers, since, ids)
            answers, since = [], []
        if answers:
            if parts:
                (answers if said.role == "assistant" else since).append(said)
        elif len(parts) == 1 and isinstance(parts[0], str):  # most are, and it is soon done
            yield said
        elif said.role == "assistant" and any(isinstance(part, Call) for part in parts):
            answers.append(said)
        elif parts:
            yield _without_call(said)
    yield from _exchange(answers, since, ids)


class _Ids:
    """Ids that every provider takes, each of which is given once in a conversation."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, id: str) -> str:
        own, attempt = id, 0
        while own in self._given or not _ID.fullmatch(own):
            attempt += 1
            own = "call_" + sha256(f"{id}\n{attempt}".encode()).hexdigest()[:32]
        self._given.add(own)
        return own


def _exchange(answers: list[Said], since: list[Said], ids: _Ids) -> list[Said]:
    """One or several answers of the model, and what was said to it until the next."""
    calls = [part for said in answers for part in said.parts if isinstance(part, Call)]
    results: dict[int, Result] = {}
    others: list[Said] = []
    for said in since:
        left: list[Part] = []
        for part in said.parts:
            if isinstance(part, Result) and (place := _asked(part, calls, results)) is not None:
                results[place] = part
            else:
                left.append(part)
        if left:
            others.append(_without_call(Said(said.role, left, said.name)))
    return _answered(answers, results, ids) + others


def _asked(result: Result, calls: list[Call], results: dict[int, Result]) -> int | None:
    """The place of the call that a result is of: that of its id, or without one the first of its name."""
    for place, call in enumerate(calls):
        if place not in results and (result.id == call.id if result.id else result.name in ("", call.name)):
            return place
    return None


def _answered(answers: list[Said], results: dict[int, Result], ids: _Ids) -> list[Said]:
    """Answers with the results of their calls. Those that follow each other are calls made at once, as some frameworks
    keep each in a message of its own; but one of which no call has a result was given up, and the next made in its
    place.
    """
    turns: list[Said] = []
    place, goes_on = 0, False
    for said in answers:
        given, has_result = list[Part](), False
        for part in said.parts:
            if isinstance(part, Call):
                result = results.get(place)
                has_result = has_result or result is not None
                place += 1
                part.id, part.name = ids.of(part.id), _name(part.name)
                result = result or Result("", "", NO_RESULT, failed=True)
                result.id, result.name = part.id, part.name
                given.append(result)
        if has_result and goes_on:
            answer, all_given = turns[-2:]
            answer.name = said.name
            answer.parts += said.parts
            all_given.parts += given
        else:
            turns.append(said)
            if given:
                turns.append(Said("tool", given))
        goes_on = has_result
    return turns


@lru_cache
def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"


def _without_call(said: Said) -> Said:
    """A message that has no calls, each result in it as a text of the user's."""
    if any(isinstance(part, Result) for part in said.parts):
        parts: list[Part] = [_orphan(part) if isinstance(part, Result) else part for part in said.parts]
        return Said("user", parts, said.name)
    return said


def _orphan(result: Result) -> str:
    name = f" {result.name}" if result.name else ""
    return f"[result of the tool{name}, of a call that is not in this conversation]\n{result_text(result.content)}"
