from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from ..dialects import anthropic, openai
from ..exceptions import InvalidRecord
from . import fields
from .base import Record
from .usage import TokenUsage, usage_or_none

_KINDS_BY_ROLE = {"tool": "tool-result"}
_KIND_SPELLINGS = {"tool_call": "tool-call", "tool_result": "tool-result"}


@dataclass(slots=True, kw_only=True)
class Message(Record):
    """One message of a session, numbered by the store. A usage that reports nothing is kept as None.

    Known roles: ``user``, ``assistant``, ``system``, ``tool``, ``error``. Known kinds: ``user``, ``assistant``,
    ``tool-call``, ``tool-result``, ``error``; an empty kind is derived from the role.

    Attributes:
        raw: a framework's own item for this message, any JSON, which comes back exactly.
        format: which framework's it is.
    """

    id: str = fields.string()
    session_id: str = fields.string()
    seq_num: int = fields.number()
    role: str = fields.string()
    kind: str = fields.string()
    content: Any = fields.json_value()
    model: str = fields.string()
    name: str = fields.string()
    tool_calls: list[Any] | None = fields.field(codec.json_list_or_none, json=True, default=None)
    tool_call_id: str = fields.string()
    parent_id: str = fields.string()
    usage: TokenUsage | None = fields.field(usage_or_none, default=None)
    metadata: dict[str, Any] = fields.filterable()
    raw: Any = fields.json_value()
    format: str = fields.string()
    created_at: datetime | None = fields.timestamp()

    def cleaned(self) -> Message:
        copy = Record.cleaned(self)
        if not copy.role:
            raise InvalidRecord("role", "is empty; say who speaks, for instance 'user' or 'assistant'")
        if isinstance(copy.content, bool | int | float):
            raise InvalidRecord("content", "must be a string, a list of parts, an object or None")
        copy.kind = _KIND_SPELLINGS.get(copy.kind, copy.kind)
        return copy

    def complete(self, *, touch: bool = False) -> None:
        Record.complete(self, touch=touch)
        self.kind = self.kind or _KINDS_BY_ROLE.get(self.role, self.role)

    @classmethod
    def from_openai(cls, item: Any, **fields: Any) -> Message:
        """A message that keeps an item of OpenAI's in `raw`, its role, content, calls and usage filled from it.

        Args:
            item: a message of Chat Completions, an item of Responses, or a whole answer of Chat Completions, as a dict
                or as the library's model. What no store accepts of it is made storable; ``metadata["changes"]`` says
                what was changed (see `codec.storable`).
            fields: any other fields, such as ``session_id``; they take the place of those that are filled.

        Raises:
            InvalidRecord: the item is neither.
        """
        return _read(openai.read(item), fields)

    def to_openai(self) -> dict[str, Any]:
        """The message as OpenAI's Chat Completions take it: its own where it came from there, else from its fields.

        Raises:
            InvalidRecord: it has no such role, as ``error``, which `Storage.context` finds a place for.
        """
        return openai.written(self)

    @classmethod
    def from_anthropic(cls, item: Any, **fields: Any) -> Message:
        """A message that keeps one of Anthropic's in `raw`, its role, content, calls and usage filled from it.

        Args:
            item: a message, or a whole answer, as a dict or as the library's model; see `from_openai`. A user's message
                that is nothing but one tool's result gets the role ``tool``.
            fields: any other fields, such as ``session_id``; they take the place of those that are filled.

        Raises:
            InvalidRecord: the item is neither.
        """
        return _read(anthropic.read(item), fields)

    def to_anthropic(self) -> dict[str, Any]:
        """The message as Anthropic's API takes it: its own where it came from there, else from its fields.

        Raises:
            InvalidRecord: it has no such role, as ``system``, which the API takes apart; see `Storage.context`.
        """
        return anthropic.written(self)


def _read(found: dict[str, Any], fields: dict[str, Any]) -> Message:
    usage = found.pop("usage", None)
    return Message(**({"usage": TokenUsage(**usage) if usage else None} | found | fields))
