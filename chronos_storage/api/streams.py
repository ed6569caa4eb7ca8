"""Live streams: what all have in common, and a topic's entries."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from django.contrib import auth
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from ..exceptions import InvalidRecord, NotSupported
from ..queues.handler import queue
from ..sending import kept
from .compat import http_request
from .entries import EntrySerializer
from .places import Places
from .schema import documented
from .streaming import Part, message, stream_response
from .topics import check_topic
from .views import ApiMixin

#: Made once, as that takes longer than what it does.
_ENTRY = EntrySerializer()
_PLACES = Places("streams", "MAX_STREAMS", 50)
MEDIA_TYPE = "text/event-stream"
_HEADER = "Last-Event-ID"


def position_parameters(position: str, pattern: str) -> list[OpenApiParameter]:
    """How a stream says where it is to begin, in the OpenAPI document."""
    kind = {"type": "string", "pattern": pattern}
    return [
        OpenApiParameter(
            "after",
            kind,
            description=f"Begin after this {position}; 0: with the first that is kept. Without it, with what comes.",
        ),
        OpenApiParameter(
            _HEADER,
            kind,
            location=OpenApiParameter.HEADER,
            description=f"The {position} of the last message that was received: begins after it, whatever `after` is.",
        ),
    ]


class _Whatever(BaseContentNegotiation):
    """A stream is asked for as one and its problems are JSON, whatever Accept says."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class StreamView(ApiMixin):
    """Everything that can be refused is, before the first byte; and from then on, every so often, once more."""

    http_method_names: Any = ("get",)
    parameters = ("after",)
    content_negotiation_class: Any = _Whatever

    @property
    def throttle_scope(self) -> str:
        return "chronos_stream"

    def sent_whole(self) -> bool:
        return False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.check_there()

    def stream(self) -> StreamingHttpResponse:
        """The response, from where the request has it begin."""
        if not isinstance(http_request(self.request), ASGIRequest):
            raise NotSupported("live streams need ASGI, and this site runs under WSGI: serve it by uvicorn, say")
        release = _PLACES.take(self.access.user_id)
        try:
            return stream_response(self.follow, self.begin(), self.check_again, release)
        except BaseException:
            release()
            raise

    def begin(self) -> Any:
        """The position after which the stream begins; None: with the first that is kept.

        Raises:
            InvalidRecord: the request names none.
            CursorExpired: what came after it is not kept any more.
        """
        raise NotImplementedError

    def follow(self, after: Any) -> AsyncGenerator[Part, None]:
        """What comes after a position, and then what is new, as messages."""
        raise NotImplementedError

    def check_there(self) -> None:
        """Raise what the answer is where that which is to be streamed isn't there for the user."""
        raise NotImplementedError

    def check_again(self) -> None:
        """Raise an error if the same request would now be refused."""
        self.request: Request = self.initialize_request(_as_of_now(http_request(self.request)))
        APIView.perform_authentication(self, self.request)  # whoever else fails to at the same address
        self.check_permissions(self.request)
        self.check_there()

    def asked(self) -> tuple[str, str] | None:
        """Behind what to begin, and the name under which the request says so."""
        if header := self.request.headers.get(_HEADER):
            return _HEADER, header
        after = self.request.query_params.get("after")
        return None if after is None else ("after", after)


def _as_of_now(request: HttpRequest) -> HttpRequest:
    """The request as it would come in now: whoever signed in, by whatever means, has yet to do so."""
    again = copy.copy(request)
    again.user = AnonymousUser()  # DRF writes to it whom a token, say, has signed in
    session = getattr(request, "session", None)
    if session is not None:
        again.session = type(session)(session.session_key)
        again.user = auth.get_user(again)
    return again


class TopicStreamView(StreamView):
    """A topic's entries, as they are published."""

    def check_there(self) -> None:
        check_topic(self, "view")

    @documented(
        operation_id="topics_stream",
        parameters=position_parameters("cursor", "^(0|[0-7][0-9a-f]{15})$"),
        responses={(200, MEDIA_TYPE): OpenApiTypes.STR},
    )
    def get(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """The topic's entries as server-sent events: id is the cursor, data the entry as JSON."""
        return self.stream()

    def begin(self) -> str | None:
        topic, asked = self.kwargs["topic"], self.asked()
        if asked is None:
            return queue.last_cursor(topic)
        name, cursor = asked
        if cursor == "0":
            return None
        try:
            queue.recover(topic, cursor, 1)
        except InvalidRecord as error:
            raise InvalidRecord(name, error.problem) from None
        return cursor

    async def follow(self, after: str | None) -> AsyncGenerator[Part, None]:
        async with aclosing(queue.stream(self.kwargs["topic"], after)) as entries:
            async for entry in entries:
                yield kept([message(entry.cursor, _ENTRY.to_representation(entry))]), entry.cursor
