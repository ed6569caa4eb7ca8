"""Records of the size and shape that agents write; the same in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_storage.ids import new_id
from chronos_storage.records import Checkpoint, Event, Message, Session, TokenUsage

_START = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = (
    "reservation flight passenger economy cabin baggage refund upgrade payment certificate cancel confirm the a for "
    "to please your of membership insurance departure arrival delayed airport gift card 150 2024-05-16 HAT201 no"
)


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS.split(), k=words))


def payload(number: int) -> dict[str, Any]:
    """A tool call with its arguments and answer, 500 bytes of JSON or so."""
    dice = random.Random(number)
    return {
        "tool_call": {
            "id": f"call_{dice.getrandbits(96):024x}",
            "type": "function",
            "function": {
                "name": "search_direct_flight",
                "arguments": {"origin": "JFK", "destination": "SEA", "date": "2024-05-16", "passengers": 2},
            },
        },
        "result": {"status": "available", "price": dice.randrange(90, 900) + 0.5, "note": _text(dice, 30)},
        "node": "tools",
        "step": number,
        "duration_ms": round(dice.uniform(5, 900), 3),
        "cached": False,
    }


def events(session_id: str, count: int) -> list[Event]:
    """New events; their ids and times are there, so that either side stores the same."""
    return [
        Event(
            id=new_id(),
            session_id=session_id,
            type="node_executed",
            payload=payload(number),
            created_at=_START + timedelta(microseconds=number * 1_234_567),
        )
        for number in range(count)
    ]


def messages(session_id: str, count: int) -> list[Message]:
    """New messages: a user's, a model's that calls a tool, the tool's answer, and so on."""
    return [_message(session_id, number) for number in range(count)]


def _message(session_id: str, number: int) -> Message:
    dice = random.Random(number)
    message = Message(session_id=session_id, created_at=_START + timedelta(seconds=number, microseconds=number % 997))
    match number % 4:
        case 0:
            message.role, message.content = "user", _text(dice, 20)
        case 1:
            message.role = "assistant"
            message.tool_calls = [payload(number)["tool_call"]]
        case 2:
            message.role, message.name, message.tool_call_id = "tool", "search_direct_flight", f"call_{number}"
            message.content = _text(dice, 80)
        case _:
            message.role, message.content = "assistant", _text(dice, 50)
    if message.role == "assistant":
        message.model = "large-model-2026"
        message.usage = TokenUsage(prompt_tokens=dice.randrange(9000), completion_tokens=dice.randrange(400))
        message.metadata = {"temperature": 0.5, "finish_reason": "stop", "request": f"req_{number}"}
    return message


def checkpoints(session_id: str, count: int) -> Iterator[Checkpoint]:
    """Complete checkpoints, for `load`: runs of twenty, the first of which is "first" and the last one "last"."""
    for number in range(1, count + 1):
        run = (number - 1) // 20
        yield Checkpoint(
            id=f"checkpoint-{number}",
            session_id=session_id,
            run_id="first" if run == 0 else "last" if number > count - 20 else f"run-{run}",
            node_id="tools",
            state={"next": ["agent"], "messages": number, "last": payload(number)},
            seq_num=number,
            metadata={"source": "loop", "step": number},
            created_at=_START + timedelta(seconds=number),
        )


def sessions(count: int) -> Iterator[Session]:
    """Complete sessions, for `load`: four agents share them, and each user has 25."""
    for number in range(count):
        timestamp = _START + timedelta(seconds=number * 7919 % 1_000_003)
        yield Session(
            id=f"session-{number}",
            agent_id=f"agent-{number % 4}",
            user_id=f"user-{number // 25}",
            title=f"Conversation {number}",
            metadata={"channel": "web", "priority": number % 5, "tags": ["airline", "refund"]},
            created_at=timestamp,
            updated_at=timestamp,
            last_activity_at=timestamp + timedelta(seconds=number * 31 % 4999),
        )
