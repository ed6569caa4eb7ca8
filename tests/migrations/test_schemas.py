"""Several schemas in one PostgreSQL database, each with its tables: a tenant each, as django-tenants has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from chronos_storage import connect
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.records import Embedding, Event, Session
from chronos_storage.vectors.stores import database_store
from tests.databases import PLACES, new_databases
from tests.migrations.test_triggers import check, execute

pytestmark = pytest.mark.skipif("postgres" not in PLACES, reason="only PostgreSQL has schemas")


@pytest.fixture
def tenants(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[list[Storage]]:
    """Stores whose tables are not made yet, each with a search path of its own schema and ``public``."""
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path) as [address]:
        yield [opened(address, f"{name},public") for name in ("one", "two")]


def opened(address: str, path: str) -> Storage:
    store = connect(address, options={"options": f"-c search_path={path}"})
    assert isinstance(store.backend, OrmBackend)
    execute(store, f"CREATE SCHEMA IF NOT EXISTS {path.split(',')[0]}")
    return store


def url(store: Storage) -> str:
    """The address of a store's database."""
    settings = connections[store.alias].settings_dict
    return f"postgres://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"


def migrate(store: Storage, *target: str) -> None:
    for app in ("chronos_vectors", "chronos_storage"):
        call_command("migrate", app, *target, database=store.alias, verbosity=0)


def extension_schema(store: Storage) -> Any:
    return execute(store, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")


def guards(store: Storage, schema: str) -> list[Any]:
    return execute(
        store,
        f"SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('{schema}') UNION ALL SELECT tgname"
        f" FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = to_regnamespace('{schema}')"
        " AND NOT tgisinternal ORDER BY 1",
    )


def test_each_tenant_has_its_tables_and_guards_and_all_share_the_extension(tenants: list[Storage]) -> None:
    for store in tenants:
        migrate(store)
    assert extension_schema(tenants[0]) == [("public",)]
    for name, store in zip(("one", "two"), tenants, strict=True):
        assert store.health().ok
        store.create_session(Session(id="s"))
        store.append_event(Event(session_id="s", payload=name))
        vectors = database_store(store.alias)
        vectors.create_collection("docs", 2)
        vectors.upsert("docs", [Embedding(id=name, vector=[1.0, 0.0], content=name)])
        assert [hit.id for hit in vectors.search("docs", [1.0, 0.0], top_k=2)] == [name]
        assert [event.payload for event in store.list_events("s")] == [name]
    one, two = tenants
    assert len(guards(one, "one")) == 22
    assert guards(one, "one") == guards(one, "two")
    assert "chronos" not in str(guards(one, "public"))

    for (name,) in guards(two, "two"):
        if "append_only" in name and "event" in name:
            execute(two, f"DROP TRIGGER {name} ON chronos_storage_event")
    assert "W003" in check(two)
    assert "W003" not in check(one)
    migrate(two)
    assert guards(one, "one") == guards(one, "two")

    migrate(one, "zero")
    assert guards(one, "one") == []
    assert two.append_event(Event(session_id="s")).seq_num == 2


def test_a_tenant_leaves_the_shared_schemas_indexes_alone(tenants: list[Storage]) -> None:
    one = tenants[0]
    shared = opened(url(one), "public")
    migrate(shared)
    before = index_names(shared, "public")
    execute(one, "CREATE TABLE one.django_migrations (LIKE public.django_migrations INCLUDING ALL)")
    migrate(one)
    assert "chronos_session_by_created" in index_names(one, "one")
    for store in (shared, one):
        vectors = database_store(store.alias)
        vectors.create_collection("docs", 2)
        vectors.upsert("docs", [Embedding(id="a", vector=[1.0, 0.0])])
        if store is one:
            assert vectors.stats("docs").index == "none"
        vectors.reindex("docs")
    assert {"chronos_vectors_1_hnsw", "chronos_vectors_1_words"} < index_names(one, "one")
    assert index_names(shared, "public") == before | {"chronos_vectors_1_hnsw", "chronos_vectors_1_words"}
    kept = guards(shared, "public")
    call_command("migrate", "chronos_storage", "0002", database=one.alias, verbosity=0)
    assert "chronos_session_by_created" not in index_names(one, "one")
    for _ in range(2):
        call_command("migrate", "chronos_vectors", "0002", database=one.alias, verbosity=0)
        assert "words" not in str(guards(one, "one"))
        assert guards(shared, "public") == kept
    assert before < index_names(shared, "public")


def index_names(store: Storage, schema: str) -> set[str]:
    return {name for (name,) in execute(store, f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}'")}


def test_the_extension_stays_where_it_is(tenants: list[Storage]) -> None:
    one = tenants[0]
    execute(one, "CREATE SCHEMA extensions")
    execute(one, "CREATE EXTENSION vector SCHEMA extensions")
    with pytest.raises(CommandError, match=r"is in the schema extensions, which is not on the search_path.*SET SCHEMA"):
        migrate(one)
    three = opened(url(one), "three,extensions")
    migrate(three)
    assert extension_schema(three) == [("extensions",)]
    database_store(three.alias).create_collection("docs", 2)
