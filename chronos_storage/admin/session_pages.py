"""The pages about one session: its timeline and tokens, and whether its chains are intact; others are beside."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Min, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..models import AuditLog, Event, Message
from . import timeline
from .access import may, require
from .addresses import anchor
from .charts import stacked
from .checkpoint_pages import CheckpointPages
from .context_pages import ContextPages
from .entries import Entry, entries_of
from .error_pages import ErrorPages
from .figures import grouping
from .items import NAMES, items_of
from .keeping_pages import KeepingPages
from .live_pages import LivePages
from .overview import panels
from .performance import MODEL, TOOL, fared
from .periods import choices, period
from .removal_pages import RemovalPages
from .span_pages import SpanPages
from .summaries import TOKENS
from .timeline import FAILING, STREAMS, Timeline
from .verdicts import finding

#: How many columns the chart of tokens has.
COLUMNS = 40


class SessionPages(SpanPages, ContextPages, CheckpointPages, ErrorPages, LivePages, KeepingPages, RemovalPages):
    """What the admin of sessions shows besides lists and forms."""

    def session_urls(self) -> list[URLPattern]:
        """The addresses of the pages."""
        return [
            self.page("overview/", "overview", self.overview_view),
            self.page("<path:object_id>/tokens/", "tokens", self.tokens_view),
            self.page("<path:object_id>/verdict/", "verdict", self.verdict_view),
            *self.span_urls(),
            *self.context_urls(),
            *self.checkpoint_urls(),
            *self.error_urls(),
            *self.live_urls(),
            *self.keeping_urls(),
            *self.removal_urls(),
        ]

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """What all agents did, hour by hour or day by day, and how tools and models fared."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form, span = period(request)
        columns = self.get_list_display(request)
        using = self.storage.alias
        with grouping(using):
            known = fared(request, using, span)
            found = panels(request, using, span, columns.index("tokens") if "tokens" in columns else None)
        return self.render(
            request,
            "overview.html",
            _("Overview"),
            form=form,
            span=span,
            periods=choices(),
            panels=found,
            tools=known.get(TOOL),
            models=known.get(MODEL),
        )

    # One session

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (session := context.get("original")) is not None:
            context |= self.about(request, session, "") | self._timeline(request, session)
            context["live"] = self.live(session, context["summary"])
        return super().render_change_form(request, context, *args, **kwargs)

    def _timeline(self, request: HttpRequest, session: Any) -> dict[str, Any]:
        using = self.storage.alias
        allowed = [kind for kind, stream in STREAMS.items() if may(request, "view", stream.model)]
        chosen = [kind for kind in allowed if kind in request.GET.getlist("kind")] or allowed
        errors = "errors" in request.GET
        found = Timeline(using, session.pk, chosen, errors=errors)
        kind, _colon, pk = request.GET.get("at", "").partition(":")
        page = found.around(kind, pk) if pk and "\x00" not in pk else None
        if page is None:
            end = timeline.from_text(request.GET.get("to", ""))
            backward = end or "last" in request.GET
            page = (
                found.page_before(end or None)
                if backward
                else found.page(timeline.from_text(request.GET.get("from", "")))
            )
        kept = [("kind", kind) for kind in chosen] if chosen != allowed else []
        kept += [("errors", "1")] if errors else []

        def link(**parameters: str) -> str:
            return "?" + urlencode([*kept, *parameters.items()])

        items = items_of(using, session.pk, page)
        at = next((anchor(kind, item.pk) for item in page.items if (item.kind, str(item.pk)) == (kind, pk)), "")
        return {
            "entries": [Entry(item) for item in items] if errors else entries_of(items, at),
            "kinds": [(kind, NAMES[kind], kind in chosen) for kind in allowed],
            "errors_only": errors,
            "error_links": self.error_links(session, page, kind, pk) if {*allowed} & {*FAILING} else None,
            "at": at,
            "first_link": link() if page.start else None,
            "previous_link": link(to=timeline.as_text(page.start)) if page.start else None,
            "next_link": link(**{"from": timeline.as_text(page.following)}) if page.following else None,
            "last_link": link(last="1") if page.following else None,
        }

    def tokens_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The tokens that messages took, some messages a column."""
        session = self.found(request, object_id)
        require(request, "view", Message)
        rows = Message.objects.using(self.storage.alias).filter(session_id=session.pk)
        last = rows.order_by("-seq_num").values_list("seq_num", flat=True).first() or 0
        step = last // COLUMNS + 1
        number = F("seq_num") - 1
        columns: list[dict[str, Any]] = list(
            rows.order_by()  # type: ignore[arg-type]
            .annotate(group=number - number % step)
            .values("group")
            .annotate(
                begins=Min("created_at"),
                messages=Count("pk"),
                prompt=Sum("prompt_tokens"),
                completion=Sum("completion_tokens"),
                total=Sum(TOKENS),
            )
            .order_by("group")
        )
        for column in columns:
            column["prompt"], column["completion"] = int(column["prompt"] or 0), int(column["completion"] or 0)
            column["total"] = int(column["total"] or 0)
            column["other"] = max(column["total"] - column["prompt"] - column["completion"], 0)
            first, until = column["group"] + 1, min(column["group"] + step, last)
            column["first"], column["label"] = str(first), str(first) if step == 1 else f"{first}–{until}"
        names = [_("prompt"), _("completion"), _("not told apart")]
        chart = stacked(
            names,
            [column["first"] for column in columns],
            [[column["prompt"], column["completion"], column["other"]] for column in columns],
            titles=[f"{column['label']} ({localtime(column['begins']):%H:%M:%S})" for column in columns],
        )
        return self.session_page(request, session, "tokens", _("Tokens"), columns=columns, chart=chart, names=names)

    def verdict_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Whether the session's events and audit entries are as they were appended; with `brief`, no more than that."""
        session = self.found(request, object_id)
        allowed = [model for model in (Event, AuditLog) if may(request, "view", model)]
        if not allowed:
            raise PermissionDenied
        checks = {
            Event: partial(self.storage.verify_events, session.pk),
            AuditLog: partial(self.storage.verify_audit_logs, session.pk),
        }
        findings = [finding(self.storage.alias, checks[model]()) for model in allowed]
        if "brief" in request.GET:
            intact = all(found.verdict.intact for found in findings)
            return JsonResponse({"intact": intact, "text": _("Intact") if intact else _("Broken")})
        return self.session_page(request, session, "verdict", _("Chain verdict"), findings=findings)
