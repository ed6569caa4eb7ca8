"""Whether what a session holds is kept: legal holds."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _

from .. import codec
from ..exceptions import ChronosError
from ..models import AuditLog
from .access import may, require
from .addresses import Redirect, session_address
from .session_page import SessionPage


class KeepingPages(SessionPage):
    """The pages on which somebody decides what becomes of a session."""

    def keeping_urls(self) -> list[URLPattern]:
        """Their addresses."""
        return [self.page("<path:object_id>/hold/", "hold", self.hold_view, post=True)]

    def hold_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks for the reason to put the session under a legal hold, or to lift it, and does so."""
        session = self.found(request, object_id)
        require(request, "hold", self.model)
        if request.method == "POST":
            held, user = request.POST.get("held") == "true", request.user
            try:
                self.storage.set_legal_hold(
                    session.pk,
                    held,
                    actor=user.get_username()[: codec.MAX_INDEXED],
                    reason=request.POST.get("reason", "").strip(),
                )
            except ChronosError as error:
                messages.error(request, str(error))
            else:
                note = _("Put under a legal hold.") if held else _("Lifted the legal hold.")
                self.log_change(request, session, note)
                messages.success(request, note)
            return Redirect(session_address(session.pk, "hold"))
        logs: list[Any] = []
        if may(request, "view", AuditLog):
            logs = self.storage.list_audit_logs(action="session.legal_hold", resource=session.pk, limit=20)
        return self.session_page(request, session, "hold", _("Legal hold"), logs=logs)
