"""The harness's steps: a session a run, whose events are its ledger, whose snapshots its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import get_args

from pydantic import TypeAdapter
from pydantic_ai_harness.step_persistence import (
    ContinuableSnapshot,
    EventKind,
    RunRecord,
    StepEvent,
    ToolEffectRecord,
)

from ... import codec
from ... import storage as default_storage
from ...async_variants import hop
from ...exceptions import AlreadyExists, NotFound
from ...facade import Storage
from ...ids import composite_id
from ...records import Checkpoint, Event, MemoryRecord, Session
from .messages import messages_of, of_text, raw_of, text_of
from .whole import in_one

_AGENT = "pydantic_ai"
_RUN = "pydantic_ai_run"
_EFFECT, _SNAPSHOTS = "tool_effect", "snapshots"
_KINDS = get_args(EventKind)
_STATUSES = {"run_started": "running", "run_completed": "completed", "run_failed": "failed"}

_run: TypeAdapter[RunRecord] = TypeAdapter(RunRecord)
_event: TypeAdapter[StepEvent] = TypeAdapter(StepEvent)
_effect: TypeAdapter[ToolEffectRecord] = TypeAdapter(ToolEffectRecord)


class ChronosStepStore:
    """A `StepStore` over a storage, on any backend.

    A run is a session ``run~<run id>``: its agent's name is the session's agent, its conversation the container, its
    parent run the image, so that both find it by an index; its status is what the last event of the run says. Steps are
    events of the session's ledger, snapshots its checkpoints, of which each costs what is new in it, and what became of
    tool calls are memories, one a call.

    Args:
        storage: where to; the settings' default one unless given.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = default_storage if storage is None else storage

    async def register_run(self, record: RunRecord) -> None:
        await self._storage.asave_session(
            Session(
                id=_session(record.run_id),
                agent_id=codec.scrub(record.agent_name or "")[: codec.MAX_INDEXED],
                container_id=_reference(record.conversation_id),
                image_id=_reference(record.parent_run_id),
                status="running",
                metadata={_RUN: text_of(_run, record)},
                created_at=record.started_at,
            )
        )

    async def get_run(self, *, run_id: str) -> RunRecord | None:
        session = await self._storage.aget_session(_session(run_id))
        return None if session is None else _registered(session)

    async def list_runs(
        self, *, parent_run_id: str | None = None, conversation_id: str | None = None
    ) -> list[RunRecord]:
        """The runs that match, in the order they started."""
        sessions = await self._storage.alist_sessions(
            container_id=None if conversation_id is None else _reference(conversation_id),
            image_id=None if parent_run_id is None else _reference(parent_run_id),
            limit=None,
        )
        runs = [run for session in sessions if (run := _registered(session)) is not None]
        runs.reverse()
        return sorted(runs, key=lambda run: run.started_at)

    async def append_event(self, event: StepEvent) -> None:
        await hop(self._storage, self._append, event)

    async def list_events(self, *, run_id: str) -> list[StepEvent]:
        events = await self._storage.alist_events(_session(run_id), types=_KINDS)
        return [_event.validate_python(event.payload) for event in events]

    async def save_snapshot(self, snapshot: ContinuableSnapshot) -> None:
        """Keep a snapshot, but one of a key that was saved, or before others of later keys: those are repeated."""
        await in_one(self._storage, partial(self._save, snapshot))

    async def latest_snapshot(self, *, run_id: str, include_interrupted: bool = False) -> ContinuableSnapshot | None:
        found = await self._snapshots(run_id, include_interrupted, limit=1)
        return found[0] if found else None

    async def list_snapshots(self, *, run_id: str, include_interrupted: bool = False) -> list[ContinuableSnapshot]:
        """The snapshots in the order they were saved."""
        found = await self._snapshots(run_id, include_interrupted, limit=None)
        return found[::-1]

    async def record_tool_effect(self, record: ToolEffectRecord) -> None:
        value = codec.storable(_effect.dump_python(record, mode="json")).value
        await self._storage.aput_memory(
            MemoryRecord(
                agent_id=_AGENT,
                session_id=_session(record.run_id),
                kind=_EFFECT,
                key=_reference(record.tool_call_id),
                value=value,
            )
        )

    async def get_tool_effect(self, *, run_id: str, tool_call_id: str) -> ToolEffectRecord | None:
        found = await self._storage.aget_memory(
            _AGENT, _reference(tool_call_id), kind=_EFFECT, session_id=_session(run_id)
        )
        return None if found is None else _effect.validate_python(found.value)

    async def list_unresolved_tool_effects(self, *, run_id: str) -> list[ToolEffectRecord]:
        """The calls of which nothing says that they ended, in the order they were first recorded."""
        found = await self._storage.alist_memory(_AGENT, _EFFECT, session_id=_session(run_id))
        found.sort(key=lambda memory: (memory.created_at, memory.id))
        effects = [_effect.validate_python(memory.value) for memory in found]
        return [effect for effect in effects if effect.status == "started"]

    def _append(self, event: StepEvent) -> None:
        session_id = _session(event.run_id)
        payload = codec.storable(_event.dump_python(event, mode="json")).value
        record = Event(id=_reference(event.idempotency_key), session_id=session_id, type=event.kind, payload=payload)
        try:
            self._storage.append_event(record)
        except NotFound:  # an event that nobody registered a run for
            self._storage.ensure_session(Session(id=session_id, status="running"))
            self._storage.append_event(record)
        except AlreadyExists:
            return  # its key was there
        if (status := _STATUSES.get(event.kind)) and event.kind != "run_started":
            self._storage.patch_session(session_id, status=status)

    def _save(self, snapshot: ContinuableSnapshot) -> None:
        session_id = _session(snapshot.run_id)
        key, sequence = snapshot.idempotency_key, _sequence(snapshot.idempotency_key)
        if sequence is not None and sequence < self._highest(session_id):
            return
        checkpoint = Checkpoint(
            id=_reference(key),
            session_id=session_id,
            namespace=_SNAPSHOTS,
            node_id=str(snapshot.step_index),
            state={"messages": raw_of(snapshot.messages)},
            metadata={
                "state": snapshot.state,
                "step_index": snapshot.step_index,
                "conversation_id": _scrubbed(snapshot.conversation_id),
                "parent_run_id": _scrubbed(snapshot.parent_run_id),
                "agent_name": _scrubbed(snapshot.agent_name),
                "timestamp": snapshot.timestamp.isoformat(),
                "idempotency_key": _scrubbed(key),
            },
        )
        try:
            self._storage.save_checkpoint(checkpoint)
        except NotFound:
            self._storage.ensure_session(Session(id=session_id, status="running"))
            self._storage.save_checkpoint(checkpoint)
        except AlreadyExists:
            return
        if sequence is not None:
            self._storage.put_memory(
                MemoryRecord(agent_id=_AGENT, session_id=session_id, kind=_SNAPSHOTS, key="sequence", value=sequence)
            )

    def _highest(self, session_id: str) -> int:
        found = self._storage.get_memory(_AGENT, "sequence", kind=_SNAPSHOTS, session_id=session_id)
        return -1 if found is None else int(found.value)

    async def _snapshots(self, run_id: str, include_interrupted: bool, limit: int | None) -> list[ContinuableSnapshot]:
        """The latest first."""
        metadata = None if include_interrupted else {"state": "complete"}
        found: Sequence[Checkpoint] = await self._storage.alist_checkpoints(
            _session(run_id), namespace=_SNAPSHOTS, metadata=metadata, limit=limit
        )
        return [
            _snapshot.validate_python(
                {**each.metadata, "run_id": run_id, "messages": messages_of(each.state["messages"])}
            )
            for each in found
        ]


_snapshot: TypeAdapter[ContinuableSnapshot] = TypeAdapter(ContinuableSnapshot)


def _session(run_id: str) -> str:
    return composite_id("run", run_id)


def _reference(id: str | None) -> str:
    return composite_id(id) if id else ""


def _registered(session: Session) -> RunRecord | None:
    text = session.metadata.get(_RUN)
    return None if text is None else of_text(_run, text)


def _scrubbed(text: str | None) -> str | None:
    return None if text is None else codec.scrub(text)


def _sequence(key: str | None) -> int | None:
    """The number before the first colon of a key, by which those of one run are in order."""
    number, colon, _ = (key or "").partition(":")
    return int(number) if colon and number.isdecimal() and number.isascii() and len(number) < 19 else None
