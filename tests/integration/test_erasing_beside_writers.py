"""Erasure while others write, in transactions that see the database as it was when they began."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event as Flag
from typing import Any

import pytest
from django.conf import settings
from django.db import connections

from chronos_storage import Storage
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import NotFound, RetryTransaction
from chronos_storage.operations.erasing import erase
from chronos_storage.records import AuditLog, Checkpoint, Event, Message, Session
from chronos_storage.testing.conformance.erasing import MARK
from chronos_storage.testing.conformance.helpers import PATIENCE
from tests.integration.test_erasing import USER, rows

SESSIONS = [f"{MARK}-{number}" for number in range(6)]
LEVELS: dict[str, dict[str, dict[str, Any]]] = {
    # as psycopg numbers them
    "postgres": {"repeatable read": {"isolation_level": 3}, "serializable": {"isolation_level": 4}},
    "mariadb": {
        "repeatable read": {"isolation_level": "repeatable read"},
        "snapshot": {"isolation_level": "repeatable read", "init_command": "SET innodb_snapshot_isolation = ON"},
        "serializable": {"isolation_level": "serializable"},
    },
}
#: Seconds between two writes of a writer: where one comes upon the other, whoever erases is told to begin anew.
PAUSE = 0.01
#: What a writer adds to a session, which is gone at some time.
WRITES: list[Callable[[Storage, str, str], object]] = [
    lambda storage, session, text: storage.append_event(Event(session_id=session, type=text, payload=text)),
    lambda storage, session, text: storage.add_message(Message(session_id=session, role="user", content=text)),
    lambda storage, session, text: storage.save_checkpoint(Checkpoint(session_id=session, state={"messages": [text]})),
]


@pytest.fixture(
    params=[
        pytest.param((alias, level), id=f"{alias}-{level}", marks=pytest.mark.django_db(databases=[alias]))
        for alias, levels in LEVELS.items()
        if alias in settings.DATABASES
        for level in levels
    ]
)
def strict(request: pytest.FixtureRequest, transactional_db: None, other_databases: None) -> Iterator[Storage]:
    """A store whose transactions keep to a snapshot."""
    alias, level = request.param
    known = connections.settings[alias]
    connections.settings["strict"] = known | {"OPTIONS": known["OPTIONS"] | LEVELS[alias][level]}
    yield Storage(OrmBackend("strict"))
    connections["strict"].close()
    del connections["strict"], connections.settings["strict"]


def test_nothing_of_the_person_is_left_and_the_others_have_all_that_was_acknowledged(strict: Storage) -> None:
    for id in SESSIONS:
        strict.create_session(Session(id=id, user_id=USER, agent_id="a"))
    strict.create_session(Session(id="ben", user_id="ben", agent_id="a"))
    for number in range(40):
        for user in (USER, "ben"):
            strict.append_audit_log(AuditLog(agent_id="a", user_id=user, actor=user, action=f"{number}"))
    is_over, have_begun = Flag(), [Flag() for _ in range(6)]

    def again(call: Callable[..., Any], *given: object) -> Any:
        """What a caller does who is told to: begin anew."""
        while True:
            with suppress(RetryTransaction):
                return call(*given)

    def write_of_person(number: int) -> int:
        count = 0
        try:
            for id in SESSIONS[::-1]:
                with suppress(NotFound):
                    while True:
                        again(WRITES[number % 3], strict, id, f"{MARK} {count}")
                        count += 1
                        have_begun[number].set()
                        is_over.wait(PAUSE)
        finally:
            connections["strict"].close()
        return count

    def write_of_others(number: int) -> list[str]:
        told = []
        try:
            while not is_over.is_set():
                entry = AuditLog(agent_id="a", user_id="ben", actor="ben", action="went on")
                told += [
                    again(strict.append_audit_log, entry).id,
                    again(strict.append_event, Event(session_id="ben")).id,
                ]
                have_begun[number].set()
                is_over.wait(PAUSE)
        finally:
            connections["strict"].close()
        return told

    with ThreadPoolExecutor(6) as pool:
        of_person = [pool.submit(write_of_person, number) for number in range(4)]
        of_others = [pool.submit(write_of_others, number) for number in range(4, 6)]
        try:
            deadline = time.monotonic() + PATIENCE
            assert all(flag.wait(deadline - time.monotonic()) for flag in have_begun)
            report = erase(strict, USER)
        finally:
            for id in SESSIONS:
                strict.delete_session(id, hard=True)  # so that all writers end, whatever came of it
            is_over.set()
        written = sum(each.result(PATIENCE) for each in of_person)
        told = {id for each in of_others for id in each.result(PATIENCE)}
    assert report.counts["session"] == len(SESSIONS)
    assert report.counts["audit_log"] == 40
    found = sum(report.counts[kind] for kind in ("event", "message", "checkpoint"))
    assert 0 < found <= written
    assert MARK not in repr(rows("strict"))
    assert told <= {record.id for kind in ("event", "audit_log") for record in strict.scan(kind)}
    assert [verdict for verdict in strict.verify_all() if not verdict.intact] == []
