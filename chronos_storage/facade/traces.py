from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from .. import codec, records
from ..async_variants import async_iterator, async_variant
from ..backends.base import Condition, Patch, Query
from ..exceptions import InvalidRecord
from ..records import Batch, Fence, TokenUsage, Trace, TraceNode
from ..redaction import redacted
from ..spans import span_tree
from .arguments import UNSET, UnsetType, equal, given, records_of, token_of
from .base import FacadeBase

_ORDER = ("started_at", "id")


class TraceMethods(FacadeBase):
    def insert_trace(self, trace: Trace, *, fence: Fence | int | None = None) -> Trace:
        """Store a span; it may be finished already, come before its parent, or name a session that isn't there.

        Args:
            fence: the session's, which is there then.

        Raises:
            NotFound: the session isn't there, and a fence is given.
            StaleWriter: the session was acquired again.
            AlreadyExists: the id is taken by other content.
        """
        return self._appended(Trace, [Trace.of(trace, "trace")], fence=fence)[0][0]

    @async_variant(insert_trace)
    def ainsert_trace(self) -> Any: ...

    def insert_traces(self, traces: Iterable[Trace], *, fence: Fence | int | None = None) -> Batch[Trace]:
        """Store several spans, all or none; see `insert_trace`. The list's `new` has the ids that this call wrote."""
        return Batch(*self._appended(Trace, records_of(Trace, traces, "traces"), fence=fence))

    @async_variant(insert_traces)
    def ainsert_traces(self) -> Any: ...

    def end_trace(
        self,
        id: str,
        *,
        output: Any = UNSET,
        error: str | UnsetType = UNSET,
        status: str | UnsetType = UNSET,
        model: str | UnsetType = UNSET,
        usage: TokenUsage | UnsetType | None = UNSET,
        cost: Decimal | UnsetType | None = UNSET,
        attributes: dict[str, Any] | UnsetType = UNSET,
        events: list[Any] | UnsetType = UNSET,
        ended_at: datetime | None = None,
        fence: Fence | int | None = None,
    ) -> Trace:
        """Finish a span, now unless `ended_at` says when; what is named is set, and what is not stays as it is.

        Ending it again keeps the time of the first end.

        Args:
            error: sets the status too, unless that is named: to ``error``, or where the error is empty to ``unset``.
            fence: that of the span's session.

        Raises:
            NotFound: no such span; with a fence, or no such session.
            StaleWriter: the session was acquired again.
        """
        id = codec.string(id, "id")
        named = given(
            output=output,
            error=error,
            status=status,
            model=model,
            usage=usage,
            cost=cost,
            attributes=attributes,
            events=events,
        )
        end = redacted(Trace(**named, ended_at=ended_at))
        end.complete()
        if "error" in named:
            named["status"] = end.status
        values = {name: getattr(end, name) for name in named}
        patch = Patch(values=values, first={"ended_at": end.ended_at or records.now()})
        if fence is not None:
            token_of(fence, [])  # what is none is refused before anything is read
        token = None if fence is None else token_of(fence, self._sessions_of(Trace, id))
        trace = self._run(partial(self.backend.patch, Trace, id, patch, token))
        self._written(trace)
        return trace

    @async_variant(end_trace)
    def aend_trace(self) -> Any: ...

    def get_trace(self, id: str) -> Trace | None:
        """The span, or None."""
        return self._one(Trace, id)

    @async_variant(get_trace)
    def aget_trace(self) -> Any: ...

    def list_traces(
        self,
        session_id: str | None = None,
        *,
        trace_id: str | None = None,
        kind: str | None = None,
        failed: bool | None = None,
    ) -> list[Trace]:
        """The spans of a session, of a run or of both, in the order they started, then by id.

        Args:
            failed: those whose status is ``error``, or those with another one.

        Raises:
            InvalidRecord: neither a session nor a run is named.
        """
        return self._select(_listed(session_id, trace_id, kind, failed))

    @async_variant(list_traces)
    def alist_traces(self) -> Any: ...

    def iter_traces(
        self,
        session_id: str | None = None,
        *,
        trace_id: str | None = None,
        kind: str | None = None,
        failed: bool | None = None,
    ) -> Iterator[Trace]:
        """`list_traces`, page by page."""
        return self._iterate(_listed(session_id, trace_id, kind, failed))

    @async_iterator(iter_traces)
    def aiter_traces(self) -> Any: ...

    def trace_tree(self, session_id: str) -> list[TraceNode]:
        """A session's spans as trees, in the order they started.

        A span whose parent isn't there is a root. Where parents form a ring, its earliest span is one.
        """
        return span_tree(self.list_traces(session_id))

    @async_variant(trace_tree)
    def atrace_tree(self) -> Any: ...


def _listed(session_id: str | None, trace_id: str | None, kind: str | None, failed: bool | None) -> Query[Trace]:
    where = equal(session_id=session_id, trace_id=trace_id, kind=kind)
    if failed is not None:
        if not isinstance(failed, bool):
            raise InvalidRecord("failed", f"must be True, False or None, not {type(failed).__name__}")
        where += (Condition("status", "=", "error") if failed else Condition("status", "in", ["unset", "ok"]),)
    if session_id is None and trace_id is None:
        raise InvalidRecord("session_id", "is not given, and trace_id neither; spans are listed by one of them")
    return Query(record=Trace, where=where, order=_ORDER)
