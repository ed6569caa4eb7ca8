"""Both backends give the same answers to the same calls, errors, numbers and hashes included."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.records import KINDS
from chronos_storage.testing.conformance.samples import at
from tests.calls import SESSIONS, Call, answer, change
from tests.conftest import each_database

STEPS = 150


def walk(kind: str, user_id: str | None, storage: Storage) -> list[Any]:
    return list(storage.scan(kind, user_id=user_id))


def questions(r: random.Random) -> list[Call]:
    """What is asked about a session, and about all."""
    id, few, since, until = r.choice(SESSIONS), r.randint(0, 3), at(r.randint(0, 30)), at(r.randint(20, 60))
    part: dict[str, Any] = {"limit": r.choice([None, few]), "offset": r.randint(0, 1)}
    order = r.choice(["-created_at", "-last_activity_at"])
    calls: list[Call] = [
        lambda s: s.list_sessions("a", order=order, include_deleted=few > 1, **part),
        lambda s: s.list_sessions(user_id="u", status="active", order=order, **part),
        lambda s: s.list_messages(id, roles=["user"], since=since, until=until, order="desc", **part),
        lambda s: [s.count_messages(id), s.count_events(id), s.last_seq(id), s.last_message_seq(id)],
        lambda s: [*s.list_namespaces(id), *s.get_messages(id, ["b0", "a0", "c0"])],
        lambda s: s.token_usage(id),
        lambda s: s.usage(agent_id="ab"[few % 2], user_id=[None, "u"][few // 2], since=since, until=until),
        lambda s: s.list_events(id, few, types=["tool"]),
        lambda s: s.get_recent_events(id, few),
        lambda s: [s.get_event("a0", session_id=id), s.get_message("b0", session_id=id)],
        lambda s: s.get_checkpoint("a"),
        lambda s: s.get_message("a0"),
        lambda s: list(s.find_messages(["b0", "a0", "c0"]).values()),
        lambda s: s.list_audit_logs(user_id="u", since=since, until=until, **part),
        lambda s: s.list_memory("a", prefix="k", **part),
        lambda s: s.list_traces(id, failed=[None, True, False][few % 3]),
        lambda s: s.list_checkpoints(id, namespace="sub", before_seq=few),
        lambda s: s.list_checkpoints(id, metadata={"n": {"$gt": few}}, limit=part["limit"]),
        lambda s: s.list_images(name=f"{few}", **part),
        lambda s: [s.verify_events(id), s.verify_audit_logs(id)],
    ]
    return calls + [partial(walk, kind, user_id) for kind in KINDS for user_id in (None, "u")]


@pytest.mark.parametrize("alias", each_database(), indirect=True)
@pytest.mark.parametrize("seed", range(4))
def test_the_same_calls_give_the_same_answers(storage, seed: int) -> None:
    """Against: a result list that differs between backends."""
    r, memory = random.Random(seed), Storage(MemoryBackend())
    for step in range(STEPS):
        calls = questions(r) if step % 15 == 14 else [change(r)]
        for position, call in enumerate(calls):
            assert (step, position, answer(call, memory)) == (step, position, answer(call, storage))
