"""Sessions that go on: whether there is more of one than a page shows."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern

from .. import records
from .addresses import session_address
from .session_page import SessionPage
from .summaries import Summary

#: The statuses of sessions that have ended, and after how long without activity any other is taken to have.
_ENDED = ("completed", "failed", "ended")
_SILENT = timedelta(hours=1)


class LivePages(SessionPage):
    """What the page of a session asks for again and again, as long as the session goes on."""

    def live_urls(self) -> list[URLPattern]:
        """Its address."""
        return [self.page("<path:object_id>/live/", "live", self.live_view)]

    def live_view(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """Whether the session goes on, and a mark that is another whenever there is something new to see."""
        session = self.found(request, object_id)
        mark = _mark(session, self.summary(request, session))
        return JsonResponse({"live": _goes_on(session), "mark": mark}, headers={"Cache-Control": "no-store"})

    def live(self, session: Any, figures: Summary) -> dict[str, str] | None:
        """What a page must know to refresh itself; None if the session has ended."""
        if not _goes_on(session):
            return None
        return {"address": session_address(session.pk, "live"), "mark": _mark(session, figures)}


def _goes_on(session: Any) -> bool:
    if session.deleted_at is not None or session.status in _ENDED:
        return False
    return bool(session.last_activity_at > records.now() - _SILENT)


def _mark(session: Any, figures: Summary) -> str:
    seen = (session.status, session.updated_at, session.last_activity_at, session.deleted_at, *astuple(figures))
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
