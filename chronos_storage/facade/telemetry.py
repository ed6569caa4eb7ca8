"""OpenTelemetry: a span and a measurement for each call of a storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from ..extras import require

if TYPE_CHECKING:
    from .observing import Call

_NAME = "chronos_storage"
#: The key in OpenTelemetry's context under which exporters forbid that their own work makes spans. Instrumentations of
#: databases and HTTP all go by it; the API has no public name for it.
SUPPRESSED = "suppress_instrumentation"


class Telemetry:
    """Tells the host's providers of calls; without the SDK these do nothing.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed.
    """

    def __init__(self) -> None:
        require('CHRONOS_STORAGE["OBSERVE"]["OPENTELEMETRY"]', "opentelemetry")
        from opentelemetry import context, metrics, trace

        self._suppressed = partial(context.get_value, SUPPRESSED)
        self._kind, self._status = trace.SpanKind.CLIENT, trace.StatusCode.ERROR
        self._tracer = trace.get_tracer(_NAME)
        meter = metrics.get_meter(_NAME)
        self._durations = meter.create_histogram(
            "chronos_storage.call.duration", unit="s", description="How long a storage's calls take."
        )
        self._records = meter.create_counter(
            "chronos_storage.call.records", unit="{record}", description="Records that calls gave back in lists."
        )

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """A span around the call; of an error it has the class alone, as a message may name what was written.

        None where spans are exported: those of an exporter that writes to a storage would never end.
        """
        if self._suppressed():
            yield
            return
        attributes = {"chronos.method": call.method, "chronos.backend": call.backend}
        if call.alias:
            attributes["chronos.alias"] = call.alias
        with self._tracer.start_as_current_span(
            f"chronos_storage.{call.method}",
            kind=self._kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                ended = {**attributes, "chronos.outcome": call.outcome}
                if call.error is not None:
                    ended["error.type"] = call.error_type
                    span.set_status(self._status)
                span.set_attributes(ended)
                self._durations.record(call.seconds, ended)
                if call.records is not None:
                    span.set_attribute("chronos.records", call.records)
                    self._records.add(call.records, attributes)
