"""What an operator finds at three in the morning: many sessions, one of which went wrong."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chronos_storage import Storage
from chronos_storage.records import (
    Artifact,
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
    now,
)

BAD = "session-with-a-fault"
USER = "ada@example.org"
START = datetime(2026, 3, 14, 3, 0, tzinfo=UTC)
ORDER = {"order_id": "W-2217", "items": [{"sku": "lamp", "amount": 1}], "total": 59.9}


def at(seconds: float) -> datetime:
    """So long after the beginning of the bad session."""
    return START + timedelta(seconds=seconds)


def a_night(storage: Storage, others: int = 40) -> None:
    """Store it all."""
    _others(storage, others)
    session = Session(
        id=BAD,
        agent_id="support",
        user_id=USER,
        author="web",
        title="Refund for order W-2217",
        status="failed",
        image_id="support-2",
        container_id="shop",
        created_at=START,
    )
    storage.create_session(session)
    _messages(storage)
    _spans(storage)
    _checkpoints(storage)
    _artifacts(storage)
    storage.append_events(
        [
            Event(
                id=f"event-{number}",
                session_id=BAD,
                type="node_executed",
                payload={"node": ("plan", "act", "answer")[number % 3], "step": number},
                created_at=at(1.2 * number),
            )
            for number in range(1, 9)
        ]
    )
    _rest(storage)


def _others(storage: Storage, count: int) -> None:
    today = now().replace(hour=1, minute=0, second=0, microsecond=0)
    agents = ("support", "billing", "search")
    for number in range(count):
        timestamp = today - timedelta(days=number % 12, minutes=number)
        id = f"session-{number:03}"
        mine: dict[str, Any] = {"session_id": id, "created_at": timestamp}
        storage.create_session(
            Session(
                id=id,
                agent_id=agents[number % 3],
                user_id=f"user-{number % 7}@example.org",
                title=f"Conversation {number}",
                status=("completed", "completed", "active", "failed")[number % 4],
                created_at=timestamp,
            )
        )
        usage = TokenUsage(prompt_tokens=900 + 40 * number, completion_tokens=120 + number)
        said = [
            Message(**mine, role="user", content="Hello"),
            Message(**mine, role="assistant", content="Good evening.", usage=usage),
        ]
        storage.add_messages(said + [Message(**mine, role="error", content="timed out")] * (number % 4 == 3))
        storage.append_events([Event(**mine, type="chat_message", payload={"turn": turn}) for turn in range(3)])
        storage.append_audit_log(
            AuditLog(**mine, agent_id=agents[number % 3], actor="scheduler", action="session.start", resource=id)
        )


def _messages(storage: Storage) -> None:
    def call(id: str, name: str, **arguments: Any) -> dict[str, Any]:
        return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}

    def used(prompt: int, completion: int) -> dict[str, Any]:
        return {"model": "large-model", "usage": TokenUsage(prompt_tokens=prompt, completion_tokens=completion)}

    said: list[dict[str, Any]] = [
        {"role": "system", "content": "You are the shop's assistant. Refund at most 50 without asking."},
        {"role": "user", "content": "My lamp from order W-2217 came broken. I want my money back."},
        {"role": "assistant", "tool_calls": [call("call-1", "find_order", order_id="W-2217")], **used(812, 31)},
        {"role": "tool", "name": "find_order", "tool_call_id": "call-1", "content": json.dumps(ORDER)},
        {
            "role": "assistant",
            "tool_calls": [call("call-2", "refund", order_id="W-2217", amount=5990)],
            **used(1034, 44),
        },
        {
            "role": "tool",
            "name": "refund",
            "tool_call_id": "call-2",
            "content": {"error": "amount 5990 is above the order's total of 59.90", "code": 422},
        },
        {"role": "error", "content": "The tool refund failed: amount 5990 is above the order's total of 59.90"},
        {
            "role": "assistant",
            "content": "I am sorry, something went wrong with your refund.",
            "raw": {"type": "message", "content": [{"type": "output_text", "text": "I am sorry, something went …"}]},
            "format": "openai.responses",
            **used(1220, 58),
        },
    ]
    storage.add_messages(
        [
            Message(id=f"message-{number}", session_id=BAD, created_at=at(1.1 * number), **each)
            for number, each in enumerate(said, 1)
        ]
    )


#: What a call of a model says.
CALLED: dict[str, Any] = {
    "model": "large-model",
    "usage": TokenUsage(prompt_tokens=1034, completion_tokens=44),
    "cost": Decimal("0.0021"),
    "resource": {"service.name": "shop", "service.version": "4.2"},
    "events": [{"name": "first token", "after": 0.41}],
    "links": [{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "reason": "retry of"}],
}


def _spans(storage: Storage) -> None:
    problem = "ValueError: amount 5990 is above the order's total of 59.90"
    spans = [
        ("run", "", "graph", "answer the user", 0.0, 9.6, ""),
        ("plan", "run", "node", "plan", 0.1, 2.2, ""),
        ("plan-model", "plan", "model_call", "large-model", 0.2, 2.1, ""),
        ("act", "run", "node", "act", 2.3, 7.4, ""),
        ("find", "act", "tool_call", "find_order", 2.4, 3.3, ""),
        ("refund", "act", "tool_call", "refund", 4.1, 7.2, problem),
        ("answer", "run", "node", "answer", 7.6, 9.5, ""),
        ("answer-model", "answer", "model_call", "large-model", 7.7, None, ""),
    ]
    for id, parent, kind, name, started, ended, error in spans:
        storage.insert_trace(
            Trace(
                id=f"{BAD}-{id}",
                session_id=BAD,
                parent_id=f"{BAD}-{parent}" if parent else "",
                kind=kind,
                name=name,
                error=error,
                **(CALLED if kind == "model_call" else {}),
                input={"order_id": "W-2217"} if kind == "tool_call" else None,
                started_at=at(started),
                ended_at=None if ended is None else at(ended),
            )
        )


def _artifacts(storage: Storage) -> None:
    width, height = 240, 80
    rows = b"".join(b"\0" + bytes(b for x in range(width) for b in (x, 3 * y, 255 - x)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    image = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    receipt = Artifact(id="receipt", session_id=BAD, name="receipt.png", mime_type="image/png", created_at=at(7))
    storage.put_artifact(receipt, image)
    log = Artifact(id="log", session_id=BAD, name="refund.log", mime_type="text/plain", created_at=at(8))
    storage.put_artifact(log, b"amount 5990 is above the total\n" * 200)


def _checkpoints(storage: Storage) -> None:
    states: list[dict[str, Any]] = [
        {"node": "plan", "order": None, "refund": None, "messages": 2},
        {"node": "act", "order": ORDER, "refund": None, "messages": 4},
        {"node": "act", "order": ORDER, "refund": {"amount": 5990, "currency": "EUR"}, "messages": 5},
        {"node": "failed", "order": ORDER, "refund": {"amount": 5990, "currency": "EUR"}, "messages": 7, "error": 422},
    ]
    for number, state in enumerate(states, 1):
        storage.save_checkpoint(
            Checkpoint(
                id=f"checkpoint-{number}",
                session_id=BAD,
                run_id="run-1",
                node_id=str(state["node"]),
                state=state,
                created_at=at(2.2 * number),
            )
        )


def _rest(storage: Storage) -> None:
    mine = {"session_id": BAD, "agent_id": "support", "user_id": USER}
    done = (
        ("support", "tool.call", "tool:find_order"),
        ("support", "tool.call", "tool:refund"),
        ("guard", "policy.violation", "policy:refund-limit"),
        ("=cmd|' /C calc'!A0", "session.fail", BAD),
    )
    for number, (actor, action, resource) in enumerate(done):
        what = {"actor": actor, "action": action, "resource": resource, "detail": {"n": number}}
        storage.append_audit_log(AuditLog(**mine, **what, created_at=at(2 * number + 1)))
    storage.save_container(Container(id="shop", config={"memory": "512m"}))
    parents = {"support-0": "", "support-1": "support-0", "support-2": "support-1", "trial": "support-1"}
    for id, parent in parents.items():
        storage.save_image(Image(id=id, name=id, container_id="shop", parent_image_id=parent, system_prompt="Be kind."))
    about = {"agent_id": "support", "user_id": USER}
    storage.put_memory(MemoryRecord(**about, kind="long_term", key="language", value="English"))
    storage.put_memory(MemoryRecord(**about, kind="short_term", key="cart", value=ORDER, expires_at=at(60)))
