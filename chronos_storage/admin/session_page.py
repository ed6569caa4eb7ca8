"""What the pages about one session have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Artifact, AuditLog, Checkpoint, Event, Message, Session, Trace
from ..text import name as shown
from .access import may
from .addresses import session_address
from .kinship import forks_of, source_of
from .summaries import Summary, summary

if TYPE_CHECKING:
    from .base import EditableAdmin as Base
else:
    Base = object

#: The pages beside the timeline, and whose permission each takes.
TABS = (
    ("spans", gettext_lazy("Spans"), (Trace,)),
    ("tokens", gettext_lazy("Tokens"), (Message,)),
    ("context", gettext_lazy("What a model is given"), (Message,)),
    ("checkpoints", gettext_lazy("Checkpoints"), (Checkpoint,)),
    ("verdict", gettext_lazy("Chain verdict"), (Event, AuditLog)),
)

#: How many events a session may have for its header to say whether its chains are intact, without being asked.
CHECKED = 1_000
#: What can become of a session, and the permission of sessions that it takes.
REMOVALS = {"restore": "delete", "remove": "remove", "purge": "purge"}

#: Gives further tabs of a session, by the request, the database alias and the session's id: the name, label and address
#: of each. Apps that keep something for sessions add theirs.
further_tabs: list[Callable[[HttpRequest, str, str], Iterable[tuple[str, Any, str]]]] = []


class SessionPage(Base):
    """A page about a session, below what is said of each."""

    def about(self, request: HttpRequest, session: Any, current: str) -> dict[str, Any]:
        """What stands above each page about a session."""
        allowed, figures = _viewable(request), self.summary(request, session)
        tabs: list[tuple[str, Any, str]] = [("", _("Timeline"), session_address(session.pk))]
        tabs += [
            (name, label, session_address(session.pk, name))
            for name, label, wanted in TABS
            if allowed.intersection(wanted)
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
        if any(may(request, action, self.model) for action in REMOVALS.values()):
            tabs.append(("removal", _("Deleting"), session_address(session.pk, "removal")))
        return {
            "session": session,
            "session_name": shown(session.preview_title or session.pk),
            "summary": figures,
            "verdict_address": session_address(session.pk, "verdict") if allowed & {Event, AuditLog} else "",
            "verdict_at_once": (figures.events or 0) <= CHECKED,
            "source": source_of(session),
            "forks": forks_of(session),
            "may_restore": may(request, "delete", self.model),
            "tabs": tabs,
            "current": current,
        }

    def summary(self, request: HttpRequest, session: Any) -> Summary:
        """A session's figures, as far as the user may see what they are made of."""
        return summary(self.storage.alias, session, _viewable(request))

    def session_page(
        self, request: HttpRequest, session: Any, name: str, title: str, template: str = "", **context: Any
    ) -> HttpResponse:
        """A page about a session, which the user is noted to have looked at."""
        self.note_look(request, session, name)
        context |= self.about(request, session, name)
        return self.render(request, f"session/{template or name}.html", title, **context)

    def token(self, id: str) -> int | None:
        """The session's token: who looks after sessions overtakes nobody, and is let in by every session."""
        return Session.objects.using(self.storage.alias).filter(pk=id).values_list("fence_token", flat=True).first()


def _viewable(request: HttpRequest) -> set[type[models.Model]]:
    """What the user may see of what a session holds."""
    return {model for model in (Message, Event, Trace, AuditLog, Checkpoint) if may(request, "view", model)}
