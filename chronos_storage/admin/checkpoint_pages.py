"""A session's checkpoints: their list, what differs between two, and forks from one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from .. import codec
from ..exceptions import ChronosError
from ..keyset import After
from ..models import Checkpoint
from . import timeline
from .access import may, require
from .addresses import Redirect, session_address
from .differences import differences
from .session_page import SessionPage
from .states import sizes, state_text

#: How many checkpoints a page shows.
CHECKPOINTS = 100


class CheckpointPages(SessionPage):
    """The pages about a session's checkpoints."""

    def checkpoint_urls(self) -> list[URLPattern]:
        """Their addresses."""
        return [
            self.page("<path:object_id>/checkpoints/", "checkpoints", self.checkpoints_view),
            self.page("<path:object_id>/compare/", "compare", self.compare_view),
            self.page("<path:object_id>/fork/<int:checkpoint>/", "fork", self.fork_view, post=True),
        ]

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
        beside = self._checkpoints(session).filter(namespace=after.namespace)
        if "a" in request.GET:
            before = self._checkpoint(session, request.GET["a"])
        else:
            before = beside.filter(seq_num__lt=after.seq_num).order_by("-seq_num").first()
        found, more = differences(*(self._state(checkpoint) for checkpoint in (before, after)))
        return self.session_page(
            request,
            session,
            "checkpoints",
            _("Two checkpoints compared"),
            template="compare",
            before=before,
            after=after,
            following=beside.filter(seq_num__gt=after.seq_num).order_by("seq_num").first(),
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
            return Redirect(session_address(session.pk, "checkpoints"))
        self.log_addition(request, self.model(pk=fork.id, title=fork.title), [{"added": {}}])
        messages.success(request, _("This session starts from checkpoint %(number)d.") % {"number": source.seq_num})
        return Redirect(session_address(fork.id))
