"""Random writes, and what backends answer to them, so that the answers of two can be compared."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

from chronos_storage import Storage
from chronos_storage.exceptions import ChronosError, SequenceConflict
from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    TokenUsage,
    Trace,
)
from chronos_storage.testing.conformance.samples import at

Call = Callable[[Storage], Any]

SESSIONS, IDS, NAMESPACES = ["s", "S", "\u00e9"], ["a", "b", "c", "d"], ["", "sub"]


def answer(call: Call, storage: Storage) -> Any:
    """What came back, but for the times of writing, which are the store's own."""
    try:
        return plain(call(storage))
    except ChronosError as error:
        return type(error), getattr(error, "field", None), vars(error) if isinstance(error, SequenceConflict) else None


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Checkpoint) and "forked_from" in value.metadata:
        value = dataclasses.replace(value, id="")
    if isinstance(value, AuditLog) and value.actor == "chronos_storage":
        value = dataclasses.replace(value, id="", hash="", created_at=None)
    for name in ("updated_at", "deleted_at"):
        if getattr(value, name, None) is not None:
            value = dataclasses.replace(value, **{name: at(0)})
    return value


def purge(session_id: str, through_seq: int | None) -> Call:
    def call(storage: Storage) -> list[int]:
        with storage.purge_permit(reason="old") as permit:
            return [
                permit.purge_events(session_id, through_seq=through_seq),
                permit.purge_audit_logs(session_id, through_seq=through_seq),
                permit.purge_audit_logs(agent_id="a", through_seq=through_seq),
            ]

    return call


def append(event: Event, number: int | None, expected: int | None) -> Call:
    """Append an event whose own number, and the expected one, are so far from the session's last."""

    def call(storage: Storage) -> Event:
        last = storage.last_seq(event.session_id)
        given = event if number is None else dataclasses.replace(event, seq_num=last + number)
        return storage.append_event(given, expected_seq=None if expected is None else max(0, last + expected))

    return call


def change(r: random.Random) -> Call:
    """A random write, with few enough ids and numbers that it often meets another."""
    session_id, id, moment, few = r.choice(SESSIONS), r.choice(IDS), at(r.randint(1, 60)), r.randint(0, 3)
    number, namespace = r.choice([0, 0, few]), r.choice(NAMESPACES)
    session = Session(id=session_id, agent_id=r.choice("ab"), user_id="u", created_at=moment, last_activity_at=moment)
    messages = [
        Message(
            id=f"{id}{position}",
            session_id=r.choice([session_id, session_id, r.choice(SESSIONS)]),
            role=r.choice(["user", "tool"]),
            content=f"{few}",
            seq_num=0 if position else number,
            created_at=moment,
            usage=TokenUsage(prompt_tokens=few, cache_read_tokens=r.choice([None, 3])),
        )
        for position in range(r.randint(1, 3))
    ]
    events = [
        Event(id=message.id, session_id=message.session_id, type=message.role, payload=few, created_at=moment)
        for message in messages
    ]
    log = AuditLog(id=id, session_id=r.choice([session_id, ""]), agent_id="a", user_id="u", created_at=moment)
    span = Trace(id=id, session_id=session_id, parent_id=r.choice(IDS), started_at=moment, output=few)
    checkpoint = Checkpoint(
        id=id,
        session_id=session_id,
        namespace=namespace,
        run_id=r.choice(IDS),
        state={"n": few},
        metadata={"n": few},
        created_at=moment,
    )
    memory = MemoryRecord(id=r.choice([id, id * 2]), agent_id="a", key=r.choice("kl"), value=few, created_at=moment)
    end: dict[str, Any] = r.choice([{}, {"output": few}, {"error": f"{few}"}, {"output": None, "error": ""}])
    copy = dataclasses.replace(messages[0], kind="user", seq_num=few + 1)
    times = {"created_at": moment, "last_activity_at": moment}
    calls: list[Call] = [
        lambda s: s.create_session(session),
        lambda s: s.save_session(session),
        lambda s: s.patch_session(session_id, status=f"{few}"),
        lambda s: s.patch_session_metadata(session_id, {id: few}),
        lambda s: s.delete_session(session_id, hard=few > 1) if number else None,
        lambda s: s.restore_session(session_id),
        lambda s: s.add_messages(messages),
        lambda s: s.delete_message(f"{id}0"),
        lambda s: s.truncate_messages(session_id, f"{id}0"),
        lambda s: s.append_events(events, expected_seq=r_expected),
        append(events[0], r.choice([None, 0, 1, 2]), r.choice([None, -1, 0, 1])),
        lambda s: s.append_audit_log(dataclasses.replace(log, seq_num=number)),
        lambda s: s.insert_trace(span),
        lambda s: s.end_trace(id, **end, ended_at=moment),
        lambda s: s.save_checkpoint(dataclasses.replace(checkpoint, seq_num=number)),
        lambda s: s.delete_checkpoint(id, session_id=session_id if few else None),
        lambda s: s.delete_checkpoints(session_id, keep_last=few),
        lambda s: s.delete_checkpoints(session_id, keep_last=few or None, run_ids=[r_run]),
        lambda s: s.ensure_session(session),
        lambda s: s.add_messages(messages, expected_seq=r_expected),
        lambda s: s.insert_traces([span, dataclasses.replace(span, id=id * 2)]),
        lambda s: s.put_memories([memory, dataclasses.replace(memory, id=r_memory, key="m")]),
        lambda s: s.fork_session(id, session_id=session_id, id=r_other, **times),
        lambda s: s.put_memory(memory),
        lambda s: s.delete_memory(id),
        lambda s: s.save_image(Image(id=id, name=f"{few}", created_at=moment)),
        lambda s: s.load([copy, dataclasses.replace(checkpoint, seq_num=few + 1)]),
        purge(session_id, r.choice([None, few])),
    ]
    r_run, r_memory = r.choice(IDS), r.choice(IDS)
    r_expected, r_other = r.choice([None, None, few]), r.choice([*SESSIONS, "fork"])
    return r.choice(calls)
