"""A session's spans as a waterfall."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from .. import records
from ..keyset import After
from ..models import Trace
from . import timeline
from .access import require
from .previews import previewed
from .session_page import SessionPage
from .timeline import STREAMS
from .waterfall import waterfall

#: How many spans a page shows, and how many levels above them are looked up on other pages, each in a query.
SPANS, LEVELS = 200, 6
#: What is read of a span that may be long.
_FIELDS = ("error", "attributes")


class SpanPages(SessionPage):
    """The page about a session's spans."""

    def span_urls(self) -> list[URLPattern]:
        """Its address."""
        return [self.page("<path:object_id>/spans/", "spans", self.spans_view)]

    def spans_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The spans as a waterfall."""
        session = self.found(request, object_id)
        require(request, "view", Trace)
        order = STREAMS["span"].order
        spans = Trace.objects.using(self.storage.alias).filter(session_id=session.pk).order_by(*order)
        place = timeline.from_text(request.GET.get("from", "")).get("span")
        rows = previewed(spans.filter(After(order, place, "gt")) if place else spans, _FIELDS)
        found = list(rows[: SPANS + 1])
        page = found[:SPANS]
        last = page[-1] if len(found) > SPANS else None
        now = records.now()
        # On the first page its own first span is the session's.
        begins = spans.values_list("started_at", flat=True).first() if place else None
        return self.session_page(
            request,
            session,
            "spans",
            _("Spans"),
            waterfall=waterfall(page, _above(spans, page), begins or (page[0].started_at if page else now), now),
            first_link="?" if place else None,
            previous_link=_previous(spans, place) if place else None,
            next_link=_link(last) if last else None,
        )


def _link(row: Any) -> str:
    """The address of the page that begins behind a span."""
    return "?" + urlencode({"from": timeline.as_text({"span": (row.started_at, row.pk)})})


def _previous(spans: Any, place: Any) -> str:
    before = spans.filter(After(STREAMS["span"].order, place, "lte")).reverse().only(*STREAMS["span"].order)
    return next(map(_link, before[SPANS : SPANS + 1]), "?")


def _above(spans: Any, page: list[Any]) -> list[Any]:
    """The spans of other pages that those of a page are inside of, level by level."""
    above: dict[str, Any] = {}
    here = {row.pk for row in page}
    generation = page
    for _level in range(LEVELS):
        wanted = {row.parent_id for row in generation} - {"", *here, *above}
        generation = list(previewed(spans.filter(pk__in=wanted), _FIELDS)) if wanted else []
        above |= {row.pk: row for row in generation}
        if not generation:
            break
    return list(above.values())
