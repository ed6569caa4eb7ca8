"""The exporter: batches of spans, written and told of as OpenTelemetry's SDK wants it."""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context

from opentelemetry import context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ... import storage as default_storage
from ...async_threads import from_any_thread
from ...batches import batches
from ...exceptions import AlreadyExists, ChronosError, InvalidRecord
from ...facade import Storage
from ...facade.telemetry import SUPPRESSED
from ...records import Trace
from .sessions import give_sessions, give_stored_sessions
from .spans import trace_of

_logger = logging.getLogger("chronos_storage.opentelemetry")


class ChronosSpanExporter(SpanExporter):
    """Writes finished spans as traces: each once, however often and in whatever order they come.

    Nothing is raised: what could not be written is logged, under ``chronos_storage.opentelemetry``. It keeps nothing
    between two batches, so a process that was forked goes on with it.

    Args:
        storage: where to; the settings' default one unless given.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = default_storage if storage is None else storage
        self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans; ``FAILURE`` where some of them are not stored afterwards."""
        if self._is_shut_down:
            _logger.warning("%d spans came after the exporter was shut down", len(spans))
            return SpanExportResult.FAILURE
        # What instruments databases, and a storage that is observed, is not to make spans of the writing of spans.
        token = context.attach(context.set_value(SUPPRESSED, True))
        try:
            lost = _outside_event_loops(lambda: self._write(spans))
        except Exception:
            _logger.exception("%d spans could not be written", len(spans))
            return SpanExportResult.FAILURE
        finally:
            context.detach(token)
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Take no more spans."""
        self._is_shut_down = True

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True, as nothing is held back."""
        return True

    def _write(self, spans: Sequence[ReadableSpan]) -> int:
        """How many of the spans could not be written."""
        traces: dict[str, Trace] = {}
        unread = 0
        for span in spans:
            try:
                trace = trace_of(span)
            except Exception:
                unread += 1
                _logger.exception("a span could not be read")
            else:
                traces[trace.id] = trace
        give_sessions(traces)
        from_any_thread(self._storage, give_stored_sessions, self._storage, traces)
        return unread + sum(
            from_any_thread(self._storage, self._write_batch, batch) for batch in batches(traces.values())
        )

    def _write_batch(self, batch: list[Trace]) -> int:
        try:
            self._storage.insert_traces(batch)
        except (AlreadyExists, InvalidRecord):
            return sum(not self._written(trace) for trace in batch)
        except ChronosError:
            _logger.exception("%d spans could not be written", len(batch))
            return len(batch)
        return 0

    def _written(self, trace: Trace) -> bool:
        try:
            # One that is there was exported before, perhaps beside others, from which it had its session.
            with suppress(AlreadyExists):
                self._storage.insert_trace(trace)
        except ChronosError:
            _logger.exception("the span %s could not be written", trace.id)
            return False
        return True


def _outside_event_loops(call: Callable[[], int]) -> int:
    """What a call returns; in a thread of its own where this one has an event loop, in which Django makes no calls."""
    try:
        get_running_loop()
    except RuntimeError:
        return call()
    with ThreadPoolExecutor(1, "chronos-spans") as thread:
        return thread.submit(copy_context().run, call).result()
