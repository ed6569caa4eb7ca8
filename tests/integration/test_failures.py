"""What counts as a failure: the same for every database and for records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections

from chronos_storage import Storage
from chronos_storage.failures import failed, has_failed
from chronos_storage.models import Event as EventRow
from chronos_storage.models import Message as MessageRow
from chronos_storage.models import Trace as TraceRow
from chronos_storage.records import Event, Message, Session, Trace

DEEP: Any = json.loads("[" * 60 + "]" * 60)


def result(content: Any = "done", **fields: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **fields}


FAILURES: list[dict[str, Any]] = [
    {"role": "error", "content": "timed out"},
    {"role": "assistant", "kind": "error"},
    *(
        result(text)
        for text in (
            "Error",
            "Error: no such order",
            "error - no such order",
            "ERROR 42",
            "Error\nTraceback",
            "An error occurred while running the tool. Please try again.",
            "Traceback (most recent call last):\n  File",
            "Error: " + "ü" * 5000,
        )
    ),
    result([{"type": "text", "text": "Error: no such order"}]),
    result({"error": "no such order", "code": 422}),
    result({"error": {"code": 422}}),
    result({"error": True}),
    result({"status": "error", "deep": DEEP}),
    result(json.dumps({"error": "no such order"})),
    result('{"error":"no"}'),
    result(json.dumps({"error": {"code": 422}})),
    result(json.dumps({"error": True})),
    result(json.dumps({"status": "error"})),
    result('{"status":"error"}'),
    result({"content": [{"type": "text", "text": "no such order"}], "isError": True}),
    result([{"type": "tool_result", "tool_use_id": "c", "content": "no such order", "is_error": True}]),
    result(metadata={"is_error": True}),
    result(metadata={"isError": True}),
    result(metadata={"status": "error"}),
    result(raw={"type": "tool", "data": {"content": "no such order", "status": "error"}}),
    result("Error: no such order", role="function"),
    result("Error: no such order", role="user", tool_call_id="c"),
    result("Error: no such order", role="assistant", kind="tool-result"),
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": "59.90"},
            {"type": "tool_result", "tool_use_id": "d", "content": "no such order", "is_error": True},
        ],
    },
]
NO_FAILURES: list[dict[str, Any]] = [
    {"role": "user", "content": "Error: my lamp is broken"},
    {"role": "user", "content": [{"type": "text", "text": "Error"}], "metadata": {"is_error": True}},
    {"role": "user", "content": {"said": '"is_error":true', "is_error": True}},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "is_error": False}]},
    {"role": "assistant", "content": "Error: that I can't", "metadata": {"status": "error"}},
    {"role": "system", "content": '{"error": "no"}'},
    result(),
    result(None),
    result(""),
    result([]),
    result({}),
    result("Errors found: 0"),
    result("errorless"),
    result("No Error"),
    result(" Error"),
    result("eRROR: it is"),
    result({"error": None}),
    result({"error": ""}),
    result({"error": False}),
    result(json.dumps({"error": None})),
    result(json.dumps({"error": ""})),
    result('{"error":""}'),
    result({"status": "ok"}),
    result([{"id": 1, "status": "error"}, {"id": 2, "error": "disk full"}]),
    result('He wrote "is_error":true'),
    result({"is_error": False}),
    result(metadata={"is_error": False, "status": "done"}),
    result(metadata={"is_error": "true", "isError": 1}),
    result(metadata={"status": ["error"], "inner": {"is_error": True}}),
    result(raw={"status": "success", "content": '"status":"error"'}),
]


def messages_of(cases: list[dict[str, Any]]) -> list[Message]:
    return [Message(id=f"m{number}", session_id="s", **case) for number, case in enumerate(cases)]


@pytest.mark.parametrize(("cases", "expected"), [(FAILURES, True), (NO_FAILURES, False)])
def test_messages(storage: Storage, cases: list[dict[str, Any]], expected: bool) -> None:
    storage.create_session(Session(id="s"))
    stored = list(storage.add_messages(messages_of(cases)))
    rows = MessageRow.objects.using(storage.alias).annotate(failed=failed(MessageRow))
    told = dict(rows.values_list("message_id", "failed"))
    assert [case for case, message in zip(cases, stored, strict=True) if told[message.id] is not expected] == []
    assert [case for case, message in zip(cases, stored, strict=True) if has_failed(message) is not expected] == []
    assert rows.filter(failed(MessageRow)).count() == (len(cases) if expected else 0)


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("error", True),
        ("tool.failed", True),
        ("RunError", True),
        ("TOOL_FAILED", True),
        ("node_executed", False),
        ("error_fixed", False),
        ("failed tries", False),
        ("rror", False),
        ("", False),
    ],
)
def test_events(storage: Storage, type: str, expected: bool) -> None:
    storage.create_session(Session(id="s"))
    event = storage.append_event(Event(session_id="s", type=type, payload={"error": "no such order"}))
    assert has_failed(event) is expected
    assert EventRow.objects.using(storage.alias).filter(failed(EventRow)).exists() is expected


def test_spans(storage: Storage) -> None:
    spans = [Trace(id="a", error="no such order"), Trace(id="b", status="error"), Trace(id="c", output="Error")]
    stored = storage.insert_traces(spans)
    assert [has_failed(each) for each in stored] == [True, True, False]
    assert set(TraceRow.objects.using(storage.alias).filter(failed(TraceRow)).values_list("pk", flat=True)) == {
        "a",
        "b",
    }


def test_rows_that_were_tampered_with_can_be_asked(storage: Storage) -> None:
    """Against: a list that can't be shown as one row's text is no JSON."""
    connection = connections[storage.alias]
    if connection.vendor == "postgresql":
        pytest.skip("its columns hold no such text")
    storage.create_session(Session(id="s"))
    storage.add_messages(messages_of([result("Error"), result("Error"), result()]))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE chronos_storage_message SET metadata = '{' WHERE message_id <> 'm0'")
        cursor.execute("UPDATE chronos_storage_message SET content = '\"Error' WHERE message_id = 'm1'")
    assert MessageRow.objects.using(storage.alias).filter(failed(MessageRow)).count() == 1
