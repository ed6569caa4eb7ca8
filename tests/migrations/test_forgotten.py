"""A database that was never migrated: the first call says what to do, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chronos_storage.exceptions import ConfigurationError
from chronos_storage.facade import Storage
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import AuditLog, Event, Image, MemoryRecord, Message, Session
from chronos_storage.vectors.stores import database_store
from tests.databases import PLACES
from tests.migrations.test_triggers import migrate


@pytest.mark.parametrize("empty", [place for place in PLACES if place != "postgres15"], indirect=True)
def test_the_first_call_says_to_migrate(empty: Storage) -> None:
    queue, vectors = OrmQueue(using=empty.alias), database_store(empty.alias)
    calls: list[Callable[[], Any]] = [
        lambda: empty.create_session(Session(id="s")),
        lambda: empty.add_message(Message(session_id="s", role="user")),
        lambda: empty.append_event(Event(session_id="s")),
        lambda: empty.append_audit_log(AuditLog(session_id="s", action="do")),
        lambda: empty.put_memory(MemoryRecord(agent_id="a", key="k")),
        lambda: empty.save_image(Image(name="i")),
        lambda: queue.publish("topic", 1),
        lambda: vectors.create_collection("docs", 2),
        lambda: empty.get_session("s"),
        lambda: empty.list_sessions(),
        lambda: list(empty.iter_sessions()),
        lambda: empty.list_messages("s"),
        lambda: empty.count_messages("s"),
        lambda: empty.token_usage("s"),
        lambda: empty.list_events("s"),
        lambda: empty.last_seq("s"),
        lambda: empty.verify_events("s"),
        lambda: list(empty.verify_all()),
        lambda: empty.get_memory("a", "k"),
        lambda: empty.list_audit_logs(),
        lambda: empty.list_traces("s"),
        lambda: empty.trace_tree("s"),
        lambda: empty.get_latest_checkpoint("s"),
        lambda: empty.image_exists("i"),
        lambda: list(empty.scan("session")),
        lambda: queue.recover("topic"),
        lambda: queue.unread_count("consumer", "topic"),
        lambda: vectors.list_collections(),
        lambda: vectors.search("docs", [1.0, 0.0]),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match=r"missing or not up to date: call the storage's migrate\(\)"):
            call()
    assert "call the storage's migrate()" in empty.health().problems[0]
    migrate(empty)
    assert empty.create_session(Session(id="s")).id == "s"
    queue.close()
