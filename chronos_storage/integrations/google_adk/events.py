"""ADK's events as messages, and messages as events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.adk.events.event import Event
from google.genai import types

from ... import codec
from ...codec import storable
from ...dialects import gemini
from ...dialects.openai import chat_call
from ...dialects.said import Call, Part, Result, left_out
from ...dialects.single import turns_of
from ...ids import new_id
from ...records import Message, TokenUsage

FORMAT = "google-adk"
#: How many bytes of what is shown beside `raw` are kept: a record holds 7 MiB, of which `raw` may need 4.
_CONTENT, _CALLS = 2 * 1024 * 1024, 1024 * 1024
_ROLES = {"model": "assistant", "function": "tool"}


def moment(timestamp: float) -> datetime:
    """The time of an event, as records keep it."""
    return datetime.fromtimestamp(timestamp, UTC)


def to_message(event: Event, session_id: str) -> Message:
    """An event as a message, with the event itself in `raw`."""
    parts = (event.content and event.content.parts) or []
    answers = [part.function_response for part in parts if part.function_response]
    return Message(
        id=_short(event.id) or new_id(),
        session_id=session_id,
        role=_role(event, bool(answers)),
        content=storable(_content(parts), limit=_CONTENT).value,
        name=_short(event.author),
        model=_short(event.model_version),
        tool_calls=storable(_calls(parts), limit=_CALLS).value,
        tool_call_id=_short(answers[0].id) if len(answers) == 1 else "",
        usage=_usage(event.usage_metadata),
        raw=storable(event.model_dump(exclude_none=True, mode="json")).value,
        format=FORMAT,
        created_at=moment(event.timestamp),
    )


def _role(event: Event, answers: bool) -> str:
    if answers:
        return "tool"
    role = (event.content and event.content.role) or ("user" if event.author == "user" else "assistant")
    return _short(_ROLES.get(role, role))


def _content(parts: list[types.Part]) -> Any:
    """Text where there is nothing else, else the parts as the provider has them."""
    said = [part for part in parts if not part.function_call]
    if all(part.text is not None and not part.thought for part in said):
        return "".join(part.text or "" for part in said) if said else None
    return [part.model_dump(exclude_none=True, mode="json") for part in said]


def _calls(parts: list[types.Part]) -> list[Any] | None:
    """The calls as most providers have them: their arguments are text."""
    calls = [part.function_call for part in parts if part.function_call]
    return [chat_call(Call(call.id or "", call.name or "", storable(call.args or {}).value)) for call in calls] or None


def _usage(usage: types.GenerateContentResponseUsageMetadata | None) -> TokenUsage | None:
    if usage is None:
        return None
    return TokenUsage(
        prompt_tokens=_count(usage.prompt_token_count),
        completion_tokens=_count(usage.candidates_token_count),
        total_tokens=_count(usage.total_token_count),
        cache_read_tokens=_count(usage.cached_content_token_count),
    )


def _count(given: int | None) -> int | None:
    """A count of tokens, where it is one; `raw` has whatever it is."""
    return given if given is not None and 0 <= given <= codec.MAX_TOKENS else None


def _short(text: str | None) -> str:
    """A string that is looked up; `raw` has the whole of one that is longer."""
    return str(storable(text or "").value)[: codec.MAX_INDEXED]


def to_event(message: Message) -> Event:
    """A message as an event: ADK's own, or what another writer's says as ADK has it."""
    if message.format == FORMAT:
        try:
            return Event.model_validate(message.raw)
        except ValueError:  # of a release that is gone
            pass
    assert message.created_at
    turns = turns_of(message)
    parts = [own for turn in turns for part in turn.parts if (own := _part(part, turn.role))]
    is_models = any(turn.role == "assistant" for turn in turns)
    return Event(
        id=message.id,
        author=_author(message, has_results=any(turn.role == "tool" for turn in turns)),
        content=types.Content(role="model" if is_models else "user", parts=parts),
        timestamp=message.created_at.timestamp(),
    )


def _author(message: Message, *, has_results: bool) -> str:
    """Who said it: not the user where it is what tools gave, as ADK would look for calls among its own."""
    if message.role != "user":
        return message.name or message.role
    return "tool" if has_results else "user"


def _part(part: Part, role: str) -> types.Part | None:
    if (found := gemini.part_of(part, role)) is None:
        return None
    try:
        own = types.Part.model_validate(found)
    except ValueError:  # of a file that is no Base64, as one that was shortened to be stored
        return types.Part(text=left_out(found))
    if isinstance(part, Call) and own.function_call:
        own.function_call.id = part.id
    elif isinstance(part, Result) and own.function_response:
        own.function_response.id = part.id
    return own
