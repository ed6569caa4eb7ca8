from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Literal

from .. import codec
from ..async_variants import async_iterator, async_variant
from ..backends.base import Condition, Query
from ..records import Batch, Fence, Message, TokenUsage
from .arguments import (
    any_of,
    choice,
    equal,
    fenced_session,
    page_slice,
    period,
    records_of,
    required,
    start_after,
    token_of,
)
from .base import FacadeBase

MessageOrder = Literal["asc", "desc"]

_ORDERS = {"asc": ("seq_num",), "desc": ("-seq_num",)}
_IDS_PER_QUERY = 500


class MessageMethods(FacadeBase):
    def add_message(
        self, message: Message, *, expected_seq: int | None = None, fence: Fence | int | None = None
    ) -> Message:
        """Append a message to its session; see `add_messages`."""
        return self._appended(Message, [Message.of(message, "message")], expected_seq, fence)[0][0]

    @async_variant(add_message)
    def aadd_message(self) -> Any: ...

    def add_messages(
        self, messages: Iterable[Message], *, expected_seq: int | None = None, fence: Fence | int | None = None
    ) -> Batch[Message]:
        """Append messages, of one session or several, all or none, and number them per session.

        A session's last_activity_at becomes its newest message's time, and never goes back. What is stored already
        with the same content is returned as it is, whatever number is expected; the list's `new` has the ids that this
        call wrote.

        Args:
            expected_seq: append only if this is the last number of the session, which all messages are of (0: none yet;
                see `last_message_seq`).
            fence: the session's, which all messages are of.

        Raises:
            NotFound: a session that isn't there, or is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
            AlreadyExists: an id that is taken by other content.
            SequenceConflict: the last number is another one, or a message came with one which is not the next.
        """
        return Batch(*self._appended(Message, records_of(Message, messages, "messages"), expected_seq, fence))

    @async_variant(add_messages)
    def aadd_messages(self) -> Any: ...

    def get_message(self, id: str, *, session_id: str | None = None) -> Message | None:
        """The message, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a message of this id.
        """
        return self._one_of_session(Message, id, session_id)

    @async_variant(get_message)
    def aget_message(self) -> Any: ...

    def find_messages(self, ids: Sequence[str]) -> dict[str, Message]:
        """Messages by their ids, whatever their sessions: of each id the newest, of a session that is not deleted
        where there is one. They come in the order of the ids; what no session has is left out.
        """
        wanted = list(dict.fromkeys(codec.strings(ids, "ids")))
        found: dict[str, Message] = {}
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            same: dict[str, list[Message]] = {}
            for message in self._of_ids(wanted[start : start + _IDS_PER_QUERY]):
                same.setdefault(message.id, []).append(message)
            found |= {id: max(messages, key=_age) for id, messages in same.items()}
            # Most often there is none, or one of each: whose session is deleted need not be known then.
            if several := [id for id, messages in same.items() if len(messages) > 1]:
                live = sorted(self._of_ids(several, deleted=False), key=_age)
                found |= {message.id: message for message in live}
        return {id: found[id] for id in wanted if id in found}

    def _of_ids(self, ids: list[str], *, deleted: bool = True) -> list[Message]:
        return self._select(Query(record=Message, where=(Condition("id", "in", ids),), deleted=deleted))

    @async_variant(find_messages)
    def afind_messages(self) -> Any: ...

    def get_messages(self, session_id: str, ids: Sequence[str]) -> list[Message]:
        """Those of a session's messages that have these ids, by number; what isn't there is left out."""
        where, wanted = required(session_id=session_id), list(dict.fromkeys(codec.strings(ids, "ids")))
        found: list[Message] = []
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            some = Condition("id", "in", wanted[start : start + _IDS_PER_QUERY])
            found += self._select(Query(record=Message, where=(*where, some)))
        return sorted(found, key=attrgetter("seq_num"))

    @async_variant(get_messages)
    def aget_messages(self) -> Any: ...

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
        after: Message | None = None,
    ) -> list[Message]:
        """A session's messages by number; `since` and `until` are inclusive, on created_at.

        ``order="desc", limit=50`` is the latest fifty, newest first.
        """
        query = _listed(session_id, roles, since, until)
        query = replace(query, order=choice(order, "order", _ORDERS), **page_slice(limit, offset))
        return self._select(start_after(query, after))

    @async_variant(list_messages)
    def alist_messages(self) -> Any: ...

    def iter_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
    ) -> Iterator[Message]:
        """`list_messages`, page by page."""
        query = _listed(session_id, roles, since, until)
        return self._iterate(replace(query, order=choice(order, "order", _ORDERS)))

    @async_iterator(iter_messages)
    def aiter_messages(self) -> Any: ...

    def delete_message(self, id: str, *, session_id: str | None = None, fence: Fence | int | None = None) -> bool:
        """Remove one message; its number is not given again, and the session's last_activity_at stays.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a message of this id, and the fence's has
                none.
            NotFound: the session is soft-deleted.
        """
        sessions = fenced_session(fence, session_id)
        token = token_of(fence, sessions)
        if found := self._to_remove(Message, id, session_id, sessions):
            sessions = [found.session_id]
            token_of(fence, sessions)
        where = [required(session_id=each, id=id) for each in sessions]
        return any(self._delete(Query(record=Message, where=each), token) for each in where)

    @async_variant(delete_message)
    def adelete_message(self) -> Any: ...

    def delete_messages(self, session_id: str, *, fence: Fence | int | None = None) -> int:
        """Remove all messages of a session; returns how many. `NotFound` if it is soft-deleted."""
        query = Query(record=Message, where=required(session_id=session_id))
        return self._delete(query, token_of(fence, [session_id]))

    @async_variant(delete_messages)
    def adelete_messages(self) -> Any: ...

    def truncate_messages(self, session_id: str, after_message_id: str, *, fence: Fence | int | None = None) -> int:
        """Remove the messages that come after this one; returns how many.

        Raises:
            NotFound: no such message in that session, or the session is soft-deleted.
        """
        session_id = codec.string(session_id, "session_id")
        after_id, token = codec.string(after_message_id, "after_message_id"), token_of(fence, [session_id])
        return self._run(partial(self.backend.truncate, session_id, after_id, token))

    @async_variant(truncate_messages)
    def atruncate_messages(self) -> Any: ...

    def count_messages(self, session_id: str) -> int:
        """How many messages a session has."""
        return self._count(Query(record=Message, where=required(session_id=session_id)))

    @async_variant(count_messages)
    def acount_messages(self) -> Any: ...

    def last_message_seq(self, session_id: str) -> int:
        """The number of the last message that a session was given; 0 before the first. Deleting does not lower it."""
        return self._last_number(Message, session_id)

    @async_variant(last_message_seq)
    def alast_message_seq(self) -> Any: ...

    def token_usage(self, session_id: str) -> TokenUsage:
        """The tokens of a session's messages, summed by the database.

        Zeros for a session without any; a cache field is None unless some message reported it. A message that
        reported its prompt and completion but no total counts with their sum.
        """
        return self._token_usage(*required(session_id=session_id))

    @async_variant(token_usage)
    def atoken_usage(self) -> Any: ...

    def usage(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> TokenUsage:
        """The tokens of all messages of a period in the sessions of an agent and a user, added up as by `token_usage`.

        Soft-deleted sessions count too, as their tokens were used; what was removed for good does not.

        Args:
            since: the first moment of the period, by the messages' created_at.
            until: the last one.
        """
        of_sessions = [Condition(f"session.{c.field}", *c[1:]) for c in equal(agent_id=agent_id, user_id=user_id)]
        return self._token_usage(*of_sessions, *period(since, until))

    @async_variant(usage)
    def ausage(self) -> Any: ...

    def _token_usage(self, *where: Condition) -> TokenUsage:
        return self._run(partial(self.backend.token_usage, Query(record=Message, where=where)))


def _age(message: Message) -> tuple[datetime, str]:
    assert message.created_at is not None
    return message.created_at, message.session_id


def _listed(
    session_id: str, roles: Sequence[str] | None, since: datetime | None, until: datetime | None
) -> Query[Message]:
    where = (*required(session_id=session_id), *any_of("role", roles, "roles"), *period(since, until))
    return Query(record=Message, where=where)
