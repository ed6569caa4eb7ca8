"""Sample records, and strings and JSON that a careless store does not give back as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ...records import (
    KINDS,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    TokenUsage,
    Trace,
)

#: Strings that a careless store takes for one another, or for something else than a string.
ODD_STRINGS = [
    *("x", "X", "x ", " x", "xx", "\u00e9", "e\u0301", "e", "E", "\u00df", "ss", "i", "I", "\u0131", "\u0130"),
    *("1", "01", "1.0", "1e5", "100000", "100000.0", "-1", "0x10", "true", "True", "null", "None", "NaN"),
    *("a:b", "a/b?", "a/b", "a", "b", "$x", "$", "#", "?", "*", "%", "_", "a%b", "a_b", "\\", "\\\\", "a\\b", "."),
    *("..", "../x", "'", '"', "`", "''", "x'--", "{}", "{x}", "%s", "%(x)s", "[x]", "\t", "\n", " ", "\x01", "\x7f"),
    *("\u200b", "\ufeff", "\uffff", "\U0001f642", "\U0001f643", "\U0010ffff", "a|b", "a\x1fb", "a,b", "a;b", "a\nb"),
    *("l" * 255, "\U0001f642" * 255),
]
#: JSON that comes back equal from every field, whether it is filtered by or not.
ODD_JSON: dict[str, Any] = {
    "z": 1,
    "a": 2,
    "10": 3,
    "9": 4,
    "": 5,
    "numbers": [0, -1, 2**63 - 1, -(2**63), 2**53 + 1, 1, 1.0, 100.0, 0.1, 1e-7, 5e-324, 0.30000000000000004, 1.5],
    "words": ["", "null", "1", "1e5", "2026-01-01T00:00:00Z", "\\u0000", "\\", "\u2028", "\x01\x7f\t\n", *ODD_STRINGS],
    "others": [None, True, False, [], {}, [[]], [{}], {"": None}],
    "keys": {"\u00e9": 1, "e\u0301": 2, "$ref": 3, "a.b": 4, "a": {"b": 5}, "A": 6, "a ": 7, '"': 8, "[0]": 9, "%": 10},
}
#: Numbers that come back as they were from content, and are refused where they would be filtered by.
UNFILTERABLE = [1e16, 1e23, 1.5e300, 1.7976931348623157e308, -1e16, -0.0]


_START = datetime(2026, 1, 1, tzinfo=UTC)
#: A time that is no moment.
NAIVE = _START.replace(tzinfo=None)


def at(seconds: float) -> datetime:
    """A moment so many seconds after the beginning of the tests' time."""
    return _START + timedelta(seconds=seconds)


def nested(depth: int) -> dict[str, Any]:
    """An object of objects, so many deep."""
    value: dict[str, Any] = {"leaf": 0}
    for _ in range(depth - 1):
        value = {"in": value}
    return value


def complete_session(id: str = "s", **fields: Any) -> Session:
    """A session with all that a store fills in, as `load` takes it."""
    return Session(**{"id": id, "created_at": at(0), "updated_at": at(0), "last_activity_at": at(0)} | fields)


def usage() -> TokenUsage:
    """Tokens of each sort, all of them reported."""
    return TokenUsage(
        prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=0, cache_creation_tokens=4
    )


def full(kind: str, session_id: str = "s") -> Any:
    """A record of that kind with every field given that a caller may give; its session has to be there."""
    return {
        "session": Session(
            id=session_id,
            agent_id="agent",
            user_id="user",
            author="author",
            title="A title",
            status="running",
            metadata={"m": [1, {"n": 2}]},
            container_id="container",
            image_id="image",
            created_at=at(1.000001),
            last_activity_at=at(2.000002),
        ),
        "message": Message(
            id="message",
            session_id=session_id,
            role="assistant",
            kind="tool-call",
            content=[{"type": "text", "text": "Hello"}],
            model="model",
            name="name",
            tool_calls=[{"id": "call", "function": {"name": "f", "arguments": "{}"}}],
            tool_call_id="call",
            parent_id="parent",
            usage=usage(),
            metadata={"m": [1, {"n": 2}]},
            raw={"r": [1, {"n": 2}]},
            format="format",
            created_at=at(3.000003),
        ),
        "memory": MemoryRecord(
            id=f"memory of {session_id}",
            agent_id="agent",
            user_id="user",
            session_id=session_id,
            kind="long_term",
            key="key",
            value={"v": [1, {"n": 2}]},
            schema="schema",
            schema_version=2,
            created_at=at(4.000004),
            expires_at=datetime(9999, 1, 1, microsecond=1, tzinfo=UTC),
        ),
        "audit_log": AuditLog(
            id=f"audit log of {session_id}",
            session_id=session_id,
            agent_id="agent",
            user_id="user",
            actor="actor",
            action="action",
            resource="resource",
            detail={"d": [1, {"n": 2}]},
            created_at=at(5.000005),
        ),
        "trace": Trace(
            id=f"trace of {session_id}",
            trace_id="trace",
            session_id=session_id,
            parent_id="parent",
            name="name",
            kind="tool_call",
            input={"i": [1, {"n": 2}]},
            output=["o", {"n": 2}],
            error="error",
            status="ok",
            model="model",
            usage=usage(),
            cost=Decimal("123456.123456789"),
            attributes={"a": [1, {"n": 2}]},
            resource={"r": [1, {"n": 2}]},
            events=[1, {"e": [1, {"n": 2}]}],
            links=[{"l": [1, {"n": 2}]}],
            started_at=at(6.000006),
            ended_at=at(7.000007),
        ),
        "event": Event(
            id="event",
            session_id=session_id,
            type="node_executed",
            payload={"p": [1, {"n": 2}]},
            schema="schema",
            schema_version=2,
            created_at=at(8.000008),
        ),
        "checkpoint": Checkpoint(
            id="checkpoint",
            session_id=session_id,
            namespace="namespace",
            run_id="run",
            node_id="node",
            state={"s": [1, {"n": 2}]},
            parent_id="parent",
            metadata={"m": [1, {"n": 2}]},
            schema="schema",
            schema_version=2,
            created_at=at(9.000009),
        ),
        "container": Container(id="container", config={"c": [1, {"n": 2}]}, created_at=at(10.00001)),
        "image": Image(
            id="image",
            container_id="container",
            session_id=session_id,
            name="name",
            description="A description",
            system_prompt="A prompt",
            parent_image_id="parent",
            mcp_servers={"s": [1, {"n": 2}]},
            metadata={"m": [1, {"n": 2}]},
            created_at=at(11.000011),
        ),
    }[kind]


def bare(kind: str, session_id: str = "s", /, **fields: Any) -> Any:
    """A record of that kind with only what it must have; its session has to be there."""
    required: dict[str, dict[str, Any]] = {
        "message": {"session_id": session_id, "role": "user"},
        "memory": {"agent_id": "agent", "key": "key"},
        "audit_log": {"session_id": session_id},
        "trace": {"session_id": session_id},
        "event": {"session_id": session_id},
        "checkpoint": {"session_id": session_id},
    }
    return KINDS[kind](**required.get(kind, {}) | fields)
