from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from ... import codec
from ...exceptions import NotFound
from ...records import Message, Session, TokenUsage
from ..arguments import choice, several
from ..base import MessageOrder
from .base import DocumentBase
from .bodies import decode
from .driver import Key
from .places import place_of
from .series import MESSAGES, append
from .work import Work, retried

_ORDERS = {"asc": False, "desc": True}


class MessageMethods(DocumentBase):
    def add_message(self, message: Message) -> Message:
        return self._add_messages([Message.of(message, "message")])[0]

    def add_messages(self, messages: Iterable[Message]) -> list[Message]:
        return self._add_messages(several(Message, messages, "messages"))

    @retried
    def _add_messages(self, given: list[Message]) -> list[Message]:
        with self.work() as work:
            stored, new = append(work, MESSAGES, [message.cleaned() for message in given])
            self._move_activity(work, new)
            self.written(work, *new)
        return stored

    def _move_activity(self, work: Work, new: list[Message]) -> None:
        newest: dict[str, Any] = {}
        for message in new:
            assert message.created_at is not None
            newest[message.session_id] = max(message.created_at, newest.get(message.session_id, message.created_at))
        for session_id, moment in newest.items():
            session: Any = work.get(Session, "session", session_id)
            if moment > session.last_activity_at:
                session.last_activity_at = moment
                work.put(session)

    def get_message(self, id: str, *, session_id: str | None = None) -> Message | None:
        return self.one_of_session(Message, id, session_id)

    def find_messages(self, ids: Sequence[str]) -> dict[str, Message]:
        found: dict[str, Message] = {}
        for id in dict.fromkeys(codec.strings(ids, "ids")):
            documents = list(self.walk(("message", "id", id)))
            if len(documents) > 1:
                documents = self.live(documents) or documents
            if documents:
                several = [decode(Message, document.body) for document in documents]
                found[id] = max(several, key=_age)
        return found

    def list_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Message]:
        return list(self._listed_messages(session_id, roles, since, until, order, limit=limit, offset=offset))

    def iter_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
    ) -> Iterator[Message]:
        return self._listed_messages(session_id, roles, since, until, order)

    def _listed_messages(
        self,
        session_id: str,
        roles: Sequence[str] | None,
        since: datetime | None,
        until: datetime | None,
        order: str,
        **part: Any,
    ) -> Iterator[Message]:
        wanted = None if roles is None else frozenset(codec.strings(roles, "roles"))
        start = None if since is None else codec.moment(since, "since")
        end = None if until is None else codec.moment(until, "until")

        def matches(message: Any) -> bool:
            return (
                (wanted is None or message.role in wanted)
                and (start is None or message.created_at >= start)
                and (end is None or message.created_at <= end)
            )

        where = None if roles is None and since is None and until is None else matches
        return self.records(Message, _of(session_id), where, reverse=choice(order, "order", _ORDERS), **part)

    @retried
    def delete_message(self, id: str, *, session_id: str | None = None) -> bool:
        found = self.get_message(id, session_id=session_id)
        if found is None:
            return False
        return self._delete_messages(found.session_id, above=found.seq_num - 1, below=found.seq_num + 1) > 0

    @retried
    def delete_messages(self, session_id: str) -> int:
        session_id = codec.string(session_id, "session_id")
        if self.get_session(session_id, include_deleted=True) is None:
            return 0
        return self._delete_messages(session_id)

    @retried
    def truncate_messages(self, session_id: str, after_message_id: str) -> int:
        session_id = codec.string(session_id, "session_id")
        last = self.one_of_session(Message, after_message_id, session_id, "after_message_id")
        if last is None:
            raise NotFound(f"session {session_id!r} has no message {after_message_id!r}")
        return self._delete_messages(session_id, above=last.seq_num)

    def _delete_messages(self, session_id: str, **between: int) -> int:
        """Remove the messages whose numbers are between these; returns how many."""
        with self.work() as work:
            work.require_open(session_id)
            head = work.head("message", session_id)
            bounds: dict[str, Any] = {name: place_of(number) for name, number in between.items()}
            count = work.remove_found(self.walk(_of(session_id), **bounds))
            head.count -= count
        return count

    def count_messages(self, session_id: str) -> int:
        return self.head("message", codec.string(session_id, "session_id")).count

    def token_usage(self, session_id: str) -> TokenUsage:
        return _usage_of(self.records(Message, _of(session_id)))

    def usage(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> TokenUsage:
        start = None if since is None else codec.moment(since, "since")
        end = None if until is None else codec.moment(until, "until")
        sessions = self.iter_sessions(agent_id, user_id=user_id, include_deleted=True)
        return _usage_of(
            message for session in sessions for message in self.iter_messages(session.id, since=start, until=end)
        )


def _of(session_id: str) -> Key:
    return ("message", "session", codec.string(session_id, "session_id"))


def _age(message: Message) -> tuple[datetime, str]:
    assert message.created_at is not None
    return message.created_at, message.session_id


def _usage_of(messages: Iterable[Message]) -> TokenUsage:
    sums = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    for message in messages:
        if (usage := message.usage) is not None:
            _add(sums, usage)
    return sums


def _add(sums: TokenUsage, usage: TokenUsage) -> None:
    """Add what a message reported; a total that it did not report is the sum of its parts."""
    total = usage.total_tokens
    if total is None:
        total = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
    for name, value in (
        ("prompt_tokens", usage.prompt_tokens),
        ("completion_tokens", usage.completion_tokens),
        ("total_tokens", total),
        ("cache_read_tokens", usage.cache_read_tokens),
        ("cache_creation_tokens", usage.cache_creation_tokens),
    ):
        if value is not None:
            setattr(sums, name, (getattr(sums, name) or 0) + value)
