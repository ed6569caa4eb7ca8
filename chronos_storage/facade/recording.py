"""Spans around blocks of code."""

from __future__ import annotations

from contextvars import ContextVar
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import codec
from ..async_variants import hop, unbroken
from ..exceptions import InvalidRecord
from ..records import TokenUsage, Trace

if TYPE_CHECKING:
    from .storage import Storage

#: The innermost span around what runs; a task begins with its maker's, a thread with none.
_current: ContextVar[Span | None] = ContextVar("chronos_storage_span", default=None)


class Span:
    """A step of a run, stored as a `Trace` when its block begins and ended when that ends, however it does.

    What the block sets is kept at the end, and an error that leaves it; ``with`` and ``async with`` do the same. What
    no store keeps of input, output, attributes and events is made storable. A span takes no fence: what a writer did
    who was overtaken is recorded, too.

    Attributes:
        id: once the block has begun, the trace's.
        trace_id: once the block has begun, the run's.
        output: what came of it.
        error: what went wrong, a text or an exception; an error that leaves the block is put here, as text.
        model: the model that was asked.
        usage: the tokens it reported.
        cost: in the currency the host says.
        attributes: what the span says of itself, to filter by.
        events: what happened during it.
        storage: where it is stored.
        outer: the span around it, whichever session's it is.
        has_ended: whether its block has.
    """

    def __init__(
        self,
        storage: Storage,
        session_id: str,
        name: str,
        kind: str,
        input: Any,
        parent: Span | None,
        fields: dict[str, Any],
    ) -> None:
        given = {"session_id": session_id, "name": name, "kind": kind, "input": _kept(input), **fields}
        self.storage: Storage = storage
        self.outer: Span | None = None
        self.has_ended: bool = False
        self._parent = parent
        self._has_begun = False
        self._trace = Trace(**given)
        self.id: str = self._trace.id
        self.trace_id: str = self._trace.trace_id
        self.output: Any = self._trace.output
        self.error: str | BaseException = self._trace.error
        self.model: str = self._trace.model
        self.usage: TokenUsage | None = self._trace.usage
        self.cost: Decimal | None = self._trace.cost
        self.attributes: dict[str, Any] = dict(self._trace.attributes)
        self.events: list[Any] = list(self._trace.events)

    def __enter__(self) -> Span:
        self._begin()
        _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        self._end(error)

    async def __aenter__(self) -> Span:
        await hop(self.storage, self._begin)
        _current.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        await unbroken(hop(self.storage, self._end, error))

    def _begin(self) -> None:
        if self._has_begun:
            raise RuntimeError("a span is one block's; make another one for this")
        self._has_begun = True
        self.outer = _innermost()
        trace = self._trace
        parent = self._parent or self.outer
        if parent is not None and parent.storage.backend is self.storage.backend:
            trace.parent_id = trace.parent_id or parent.id
            trace.trace_id = trace.trace_id or parent.trace_id
        stored = self.storage.insert_trace(trace)
        self.id, self.trace_id = stored.id, stored.trace_id

    def _leave(self) -> None:
        self.has_ended = True
        if _current.get() is self:  # which a generator's span need not be, when another has been begun since
            _current.set(self.outer)

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self.error = error
        self.error = codec.error_text(self.error) if self.error else ""
        named: dict[str, Any] = {
            "output": _kept(self.output),
            "model": self.model,
            "usage": self.usage,
            "cost": self.cost,
            "attributes": _kept(self.attributes, filterable=True),
            "events": _kept(self.events),
        }
        if self.error:
            named["error"] = self.error
        try:
            try:
                self.storage.end_trace(self.id, **named)
            except InvalidRecord as refused:  # it is to have its end all the same
                self.storage.end_trace(self.id, error=self.error or f"{refused}")
                raise
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"the span {self.id!r} could not be ended: {failure}")


def _kept(value: Any, *, filterable: bool = False) -> Any:
    return codec.storable(value, filterable=filterable, limit=codec.MAX_RECORD_BYTES // 4).value


def _innermost() -> Span | None:
    """The innermost span around that has not ended."""
    span = _current.get()
    while span is not None and span.has_ended:
        span = span.outer
    return span
