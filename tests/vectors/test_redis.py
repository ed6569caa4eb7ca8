"""The vector store over Redis keeps the contract, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from chronos_storage.exceptions import ConfigurationError, StoreFailure
from chronos_storage.records import Embedding
from chronos_storage.testing import VectorStoreConformance
from chronos_storage.testing.vectors.helpers import numbers
from chronos_storage.vectors import redis
from chronos_storage.vectors.redis import RedisVectorStore
from tests import servers

needs_server = pytest.mark.skipif(not servers.redis_search(), reason="there is no Redis with its search module")


@needs_server
class TestRedis(VectorStoreConformance):
    @pytest.fixture
    def vector_store(self) -> Iterator[RedisVectorStore]:
        store = RedisVectorStore(url=servers.redis_search(), base=uuid4().hex)
        yield store
        for each in store.list_collections():
            store.drop_collection(each.name)
        assert store._send("KEYS", f"{store._prefix}*") == []
        store.close()

    @pytest.fixture
    def vector_store_committed(self, vector_store: RedisVectorStore) -> RedisVectorStore:
        return vector_store


@needs_server
def test_a_large_collection_is_searched_by_its_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "_EXACT_ROWS", 10)
    store = RedisVectorStore(url=servers.redis_search(), base=uuid4().hex)
    store.create_collection("c", 16)
    given = [Embedding(id=f"{n:04}", vector=each, metadata={"n": n}) for n, each in enumerate(numbers(1_000, 16))]
    store.upsert("c", given)
    assert store.recall("c", sample=20) > 0.9
    assert len(store.search("c", given[0].vector, 1_000)) == 1_000
    few = store.search("c", given[0].vector, 10, filter={"n": {"$in": [*range(0, 1_000, 100)]}})
    assert sorted(each.id for each in few) == [f"{n:04}" for n in range(0, 1_000, 100)]
    assert len(store.search("c", given[0].vector, 20, filter={"n": {"$gte": 980}})) == 20
    store.drop_collection("c")
    store.close()


@needs_server
def test_a_walk_that_ends_early_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against: more cursors than the server keeps, and then no walk for anybody until they expire."""
    monkeypatch.setattr(redis, "_PAGE", 1)
    store = RedisVectorStore(url=servers.redis_search(), base=uuid4().hex)
    store.create_collection("c", 1, metric="l2")
    store.upsert("c", [Embedding(id=id, vector=[1]) for id in ("a", "b", "c")])
    for _ in range(130):
        assert store.recall("c", top_k=3, sample=1) == 1.0
    store.drop_collection("c")
    store.close()


def test_a_server_that_is_away_is_said() -> None:
    store = RedisVectorStore("127.0.0.1:1", "secret")
    with pytest.raises(StoreFailure, match="can't be asked now") as raised:
        store.list_collections()
    assert "secret" not in f"{raised.value}{store!r}"
    with pytest.raises(ConfigurationError, match="takes no cluster"):
        RedisVectorStore(cluster=True)


@needs_server
@pytest.mark.parametrize("wanted", [None, {"a": {"$ne": 2}}])
def test_what_is_written_over_during_a_walk_is_found(monkeypatch: pytest.MonkeyPatch, wanted: Any) -> None:
    """Against: an embedding that moves to where the walk, when it began, took the end to be."""
    monkeypatch.setattr(redis, "_PAGE", 10)

    class Interrupted(RedisVectorStore):
        def _read(self, *arguments: Any) -> Any:
            if again:
                other.upsert("c", again.pop())
            return super()._read(*arguments)

    base = uuid4().hex
    store, other = (kind(url=servers.redis_search(), base=base) for kind in (Interrupted, RedisVectorStore))
    other.create_collection("c", 1, metric="l2")
    given = [Embedding(id=f"{n:02}", vector=[n], metadata={"a": 1}) for n in range(40)]
    again: list[list[Embedding]] = []
    other.upsert("c", given)
    again.append(given)
    assert [each.id for each in store.list("c", filter=wanted)] == [each.id for each in given]
    other.drop_collection("c")
    store.close()
    other.close()


@needs_server
def test_nobody_waits_until_the_server_answers_with_a_part() -> None:
    """Against: the nearest of those that it had compared with by then."""
    store = RedisVectorStore(url=servers.redis_search(), base=uuid4().hex, timeout=7)
    store.create_collection("c", 1)
    store.upsert("c", [Embedding(id="e", vector=[1])])
    with Redis.from_url(servers.redis_search() or "", socket_timeout=60) as client, client.monitor() as sent:
        store.search("c", [1])
        store.list("c")
        asked = []
        while len(asked) < 2:
            words: list[str] = sent.next_command()["command"].split()
            if words[0] in ("FT.SEARCH", "FT.AGGREGATE") and words[1].startswith(store._prefix):
                asked.append(words)
    assert all(int(words[words.index("TIMEOUT") + 1]) > 7_000 for words in asked)
    store.drop_collection("c")
    store.close()
