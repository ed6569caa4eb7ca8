"""Sessions with all that belongs to them, and audit logs, as one JSON document each, written as it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import inline_serializer
from rest_framework.request import Request

from .. import records
from ..ledger.mapping import ARTIFACTS, AUDIT_LOGS, CHECKPOINTS, EVENTS, MEMORY, MESSAGES, TRACES, Table
from ..ledger.pages import LITTLE, before_much
from ..sending import PART, kept, streamed
from . import serializers
from .access import AccessRule
from .artifacts import ArtifactSerializer
from .compat import http_request
from .found import Condition, Found, place_of
from .json_media import encode
from .places import Places
from .store import api_storage
from .turns import SENDING, Much, refuse_much

#: What belongs to a session: its name in the document, where it is kept, how it is written and in which order.
PARTS: tuple[tuple[str, Table[Any], type[serializers.RecordSerializer], tuple[str, ...]], ...] = (
    ("messages", MESSAGES, serializers.MessageSerializer, ("seq_num",)),
    ("events", EVENTS, serializers.EventSerializer, ("seq_num",)),
    ("checkpoints", CHECKPOINTS, serializers.CheckpointSerializer, ("seq_num",)),
    ("traces", TRACES, serializers.TraceSerializer, ("started_at", "id")),
    ("memory", MEMORY, serializers.MemorySerializer, ("id",)),
    ("audit_logs", AUDIT_LOGS, serializers.AuditLogSerializer, ("seq_num",)),
    ("artifacts", ARTIFACTS, ArtifactSerializer, ("created_at", "id")),
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


def export_audit_logs(request: Request, access: AccessRule, found: Found, order: tuple[str, ...]) -> HttpResponseBase:
    """A response that streams audit logs; see `_streamed`."""
    logs = _array("audit_logs", serializers.AuditLogSerializer, [found], order)
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
        found = access.found(table, session.id)
        parts: Iterable[Found] = [found]
        if table is CHECKPOINTS:  # which have numbers within their namespace
            names = api_storage().list_namespaces(session.id)
            parts = [found.where(Condition("namespace", "=", name)) for name in names]
        yield from _array(name, serializer, parts, order)
    yield b"}"


def _array(
    name: str, serializer: type[serializers.RecordSerializer], parts: Iterable[Found], order: tuple[str, ...]
) -> Iterator[bytes | None]:
    yield f'"{name}":['.encode()
    write = serializer().to_representation
    comma = ""
    for found in parts:
        after: dict[str, Any] | None = None
        more = True
        while more:
            # Read again by itself, so that a document whose connection is lost goes on where it is.
            fetch = partial(api_storage().backend.run, partial(found.page, order, _PAGE, after, LITTLE))
            try:
                with before_much(refuse_much):
                    page, more = fetch()
            except Much:
                yield None
                page, more = fetch()
            if more:
                after = place_of(page[-1], order)
            pieces = (("," if place else comma, record) for place, record in enumerate(page))
            written = (f"{between}{encode(write(record))}".encode() for between, record in pieces)
            following = "," if page else comma
            with kept(written) as file:
                del page, pieces, written  # while their reader waits
                while part := file.read(PART):
                    yield part
            comma = following
    yield b"]"
