"""A session's messages as the providers of models accept them; a view, which changes nothing stored.

`summaries` leaves out what they stand for, `pairing` brings calls and results together, and `cutting` keeps within a
budget; a message is read and written by `chronos_storage.dialects`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Literal

from ..dialects import anthropic, gemini, openai
from ..dialects.said import SYSTEMS, Said, left_out, said
from ..exceptions import InvalidRecord
from ..records import Message
from .cutting import beginning
from .pairing import paired
from .summaries import standing

Provider = Literal["openai", "anthropic", "gemini"]

#: The fields of messages that are looked at.
FIELDS = ("seq_num", "role", "content", "name", "tool_calls", "tool_call_id", "metadata")
PROVIDERS: dict[str, Any] = {"openai": openai, "anthropic": anthropic, "gemini": gemini}

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Context(list[dict[str, Any]]):
    """The messages that a model is given, as its provider accepts them.

    Attributes:
        system: what the system says to begin with, where the provider takes that apart (Anthropic's ``system``,
            Gemini's ``system_instruction``); else empty, as the list begins with it.
    """

    def __init__(self, messages: Iterable[dict[str, Any]] = (), *, system: str = "") -> None:
        super().__init__(messages)
        self.system = system


def size(message: dict[str, Any]) -> int:
    """The bytes of a message as compact JSON."""
    return len(_encode(message).encode())


def context(
    messages: Sequence[Message], form: Any, budget: int | None, count: Callable[[dict[str, Any]], int]
) -> Context:
    """What a provider is given of a session's messages; see `Storage.context`.

    Args:
        form: one of `PROVIDERS`.
    """
    turns = paired(map(said, standing(messages)))  # one by one: so many objects would be work for Python's collector
    opening: list[Said] = []
    first: list[Said] = []
    for turn in turns:
        if turn.role not in SYSTEMS:
            first = [turn]
            break
        opening.append(turn)
    given = list(form.rendered(chain(first, turns)))
    head: list[dict[str, Any]] = []
    system = ""
    if form.SYSTEM_APART:
        system = "\n\n".join(
            part if isinstance(part, str) else left_out(part) for each in opening for part in each.parts
        )
    else:
        head = list(form.rendered(opening))
    if budget is not None:
        always = [*head, {"role": "system", "content": system}] if system else head
        given = _within(given, budget - sum(map(count, always)), count, form)
    if given and form.OPENING and given[0]["role"] != "user":
        given.insert(0, form.OPENING)
    return Context(head + given, system=system)


def _within(
    messages: list[dict[str, Any]], room: int, count: Callable[[dict[str, Any]], int], form: Any
) -> list[dict[str, Any]]:
    """The last of the messages, as many as there is room for."""
    sizes = list(map(count, messages))
    if form.OPENING and (sum(sizes) > room or (messages and messages[0]["role"] != "user")):
        room -= count(form.OPENING)
    start = beginning(sizes, list(map(form.may_begin, messages)), room)
    if start is None or room < 0:
        raise InvalidRecord(
            "budget", "is too small for what the system says and the last message with what belongs to it"
        )
    return messages[start:]
