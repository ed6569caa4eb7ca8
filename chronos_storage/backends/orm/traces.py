from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.db.models.query import QuerySet

from ... import records
from ...exceptions import AlreadyExists, NotFound
from ...ledger.mapping import TRACES
from ...records import Trace
from ...snapshots import Unseen, current
from ...transactions import retried
from ..arguments import UNSET, UnsetType, filters, identified, required
from ..changes import end_of
from .base import OrmBase, pk_row
from .pages import iterate

_ORDER = ("started_at", "id")


class TraceMethods(OrmBase):
    def insert_trace(self, trace: Trace) -> Trace:
        return self._insert_trace(identified(Trace.of(trace, "trace")))

    @retried
    def _insert_trace(self, trace: Trace) -> Trace:
        given, trace = trace, trace.cleaned()
        trace.complete()
        try:
            with self.unless_taken(f"trace {trace.id!r}"):
                TRACES.row(trace).save(using=self.alias, force_insert=True)
        except AlreadyExists:
            with self.transaction():
                stored = self.one(TRACES, current(pk_row(self.rows(TRACES), trace.id)))
            if stored is None:
                raise Unseen from None
            return records.require_same(given.cleaned(), stored)
        self.written(trace)
        return trace

    @retried
    def end_trace(
        self, id: str, *, output: Any = UNSET, error: str | UnsetType = UNSET, ended_at: datetime | None = None
    ) -> Trace:
        changes = end_of(output=output, error=error, ended_at=ended_at)
        changes["ended_at"] = Coalesce(F("ended_at"), Value(changes["ended_at"]))
        row = pk_row(self.rows(TRACES), id)
        with self.transaction():
            row.update(**changes)
            stored = self.one(TRACES, current(row))  # which the update may have left as it was, and unseen
            if stored is None:
                self.refuse_unseen(TRACES, id)
                raise NotFound(f"there is no trace {id!r}")
            stored.check_size()  # which its end may have made too large
        self.written(stored)
        return stored

    @retried
    def get_trace(self, id: str) -> Trace | None:
        return self.one(TRACES, pk_row(self.rows(TRACES), id))

    @retried
    def list_traces(self, session_id: str, *, kind: str | None = None) -> list[Trace]:
        return TRACES.fetch(self._listed_traces(session_id, kind).order_by(*_ORDER))

    def iter_traces(self, session_id: str, *, kind: str | None = None) -> Iterator[Trace]:
        return iterate(TRACES, self._listed_traces(session_id, kind), *_ORDER)

    def _listed_traces(self, session_id: str, kind: str | None) -> QuerySet[Any]:
        return self.rows(TRACES).filter(**required(session_id=session_id), **filters(kind=kind))
