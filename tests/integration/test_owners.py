"""What belongs to a session is found by its owner, which each statement on these tables names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from chronos_storage.facade import Storage
from chronos_storage.ledger.series import AUDIT_CHAIN
from chronos_storage.ledger.verify import verify
from chronos_storage.models import AuditLog, Head, QueueEntry, Topic
from chronos_storage.queues import outbox
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Checkpoint, Event, Message, Session
from tests.conftest import STRICTEST, alias_of

#: The column of the owner, by table.
OWNERS = {
    model._meta.db_table: str(model._meta.get_field("owner").column) for model in (AuditLog, Head, QueueEntry, Topic)
}

alias = alias_of(STRICTEST)


def columns_of(sql: str) -> list[str]:
    """The owners that a statement is to name."""
    return [column for table, column in OWNERS.items() if re.search(rf"\b{table}\b", sql)]


def where(sql: str) -> str:
    """What a statement goes by, or what it inserts."""
    return sql.partition(" WHERE " if " WHERE " in sql else "(")[2]


@contextmanager
def statements(using: str) -> Iterator[list[str]]:
    """Meanwhile, the statements on these tables."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        if columns_of(sql):
            seen.append(sql)
        return execute(sql, *rest)

    with connections[using].execute_wrapper(note):
        yield seen


def write(storage: Storage, queue: OrmQueue, session_id: str) -> None:
    """Append, read, verify, purge and publish."""
    storage.create_session(Session(id=session_id))
    said = Message(session_id=session_id, role="user")
    for number in range(2):
        storage.append_event(Event(session_id=session_id, payload=number))
        storage.append_audit_log(AuditLogRecord(session_id=session_id))
        storage.append_audit_log(AuditLogRecord(agent_id=session_id))
        storage.add_messages([said, said])
        storage.save_checkpoint(Checkpoint(session_id=session_id, state={"number": number, "long": "x" * 9000}))
        queue.publish(f"session:{session_id}", number)
    storage.delete_checkpoints(session_id, keep_last=1)
    assert storage.verify_events(session_id).intact
    assert storage.verify_audit_logs(session_id).intact
    assert storage.verify_audit_logs(agent_id=session_id).intact
    assert len(storage.list_audit_logs(session_id)) == storage.last_seq(session_id) == 2
    assert len(queue.recover(f"session:{session_id}")) == 2
    with storage.purge_permit(reason="the test's own") as permit:
        permit.purge_events(session_id, through_seq=1)
        permit.purge_audit_logs(session_id, through_seq=1)
    storage.delete_session(session_id)
    storage.restore_session(session_id)


def test_each_statement_names_the_owner(storage: Storage) -> None:
    queue: Any = OrmQueue(using=storage.alias)
    with statements(storage.alias) as seen:
        write(storage, queue, "s")
        storage.delete_session("s", hard=True)
        outbox.forget(storage.alias, "s")
    assert len(seen) > 20
    assert [sql for sql in seen if not all(re.search(rf"\b{column}\b", where(sql)) for column in columns_of(sql))] == []
    queue.close()


def test_a_session_owns_its_chain_and_its_topic(storage: Storage) -> None:
    queue = OrmQueue(using=storage.alias)
    using, kind = storage.alias, Head.Kind.AUDIT_LOG
    for session_id in ("s", "session:s", "agent:s"):
        write(storage, queue, session_id)
        assert AuditLog.objects.using(using).filter(owner=session_id, chain=f"session:{session_id}").count() == 1
        assert QueueEntry.objects.using(using).filter(owner=session_id, topic=f"session:{session_id}").count() == 2
        assert Topic.objects.using(using).get(owner=session_id).name == f"session:{session_id}"
        assert set(Head.objects.using(using).filter(owner=session_id).values_list("series", "kind")) >= {
            (session_id, Head.Kind.EVENT),
            (f"session:{session_id}", kind),
        }
        agent = f"agent:{session_id}"
        assert AuditLog.objects.using(using).filter(owner=agent, chain=agent).count() == 2
        assert verify(using, AUDIT_CHAIN, agent).intact
    queue.publish("session:", 1)
    queue.publish("other", 1)
    assert Topic.objects.using(using).get(owner="other").name == "other"
    assert Topic.objects.using(using).get(owner="session:").name == "session:"
    queue.close()
