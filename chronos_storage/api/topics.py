"""Topics of the event queue: publish, recover, and how far consumers are."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from ..exceptions import NotFound
from ..models import Event, QueueEntry
from ..queues.handler import queue
from .access import SESSION_TOPIC, Verb
from .entries import ConsumerSerializer, EntriesSerializer, PublishedSerializer, PublishSerializer
from .idempotency import own_key
from .query import whole_number
from .schema import documented
from .scopes import check_scopes
from .views import ApiMixin

_MAX_ENTRIES = 1000
_PARAMETERS = [
    OpenApiParameter("after", str, description="Only entries after this cursor; without it, all that are kept."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": _MAX_ENTRIES}, description="How many."),
]


def check_topic(view: ApiMixin, verb: Verb) -> None:
    """Raise what the answer is where this may not be done to the topic of a view's address."""
    topic = view.kwargs["topic"]
    check_scopes(view.request.auth, [(verb, QueueEntry)])
    if verb == "view" and topic.startswith(SESSION_TOPIC):
        check_scopes(view.request.auth, [(verb, Event)])  # which is what it has
    may = view.access.may_use_topic(verb, topic, QueueEntry)
    if may is None:
        raise NotFound(f"there is no topic {topic!r}")
    if not may:
        raise PermissionDenied


class _TopicViewSet(ApiMixin, GenericViewSet[Any]):
    verbs: ClassVar[dict[str, Verb]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        check_topic(self, self.verbs.get(self.action, "view"))


class EntryViewSet(_TopicViewSet):
    """What was published on a topic and is still kept."""

    serializer_class: Any = EntriesSerializer
    parameters = ("after", "limit")
    idempotent_actions: ClassVar[Any] = ("create",)
    verbs: ClassVar[dict[str, Verb]] = {"create": "add"}

    @documented(parameters=_PARAMETERS, responses=EntriesSerializer)
    def list(self, request: Request, **kwargs: Any) -> Response:
        """The entries after a cursor, in the order they were published; 410 if some of those are not kept any more."""
        limit = whole_number(request, "limit", _MAX_ENTRIES, _MAX_ENTRIES)
        found, more = queue.recover_page(self.kwargs["topic"], request.query_params.get("after"), limit)
        return self.answer({"results": found, "next": found[-1].cursor if more else None})

    @documented(request=PublishSerializer, responses={201: PublishedSerializer})
    def create(self, request: Request, **kwargs: Any) -> Response:
        """Publish an event, on any topic but a session's, which has the events of its ledger. A repeat is found as long
        as the entry is kept.
        """
        fields = self.validated(PublishSerializer)
        topic, user_id, key = self.kwargs["topic"], fields.get("user_id", self.access.owner), own_key(self)
        last = queue.last_cursor(topic) if key else ""
        cursor = queue.publish(topic, fields["event"], user_id=user_id, key=key)
        self.replayed = cursor <= last
        return Response({"cursor": cursor}, status=201)


class ConsumerViewSet(_TopicViewSet):
    """How far a consumer is with a topic. Users other than staff have consumers of their own."""

    serializer_class: Any = ConsumerSerializer
    verbs: ClassVar[dict[str, Verb]] = {"update": "change"}

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """The cursor that the consumer has acknowledged, or null, and how many entries come after it."""
        consumer, topic = self.access.consumer(self.kwargs["id"]), self.kwargs["topic"]
        unread = queue.unread_count(consumer, topic)
        return self.answer({"cursor": queue.get_cursor(consumer, topic), "unread": unread})

    def update(self, request: Request, **kwargs: Any) -> Response:
        """Acknowledge the entries up to a cursor; it never moves back."""
        queue.ack(self.access.consumer(self.kwargs["id"]), self.kwargs["topic"], self.validated()["cursor"])
        return self.retrieve(request)
