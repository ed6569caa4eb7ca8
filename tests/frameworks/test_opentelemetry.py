"""Spans, made by OpenTelemetry's SDK and by frameworks' own instrumentation, become traces and lose nothing."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from chronos_storage import Storage, connect, storages
from chronos_storage.integrations.opentelemetry import ChronosSpanExporter
from chronos_storage.records import Session, TokenUsage, Trace, TraceNode

#: A process whose last spans are not written yet when its main thread ends, and who starts threads too late, as Python
#: does not from 3.12 on.
ENDING = """
import threading

start = threading._start_new_thread

def start_unless_ending(*arguments, **further):
    if not threading.main_thread().is_alive():
        raise RuntimeError("can't create new thread at interpreter shutdown")
    return start(*arguments, **further)

threading._start_new_thread = start_unless_ending
import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["chronos_storage"], SECRET_KEY="x", USE_TZ=True)
django.setup()
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from chronos_storage import connect
from chronos_storage.integrations.opentelemetry import ChronosSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter(connect({path!r}))))
provider.get_tracer("tests").start_span("last", attributes={{"session.id": "talk"}}).end()
"""
ODD = {"a": float("nan"), "b": [float("inf"), -0.0], "c": 10**30, "d": b"\xff\x00", "e": "\ud83d \x00", "f": 1e300}


def test_a_model_call_fills_every_field(storage: Storage) -> None:
    finished, tracer = recording(Resource({"service.name": "shop"}))
    other = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
    with tracer.start_as_current_span("chat gpt", kind=SpanKind.CLIENT, links=[Link(other, {"why": "retry"})]) as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.conversation.id": "talk",
                "gen_ai.request.model": "gpt",
                "gen_ai.response.model": "gpt-2026",
                "gen_ai.usage.input_tokens": 30,
                "gen_ai.usage.output_tokens": 4,
                "gen_ai.usage.cache_read.input_tokens": 20,
                "gen_ai.usage.cache_creation.input_tokens": 5,
                "operation.cost": 0.00123,
                "gen_ai.input.messages": '[{"role":"user","parts":[]}]',
                "gen_ai.output.messages": '[{"role":"assistant"}]',
                "user.id": "ada",
            }
        )
        span.add_event("retried", {"after": 2}, timestamp=1_700_000_000_123_456_789)
    assert exported(storage, finished()) is SpanExportResult.SUCCESS
    [stored] = storage.list_traces("talk")
    [made] = finished()
    assert stored == Trace(
        id=f"{made.context.trace_id:032x}-{made.context.span_id:016x}",
        trace_id=f"{made.context.trace_id:032x}",
        session_id="talk",
        name="chat gpt",
        kind="model_call",
        status="unset",
        model="gpt-2026",
        usage=TokenUsage(prompt_tokens=30, completion_tokens=4, cache_read_tokens=20, cache_creation_tokens=5),
        cost=Decimal("0.00123"),
        input=[{"role": "user", "parts": []}],
        output=[{"role": "assistant"}],
        attributes=stored.attributes,
        resource=dict(made.resource.attributes),
        events=[{"name": "retried", "time": "2023-11-14T22:13:20.123456+00:00", "attributes": {"after": 2}}],
        links=[
            {
                "id": f"{7:032x}-{8:016x}",
                "trace_id": f"{7:032x}",
                "span_id": f"{8:016x}",
                "attributes": {"why": "retry"},
            }
        ],
        started_at=moment(made.start_time),
        ended_at=moment(made.end_time),
    )
    assert stored.attributes == {
        **{name: value for name, value in made.attributes.items() if not name.endswith(".messages")},
        "otel.scope.name": "tests",
        "span.kind": "client",
    }


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {
                "openinference.span.kind": "LLM",
                "session.id": "talk",
                "llm.model_name": "claude",
                "llm.token_count.prompt": 10,
                "llm.token_count.completion": 5,
                "llm.token_count.total": 15,
                "llm.token_count.prompt_details.cache_read": 4,
                "llm.token_count.prompt_details.cache_write": 3,
                "llm.cost.total": 2,
                "input.value": '{"a": 1}',
                "input.mime_type": "application/json",
                "output.value": "[text]",
            },
            Trace(
                kind="model_call",
                model="claude",
                usage=TokenUsage(
                    prompt_tokens=10,
                    completion_tokens=5,
                    total_tokens=15,
                    cache_read_tokens=4,
                    cache_creation_tokens=3,
                ),
                cost=Decimal(2),
                input={"a": 1},
                output="[text]",
            ),
        ),
        (
            {
                "traceloop.association.properties.session_id": "talk",
                "llm.request.type": "chat",
                "gen_ai.request.model": "gpt",
                "gen_ai.usage.prompt_tokens": 1,
                "gen_ai.usage.completion_tokens": 2,
                "llm.usage.total_tokens": 3,
                "gen_ai.usage.cache_read_input_tokens": 0,
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Hello",
                "gen_ai.completion.0.content": "Hi",
            },
            Trace(
                kind="model_call",
                model="gpt",
                usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=0),
                input=[{"role": "user", "content": "Hello"}],
                output=[{"content": "Hi"}],
            ),
        ),
        (
            {
                "gen_ai.conversation.id": "talk",
                "session.id": "a browser's",
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.call.arguments": '{"city":"Oslo"}',
                "gen_ai.tool.call.result": "12",
                "gen_ai.usage.input_tokens": "many",
                "operation.cost": float("nan"),
            },
            Trace(kind="tool_call", input={"city": "Oslo"}, output="12"),
        ),
        ({"session.id": "talk", "http.method": "GET"}, Trace(kind="internal")),
    ],
    ids=["openinference", "older", "tool", "other"],
)
def test_the_conventions_say_the_same(attributes: dict[str, Any], expected: Trace, storage: Storage) -> None:
    finished, tracer = recording()
    with tracer.start_as_current_span("step", attributes=attributes):
        pass
    exported(storage, finished())
    [stored] = storage.list_traces("talk")
    for name in ("kind", "model", "usage", "cost", "input", "output"):
        assert getattr(stored, name) == getattr(expected, name), name


def test_an_error_is_told_as_the_status_or_the_exception_has_it(storage: Storage) -> None:
    finished, tracer = recording()
    with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("raises", attributes={"session.id": "talk"}):
        _ = 1 / 0
    with tracer.start_as_current_span("says", attributes={"session.id": "talk"}) as span:
        span.record_exception(KeyError("x"))
        span.set_status(Status(StatusCode.ERROR))
    with tracer.start_as_current_span("fine", attributes={"session.id": "talk"}) as span:
        span.record_exception(KeyError("handled"))
        span.set_status(Status(StatusCode.OK))
    exported(storage, finished())
    told = {each.name: (each.status, each.error) for each in storage.list_traces("talk")}
    assert told == {
        "raises": ("error", "ZeroDivisionError: division by zero"),
        "says": ("error", "KeyError: 'x'"),
        "fine": ("ok", ""),
    }
    assert [each.name for each in storage.list_traces("talk", failed=True)] == ["raises", "says"]


def test_a_span_with_odd_values_is_kept_and_says_what_was_changed(storage: Storage) -> None:
    big = "é" * 5_000_000
    odd = span_of("od\x00d\ud800" + "n" * 300, {**ODD, "session.id": "s" * 300, "gen_ai.input.messages": big})
    plain = span_of("plain", {"session.id": "s" * 300})
    assert exported(storage, [plain, odd]) is SpanExportResult.SUCCESS
    [first, second] = storage.list_traces(trace_id=f"{1:032x}")
    kept = first if first.name != "plain" else second
    assert first.session_id == second.session_id
    assert len(first.session_id) <= 255
    assert kept.name.startswith("od�d�nnn")
    assert set(ODD) < set(kept.attributes)
    assert kept.attributes["a"] == "NaN"
    assert kept.attributes["c"] == str(10**30)
    assert {"attributes.a", "attributes.e", "input"} <= set(kept.attributes["chronos.changes"])
    assert kept.input.startswith("éé")


def test_attributes_whose_names_have_many_parts_are_kept(storage: Storage) -> None:
    span = span_of("deep", {"session.id": "talk", f"input.value.{'a.' * 5_000}b": "leaf"})
    assert exported(storage, [span]) is SpanExportResult.SUCCESS
    assert "leaf" in str(storage.list_traces("talk")[0].input)


def test_what_was_exported_is_not_written_again(storage: Storage) -> None:
    root, child, grandchild = family()
    exported(storage, [grandchild])  # alone it has no session
    assert exported(storage, [root, child, grandchild, child]) is SpanExportResult.SUCCESS
    assert exported(storage, [child, grandchild, root]) is SpanExportResult.SUCCESS
    assert names(storage.trace_tree("talk")) == [("root", [("child", [("grandchild", [])])])]
    assert len(storage.list_traces(trace_id=f"{1:032x}")) == 3


def test_a_span_that_came_before_the_ones_around_it_has_their_session(storage: Storage, tmp_path: Path) -> None:
    root, child, grandchild = family()
    for each in (storage, connect((tmp_path / "kept").as_uri(), migrate=True)):
        each.create_session(Session(id="talk"))
        for span in (grandchild, child, root):  # as they end, each in a batch of its own
            assert exported(each, [span]) is SpanExportResult.SUCCESS
        assert names(each.trace_tree("talk")) == [("root", [("child", [("grandchild", [])])])]
        each.delete_session("talk", hard=True)
        assert each.list_traces(trace_id=f"{1:032x}") == []


def test_a_span_that_came_after_the_one_around_it_has_its_session(storage: Storage) -> None:
    root, child, grandchild = family()
    for span in (root, child, grandchild):
        exported(storage, [span])
    assert names(storage.trace_tree("talk")) == [("root", [("child", [("grandchild", [])])])]


def test_the_session_that_a_stored_span_has_stays(storage: Storage) -> None:
    root = family()[0]
    own = span_of("own", {"session.id": "another"}, root)
    exported(storage, [own])
    exported(storage, [root])
    assert names(storage.trace_tree("another")) == [("own", [])]
    assert names(storage.trace_tree("talk")) == [("root", [])]


def test_spans_of_one_run_nest_whatever_their_order_and_batches(storage: Storage) -> None:
    root, _, grandchild = family()
    exported(storage, [grandchild, span_of("child", {"session.id": "talk"}, root)])  # which has its parent's session
    exported(storage, [root])
    assert names(storage.trace_tree("talk")) == [("root", [("child", [("grandchild", [])])])]


def test_nothing_is_raised_and_what_failed_is_said(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    exporter = ChronosSpanExporter(storage)
    with caplog.at_level(logging.WARNING, "chronos_storage.opentelemetry"):
        assert exporter.export([object()]) is SpanExportResult.FAILURE  # type: ignore[list-item]
        exporter.shutdown()
        assert exporter.export([span_of("late", {})]) is SpanExportResult.FAILURE
    assert exporter.force_flush()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_store_that_fails_is_told_of_and_takes_nothing_along(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = connect("redis://127.0.0.1:9/0")
    with caplog.at_level(logging.ERROR, "chronos_storage.opentelemetry"):
        assert exported(unreachable, [span_of("lost", {})]) is SpanExportResult.FAILURE
    assert "1 spans could not be written" in caplog.text


def test_the_writing_of_spans_makes_none(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}, "OBSERVE": {"OPENTELEMETRY": True}}
    seen = InMemorySpanExporter()
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)  # as a process keeps the first that is set for good
    provider.add_span_processor(SimpleSpanProcessor(seen))
    provider.add_span_processor(SimpleSpanProcessor(ChronosSpanExporter()))
    storages["default"].last_seq("talk")
    assert [span.name for span in seen.get_finished_spans()] == ["chronos_storage.last_seq"]
    exported(storages["default"], seen.get_finished_spans())
    [kept] = storages["default"].list_traces(trace_id=f"{seen.get_finished_spans()[0].context.trace_id:032x}")
    assert kept.attributes["chronos.method"] == "last_seq"


def test_spans_of_pydantic_ai_nest(storage: Storage) -> None:
    from pydantic_ai import Agent, InstrumentationSettings
    from pydantic_ai.capabilities import Instrumentation
    from pydantic_ai.models.test import TestModel

    spans = InMemorySpanExporter()
    told = InstrumentationSettings(tracer_provider=provider_of(spans))
    agent = Agent(TestModel(), capabilities=[Instrumentation(settings=told)], name="weather")

    @agent.tool_plain
    def temperature(city: str) -> int:
        return 12

    async_to_sync(agent.run)("How warm is it?", conversation_id="talk")
    for span in spans.get_finished_spans():  # the innermost come first, each alone
        exported(storage, [span])
    [root] = storage.trace_tree("talk")
    assert names([root]) == [
        ("invoke_agent weather", [("chat test", []), ("execute_tool temperature", []), ("chat test", [])])
    ]
    kinds = [root.trace.kind, *(child.trace.kind for child in root.children)]
    assert kinds == ["agent", "model_call", "tool_call", "model_call"]
    first, tool, _ = (child.trace for child in root.children)
    assert first.model == "test"
    assert first.usage
    assert first.usage.prompt_tokens
    assert first.input == [{"role": "user", "parts": [{"type": "text", "content": "How warm is it?"}]}]
    assert (tool.input, tool.output) == ({"city": "a"}, "12")
    assert root.trace.output == {"temperature": 12}


def test_spans_of_langgraph_nest(storage: Storage) -> None:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    @tool
    def temperature(city: str) -> str:
        """How warm it is."""
        return "12"

    call = {"name": "temperature", "args": {"city": "Oslo"}, "id": "c1"}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "input_token_details": {"cache_read": 4}}
    answers = [AIMessage(content="", tool_calls=[call], usage_metadata=usage), AIMessage(content="12 degrees")]
    model = GenericFakeChatModel(messages=iter(answers))
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([temperature]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    spans = InMemorySpanExporter()
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider_of(spans))
    try:
        graph.compile().invoke({"messages": [("user", "How warm?")]}, {"configurable": {"thread_id": "talk"}})
    finally:
        instrumentor.uninstrument()
    for span in spans.get_finished_spans():
        exported(storage, [span])
    [root] = storage.trace_tree("talk")
    asked = ("model", [("GenericFakeChatModel", []), ("tools_condition", [])])
    assert names([root]) == [("LangGraph", [asked, ("tools", [("temperature", [])]), asked])]
    first, tools, _ = root.children
    model_call, tool_call = first.children[0].trace, tools.children[0].trace
    assert model_call.kind == "model_call"
    assert model_call.usage == TokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15, cache_read_tokens=4)
    assert (tool_call.kind, tool_call.input) == ("tool_call", "Oslo")
    assert tool_call.output["data"]["content"] == "12"


def test_an_event_loop_and_a_processor_s_thread_can_export(storage_committed: Storage) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ChronosSpanExporter(storage_committed)))
    provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter(storage_committed)))
    tracer = provider.get_tracer("tests")

    async def work() -> None:
        with tracer.start_as_current_span("in a loop", attributes={"session.id": "talk"}):
            await asyncio.sleep(0)

    async_to_sync(work)()
    assert [each.name for each in storage_committed.list_traces("talk")] == ["in a loop"]
    provider.shutdown()
    assert [each.name for each in storage_committed.list_traces("talk")] == ["in a loop"]


def test_a_process_that_was_forked_goes_on(tmp_path: Path, other_databases: None) -> None:
    storage = connect(f"sqlite:///{tmp_path / 'traces.db'}", migrate=True)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter(storage)))
    tracer = provider.get_tracer("tests")
    step(tracer, "before")
    provider.force_flush()

    def work() -> None:
        step(tracer, "child")
        provider.shutdown()

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    step(tracer, "after")
    provider.shutdown()
    assert {each.name for each in storage.list_traces("talk")} == {"before", "child", "after"}


def test_the_last_spans_of_a_process_are_written_as_it_ends(tmp_path: Path, other_databases: None) -> None:
    path = f"sqlite:///{tmp_path / 'traces.db'}"
    storage = connect(path, migrate=True)
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", ENDING.format(path=path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [each.name for each in storage.list_traces("talk")] == ["last"]


def recording(resource: Resource | None = None) -> tuple[Callable[[], tuple[ReadableSpan, ...]], trace.Tracer]:
    """What gives the spans that were finished, and what makes them."""
    spans = InMemorySpanExporter()
    return spans.get_finished_spans, provider_of(spans, resource).get_tracer("tests")


def provider_of(spans: InMemorySpanExporter, resource: Resource | None = None) -> TracerProvider:
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def span_of(name: str, attributes: dict[str, Any], parent: ReadableSpan | None = None) -> ReadableSpan:
    """A finished span, which holds what the SDK would not have taken over."""
    ids = SpanContext(1, zlib.crc32(name.encode("utf-8", "replace")) + 1, is_remote=False)
    above = parent.context if parent else None
    return ReadableSpan(name, context=ids, parent=above, attributes=attributes, start_time=10**18, end_time=10**18 + 1)


def family() -> tuple[ReadableSpan, ReadableSpan, ReadableSpan]:
    """A span in a session, one within it that names none, and one within that."""
    root = span_of("root", {"session.id": "talk"})
    child = span_of("child", {}, root)
    return root, child, span_of("grandchild", {}, child)


def step(tracer: trace.Tracer, name: str) -> None:
    tracer.start_span(name, attributes={"session.id": "talk"}).end()


def exported(storage: Storage, spans: Sequence[ReadableSpan]) -> SpanExportResult:
    return ChronosSpanExporter(storage).export(spans)


def names(nodes: list[TraceNode]) -> list[Any]:
    return [(node.trace.name, names(node.children)) for node in nodes]


def moment(nanoseconds: int | None) -> datetime:
    assert nanoseconds
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)
