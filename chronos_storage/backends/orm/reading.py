from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from django.db import connections
from django.db.models import BigIntegerField, CharField, Sum, Value
from django.db.models.functions import Coalesce
from django.db.models.query import QuerySet

from ...compat.queries import selecting
from ...filters import Node
from ...ledger.heads import heads_of
from ...ledger.kept import Built, Place, fetch_kept
from ...ledger.mapping import TABLES
from ...ledger.pages import Columns, iterate
from ...models import Head
from ...records import Event, Message, Record, TokenUsage
from ...snapshots import refuse_unseen_rows
from ..base import Query
from .base import OrmBase
from .conditions import rows_of
from .statements import count_selected, fetch_selected, selected

R = TypeVar("R", bound=Record)

_HEADS: dict[type[Record], Head.Kind] = {Message: Head.Kind.MESSAGE, Event: Head.Kind.EVENT}


class ReadingMethods(OrmBase):
    def select(self, query: Query[R]) -> list[R]:
        if query.limit == 0:
            return []
        query, trees = self._without_trees(query)
        table = TABLES[query.record]
        if not trees:
            table = table.narrowed(query.fields) if query.fields else table
            fetch = table.fetch if query.whole else table.fetch_as_kept
            records = fetch(query, partial(fetch_selected, self.using), self.using)
            if query.current and not records:
                refuse_unseen_rows(rows_of(query, self.using))
            return records
        end = None if query.limit is None else query.offset + query.limit
        found = islice(self._matching(query, trees), query.offset, end)
        return [
            record
            for some in self._named(self._rows(table), "pk", found)
            for record in table.fetch(some.order_by(*query.order))
        ]

    def iterate(self, query: Query[R]) -> Iterator[R]:
        query, trees = self._without_trees(query)
        found: Iterator[Any] = iterate(
            TABLES[query.record], rows_of(query, self.using), *query.order, after=query.after
        )
        if not trees:
            return found
        return (record for record in found if all(tree.matches(record.metadata) for tree in trees))

    def _without_trees(self, query: Query[R]) -> tuple[Query[R], list[Node]]:
        """The query without the filters that this database can't be asked for, and these."""
        if connections[self.using].vendor == "postgresql":
            return query, []
        trees = [condition.value for condition in query.where if condition.operator == "matches"]
        return replace(query, where=tuple(each for each in query.where if each.operator != "matches")), trees

    def _matching(self, query: Query[Any], trees: list[Node]) -> Iterator[Any]:
        """The primary keys of the rows whose metadata match: looked through here, without what else is in them."""
        order = [name.removeprefix("-") for name in query.order]
        found = Columns(TABLES[query.record].model, *order, "pk", "metadata")
        for *_, pk, metadata in iterate(found, selected(query, self.using), *query.order):
            if all(tree.matches(metadata) for tree in trees):
                yield pk

    def count(self, query: Query[Any]) -> int:
        return count_selected(self.using, query)

    def token_usage(self, query: Query[Any]) -> TokenUsage:
        return usage_of(rows_of(query, self.using))

    def last_number(self, record: type[Record], owner: str) -> int:
        def build() -> Built:
            return selecting(heads_of(self.using, _HEADS[record], [Place(0, CharField())]), ["seq_num"])

        found = list(fetch_kept(connections[self.using], ("last number", record), [owner], build))
        return found[0][0] if found else 0


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
