"""Live streams: a session's events, and a topic's entries."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from functools import partial
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

from ..exceptions import CursorExpired, InvalidRecord, NotSupported
from ..ledger.mapping import EVENTS
from ..models import Event, Head
from ..queues.following import hearing
from ..queues.handler import queue
from .access import Verb
from .ids import LIST_PATTERN
from .query import names
from .schema import documented
from .sending import Places
from .serializers import EntrySerializer, EventSerializer
from .store import served
from .streaming import Part, message, reading, stream_response
from .topics import check_topic
from .views import ApiMixin, check_session

#: Events of a page at first, and at most.
_FIRST_PAGE, _PAGE = 10, 100
#: Bytes after which the rest of a page is left for the next one: what a slow reader holds.
_CHUNK = 64 * 1024
#: Seconds after which the ledger is read although nothing was heard of.
_SAFETY = 30.0

# Made once, as that takes longer than what they do.
_EVENT, _ENTRY = EventSerializer(), EntrySerializer()
_PURGED = "events behind this number were purged; after=0 begins with the first that is kept"
_PLACES = Places("streams", "MAX_STREAMS", 50)
_MEDIA_TYPE = "text/event-stream"
_HEADER = "Last-Event-ID"


def _parameters(position: str, pattern: str) -> list[OpenApiParameter]:
    kind = {"type": "string", "pattern": pattern}
    return [
        OpenApiParameter(
            "after",
            kind,
            description=f"Begin behind this {position}; 0: with the first that is kept. Without it, with what comes.",
        ),
        OpenApiParameter(
            _HEADER,
            kind,
            location=OpenApiParameter.HEADER,
            description=f"The {position} of the last message that was received: begins behind it, whatever `after` is.",
        ),
    ]


_TYPES = OpenApiParameter(
    "types",
    {"type": "string", "pattern": LIST_PATTERN},
    description="Only events of these types, separated by commas; spelled as ids in paths are.",
)


class _Whatever(BaseContentNegotiation):
    """A stream is asked for as one and its problems are JSON, whatever Accept says."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class _StreamView(ApiMixin):
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
        if not isinstance(self.request._request, ASGIRequest):
            raise NotSupported("live streams need ASGI, and this site runs under WSGI: serve it by uvicorn, say")
        release = _PLACES.take(self.access.user_id)
        try:
            return stream_response(self.follow, self.begin(), self.check_again, release)
        except BaseException:
            release()
            raise

    def begin(self) -> Any:
        """The position behind which the stream begins; None: with the first that is kept.

        Raises:
            InvalidRecord: the request names none.
            CursorExpired: what came behind it is not kept any more.
        """
        raise NotImplementedError

    def follow(self, after: Any) -> AsyncGenerator[Part, None]:
        """What comes behind a position, and then what is new, as messages."""
        raise NotImplementedError

    def check_there(self) -> None:
        """Raise what the answer is where that which is to be streamed isn't there for the user."""
        raise NotImplementedError

    def check_again(self) -> None:
        """Raise an error if the same request would now be refused."""
        self.request: Request = self.initialize_request(_as_of_now(self.request._request))
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


class EventStreamView(_StreamView):
    """A session's events, as they are appended, or those of some types."""

    parameters: Any = ("after", "types")
    types: list[str] | None = None

    def needed(self) -> list[tuple[Verb, Any]]:
        return [("view", Event)]

    def check_there(self) -> None:
        check_session(self.access, self.kwargs["session_id"])

    @documented(
        operation_id="sessions_events_stream",
        parameters=[*_parameters("number", "^[0-9]+$"), _TYPES],
        responses={(200, _MEDIA_TYPE): OpenApiTypes.STR},
    )
    def get(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """The session's events as server-sent events: id is the number, data the event as JSON, and the event's name
        its type, where that consists of letters, digits and `_.:-` and isn't open, error or message.
        """
        return self.stream()

    def begin(self) -> int:
        self.types = names(self.request, "types")
        last, base = self.head()
        asked = self.asked()
        if asked is None:
            return last
        name, text = asked
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else last + 1
        if number > last:
            raise InvalidRecord(name, f"must be the number of one of the session's events, or 0; the last is {last}")
        if 0 < number < base:
            raise CursorExpired(_PURGED)
        return max(number, base)

    def head(self) -> tuple[int, int]:
        """The number of the session's last event, and of the last that was purged."""
        heads = Head.objects.using(served().alias).filter(
            kind=Head.Kind.EVENT, owner=self.kwargs["session_id"], namespace=""
        )
        return heads.values_list("seq_num", "base_seq").first() or (0, 0)

    async def follow(self, after: int) -> AsyncGenerator[Part, None]:
        news = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        size = _FIRST_PAGE
        with hearing(served().alias, self.kwargs["session_id"], wake):
            while True:
                news.clear()
                found, messages, after = await reading(partial(self.page, after, size))
                if messages:
                    yield b"".join(messages), after
                if len(messages) < found:
                    size = len(messages)
                elif found == size:
                    size = min(2 * size, _PAGE)
                else:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), _SAFETY)

    def page(self, after: int, size: int) -> tuple[int, list[bytes], int]:
        """How many events come behind a number, up to `size`; the first of them as messages; the last one's number."""
        rows = self.access.rows(Event).filter(session_id=self.kwargs["session_id"], seq_num__gt=after)
        last = after
        if self.types is not None:
            last = self.head()[0]  # known before the rows are read, so that none up to it is passed over
            rows = rows.filter(type__in=self.types)
        events = EVENTS.fetch(rows.order_by("seq_num")[:size])
        if not (events and events[0].seq_num == after + 1) and after < self.head()[1]:
            raise CursorExpired(_PURGED)
        messages: list[bytes] = []
        left = _CHUNK
        for event in events:
            if left <= 0:
                break
            messages.append(message(event.seq_num, _EVENT.to_representation(event), event.type))
            left -= len(messages[-1])
            after = event.seq_num
        if len(messages) == len(events) < size:
            after = max(after, last)  # what isn't of the types isn't read again
        return len(events), messages, after


class TopicStreamView(_StreamView):
    """A topic's entries, as they are published."""

    def check_there(self) -> None:
        check_topic(self, "view")

    @documented(
        operation_id="topics_stream",
        parameters=_parameters("cursor", "^(0|[0-7][0-9a-f]{15})$"),
        responses={(200, _MEDIA_TYPE): OpenApiTypes.STR},
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
                yield message(entry.cursor, _ENTRY.to_representation(entry)), entry.cursor
