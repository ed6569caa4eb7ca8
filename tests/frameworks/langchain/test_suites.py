"""LangChain's own suites, from its package langchain-tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests, VectorStoreIntegrationTests

from chronos_storage.facade import Storage
from chronos_storage.integrations.langchain import ChronosByteStore, ChronosVectorStore
from chronos_storage.vectors.stores import database_store

pytestmark = pytest.mark.anyio


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, alias: str, transactional_db: None) -> Iterator[VectorStore]:
        store = database_store(using=alias)
        yield ChronosVectorStore(self.get_embeddings(), "documents", store=store)
        store.close()


class _Values:
    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"foo", b"\x00\xff", b""


class TestByteStore(_Values, BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, storage: Storage) -> Any:
        return ChronosByteStore("cache", storage=storage)


class TestByteStoreAsync(_Values, BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, storage_committed: Storage) -> Any:
        return ChronosByteStore("cache", storage=storage_committed)
