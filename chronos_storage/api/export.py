"""A session and all that belongs to it as one JSON document, written as it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from .. import records
from ..backends.orm.pages import iterate
from ..models.mapping import AUDIT_LOGS, CHECKPOINTS, EVENTS, MEMORY, MESSAGES, TRACES, Table
from . import serializers
from .access import AccessRule
from .bodies import encode
from .sending import Places, SentResponse, close_connections
from .streaming import reading

#: What belongs to a session: its name in the document, where it is kept, how it is written and in which order.
PARTS: tuple[tuple[str, Table[Any], type[serializers.RecordSerializer], tuple[str, ...]], ...] = (
    ("messages", MESSAGES, serializers.MessageSerializer, ("seq_num",)),
    ("events", EVENTS, serializers.EventSerializer, ("seq_num",)),
    ("checkpoints", CHECKPOINTS, serializers.CheckpointSerializer, ("namespace", "seq_num")),
    ("traces", TRACES, serializers.TraceSerializer, ("started_at", "id")),
    ("memory", MEMORY, serializers.MemorySerializer, ("id",)),
    ("audit_logs", AUDIT_LOGS, serializers.AuditLogSerializer, ("seq_num",)),
)
_CHUNK = 64 * 1024
_PLACES = Places("exports", "MAX_EXPORTS", 4)


def export(request: HttpRequest, access: AccessRule, session: records.Session) -> SentResponse:
    """A response that streams the document.

    The rows are read in pages while it is sent, so memory stays flat, and no connection waits for its reader.

    Raises:
        TooManyAtOnce: the user has others under way.
    """
    release = _PLACES.take(access.user_id)
    chunks = _chunks(_pieces(access, session))
    # Under ASGI Django would read a synchronous iterator to its end before it sends anything.
    content = _in_threads(chunks) if isinstance(request, ASGIRequest) else _in_this_thread(chunks)
    return SentResponse(content, release, content_type="application/json")


def _pieces(access: AccessRule, session: records.Session) -> Iterator[str]:
    yield '{"session":' + encode(serializers.SessionSerializer(session).data)
    for name, table, serializer, order in PARTS:
        yield f',"{name}":['
        rows = access.rows(table.model).filter(session_id=session.id)
        for place, record in enumerate(iterate(table, rows, *order)):
            yield ("," if place else "") + encode(serializer(record).data)
        yield "]"
    yield "}"


def _chunks(pieces: Iterator[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _in_this_thread(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        close_connections()
        yield chunk


async def _in_threads(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    await sync_to_async(close_connections)()
    while chunk := await reading(lambda: next(chunks, b"")):
        yield chunk
