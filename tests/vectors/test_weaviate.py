"""The vector store over Weaviate keeps the contract, over HTTP with a server of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chronos_storage.exceptions import StoreFailure
from chronos_storage.testing import VectorStoreConformance
from chronos_storage.vectors.weaviate import WeaviateVectorStore
from tests.vectors.served_weaviate import served_weaviate
from tests.vectors.serving import Served, serving


class TestWeaviate(VectorStoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Served]:
        with serving(served_weaviate("secret")) as server:
            yield server

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, server: Served) -> Iterator[WeaviateVectorStore]:
        store = WeaviateVectorStore(server.url, api_key="secret")
        yield store
        store.close()

    @pytest.fixture
    def vector_store(self, server: Served, store: WeaviateVectorStore) -> Iterator[WeaviateVectorStore]:
        yield store
        server.begin_anew()

    @pytest.fixture
    def vector_store_committed(self, vector_store: WeaviateVectorStore) -> WeaviateVectorStore:
        return vector_store


def test_a_server_that_is_away_is_said() -> None:
    store = WeaviateVectorStore("http://127.0.0.1:1", timeout=5)
    with pytest.raises(StoreFailure, match=r"^Weaviate can't be reached: "):
        store.list_collections()
    store.close()
