"""The document backend keeps the contract, over the memory driver and over one that is always in the way."""

from __future__ import annotations

import pytest

from chronos_storage.backends.document import DocumentStorage, MemoryStorage
from chronos_storage.testing import StorageConformance

from .stubborn import StubbornDriver


class TestMemoryStorage(StorageConformance):
    @pytest.fixture
    def storage(self):
        return MemoryStorage()

    @pytest.fixture
    def storage_committed(self, storage):
        return storage


class TestStubbornDriver(StorageConformance):
    @pytest.fixture
    def storage(self):
        return DocumentStorage(StubbornDriver())

    @pytest.fixture
    def storage_committed(self, storage):
        return storage
