"""Work on indexes beside other work: of other collections, transactions, pools, and processes that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from psycopg import IsolationLevel

from chronos_storage.exceptions import NotSupported
from chronos_storage.testing.conformance.helpers import together
from chronos_storage.vectors import builds
from chronos_storage.vectors.models import Embedding
from chronos_storage.vectors.pgvector import PgVectorStore

from .test_indexes import embeddings, index_definition, index_names
from .test_loading import until_one_waits

pytestmark = [
    pytest.mark.skipif("postgres" not in settings.DATABASES, reason="there is no PostgreSQL with pgvector"),
    pytest.mark.django_db(databases=["postgres"], transaction=True),
]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[PgVectorStore]:
    monkeypatch.setattr(builds, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr(builds, "_TIDYING_SECONDS", 0.2)
    store = PgVectorStore(using="postgres")
    yield store
    for collection in store.list_collections():
        store.drop_collection(collection.name)
    store.close()


def filled(store: PgVectorStore, *names: str, rows: int = 300) -> PgVectorStore:
    for name in names:
        store.create_collection(name, 4)
        store.upsert(name, embeddings(rows))
    return store


@contextmanager
def open_transaction() -> Iterator[None]:
    """Another client's transaction, which has read the table and goes on."""
    other: Any = connections["postgres"].copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM chronos_vectors_embedding")
        yield
        cursor.execute("ROLLBACK")
    other.close()


def soon(happens: Callable[[], bool]) -> bool:
    """Whether it happens within a minute."""
    until = time.monotonic() + 60
    while not happens() and time.monotonic() < until:
        time.sleep(0.02)
    return happens()


def test_indexes_of_several_collections_are_rebuilt_at_once(store: PgVectorStore) -> None:
    """Against: two builds at one table that wait for each other, and a deadlock's error for one of them."""
    filled(store, "a", "b", "c")
    together(store, *(partial(store.reindex, name) for name in "abcab"))
    assert [store.stats(name).index for name in "abc"] == ["ready"] * 3
    assert len(index_names()) == 6


def test_collections_that_grow_large_together_are_all_indexed(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "INDEXED_FROM", 500)
    together(store, *(partial(filled, store, name, rows=500) for name in "abc"))
    store.close()
    assert [store.stats(name).index for name in "abc"] == ["ready"] * 3


def test_a_collection_is_dropped_beside_transactions_of_others(store: PgVectorStore) -> None:
    filled(store, "c")
    store.reindex("c")
    with open_transaction():
        began = time.monotonic()
        assert store.drop_collection("c") is True
        filled(store, "c", rows=10)
        assert time.monotonic() - began < 60
        assert store.count("c") == 10
    store.close()
    assert index_names() == set()


def test_no_index_is_built_inside_a_transaction(store: PgVectorStore) -> None:
    filled(store, "c")
    with transaction.atomic(using="postgres"):
        with pytest.raises(NotSupported, match="outside of transactions"):
            store.reindex("c")
        store.upsert("c", embeddings(1))
        store.close()
    assert store.count("c") == 300


def test_a_rebuild_that_waits_for_another_transaction_can_be_stopped(store: PgVectorStore) -> None:
    filled(store, "c")
    store.reindex("c", m=8)
    seen: list[str] = []

    def stopped(phase: str, done: float) -> None:
        seen.append(phase)
        if phase.startswith("waiting for"):
            raise KeyboardInterrupt

    with open_transaction():
        with pytest.raises(KeyboardInterrupt):
            store.reindex("c", progress=stopped, m=9)
        assert "m='8'" in index_definition()
        assert store.search("c", [1, 0, 0, 0])
    store.reindex("c", m=10)
    assert "m='10'" in index_definition()
    assert len(index_names()) == 2


def test_small_collections_are_rebuilt_without_a_look_at_the_whole_table(store: PgVectorStore) -> None:
    def analyzed() -> int:
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = 'chronos_vectors_embedding'")
            return int(cursor.fetchone()[0])

    filled(store, "a", "b")
    before = analyzed()
    for name in "ab":
        store.reindex(name)
    assert analyzed() == before


def test_a_pool_gets_its_connections_back_without_the_lock(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg_pool")
    filled(store, "c")
    connection: Any = connections["postgres"]

    def stopped(phase: str, done: float) -> None:
        raise KeyboardInterrupt

    connection.close()
    with monkeypatch.context() as pooled:
        pooled.setitem(connection.settings_dict["OPTIONS"], "options", "-c statement_timeout=19s")
        pooled.setitem(connection.settings_dict["OPTIONS"], "pool", {"min_size": 1, "max_size": 3})
        store.reindex("c", m=8)
        with pytest.raises(KeyboardInterrupt):
            store.reindex("c", progress=stopped, m=50, ef_construction=1_000)
        for m in (9, 10):
            store.reindex("c", m=m)
        assert "m='10'" in index_definition()
        for _ in range(3):  # the pool gives what it has by turns
            store.close()
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone() == ("19s",)
        store.close()
        connection.close_pool()


def test_a_build_takes_longer_than_the_host_lets_its_statements(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against: a collection that never gets its index, as the limits meant for a site's requests end each build."""
    filled(store, "c")
    connection: Any = connections["postgres"]
    limits = ("statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
    options = " ".join(f"-c {name}=1500ms" for name in limits)
    with ThreadPoolExecutor(1) as pool:
        with open_transaction():
            monkeypatch.setitem(connection.settings_dict["OPTIONS"], "options", options)
            connection.close()
            rebuilt = pool.submit(together, store, partial(store.reindex, "c", m=9))
            assert soon(lambda: store.stats("c").index == "building")
            time.sleep(1.6)
            assert store.stats("c").index == "building"
        rebuilt.result()
    assert store.stats("c").index == "ready"
    connection.close()


def test_indexes_are_built_where_the_host_has_values_bound_by_the_server(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against: a build that waits for ever, for a snapshot that the holder of its own lock keeps."""
    filled(store, "c")
    connection: Any = connections["postgres"]
    connection.close()
    for option, value in (("server_side_binding", True), ("prepare_threshold", 0)):
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], option, value)
        began = time.monotonic()

        def soon_done(phase: str, done: float, began: float = began) -> None:
            assert time.monotonic() - began < 60, phase

        store.reindex("c", m=9, progress=soon_done)
        assert store.stats("c").index == "ready"
        connection.close()


def test_words_are_filled_in_beside_writers_at_the_level_of_the_host(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against: an embedding that was changed since the transaction began, whose words it can't lock any more."""
    monkeypatch.setattr(builds, "_PATIENCE", "60s")
    monkeypatch.setitem(
        connections["postgres"].settings_dict["OPTIONS"], "isolation_level", IsolationLevel.REPEATABLE_READ
    )
    filled(store, "c")

    def reindex() -> None:
        try:
            store.reindex("c")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic("postgres"):
            Embedding.objects.using("postgres").filter(embedding_id="7").update(content="changed")
            work = threads.submit(reindex)
            until_one_waits("%FOR SHARE%")
        work.result(60)
    assert [each.id for each in store.search("c", None, text="changed")] == ["7"]


def test_half_of_the_indexes_are_told(store: PgVectorStore) -> None:
    filled(store, "c")
    store.reindex("c")
    with connections["postgres"].cursor() as cursor:
        cursor.execute(f"DROP INDEX {next(name for name in index_names() if name.endswith('hnsw'))}")
    assert store.stats("c").index == "broken"
    store.reindex("c")
    assert store.stats("c").index == "ready"


_REBUILDER = """
import django, sys
django.setup()
from django.db import connections
from chronos_storage.vectors.pgvector import PgVectorStore
connections["postgres"].settings_dict["NAME"] = sys.argv[1]
PgVectorStore(using="postgres").reindex("c", m=100)
"""


def test_what_a_killed_rebuild_leaves_is_told_and_replaced(store: PgVectorStore) -> None:
    filled(store, "c")
    store.reindex("c", m=8)
    assert store.stats("c").index == "ready"
    name = str(connections["postgres"].settings_dict["NAME"])
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with open_transaction():  # for whose end the build waits
        with subprocess.Popen(
            [sys.executable, "-c", _REBUILDER, name], cwd=Path(__file__).parents[2], env=environment
        ) as process:
            assert soon(lambda: "waiting for old snapshots" in str(builds._progress("postgres")))
            assert store.stats("c").index == "ready"
            process.kill()
        assert soon(lambda: store.stats("c").index == "broken")
        assert store.search("c", [1, 0, 0, 0])
    store.reindex("c", m=9, ef_construction=24)
    assert store.stats("c").index == "ready"
    assert "m='9'" in index_definition()
    assert len(index_names()) == 2
