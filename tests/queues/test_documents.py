"""The queue over documents keeps the contract, on a driver that all have and on one that is always in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage, queue, storages
from chronos_storage.backends.document import DocumentBackend, MemoryBackend
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.queues.documents import DocumentQueue
from chronos_storage.queues.handler import queue_handler
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.testing import EventQueueConformance
from chronos_storage.testing.queues.helpers import Collector, events
from chronos_storage.testing.queues.publishing import PublishContract
from tests.conformance.stubborn import StubbornDriver
from tests.conformance.test_example import DOCS


class TestDocumentQueue(EventQueueConformance):
    @pytest.fixture
    def event_queue(self) -> Iterator[DocumentQueue]:
        queue = DocumentQueue(Storage(MemoryBackend()), poll_interval=0.05)
        yield queue
        queue.close()

    @pytest.fixture
    def event_queue_committed(self, event_queue: DocumentQueue) -> DocumentQueue:
        return event_queue


class TestStubbornQueue(PublishContract):
    @pytest.fixture
    def event_queue(self) -> Iterator[DocumentQueue]:
        queue = DocumentQueue(Storage(DocumentBackend(StubbornDriver())))
        yield queue
        queue.close()

    @pytest.fixture
    def event_queue_committed(self, event_queue: DocumentQueue) -> DocumentQueue:
        return event_queue


def test_other_processes_news_is_found_by_looking() -> None:
    driver, handler = StubbornDriver(), Collector()
    one, other = (DocumentQueue(Storage(DocumentBackend(driver)), poll_interval=0.02) for _ in range(2))
    one.subscribe("t", handler)
    for number in range(3):
        other.publish("t", number)
    assert handler.wait(3) == [0, 1, 2]
    one.close()
    other.close()


def test_the_setting_names_any_storage(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "examples")
    documents = {"BACKEND": "one_table.OneTable", "OPTIONS": {"PATH": str(tmp_path / "agents.db")}}
    none = {"BACKEND": "chronos_storage.backends.none.NoBackend"}
    options = {"BACKEND": "one_table.OneTable", "OPTIONS": {"path": str(tmp_path / "agents.db")}}
    cached = {"BACKEND": "chronos_storage.backends.cached.CachedBackend", "OPTIONS": options}
    beside = "chronos_storage.queues.beside.queue_beside"

    def configure(alias: str) -> None:
        settings.CHRONOS_STORAGE = {
            "STORAGES": {"documents": documents, "cached": cached, "none": none},
            "QUEUE": {"BACKEND": beside, "OPTIONS": {"STORAGE": alias}},
        }

    configure("documents")
    storages["documents"].migrate()
    assert events(queue.recover("t")) == []
    cursor = queue.publish("t", 1)
    assert isinstance(queue_handler.only, DocumentQueue)
    assert DocumentQueue("documents").last_cursor("t") == cursor
    storages["documents"].close()
    configure("cached")
    assert events(queue.recover("t")) == [1]
    storages["cached"].close()
    configure("none")
    with pytest.raises(ConfigurationError, match="a store of documents, not <NoBackend>"):
        queue.publish("t", 1)
    with pytest.raises(ConfigurationError, match="STORAGE must be a storage over documents"):
        DocumentQueue("none")
    with pytest.raises(ConfigurationError, match="POLL_INTERVAL"):
        DocumentQueue("documents", poll_interval=0)
    configure("default")
    assert isinstance(queue_handler.only, OrmQueue)
