"""A session's spans as a waterfall."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ..keyset import After
from ..models import Trace
from . import timeline
from .access import require
from .previews import previewed
from .session_page import SessionPage
from .timeline import STREAMS
from .waterfall import waterfall

#: How many spans a page shows.
SPANS = 200


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
        rows = Trace.objects.using(self.storage.alias).filter(session_id=session.pk).order_by(*order)
        place = timeline.from_text(request.GET.get("from", "")).get("span")
        if place:
            rows = rows.filter(After(order, place, "gt"))
        found = list(previewed(rows, ["error"])[: SPANS + 1])
        last = found[SPANS - 1] if len(found) > SPANS else None
        following = timeline.as_text({"span": (last.started_at, last.pk)}) if last else None
        return self.session_page(
            request,
            session,
            "spans",
            _("Spans"),
            waterfall=waterfall(found[:SPANS]),
            first_link="?" if place else None,
            next_link="?" + urlencode({"from": following}) if following else None,
        )
