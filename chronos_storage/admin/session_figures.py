"""What each session of a list comes to, and the order of sessions by that."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    IntegerField,
    Model,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThan
from django.db.models.query import QuerySet

from .. import conf
from ..failures import RESULTS_BEGIN, failed
from ..fields import CostField
from ..ledger.heads import heads_of
from ..models import Event, Head, Message, Trace
from .summaries import TOKENS

#: Of how many messages, or events, at most a session's are added up for a list.
MOST = 5_000


class _Length(Func):
    """How many items a JSON array has; 0 of what is none."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="json_array_length(%(expressions)s)")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        # What is an array begins as one: the store writes JSON without spaces.
        return self.as_sql(
            compiler,
            connection,
            template="CASE WHEN left((%(expressions)s)::text, 1) = '['"
            " THEN json_array_length(%(expressions)s) ELSE 0 END",
        )

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="CASE WHEN LEFT(%(expressions)s, 1) = '['"
            " THEN COALESCE(JSON_LENGTH(%(expressions)s), 0) ELSE 0 END",
        )


class _HasResults(Func):
    """Whether a content is a list of parts that begins with a tool's result."""

    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        text = f"{column}::text" if connection.vendor == "postgresql" else column
        return f"substr({text}, 1, {len(RESULTS_BEGIN)}) = '{RESULTS_BEGIN}'", []


#: What is added up of a session's messages.
CALLS = Sum(_Length("tool_calls"))
#: A result is a message; several may be the parts of one of the user's.
RESULTS = Count("pk", filter=~Q(tool_call_id="") | Q(role="tool")) + Coalesce(
    Sum(_Length("content"), filter=Q(role="user", tool_call_id="") & Q(_HasResults("content"))), Value(0)
)


@dataclass(frozen=True)
class Figures:
    """What a session comes to; None for what the user may not see, or what is too much to be added up for a list."""

    messages: int | None = None
    calls: int | None = None
    tokens: int | None = None
    errors: int | None = None
    cost: Decimal | None = None

    @property
    def over_budget(self) -> bool:
        """Whether it took more tokens than the settings allow for."""
        budget = conf.token_budget()
        return budget is not None and (self.tokens or 0) > budget


def figures(using: str, ids: Collection[str], seen: Collection[type[Model]]) -> dict[str, Figures]:
    """The figures of these sessions, from those of their kinds that the user may see: a statement a figure or two."""
    found: dict[str, dict[str, Any]] = {id: {} for id in ids}
    if Event in seen:
        few = _few(using, Head.Kind.EVENT, ids)
        _add(found, few, Event.objects.using(using).filter(failed(Event), session_id__in=few), errors=Count("pk"))
    if Message in seen:
        rows = Message.objects.using(using)
        few = _few(using, Head.Kind.MESSAGE, ids)
        said = {"messages": Count("pk"), "calls": CALLS, "tokens": Sum(TOKENS)}
        _add(found, few, rows.filter(session_id__in=few), **said)
        _add(found, ids, rows.filter(failed(Message), session_id__in=ids), errors=Count("pk"))
    if Trace in seen:
        spans = Trace.objects.using(using).filter(session_id__in=ids)
        _add(found, ids, spans.filter(failed(Trace)), errors=Count("pk"))
        _add(found, (), spans.filter(cost__isnull=False), cost=Sum("cost"))
    return {id: Figures(**each) for id, each in found.items()}


def _few(using: str, kind: Head.Kind, ids: Collection[str]) -> set[str]:
    """Those of these sessions that don't have too many rows of a kind to be added up for a list."""
    large = heads_of(using, kind, ids).filter(seq_num__gt=MOST).values_list("series", flat=True)
    return set(ids).difference(large)


def _add(found: dict[str, dict[str, Any]], ids: Iterable[str], rows: QuerySet[Any], **sums: Any) -> None:
    """Add up rows by session; those of these sessions without any are 0."""
    for id in ids:
        for name in sums:
            found[id].setdefault(name, 0)
    for id, *values in rows.order_by().values("session_id").annotate(**sums).values_list("session_id", *sums):
        for name, value in zip(sums, values, strict=True):
            found[id][name] = found[id].get(name, 0) + (value or 0)


def _summed(model: type[Model], figure: Any, *conditions: Any, output: Any = None) -> Any:
    """A figure of each session's rows, worked out session by session."""
    rows = model._default_manager.filter(*conditions, session_id=OuterRef("pk")).order_by()
    of_session = rows.values("session_id").annotate(figure=figure).values("figure")
    return Coalesce(Subquery(of_session, output_field=output or BigIntegerField()), Value(0), output_field=output)


def orders(using: str) -> dict[str, Any]:
    """What sessions can be put in order by, besides what has an index: by the name, an expression for each session.

    Errors are one where the database has an index of them.
    """
    found: dict[str, Any] = {
        "duration": ExpressionWrapper(F("last_activity_at") - F("created_at"), DurationField()),
        "messages": _summed(Message, Count("pk")),
        "calls": _summed(Message, CALLS),
        "tokens": tokens_of_session(),
        "cost": _summed(Trace, Sum("cost"), Q(cost__isnull=False), output=CostField()),
    }
    if connections[using].features.supports_partial_indexes:
        messages, events, spans = (_summed(model, Count("pk"), failed(model)) for model in (Message, Event, Trace))
        found["errors"] = messages + events + spans
    return found


def tokens_of_session() -> Any:
    """The tokens of each session."""
    return _summed(Message, Sum(TOKENS))


def lost_of_session() -> Any:
    """How many more tools each session has called than results came."""
    return _summed(Message, CALLS - RESULTS)


def unanswered(using: str) -> Q:
    """The messages that call a tool, and behind which no result stands."""
    behind = Message.objects.using(using).filter(session_id=OuterRef("session_id"), seq_num=OuterRef("seq_num") + 1)
    results = behind.filter(~Q(tool_call_id="") | Q(role="tool") | Q(role="user") & Q(_HasResults("content")))
    return Q(GreaterThan(_Length("tool_calls"), 0), ~Exists(results))
