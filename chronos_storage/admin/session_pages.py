"""The pages about one session: its timeline, spans, tokens and checkpoints, and whether its chains are intact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, F, Min, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import codec
from ..exceptions import ChronosError
from ..keyset import After
from ..models import Artifact, AuditLog, Checkpoint, Event, Message, Trace
from ..text import name as shown
from . import timeline
from .access import may, require
from .addresses import anchor, session_address
from .charts import stacked
from .differences import differences
from .items import NAMES, items_of
from .overview import panels, period
from .previews import previewed
from .states import sizes, state_text
from .summaries import TOKENS, summary
from .timeline import STREAMS, Timeline
from .verdicts import finding
from .waterfall import waterfall

if TYPE_CHECKING:
    from .base import EditableAdmin as Base
else:
    Base = object

#: How many spans and checkpoints a page shows, and how many columns the chart of tokens has.
SPANS, CHECKPOINTS, COLUMNS = 200, 100, 40
#: The pages beside the timeline, and whose permission each takes.
TABS = (
    ("spans", gettext_lazy("Spans"), (Trace,)),
    ("tokens", gettext_lazy("Tokens"), (Message,)),
    ("checkpoints", gettext_lazy("Checkpoints"), (Checkpoint,)),
    ("verdict", gettext_lazy("Chain verdict"), (Event, AuditLog)),
)

#: Gives further tabs of a session, by the request, the database alias and the session's id: the name, label and address
#: of each. Apps that keep something for sessions add theirs.
further_tabs: list[Callable[[HttpRequest, str, str], Iterable[tuple[str, Any, str]]]] = []


class SessionPages(Base):
    """What the admin of sessions shows besides lists and forms."""

    def session_urls(self) -> list[URLPattern]:
        """The addresses of the pages."""
        return [
            self.page("overview/", "overview", self.overview_view),
            self.page("<path:object_id>/spans/", "spans", self.spans_view),
            self.page("<path:object_id>/tokens/", "tokens", self.tokens_view),
            self.page("<path:object_id>/checkpoints/", "checkpoints", self.checkpoints_view),
            self.page("<path:object_id>/compare/", "compare", self.compare_view),
            self.page("<path:object_id>/fork/<int:checkpoint>/", "fork", self.fork_view, post=True),
            self.page("<path:object_id>/hold/", "hold", self.hold_view, post=True),
            self.page("<path:object_id>/verdict/", "verdict", self.verdict_view),
        ]

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """What all agents did, day by day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form, since, until = period(request)
        shown_panels = panels(request, self.storage.alias, since, until)
        return self.render(request, "overview.html", _("Overview"), form=form, panels=shown_panels)

    # One session

    def about(self, request: HttpRequest, session: Any, current: str) -> dict[str, Any]:
        """What stands above each page about a session."""
        allowed = {model: may(request, "view", model) for model in (Message, Event, Trace, AuditLog, Checkpoint)}
        tabs: list[tuple[str, Any, str]] = [("", _("Timeline"), session_address(session.pk))]
        tabs += [
            (name, label, session_address(session.pk, name))
            for name, label, wanted in TABS
            if any(allowed[model] for model in wanted)
        ]
        if may(request, "view", Artifact):
            query = urlencode({"session_id": session.pk})
            tabs.append(
                ("artifacts", _("Artifacts"), f"{reverse('admin:chronos_storage_artifact_changelist')}?{query}")
            )
        for further in further_tabs:
            tabs += further(request, self.alias, session.pk)
        if may(request, "hold", self.model):
            tabs.append(("hold", _("Legal hold"), session_address(session.pk, "hold")))
        return {
            "session": session,
            "session_name": shown(session.preview_title or session.pk),
            "summary": summary(
                self.storage.alias,
                session,
                messages=allowed[Message],
                events=allowed[Event],
                spans=allowed[Trace],
            ),
            "tabs": tabs,
            "current": current,
        }

    def session_page(
        self, request: HttpRequest, session: Any, name: str, title: str, template: str = "", **context: Any
    ) -> HttpResponse:
        """A page about a session, which the user is noted to have looked at."""
        self.note_look(request, session, name)
        context |= self.about(request, session, name)
        return self.render(request, f"session/{template or name}.html", title, **context)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (session := context.get("original")) is not None:
            context |= self.about(request, session, "") | self._timeline(request, session)
        return super().render_change_form(request, context, *args, **kwargs)

    def _timeline(self, request: HttpRequest, session: Any) -> dict[str, Any]:
        using = self.storage.alias
        allowed = [kind for kind, stream in STREAMS.items() if may(request, "view", stream.model)]
        chosen = [kind for kind in allowed if kind in request.GET.getlist("kind")] or allowed
        found = Timeline(using, session.pk, chosen)
        kind, _colon, pk = request.GET.get("at", "").partition(":")
        page = found.around(kind, pk) if pk and "\x00" not in pk else None
        if page is None:
            start = timeline.from_text(request.GET.get("from", ""))
            end = timeline.from_text(request.GET["to"]) if "to" in request.GET else None
            page = found.last_page() if "last" in request.GET else found.page(start, end or None)
        kinds = [("kind", kind) for kind in chosen] if chosen != allowed else []

        def link(**parameters: str) -> str:
            return "?" + urlencode([*kinds, *parameters.items()])

        return {
            "items": items_of(using, session.pk, page),
            "kinds": [(kind, NAMES[kind], kind in chosen) for kind in allowed],
            "at": next((anchor(kind, item.pk) for item in page.items if (item.kind, str(item.pk)) == (kind, pk)), ""),
            "first_link": link() if page.preceding is not None else None,
            "previous_link": None
            if page.preceding is None
            else link(**{"from": timeline.as_text(page.preceding), "to": timeline.as_text(page.start)}),
            "next_link": None if page.following is None else link(**{"from": timeline.as_text(page.following)}),
            "last_link": link(last="1") if page.following is not None else None,
        }

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
            column["label"] = str(first) if step == 1 else f"{first}–{until}"
        names = [_("prompt"), _("completion"), _("not told apart")]
        chart = stacked(
            names,
            [f"{column['label']} ({date_format(localtime(column['begins']), 'H:i')})" for column in columns],
            [[column["prompt"], column["completion"], column["other"]] for column in columns],
        )
        return self.session_page(request, session, "tokens", _("Tokens"), columns=columns, chart=chart, names=names)

    def checkpoints_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The checkpoints, the latest of each namespace first."""
        session = self.found(request, object_id)
        require(request, "view", Checkpoint)
        order = ("namespace", "seq_num")
        rows = self._checkpoints(session).order_by(*(f"-{name}" for name in order))
        place = timeline.from_text(request.GET.get("from", "")).get("checkpoint")
        if place:
            rows = rows.filter(After(order, place[1:], "lt"))
        found = list(rows[: CHECKPOINTS + 1])
        last = found[CHECKPOINTS - 1] if len(found) > CHECKPOINTS else None
        following = last and timeline.as_text({"checkpoint": (last.created_at, last.namespace, last.seq_num)})
        return self.session_page(
            request,
            session,
            "checkpoints",
            _("Checkpoints"),
            checkpoints=found[:CHECKPOINTS],
            sizes=sizes(self.storage.alias, session.pk),
            may_fork=self._may_fork(request),
            first_link="?" if place else None,
            next_link="?" + urlencode({"from": following}) if following else None,
        )

    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What differs between the states of two checkpoints, `a` and `b`; without `a`, the one before `b`."""
        session = self.found(request, object_id)
        require(request, "view", Checkpoint)
        after = self._checkpoint(session, request.GET.get("b", ""))
        if "a" in request.GET:
            before = self._checkpoint(session, request.GET["a"])
        else:
            earlier = self._checkpoints(session).filter(namespace=after.namespace, seq_num__lt=after.seq_num)
            before = earlier.order_by("-seq_num").first()
        found, more = differences(*(self._state(checkpoint) for checkpoint in (before, after)))
        return self.session_page(
            request,
            session,
            "checkpoints",
            _("Two checkpoints compared"),
            template="compare",
            before=before,
            after=after,
            differences=found,
            more=more,
        )

    def _checkpoints(self, session: Any) -> Any:
        return Checkpoint.objects.using(self.storage.alias).filter(session_id=session.pk).defer("state", "metadata")

    def _checkpoint(self, session: Any, pk: str) -> Any:
        found = self._checkpoints(session).filter(pk=pk).first() if pk.isdecimal() and len(pk) < 19 else None
        if found is None:
            raise Http404(_("There is no such checkpoint in this session."))
        return found

    def _state(self, checkpoint: Any) -> Any:
        if checkpoint is None:
            return {}
        text = state_text(checkpoint)
        try:
            return codec.loads(text)
        except (ValueError, RecursionError):  # no JSON, or none of ours: it was written behind the store's back
            return text

    def _may_fork(self, request: HttpRequest) -> bool:
        return may(request, "add", self.model) and may(request, "view", Checkpoint)

    def fork_view(self, request: HttpRequest, object_id: str, checkpoint: int) -> HttpResponse:
        """Asks whether a new session is to start from a checkpoint, and makes it."""
        session = self.found(request, object_id)
        require(request, "view", Checkpoint)
        require(request, "add", self.model)
        source = self._checkpoint(session, str(checkpoint))
        if request.method != "POST":
            return self.session_page(
                request, session, "checkpoints", _("Fork from a checkpoint"), template="fork", checkpoint=source
            )
        try:
            fork = self.storage.fork_session(source.checkpoint_id, session_id=session.pk)
        except ChronosError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(session_address(session.pk, "checkpoints"))
        self.log_addition(request, self.model(pk=fork.id, title=fork.title), [{"added": {}}])
        messages.success(request, _("This session starts from checkpoint %(number)d.") % {"number": source.seq_num})
        return HttpResponseRedirect(session_address(fork.id))

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
            return HttpResponseRedirect(session_address(session.pk, "hold"))
        logs: list[Any] = []
        if may(request, "view", AuditLog):
            logs = self.storage.list_audit_logs(action="session.legal_hold", resource=session.pk, limit=20)
        return self.session_page(request, session, "hold", _("Legal hold"), logs=logs)

    def verdict_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Whether the session's events and audit entries are as they were appended."""
        session = self.found(request, object_id)
        allowed = [model for model in (Event, AuditLog) if may(request, "view", model)]
        if not allowed:
            raise PermissionDenied
        checks = {
            Event: partial(self.storage.verify_events, session.pk),
            AuditLog: partial(self.storage.verify_audit_logs, session.pk),
        }
        findings = [finding(self.storage.alias, checks[model]()) for model in allowed]
        return self.session_page(request, session, "verdict", _("Chain verdict"), findings=findings)
