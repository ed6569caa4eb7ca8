"""Transactions, and the ledger's events on the queue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import Error, run_checks
from django.db import transaction

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import ConfigurationError, CursorExpired
from chronos_storage.facade import Storage
from chronos_storage.queues import outbox
from chronos_storage.queues.handler import queue_handler
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import Event, Session
from chronos_storage.testing.conformance.helpers import exactly, failing
from chronos_storage.testing.queues.helpers import Collector, events, publish
from tests.conftest import STRICTEST


def test_what_is_rolled_back_was_never_published(event_queue_committed: OrmQueue) -> None:
    queue, handler = event_queue_committed, Collector()
    queue.subscribe("t", handler)
    publish(queue, "t", 1)
    with failing(transaction.atomic(using=queue.alias)):
        queue.publish("t", "rolled back")
        assert events(queue.recover("t")) == [0, "rolled back"]
    with transaction.atomic(using=queue.alias):
        queue.publish("t", 1)
        with failing(transaction.atomic(using=queue.alias)):
            queue.publish("t", "rolled back with its savepoint")
        queue.publish("t", 2)
    assert handler.wait(3) == events(queue.recover("t")) == [0, 1, 2]


@pytest.fixture
def fed(alias: str, settings, transactional_db: None) -> Iterator[tuple[Storage, OrmQueue]]:
    """A storage whose events are published."""
    settings.CHRONOS_STORAGE = configured(alias, alias)
    storage = Storage(OrmBackend(using=alias))
    storage.create_session(Session(id="s"))
    queue: Any = queue_handler.only
    yield storage, queue
    queue.close()


def configured(storage: str, queue: str, **options: Any) -> dict[str, Any]:
    backend = "chronos_storage.backends.orm.OrmBackend"
    return {
        "STORAGES": {"default": {"BACKEND": backend, "OPTIONS": {"USING": storage}}},
        "QUEUE": {"OPTIONS": {"USING": queue, **options}, "PUBLISH_EVENTS": True},
    }


def test_appended_events_are_published(fed: tuple[Storage, OrmQueue]) -> None:
    storage, queue = fed
    handler = Collector()
    queue.subscribe("session:s", handler)
    one = storage.append_event(Event(session_id="s", id="e", type="t", payload={"b": 1.0, "a": None}))
    storage.append_event(Event(session_id="s", id="e", type="t", payload={"b": 1.0, "a": None}))
    many = storage.append_events([Event(session_id="s", id=id, type="t", payload=[]) for id in ("e", "f", "g")][1:])
    storage.append_events([Event(session_id="s", id="g", type="t", payload=[]), Event(session_id="s", id="h")])
    with failing(storage.atomic()):
        storage.append_event(Event(session_id="s", id="lost"))
    entries = queue.recover("session:s")
    stored = storage.list_events("s")
    assert [event["id"] for event in events(entries)] == ["e", "f", "g", "h"]
    assert exactly(events(entries)) == exactly([outbox.as_json(event) for event in stored])
    assert stored[:3] == [one, *many]
    assert one.created_at is not None
    assert events(entries)[0]["created_at"] == one.created_at.isoformat()
    assert [event["seq_num"] for event in handler.wait(4)] == [1, 2, 3, 4]


def test_what_is_published_is_the_event_whichever_way_it_was_appended(fed: tuple[Storage, OrmQueue]) -> None:
    storage, queue = fed
    times = (datetime(2026, 1, 2, tzinfo=UTC), datetime(1999, 12, 31, 23, 59, 59, 120, UTC))
    for number, timestamp in enumerate(times):
        odd = Event(
            session_id="s",
            id=f'"\\\n\x1f\x7f\u2028é𝄞{number}',
            type="/<&'",
            payload=[1e300, -0.0, 0.1, 2**63 - 1, {"z": "\u2028", "a": None}],
            schema="\t",
            schema_version=3,
            created_at=timestamp,
        )
        storage.append_event(odd)
        storage.append_events([replace(odd, id="many" + odd.id), Event(session_id="s", payload="")])
    stored = [outbox.as_json(event) for event in storage.list_events("s")]
    assert exactly(events(queue.recover("session:s"))) == exactly(stored)
    assert all(entry.created_at and entry.created_at.year > 2025 for entry in queue.recover("session:s"))


@pytest.mark.one_node
@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_an_event_is_appended_and_published_in_one_statement(
    fed: tuple[Storage, OrmQueue], django_assert_num_queries: Any
) -> None:
    storage, queue = fed
    storage.append_event(Event(session_id="s"))  # a process asks once whether the tables are spread over workers
    for _ in range(2):
        with django_assert_num_queries(1, using=queue.alias):
            storage.append_event(Event(session_id="s"))
    assert [entry["seq_num"] for entry in events(queue.recover("session:s"))] == [1, 2, 3]


def test_the_largest_payload_has_room(fed: tuple[Storage, OrmQueue]) -> None:
    storage, queue = fed
    nested: Any = "l" * (4 * 1024 * 1024 - 300)
    for _ in range(100):
        nested = [nested]
    storage.append_event(Event(session_id="s", payload=nested))
    [entry] = queue.recover("session:s")
    assert entry.event["payload"] == nested


def test_a_session_that_is_removed_takes_its_entries_along(fed: tuple[Storage, OrmQueue]) -> None:
    storage, queue = fed
    start = queue.last_cursor("session:s")
    storage.append_event(Event(session_id="s"))
    last = queue.last_cursor("session:s")
    storage.delete_session("s", hard=True)
    assert queue.recover("session:s") == []
    with pytest.raises(CursorExpired):
        queue.recover("session:s", start)
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    assert [event["seq_num"] for event in events(queue.recover("session:s", last))] == [1]


def test_without_the_setting_nothing_is_published(event_queue: OrmQueue, storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    storage.append_events([Event(session_id="s")])
    assert event_queue.recover("session:s") == []


OTHERS = [alias for alias in django_settings.DATABASES if alias != "default"][:1]


def test_a_storage_that_is_no_database_publishes_nothing_and_a_check_says_so(settings) -> None:
    memory = {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}
    settings.CHRONOS_STORAGE = {**configured("default", "default"), "STORAGES": {"default": memory}}
    [warning] = [message for message in run_checks(tags=["compatibility"]) if message.id == "chronos_storage.W007"]
    assert 'CHRONOS_STORAGE["STORAGES"]["default"] is no Django database' in warning.msg


@pytest.mark.skipif(not OTHERS, reason="there is one database only")
@pytest.mark.django_db(databases=["default"])
def test_a_queue_in_another_database_is_refused(settings) -> None:
    settings.CHRONOS_STORAGE = configured("default", OTHERS[0])
    assert errors() == ["chronos_storage.E006"]
    storage = Storage(OrmBackend(using="default"))
    storage.create_session(Session(id="s"))
    for append in (
        lambda: storage.append_event(Event(session_id="s")),
        lambda: storage.append_events([Event(session_id="s")]),
    ):
        with pytest.raises(ConfigurationError, match="PUBLISH_EVENTS"):
            append()
    assert storage.list_events("s") == []


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, []),
        ([], ["E002"]),
        ({"PUBLISH": True}, ["E003"]),
        ({"BACKEND": "nowhere.Queue"}, ["E004"]),
        ({"OPTIONS": {"INTERVAL": 1}}, ["E004"]),
        ({"OPTIONS": {"USING": "unheard of"}}, ["E004"]),
        ({"OPTIONS": {"POLL_INTERVAL": 0}}, ["E004"]),
        ({"OPTIONS": {"POLL_INTERVAL": "1"}}, ["E004"]),
        ({"OPTIONS": {"REDIS_CACHE": "default"}}, ["E004"]),
        ({"PUBLISH_EVENTS": "yes"}, ["E005"]),
    ],
)
def test_checks(settings, section: Any, expected: list[str]) -> None:
    settings.CHRONOS_STORAGE = {"QUEUE": section}
    assert errors() == [f"chronos_storage.{id}" for id in expected]


def errors() -> list[str | None]:
    """The checks that fail; those of other tests' databases may warn."""
    return [message.id for message in run_checks(tags=["compatibility"]) if isinstance(message, Error)]


@pytest.mark.parametrize(
    "alias",
    [
        pytest.param(alias, marks=pytest.mark.django_db(databases=[alias]))
        for alias in django_settings.DATABASES
        if alias.startswith("postgres")
    ],
    indirect=True,
)
def test_publishing_is_one_statement(alias: str, event_queue: OrmQueue, django_assert_num_queries) -> None:
    with django_assert_num_queries(1, using=alias):
        event_queue.publish("t", 1)
