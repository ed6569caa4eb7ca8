"""The tables of AgentOS: ``conversations`` and ``messages``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from ..interfaces import agentos_records as agentos
from ..records import Message, Session, TokenUsage
from . import tables
from .source import Conversation, Source, json_of, within
from .tables import Row, Tables

_COUNTS = {
    "prompt_tokens": "prompttokens",
    "completion_tokens": "completiontokens",
    "total_tokens": "totaltokens",
    "cache_read_tokens": "cachereadtokens",
    "cache_creation_tokens": "cachecreationtokens",  # which older tables lack, as the one before
}


@contextmanager
def opened(url: str) -> Iterator[Source]:
    """What an AgentOS keeps in the database that an address names."""
    with tables.opened(url) as found:
        found.require("conversations", "id", "userId", "agentId", "createdAt", "lastActivity", "title", "metadata")
        found.require("messages", "id", "conversationId", "role", "content", "timestamp")
        yield _AgentOS(found)


class _AgentOS(Source):
    def __init__(self, found: Tables) -> None:
        self._tables = found

    def count(self) -> int:
        return self._tables.count("conversations")

    def conversations(self) -> Iterator[Conversation]:
        for row in self._tables.rows("conversations", "id"):
            place = f"conversations {row['id']!r}"
            yield Conversation(
                place=place, session=partial(_session, place, row), messages=partial(self._messages, row["id"])
            )

    def _messages(self, conversation_id: str) -> Iterator[Message]:
        for row in self._tables.rows("messages", "timestamp", conversationid=conversation_id):
            with within(f"messages {row['id']!r}"):
                yield _message(row).cleaned()


def _session(place: str, row: Row) -> Session:
    with within(place):
        return agentos.session_of(
            agentos.Conversation(
                id=row["id"],
                user_id=row["userid"],
                agent_id=row["agentid"],
                created_at=row["createdat"],
                last_activity=row["lastactivity"],
                title=row["title"],
                metadata=json_of(row["metadata"], "metadata"),
            )
        ).cleaned()


def _message(row: Row) -> Message:
    return agentos.message_of(
        agentos.ConversationMessage(
            id=row["id"],
            conversation_id=row["conversationid"],
            role=row["role"],
            content=row["content"],
            timestamp=row["timestamp"],
            model=row.get("model"),
            usage=TokenUsage(**{name: row.get(column) for name, column in _COUNTS.items()}),
            tool_calls=json_of(row.get("toolcalls"), "tool_calls"),
            tool_call_id=row.get("toolcallid"),
            name=row.get("name"),
            metadata=json_of(row.get("metadata"), "metadata"),
        )
    )
