"""AgentX' records, and the records of the storage that they are kept as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from .. import codec, records
from ..exceptions import InvalidRecord
from ..records import TokenUsage
from .exchange import Exchanged, from_milliseconds, milliseconds, required

_USAGE = {
    "inputTokens": "prompt_tokens",
    "outputTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "cacheReadTokens": "cache_read_tokens",
    "cacheCreationTokens": "cache_creation_tokens",
}
_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "tool-call": "assistant",
    "tool-result": "tool",
    "error": "error",
}


@dataclass(slots=True, kw_only=True)
class ContainerRecord(Exchanged):
    """An isolation boundary that groups agents."""

    container_id: str
    created_at: int | None = None
    updated_at: int | None = None
    config: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class ImageRecord(Exchanged):
    """A conversation as users know it; one that was forked names its source in `parent_image_id`."""

    image_id: str
    container_id: str
    session_id: str
    name: str
    description: str | None = None
    system_prompt: str | None = None
    parent_image_id: str | None = None
    mcp_servers: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    created_at: int | None = None
    updated_at: int | None = None


@dataclass(slots=True, kw_only=True)
class SessionRecord(Exchanged):
    """The history of an image's conversation."""

    session_id: str
    image_id: str
    container_id: str
    created_at: int | None = None
    updated_at: int | None = None


class _MessageJSON(Exchanged):
    """How messages are written and read, whose calls have two places."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """The message as JSON: one call as ``toolCall``, several as the content."""
        written = super().to_json()
        content = written.get("content")
        if (calls := written.pop("toolCalls", None)) is not None and content is None:
            written |= {"toolCall": calls[0]} if len(calls) == 1 else {"content": calls}
        elif calls is not None and content != calls:
            written["toolCalls"] = calls
        return written

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The message that JSON holds, its call in ``toolCall`` or its calls as the content."""
        if isinstance(data, dict) and "toolCall" in data:
            data = {key: value for key, value in data.items() if key != "toolCall"} | {"toolCalls": [data["toolCall"]]}
        return super().from_json(data)


@dataclass(slots=True, kw_only=True)
class Message(_MessageJSON):
    """A message of a session.

    Attributes:
        subtype: ``user``, ``assistant``, ``tool-call``, ``tool-result`` or ``error``; ``tool_call`` and ``tool_result``
            are read too.
        content: text, or a list of parts; of a tool call it may be the list of calls.
        role: follows from the subtype where it isn't given.
        tool_calls: the calls of a tool call.
        tool_result: what a tool gave, an object with its output.
        tool_call_id: the call that a result answers.
    """

    usage_names: ClassVar[Mapping[str, str]] = _USAGE

    id: str = ""
    subtype: str
    content: Any = None
    timestamp: int | None = None
    role: str | None = None
    parent_id: str | None = None
    tool_calls: list[Any] | None = None
    tool_result: dict[str, Any] | None = None
    tool_call_id: str | None = None
    usage: TokenUsage | None = None
    error_code: str | None = None
    metadata: dict[str, Any] | None = None


def container_of(record: ContainerRecord) -> records.Container:
    """The storage's container."""
    record = ContainerRecord.of(record, "record")
    return records.Container(
        id=required(record.container_id, "container_id"),
        config=record.config or {},
        created_at=from_milliseconds(record.created_at, "created_at"),
        updated_at=from_milliseconds(record.updated_at, "updated_at"),
    )


def container_record(container: records.Container) -> ContainerRecord:
    """AgentX' container."""
    return ContainerRecord(
        container_id=container.id,
        created_at=milliseconds(container.created_at),
        updated_at=milliseconds(container.updated_at),
        config=container.config or None,
    )


def image_of(record: ImageRecord) -> records.Image:
    """The storage's image."""
    record = ImageRecord.of(record, "record")
    return records.Image(
        id=required(record.image_id, "image_id"),
        container_id=record.container_id,
        session_id=record.session_id,
        name=record.name,
        description=record.description or "",
        system_prompt=record.system_prompt or "",
        parent_image_id=record.parent_image_id or "",
        mcp_servers=record.mcp_servers or {},
        metadata=record.metadata or {},
        created_at=from_milliseconds(record.created_at, "created_at"),
        updated_at=from_milliseconds(record.updated_at, "updated_at"),
    )


def image_record(image: records.Image) -> ImageRecord:
    """AgentX' image."""
    return ImageRecord(
        image_id=image.id,
        container_id=image.container_id,
        session_id=image.session_id,
        name=image.name,
        description=image.description or None,
        system_prompt=image.system_prompt or None,
        parent_image_id=image.parent_image_id or None,
        mcp_servers=image.mcp_servers or None,
        metadata=image.metadata or None,
        created_at=milliseconds(image.created_at),
        updated_at=milliseconds(image.updated_at),
    )


def session_of(record: SessionRecord) -> records.Session:
    """The storage's session."""
    record = SessionRecord.of(record, "record")
    return records.Session(
        id=required(record.session_id, "session_id"),
        image_id=record.image_id,
        container_id=record.container_id,
        created_at=from_milliseconds(record.created_at, "created_at"),
        updated_at=from_milliseconds(record.updated_at, "updated_at"),
    )


def session_record(session: records.Session) -> SessionRecord:
    """AgentX' session."""
    return SessionRecord(
        session_id=session.id,
        image_id=session.image_id,
        container_id=session.container_id,
        created_at=milliseconds(session.created_at),
        updated_at=milliseconds(session.updated_at),
    )


def message_of(session_id: str, message: Message) -> records.Message:
    """The storage's message. A tool's result is its content; an error's code stands in its metadata."""
    message = Message.of(message, "message")
    kind = codec.string(message.subtype, "subtype").replace("_", "-")
    if kind not in _ROLES:
        raise InvalidRecord("subtype", f"must be one of {', '.join(_ROLES)}, not {message.subtype!r}")
    if message.tool_result is not None and message.content is not None:
        raise InvalidRecord("content", "must be empty beside a tool_result")
    calls = message.tool_calls
    if kind == "tool-call" and calls is None and isinstance(message.content, list):
        calls = message.content
    result = message.tool_result
    metadata = codec.json_object(message.metadata or {}, "metadata")
    if message.error_code:
        metadata["error_code"] = message.error_code
    return records.Message(
        id=message.id,
        session_id=session_id,
        role=message.role or _ROLES[kind],
        kind=kind,
        content=message.content if result is None else codec.json_object(result, "tool_result"),
        name=_tool(result),
        tool_calls=calls,
        tool_call_id=message.tool_call_id or "",
        parent_id=message.parent_id or "",
        usage=message.usage,
        metadata=metadata,
        created_at=from_milliseconds(message.timestamp, "timestamp"),
    )


def _tool(result: dict[str, Any] | None) -> str:
    """The name of the tool that gave a result."""
    name = (result or {}).get("name")
    return name if isinstance(name, str) else ""


def message_record(message: records.Message) -> Message:
    """AgentX' message."""
    metadata = dict(message.metadata)
    code = metadata.pop("error_code", None) if message.kind == "error" else None
    is_result = message.kind == "tool-result" and isinstance(message.content, dict)
    return Message(
        id=message.id,
        subtype=message.kind,
        content=None if is_result else message.content,
        timestamp=milliseconds(message.created_at),
        role=message.role,
        parent_id=message.parent_id or None,
        tool_calls=message.tool_calls,
        tool_result=message.content if is_result else None,
        tool_call_id=message.tool_call_id or None,
        usage=message.usage,
        error_code=code,
        metadata=metadata or None,
    )
