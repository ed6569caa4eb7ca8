"""Sessions with all that belongs to them, and audit logs, as one JSON document each, written as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from django.db.models.query import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import inline_serializer
from rest_framework.request import Request

from .. import records
from ..ledger.mapping import AUDIT_LOGS, CHECKPOINTS, EVENTS, MEMORY, MESSAGES, TRACES, Table
from ..ledger.pages import LITTLE, before_much, fetch_page, rows_after
from ..sending import PART, kept, streamed
from ..transactions import attempt
from . import serializers
from .access import AccessRule
from .compat import http_request
from .json_media import encode
from .places import Places
from .turns import SENDING, Much, refuse_much

#: What belongs to a session: its name in the document, where it is kept, how it is written and in which order.
PARTS: tuple[tuple[str, Table[Any], type[serializers.RecordSerializer], tuple[str, ...]], ...] = (
    ("messages", MESSAGES, serializers.MessageSerializer, ("seq_num",)),
    ("events", EVENTS, serializers.EventSerializer, ("seq_num",)),
    ("checkpoints", CHECKPOINTS, serializers.CheckpointSerializer, ("namespace", "seq_num")),
    ("traces", TRACES, serializers.TraceSerializer, ("started_at", "id")),
    ("memory", MEMORY, serializers.MemorySerializer, ("id",)),
    ("audit_logs", AUDIT_LOGS, serializers.AuditLogSerializer, ("seq_num",)),
)
#: What the document looks like.
DOCUMENT = inline_serializer(
    "Export",
    {"session": serializers.SessionSerializer(), **{name: serializer(many=True) for name, _, serializer, _ in PARTS}},
)
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
    return _streamed(request, access, chain([b"{"], logs, [b"}"]))


def _streamed(request: Request, access: AccessRule, pieces: Iterator[bytes | None]) -> HttpResponseBase:
    """A response that streams a document, or for HEAD has none.

    The rows are read in pages while it is sent, so memory stays flat, and neither rows nor a connection wait for its
    reader.

    Args:
        pieces: None before one that takes a turn.

    Raises:
        TooManyAtOnce: the user has others under way.
    """
    if request.method == "HEAD":
        return HttpResponse(content_type="application/json")
    release = _PLACES.take(access.user_id)
    return streamed(http_request(request), pieces, turns=SENDING, release=release, content_type="application/json")


def _session(access: AccessRule, session: records.Session) -> Iterator[bytes | None]:
    yield b'{"session":' + encode(serializers.SessionSerializer(session).data).encode()
    for name, table, serializer, order in PARTS:
        yield b","
        yield from _array(name, table, serializer, access.rows(table.model).filter(session_id=session.id), order)
    yield b"}"


def _array(
    name: str,
    table: Table[Any],
    serializer: type[serializers.RecordSerializer],
    rows: QuerySet[Any],
    order: tuple[str, ...],
) -> Iterator[bytes | None]:
    yield f'"{name}":['.encode()
    write = serializer().to_representation
    following, more, comma = rows, True, ""
    while more:
        # Read again by itself, so that a document whose connection is lost goes on where it is.
        fetch = partial(attempt, rows.db, partial(fetch_page, table, following, order, _PAGE, LITTLE))
        try:
            with before_much(refuse_much):
                page, more = fetch()
        except Much:
            yield None
            page, more = fetch()
        if more:
            following = rows_after(table, rows, order, page[-1])
        written = ((("," if place else comma) + encode(write(record))).encode() for place, record in enumerate(page))
        with kept(written) as file:
            del page, written  # while their reader waits
            while part := file.read(PART):
                yield part
        comma = ","
    yield b"]"
