from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, F, Q, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from django.db.models.query import QuerySet

from ... import codec
from ...exceptions import NotFound
from ...ledger.heads import lock_heads
from ...ledger.mapping import MESSAGES, SESSIONS
from ...ledger.series import MESSAGE_SERIES, append
from ...models import Head
from ...records import Message, TokenUsage
from ...snapshots import current
from ...transactions import retried
from ..arguments import choice, filters, identified, several
from ..base import MessageOrder
from .base import OrmBase, sliced
from .pages import iterate

_ORDERS = {"asc": "seq_num", "desc": "-seq_num"}
_IDS_PER_QUERY = 500


class MessageMethods(OrmBase):
    def add_message(self, message: Message) -> Message:
        return self._add_messages([identified(Message.of(message, "message"))])[0]

    def add_messages(self, messages: Iterable[Message]) -> list[Message]:
        return self._add_messages(list(map(identified, several(Message, messages, "messages"))))

    @retried
    def _add_messages(self, given: list[Message]) -> list[Message]:
        with self.transaction():
            stored, new = append(self.alias, MESSAGE_SERIES, given)
            newest: dict[str, datetime] = {}
            for message in stored:
                moment = message.created_at
                assert moment is not None
                newest[message.session_id] = max(moment, newest.get(message.session_id, moment))
            for session_id in sorted(newest):
                self.rows(SESSIONS).filter(pk=session_id).update(
                    last_activity_at=Greatest(F("last_activity_at"), Value(newest[session_id]))
                )
        self.written(*new)
        return stored

    @retried
    def get_message(self, id: str, *, session_id: str | None = None) -> Message | None:
        return self.one_of_session(MESSAGES, id, session_id)

    def find_messages(self, ids: Sequence[str]) -> dict[str, Message]:
        found: dict[str, Message] = {}
        wanted = codec.strings(ids, "ids")
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            rows = self.rows(MESSAGES).filter(message_id__in=wanted[start : start + _IDS_PER_QUERY])
            # Most often there is none, or one of each: to rank them in the database costs more than it saves.
            narrow = rows.values_list("message_id", "session__deleted_at", "created_at", "session_id", "pk")
            newest: dict[str, tuple[bool, datetime, str, int]] = {}
            for id, deleted_at, *age in narrow:
                place = (deleted_at is None, *age)
                newest[id] = max(place, newest.get(id, place))
            if newest:
                chosen = self.rows(MESSAGES).filter(pk__in=[pk for *_, pk in newest.values()])
                found |= {message.id: message for message in MESSAGES.fetch(chosen)}
        return {id: found[id] for id in wanted if id in found}

    @retried
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
        rows = self._listed_messages(session_id, roles, since, until).order_by(choice(order, "order", _ORDERS))
        return MESSAGES.fetch(sliced(rows, limit, offset))

    def iter_messages(
        self,
        session_id: str,
        *,
        roles: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: MessageOrder = "asc",
    ) -> Iterator[Message]:
        rows = self._listed_messages(session_id, roles, since, until)
        return iterate(MESSAGES, rows, choice(order, "order", _ORDERS))

    def _listed_messages(
        self, session_id: str, roles: Sequence[str] | None, since: datetime | None, until: datetime | None
    ) -> QuerySet[Any]:
        rows = self._messages_of(session_id)
        if roles is not None:
            rows = rows.filter(role__in=codec.strings(roles, "roles"))
        return _between(rows, since, until)

    def _messages_of(self, session_id: str) -> QuerySet[Any]:
        return self.rows(MESSAGES).filter(session_id=codec.string(session_id, "session_id"))

    @retried
    def delete_message(self, id: str, *, session_id: str | None = None) -> bool:
        found = self.get_message(id, session_id=session_id)
        return found is not None and self._delete_messages(found.session_id, Q(message_id=found.id)) > 0

    @retried
    def delete_messages(self, session_id: str) -> int:
        session_id = codec.string(session_id, "session_id")
        if not self.rows(SESSIONS).filter(pk=session_id).exists():
            return 0
        return self._delete_messages(session_id, Q())

    @retried
    def truncate_messages(self, session_id: str, after_message_id: str) -> int:
        session_id = codec.string(session_id, "session_id")
        after_message_id = codec.string(after_message_id, "after_message_id")
        with self.transaction():
            if self.rows(SESSIONS).filter(pk=session_id).exists():
                lock_heads(self.alias, Head.Kind.MESSAGE, [session_id])
            last = self.one(MESSAGES, current(self._messages_of(session_id).filter(message_id=after_message_id)))
            if last is None:
                raise NotFound(f"session {session_id!r} has no message {after_message_id!r}")
            return self._delete_messages(session_id, Q(seq_num__gt=last.seq_num))

    def _delete_messages(self, session_id: str, condition: Q) -> int:
        with self.transaction():
            lock_heads(self.alias, Head.Kind.MESSAGE, [session_id])
            count: int = self._messages_of(session_id).filter(condition).delete()[0]
        return count

    @retried
    def count_messages(self, session_id: str) -> int:
        return self._messages_of(session_id).count()

    @retried
    def token_usage(self, session_id: str) -> TokenUsage:
        return usage_of(self._messages_of(session_id))

    @retried
    def usage(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> TokenUsage:
        of_sessions = {f"session__{name}": text for name, text in filters(agent_id=agent_id, user_id=user_id).items()}
        return usage_of(_between(self.rows(MESSAGES).filter(**of_sessions), since, until))


def _between(rows: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
    """The messages of a period."""
    if since is not None:
        rows = rows.filter(created_at__gte=codec.moment(since, "since"))
    if until is not None:
        rows = rows.filter(created_at__lte=codec.moment(until, "until"))
    return rows


def usage_of(rows: QuerySet[Any]) -> TokenUsage:
    """The tokens of messages, in one statement."""

    def total(expression: Any) -> Coalesce:
        return Coalesce(Sum(expression), Value(0), output_field=BigIntegerField())

    both = Coalesce("prompt_tokens", Value(0)) + Coalesce("completion_tokens", Value(0))
    sums = rows.aggregate(
        prompt=total("prompt_tokens"),
        completion=total("completion_tokens"),
        total=total(Coalesce("total_tokens", both)),
        cache_read=Sum("cache_read_tokens"),
        cache_creation=Sum("cache_creation_tokens"),
    )
    return TokenUsage(**{f"{name}_tokens": None if value is None else int(value) for name, value in sums.items()})
