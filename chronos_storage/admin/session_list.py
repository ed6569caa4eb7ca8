"""The list of sessions: what each was about, what went wrong in it, and what it came to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import Case, Model, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models.functions import Left
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import conf, records
from ..models import AuditLog, Event, Message, Trace
from ..templatetags.chronos_storage import clock, duration, grouped, status_class
from ..text import name, visible
from .access import may
from .addresses import session_address, timeline_address
from .columns import label
from .lists import AFTER, BEFORE, RANKED, SINCE, UNTIL, USUAL, KeysetChangeList, LookupForm
from .previews import previewed, readable, whole
from .session_figures import figures, orders
from .session_filters import FILTERS, Span, places_of, said
from .verdicts import verdicts_of

if TYPE_CHECKING:
    from .base import EditableAdmin as Base
else:
    Base = object

TEXT, SHOW, STATUS = "text", "show", "status"
STATUSES = (
    ("active", gettext_lazy("active")),
    ("running", gettext_lazy("running")),
    ("paused", gettext_lazy("paused")),
    ("completed", gettext_lazy("completed")),
    ("failed", gettext_lazy("failed")),
    ("ended", gettext_lazy("ended")),
)
#: Of how long a time at most the sessions are that something is worked out of.
LONGEST = timedelta(days=92)
#: Among how many messages the first of the user's is looked for, and how much of it is shown.
_FIRST, _BEGINNING = 20, 120


class SessionForm(LookupForm):
    """What is looked for: a text, some of the sessions, a status, a time, and who it was.

    Attributes:
        seen: whose rows the user may see.
        using: the database alias.
    """

    timestamp = "last_activity_at"
    seen: frozenset[type[Model]] = frozenset()
    using: str = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[TEXT] = forms.CharField(label=_("words in titles and messages"), required=False, max_length=200)
        self.fields[STATUS] = forms.ChoiceField(label=label("status"), required=False, choices=[("", "–"), *STATUSES])
        self.fields[SHOW] = forms.ChoiceField(required=False, choices=self.shown, widget=forms.HiddenInput)

    @property
    def shown(self) -> list[tuple[str, Any]]:
        """The names and labels of the filters that the user may choose from."""
        names = [name for name, each in FILTERS.items() if self.seen.issuperset(each.needs)]
        without = () if conf.token_budget() else ("budget",)
        return [("", _("all")), *((name, FILTERS[name].label) for name in names if name not in without)]

    @property
    def main(self) -> list[forms.BoundField]:
        """The fields that stand first."""
        return [self[name] for name in (TEXT, STATUS, SINCE, UNTIL)]

    @property
    def is_worked_out(self) -> bool:
        """Whether what is asked for is worked out session by session."""
        return bool(self.is_valid() and (self.cleaned_data[TEXT] or self.cleaned_data[SHOW]))

    def span(self, bounded: bool) -> Span:
        """The time that is meant: `bounded`, no more than can be worked out."""
        given = self.cleaned_data if self.is_valid() else {}
        since, until = given.get(SINCE), given.get(UNTIL)
        if bounded:
            end = until or records.now()
            since = max(since, end - LONGEST) if since else end - USUAL
        return Span(since, until)

    def matching(self, span: Span) -> Q:
        """The sessions that are looked for."""
        if not self.is_valid():
            return Q(pk__in=[])
        given = self.cleaned_data
        found = self.of_columns
        if given[STATUS]:
            found &= Q(status=given[STATUS])
        if given[TEXT]:
            found &= said(given[TEXT], span, self.using, self.seen)
        if given[SHOW]:
            found &= FILTERS[given[SHOW]].condition(span, self.using)
        return found if given[TEXT] or given[SHOW] else found & span.active


class SessionChangeList(KeysetChangeList):
    """The list. What is worked out session by session is so of those of some time alone, and says of which."""

    lookup_form: SessionForm

    def own_parameters(self) -> set[str]:
        return {*super().own_parameters(), TEXT, SHOW, STATUS, SINCE, UNTIL}

    def chosen(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        admin_ = self.model_admin
        form = type(
            "Lookups", (SessionForm,), {"columns": admin_.lookups, "using": admin_.alias, "seen": seen(request)}
        )
        self.lookup_form = form(request.GET)
        self.is_ranked = not isinstance(rows.query.order_by[0], str)
        self.is_bounded = self.is_ranked or self.lookup_form.is_worked_out
        self.span = self.lookup_form.span(self.is_bounded)
        self.rows = rows.filter(self.lookup_form.matching(self.span))
        self.note = self._note()
        return previewed(_with_beginning(self.rows, self.lookup_form.seen), ["title"])

    def page(self, request: HttpRequest, rows: QuerySet[Any]) -> list[Any]:
        page = super().page(request, rows)
        ids = [row.pk for row in page]
        may_see = self.lookup_form.seen
        found = figures(rows.db, ids, may_see) if ids else {}
        given = self.lookup_form.cleaned_data if self.lookup_form.is_valid() else {}
        text, show = given.get(TEXT, ""), given.get(SHOW, "")
        intact = dict.fromkeys(ids, False) if show == "broken" else {}  # as was just found out
        if ids and not intact and {Event, AuditLog} <= may_see:
            intact = verdicts_of(rows.db, ids)
        places = places_of(ids, text, show, self.span, rows.db) if ids and Message in may_see else {}
        for row in page:
            row.figures, row.intact, row.place = found[row.pk], intact.get(row.pk), places.get(row.pk)
        return page

    def url_for_result(self, result: Any) -> str:
        """A session's page, at what was looked for."""
        if result.place is not None:
            return timeline_address(result.pk, "message", result.place)
        return str(super().url_for_result(result))

    @property
    def choices(self) -> list[tuple[Any, str, bool]]:
        """The filters: what each is called, its address, and whether it is chosen."""
        chosen = self.lookup_form.data.get(SHOW, "")
        return [
            (each, self.link({SHOW: name} if name else None, remove=[AFTER, BEFORE, SHOW]), name == chosen)
            for name, each in self.lookup_form.shown
        ]

    @property
    def is_narrowed(self) -> bool:
        """Whether the fields that are folded away say something."""
        return bool(self.query or any(self.lookup_form.data.get(name) for name in self.lookup_form.columns))

    def _note(self) -> str:
        """Which sessions these are, where they are not all."""
        if not self.is_bounded or not self.lookup_form.is_valid():
            return ""
        since = clock(self.span.since)[:-4] if self.span.since else ""
        until = clock(self.span.until)[:-4] if self.span.until else ""
        times = {"since": since, "until": until, "count": RANKED}
        if self.is_ranked:
            text = _("The first %(count)d of the sessions active from %(since)s to %(until)s.")
            open_text = _("The first %(count)d of the sessions active since %(since)s.")
        else:
            text = _("Of the sessions active from %(since)s to %(until)s.")
            open_text = _("Of the sessions active since %(since)s.")
        chosen = self.lookup_form.cleaned_data[SHOW]
        explained = FILTERS[chosen].explained if chosen else ""
        return f"{(text if until else open_text) % times} {explained}"


def seen(request: HttpRequest) -> frozenset[type[Model]]:
    """Whose rows the user may see, of those that the list is made of."""
    return frozenset(model for model in (Message, Event, Trace, AuditLog) if may(request, "view", model))


def _with_beginning(rows: QuerySet[Any], may_see: frozenset[type[Model]]) -> QuerySet[Any]:
    """The sessions, each without a title with how its user's first message begins.

    Where each look at a session's content is written down, the list shows none.
    """
    if Message not in may_see or conf.admin_option("AUDIT_VIEWS"):
        none: QuerySet[Any] = rows.annotate(beginning=Value("", output_field=TextField()))
        return none
    spoken = Message.objects.filter(session_id=OuterRef("pk"), role="user", seq_num__lte=_FIRST).order_by("seq_num")
    first = Subquery(spoken.values(text=Left(whole(Message._meta.get_field("content")), _BEGINNING))[:1])
    beginning = Case(When(title="", then=first), default=Value(""), output_field=TextField())
    found: QuerySet[Any] = rows.annotate(beginning=beginning)
    return found


#: Whose rows the user must be allowed to see for a column, one of these sets.
_NEEDS: dict[str, list[set[Any]]] = {
    **{name: [{Message}] for name in ("messages", "calls", "tokens")},
    "cost": [{Trace}],
    "errors": [{Message}, {Event}, {Trace}],
    "chain": [{Event, AuditLog}],
}


class SessionList(Base):
    """The columns of the list."""

    #: Those that are worked out.
    ranked = ("errors", "duration", "messages", "calls", "tokens", "cost")
    list_display = ("subject", "state", *ranked, "last_activity_at", "chain", "id")
    list_display_links = ("subject",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return SessionChangeList

    def get_list_display(self, request: HttpRequest) -> Any:
        found = seen(request)
        wanted = [name for name in self.list_display if any(found >= needed for needed in _NEEDS.get(name, [set()]))]
        return [self._column(name, brief=True) for name in wanted]

    @property
    def rankings(self) -> dict[str, Any]:
        """What it can be sorted by that is worked out."""
        return orders(self.alias)

    @admin.display(description=gettext_lazy("session"))
    def subject(self, row: Any) -> Any:
        """What it was about, and whose it was."""
        words = row.preview_title or readable(row.beginning or "", complete=False) or row.pk
        whose = " · ".join(visible(each) for each in (row.agent_id, row.user_id) if each)
        return format_html(
            '<bdi class="chronos-text">{}</bdi><small class="chronos-whose"><bdi>{}</bdi></small>', name(words), whose
        )

    @admin.display(description=gettext_lazy("status"))
    def state(self, row: Any) -> Any:
        """The status, and whether it is deleted."""
        badge = format_html(
            '<span class="chronos-badge chronos-status-{}"><bdi>{}</bdi></span>',
            status_class(row.status),
            visible(row.status),
        )
        return (
            format_html('{} <strong class="chronos-bad">{}</strong>', badge, _("deleted")) if row.deleted_at else badge
        )

    @admin.display(description=gettext_lazy("errors"), ordering="errors")
    def errors(self, row: Any) -> Any:
        """How many of its messages and spans are failures."""
        count = row.figures.errors
        return format_html('<strong class="chronos-bad">{}</strong>', grouped(count)) if count else count

    @admin.display(description=gettext_lazy("duration"), ordering="duration")
    def duration(self, row: Any) -> str:
        """From its beginning to its last activity."""
        return duration(max(row.last_activity_at - row.created_at, timedelta()))

    @admin.display(description=gettext_lazy("messages"), ordering="messages")
    def messages(self, row: Any) -> Any:
        """How many there are."""
        return _count(row.figures.messages)

    @admin.display(description=gettext_lazy("calls"), ordering="calls")
    def calls(self, row: Any) -> Any:
        """How many tools were called."""
        return _count(row.figures.calls)

    @admin.display(description=gettext_lazy("tokens"), ordering="tokens")
    def tokens(self, row: Any) -> Any:
        """How many it took."""
        count = _count(row.figures.tokens)
        if not row.figures.over_budget:
            return count
        return format_html('<strong class="chronos-bad" title="{}">{}</strong>', _("over the token budget"), count)

    @admin.display(description=gettext_lazy("cost"), ordering="cost")
    def cost(self, row: Any) -> Any:
        """What its spans cost."""
        return row.figures.cost

    @admin.display(description=gettext_lazy("chain"))
    def chain(self, row: Any) -> Any:
        """Whether its chains are intact; it is for its page to say of long ones."""
        texts = {None: _("check"), True: _("intact"), False: _("broken")}
        kind = "bad" if row.intact is False else "quiet" if row.intact is None else "good"
        return format_html(
            '<a class="chronos-{}" href="{}">{}</a>', kind, session_address(row.pk, "verdict"), texts[row.intact]
        )


def _count(value: int | None) -> str | None:
    return None if value is None else grouped(int(value))
