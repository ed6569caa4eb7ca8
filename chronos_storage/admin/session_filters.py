"""Which sessions a list shows: those in which something went wrong, and those in which something was said."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import and_
from typing import Any

from django.db import connections
from django.db.models import Exists, F, Max, Min, Model, OuterRef, Q, TextField
from django.db.models.functions import Cast, Upper
from django.db.models.lookups import Contains, GreaterThan, IContains, Regex
from django.utils.translation import gettext_lazy as _

from .. import codec, conf, records
from ..failures import failed
from ..models import AuditLog, Event, Message, Session, Trace
from .previews import whole
from .session_figures import lost_of_session, tokens_of_session, unanswered
from .verdicts import broken_among

#: For how long nothing happens in what is taken for stuck.
IDLE = timedelta(minutes=15)
#: How many sessions' chains are checked to find broken ones.
CHECKED = 500


@dataclass(frozen=True)
class Span:
    """A stretch of time, both ends of which belong to it; None where it has no end there."""

    since: datetime | None
    until: datetime | None

    def of(self, column: str) -> Q:
        """Whose column's time is in it."""
        found = Q() if self.since is None else Q(**{f"{column}__gte": self.since})
        return found if self.until is None else found & Q(**{f"{column}__lte": self.until})

    @property
    def active(self) -> Q:
        """The sessions in which something was said in it, or that began or went on around it."""
        found = Q() if self.since is None else Q(last_activity_at__gte=self.since)
        return found if self.until is None else found & Q(created_at__lte=self.until)


@dataclass(frozen=True)
class Filter:
    """Some of the sessions.

    Attributes:
        label: what they are called.
        needs: the models whose rows the user must be allowed to see.
        condition: which they are, in this time, on this database.
        explained: what the list says of them.
    """

    label: Any
    needs: tuple[type[Model], ...]
    condition: Callable[[Span, str], Q]
    explained: Any = ""


def _errors(span: Span, using: str) -> Q:
    # When they failed says which are meant: spans don't make their session active.
    found = Q()
    for model, column in ((Message, "created_at"), (Event, "created_at"), (Trace, "started_at")):
        rows = model._default_manager.using(using).filter(span.of(column), failed(model))
        found |= Q(pk__in=rows.values("session_id"))
    return found


def _stuck(span: Span, using: str) -> Q:
    before = records.now() - IDLE
    spans = Trace.objects.using(using).filter(session_id=OuterRef("pk"), ended_at=None, started_at__lt=before)
    running = Q(status="running") | Q(Exists(spans), ~Q(status__in=("failed", "ended")))
    return span.active & Q(last_activity_at__lt=before) & running


def _over_budget(span: Span, using: str) -> Q:
    budget = conf.token_budget()
    return Q(pk__in=[]) if budget is None else span.active & Q(GreaterThan(tokens_of_session(), budget))


def _broken(span: Span, using: str) -> Q:
    newest = Session.objects.using(using).filter(span.active).order_by("-last_activity_at", "-pk")
    return Q(pk__in=broken_among(using, list(newest.values_list("pk", flat=True)[:CHECKED])))


FILTERS = {
    "errors": Filter(_("with errors"), (Message, Event, Trace), _errors),
    "stuck": Filter(
        _("stuck"),
        (Trace,),
        _stuck,
        _("Nothing was heard of these for 15 minutes, but they are running or have a span that has not ended."),
    ),
    "lost": Filter(
        _("with a tool call without a result"),
        (Message,),
        lambda span, using: span.active & Q(GreaterThan(lost_of_session(), 0)),
        _("More tools were called in these than results came."),
    ),
    "budget": Filter(_("over the token budget"), (Message,), _over_budget),
    "broken": Filter(
        _("with a broken chain"),
        (Event, AuditLog),
        _broken,
        _("The chains of the last 500 of them are checked now; not those of more than 500 entries."),
    ),
    "forks": Filter(
        _("forked from another"),
        (),
        lambda span, using: span.active & Q(Contains(whole(Session._meta.get_field("metadata")), '"forked_from"')),
    ),
    "begun": Filter(_("begun in this time"), (), lambda span, using: span.of("created_at")),
    "deleted": Filter(_("deleted"), (), lambda span, using: span.active & Q(deleted_at__isnull=False)),
}


def said(text: str, span: Span, using: str, seen: Collection[type[Model]]) -> Q:
    """The sessions in whose title, or in one of whose messages of this time, all words of a text stand.

    Large letters are as good as small ones. A number is found as a whole one: 12 is not in 1200.
    """
    contains = partial(_contains, connections[using].vendor)
    titles = reduce(and_, (contains(F("title"), word, word) for word in _words(text)), span.active)
    if Message not in seen:
        return titles
    messages = Message.objects.using(using).filter(saying(text, span, using))
    return titles | Q(pk__in=messages.values("session_id"))


def saying(text: str, span: Span, using: str) -> Q:
    """The messages of this time in which all words of a text stand."""
    contains = partial(_contains, connections[using].vendor)
    content, calls = (Cast(name, TextField()) for name in ("content", "tool_calls"))
    found = span.of("created_at")
    for word in _words(text):
        # In JSON some characters are escaped, and once more in the arguments of a call, which are JSON as text.
        quoted = codec.encode(word)[1:-1]
        found &= contains(content, word, quoted) | contains(calls, word, codec.encode(quoted)[1:-1])
    return found


def places_of(ids: Collection[str], text: str, show: str, span: Span, using: str) -> dict[str, int]:
    """By session, the primary key of its first message that is what was looked for, or where it is stuck the last."""
    place: Any = Min("pk")
    if text:
        wanted = saying(text, span, using)
    elif show == "lost":
        wanted = unanswered(using)
    elif show == "stuck":
        wanted, place = Q(), Max("pk")
    else:
        return {}
    rows = Message.objects.using(using).filter(wanted, session_id__in=ids).order_by()
    return dict(rows.values("session_id").annotate(place=place).values_list("session_id", "place"))


def _words(text: str) -> list[str]:
    """The words of a text, what is found fast first."""
    return sorted(text.split(), key=lambda word: not word.isdecimal())


def _contains(vendor: str, text: Any, word: str, quoted: str) -> Q:
    if not word.isdecimal():
        # Where strings are compared bytewise, MariaDB tells large letters from small ones.
        return Q(Contains(Upper(text), quoted.upper()) if vendor == "mysql" else IContains(text, quoted))
    # Where a number stands at all is found out faster.
    return Q(Contains(text, quoted)) & Q(Regex(text, f"(^|[^0-9]){re.escape(quoted)}([^0-9]|$)"))
