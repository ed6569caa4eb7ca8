"""What a session comes to: the figures above its pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BigIntegerField, Count, F, Max, Min, Model, Sum, Value
from django.db.models.functions import Coalesce
from django.db.models.query import QuerySet

from ..chains.numbering import audit_chain
from ..failures import failed
from ..ledger.series import AUDIT_CHAIN, EVENT_CHAIN
from ..models import Checkpoint, Event, Head, Message, Session, Trace

#: The tokens of a message; one that reported no total counts with the sum of its parts.
TOKENS = Coalesce("total_tokens", Coalesce("prompt_tokens", Value(0)) + Coalesce("completion_tokens", Value(0)))


@dataclass(frozen=True)
class Summary:
    """A session's figures; None where the user may not see what they are made of.

    Attributes:
        started: when the session, or the first of what it holds, began.
        duration: from then to its last activity, or the last of what it holds.
    """

    started: datetime
    duration: timedelta
    messages: int | None
    tokens: int | None
    events: int | None
    spans: int | None
    errors: int | None


def summary(using: str, session: Session, seen: Collection[type[Model]]) -> Summary:
    """The figures of a session, from those of its kinds that the user may see, in three statements."""
    chains = _chains(using, session.pk)
    known: dict[str, tuple[int, int]] = {}
    times = [session.created_at, session.last_activity_at]
    for name, count, tokens, first, last in _together(_parts(using, session.pk, seen, chains)):
        known[name] = int(count), int(tokens)
        times += [first, last]
    # By conditions of their own, which have indexes.
    failures = [
        _of(using, model, session.pk).filter(failed(model)).annotate(rows=Count("pk")).values_list("rows")
        for model in (Message, Event, Trace)
        if model in seen
    ]
    base, end = chains.get(EVENT_CHAIN.kind, (0, 0))
    messages, tokens = known.get(_name(Message), (0, 0))
    return Summary(
        started=min(times),
        duration=max(times) - min(times),
        messages=messages if Message in seen else None,
        tokens=tokens if Message in seen else None,
        events=end - base if Event in seen else None,
        spans=known.get(_name(Trace), (0, 0))[0] if Trace in seen else None,
        errors=sum(count for (count,) in _together(failures)) if failures else None,
    )


def _chains(using: str, session_id: str) -> dict[str, tuple[int, int]]:
    """Of a session's events and audit entries, the number before the first and the last: there are no gaps."""
    series = {EVENT_CHAIN.kind: session_id, AUDIT_CHAIN.kind: audit_chain(session_id, None)}
    heads = Head.objects.using(using).filter(owner=session_id, kind__in=series, series__in=series.values())
    return {kind: (base, last) for kind, base, last in heads.values_list("kind", "base_seq", "seq_num")}


def _parts(
    using: str, session_id: str, seen: Collection[type[Model]], chains: dict[str, tuple[int, int]]
) -> list[QuerySet[Any]]:
    """Of each kind its name, how many there are, their tokens, and the first and last time."""
    nothing = Value(0, output_field=BigIntegerField())
    parts = []
    for model, begins, ends, tokens in (
        (Message, "created_at", "created_at", Coalesce(Sum(TOKENS), nothing)),
        (Trace, "started_at", Coalesce("ended_at", "started_at"), nothing),
        (Checkpoint, "created_at", "created_at", nothing),
    ):
        if model in seen:
            grouped = _of(using, model, session_id).annotate(what=Value(_name(model)), rows=Count("pk"))
            parts.append(grouped.annotate(used=tokens, first=Min(begins), last=Max(ends)))
    for series in (EVENT_CHAIN, AUDIT_CHAIN):
        chained, (base, last) = series.table.model, chains.get(series.kind, (0, 0))
        if chained in seen and last > base:
            name = session_id if series is EVENT_CHAIN else audit_chain(session_id, None)
            ends_of = series.rows(using, name).filter(seq_num__in=[base + 1, last]).order_by()
            named = ends_of.annotate(what=Value(_name(chained)), rows=nothing, used=nothing)
            parts.append(named.annotate(first=F("created_at"), last=F("created_at")))
    return [part.values_list("what", "rows", "used", "first", "last") for part in parts]


def _name(model: type[Model]) -> str:
    return str(model._meta.model_name)


def _of(using: str, model: type[Model], session_id: str) -> Any:
    """A session's rows, as a group."""
    return model._default_manager.using(using).filter(session_id=session_id).order_by().values("session_id")


def _together(parts: list[Any]) -> Iterable[Any]:
    """The rows of several queries, by one."""
    return parts[0].union(*parts[1:], all=True) if parts else ()
