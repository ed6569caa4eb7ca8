"""The document backend keeps the contract, over the memory driver and over one that is always in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from chronos_storage.backends.document import Document, DocumentBackend, Key, MemoryBackend
from chronos_storage.backends.document.item_log import log_of
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.backends.none import NoBackend
from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade import Storage
from chronos_storage.records import Checkpoint, Event, Session
from chronos_storage.testing import StorageConformance
from chronos_storage.testing.conformance.arguments import ArgumentContract
from chronos_storage.testing.conformance.artifacts import ArtifactContract
from chronos_storage.testing.conformance.audit_logs import AuditLogContract
from chronos_storage.testing.conformance.bad_input import BadRecordContract
from chronos_storage.testing.conformance.checkpoints import CheckpointContract, ForkContract
from chronos_storage.testing.conformance.concurrency import ConcurrentAppendContract
from chronos_storage.testing.conformance.concurrent_changes import ConcurrentChangeContract
from chronos_storage.testing.conformance.copies import LoadContract
from chronos_storage.testing.conformance.deletion import HardDeletionContract, RestoreContract, SoftDeletionContract
from chronos_storage.testing.conformance.events import EventContract
from chronos_storage.testing.conformance.images import ImageContract
from chronos_storage.testing.conformance.ledger import ErasedRowsContract, LedgerContract, PurgeContract
from chronos_storage.testing.conformance.memory import MemoryContract
from chronos_storage.testing.conformance.messages import MessageContract
from chronos_storage.testing.conformance.retries import RetryContract
from chronos_storage.testing.conformance.sessions import SessionContract
from chronos_storage.testing.conformance.traces import TraceContract

from .piecewise import PiecewiseDriver
from .stubborn import StubbornDriver


class TestMemoryStorage(StorageConformance):
    @pytest.fixture
    def storage(self):
        return Storage(MemoryBackend())

    @pytest.fixture
    def storage_committed(self, storage):
        return storage


class TestNoStorage(ArgumentContract):
    """What it accepts, and forgets, is what others would keep."""

    test_json_that_is_too_long = BadRecordContract.test_json_that_is_too_long

    @pytest.fixture
    def storage(self):
        return Storage(NoBackend())


class TestStubbornDriver(
    SessionContract,
    SoftDeletionContract,
    RestoreContract,
    HardDeletionContract,
    MessageContract,
    MemoryContract,
    AuditLogContract,
    TraceContract,
    EventContract,
    RetryContract,
    LedgerContract,
    PurgeContract,
    ErasedRowsContract,
    CheckpointContract,
    ForkContract,
    ArtifactContract,
    ImageContract,
    LoadContract,
    ConcurrentAppendContract,
    ConcurrentChangeContract,
):
    """Whatever writes: the others are the memory driver's, which this one is to who reads."""

    @pytest.fixture
    def storage(self):
        return Storage(DocumentBackend(StubbornDriver()))

    @pytest.fixture
    def storage_committed(self, storage):
        return storage


class TestInPieces(TestStubbornDriver):
    """Commits of more than two changes are made in pieces of one or two."""

    @pytest.fixture
    def storage(self):
        return Storage(DocumentBackend(PiecewiseDriver()))


class _Lapsing(MemoryDriver):
    """Lets nobody by who has no turn, and takes the first ones for dead while they have theirs."""

    lapses = 3
    has_turn = False

    @contextmanager
    def turn(self, keys: Any, patience: float) -> Iterator[None]:
        self.has_turn = True
        yield

    def commit(self, writes: Any) -> bool:
        if all(write.was is None or write.now is write.was for write in writes):
            return super().commit(writes)
        if self.lapses:
            self.lapses -= 1
            self.has_turn = False
        return self.has_turn and super().commit(writes)


def test_a_turn_that_took_too_long_is_waited_for_again() -> None:
    """Against: whoever lost his turn refused ever after, as he does not know it."""
    storage = Storage(DocumentBackend(_Lapsing()))
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    assert storage.append_event(Event(session_id="s")).seq_num == 2


def test_a_store_apart_leaves_nothing_behind() -> None:
    driver = StubbornDriver()
    backend = DocumentBackend(driver)
    for _ in range(10):
        with backend.apart() as apart:
            Storage(apart).create_session(Session(id="s"))
            assert driver._documents
        assert driver._documents == {}


def test_who_removes_what_he_has_looked_at_finds_it_as_it_was() -> None:
    """However often he is sent round again."""
    storage = Storage(DocumentBackend(StubbornDriver()))

    def remove() -> bool:
        assert storage.get_session("s") is not None
        return storage.delete_session("s", hard=True)

    for _ in range(5):
        storage.create_session(Session(id="s"))
        assert storage.backend.exclusively(Session, ["s"], remove)


def test_who_refuses_for_what_another_changed_meanwhile_is_asked_again() -> None:
    """He may have seen one half of it as it was, and the other as it is."""
    storage = Storage(MemoryBackend())
    storage.create_session(Session(id="s"))
    others = [Event(session_id="s", id="a")]

    def refuse_or_append() -> int:
        if others:
            with ThreadPoolExecutor(1) as another:
                another.submit(storage.append_event, others.pop()).result()
            raise AlreadyExists("seen")
        return storage.append_event(Event(session_id="s", id="b")).seq_num

    assert storage.backend.exclusively(Event, ["a", "b"], refuse_or_append, "s") == 2

    def append_and_refuse() -> None:
        storage.append_event(Event(session_id="s", id="c"))
        raise AlreadyExists("nobody else changed anything")

    with pytest.raises(AlreadyExists):
        storage.backend.exclusively(Event, ["c"], append_and_refuse, "s")
    assert storage.last_seq("s") == 3


class InterruptedDriver(MemoryDriver):
    """Has something done before the items of a checkpoint's state are read."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Callable[[], object]] = []

    def scan(self, partition: Key, **options: Any) -> list[tuple[str, Document]]:
        if self.before and partition == log_of("s", ""):
            self.before.pop()()
        return super().scan(partition, **options)


def test_a_latest_checkpoint_that_was_pruned_while_it_was_read_leaves_the_one_after_it() -> None:
    driver = InterruptedDriver()
    storage = Storage(DocumentBackend(driver))
    storage.create_session(Session(id="s"))

    def save(number: int) -> None:
        storage.save_checkpoint(Checkpoint(session_id="s", state={"list": [f"{number} {n}" * 99 for n in range(99)]}))

    def save_and_prune() -> None:
        save(2)
        storage.delete_checkpoints("s", keep_last=1)

    save(1)
    driver.before.append(save_and_prune)
    assert storage.get_latest_checkpoint("s").seq_num == 2
