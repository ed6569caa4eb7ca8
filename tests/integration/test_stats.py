"""What is told of a store: counts, growth, sizes, and how far behind the queue's consumers are."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage, connect, queue
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.operations.stats import stats
from chronos_storage.records import Event, Message, Session, Trace, now
from chronos_storage.testing.conformance.helpers import cases


def fill(storage: Storage) -> None:
    for days in (0, 3, 30):
        session = storage.create_session(Session(id=f"s{days}", created_at=now() - timedelta(days=days)))
        at = now() - timedelta(days=days, hours=1)
        storage.add_message(Message(session_id=session.id, role="user", created_at=at))
        storage.insert_trace(Trace(session_id=session.id, started_at=at))
    storage.append_event(Event(session_id="s0"))
    storage.delete_session("s3")


EXPECTED = {"session": (3, 1, 2), "message": (3, 1, 2), "trace": (3, 1, 2), "event": (1, 1, 1), "checkpoint": (0, 0, 0)}


def require_expected(report: Any) -> None:
    for kind in cases(EXPECTED):
        assert (report.counts[kind], report.day[kind], report.week[kind]) == EXPECTED[kind]


def test_a_database_counts_itself(storage: Storage, alias: str, command: Any, settings: Any) -> None:
    settings.CHRONOS_STORAGE = settings.CHRONOS_STORAGE | {"QUEUE": {"OPTIONS": {"USING": alias}}}
    fill(storage)
    queue.publish("t", 1)
    cursor = queue.publish("t", 2)
    queue.publish("t", 3)
    queue.ack("reader", "t", cursor)
    require_expected(stats(storage))
    ran = command("chronos_stats", json=True)
    assert (ran.status, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    assert report["counts"]["session"] == 3
    assert report["created_last_week"]["message"] == 2
    assert all(size > 0 for size in report["sizes"].values())
    assert len(report["sizes"]) > (0 if alias == "default" else 10)
    [lag] = report["lags"]
    assert (lag["topic"], lag["consumer"], lag["unread"], lag["live"]) == ("t", "reader", 1, True)
    shown = command("chronos_stats").stdout
    assert "topic 't', consumer 'reader': 1 unread" in shown
    assert shown.splitlines()[-1].startswith("Records: 10, 4 of the last day, ")


@pytest.mark.parametrize("address", ["memory", "files"])
def test_any_other_store_is_read_through(address: str, tmp_path: Path) -> None:
    storage = Storage(MemoryBackend()) if address == "memory" else connect(f"file://{tmp_path}", migrate=True)
    fill(storage)
    report = stats(storage)
    require_expected(report)
    assert report.lags is None
    assert bool(report.sizes) == (address == "files")
