"""The events of a session: its ledger."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..ledger.mapping import EVENTS
from .answers import LastNumberSerializer
from .filters import EventFilter
from .idempotency import id_from_key
from .schema import documented
from .serializers import EventAppendSerializer, EventBatchSerializer, EventSerializer
from .viewsets import FORWARD, Listed, Retrieved


class EventViewSet(Listed, Retrieved):
    """A session's events by number; ``order=desc`` lists the latest first. They are only ever appended."""

    table = EVENTS
    serializer_class: Any = EventSerializer
    filterset_class = EventFilter
    orders = FORWARD
    idempotent_actions: ClassVar[Any] = ("create", "batch")
    fenced_actions = idempotent_actions
    verbs: ClassVar[Any] = {**Listed.verbs, "batch": "add"}

    @documented(request=EventAppendSerializer, responses={201: EventSerializer})
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Append an event; with `expected_seq` only if that is the session's last number."""
        fields = self.validated(EventAppendSerializer)
        expected = fields.pop("expected_seq", None)
        stored = self.storage.append_event(self.new(fields), expected_seq=expected, fence=self.writer_token)
        return self.answer(stored, 201)

    def new(self, fields: dict[str, Any], place: int | None = None) -> records.Event:
        """The event that these fields describe."""
        id = id_from_key(self, fields.get("id", ""), place)
        return records.Event(**{**fields, "id": id, "session_id": self.kwargs["session_id"]})

    @documented(request=EventBatchSerializer, responses={201: EventBatchSerializer})
    @action(["post"], detail=False)
    def batch(self, request: Request, **kwargs: Any) -> Response:
        """Append several events, all or none."""
        given = self.validated(EventBatchSerializer)
        new = [self.new(fields, place) for place, fields in enumerate(given["events"])]
        expected, fence = given.get("expected_seq"), self.writer_token
        append = partial(self.storage.append_events, new, expected_seq=expected, fence=fence)
        return self.answer_batch(EventBatchSerializer, "events", new, append)

    @documented(responses=LastNumberSerializer)
    @action(["get"], detail=False, pagination_class=None, url_path="last-seq")
    def last_seq(self, request: Request, **kwargs: Any) -> Response:
        """The number of the session's last event, for `expected_seq`; a purge does not lower it."""
        return Response({"last_seq": self.storage.last_seq(self.kwargs["session_id"])})
