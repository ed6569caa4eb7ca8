"""What a session comes to: the figures above its pages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Model, Q, Sum, Value
from django.db.models.functions import Coalesce

from ..chains.numbering import audit_chain
from ..ledger.heads import heads_of
from ..ledger.series import AUDIT_CHAIN, EVENT_CHAIN, ChainSeries
from ..models import AuditLog, Checkpoint, Event, Message, Session, Trace

#: The tokens of a message; one that reported no total counts with the sum of its parts.
TOKENS = Coalesce("total_tokens", Coalesce("prompt_tokens", Value(0)) + Coalesce("completion_tokens", Value(0)))
#: The messages that tell of an error.
ERRORS = Q(role="error") | Q(kind="error")
#: The spans that failed.
FAILED = Q(status="error")


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
    """The figures of a session, from those of its kinds that the user may see."""
    times: list[Any] = [session.created_at, session.last_activity_at]
    said: dict[str, Any] = {"count": None, "tokens": None, "errors": 0}
    if Message in seen:
        rows = Message.objects.using(using).filter(session_id=session.pk)
        first, last = Min("created_at"), Max("created_at")
        said = rows.aggregate(
            count=Count("pk"), tokens=Sum(TOKENS), errors=Count("pk", filter=ERRORS), first=first, last=last
        )
        times += [said["first"], said["last"]]
    done: dict[str, Any] = {"count": None, "errors": 0}
    if Trace in seen:
        traces = Trace.objects.using(using).filter(session_id=session.pk)
        first, last = Min("started_at"), Max(Coalesce("ended_at", "started_at"))
        done = traces.aggregate(count=Count("pk"), errors=Count("pk", filter=FAILED), first=first, last=last)
        times += [done["first"], done["last"]]
    if Checkpoint in seen:
        saved = Checkpoint.objects.using(using).filter(session_id=session.pk)
        times += saved.aggregate(first=Min("created_at"), last=Max("created_at")).values()
    appended = None
    if Event in seen:
        appended = _chained(using, EVENT_CHAIN, session.pk, times)
    if AuditLog in seen:
        _chained(using, AUDIT_CHAIN, audit_chain(session.pk, None), times)
    known = [timestamp for timestamp in times if timestamp is not None]
    return Summary(
        started=min(known),
        duration=max(known) - min(known),
        messages=said["count"],
        tokens=None if said["count"] is None else int(said["tokens"] or 0),
        events=appended,
        spans=done["count"],
        errors=said["errors"] + done["errors"] if Message in seen or Trace in seen else None,
    )


def _chained(using: str, series: ChainSeries[Any], chain: str, times: list[Any]) -> int:
    """How many rows a chain has: it has no gaps, and its head says so. The times of its first and last are noted."""
    base, last = heads_of(using, series.kind, [chain]).values_list("base_seq", "seq_num").first() or (0, 0)
    if last > base:
        rows = series.rows(using, chain)
        times += rows.filter(seq_num__in=[base + 1, last]).values_list("created_at", flat=True)
    return int(last - base)
