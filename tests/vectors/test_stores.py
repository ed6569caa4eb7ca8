"""What is said of the stores besides their contract: equal scores, other processes, bounded memory, no pgvector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from chronos_storage import vector_store, vector_stores
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.facade import Storage
from chronos_storage.records import Embedding
from chronos_storage.testing.conformance.helpers import together
from chronos_storage.testing.vectors.helpers import METRICS, numbers
from chronos_storage.vectors.exact import ExactVectorStore
from chronos_storage.vectors.orm import OrmVectorStore
from chronos_storage.vectors.pgvector import PgVectorStore
from chronos_storage.vectors.stores import database_store
from tests.routers import OneDatabase

ALIASES = [alias for alias in settings.DATABASES if alias != "postgres15"]


@pytest.mark.django_db(databases=ALIASES)
@pytest.mark.parametrize("metric", METRICS)
def test_scores_agree_between_stores(metric) -> None:
    found = []
    for alias in ALIASES:
        store = database_store(using=alias)
        store.create_collection("c", 384, metric=metric)
        store.upsert("c", [Embedding(id=f"{place:03}", vector=row) for place, row in enumerate(numbers(300, 384))])
        found.append([store.search("c", query, 20) for query in numbers(5, 384, seed=1)])
    for other in found[1:]:
        for results, reference in zip(other, found[0], strict=True):
            assert [each.id for each in results] == [each.id for each in reference]
            assert [each.score for each in results] == pytest.approx([each.score for each in reference], abs=1e-5)


_WRITER = """
import django
django.setup()
from django.conf import settings
from chronos_storage import vector_store, vector_stores
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.records import Embedding
from chronos_storage.vectors.stores import database_store
from tests.routers import OneDatabase
import sys
alias, name = sys.argv[1:]
from django.db import connections
connections[alias].settings_dict["NAME"] = name
store = database_store(using=alias)
store.upsert("c", [Embedding(id="from another process", vector=[1, 0])])
store.delete("c", ["old"])
"""


def test_a_row_of_another_process_is_found(vector_store_committed: OrmVectorStore) -> None:
    store = vector_store_committed
    store.create_collection("c", 2)
    store.upsert("c", [Embedding(id="old", vector=[1, 0]), Embedding(id="far", vector=[0, 1])])
    assert [each.id for each in store.search("c", [1, 0])] == ["old", "far"]
    command = [sys.executable, "-c", _WRITER, store.alias, str(connections[store.alias].settings_dict["NAME"])]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env=_environment())
    assert [each.id for each in store.search("c", [1, 0])] == ["from another process", "far"]


def _environment() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}


def test_what_was_rolled_back_is_not_found(vector_store_committed: OrmVectorStore) -> None:
    store = vector_store_committed
    store.create_collection("c", 1, metric="l2")
    store.upsert("c", [Embedding(id="e", vector=[1])])
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=store.alias):  # noqa: PT012
        store.upsert("c", [Embedding(id="f", vector=[2])])
        assert len(store.search("c", [2])) == 2
        raise ZeroDivisionError
    store.upsert("c", [Embedding(id="g", vector=[3])])
    assert [each.id for each in store.search("c", [3])] == ["g", "e"]


@pytest.mark.skipif("mariadb" not in settings.DATABASES, reason="there is no MariaDB")
@pytest.mark.django_db(databases=["mariadb"], transaction=True)
def test_what_a_transaction_could_not_see_is_found_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under REPEATABLE READ a writer sees its own rows beside the snapshot it began with, which nobody else does."""
    connection: Any = connections["mariadb"]
    connection.close()
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "isolation_level", "repeatable read")
    store = ExactVectorStore(using="mariadb")
    store.create_collection("c", 1, metric="l2")
    with transaction.atomic(using="mariadb"):
        assert store.count("c") == 0  # from now on it is this that the transaction sees
        together(store, lambda: store.upsert("c", [Embedding(id="of another", vector=[1])]))
        store.upsert("c", [Embedding(id="own", vector=[2])])
        assert [each.id for each in store.search("c", [1])] == ["own"]
    for _ in range(2):
        assert [each.id for each in store.search("c", [1])] == ["of another", "own"]
    kept = [version for version, _ in store._cache._kept.values()]
    assert len(kept) == 1
    connection.close()


@pytest.mark.django_db
def test_a_collection_larger_than_the_cache_is_read_every_time() -> None:
    store = ExactVectorStore(using="default", cache_bytes=1_000)
    store.create_collection("c", 64)
    rows = numbers(50, 64)
    store.upsert("c", [Embedding(id=f"{place}", vector=row) for place, row in enumerate(rows)])
    for place in (7, 8):
        assert store.search("c", rows[place], 1)[0].id == f"{place}"
    assert not store._cache._kept


@pytest.mark.django_db(transaction=True)
def test_the_cache_keeps_what_was_searched_last() -> None:
    store = ExactVectorStore(using="default", cache_bytes=40_000)
    for name in "abc":
        store.create_collection(name, 64)
        store.upsert(name, [Embedding(vector=row) for row in numbers(40, 64)])
        store.search(name, [1.0] * 64)
    assert len(store._cache._kept) == 1


@pytest.mark.skipif("postgres15" not in settings.DATABASES, reason="there is no PostgreSQL without pgvector")
@pytest.mark.django_db(databases=["postgres15"], transaction=True)
def test_without_pgvector_migrate_says_what_to_install(settings) -> None:
    # The router kept the tables away, and yet the migration stands as applied.
    call_command("migrate", "chronos_vectors", "zero", database="postgres15", verbosity=0)
    routers, settings.DATABASE_ROUTERS = settings.DATABASE_ROUTERS, []
    with pytest.raises(CommandError, match="postgresql-15-pgvector"):
        call_command("migrate", "chronos_vectors", database="postgres15", verbosity=0)
    settings.DATABASE_ROUTERS = routers
    call_command("migrate", database="postgres15", verbosity=0)
    assert Storage(OrmBackend(using="postgres15")).health().ok


@pytest.mark.parametrize(
    ("store", "alias"), [("pgvector.PgVectorStore", "default"), ("exact.ExactVectorStore", "postgres")]
)
def test_a_store_refuses_another_kind_of_database(settings, store: str, alias: str) -> None:
    if alias not in settings.DATABASES:
        pytest.skip("there is no PostgreSQL with pgvector")
    entry = {"BACKEND": f"chronos_storage.vectors.{store}", "OPTIONS": {"USING": alias}}
    settings.CHRONOS_STORAGE = {"VECTOR_STORES": {"default": entry}}
    with pytest.raises(ConfigurationError, match=f"{store.partition('.')[2]} is for .* and the database '{alias}' is "):
        vector_stores["default"]
    assert "chronos_storage.E004" in [message.id for message in run_checks(tags=["compatibility"])]


@pytest.mark.skipif("postgres" not in settings.DATABASES, reason="there is no PostgreSQL with pgvector")
def test_the_store_is_another_once_routers_say_so(settings) -> None:
    """Against: a store of the database that the routers of another test had named."""
    settings.DATABASE_ROUTERS = [OneDatabase("postgres")]
    assert isinstance(vector_stores["default"], PgVectorStore)
    settings.DATABASE_ROUTERS = []
    assert isinstance(vector_stores["default"], ExactVectorStore)


def test_the_store_of_a_database() -> None:
    assert isinstance(vector_stores["default"], ExactVectorStore)
    assert vector_store.alias == "default"  # type: ignore[attr-defined]
