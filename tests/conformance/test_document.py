"""The document backend keeps the contract, over the memory driver and over one that is always in the way."""

from __future__ import annotations

import pytest

from chronos_storage.backends.document import DocumentBackend, MemoryBackend
from chronos_storage.backends.none import NoBackend
from chronos_storage.facade import Storage
from chronos_storage.testing import StorageConformance
from chronos_storage.testing.conformance.arguments import ArgumentContract

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

    @pytest.fixture
    def storage(self):
        return Storage(NoBackend())


class TestStubbornDriver(StorageConformance):
    @pytest.fixture
    def storage(self):
        return Storage(DocumentBackend(StubbornDriver()))

    @pytest.fixture
    def storage_committed(self, storage):
        return storage
