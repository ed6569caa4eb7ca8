"""The format ``openai-chat``: a line is ``{"messages": [{"role", "content", …}, …], …}``, as chat models take it.

What a record's field can hold goes there, unless it would be the store's own to give (ids, numbers, times); every
other key goes into the metadata of its session or message, under its name.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..exceptions import InvalidRecord
from ..records import Message, Session, TokenUsage

#: What the format itself knows of a message: of another type, it breaks the line.
_CHAT = ("role", "content", "name", "tool_calls", "tool_call_id")
_SESSION_STRINGS = ("agent_id", "user_id", "author", "title", "status", "container_id", "image_id")
_MESSAGE_STRINGS = ("model", "kind", "format")
_USAGE = {field.name for field in fields(TokenUsage)}


def read(document: Any) -> tuple[Session, list[Message]]:
    """The session and the messages of one line, checked and without ids.

    Raises:
        InvalidRecord: no conversation, or one that can't be kept.
    """
    rest = _object(document, "line")
    given = rest.pop("messages", None)
    if not isinstance(given, list):
        raise InvalidRecord("messages", "must be a list" if "messages" in document else "is missing")
    strings = _strings(rest, _SESSION_STRINGS)
    session = Session(**strings, metadata=_metadata(rest)).cleaned()
    return session, [_message(message, f"messages[{position}]") for position, message in enumerate(given)]


def _message(given: Any, place: str) -> Message:
    rest = _object(given, place)
    # null in one of them says the same as no such key.
    chat = {name: value for name in _CHAT if (value := rest.pop(name, None)) is not None}
    strings = _strings(rest, _MESSAGE_STRINGS)
    usage = rest.get("usage")
    reported = TokenUsage(**rest.pop("usage")) if isinstance(usage, dict) and usage.keys() <= _USAGE else None
    try:
        raw = rest.pop("raw", None)
        return Message(**chat, **strings, usage=reported, raw=raw, metadata=_metadata(rest)).cleaned()
    except InvalidRecord as error:
        raise InvalidRecord(f"{place}.{error.field}", error.problem) from None


def _object(value: Any, place: str) -> dict[str, Any]:
    """A copy of what must be an object, to take keys out of."""
    if not isinstance(value, dict):
        raise InvalidRecord(place, "must be an object")
    return dict(value)


def _strings(rest: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Take the strings of these names that say something."""
    return {name: rest.pop(name) for name in names if isinstance(rest.get(name), str) and rest[name]}


def _metadata(rest: dict[str, Any]) -> dict[str, Any]:
    """What is left, beside what the source called metadata itself."""
    own = rest.pop("metadata", None)
    if own is None:
        return rest
    for name in _object(own, "metadata"):
        if name in rest:
            raise InvalidRecord(f"metadata.{name}", "stands outside of the metadata too")
    return {**own, **rest}
