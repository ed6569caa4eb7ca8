"""What becomes of a session: hidden, restored, removed for good, its ledger purged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import codec
from ..chains.numbering import audit_chain
from ..chains.permit import purge_reason
from ..exceptions import ChronosError, InvalidRecord
from ..ledger.heads import heads_of
from ..ledger.mapping import TABLES
from ..models import Head
from ..records import REMOVED_WITH_SESSION, AuditLog
from ..templatetags.chronos_storage import grouped
from ..transactions import again
from .access import may
from .addresses import Redirect, session_address
from .session_page import REMOVALS, SessionPage


class RemovalPages(SessionPage):
    """The page on which a session is restored, removed for good, or has its ledger purged."""

    def removal_urls(self) -> list[URLPattern]:
        """Its address."""
        return [self.page("<path:object_id>/removal/", "removal", self.removal_view, post=True)]

    def removal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Says what there is, and what would go; does what one of its forms asks for."""
        session = self.found(request, object_id)
        allowed = {name for name, action in REMOVALS.items() if may(request, action, self.model)}
        if not allowed:
            raise PermissionDenied
        if request.method == "POST":
            wanted = request.POST.get("do", "")
            if wanted not in allowed:
                raise PermissionDenied
            carry_out: dict[str, Callable[[HttpRequest, Any], str]] = {
                "restore": self._restore,
                "remove": self._remove,
                "purge": self._purge,
            }
            try:
                text = carry_out[wanted](request, session)
            except ChronosError as error:
                messages.error(request, str(error))
            else:
                messages.success(request, text)
                if wanted == "remove":
                    return Redirect(reverse("admin:chronos_storage_session_changelist"))
            return Redirect(session_address(session.pk, "removal"))
        chains = self._chains(session.pk)
        counts = [
            (TABLES[record].model._meta.verbose_name_plural, self._rows(TABLES[record].model, session.pk).count())
            for record in REMOVED_WITH_SESSION
        ]
        counts += [(label, last - base) for label, _kind, base, last in chains]
        return self.session_page(
            request, session, "removal", _("Deleting"), counts=counts, chains=chains, allowed=allowed
        )

    @admin.action(description=gettext_lazy("Restore selected sessions"), permissions=["delete"])
    def restore_selected(self, request: HttpRequest, queryset: Any) -> None:
        """Restore those of the selected sessions that are deleted."""
        restored = 0
        for session in queryset.exclude(deleted_at=None).only("id", "title"):
            try:
                self._restore(request, session)
            except ChronosError as error:
                messages.error(request, str(error))
            else:
                restored += 1
        text = ngettext("%(count)d session is restored.", "%(count)d sessions are restored.", restored)
        messages.success(request, text % {"count": restored})

    def _restore(self, request: HttpRequest, session: Any) -> str:
        self.storage.restore_session(session.pk, fence=self.token(session.pk))
        self.log_change(request, session, _("Restored."))
        return _("The session is restored.")

    def _remove(self, request: HttpRequest, session: Any) -> str:
        reason = _reason(request)

        def remove() -> bool:
            with self.storage.atomic():
                removed = self.storage.delete_session(session.pk, hard=True, fence=self.token(session.pk))
                if removed:
                    self._note(request, session, "admin.remove", reason)
            return removed

        if not again(self.alias, remove):
            raise InvalidRecord("id", _("is no session's any more"))
        gone: Any = [self.model(pk=session.pk, title=session.preview_title)]
        self.log_deletions(request, gone)
        return _("The session and all that belonged to it are removed for good.")

    def _purge(self, request: HttpRequest, session: Any) -> str:
        reason, kinds = _reason(request), request.POST.getlist("kind")
        through = _number(request.POST.get("through", ""))

        def purge() -> int:
            with self.storage.purge_permit(reason=reason) as permit:
                count = permit.purge_events(session.pk, through_seq=through) if "event" in kinds else 0
                if "audit_log" in kinds:
                    count += permit.purge_audit_logs(session.pk, through_seq=through)
                if count:
                    self._note(request, session, "admin.purge", reason)
            return count

        count = again(self.alias, purge)
        text = ngettext("%(count)s row is purged.", "%(count)s rows are purged.", count) % {"count": grouped(count)}
        if count:
            self.log_change(request, session, text)
        return text

    def _note(self, request: HttpRequest, session: Any, action: str, reason: str) -> None:
        """Write down who did it, beside what the ledger itself says of it; in the chain of no session, which stays."""
        user: Any = request.user
        actor = user.get_username()[: codec.MAX_INDEXED]
        log = AuditLog(actor=actor, action=action, resource=session.pk, detail={"reason": reason})
        self.storage.append_audit_log(log)

    def _rows(self, model: Any, session_id: str) -> Any:
        return model._default_manager.using(self.alias).filter(session_id=session_id)

    def _chains(self, session_id: str) -> list[tuple[Any, str, int, int]]:
        """Of the session's events and audit entries, the number before the first and the last."""
        found = []
        for kind, label, chain in (
            (Head.Kind.EVENT, _("events"), session_id),
            (Head.Kind.AUDIT_LOG, _("audit entries"), audit_chain(session_id, None)),
        ):
            head = heads_of(self.alias, kind, [chain]).values_list("base_seq", "seq_num").first()
            found.append((label, kind.value, *(head or (0, 0))))
        return found


def _reason(request: HttpRequest) -> str:
    return purge_reason(request.POST.get("reason", "").strip())


def _number(text: str) -> int | None:
    """The last number that goes; None, for all, if nothing was typed."""
    if not text.strip():
        return None
    if not (text.strip().isdecimal() and len(text) < 19):
        raise InvalidRecord("through", _("must be a whole number"))
    return int(text)
