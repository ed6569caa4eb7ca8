from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from ...batches import batches
from ...chains.numbering import audit_chain
from ...records import AuditLog, Event, Message, Record, Session, TokenUsage
from ..base import Condition, Query
from .conditions import fulfils
from .driver import Document
from .indexes import INDEXES, KIND_OF, OF_SESSION, Index, place_of, value_of
from .item_log import ItemLogMethods
from .serialization import decode
from .unit_of_work import base_key, base_of, head_key, head_of

R = TypeVar("R", bound=Record)

#: So many documents are looked at together for whether their sessions are deleted.
_CHUNK = 100


class ReadingMethods(ItemLogMethods):
    def select(self, query: Query[R]) -> list[R]:
        end = None if query.limit is None else query.offset + query.limit
        while True:
            found = list(islice(self._found(query, end), query.offset, end))
            whole = list(self.whole(found)) if query.whole else found
            # Where some were removed in between, others have come into the limit.
            if query.limit is None or len(whole) == len(found):
                return whole

    def iterate(self, query: Query[R]) -> Iterator[R]:
        found = self._found(query, query.limit)
        return self.whole(found) if query.whole else found

    def count(self, query: Query[Any]) -> int:
        match query.where:
            case (Condition("session_id", "=", session_id),) if query.record in (Message, Event) and query.deleted:
                head, base = (key(KIND_OF[query.record], session_id) for key in (head_key, base_key))
                found = self.read([head, base])
                return head_of(found.get(head)).count - base_of(found.get(base)).seq_num
        return sum(1 for _ in self._found(query))

    def token_usage(self, query: Query[Any]) -> TokenUsage:
        sums = TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        for message in self._found(query):
            if (usage := message.usage) is not None:
                _add(sums, usage)
        return sums

    def last_number(self, record: type[Record], owner: str) -> int:
        return self.head(KIND_OF[record], owner).seq_num

    def _found(self, query: Query[R], enough: int | None = None) -> Iterator[R]:
        """The records that a query finds; `enough` is how many are wanted at most, for the first page's size."""
        of_session = [condition for condition in query.where if condition.field.startswith("session.")]
        if of_session or (query.record in OF_SESSION and not {"session_id", "id"} & {name for name, *_ in query.where}):
            yield from self._within_sessions(query, of_session)
            return
        documents = self._documents(query, enough)
        if not query.deleted and query.record is not Session:
            documents = self._of_live_sessions(documents)
        conditions = list(query.where)
        if not query.deleted and query.record is Session:
            conditions.append(Condition("deleted_at", "=", None))
        yield from filter(fulfils(conditions), (decode(query.record, document.body) for document in documents))

    def _within_sessions(self, query: Query[R], of_session: list[Condition]) -> Iterator[R]:
        """What belongs to the sessions that fulfil the conditions on them, session by session."""
        about = tuple(
            Condition(condition.field.partition(".")[2], condition.operator, condition.value)
            for condition in of_session
        )
        rest = tuple(condition for condition in query.where if condition not in of_session)
        for session in self._found(Query(record=Session, where=about)):
            yield from self._found(replace(query, where=(Condition("session_id", "=", session.id), *rest)))

    def _of_live_sessions(self, documents: Iterator[Document]) -> Iterator[Document]:
        for chunk in batches(documents, _CHUNK):
            yield from self.live(chunk)

    def _documents(self, query: Query[Any], enough: int | None) -> Iterator[Document]:
        """What may fulfil a query, in its order: by key, or along the index that its equalities narrow down most."""
        kind = KIND_OF[query.record]
        same = {condition.field: condition.value for condition in query.where if condition.operator == "="}
        if query.record is AuditLog and same.get("session_id"):
            same["chain"] = audit_chain(same["session_id"], None)
        for field, operator, values in query.where:
            if field == "id" and operator == "in":
                within = tuple(each for each in query.where if each.field == "session_id")
                for id in dict.fromkeys(values):
                    one = Condition("id", "=", id)
                    yield from self._documents(replace(query, where=(one, *within)), enough)
                return
        key: tuple[Any, ...] = (
            (kind, same.get("session_id"), same.get("id")) if query.record in OF_SESSION else (kind, same.get("id"))
        )
        if None not in key:
            yield from self.read([key]).values()
            return
        index = _index_of(query, same)
        bounds = _bounds(index, query)
        page: dict[str, Any] = {} if enough is None else {"page": max(1, min(enough, 500))}
        yield from self.walk(index.partition(kind, same), **bounds, **page)


def _index_of(query: Query[Any], same: dict[str, Any]) -> Index:
    order = tuple(name.removeprefix("-") for name in query.order)
    fitting = [
        index
        for index in INDEXES[query.record]
        if index.order[: len(order)] == order and same.keys() >= set(index.equal)
    ]
    return max(fitting, key=lambda index: len(index.equal))


def _bounds(index: Index, query: Query[Any]) -> dict[str, Any]:
    """Between which places of an index the query's records are; others may be there too."""
    above: list[str] = []
    below: list[str] = []
    # A place that goes on after its first value does so with less than this.
    suffix = ":" if len(index.order) > 1 else ""
    for field, operator, value in query.where:
        if field == index.order[0]:
            place = place_of(value)
            match operator:
                case ">":
                    above.append(place + suffix)
                case ">=":
                    above.append(place[:-1])
                case "<":
                    below.append(place)
                case "<=":
                    below.append(place + ":")
    reverse = bool(query.order) and query.order[0].startswith("-")
    if query.after is not None:
        (below if reverse else above).append(place_of(*(value_of(query.after, name) for name in index.order)))
    return {"above": max(above, default=None), "below": min(below, default=None), "reverse": reverse}


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
