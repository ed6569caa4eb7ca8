"""The vector store over Pinecone keeps the contract, over HTTP with a server of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chronos_storage.exceptions import StoreFailure
from chronos_storage.testing import VectorStoreConformance
from chronos_storage.vectors.pinecone import PineconeVectorStore
from tests.vectors.served_pinecone import served_pinecone
from tests.vectors.serving import Served, serving


class TestPinecone(VectorStoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Served]:
        with serving(served_pinecone("secret")) as server:
            yield server

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, server: Served) -> Iterator[PineconeVectorStore]:
        store = PineconeVectorStore("secret", url=server.url)
        yield store
        store.close()

    @pytest.fixture
    def vector_store(self, server: Served, store: PineconeVectorStore) -> Iterator[PineconeVectorStore]:
        yield store
        server.begin_anew()

    @pytest.fixture
    def vector_store_committed(self, vector_store: PineconeVectorStore) -> PineconeVectorStore:
        return vector_store


def test_a_server_that_is_away_is_said() -> None:
    store = PineconeVectorStore("secret", url="http://127.0.0.1:1", timeout=5)
    with pytest.raises(StoreFailure, match=r"^Pinecone can't be reached: "):
        store.list_collections()
    store.close()
