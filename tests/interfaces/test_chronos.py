"""Chronos' own documents, 000 and 001: their adapters and every method of their two interfaces, on the facade."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from chronos_storage import Storage, VectorStore, connect, connect_vectors
from chronos_storage.backends.document.dynamodb import DynamoBackend
from chronos_storage.backends.document.redis import RedisBackend
from chronos_storage.exceptions import AlreadyExists
from chronos_storage.records import AuditLog, Checkpoint, Embedding, Event, MemoryRecord, Session, Trace
from tests.databases import PLACES, needs_dynamodb, needs_mongodb, new_databases, new_dynamodb, new_mongodb
from tests.vectors.served_pinecone import served_pinecone
from tests.vectors.served_weaviate import served_weaviate
from tests.vectors.serving import serving


def use(storage: Storage) -> None:
    storage.migrate()
    storage.migrate()
    storage.create_session(Session(id="s", agent_id="a"))
    assert [session.id for session in storage.list_sessions("a", limit=10, offset=0)] == ["s"]
    storage.close()
    storage.close()


@pytest.mark.usefixtures("other_databases")
def test_a_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    use(connect("chronos.db"))
    assert connect("chronos.db").get_session("s") is not None
    connect("chronos.db").close()


@pytest.mark.usefixtures("other_databases")
def test_sqlite_in_memory() -> None:
    store = connect(":memory:")
    use(store)
    store.close()
    assert store.get_session("s") is not None


@pytest.mark.usefixtures("other_databases")
@pytest.mark.parametrize("place", [place for place in PLACES if place.startswith("postgres")])
def test_postgresql(place: str, tmp_path: Path) -> None:
    with new_databases(place, tmp_path) as (url,):
        use(connect(f"{url}?sslmode=disable"))


@pytest.mark.skipif(not os.environ.get("TEST_REDIS_URL"), reason="no Redis is found")
def test_redis() -> None:
    """With address, password and database, as it is there, and by one address."""
    place, base = urlsplit(os.environ["TEST_REDIS_URL"]), uuid.uuid4().hex
    store = Storage(RedisBackend(place.netloc, "", 1, base=base))
    use(store)
    again = connect(f"redis://{place.netloc}/1?base={base}")
    assert again.get_session("s") is not None
    again.close()


@needs_mongodb
def test_mongodb() -> None:
    with new_mongodb() as (uri, database):
        store = connect(uri, database=database)
        use(store)
        store.close()


@needs_dynamodb
def test_dynamodb() -> None:
    """With region and table, as it is there, and by one address."""
    url, table = new_dynamodb()
    endpoint = parse_qs(urlsplit(url).query)["endpoint_url"][0]
    store = Storage(DynamoBackend("us-east-1", table, endpoint_url=endpoint, access_key_id="a", secret_access_key="b"))
    use(store)
    store.close()
    again = connect(f"dynamodb://a:b@us-east-1/{table}?endpoint_url={endpoint}")
    assert again.get_session("s") is not None
    again.close()


def test_sessions(store: Storage) -> None:
    created = store.create_session(Session(id="s", agent_id="a", user_id="ada", metadata={"k": 1}))
    assert created.status == "active"
    assert store.get_session("s") == created
    created.status = "ended"
    assert store.update_session(created).status == "ended"
    store.create_session(Session(id="other", agent_id="b"))
    assert [session.id for session in store.list_sessions("a", limit=10, offset=0)] == ["s"]
    assert store.delete_session("s") is True
    assert store.get_session("s") is None


def test_memory(store: Storage) -> None:
    stored = store.put_memory(MemoryRecord(agent_id="a", kind="long_term", key="name", value={"first": "Ada"}))
    store.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="mood", value="good"))
    found = store.get_memory("a", "name")
    assert found is not None
    assert found.value == {"first": "Ada"}
    assert [record.key for record in store.list_memory("a", "long_term")] == ["name"]
    assert store.delete_memory(stored.id) is True
    assert store.get_memory("a", "name") is None


def test_audit_logs(store: Storage) -> None:
    store.create_session(Session(id="s", agent_id="a"))
    for number, write in enumerate((store.append_audit_log, store.insert_audit_log)):
        log = AuditLog(session_id="s", agent_id="a", actor="ada", action="read", resource="file", detail={"n": number})
        assert write(log).seq_num == number + 1
    assert [log.detail["n"] for log in store.list_audit_logs("s", limit=10, offset=0)] == [1, 0]
    assert [log.detail["n"] for log in store.list_audit_logs(agent_id="a", limit=1)] == [1]


def test_traces(store: Storage) -> None:
    given = Trace(id="t", session_id="s", name="plan", kind="node", input={"q": 1}, output={"a": 2})
    assert store.insert_trace(given).id == "t"
    found = store.get_trace("t")
    assert found is not None
    assert (found.input, found.output) == ({"q": 1}, {"a": 2})
    assert store.list_traces("s") == [found]


def test_events(store: Storage) -> None:
    store.create_session(Session(id="s"))
    for number in range(3):
        event = Event(id=f"e{number}", session_id="s", type="chat_message", payload={"n": number})
        assert store.append_event(event).seq_num == number + 1
    assert [event.payload["n"] for event in store.list_events("s", 1)] == [1, 2]
    with pytest.raises(AlreadyExists):
        store.append_event(Event(id="e0", session_id="s", type="chat_summary"))


def test_checkpoints(store: Storage) -> None:
    store.create_session(Session(id="s"))
    for number in range(3):
        store.save_checkpoint(Checkpoint(id=f"c{number}", session_id="s", run_id="r", node_id="n", state={"n": number}))
    found, latest = store.get_checkpoint("c1"), store.get_latest_checkpoint("s")
    assert found is not None
    assert latest is not None
    assert (found.state, latest.state) == ({"n": 1}, {"n": 2})
    assert [checkpoint.seq_num for checkpoint in store.list_checkpoints("s")] == [3, 2, 1]


@pytest.mark.django_db
def test_vectors() -> None:
    from chronos_storage import vector_store

    use_vectors(vector_store)


def test_qdrant() -> None:
    """By the document's own address; without a server, in the client's local mode."""
    from chronos_storage.vectors.qdrant import QdrantVectorStore

    assert isinstance(connect_vectors("http://localhost:6333"), QdrantVectorStore)
    use_vectors(QdrantVectorStore(path=":memory:"))


def test_other_vector_stores() -> None:
    with serving(served_weaviate()) as server:
        use_vectors(connect_vectors(f"weaviate+{server.url}"))
    with serving(served_pinecone("key")) as server:
        use_vectors(connect_vectors(f"pinecone+{server.url}".replace("//", "//:key@")))


def use_vectors(vector_store: VectorStore) -> None:
    vector_store.create_collection("documents", 3)
    vector_store.upsert(
        "documents",
        [
            Embedding(id="doc-1", vector=[1.0, 0.0, 0.0], metadata={"title": "Guide"}),
            Embedding(id="doc-2", vector=[0.0, 1.0, 0.0]),
        ],
    )
    results = vector_store.search("documents", [1.0, 0.1, 0.0], 5)
    assert [result.id for result in results] == ["doc-1", "doc-2"]
    assert results[0].metadata == {"title": "Guide"}
    assert vector_store.delete("documents", ["doc-1"]) == 1
    vector_store.close()
