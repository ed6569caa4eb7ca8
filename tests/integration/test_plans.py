"""What PostgreSQL plans for each method on tables of 40,000 rows: an index for whatever names something, none in vain.

The rows are many where they are in use: most belong to few agents, actors, users and sessions.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from chronos_storage import connect, records
from chronos_storage.admin.families import family
from chronos_storage.admin.figures import SOURCES, collect
from chronos_storage.admin.periods import Period
from chronos_storage.admin.timeline import STREAMS, Timeline
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.backends.orm.conditions import starts_with
from chronos_storage.checks import check_walks
from chronos_storage.facade import Storage
from chronos_storage.failures import failed
from chronos_storage.fields import IdField, TextField
from chronos_storage.ledger.kept import KEPT
from chronos_storage.models import AuditLog as AuditLog_
from chronos_storage.models import Image as Image_
from chronos_storage.models import Message as Message_
from chronos_storage.models import Trace as Trace_
from chronos_storage.queues.base import EventQueue
from chronos_storage.queues.cursors import cursor_of
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import (
    KINDS,
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from tests.databases import new_databases

pytestmark = pytest.mark.skipif("postgres" not in settings.DATABASES, reason="there is no PostgreSQL")

ROWS = 40_000
START = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = list(apps.get_app_config("chronos_storage").get_models())

#: 0 in half of the rows, 1 in a quarter, and so on.
SKEWED = "floor(-ln((1 - (n * 0.618034) % 1)::float) / ln(2::float))::int"
#: Half of the rows belong to many users of twenty rows each, the others to a few.
USER = f"CASE n % 2 WHEN 0 THEN 'user' || n % 2500 ELSE 'heavy' || {SKEWED} END"
TIME = "timestamptz '2026-01-01' + n * interval '15 seconds'"
#: A hundred rows in each of a thousand sessions.
SESSION = "'s' || (n - 1) / 100"
NUMBER = "(n - 1) % 100 + 1"
HASH = "repeat('0', 64)"
#: What the columns of row n hold.
TABLES = {
    "container": {"id": "'c' || n", "config": "'{}'", "created_at": TIME, "updated_at": TIME},
    "image": {
        "id": "'i' || n",
        "container_id": "'c' || n % 1000",
        "name": "'name' || n % 500",
        "parent_image_id": "'i' || n / 2",
        "mcp_servers": "'{}'",
        "metadata": "'{}'",
        "created_at": TIME,
        "updated_at": TIME,
    },
    "session": {
        "id": "'s' || n - 1",
        "agent_id": f"'agent' || {SKEWED}",
        "user_id": USER,
        "status": f"(ARRAY['active', 'completed', 'failed'])[1 + least({SKEWED}, 2)]",
        "metadata": "'{}'",
        "container_id": "'c' || n % 1000",
        "image_id": "'i' || n % 2000",
        "created_at": TIME,
        "updated_at": TIME,
        "last_activity_at": TIME,
    },
    "fence": {"session_id": "'s' || n - 1", "token": "1"},
    "head": {
        "kind": "(ARRAY['event', 'message', 'checkpoint', 'audit_log'])[1 + n % 4]",
        "owner": "CASE n % 4 WHEN 3 THEN 'session:' ELSE '' END || 's' || n / 4",
        "owned_by": "'s' || n / 4",
        "seq_num": "100",
        "hash": HASH,
        "base_seq": "0",
        "base_hash": HASH,
        "log_end": "0",
        "removed": "0",
        "closed": "false",
    },
    "message": {
        "message_id": "'m' || n",
        "session_id": SESSION,
        "seq_num": NUMBER,
        "role": "'user'",
        "kind": "'user'",
        "content": "'\"Hello\"'",
        "tool_calls": "'null'",
        "metadata": "'{}'",
        "raw": "'null'",
        "created_at": TIME,
    },
    "event": {
        "event_id": "'e' || n",
        "session_id": SESSION,
        "seq_num": NUMBER,
        "hash": HASH,
        "type": "'chat_message'",
        "payload": "'{}'",
        "schema_version": "0",
        "created_at": TIME,
    },
    "checkpoint": {
        "checkpoint_id": "'k' || n",
        "session_id": SESSION,
        "run_id": "'run' || n % 5",
        "schema_version": "0",
        "state": "'{}'",
        "seq_num": NUMBER,
        "metadata": "'{}'",
        "created_at": TIME,
    },
    "checkpoint_items": {
        "session_id": SESSION,
        "start": NUMBER,
        "stop": f"{NUMBER} + 1",
        "digests": "'0123456789abcdef'::bytea",
        "items": "'1'",
    },
    "memory": {
        "id": "'y' || n",
        "natural_key": "lpad(n::text, 64, '0')",
        "agent_id": f"'agent' || {SKEWED}",
        "user_id": USER,
        "session_id": "'s' || n % 1000",
        "kind": "'long_term'",
        "key": "'key' || n",
        "value": "'1'",
        "schema_version": "0",
        "created_at": TIME,
        "updated_at": TIME,
    },
    "auditlog": {
        "id": "'a' || n",
        "chain": f"'session:' || {SESSION}",
        "owner": SESSION,
        "session_id": SESSION,
        "agent_id": f"'agent' || {SKEWED}",
        "user_id": USER,
        "actor": f"'actor' || {SKEWED}",
        "action": f"'action' || {SKEWED}",
        "resource": "'resource' || n % 3000",
        "detail": "'{}'",
        "seq_num": NUMBER,
        "hash": HASH,
        "created_at": TIME,
    },
    "artifact": {
        "id": "'f' || n",
        "scope": f"lpad({SESSION}, 64, '0')",
        "session_id": SESSION,
        "user_id": USER,
        "name": "'name' || n % 500",
        "version": NUMBER,
        "size": "4",
        "sha256": "lpad(n::text, 64, '0')",
        "metadata": "'{}'",
        "created_at": TIME,
    },
    "blob": {"id": "lpad(n::text, 64, '0')", "kept": "'file'", "others": "'{}'", "used_at": TIME},
    "topic": {"name": "'p' || n - 1", "owner": "'p' || n - 1", "seq_num": "100", "base_seq": "0"},
    "queueentry": {
        "topic": "'p' || (n - 1) / 100",
        "owner": "'p' || (n - 1) / 100",
        "seq_num": NUMBER,
        "event": "'{}'",
        "created_at": TIME,
        "key": "'k' || n",
    },
    "consumer": {"topic": "'p' || n / 3", "name": "'c' || n % 3", "seq_num": "50", "seen_at": TIME},
    "trace": {
        "id": "'t' || n",
        "trace_id": "'run' || n / 50",
        "session_id": SESSION,
        "kind": "'node'",
        "input": "'null'",
        "output": "'null'",
        "status": "'ok'",
        "attributes": "'{}'",
        "resource": "'{}'",
        "events": "'[]'",
        "links": "'[]'",
        "started_at": TIME,
    },
}

Call = Callable[[Storage], Any]


def ways(method: str, *ways: dict[str, Any]) -> list[Call]:
    """Calls of the method with each of these arguments."""

    def call(arguments: dict[str, Any]) -> Call:
        return lambda store: getattr(store, method)(**arguments)

    return [call(arguments) for arguments in ways]


def purge(store: Storage) -> None:
    with store.purge_permit(reason="too old") as permit:
        permit.purge_events("s250", through_seq=50)
        permit.purge_audit_logs("s250")


def put(store: Storage) -> Artifact:
    return store.put_artifact(Artifact(id="new", name="new"), b"data")


def load_again(kind: str) -> Call:
    return lambda store: store.load(first(store.scan(kind), 3))


SESSION_FILTERS: list[dict[str, Any]] = [
    {},
    {"agent_id": "agent0"},
    {"agent_id": "agent4"},
    {"agent_id": "agent7"},
    {"agent_id": "agent9"},
    {"user_id": "user8"},
    {"user_id": "heavy4"},
    {"agent_id": "agent0", "user_id": "user8"},
    {"status": "failed"},
    {"status": "unheard of"},
    {"container_id": "c7"},
    {"image_id": "i7"},
    {"include_deleted": True},
]
#: Each method that names something, in the ways that its arguments can be combined.
CALLS: dict[str, list[Call]] = {
    "create_session": [lambda store: store.create_session(Session(id="new"))],
    "ensure_session": [
        lambda store: store.ensure_session(Session(id="new")),
        lambda store: store.ensure_session(Session(id="s250")),
    ],
    "save_session": [
        lambda store: store.save_session(Session(id="new")),
        lambda store: store.save_session(Session(id="s250")),
    ],
    "get_session": [lambda store: store.get_session("s250")],
    "update_session": [lambda store: store.update_session(Session(id="s250"))],
    "patch_session": [lambda store: store.patch_session("s250", title="new")],
    "patch_session_metadata": [lambda store: store.patch_session_metadata("s250", {"k": 1})],
    "list_sessions": ways(
        "list_sessions",
        *(
            {**given, "order": order, "offset": offset}
            for order in ("-created_at", "-last_activity_at")
            for offset in (0, 100)
            for given in SESSION_FILTERS
        ),
        *(
            {**given, "order": order, "after": Session(id="s250", created_at=START, last_activity_at=START)}
            for order in ("-created_at", "-last_activity_at")
            for given in ({}, {"agent_id": "agent0"})
        ),
    ),
    "iter_sessions": ways("iter_sessions", {}, {"agent_id": "agent0"}, {"user_id": "user8"}),
    "delete_session": ways("delete_session", {"id": "s250"}, {"id": "s250", "hard": True}),
    "set_legal_hold": [lambda store: store.set_legal_hold("s250", True, actor="a", reason="r")],
    "erase_session": [lambda store: store.erase_session("s250")],
    "restore_session": [lambda store: [store.delete_session("s250"), store.restore_session("s250")]],
    "add_message": [lambda store: store.add_message(Message(session_id="s250", role="user"))],
    "add_messages": [
        lambda store: store.add_messages(
            [Message(id="m25001", session_id=id, role="user", content="Hello") for id in ("s250", "s251")]
        )
    ],
    "get_message": ways("get_message", {"id": "m25001"}, {"id": "m25001", "session_id": "s250"}),
    "context": [lambda store: store.context("s250", provider="openai")],
    "find_messages": [lambda store: store.find_messages(["m25001", "m25002"])],
    "get_messages": [lambda store: store.get_messages("s250", ["m25001", "m25002"])],
    "list_messages": ways(
        "list_messages",
        {"session_id": "s250"},
        {"session_id": "s250", "order": "desc", "limit": 50},
        {"session_id": "s250", "roles": ["user"]},
        {"session_id": "s250", "since": START, "until": START},
        {"session_id": "s250", "offset": 9},
        {"session_id": "s250", "after": Message(session_id="s250", role="user", seq_num=9)},
    ),
    "iter_messages": ways("iter_messages", {"session_id": "s250"}),
    "delete_message": ways("delete_message", {"id": "m25001"}, {"id": "m25001", "session_id": "s250"}),
    "delete_messages": [lambda store: store.delete_messages("s250")],
    "truncate_messages": [lambda store: store.truncate_messages("s250", "m25090")],
    "count_messages": [lambda store: store.count_messages("s250")],
    "last_message_seq": [lambda store: store.last_message_seq("s250")],
    "token_usage": [lambda store: store.token_usage("s250")],
    # Of a period: all that some sessions have is, in so small a table, cheapest to find by reading it whole.
    "usage": ways(
        "usage",
        {"since": START, "until": START + timedelta(hours=1)},
        {"user_id": "user8", "since": START, "until": START + timedelta(hours=1)},
        {"agent_id": "agent0", "since": START, "until": START + timedelta(hours=1)},
    ),
    "put_memory": [
        lambda store: store.put_memory(MemoryRecord(agent_id="agent9", key="new")),
        lambda store: store.put_memory(MemoryRecord(id="y500", agent_id="agent9", key="new")),
    ],
    "put_memories": [
        lambda store: store.put_memories(
            MemoryRecord(id=id, agent_id="agent9", key=f"new{id}") for id in ("", "y500", "y501")
        )
    ],
    "get_memory": ways(
        "get_memory",
        {"agent_id": "agent0", "key": "key500"},
        {"agent_id": "agent0", "key": "key500", "user_id": "user500"},
        {"agent_id": "agent0", "key": "key500", "session_id": "s250", "kind": "long_term"},
    ),
    "list_memory": ways(
        "list_memory",
        {"agent_id": "agent0", "limit": 20},
        {"agent_id": "agent9"},
        {"agent_id": "agent9", "kind": "long_term"},
        {"agent_id": "agent0", "user_id": "user8"},
        {"agent_id": "agent0", "session_id": "s7"},
        {"agent_id": "agent0", "prefix": "key500"},
    ),
    "iter_memory": ways("iter_memory", {"agent_id": "agent0"}),
    "delete_memory": [lambda store: store.delete_memory("y500")],
    "append_audit_log": [
        lambda store: store.append_audit_log(AuditLog(session_id="s250")),
        lambda store: store.append_audit_log(AuditLog(agent_id="new")),
    ],
    "insert_audit_log": [lambda store: store.insert_audit_log(AuditLog(session_id="s250"))],
    "list_audit_logs": ways(
        "list_audit_logs",
        {},
        {"session_id": "s250"},
        {"agent_id": "agent0"},
        {"agent_id": "agent9"},
        {"user_id": "user8"},
        {"user_id": "heavy4"},
        {"actor": "actor0"},
        {"actor": "actor9"},
        {"action": "action0"},
        {"action": "unheard of"},
        {"resource": "resource7"},
        {"since": START, "until": START + timedelta(hours=1)},
        {"user_id": "user8", "actor": "actor0", "limit": None},
        {"offset": 100},
    ),
    "iter_audit_logs": ways("iter_audit_logs", {}, {"agent_id": "agent0"}),
    "insert_trace": [
        lambda store: store.insert_trace(Trace(id="new")),
        lambda store: store.insert_trace(Trace(id="t500", session_id="s4")),
        lambda store: store.insert_trace(Trace(id="newer", parent_id="t500")),
    ],
    "insert_traces": [lambda store: store.insert_traces([Trace(id="new"), Trace(id="t500", session_id="s4")])],
    "end_trace": [lambda store: store.end_trace("t500")],
    "get_trace": [lambda store: store.get_trace("t500")],
    "list_traces": ways(
        "list_traces",
        {"session_id": "s250"},
        {"trace_id": "run500"},
        {"session_id": "s250", "trace_id": "run1000", "kind": "node", "failed": True},
    ),
    "iter_traces": ways("iter_traces", {"session_id": "s250"}, {"trace_id": "run500"}),
    "trace_tree": [lambda store: store.trace_tree("s250")],
    "acquire": [lambda store: store.acquire("s250", "worker", force=True)],
    "renew": [lambda store: store.renew(store.acquire("s250", "worker", force=True))],
    "release": [lambda store: store.release(store.acquire("s250", "worker", force=True))],
    "get_fence": [lambda store: store.get_fence("s250")],
    "append_event": [
        lambda store: store.append_event(Event(session_id="s250")),
        lambda store: store.append_event(Event(id="e25001", session_id="s250")),
    ],
    "append_events": [
        lambda store: store.append_events([Event(session_id=id) for id in ("s250", "s251")]),
        lambda store: store.append_events([Event(id="e25001", session_id="s250")]),
    ],
    "get_event": ways("get_event", {"id": "e25001"}, {"id": "e25001", "session_id": "s250"}),
    "list_events": ways(
        "list_events",
        {"session_id": "s250"},
        {"session_id": "s250", "after_seq": 50},
        {"session_id": "s250", "types": ["chat_message"], "limit": 10},
    ),
    "list_chain": ways(
        "list_chain",
        {"kind": "event", "chain": "s250", "after_seq": 50, "limit": 1},
        {"kind": "audit_log", "chain": "session:s250", "limit": 1},
    ),
    "iter_events": ways("iter_events", {"session_id": "s250"}),
    "get_recent_events": [lambda store: store.get_recent_events("s250", 10)],
    "count_events": [lambda store: store.count_events("s250")],
    "last_seq": [lambda store: store.last_seq("s250")],
    "save_checkpoint": [
        lambda store: store.save_checkpoint(Checkpoint(session_id="s250")),
        lambda store: store.save_checkpoint(Checkpoint(session_id="s250", namespace="new", seq_num=7)),
    ],
    "get_checkpoint": ways("get_checkpoint", {"id": "k25001"}, {"id": "k25001", "session_id": "s250"}),
    "get_latest_checkpoint": ways(
        "get_latest_checkpoint",
        {"session_id": "s250"},
        {"session_id": "s250", "run_id": "run1"},
        {"session_id": "s250", "run_id": "unheard of"},
    ),
    "list_checkpoints": ways(
        "list_checkpoints",
        {"session_id": "s250"},
        {"session_id": "s250", "run_id": "run1"},
        {"session_id": "s250", "before_seq": 50, "limit": 10},
        {"session_id": "s250", "metadata": {"source": "loop"}},
    ),
    "list_namespaces": [lambda store: store.list_namespaces("s250")],
    "iter_checkpoints": ways("iter_checkpoints", {"session_id": "s250"}),
    "delete_checkpoint": ways("delete_checkpoint", {"id": "k25001"}, {"id": "k25001", "session_id": "s250"}),
    "delete_checkpoints": ways(
        "delete_checkpoints",
        {"session_id": "s250", "keep_last": 5},
        {"session_id": "s250", "run_ids": ["run1"], "keep_last": 5},
    ),
    "fork_session": [lambda store: store.fork_session("k25001")],
    "put_artifact": [
        lambda store: put(store),
        lambda store: store.put_artifact(Artifact(id="new", name="new", session_id="s250"), b"data"),
        lambda store: [put(store) for _ in "12"],
    ],
    "load_content": [lambda store: store.load_content(b"new", hashlib.sha256(b"new").hexdigest())],
    "get_artifact": ways(
        "get_artifact",
        {"name": "name7"},
        {"name": "name7", "session_id": "s250", "user_id": "user8", "version": 7},
    ),
    "open_artifact": [lambda store: store.open_artifact(put(store).id).close()],
    "list_artifacts": ways(
        "list_artifacts",
        {"limit": 20},
        {"limit": 20, "offset": 100},
        {"session_id": "s250"},
        {"user_id": "user8"},
        {"user_id": "heavy4", "limit": 20},
        {"name": "name7"},
        {"session_id": "s250", "user_id": "user8", "name": "name7"},
        {"name": "name7", "after": Artifact(id="f500", name="name7", created_at=START)},
    ),
    "delete_artifact": [
        lambda store: store.delete_artifact("f25001"),
        lambda store: store.delete_artifact(put(store).id),
    ],
    # Few have bytes that nobody used for long.
    "sweep_artifacts": [
        lambda store: [put(store), store.sweep_artifacts(older_than=records.now() - START - timedelta(minutes=1))]
    ],
    "erase_artifact": [lambda store: store.erase_artifact("f25001")],
    "erase_content": [lambda store: store.erase_content("0" * 64)],
    "sweep_erased": [lambda store: store.sweep_erased()],
    "save_container": [lambda store: store.save_container(Container(id="c500"))],
    "get_container": [lambda store: store.get_container("c500")],
    "list_containers": ways("list_containers", {"limit": 20}, {"limit": 20, "offset": 20}),
    "container_exists": [lambda store: store.container_exists("c500")],
    "delete_container": [lambda store: store.delete_container("c500")],
    "save_image": [lambda store: store.save_image(Image(id="i500"))],
    "get_image": [lambda store: store.get_image("i500")],
    "list_images": ways(
        "list_images",
        {"limit": 20},
        {"name": "name7"},
        {"container_id": "c7"},
        {"name": "name7", "container_id": "c7"},
    ),
    "image_exists": [lambda store: store.image_exists("i500")],
    "patch_image_metadata": [lambda store: store.patch_image_metadata("i500", {"k": 1})],
    "delete_image": [lambda store: store.delete_image("i500")],
    "get_image_session": [lambda store: store.get_image_session("i500")],
    "verify_events": [lambda store: store.verify_events("s250")],
    "verify_audit_logs": ways("verify_audit_logs", {"session_id": "s250"}, {"agent_id": "agent0"}),
    "purge_permit": [purge],
    "scan": ways(
        "scan",
        *(
            given | {"kind": kind}
            for kind in ("session", "message", "memory", "audit_log", "trace", "event", "checkpoint", "artifact")
            for given in ({}, {"user_id": "user8"}, {"user_id": "heavy9"})
        ),
    ),
    "load": [load_again(kind) for kind in KINDS],
}
#: The same of the queue.
QUEUE_CALLS: dict[str, list[Callable[[OrmQueue], Any]]] = {
    "publish": [
        lambda queue: queue.publish("p250", {}),
        lambda queue: queue.publish("new", {}),
        lambda queue: [queue.publish("p250", {}, key="again") for _ in "12"],
    ],
    "erase_topic": [lambda queue: queue.erase_topic("p250")],
    "recover": [
        lambda queue: queue.recover("p250"),
        lambda queue: queue.recover("p250", cursor_of(50)),
        lambda queue: queue.recover("p250", cursor_of(100)),
    ],
    "recover_page": [
        lambda queue: queue.recover_page("p250", limit=20),
        lambda queue: queue.recover_page("p250", cursor_of(50)),
    ],
    "last_cursor": [lambda queue: queue.last_cursor("p250")],
    "ack": [
        lambda queue: queue.ack("c1", "p250", cursor_of(60)),
        lambda queue: queue.ack("new", "p250", cursor_of(60)),
    ],
    "get_cursor": [lambda queue: queue.get_cursor("c1", "p250")],
    "unread_count": [lambda queue: queue.unread_count("c1", "p250")],
    "cleanup": [lambda queue: queue.cleanup(older_than=records.now() - START - timedelta(minutes=1))],
    "look": [lambda queue: queue._last_numbers(["p1", "p2"])],
}
DAY = Period(START + timedelta(days=5), START + timedelta(days=6), hourly=True)
#: What the admin asks for besides.
PAGES: dict[str, list[Call]] = {
    "overview of a day": [
        lambda store, source=source: collect(store.alias, source, DAY)  # type: ignore[misc]
        for source in SOURCES
    ],
    "spans of an hour": [
        lambda store: list(
            Trace_.objects.using(store.alias).filter(started_at__range=(START, START + timedelta(hours=1)))
        )
    ],
    "failures of a session": [
        lambda store: list(Message_.objects.using(store.alias).filter(failed(Message_), session_id="s250")),
        lambda store: list(Trace_.objects.using(store.alias).filter(failed(Trace_), session_id="s250")),
    ],
    "family of an image": [lambda store: family(Image_.objects.using(store.alias), Image_(id="i500", pk="i500"))],
    "audit log by prefix": [
        lambda store: list(
            AuditLog_.objects.using(store.alias)
            .filter(starts_with("resource", "resource299"), created_at__gte=START)
            .order_by("-created_at", "-pk")[:50]
        )
    ],
    "timeline": [lambda store: Timeline(store.alias, "s250", STREAMS).page({})],
    "timeline, its end": [lambda store: Timeline(store.alias, "s250", STREAMS).page_before(None)],
    "timeline, an event that failed": [lambda store: Timeline(store.alias, "s250", STREAMS, errors=True).next({})],
    "timeline around an event": [lambda store: Timeline(store.alias, "s250", STREAMS).around("event", 25_050)],
}
#: These name nothing: they go through everything, or through no table of records.
NAMELESS = {"atomic", "chain_heads", "close", "health", "migrate", "session", "verify_all"}


def first(records: Iterator[Any], count: int = 600) -> list[Any]:
    """The first of them, more than a page."""
    return [record for record, _ in zip(records, range(count), strict=False)]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Storage]:
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path_factory.mktemp("plans")) as [address]:
        store = connect(address, migrate=True)
        assert isinstance(store.backend, OrmBackend)
        with connections[store.alias].cursor() as cursor:
            # Neither references nor indexes are kept up row by row: the rows fit, and indexes are made of whole tables.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes"
                " WHERE tablename LIKE 'chronos%' AND indexdef NOT LIKE '%UNIQUE%'"
            )
            indexes = dict(cursor.fetchall())
            for name in indexes:
                cursor.execute(f"DROP INDEX {name}")
            for name, columns in TABLES.items():
                [model] = [model for model in MODELS if model._meta.db_table == f"chronos_storage_{name}"]
                values = dict.fromkeys(strings(model), "''") | columns
                cursor.execute(
                    f"INSERT INTO {model._meta.db_table} ({', '.join(values)}) "
                    f"SELECT {', '.join(values.values())} FROM generate_series(1, {ROWS}) AS n"
                )
            for definition in indexes.values():
                cursor.execute(definition)
            cursor.execute("SET session_replication_role = DEFAULT")
            cursor.execute("VACUUM ANALYZE")
        yield store


def strings(model: Any) -> list[Any]:
    """The columns that are empty unless something is given."""
    return [field.column for field in model._meta.concrete_fields if isinstance(field, IdField | TextField)]


Plans = dict[str, list[tuple[str, Any]]]


@pytest.fixture(scope="module")
def plans(full: Storage) -> Plans:
    """The statements of each method that look for rows, each with its plan."""
    queue = OrmQueue(using=full.alias)
    return {
        name: [planned for call in calls for planned in plans_of(target, call)]
        for target, known in ((full, CALLS | PAGES), (queue, QUEUE_CALLS))
        for name, calls in known.items()
    }


def plans_of(store: Any, call: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    connection = connections[store.alias]
    with transaction.atomic(using=store.alias), CaptureQueriesContext(connection) as queries:
        result = call(store)
        if isinstance(result, Iterator):
            first(result)
        transaction.set_rollback(True, using=store.alias)
    with connection.cursor() as cursor:
        for statement in [query["sql"] for query in queries]:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
                [[[plan]]] = cursor.fetchall()
                yield statement, plan["Plan"]


def nodes(plan: Any) -> Iterator[Any]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


#: What goes through a queue for care or a copy, and so through all of it.
QUEUE_READS_ALL = {"erase_user", "kept", "lags", "list_user_entries", "load", "topics"}


def test_every_method_is_looked_at() -> None:
    methods = {name for name, _ in inspect.getmembers(Storage, inspect.isfunction) if not name.startswith("_")}
    variants = {f"a{name}" for name in methods} | {"arun_atomic"}
    assert set(CALLS) == methods - variants - NAMELESS
    methods = {name for name, _ in inspect.getmembers(EventQueue, inspect.isfunction) if not name.startswith("_")}
    variants = {f"a{name}" for name in methods}
    # subscriptions and streams look, and read as `recover` does
    rest = {"subscribe", "stream", "close", *QUEUE_READS_ALL}
    assert set(QUEUE_CALLS) - {"look"} == methods - variants - rest


def test_no_method_reads_a_whole_table(plans: Plans, subtests: pytest.Subtests) -> None:
    for name, planned in plans.items():
        with subtests.test(name):
            assert planned
            whole = [
                f"{statement}\n{json.dumps(plan)}"
                for statement, plan in planned
                for node in nodes(plan)
                if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("chronos")
            ]
            assert whole == []


def test_every_index_is_of_use(plans: Plans) -> None:
    used = {node.get("Index Name") for planned in plans.values() for _, plan in planned for node in nodes(plan)}
    declared = {each.name for model in MODELS for each in (*model._meta.indexes, *model._meta.total_unique_constraints)}
    assert declared - used == set()


def test_a_walk_goes_on_at_its_place_in_the_index(full: Storage) -> None:
    """Only the page's own rows are read, however many there are with the same value in the first column."""
    for kind in ("message", "event", "checkpoint", "audit_log"):
        *_, last = first(full.scan(kind), 50)
        [*_, (statement, plan)] = plans_of(full, partial(Storage.scan, kind=kind, after=last))
        # Of what adds up how much a page's rows hold, and of what reads them.
        found = [node["Index Cond"] for node in nodes(plan) if "Index Cond" in node]
        assert [where[:5] for where in found] == ["(ROW("] * 2, statement


#: Pages that are walks of an index, with and without statistics.
WALKS: list[Call] = [
    lambda store: store.get_recent_events("s250", 50),
    lambda store: store.list_messages("s250", order="desc", limit=50),
    lambda store: store.list_events("s250", after_seq=10, limit=50),
    lambda store: store.get_latest_checkpoint("s250"),
    *ways(
        "list_sessions",
        *(
            {**given, "order": order, "limit": 20, "offset": offset}
            for order in ("-created_at", "-last_activity_at")
            for offset in (0, 380)
            for given in ({}, {"agent_id": "agent0"}, {"agent_id": "agent9"}, {"user_id": "heavy4"})
        ),
        {"user_id": "user8", "limit": 20},
        {"container_id": "c7", "limit": 20},
        {"agent_id": "agent0", "after": Session(id="s250", created_at=START + timedelta(days=3)), "limit": 20},
    ),
]


def is_walk(plan: Any) -> bool:
    """Whether what is read is read in an index's order."""
    return [kind for node in nodes(plan) if (kind := node["Node Type"]) != "Result"] == ["Limit", "Index Scan"]


def test_iterators_walk_too_before_there_are_statistics(full: Storage) -> None:
    with transaction.atomic(using=full.alias), connections[full.alias].cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic WHERE starelid::regclass::text LIKE 'chronos_storage%'")
        calls = (lambda store: store.iter_events("s250"), lambda store: store.iter_sessions(user_id="heavy4"))
        planned = [planned for call in calls for planned in plans_of(full, call)]
        transaction.set_rollback(True, using=full.alias)
    assert planned
    sorted_ = [statement for statement, plan in planned for node in nodes(plan) if node["Node Type"] == "Sort"]
    assert sorted_ == []


def test_a_page_is_a_walk_of_an_index_before_there_are_statistics_as_after(full: Storage) -> None:
    planned = [planned for call in WALKS for planned in plans_of(full, call)]
    with transaction.atomic(using=full.alias), connections[full.alias].cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic WHERE starelid::regclass::text LIKE 'chronos_storage%'")
        cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename LIKE 'chronos_storage%'")
        assert cursor.fetchone() == (0,)
        planned += [planned for call in WALKS for planned in plans_of(full, call)]
        transaction.set_rollback(True, using=full.alias)
    assert len(planned) == 2 * len(WALKS)
    assert [statement for statement, plan in planned if not is_walk(plan)] == []


def test_so_is_one_whose_statement_is_planned_for_all_values_at_once(full: Storage) -> None:
    KEPT.clear()
    for call in WALKS:
        call(full)
    statements = [sql for (alias, _, _), (sql, _, _) in KEPT.items() if alias == full.alias and " LIMIT " in sql]
    assert len(statements) > 10
    with connections[full.alias].cursor() as cursor:
        for statement in statements:
            text, *others = statement.split("%s")
            numbered = text + "".join(f"${number}{rest}" for number, rest in enumerate(others, 1))
            cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered}")
            [[[plan]]] = cursor.fetchall()
            assert is_walk(plan["Plan"]), statement


def test_a_check_says_when_a_setting_is_against_walks(full: Storage) -> None:
    assert check_walks(databases=[full.alias]) == []
    with transaction.atomic(using=full.alias), connections[full.alias].cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic")  # by which the rows lie in the order of these times
        cursor.execute("SET LOCAL random_page_cost = 400")
        [warning] = check_walks(databases=[full.alias])
        cursor.execute("SHOW random_page_cost")
        assert cursor.fetchone() == ("400",)  # as it was
        transaction.set_rollback(True, using=full.alias)
    assert (warning.id, "random_page_cost is 400." in warning.msg) == ("chronos_storage.W006", True)


@pytest.mark.django_db(databases=["default"])
def test_so_does_a_walk_on_sqlite() -> None:
    store = Storage(OrmBackend(using="default"))
    store.create_session(Session(id="s"))
    last = store.append_event(Event(session_id="s"))
    with CaptureQueriesContext(connections["default"]) as queries, connections["default"].cursor() as cursor:
        assert list(store.scan("event", after=last)) == []
        cursor.execute(f"EXPLAIN QUERY PLAN {queries[-1]['sql']}")
        searches = [plan for *_, plan in cursor.fetchall() if plan.startswith("SEARCH")]
    assert [plan for plan in searches if "(session_id,seq_num)>(?,?)" in plan]


@pytest.mark.skipif("mariadb" not in settings.DATABASES, reason="there is no MariaDB")
@pytest.mark.django_db(databases=["mariadb"])
def test_so_does_a_walk_on_mariadb() -> None:
    store = Storage(OrmBackend(using="mariadb"))
    store.create_session(Session(id="s"))
    *_, last = store.append_events([Event(session_id="s")] * 500)
    store.append_events([Event(session_id="s")] * 3)

    def rows_read() -> int:
        with connections["mariadb"].cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            return sum(int(count) for _, count in cursor.fetchall())

    before = rows_read()
    assert len(list(store.scan("event", after=last))) == 3
    assert rows_read() - before < 20  # each twice, as what they hold is added up first
