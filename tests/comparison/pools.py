"""What is given for each argument of a method and each field of a record, by its name.

There are few values of each, so that calls often meet what others wrote; what is nobody's, and what is the least and
the most that may be given, is among them. A name that means something else somewhere has an entry of its own for it:
``<method>.<argument>`` or ``<record>.<field>``.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from hashlib import sha256
from typing import Any

import numpy as np

from chronos_storage import codec
from chronos_storage.records import KINDS, Fence, TokenUsage
from chronos_storage.testing.conformance.samples import NAIVE, at, nested

SESSIONS = ["s", "S", "\u00e9", "e\u0301"]
_SESSIONS = [*["s"] * 12, *["S"] * 8, *["\u00e9"] * 4, *["e\u0301"] * 2]
#: The topics of queues, and the collections of vectors with their metrics, that calls begin with.
TOPICS = ["t", "T", "session:s"]
COLLECTIONS = {"cosines": "cosine", "distances": "l2", "products": "inner_product"}
#: Of all that is not a session.
IDS = ["a", "b", "c", "A", "1e5"]
#: What an index or an order may stumble over.
_RARE = ["", "nowhere", "x" * 255, "\U0010ffff", "\ue000", "a\x01", "%", "a "]
_USERS = ["", "u", "u", "U", "v"]
_AGENTS = ["", "a", "a", "b"]
_ROLES = ["user", "tool", "assistant", "developer"]
_RUNS = ["", "r", "R"]
_TYPES = ["", "tool", "user", "t"]
_WORDS = ["", "w", "W", "w "]
_KINDS = ["", "tool-call", "tool_call", "long_term", "node"]
_FEW = [0, 1, 2, 3, 5]
_NUMBERS = [*_FEW, *_FEW, codec.MAX_INTEGER - 1, codec.MAX_INTEGER]
_COUNTS = [0, 1, 7, codec.MAX_TOKENS]
#: When the comparison's own clock starts.
START = at(1_000)
_WEST = timezone(timedelta(hours=-23, minutes=-59))
_TIMES = [
    *map(at, range(1, 9)),
    at(2.000001),
    at(3).astimezone(_WEST),
    at(1_100),
    datetime(1000, 1, 1, tzinfo=_WEST),
    datetime.max.replace(tzinfo=at(0).tzinfo),
]
_JSON: list[Any] = [
    None,
    "text",
    "",
    1,
    1.0,
    True,
    [],
    {"b": 1, "a": {"y": [1.5, None, -0.0], "x": "\u00e9\U0001f642"}},
    [{"text": "1"}, 1e23, codec.MAX_INTEGER],
    nested(99),
]
_OBJECTS = [value for value in _JSON if isinstance(value, dict)] + [{}, {"n": 1}]
_METADATA: list[Any] = [
    {},
    {"k": 1},
    {"k": 1.0},
    {"k": "1"},
    {"k": True},
    {"k": None, "j": 2},
    {"k": [1, "x"], "a": {"b": 1}},
    {"a.b": {"$x": [1.5]}, "": 0, "k": {"j": [1, {"n": None}]}},
]
_FILTERS: list[Any] = [
    {},
    {"k": 1},
    {"k": "1"},
    {"k": None},
    {"k": True},
    {"k": {"$gt": 0}},
    {"k": {"$lte": "1"}, "j": {"$exists": False}},
    {"k": {"$in": [1, "1", None, 2.5]}},
    {"k": {"$nin": [1]}},
    {"k": {"$ne": 1}},
    {"a.b": {"$exists": True}},
    {"k": {"$contains": 1}},
    {"k.j": {"$contains_any": [1, "x", {"n": None}]}},
    {"k.j": {"$contains_all": [{"n": None}, 1]}},
    {"k": {"$prefix": "1"}},
    {"k": {"$prefix": 1}},
    {"k": [1, "x"]},
    {"$or": [{"k": 1}, {"$not": {"j": 2}}]},
    {"$and": []},
    {"$or": []},
    {"source": {"$eq": 1}},
]

_CURSORS = ["0" * 16, f"{1:016x}", f"{3:016x}", "7" + "f" * 15, "no cursor", ""]
#: Of which no two are in the same direction, or as near to a third: what stores add up in orders of their own is not so
#: exact that it would tell them apart.
_VECTORS: list[Any] = [
    *([1.0, 0.5, 0.25], [0.5, -1.0, 2.0], [-0.25, 0.75, 3.0], [7.0, 0.1, -0.3], [2, 1, 5], [1e-3, 2e-3, -1e-3]),
    *([1.0, 0.5, 0.25], np.array([0.5, -1.0, 2.0], "float32"), np.array([4.0, 1.0, -2.0]), [3.0, 1.5, 0.7]),
    *([0.0, 0.0, 0.0], [1.0, 2.0], [float("nan"), 1.0, 2.0], [1e39, 0.0, 1.0], [True, 1.0, 2.0], "abc", None),
]

POOLS: dict[str, list[Any]] = {
    "action": _WORDS,
    "actor": [*_WORDS, "chronos_storage"],
    "after_message_id": [*IDS, "nowhere"],
    "after_seq": _NUMBERS,
    "agent_id": [*_AGENTS * 8, *_RARE],
    "attributes": _METADATA,
    "author": _WORDS,
    "before_seq": _NUMBERS,
    "cache_creation_tokens": _COUNTS,
    "cache_read_tokens": _COUNTS,
    "changes": _METADATA,
    "checkpoint_id": [*IDS, "nowhere"],
    "completion_tokens": _COUNTS,
    "config": _OBJECTS,
    "container_id": [*IDS * 3, *_RARE],
    "content": [value for value in _JSON if not isinstance(value, int | float)],
    "cost": [0, Decimal(0), Decimal("0.1"), Decimal("1.10"), Decimal(999999), Decimal("0.000000001")],
    "created_at": _TIMES,
    "data": [b"", b"a", b"a", b"b", None],
    "deleted_at": _TIMES,
    "description": _WORDS,
    "detail": _OBJECTS,
    "ended_at": _TIMES,
    "erased": [*[""] * 8, "ab" * 32, "x"],
    "error": ["", "failed", " "],
    "events": [[], [{"name": "e", "at": 1}], [None, {}]],
    "expected_seq": _NUMBERS,
    "expires_at": [*_TIMES, at(1_050)],
    "failed": [True, False],
    "force": [True, False],
    "format": _WORDS,
    "hard": [False, False, True],
    "held": [False, False, True, 1],
    "hash": ["", "0" * 64, "x"],
    "holder": ["a", "b", ""],
    "id": [*IDS * 6, *_RARE],
    "image_id": [*IDS * 3, *_RARE],
    "include_deleted": [True, False],
    "input": _JSON,
    "keep_last": _NUMBERS,
    "key": ["k", "l", "K", "k%", "k_", "kk", ""],
    "kind": _KINDS,
    "last_activity_at": _TIMES,
    "limit": _NUMBERS,
    "links": [[], [{"trace_id": "t", "span_id": "s"}]],
    "mcp_servers": _OBJECTS,
    "metadata": _METADATA,
    "mime_type": _WORDS,
    "model": _WORDS,
    "name": _WORDS,
    "namespace": ["", "", "sub", "Sub", "sub "],
    "node_id": _WORDS,
    "offset": [*_FEW, codec.MAX_INTEGER],
    "order": ["-created_at", "-last_activity_at"],
    "output": _JSON,
    "parent_id": IDS,
    "parent_image_id": IDS,
    "payload": _JSON,
    "prefix": ["", "k", "K", "k%", "k_", "x", "\U0010ffff"],
    "prompt_tokens": _COUNTS,
    "raw": _JSON,
    "legal_hold": [*[False] * 9, True],
    "require_fence": [False, False, False, True],
    "reason": ["old", "w" * 300],
    "resource": _WORDS,
    "role": _ROLES,
    "run_id": _RUNS,
    "schema": _WORDS,
    "schema_version": _FEW,
    "seq_num": _NUMBERS,
    "session_id": [*_SESSIONS, *_RARE],
    "since": _TIMES,
    "sha256": ["", sha256(b"a").hexdigest(), "0" * 64, "x"],
    "size": [0, 1],
    "started_at": _TIMES,
    "state": _OBJECTS,
    "status": ["active", "ended", "", "Active"],
    "system_prompt": _WORDS,
    "through_seq": _NUMBERS,
    "ttl": [1, 3.5, timedelta(minutes=1), timedelta(days=400), 0],
    "title": ["", "t", "T" * 300],
    "tool_call_id": _WORDS,
    "tool_calls": [[], [{"id": "c", "function": {"b": 1, "a": 2}}], [1.0, None]],
    "total_tokens": _COUNTS,
    "trace_id": ["", "t", "T"],
    "type": _TYPES,
    "until": _TIMES,
    "updated_at": _TIMES,
    "usage": [None, TokenUsage(), TokenUsage(total_tokens=7), TokenUsage(prompt_tokens=0, cache_read_tokens=1)],
    "user_id": [*_USERS * 6, *_RARE],
    "value": _JSON,
    "version": [1, 2, 3, 0],
    # Of queues
    "consumer": ["c", "C", "c", ""],
    "cursor": _CURSORS,
    "event": _JSON,
    "older_than": [*map(timedelta, [0, 1, 2]), timedelta(hours=5), timedelta(-1), timedelta.max, None, 5],
    "topic": [*TOPICS * 4, "", "x" * 263, "x" * 264],
    # Of vectors
    "collection": [*COLLECTIONS, *COLLECTIONS, "nowhere"],
    "dimension": [3, 3, 3, 2, 5],
    "fence": [1, 1, 2, 3, Fence(session_id="s", holder="a", token=1), Fence(session_id="S", holder="b", token=2)],
    "filter": _FILTERS,
    "metric": ["cosine", "cosine", "l2", "inner_product", "manhattan", None],
    "query": [*_VECTORS, None],
    "text": ["apple", "pear apple", "Apple!", "", "\u00e9t\u00e9", "x" * 300, "apple " * 5],
    "top_k": [0, 1, 2, 3, 10, codec.MAX_INTEGER],
    "group_by": ["k", "k", "a.b", "nowhere", "", None],
    "include_vectors": [True, False, False, None],
    "vector": _VECTORS,
    # Several
    "ids": [*IDS, "nowhere"],
    "roles": [*_ROLES, ""],
    "run_ids": _RUNS,
    "types": _TYPES,
    # What means something else than elsewhere
    "Embedding.content": ["", "apple", "an apple and a pear", "Pear", "\u00e9t\u00e9 apple"],
    "Embedding.id": [*IDS * 6, *_RARE],
    "create_collection.name": [*COLLECTIONS, "more", "More", ""],
    "drop_collection.name": [*COLLECTIONS, "more", "nowhere"],
    "recover.after": _CURSORS,
    "recover_page.after": _CURSORS,
    "recover_page.limit": [0, 1, 2, 1000],
    "publish.key": [*"kKl", "", "x" * 255, "x" * 256],
    "Session.id": [*_SESSIONS, *_RARE],
    "Trace.resource": _METADATA,
    "Trace.status": ["unset", "ok", "error", ""],
    "acquire.session_id": [*_SESSIONS, *_RARE],
    "delete_session.id": [*_SESSIONS, *_RARE],
    "erase_user.but": [[], TOPICS[:1], TOPICS, ["nowhere"]],
    "end_trace.status": ["unset", "ok", "error", ""],
    "get_session.id": [*_SESSIONS, *_RARE],
    "iter_messages.order": ["asc", "desc"],
    "list.after": [*IDS, None],
    "list_chain.chain": [*_SESSIONS, *(f"session:{id}" for id in _SESSIONS), "agent:", "agent:a", "x" * 264],
    "list_chain.kind": ["event", "audit_log", "message"],
    "list_checkpoints.metadata": _FILTERS,
    "iter_checkpoints.metadata": _FILTERS,
    "delete_checkpoints.metadata": _FILTERS,
    "list_memory.keys": ["k", "k", "K", "x", "k\x00"],
    "list_messages.order": ["asc", "desc"],
    "context.provider": ["openai", "anthropic", "gemini", "nobody"],
    "context.budget": [None, None, 1, 3, 1000, -1],
    "context.count": [None, len, 1],
    "patch_session.id": [*_SESSIONS, *_RARE],
    "patch_session_metadata.id": [*_SESSIONS, *_RARE],
    "restore_session.id": [*_SESSIONS, *_RARE],
    "set_legal_hold.session_id": [*_SESSIONS, *_RARE],
    "scan.kind": [*KINDS, "sessions"],
}

#: How often a field of a record is given; the others in two of five.
GIVEN = {
    "id": 0.9,
    "session_id": 0.95,
    "role": 0.97,
    "key": 0.9,
    "created_at": 0.8,
    "agent_id": 0.7,
    "state": 0.6,
    "seq_num": 0.25,
    "hash": 0.05,
    "deleted_at": 0.03,
    "expected_seq": _NUMBERS,
    "expires_at": 0.2,
    "schema_version": 0.2,
}

#: What no field holds, whatever its type.
UNSTORABLE: list[Any] = [
    *("a\x00", "\ud800", "x" * 1_000_001, b"b", object(), NAIVE, datetime(1, 1, 1, tzinfo=at(0).tzinfo)),
    *(-1, 2**63, float("nan"), {1: 2}, {"a\x00": 1}, {"k": float("inf")}, nested(101), [object()]),
]


def pool_of(owner: str, name: str) -> list[Any]:
    """The values for an argument of a method or a field of a record."""
    values = POOLS.get(f"{owner}.{name}", POOLS.get(name))
    if values is None:
        raise LookupError(f"{owner} has the new argument or field {name!r}: give POOLS some values of it")
    return values
