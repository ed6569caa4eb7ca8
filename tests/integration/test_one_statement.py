"""What is written by one statement, where the database can, and what becomes of it where one is not enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage.exceptions import InvalidRecord, NotFound
from chronos_storage.facade import Storage
from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
    now,
)
from tests.conftest import SQLITE_AND_POSTGRES, STRICTEST


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_on_postgresql_the_first_record_of_a_series_is_one_statement_as_the_next(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    storage.insert_trace(Trace(id="root", trace_id="run"))
    for _ in range(2):
        for write in (
            lambda: storage.append_event(Event(session_id="s")),
            lambda: storage.add_message(Message(session_id="s", role="user")),
            lambda: storage.append_audit_log(AuditLog(session_id="s")),
            lambda: storage.append_audit_log(AuditLog(agent_id="a")),
            lambda: storage.save_checkpoint(Checkpoint(session_id="s")),
            lambda: storage.save_checkpoint(Checkpoint(session_id="s", namespace="n")),
            lambda: storage.patch_session_metadata("s", {"a": 1}),
            lambda: storage.insert_trace(Trace(session_id="s", parent_id="root")),
        ):
            with CaptureQueriesContext(connections[alias]) as queries:
                write()
            assert len(queries) == 1
    assert [event.seq_num for event in storage.list_events("s")] == [1, 2]
    assert {span.trace_id for span in storage.list_traces("s")} == {"run"}
    assert storage.verify_events("s").intact
    assert storage.verify_audit_logs("s").intact
    assert storage.verify_audit_logs(agent_id="a").intact


def require_one_statement(alias: str, writes: dict[str, tuple[Callable[[], Any], Callable[[], Any]]]) -> None:
    """That each, and once more, is one statement, and gives what is stored then."""
    for _ in range(2):
        for what, (write, read) in writes.items():
            with CaptureQueriesContext(connections[alias]) as queries:
                written = write()
            sent = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
            assert len(sent) == 1, what
            assert written == read(), what


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_a_change_is_one_statement(storage: Storage, alias: str) -> None:
    storage.create_session(Session(id="s"))
    storage.insert_trace(Trace(id="t", input={"é": [1.0]}))
    require_one_statement(
        alias,
        {
            "patch": (lambda: storage.patch_session("s", title="t"), lambda: storage.get_session("s")),
            "save": (
                lambda: storage.save_session(Session(id="s", metadata={"a": 1})),
                lambda: storage.get_session("s"),
            ),
            "end": (lambda: storage.end_trace("t", output=["ü"], error="e"), lambda: storage.get_trace("t")),
        },
    )


def test_a_put_is_one_statement(storage: Storage, alias: str) -> None:
    memories = [MemoryRecord(agent_id="a", key=key, value={"b": 1, "a": 1.5}) for key in "cba"]
    same = Container(id="same", updated_at=now())
    require_one_statement(
        alias,
        {
            "memory": (lambda: storage.put_memory(memories[0]), lambda: storage.get_memory("a", "c")),
            "memories": (lambda: storage.put_memories(memories)[2], lambda: storage.get_memory("a", "a")),
            "container": (lambda: storage.save_container(Container(id="c")), lambda: storage.get_container("c")),
            "the same": (lambda: storage.save_container(same), lambda: storage.get_container("same")),
            "image": (lambda: storage.save_image(Image(id="i", name="n")), lambda: storage.get_image("i")),
        },
    )


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_a_session_without_an_id_is_new(storage: Storage, alias: str) -> None:
    with CaptureQueriesContext(connections[alias]) as queries:
        session = storage.save_session(Session(title="t"))
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 1
    assert storage.get_session(session.id) == session


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_what_may_become_too_large_is_looked_at_first(storage: Storage) -> None:
    large = "x" * 3_600_000
    storage.insert_trace(Trace(id="t", input=large))
    assert storage.end_trace("t", output=large[:3_000_000]).output == large[:3_000_000]
    with pytest.raises(InvalidRecord, match="trace: has"):
        storage.end_trace("t", output=large[:3_000_000], events=[large])
    assert storage.get_trace("t").events == []
    storage.create_session(Session(id="s", metadata={"a": large[:2_500_000]}))
    with pytest.raises(InvalidRecord, match="metadata: is"):
        storage.patch_session_metadata("s", {"b": large[:2_500_000]})
    assert storage.patch_session_metadata("s", {"a": 1}).metadata == {"a": 1}
    with pytest.raises(NotFound):
        storage.end_trace("unknown", output=1)
