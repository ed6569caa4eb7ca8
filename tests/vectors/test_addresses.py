"""Vector stores by their addresses, in code, settings and YAML."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from chronos_storage import connect_vectors, vector_store, vector_stores
from chronos_storage.config import load
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.records import Embedding
from chronos_storage.vectors.pinecone import PineconeVectorStore
from chronos_storage.vectors.redis import RedisVectorStore
from chronos_storage.vectors.weaviate import WeaviateVectorStore
from tests import servers
from tests.vectors.served_pinecone import served_pinecone
from tests.vectors.served_weaviate import served_weaviate
from tests.vectors.serving import serving


def test_a_file_keeps_embeddings(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        address = f"sqlite:///{tmp_path}/vectors.db"
        store = connect_vectors(address, migrate=True)
        store.create_collection("c", 2)
        [stored] = store.upsert("c", [Embedding(id="e", vector=[1, 2])])
        assert connect_vectors(address).get("c", "e") == stored
        store.close()


@pytest.mark.skipif(not servers.redis_search(), reason="there is no Redis with its search module")
def test_redis_by_its_address() -> None:
    store = connect_vectors(f"{servers.redis_search()}?base={uuid4().hex}")
    assert isinstance(store, RedisVectorStore)
    store.create_collection("c", 1)
    assert [each.name for each in store.list_collections()] == ["c"]
    store.drop_collection("c")
    store.close()


def test_addresses_of_qdrant() -> None:
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    for address, url, key in (
        ("http://localhost:6333", "http://localhost:6333", None),
        ("https://host:6333/path", "https://host:6333/path", None),
        ("qdrant://host", "http://host:6333", None),
        ("qdrant+https://:s%40cret@[::1]:443", "https://[::1]:443", "s@cret"),
    ):
        store = connect_vectors(address)
        assert isinstance(store, QdrantVectorStore)
        assert (store._where["url"], store._where["api_key"]) == (url, key)
        assert "cret" not in repr(store)


def test_addresses_of_milvus() -> None:
    from chronos_storage.vectors.milvus import MilvusVectorStore

    for address, url, token, database in (
        ("http://localhost:19530", "http://localhost:19530", "", ""),
        ("milvus://root:s%40cret@host/agents", "http://host:19530", "root:s@cret", "agents"),
        ("milvus+https://key@host:443", "https://host:443", "key", ""),
    ):
        store = connect_vectors(address)
        assert isinstance(store, MilvusVectorStore)
        assert [store._where[name] for name in ("uri", "token", "db_name")] == [url, token, database]
        assert "cret" not in repr(store)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://localhost:8080", r"which engine http://localhost:8080 is of is not said: write qdrant\+http"),
        ("http://u:secret@localhost", r"http://u:\*\*\*@localhost"),
        ("qdrant://host:port", "can't be read"),
        ("chroma://x", "is no store that"),
        ("localhost:6333", "scheme before it"),
        ("chronos_storage.records.Session", "options of .* don't fit|is no VectorStore"),
        ("nowhere.at.All", "can't be imported"),
        (1, "must be a string"),
    ],
)
def test_an_address_that_names_no_store(address: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as raised:
        connect_vectors(address)
    assert "secret" not in str(raised.value)


def test_weaviate_by_its_address() -> None:
    with serving(served_weaviate("a b")) as server:
        place = server.url.removeprefix("http://")
        for address in (f"weaviate://:a%20b@{place}", f"weaviate+http://:a%20b@{place}/"):
            with closing(connect_vectors(address)) as store:
                assert isinstance(store, WeaviateVectorStore)
                assert store.list_collections() == []


def test_pinecone_by_its_address() -> None:
    with serving(served_pinecone("a b")) as server:
        place = server.url.removeprefix("http://")
        with closing(connect_vectors(f"pinecone+http://:a%20b@{place}", cloud="gcp", region="europe-west4")) as store:
            assert isinstance(store, PineconeVectorStore)
            store.create_collection("c", 2)
            assert [each.name for each in store.list_collections()] == ["c"]
    with closing(connect_vectors("pinecone://:key@gcp/europe-west4")) as store:
        assert isinstance(store, PineconeVectorStore)
        assert store._place == {"cloud": "gcp", "region": "europe-west4"}


def test_vectors_in_yaml(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    file = tmp_path / "agents.yaml"
    monkeypatch.setenv("QDRANT", "http://localhost:6333")
    file.write_text("storage: {backend: memory}\nvectors: {backend: qdrant, dsn: '${QDRANT}'}\n")
    settings.CHRONOS_STORAGE = load(file)
    store = vector_stores["default"]
    assert isinstance(store, QdrantVectorStore)
    assert store._where["url"] == "http://localhost:6333"
    for vectors, kind in (
        ("{backend: weaviate, dsn: 'localhost:8080'}", WeaviateVectorStore),
        ("{backend: pinecone, dsn: 'pinecone://:key@aws/us-east-1'}", PineconeVectorStore),
    ):
        file.write_text(f"storage: {{backend: memory}}\nvectors: {vectors}\n")
        settings.CHRONOS_STORAGE = load(file)
        assert isinstance(vector_stores["default"], kind)
    for wrong, problem in (
        ("{backend: mongo, dsn: x}", "vectors.backend: must be one of sqlite, postgres, .*qdrant.* not 'mongo'"),
        ("{backend: qdrant, dsn: 'redis://x'}", "vectors.dsn: must be an address such as http://host:6333"),
        ("qdrant", "vectors: must be a mapping"),
    ):
        file.write_text(f"storage: {{backend: memory}}\nvectors: {wrong}\n")
        with pytest.raises(ConfigurationError, match=problem):
            load(file)


def test_the_settings_name_an_engine(settings) -> None:
    entry = {"BACKEND": "chronos_storage.vectors.qdrant.QdrantVectorStore", "OPTIONS": {"PATH": ":memory:"}}
    settings.CHRONOS_STORAGE = {"VECTOR_STORES": {"default": entry}}
    assert not [each for each in run_checks(tags=["compatibility"]) if "VECTOR" in str(each)]
    vector_store.create_collection("c", 2)
    vector_store.upsert("c", [Embedding(id="e", vector=[1, 2])])
    told = io.StringIO()
    call_command("chronos_vectors", "stats", "c", stdout=told)
    assert "1" in told.getvalue()
    settings.CHRONOS_STORAGE = {"VECTOR_STORES": {"default": {**entry, "OPTIONS": {"FOLDER": "x"}}}}
    with pytest.raises(ConfigurationError, match="OPTIONS"):
        vector_stores["default"]
