"""What a session comes to: the figures above its pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Coalesce

from ..ledger.heads import heads_of
from ..models import Head, Message, Session, Trace

#: The tokens of a message; one that reported no total counts with the sum of its parts.
TOKENS = Coalesce("total_tokens", Coalesce("prompt_tokens", Value(0)) + Coalesce("completion_tokens", Value(0)))
#: The messages that tell of an error.
ERRORS = Q(role="error") | Q(kind="error")
#: The spans that failed.
FAILED = Q(status="error")


@dataclass(frozen=True)
class Summary:
    """A session's figures; None where the user may not see what they are made of."""

    duration: timedelta
    messages: int | None
    tokens: int | None
    events: int | None
    spans: int | None
    errors: int | None


def summary(using: str, session: Session, messages: bool, events: bool, spans: bool) -> Summary:
    """The figures of a session, from these of the kinds it holds."""
    said: dict[str, Any] = {"count": None, "tokens": None, "errors": 0}
    if messages:
        rows = Message.objects.using(using).filter(session_id=session.pk)
        said = rows.aggregate(count=Count("pk"), tokens=Sum(TOKENS), errors=Count("pk", filter=ERRORS))
    done: dict[str, Any] = {"count": None, "errors": 0}
    if spans:
        traces = Trace.objects.using(using).filter(session_id=session.pk)
        done = traces.aggregate(count=Count("pk"), errors=Count("pk", filter=FAILED))
    appended = None
    if events:
        # A chain has no gaps: its head says how many there are.
        heads = heads_of(using, Head.Kind.EVENT, [session.pk])
        appended = heads.values_list(F("seq_num") - F("base_seq"), flat=True).first() or 0
    return Summary(
        duration=max(session.last_activity_at - session.created_at, timedelta()),
        messages=said["count"],
        tokens=None if said["count"] is None else int(said["tokens"] or 0),
        events=appended,
        spans=done["count"],
        errors=said["errors"] + done["errors"] if messages or spans else None,
    )
