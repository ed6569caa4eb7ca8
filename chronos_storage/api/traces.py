"""Spans, flat and as a session's tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import InvalidRecord
from ..ids import new_id
from ..ledger.mapping import TRACES
from ..spans import span_tree
from .answers import TraceTreeSerializer
from .filters import RunFilter, TraceFilter
from .found import Condition
from .idempotency import id_from_key
from .pagination import MAX_PAGE_SIZE
from .query import whole_number
from .schema import documented
from .serializers import TraceBatchSerializer, TraceEndSerializer, TraceSerializer
from .views import check_sessions
from .viewsets import Listed, Retrieved

#: Spans of the largest tree that is worked out.
MAX_TREE = 100_000
_TREE_PARAMETERS = [
    OpenApiParameter("after", str, description="Only the spans after this one: the `next` of the page before."),
    OpenApiParameter("page_size", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}, description="How many."),
]


class TraceViewSet(Listed, Retrieved):
    """The spans of a run, which `trace_id` names, in the order they started; those of a session are listed below it."""

    table = TRACES
    serializer_class: Any = TraceSerializer
    filterset_class = RunFilter
    order: ClassVar[tuple[str, ...]] = ("started_at", "id")
    idempotent_actions: ClassVar[Any] = ("create", "batch")
    fenced_actions = ("create", "batch", "end")
    verbs: ClassVar[Any] = {**Listed.verbs, "end": "change", "batch": "add"}

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Store a span, running or finished; only staff may store one without a session, or before it."""
        trace = self.new(self.validated())
        self.check([trace])
        return self.answer(self.storage.insert_trace(trace, fence=self.writer_token), 201)

    @documented(request=TraceBatchSerializer, responses={201: TraceBatchSerializer})
    @action(["post"], detail=False)
    def batch(self, request: Request, **kwargs: Any) -> Response:
        """Store several spans, all or none."""
        given = self.validated(TraceBatchSerializer)["traces"]
        new = [self.new(fields, place) for place, fields in enumerate(given)]
        self.check(new)
        insert = partial(self.storage.insert_traces, new, fence=self.writer_token)
        return self.answer_batch(TraceBatchSerializer, "traces", new, insert)

    def new(self, fields: dict[str, Any], place: int | None = None) -> records.Trace:
        """The span that these fields describe."""
        return records.Trace(**{**fields, "id": id_from_key(self, fields.get("id", ""), place)})

    def check(self, new: list[records.Trace]) -> None:
        """See to it that new spans are of the user's sessions, and learn nothing of others' spans.

        Raises:
            NotFound: one is of another's session.
        """
        if not self.access.staff:
            check_sessions(self.access, *dict.fromkeys(trace.session_id for trace in new))
        heirs = [trace for trace in new if trace.parent_id and not trace.trace_id]
        parents = self.found().where(Condition("id", "in", sorted({trace.parent_id for trace in heirs})))
        known = {trace.id for trace in new}.union(parents.ids() if heirs else ())
        for trace in heirs:
            if trace.parent_id not in known:
                # The store would give it the run of its parent, which may be another's, and say so.
                trace.id = trace.id or new_id()
                trace.trace_id = trace.id

    @documented(request=TraceEndSerializer, responses=TraceSerializer)
    @action(["post"], detail=True)
    def end(self, request: Request, **kwargs: Any) -> Response:
        """Finish a span, now unless `ended_at` says when; ending it again keeps the time of the first end."""
        self.record()
        said = self.validated(TraceEndSerializer)
        return self.answer(self.storage.end_trace(self.kwargs["id"], **said, fence=self.writer_token))


class SessionTraceViewSet(Listed):
    """A session's spans, in the order they started."""

    def query_parameters(self) -> Iterable[str]:
        return ("after", "page_size") if self.action == "tree" else super().query_parameters()

    table = TRACES
    serializer_class: Any = TraceSerializer
    filterset_class = TraceFilter
    order: ClassVar[tuple[str, ...]] = ("started_at", "id")

    @documented(parameters=_TREE_PARAMETERS, responses=TraceTreeSerializer)
    @action(["get"], detail=False, pagination_class=None)
    def tree(self, request: Request, **kwargs: Any) -> Response:
        """The spans of the session, each before those inside it, with how deep it lies."""
        spans_there = self.found()
        places = spans_there.some(self.order, MAX_TREE + 1, "id", "parent_id")
        spans = [records.Trace(id=id, parent_id=parent_id) for id, parent_id in places]
        if len(spans) > MAX_TREE:
            raise InvalidRecord("session_id", f"has more than {MAX_TREE:,} spans: read their list instead")
        depths = dict(_walk(span_tree(spans)))
        ids = list(depths)
        after = request.query_params.get("after")
        if after is not None and after not in depths:
            raise InvalidRecord("after", "is no span of the session")
        start = 0 if after is None else ids.index(after) + 1
        size = whole_number(request, "page_size", MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        found = spans_there.first(ids[start : start + size])
        more = bool(found) and found[-1].id != ids[-1]
        # Not nested: a chain of spans may be deeper than a JSON document.
        page = {
            "spans": [{"depth": depths[trace.id], "trace": trace} for trace in found],
            "next": found[-1].id if more else None,
        }
        return Response(TraceTreeSerializer(page, context=self.get_serializer_context()).data)


def _walk(roots: list[records.TraceNode]) -> Iterator[tuple[str, int]]:
    """The id of each span, before those inside it, and its depth."""
    waiting = [(0, node) for node in reversed(roots)]
    while waiting:
        depth, node = waiting.pop()
        yield node.trace.id, depth
        waiting += [(depth + 1, child) for child in reversed(node.children)]
