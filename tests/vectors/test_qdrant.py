"""The vector store over Qdrant keeps the contract, over HTTP with a server of ours.

Its client, which is large, is imported by the tests that run and not wherever they are collected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from chronos_storage.exceptions import NotFound, StoreFailure
from chronos_storage.records import Embedding
from chronos_storage.testing import VectorStoreConformance
from tests.vectors.serving import Served, serving

if TYPE_CHECKING:
    from chronos_storage.vectors.qdrant import QdrantVectorStore


class TestQdrant(VectorStoreConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Served]:
        from tests.vectors.served_qdrant import served_qdrant

        # Not 127.0.0.1, where the client opens a new connection for each request.
        with serving(served_qdrant(), host="127.0.0.2") as server:
            yield server

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, server: Served) -> Iterator[QdrantVectorStore]:
        from chronos_storage.vectors.qdrant import QdrantVectorStore

        store = QdrantVectorStore(server.url)
        yield store
        store.close()

    @pytest.fixture
    def vector_store(self, server: Served, store: QdrantVectorStore) -> Iterator[QdrantVectorStore]:
        yield store
        server.begin_anew()

    @pytest.fixture
    def vector_store_committed(self, vector_store: QdrantVectorStore) -> QdrantVectorStore:
        return vector_store


def test_a_folder_keeps_what_was_written(tmp_path: Path) -> None:
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    store = QdrantVectorStore(path=str(tmp_path))
    store.create_collection("c", 2)
    [stored] = store.upsert("c", [Embedding(id="e", vector=[1, 2], content="text", metadata={"a": 1})])
    store.close()
    again = QdrantVectorStore(path=str(tmp_path))
    assert again.get("c", "e") == stored
    assert [each.id for each in again.search("c", [1, 2], filter={"a": 1})] == ["e"]
    again.close()


class _Answer(BaseHTTPRequestHandler):
    """A server that has no collection, and is full."""

    def do_GET(self) -> None:
        is_one = self.path.startswith("/collections/")
        body = json.dumps({"status": {"error": "Not found" if is_one else "no space left"}}).encode()
        self.send_response(404 if is_one else 507)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def test_what_a_server_answers() -> None:
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        store = QdrantVectorStore(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(NotFound, match="there is no collection 'c'"):
            store.get("c", "e")
        assert store.drop_collection("c") is False
        with pytest.raises(StoreFailure, match=r"Qdrant answers 507: .*no space left"):
            store.list_collections()
        store.close()
        server.shutdown()


def test_a_server_that_is_away_is_said() -> None:
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    store = QdrantVectorStore("http://127.0.0.1:1", timeout=5)
    with pytest.raises(StoreFailure, match=r"^Qdrant can't be reached: "):
        store.list_collections()
    store.close()
