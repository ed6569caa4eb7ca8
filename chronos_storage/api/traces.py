"""Spans, flat and as a session's tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..backends.spans import span_tree
from ..exceptions import NotFound
from ..models.mapping import TRACES
from .idempotency import id_from_key
from .schema import documented
from .serializers import TraceEndSerializer, TraceSerializer, TraceTreeSerializer
from .views import Listed, Retrieved


class TraceViewSet(Retrieved):
    """Spans. Those of a session are listed below it."""

    table = TRACES
    serializer_class: Any = TraceSerializer
    keyed: ClassVar[Any] = ("create",)
    verbs: ClassVar[Any] = {**Retrieved.verbs, "end": "change"}

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Store a span, running or finished; only staff may store one without a session, or before it."""
        fields = self.validated()
        trace = records.Trace(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        if not self.access.staff and not self.access.has_session(trace.session_id):
            raise NotFound(f"there is no session {trace.session_id!r}")
        return self.answer(self.storage.insert_trace(trace), 201)

    @documented(request=TraceEndSerializer, responses=TraceSerializer)
    @action(["post"], detail=True)
    def end(self, request: Request, **kwargs: Any) -> Response:
        """Finish a span, now unless `ended_at` says when; ending it again keeps the time of the first end."""
        self.record()
        return self.answer(self.storage.end_trace(self.kwargs["id"], **self.validated(TraceEndSerializer)))


class SessionTraceViewSet(Listed):
    """A session's spans, in the order they started."""

    table = TRACES
    serializer_class: Any = TraceSerializer
    order: ClassVar[tuple[str, ...]] = ("started_at", "id")

    @documented(responses=TraceTreeSerializer)
    @action(["get"], detail=False, pagination_class=None)
    def tree(self, request: Request, **kwargs: Any) -> Response:
        """All spans of the session, each before those inside it, with how deep it lies."""
        spans = self.table.fetch(self.get_queryset().order_by(*self.order))
        # Not nested: a chain of spans may be deeper than a JSON document.
        return Response(
            TraceTreeSerializer({"spans": _walk(span_tree(spans))}, context=self.get_serializer_context()).data
        )


def _walk(roots: list[records.TraceNode]) -> Iterator[dict[str, Any]]:
    waiting = [(0, node) for node in reversed(roots)]
    while waiting:
        depth, node = waiting.pop()
        yield {"depth": depth, "trace": node.trace}
        waiting += [(depth + 1, child) for child in reversed(node.children)]
