"""Live streams of the ledger's events: of one session, and of several."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial
from typing import IO, Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from .. import records
from ..exceptions import CursorExpired, InvalidRecord
from ..ledger.mapping import EVENTS
from ..ledger.pages import before_much
from ..models import Event
from ..queues.following import watching
from ..sending import PART, kept, reading
from .access import Verb
from .found import Condition
from .ids import LIST_PATTERN, MAX_NAMES
from .query import names
from .schema import documented
from .serializers import EventSerializer
from .store import api_storage, ends_of_ledgers
from .streaming import Part, message
from .streams import MEDIA_TYPE, StreamView, position_parameters
from .turns import SENDING, Much, refuse_much
from .views import check_sessions

#: Events of a page at first, and at most.
_FIRST_PAGE, _PAGE = 10, 100
#: Seconds after which the ledger is read although nothing was heard of.
_SAFETY = 30.0

#: Made once, as that takes longer than what it does.
_EVENT = EventSerializer()
_TYPES = OpenApiParameter(
    "types",
    {"type": "string", "pattern": LIST_PATTERN},
    description="Only events of these types, separated by commas; spelled as ids in paths are.",
)

#: Messages, the position after them, and how many events to read next, 0 where that was all.
Page = tuple[list[bytes], Any, int]


class EventStreamView(StreamView):
    """A session's events, as they are appended, or those of some types."""

    parameters: Any = ("after", "types")
    types: list[str] | None = None

    def needed(self) -> list[tuple[Verb, Any]]:
        return [("view", Event)]

    def session_ids(self) -> list[str]:
        """The sessions that are followed."""
        return [self.kwargs["session_id"]]

    def check_there(self) -> None:
        check_sessions(self.access, *self.session_ids())

    @documented(
        operation_id="sessions_events_stream",
        parameters=[*position_parameters("number", "^[0-9]+$"), _TYPES],
        responses={(200, MEDIA_TYPE): OpenApiTypes.STR},
    )
    def get(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """The session's events as server-sent events: id is the number, data the event as JSON, and the event's name
        its type, where that consists of letters, digits and `_.:-` and isn't open, error or message.
        """
        return self.stream()

    def begin(self) -> Any:
        self.types = names(self.request, "types")
        session_id = self.kwargs["session_id"]
        last, base = ends_of_ledgers([session_id])[session_id]
        asked = self.asked()
        if asked is None:
            return last
        name, text = asked
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else last + 1
        if number > last:
            raise InvalidRecord(name, f"must be the number of one of the session's events, or 0; the last is {last}")
        return begun(session_id, number, base)

    async def follow(self, after: Any) -> AsyncGenerator[Part, None]:
        news = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)
        size = 0
        with watching(api_storage().backend.using, self.session_ids(), wake):
            while True:
                news.clear()
                read = partial(self.read, after, size or _FIRST_PAGE)
                try:
                    file, after, size = await reading(partial(read, refuse_much))
                except Much:
                    async with SENDING.aturn():
                        file, after, size = await reading(read)
                if file:
                    yield file, after
                    del file
                if not size:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), _SAFETY)

    def read(
        self, after: Any, size: int, refuse: Callable[[], None] = lambda: None
    ) -> tuple[IO[bytes] | None, Any, int]:
        """A page, with its messages in a file if there are any.

        Args:
            refuse: called before large events are read.
        """
        with before_much(refuse):
            messages, after, size = self.page(after, size)
        return kept(messages) if messages else None, after, size

    def page(self, after: Any, size: int) -> Page:
        """What comes after a position: so many events of a session at most, and about 64 KiB."""
        session_id = self.kwargs["session_id"]
        last = 0 if self.types is None else ends_of_ledgers([session_id])[session_id][0]
        return self.messages(session_id, after, size, last, PART, lambda number: number)

    def messages(
        self, session_id: str, after: int, size: int, last: int, room: int, place: Callable[[int], object]
    ) -> Page:
        """The page of one session.

        Args:
            last: the number of its last event, asked before: up to it those of other types are passed over.
            room: bytes after which the rest is left.
            place: gives the id of a message by the number of its event.
        """
        events, more = self.events(session_id, after, size)
        messages: list[bytes] = []
        for event in events:
            if room <= 0:
                return messages, after, len(messages)
            messages.append(message(place(event.seq_num), _EVENT.to_representation(event), event.type))
            room -= len(messages[-1])
            after = event.seq_num
        if more:
            return messages, after, min(2 * size, _PAGE)
        return messages, after if self.types is None else max(after, last), 0

    def events(self, session_id: str, after: int, size: int) -> tuple[list[records.Event], bool]:
        """The session's first events after a number, and whether there are more."""
        found = self.access.found(EVENTS, session_id).where(Condition("seq_num", ">", after))
        if self.types is not None:
            found = found.where(Condition("type", "in", self.types))
        events, more = found.page(["seq_num"], size, most=PART)
        if not (events and events[0].seq_num == after + 1):
            last, base = ends_of_ledgers([session_id])[session_id]
            if after < base:
                raise _purged(session_id)
            if after > last:
                raise CursorExpired(f"the session {session_id!r} was removed and made again; after=0 begins with it")
        return events, more


def begun(session_id: str, number: int, base: int) -> int:
    """The number after which a stream begins that is asked for what comes after one; 0: with what is kept.

    Args:
        base: the number of the last event that was purged.

    Raises:
        CursorExpired: some of what comes after the number was purged.
    """
    if 0 < number < base:
        raise _purged(session_id)
    return max(number, base)


def _purged(session_id: str) -> CursorExpired:
    return CursorExpired(
        f"events of the session {session_id!r} after this were purged; after=0 begins with the first that is kept"
    )


class Positions(dict[str, int]):
    """The number after which each session goes on, by what stands for its id.

    As text it is the id of a message, so that a reader who comes back misses nothing of any session, whichever of them
    it then asks for.
    """

    _PART = re.compile(r"([A-Za-z0-9_-]{8})(0|[1-9][0-9]{0,18})")

    @staticmethod
    def name(session_id: str) -> str:
        """What stands for an id, however long that is."""
        return base64.urlsafe_b64encode(hashlib.sha256(session_id.encode()).digest()[:6]).decode()

    @classmethod
    def read(cls, text: str) -> Positions:
        """What a text says; nothing if it isn't such a text."""
        parts = [cls._PART.fullmatch(part) for part in text.split(".")]
        return cls() if None in parts else cls((part[1], int(part[2])) for part in parts if part)

    def __str__(self) -> str:
        return ".".join(f"{name}{number}" for name, number in self.items())

    def moved(self, name: str, number: int) -> Positions:
        """The same, but for one session."""
        return Positions({**self, name: number})


class SessionsStreamView(EventStreamView):
    """The events of several sessions, as they are appended, in one stream."""

    parameters: Any = ("ids", "after", "types")

    def session_ids(self) -> list[str]:
        ids = names(self.request, "ids")
        if ids is None:
            raise ValidationError({"ids": f"is needed: up to {MAX_NAMES} sessions, separated by commas"})
        return list(dict.fromkeys(ids))

    @documented(
        operation_id="sessions_stream",
        parameters=[
            OpenApiParameter(
                "ids",
                {"type": "string", "pattern": LIST_PATTERN},
                required=True,
                description=f"The sessions, at most {MAX_NAMES}, separated by commas; spelled as ids in paths are.",
            ),
            *position_parameters("id", r"^(0|[A-Za-z0-9_-]{8}[0-9]+(\.[A-Za-z0-9_-]{8}[0-9]+)*)$"),
            _TYPES,
        ],
        responses={(200, MEDIA_TYPE): OpenApiTypes.STR},
    )
    def get(self, request: Request, **kwargs: Any) -> StreamingHttpResponse:
        """The sessions' events as server-sent events, those of one session in order: data is the event as JSON, and
        id where to go on in all of them. The stream ends when one of them is there no more; the others go on where
        they were if they are asked for without it. A session that the id says nothing of begins with what comes.
        """
        return self.stream()

    def begin(self) -> Positions:
        self.types = names(self.request, "types")
        heads = ends_of_ledgers(self.session_ids())
        self.named = {id: Positions.name(id) for id in heads}
        #: The sessions in the order of their turns: who has just been read is the last.
        self.turns = deque(heads)
        name, text = self.asked() or ("", "")
        given = Positions(dict.fromkeys(self.named.values(), 0)) if text == "0" else Positions.read(text)
        if name and not given:
            raise InvalidRecord(name, "must be the id of a message of such a stream, or 0")
        positions = Positions()
        for session_id, (last, base) in heads.items():
            number = given.get(self.named[session_id], last)
            if number > last:
                raise InvalidRecord(name, f"is past the last event of the session {session_id!r}, {last}")
            positions[self.named[session_id]] = begun(session_id, number, base)
        return positions

    def page(self, after: Positions, size: int) -> Page:
        heads = ends_of_ledgers(self.turns)
        messages: list[bytes] = []
        following, room, read = 0, PART, 0
        for session_id in self.turns:
            if room <= 0:
                following = following or size
                break
            name, last = self.named[session_id], heads[session_id][0]
            if last != after[name]:
                place = partial(after.moved, name)
                part, number, more = self.messages(session_id, after[name], size, last, room, place)
                messages += part
                room -= sum(map(len, part))
                after = after.moved(name, number)
                following = more or following
            read += 1
        self.turns.rotate(-read)  # at the end alone: a page that is refused before it is read is read again
        return messages, after, following
