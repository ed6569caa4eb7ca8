"""Who watches a storage's calls is told of each once, by names, counts and durations alone."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chronos_storage import Storage, connect, storages
from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade.observing import READS, WRITES, watched_methods
from chronos_storage.records import Event, Message, Session

SECRET = "a word of the person's"


@pytest.fixture(scope="module")
def exported() -> Iterator[tuple[InMemorySpanExporter, InMemoryMetricReader]]:
    """What the host's SDK got; a process has one of each provider."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    metering = MeterProvider([reader])
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(metering)
    yield spans, reader
    tracing.shutdown()
    metering.shutdown()


def observe(settings: Any, **options: Any) -> None:
    backend = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}, "OBSERVE": options}


def test_a_span_and_a_measurement_for_each_call(settings: Any, exported: Any) -> None:
    spans, reader = exported
    observe(settings, OPENTELEMETRY=True)
    storage = storages["default"]
    storage.save_session(Session(id=SECRET, metadata={"note": SECRET}))
    storage.add_messages([Message(session_id=SECRET, role="user", content=SECRET) for _ in range(3)])
    with pytest.raises(AlreadyExists):
        storage.create_session(Session(id=SECRET))
    tracer = trace.get_tracer("host")

    async def ask() -> None:
        with tracer.start_as_current_span("outer"):
            await storage.alist_messages(SECRET)

    asyncio.run(ask())
    found = {span.name: span for span in spans.get_finished_spans()}
    assert list(found) == [
        *("chronos_storage.save_session", "chronos_storage.add_messages", "chronos_storage.create_session"),
        *("chronos_storage.list_messages", "outer"),
    ]
    assert found["chronos_storage.list_messages"].parent.span_id == found["outer"].context.span_id
    assert found["chronos_storage.add_messages"].attributes == {
        "chronos.method": "add_messages",
        "chronos.backend": "MemoryBackend",
        "chronos.outcome": "ok",
        "chronos.records": 3,
    }
    refused = found["chronos_storage.create_session"]
    assert refused.attributes["error.type"] == "AlreadyExists"
    assert refused.attributes["chronos.outcome"] == "refused"
    assert not refused.status.is_ok
    measured = reader.get_metrics_data()
    assert SECRET not in measured.to_json() + "".join(span.to_json() for span in found.values())
    [scope] = measured.resource_metrics[0].scope_metrics
    named = {metric.name: metric.data.data_points for metric in scope.metrics}
    assert sum(point.count for point in named["chronos_storage.call.duration"]) == 4
    assert sum(point.value for point in named["chronos_storage.call.records"]) == 6


def test_refused_and_slow_writes_are_logged_without_what_they_wrote(settings: Any, caplog: Any) -> None:
    observe(settings, REFUSED_WRITES=True, SLOW_WRITES=1)
    storage = connect("memory://")
    storage.create_session(Session(id=SECRET))
    with pytest.raises(AlreadyExists):
        storage.create_session(Session(id=SECRET, title=SECRET))
    storage.append_events([Event(session_id=SECRET, payload=[SECRET] * 2000) for _ in range(50)])
    storage.list_events(SECRET)
    logged = [record for record in caplog.records if record.name == "chronos_storage.calls"]
    told = {(record.chronos_method, record.chronos_error, record.levelno) for record in logged}
    assert ("create_session", "AlreadyExists", logging.WARNING) in told
    assert ("append_events", "", logging.WARNING) in told
    assert {method for method, _, _ in told} <= {"create_session", "append_events"}
    assert all(SECRET not in str(vars(record)) for record in logged)
    assert all(record.chronos_milliseconds >= 0 and record.chronos_backend == "MemoryBackend" for record in logged)


def test_a_storage_that_nobody_watches_is_as_it_was_made(settings: Any) -> None:
    observe(settings)
    assert type(storages["default"]) is Storage
    observe(settings, OPENTELEMETRY=True)
    watched = storages["default"]
    assert isinstance(watched, Storage)
    assert repr(watched).startswith("<Storage over ")
    assert type(connect("memory://")) is type(watched)


def test_each_method_reads_or_writes() -> None:
    names = [name for name, _ in watched_methods(Storage)]
    assert [name for name in names if name.startswith(READS) == name.startswith(WRITES)] == []
    assert {"add_message", "get_session"} < set(names)
    assert not any(inspect.isgeneratorfunction(inspect.unwrap(method)) for _, method in watched_methods(Storage))
