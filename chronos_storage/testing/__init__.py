"""What a host's own tests may use, and tests for whoever writes a backend of their own; all need pytest.

`plugin` has the fixture ``chronos_storage``, which pytest finds by itself, and `factories` make records. A test that
takes the fixture begins with an empty storage, and the code that it calls finds the same::

    # tests/test_refunds.py
    import pytest
    from chronos_storage.testing.factories import SessionFactory
    from shop.agents import refund

    def test_an_agent_says_what_it_did(chronos_storage):  # everything is in memory
        session = SessionFactory.create()
        refund(session.id)
        assert chronos_storage.count_messages(session.id) == 2

    @pytest.mark.django_db
    def test_a_refund_is_stored_with_its_order(chronos_storage):  # in the test's transaction, with the host's models
        ...

A cache in front of a storage (`CachedBackend`) is the host's: the tests' settings have a ``DummyCache`` there.

For a backend, subclass `StorageConformance` and say how to get a store; everything the contract promises is then tested
on it::

    # tests/test_my_backend.py
    import pytest
    from chronos_storage import Storage
    from chronos_storage.testing import StorageConformance
    from my_package import MyBackend

    class TestMyBackend(StorageConformance):
        @pytest.fixture
        def storage(self, tmp_path):
            with closing(Storage(MyBackend(tmp_path))) as store:
                yield store

        @pytest.fixture
        def storage_committed(self, storage):
            return storage

Two fixtures, which may as well stand in a ``conftest.py``:

``storage``
    an empty store, made ready (`migrate()`); whether what a test writes is rolled back or removed is up to it.
``storage_committed``
    the same for tests with threads: what is written there other threads see at once. Each thread calls `close()` at
    its end. Where `storage` does not hold a transaction open, it is `storage` itself.

``storage_unasked`` is `storage` with a session "s", for what is refused before anything is read or written; the suite
compares all that is stored before and after. Override it where more can be shown: that nothing was sent at all.

`VectorStoreConformance` does the same for vector stores, with the fixtures ``vector_store`` and
``vector_store_committed`` (it needs Hypothesis too). What a store declares that it `lacks` has to be refused, and its
test is reported as skipped, with what is lacking; what it refuses without having declared it fails.

`EventQueueConformance` does it for event queues, with ``event_queue`` and ``event_queue_committed``; the queue's clock
is `records.now`, which its tests move.

Tests of transactions are skipped where `Storage.supports_transactions` is false.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conformance import StorageConformance as StorageConformance
    from .queues import EventQueueConformance as EventQueueConformance
    from .vectors import VectorStoreConformance as VectorStoreConformance

pytest.register_assert_rewrite(
    "chronos_storage.testing.conformance", "chronos_storage.testing.queues", "chronos_storage.testing.vectors"
)

__all__ = ["EventQueueConformance", "StorageConformance", "VectorStoreConformance"]

#: Imported only when asked for: the plugin is without them, and that of vectors needs Hypothesis.
_HOMES = {
    "EventQueueConformance": ".queues",
    "StorageConformance": ".conformance",
    "VectorStoreConformance": ".vectors",
}

if not TYPE_CHECKING:  # or type checkers would take any name for one that is here

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name], __name__), name)
