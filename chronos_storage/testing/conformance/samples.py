"""Sample records, and strings and JSON that a careless store does not give back as they were."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ...records import KINDS, STORE_FIELDS, Session, TokenUsage

#: Strings that a careless store takes for one another, or for something else than a string.
ODD_STRINGS = [
    *("x", "X", "x ", " x", "xx", "\u00e9", "e\u0301", "e", "E", "\u00df", "ss", "i", "I", "\u0131", "\u0130"),
    *("1", "01", "1.0", "1e5", "100000", "100000.0", "-1", "0x10", "true", "True", "null", "None", "NaN"),
    *("a:b", "a/b?", "a/b", "a", "b", "$x", "$", "#", "?", "*", "%", "_", "a%b", "a_b", "\\", "\\\\", "a\\b", "."),
    *("..", "../x", "'", '"', "`", "''", "x'--", "{}", "{x}", "%s", "%(x)s", "[x]", "\t", "\n", " ", "\x01", "\x7f"),
    *("\u200b", "\ufeff", "\uffff", "\U0001f642", "\U0001f643", "\U0010ffff", "a|b", "a\x1fb", "a,b", "a;b", "a\nb"),
    *("l" * 255, "\U0001f642" * 255),
]
#: Of those that one database or another takes for equal, or for more than themselves, one each: letters in both cases,
#: with and without accents, dotted, made of two; spaces at the end; numbers; wildcards; what does not show.
MISTAKEN = ["x", "\u00e9", "e", "\u00df", "i", "1", "100000", "true", "a/b", "a_b", "a\\b", "\t", "\u200b"]
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
    record: Any = KINDS[kind]
    id = f"{kind} of {session_id}" if kind in ("memory", "audit_log", "trace", "artifact") else kind
    said = {"id": session_id if kind == "session" else id, "session_id": session_id} | _SAID.get(kind, {})
    return record(
        **{
            field.name: said[field.name] if field.name in said else _sample(field, at((number + 1) * 1.000001))
            for number, field in enumerate(dataclasses.fields(record))
            if field.name not in _NOT_GIVEN
        }
    )


#: What a caller has no say in.
_NOT_GIVEN = {*STORE_FIELDS, "updated_at", "deleted_at", "legal_hold", "size", "sha256"}
#: What is said of records by more than a field's name.
_SAID: dict[str, dict[str, Any]] = {
    "message": {
        "role": "assistant",
        "kind": "tool-call",
        "content": [{"type": "text", "text": "Hello"}],
        "tool_calls": [{"id": "call", "function": {"name": "f", "arguments": "{}"}}],
    },
    # One that requires a fence takes nothing from most tests.
    "session": {"status": "running", "require_fence": False},
    "memory": {"kind": "long_term", "expires_at": datetime(9999, 1, 1, microsecond=1, tzinfo=UTC)},
    "trace": {"kind": "tool_call", "status": "ok", "output": ["o", {"n": 2}]},
    "event": {"type": "node_executed"},
}


def _sample(field: dataclasses.Field[Any], timestamp: datetime) -> Any:
    """A value for a field of this type, by which it can be told from others."""
    match str(field.type).removesuffix(" | None"):
        case "str":
            return field.name.removesuffix("_id").replace("_", " ")
        case "int":
            return 2
        case "datetime":
            return timestamp
        case "Decimal":
            return Decimal("123456.123456789")
        case "TokenUsage":
            return usage()
        case "list[Any]":
            return [1, {field.name: [1, {"n": 2}]}]
        case _:
            return {field.name: [1, {"n": 2}]}


def bare(kind: str, session_id: str = "s", /, **fields: Any) -> Any:
    """A record of that kind with only what it must have; its session has to be there."""
    required: dict[str, dict[str, Any]] = {
        "message": {"session_id": session_id, "role": "user"},
        "memory": {"agent_id": "agent", "key": "key"},
        "audit_log": {"session_id": session_id},
        "trace": {"session_id": session_id},
        "event": {"session_id": session_id},
        "checkpoint": {"session_id": session_id},
        "artifact": {"name": "name"},
    }
    return KINDS[kind](**required.get(kind, {}) | fields)
