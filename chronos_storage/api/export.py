"""Sessions with all that belongs to them, and audit logs, as one JSON document each, written as it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db.models.query import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from .. import records
from ..backends.orm.pages import fetch_page, rows_after
from ..ledger.mapping import AUDIT_LOGS, CHECKPOINTS, EVENTS, MEMORY, MESSAGES, TRACES, Table
from . import serializers
from .access import AccessRule
from .bodies import encode
from .compat import http_request
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
#: Rows that are read at once, at most.
_PAGE = 500
_PLACES = Places("exports", "MAX_EXPORTS", 4)


def export(request: Request, access: AccessRule, session: records.Session) -> HttpResponseBase:
    """A response that streams a session and all that belongs to it; see `_streamed`."""
    return _streamed(request, access, _session(access, session))


def export_audit_logs(
    request: Request, access: AccessRule, rows: QuerySet[Any], order: tuple[str, ...]
) -> HttpResponseBase:
    """A response that streams audit logs; see `_streamed`."""
    logs = _array("audit_logs", AUDIT_LOGS, serializers.AuditLogSerializer, rows, order)
    return _streamed(request, access, chain("{", logs, "}"))


def _streamed(request: Request, access: AccessRule, pieces: Iterator[str]) -> HttpResponseBase:
    """A response that streams a document, or for HEAD has none.

    The rows are read in pages while it is sent, so memory stays flat, and no connection waits for its reader.

    Raises:
        TooManyAtOnce: the user has others under way.
    """
    if request.method == "HEAD":
        return HttpResponse(content_type="application/json")
    release = _PLACES.take(access.user_id)
    chunks = _chunks(pieces)
    # Under ASGI Django would read a synchronous iterator to its end before it sends anything.
    content = _in_threads(chunks) if isinstance(http_request(request), ASGIRequest) else _in_this_thread(chunks)
    return SentResponse(content, release, content_type="application/json")


def _session(access: AccessRule, session: records.Session) -> Iterator[str]:
    yield '{"session":' + encode(serializers.SessionSerializer(session).data)
    for name, table, serializer, order in PARTS:
        yield ","
        yield from _array(name, table, serializer, access.rows(table.model).filter(session_id=session.id), order)
    yield "}"


def _array(
    name: str,
    table: Table[Any],
    serializer: type[serializers.RecordSerializer],
    rows: QuerySet[Any],
    order: tuple[str, ...],
) -> Iterator[str]:
    yield f'"{name}":['
    for place, record in enumerate(_within_bounds(table, rows, order)):
        yield ("," if place else "") + encode(serializer(record).data)
    yield "]"


def _within_bounds(table: Table[Any], rows: QuerySet[Any], order: Sequence[str]) -> Iterator[Any]:
    """The records of `rows`, by pages that end before they get too large."""
    following, more = rows, True
    while more:
        page, more = fetch_page(table, following, order, _PAGE)
        yield from page
        if more:
            following = rows_after(table, rows, order, page[-1])


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
