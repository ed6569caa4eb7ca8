"""One stored message without those beside it, for the frameworks that put them together themselves."""

from __future__ import annotations

from typing import Any

from ..records import Message
from . import openai
from .said import Call, Part, Result, Said, said


def turns_of(message: Message) -> list[Said]:
    """What a message says: the results of tools in a turn of their own, before what else there is; none for nothing."""
    whole = said(message)
    results: list[Part] = [part for part in whole.parts if isinstance(part, Result)]
    # A call that names no tool is one that nobody could make.
    others: list[Part] = [
        part for part in whole.parts if not isinstance(part, Result) and not (isinstance(part, Call) and not part.name)
    ]
    turns = [Said("tool", results)] if results else []
    return [*turns, Said(whole.role, others, whole.name)] if others else turns


def chat_messages(message: Message) -> list[dict[str, Any]]:
    """A message as OpenAI's Chat Completions have it: several, where it has the results of several calls, or none."""
    return list(openai.rendered(turns_of(message)))
