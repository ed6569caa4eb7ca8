"""A session and all that belongs to it as one JSON document, written as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from .. import records
from ..backends.orm.base import iterate
from ..models.mapping import AUDIT_LOGS, CHECKPOINTS, EVENTS, MEMORY, MESSAGES, TRACES, Table
from . import serializers
from .access import AccessRule
from .bodies import encode

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


def export(request: HttpRequest, access: AccessRule, session: records.Session) -> StreamingHttpResponse:
    """A response that streams the document; the rows are read in pages while it is sent, so memory stays flat."""
    chunks = _chunks(_pieces(access, session))
    # Under ASGI Django would read a synchronous iterator to its end before it sends anything.
    content = _in_thread(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(content, content_type="application/json")


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


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes:
        return next(chunks, b"")

    while chunk := await sync_to_async(following)():
        yield chunk
