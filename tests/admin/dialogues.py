"""Sessions as an agent in a shop writes them: messages, spans, events and checkpoints of one step after another."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chronos_storage import Storage
from chronos_storage.records import AuditLog, Checkpoint, Event, Message, Session, TokenUsage, Trace

MODEL = "large-model"
_TOKEN = Decimal("0.000002")


class Dialogue:
    """A session and all that belongs to it, with a clock of its own that goes on with each step.

    Attributes:
        time: when the next step begins.
    """

    def __init__(self, id: str, begun: datetime, **fields: Any) -> None:
        self.id = id
        self.time = begun
        self.session = Session(id=id, created_at=begun, updated_at=begun, last_activity_at=begun, **fields)
        self.messages: list[Message] = []
        self.spans: list[Trace] = []
        self.events: list[Event] = []
        self.checkpoints: list[Checkpoint] = []
        self._run = ""

    def asked(self, text: str) -> None:
        """The user says something, which begins a run."""
        self._message("user", text)
        self._run = ""
        self.opened("graph", "answer")
        self._run = self.spans[-1].id

    def called(self, tool: str, seconds: float = 0.9, **arguments: Any) -> str:
        """The model thinks for so long, and calls a tool; returns the id of the call."""
        id = f"call-{len(self.messages) + 1}"
        self._thought(seconds)
        function = {"name": tool, "arguments": json.dumps(arguments)}
        self._message("assistant", None, tool_calls=[{"id": id, "type": "function", "function": function}])
        return id

    def returned(self, tool: str, call: str, result: Any, seconds: float = 0.4, error: str = "") -> None:
        """The tool gives a result after so long."""
        self._span("tool_call", tool, seconds, output=result, error=error)
        self._message("tool", result if isinstance(result, dict) else str(result), name=tool, tool_call_id=call)
        self._event("act", tool=tool)

    def answered(self, text: str, seconds: float = 1.4, tokens: int = 600) -> None:
        """The model thinks for so long, and answers, which ends the run."""
        self._thought(seconds, tokens)
        self._message("assistant", text, tokens=tokens)
        self._event("answer", length=len(text))
        self._end()
        self._checkpoint(text)

    def failed(self, text: str) -> None:
        """The run ends with an error."""
        self._message("error", text)
        self._end(text)

    def opened(self, kind: str, name: str, **fields: Any) -> None:
        """A span begins, and does not end by itself."""
        self._span(kind, name, 0.0, **fields)
        self.spans[-1].ended_at = None

    def kept(self, storage: Storage, **fields: Any) -> None:
        """Store it, the session with these fields."""
        for name, value in fields.items():
            setattr(self.session, name, value)
        storage.create_session(self.session)
        storage.add_messages(self.messages)
        storage.insert_traces(self.spans)
        storage.append_events(self.events)
        for checkpoint in self.checkpoints:
            storage.save_checkpoint(checkpoint)
        owner = {"session_id": self.id, "agent_id": self.session.agent_id, "user_id": self.session.user_id}
        for number, (action, time) in enumerate((("begin", self.session.created_at), ("end", self.time)), 1):
            storage.append_audit_log(
                AuditLog(
                    id=f"{self.id}-audit-{number}",
                    **owner,
                    actor="shop",
                    action=f"session.{action}",
                    resource=self.id,
                    created_at=time,
                )
            )

    def _end(self, error: str = "") -> None:
        [run] = [span for span in self.spans if span.id == self._run]
        run.ended_at, run.error = self.time, error

    def _thought(self, seconds: float, tokens: int = 600) -> None:
        usage = TokenUsage(prompt_tokens=tokens - tokens // 5, completion_tokens=tokens // 5)
        self._span("model_call", MODEL, seconds, model=MODEL, usage=usage, cost=tokens * _TOKEN)

    def _span(self, kind: str, name: str, seconds: float, **fields: Any) -> None:
        id, started = f"{self.id}-span-{len(self.spans) + 1}", self.time
        self.time += timedelta(seconds=seconds)
        self.spans.append(
            Trace(
                id=id,
                trace_id=self.spans[0].id if self.spans else id,
                session_id=self.id,
                parent_id=self._run,
                kind=kind,
                name=name,
                started_at=started,
                ended_at=self.time,
                **fields,
            )
        )

    def _message(self, role: str, content: Any, tokens: int = 600, **fields: Any) -> None:
        self.time += timedelta(milliseconds=20)
        if role == "assistant":
            usage = TokenUsage(prompt_tokens=tokens - tokens // 5, completion_tokens=tokens // 5)
            fields |= {"model": MODEL, "usage": usage}
        id = f"message-{len(self.messages) + 1}"
        self.messages.append(
            Message(id=id, session_id=self.id, role=role, content=content, created_at=self.time, **fields)
        )

    def _event(self, node: str, **payload: Any) -> None:
        self.events.append(
            Event(
                id=f"{self.id}-event-{len(self.events) + 1}",
                session_id=self.id,
                type="node_executed",
                payload={"node": node, **payload},
                created_at=self.time,
            )
        )

    def _checkpoint(self, answer: str) -> None:
        number = len(self.checkpoints) + 1
        self.checkpoints.append(
            Checkpoint(
                id=f"checkpoint-{number}",
                session_id=self.id,
                run_id=f"run-{number}",
                node_id="answer",
                state={"node": "answer", "messages": len(self.messages), "answer": answer},
                created_at=self.time,
            )
        )
