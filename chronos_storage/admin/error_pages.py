"""From one failure in a session's timeline to the next."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from . import timeline
from .access import may
from .addresses import Redirect, session_address, timeline_address
from .session_page import SessionPage
from .timeline import FAILING, STREAMS, Page, Timeline


class ErrorPages(SessionPage):
    """The way from a place in a timeline to the failure before or after it."""

    def error_urls(self) -> list[URLPattern]:
        """Their addresses."""
        return [
            self.page("<path:object_id>/next-error/", "next_error", self.next_error_view),
            self.page("<path:object_id>/previous-error/", "previous_error", self.previous_error_view),
        ]

    def next_error_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Leads to the first failure after the place in `from`."""
        session = self.found(request, object_id)
        found = self._failures(request, session).next(timeline.from_text(request.GET.get("from", "")))
        return self._to(request, session, found, _("There is no error after this."))

    def previous_error_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Leads to the last failure before the place in `from`."""
        session = self.found(request, object_id)
        found = self._failures(request, session).previous(timeline.from_text(request.GET.get("from", "")))
        return self._to(request, session, found, _("There is no error before this."))

    def _failures(self, request: HttpRequest, session: Any) -> Timeline:
        allowed = [kind for kind in FAILING if may(request, "view", STREAMS[kind].model)]
        return Timeline(self.storage.alias, session.pk, allowed, errors=True)

    def _to(self, request: HttpRequest, session: Any, found: Any, otherwise: str) -> HttpResponse:
        if found is not None:
            return Redirect(timeline_address(session.pk, found.kind, found.pk))
        messages.info(request, otherwise)
        name = "at" if "at" in request.GET else "from"
        return Redirect(f"{session_address(session.pk)}?{urlencode({name: request.GET.get(name, '')})}")

    def error_links(self, session: Any, page: Page, kind: str, pk: str) -> dict[str, str]:
        """The addresses of the failures after and before what is shown: an item that was asked for, or a page."""
        at = next((n for n, item in enumerate(page.items) if (item.kind, str(item.pk)) == (kind, pk)), None)
        back = {} if at is None else {"at": f"{kind}:{pk}"}
        places = {"next_error": page.place(0 if at is None else at + 1), "previous_error": page.place(at or 0)}
        return {
            name: f"{session_address(session.pk, name)}?{urlencode({**back, 'from': timeline.as_text(place)})}"
            for name, place in places.items()
        }
