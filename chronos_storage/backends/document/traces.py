from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from ... import codec, records
from ...exceptions import NotFound
from ...records import Trace
from ..arguments import UNSET, UnsetType, filters
from ..changes import end_of
from .base import DocumentBase, matching
from .work import retried


class TraceMethods(DocumentBase):
    @retried
    def insert_trace(self, trace: Trace) -> Trace:
        given = Trace.of(trace, "trace")
        given, trace = given.cleaned(), given.cleaned()
        trace.complete()
        with self.work() as work:
            stored = work.get(Trace, "trace", trace.id)
            if stored is not None:
                return records.require_same(given, stored)
            work.put(trace)
            self.written(work, trace)
        return trace

    @retried
    def end_trace(
        self, id: str, *, output: Any = UNSET, error: str | UnsetType = UNSET, ended_at: datetime | None = None
    ) -> Trace:
        changes = end_of(output=output, error=error, ended_at=ended_at)
        with self.work() as work:
            trace = work.get(Trace, "trace", codec.string(id, "id"))
            if trace is None:
                raise NotFound(f"there is no trace {id!r}")
            trace = replace(trace, **changes | {"ended_at": trace.ended_at or changes["ended_at"]})
            trace.check_size()  # which its end may have made too large
            work.put(trace)
            self.written(work, trace)
        return trace

    def get_trace(self, id: str) -> Trace | None:
        return self.one(Trace, "trace", codec.string(id, "id"))

    def list_traces(self, session_id: str, *, kind: str | None = None) -> list[Trace]:
        return list(self.iter_traces(session_id, kind=kind))

    def iter_traces(self, session_id: str, *, kind: str | None = None) -> Iterator[Trace]:
        partition = ("trace", "started_at", codec.string(session_id, "session_id"))
        return self.records(Trace, partition, matching(filters(kind=kind)))
