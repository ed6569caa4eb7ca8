"""The document backend keeps the contract, over the memory driver and over one that is always in the way."""

from __future__ import annotations

import pytest

from chronos_storage.backends.document import DocumentBackend, MemoryBackend
from chronos_storage.backends.none import NoBackend
from chronos_storage.facade import Storage
from chronos_storage.testing import StorageConformance
from chronos_storage.testing.conformance.arguments import ArgumentContract
from chronos_storage.testing.conformance.audit_logs import AuditLogContract
from chronos_storage.testing.conformance.bad_input import BadRecordContract
from chronos_storage.testing.conformance.checkpoints import CheckpointContract, ForkContract
from chronos_storage.testing.conformance.concurrency import ConcurrentAppendContract
from chronos_storage.testing.conformance.concurrent_changes import ConcurrentChangeContract
from chronos_storage.testing.conformance.copies import LoadContract
from chronos_storage.testing.conformance.deletion import HardDeletionContract, RestoreContract, SoftDeletionContract
from chronos_storage.testing.conformance.events import EventContract
from chronos_storage.testing.conformance.images import ImageContract
from chronos_storage.testing.conformance.ledger import LedgerContract, PurgeContract
from chronos_storage.testing.conformance.memory import MemoryContract
from chronos_storage.testing.conformance.messages import MessageContract
from chronos_storage.testing.conformance.retries import RetryContract
from chronos_storage.testing.conformance.sessions import SessionContract
from chronos_storage.testing.conformance.traces import TraceContract

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
    CheckpointContract,
    ForkContract,
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
