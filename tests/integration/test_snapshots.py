"""Transactions that see the database as it was when they began, on PostgreSQL and MariaDB: REPEATABLE READ and above.

Another writer commits what such a transaction then writes again, or writes to. The answer is the right one, or that the
transaction is to be run again; never an error of the database, nor that something isn't there or has other content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from chronos_storage import records
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import NotFound, RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.queues.cursors import cursor_of
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from chronos_storage.vectors import models
from chronos_storage.vectors.stores import database_store

MOMENT = records.now()
#: What a state has as items in a log.
LONG = [f"{number}{600 * 'x'}" for number in range(6)]
#: A call for a session, whose id is that of everything else too.
Call = Callable[[Storage, str], Any]

#: What another writer does, and the same again, which gives the same.
REPEATS: dict[str, Call] = {
    "add_message": lambda store, x: store.add_message(Message(id=x, session_id=x, role="user")),
    "append_event": lambda store, x: store.append_event(Event(id=x, session_id=x)),
    "append_event, a number expected": lambda store, x: store.append_event(Event(id=x, session_id=x), expected_seq=0),
    "append_events": lambda store, x: list(store.append_events([Event(id=f"{x}{n}", session_id=x) for n in (1, 2)])),
    "append_audit_log": lambda store, x: store.append_audit_log(AuditLog(id=x, session_id=x)),
    "append_audit_log of an agent": lambda store, x: store.append_audit_log(AuditLog(id=x, agent_id=x)),
    "insert_trace": lambda store, x: store.insert_trace(Trace(id=x)),
    "save_checkpoint": lambda store, x: store.save_checkpoint(Checkpoint(id=x, session_id=x)),
    "save_checkpoint, a number given": lambda store, x: store.save_checkpoint(
        Checkpoint(id=x, session_id=x, seq_num=7, namespace="sub")
    ),
    "save_checkpoint, of a long state": lambda store, x: store.save_checkpoint(
        Checkpoint(id=x, session_id=x, state={"messages": LONG})
    ),
    "load": lambda store, x: store.load([Container(id=x, created_at=MOMENT, updated_at=MOMENT)]) * 0,
    "publish": lambda store, x: OrmQueue(store.alias).publish("known", x, key=x),
    "publish on a new topic": lambda store, x: OrmQueue(store.alias).publish(x, 1, key="k"),
    "create_collection": lambda store, x: database_store(using=store.alias).create_collection(x, 1),
    "upsert": lambda store, x: database_store(using=store.alias).upsert("known", [Embedding(id=x, vector=[1])]),
}
#: What another writer does, and what is then done to it.
CHANGES: dict[str, tuple[Call, Call]] = {
    "a first event": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.append_event(Event(session_id=f"{x} new")),
    ),
    "a first message": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.add_message(Message(session_id=f"{x} new", role="user")),
    ),
    "ensure_session": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.ensure_session(Session(id=f"{x} new")),
    ),
    "delete_messages": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.delete_messages(f"{x} new"),
    ),
    "save_session": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.save_session(Session(id=f"{x} new", title="saved")),
    ),
    "patch_session": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.patch_session(f"{x} new", title="patched"),
    ),
    "patch_session_metadata": (
        lambda store, x: store.create_session(Session(id=f"{x} new")),
        lambda store, x: store.patch_session_metadata(f"{x} new", {"k": 1}),
    ),
    "restore_session": (lambda store, x: store.delete_session(x), lambda store, x: store.restore_session(x)),
    "truncate_messages": (
        lambda store, x: store.add_message(Message(id=x, session_id=x, role="user")),
        lambda store, x: store.truncate_messages(x, x),
    ),
    "end_trace": (lambda store, x: store.insert_trace(Trace(id=x)), lambda store, x: store.end_trace(x, output=1)),
    "end_trace again": (
        lambda store, x: store.insert_trace(Trace(id=x, output=1, ended_at=MOMENT)),
        lambda store, x: store.end_trace(x, output=1),
    ),
    "fork_session": (
        lambda store, x: store.save_checkpoint(Checkpoint(id=x, session_id=x)),
        lambda store, x: store.fork_session(x),
    ),
    "fork_session, the session named": (
        lambda store, x: store.save_checkpoint(Checkpoint(id=x, session_id=x)),
        lambda store, x: store.fork_session(x, session_id=x),
    ),
    "delete_session with an event": (
        lambda store, x: store.append_event(Event(session_id=x)),
        lambda store, x: store.delete_session(x, hard=True),
    ),
    "delete_session with a message": (
        lambda store, x: store.add_message(Message(session_id=x, role="user")),
        lambda store, x: store.delete_session(x, hard=True),
    ),
    "delete_session with an audit entry": (
        lambda store, x: store.append_audit_log(AuditLog(session_id=x)),
        lambda store, x: store.delete_session(x, hard=True),
    ),
    "put_memory": (
        lambda store, x: store.put_memory(MemoryRecord(id=x, agent_id=x, key="k", value=1)),
        lambda store, x: store.put_memory(MemoryRecord(agent_id=x, key="k", value=2)),
    ),
    "put_memory elsewhere": (
        lambda store, x: store.put_memory(MemoryRecord(id=x, agent_id=x, key="k", value=1)),
        lambda store, x: store.put_memory(MemoryRecord(id=x, agent_id=x, key="other", value=2)),
    ),
    "save_container": (
        lambda store, x: store.save_container(Container(id=x)),
        lambda store, x: store.save_container(Container(id=x, config={"k": 1})),
    ),
    "save_container again": (
        lambda store, x: store.save_container(Container(id=x, created_at=MOMENT, updated_at=MOMENT)),
        lambda store, x: store.save_container(Container(id=x, created_at=MOMENT, updated_at=MOMENT)),
    ),
    "patch_image_metadata": (
        lambda store, x: store.save_image(Image(id=x)),
        lambda store, x: store.patch_image_metadata(x, {"k": 1}),
    ),
    "publish": (
        lambda store, x: OrmQueue(store.alias).publish(x, 1),
        lambda store, x: OrmQueue(store.alias).publish(x, 2),
    ),
    "recover": (
        lambda store, x: OrmQueue(store.alias).publish(x, 1),
        lambda store, x: OrmQueue(store.alias).recover(x, cursor_of(1)),
    ),
    "ack": (
        lambda store, x: OrmQueue(store.alias).publish(x, 1),
        lambda store, x: OrmQueue(store.alias).ack("consumer", x, cursor_of(1)),
    ),
    "ack again": (
        lambda store, x: OrmQueue(store.alias).ack("consumer", "known", cursor_of(1)),
        lambda store, x: OrmQueue(store.alias).ack("consumer", "known", cursor_of(1)),
    ),
    "drop_collection": (
        lambda store, x: database_store(using=store.alias).upsert("known", [Embedding(id=x, vector=[1])]),
        lambda store, x: database_store(using=store.alias).drop_collection("known"),
    ),
}
LEVELS: dict[str, dict[str, dict[str, Any]]] = {
    # as psycopg numbers them
    "postgres": {"repeatable read": {"isolation_level": 3}, "serializable": {"isolation_level": 4}},
    "mariadb": {
        "repeatable read": {"isolation_level": "repeatable read"},
        "snapshot": {"isolation_level": "repeatable read", "init_command": "SET innodb_snapshot_isolation = ON"},
    },
}
Stores = tuple[Storage, Storage]


@pytest.fixture(
    params=[
        pytest.param((alias, level), id=f"{alias}-{level}", marks=pytest.mark.django_db(databases=[alias]))
        for alias, levels in LEVELS.items()
        if alias in settings.DATABASES
        for level in levels
    ]
)
def stores(request: pytest.FixtureRequest, transactional_db: None, other_databases: None) -> Iterator[Stores]:
    """A store whose transactions keep to a snapshot, and another writer's on the same database."""
    alias, level = request.param
    known = connections.settings[alias]
    connections.settings["late"] = known | {"OPTIONS": known["OPTIONS"] | LEVELS[alias][level]}
    OrmQueue(alias).publish("known", 1)
    database_store(using=alias).create_collection("known", 1)
    yield Storage(OrmBackend("late")), Storage(OrmBackend(alias))
    connections["late"].close()
    del connections["late"], connections.settings["late"]


def late_to(stores: Stores, session_id: str, others: Call, call: Call) -> tuple[Any, Any]:
    """What the other writer's call gives, and the call in a transaction whose snapshot is older, or in the next one."""
    late, writer = stores
    writer.create_session(Session(id=session_id))
    with suppress(RetryTransaction), late.atomic():
        late.list_sessions(limit=1)
        given = others(writer, session_id)
        return given, call(late, session_id)
    with late.atomic():
        return given, call(late, session_id)


def test_what_another_has_written_is_written_again(stores: Stores, subtests: pytest.Subtests) -> None:
    for name, call in REPEATS.items():
        with subtests.test(name):
            given, again = late_to(stores, name, call, call)
            assert again == given


def test_what_another_has_made_is_there(stores: Stores, subtests: pytest.Subtests) -> None:
    for name, (others, call) in CHANGES.items():
        with subtests.test(name):
            late_to(stores, name, others, call)
    # Not even what was written to the collection after the snapshot from which it was dropped.
    assert not models.Embedding.objects.using(stores[1].alias).exists()
    assert [verdict for verdict in stores[1].verify_all() if not verdict.intact] == []


def test_no_state_is_made_of_items_that_were_removed(stores: Stores) -> None:
    late, writer = stores
    writer.create_session(Session(id="s"))
    for number in range(3):
        writer.save_checkpoint(Checkpoint(id=f"{number}", session_id="s", state={"n": number, "messages": LONG}))
    with suppress(RetryTransaction), late.atomic():
        late.list_sessions(limit=1)
        writer.delete_checkpoints("s", keep_last=0)
        late.save_checkpoint(Checkpoint(session_id="s", parent_id="2", state={"n": 3, "messages": [*LONG, "new"]}))
    for found in writer.list_checkpoints("s"):
        assert found.state == {"n": 3, "messages": [*LONG, "new"]}


def test_what_a_transaction_has_removed_itself_is_not_there(stores: Stores) -> None:
    late, writer = stores
    writer.create_session(Session(id="s"))
    writer.save_checkpoint(Checkpoint(id="c", session_id="s"))
    with late.atomic():
        assert late.delete_checkpoint("c")
        with pytest.raises(NotFound):
            late.fork_session("c")


def test_what_nobody_has_made_is_not_there(stores: Stores) -> None:
    late, _ = stores
    for call in (
        lambda: late.append_event(Event(session_id="none")),
        lambda: late.patch_session("none", title="t"),
        lambda: late.end_trace("none"),
        lambda: late.patch_image_metadata("none", {}),
        lambda: late.fork_session("none"),
    ):
        with late.atomic():
            with pytest.raises(NotFound):
                call()
            late.create_session(Session())
    assert late.get_session("none", include_deleted=True) is None
