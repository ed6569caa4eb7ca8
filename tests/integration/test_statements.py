"""How many statements each call is, the beginning and the end of its transaction among them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage import Storage, models
from chronos_storage.exceptions import StaleWriter
from chronos_storage.ledger import kept
from chronos_storage.records import AuditLog, Checkpoint, Event, MemoryRecord, Message, Session, TokenUsage, Trace, now
from chronos_storage.testing.conformance.helpers import populate
from tests.conftest import each_database

MEMORIES = [MemoryRecord(id=f"m{number}", agent_id="a", key=f"k{number}") for number in range(3)]

#: By call: so many on PostgreSQL, where it is another number on SQLite that one too.
CALLS: dict[str, tuple[Callable[[Storage], Any], tuple[int, ...]]] = {
    "create_session": (lambda s: s.create_session(Session()), (1,)),
    "save_session": (lambda s: s.save_session(Session(id="s")), (1,)),
    "patch_session": (lambda s: s.patch_session("s", title="t"), (1,)),
    "get_session": (lambda s: s.get_session("s"), (1,)),
    "append_event": (lambda s: s.append_event(Event(session_id="s")), (1, 6)),
    "append_event, fenced": (lambda s: s.append_event(Event(session_id="s"), fence=0), (1, 6)),
    "acquire": (lambda s: s.acquire("other", "worker", ttl=60), (7, 6)),
    "append_event, the first": (lambda s: s.append_event(Event(session_id="other"), fence=1), (1, 7)),
    "append_audit_log": (lambda s: s.append_audit_log(AuditLog(session_id="s")), (1, 6)),
    "add_message": (lambda s: s.add_message(Message(session_id="s", role="user")), (1, 7)),
    "find_messages": (lambda s: s.find_messages(["m1", "unknown"]), (1,)),
    "delete_messages": (lambda s: s.delete_messages("s"), (5,)),
    "insert_trace": (lambda s: s.insert_trace(Trace(session_id="s")), (1,)),
    "save_checkpoint": (lambda s: s.save_checkpoint(Checkpoint(session_id="s")), (1, 6)),
    "put_memory": (lambda s: s.put_memory(MemoryRecord(agent_id="a", key="k")), (1,)),
    "put_memories": (lambda s: s.put_memories(MEMORIES), (5,)),
    "put_memories, stored ones": (lambda s: s.put_memories(MEMORIES), (5,)),
}


@pytest.mark.parametrize("alias", each_database(without=["postgres15", "mariadb"]), indirect=True)
def test_a_call_is_so_many_statements(storage_committed: Storage, subtests: pytest.Subtests) -> None:
    connection: Any = connections[storage_committed.alias]
    populate(storage_committed)
    storage_committed.create_session(Session(id="other"))
    for name, (call, counts) in CALLS.items():
        with subtests.test(name), CaptureQueriesContext(connection) as queries:
            call(storage_committed)
            sent = [query["sql"] for query in queries]
            assert len(sent) == (counts[0] if connection.vendor == "postgresql" else counts[-1]), sent


@pytest.mark.parametrize("alias", each_database(without=["postgres15"]), indirect=True)
def test_the_statement_that_puts_a_record_is_kept(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", {})
    first = storage.put_memory(MemoryRecord(agent_id="a", key="k", value={"%s": [None]}))
    statements = dict(kept.KEPT)
    assert statements
    then = now() + timedelta(hours=1)
    again = storage.put_memory(MemoryRecord(agent_id="a", key="k", value=None, schema_version=2, expires_at=then))
    assert (again.id, again.value, again.schema_version, again.expires_at) == (first.id, None, 2, then)
    other = storage.put_memory(MemoryRecord(agent_id="a", key="'", value=first.value))
    assert [storage.get_memory("a", key) for key in ("k", "'")] == [again, other]
    assert statements.items() <= kept.KEPT.items()
    assert [shape for *_, shape in kept.KEPT].count(("put", models.MemoryRecord, 1)) == 1


@pytest.mark.parametrize("alias", each_database(without=["postgres15"]), indirect=True)
def test_statements_that_change_or_count_are_kept(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", {})

    def use(id: str, number: int) -> None:
        storage.create_session(Session(id=id))
        changed = storage.patch_session(id, title=f"{number} '%s", metadata={"n": number}, user_id=f"u{number}")
        assert (changed.title, changed.metadata) == (f"{number} '%s", {"n": number})
        changed = storage.patch_session_metadata(id, {"m": [number]})
        assert (changed.metadata, changed.user_id) == ({"n": number, "m": [number]}, f"u{number}")
        assert storage.get_session(id) == changed
        fence = storage.acquire(id, "worker")
        assert storage.patch_session(id, title=id, fence=fence).title == id
        with pytest.raises(StaleWriter):
            storage.patch_session(id, title="", fence=fence.token + 1)
        storage.insert_trace(Trace(id=id, session_id=id))
        usage = TokenUsage(prompt_tokens=number)
        ended = storage.end_trace(id, output={"o": number}, usage=usage, cost=Decimal(number), error="")
        assert (ended.output, ended.usage, ended.cost, ended.error) == ({"o": number}, usage, Decimal(number), "")
        assert storage.end_trace(id, ended_at=now()).ended_at == ended.ended_at
        storage.append_events([Event(session_id=id)] * number)
        storage.add_message(Message(session_id=id, role="user"))
        assert (storage.count_events(id), storage.last_seq(id), storage.last_message_seq(id)) == (number, number, 1)
        assert storage.count_messages(id) == 1
        storage.save_checkpoint(Checkpoint(session_id=id, namespace=id))
        assert storage.list_namespaces(id) == [id]

    use("first", 2)
    statements = set(kept.KEPT)
    assert len([shape for *_, shape in statements if "patch" in shape]) == {"default": 4, "mariadb": 0}.get(
        storage.alias, 5
    )
    use("second", 3)
    assert set(kept.KEPT) == statements


@pytest.mark.parametrize("alias", each_database(without=["postgres15", "mariadb"]), indirect=True)
def test_statements_of_lists_are_kept_but_not_without_end(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 20)
    monkeypatch.setattr(kept, "KEPT", {})
    populate(storage)
    storage.append_events([Event(session_id="s", payload=number) for number in range(30)])
    numbers = [event.seq_num for event in storage.list_events("s")]
    for limit in (*range(1, 30), 5, 29):
        found = storage.list_events("s", after_seq=limit % 3, limit=limit)
        assert [event.seq_num for event in found] == numbers[limit % 3 :][:limit]
    assert len(kept.KEPT) <= 20
