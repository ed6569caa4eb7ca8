"""A host whose application may do less in its database than whoever migrates it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from chronos_storage import connect
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import StoreFailure
from chronos_storage.facade import Storage
from chronos_storage.ledger import triggers
from chronos_storage.records import Event, Session
from tests.migrations.test_triggers import execute, migrate, trigger_names, vendor_of

SERVERS = pytest.mark.parametrize(
    "empty", [alias for alias in ("mariadb", "postgres") if alias in settings.DATABASES], indirect=True
)


@contextmanager
def limited_user(administrator: Storage, rights: str) -> Iterator[Storage]:
    """The same database for a user with these rights on its tables alone."""
    place = connections[administrator.alias].settings_dict
    name = f"{place['NAME']}_app"[-63:]
    if vendor_of(administrator) == "mysql":
        execute(administrator, f"CREATE USER '{name}'@'%' IDENTIFIED BY 'geheim'")
        execute(administrator, f"GRANT {rights} ON {place['NAME']}.* TO '{name}'@'%'")
        scheme, remove = "mysql", f"DROP USER '{name}'@'%'"
    else:
        execute(administrator, f"CREATE ROLE {name} LOGIN PASSWORD 'geheim'")
        execute(administrator, f"GRANT {rights} ON ALL TABLES IN SCHEMA public TO {name}")
        scheme, remove = "postgres", f"DROP OWNED BY {name}; DROP ROLE {name}"
    store = connect(f"{scheme}://{name}:geheim@{place['HOST']}:{place['PORT']}/{place['NAME']}")
    assert isinstance(store.backend, OrmBackend)
    try:
        yield store
    finally:
        store.close()
        execute(administrator, remove)


@SERVERS
def test_who_may_only_read_and_write_rows_finds_all_in_order(empty: Storage) -> None:
    migrate(empty)
    with limited_user(empty, "SELECT, INSERT, UPDATE, DELETE") as user:
        assert user.health().problems == ()
        assert triggers.missing(user.alias) == []
        user.create_session(Session(id="s"))
        assert user.append_event(Event(session_id="s")).seq_num == 1
        name = next(name for name, table in trigger_names(empty).items() if table == "chronos_storage_event")
        execute(empty, f"DROP TRIGGER {name}" + ("" if vendor_of(empty) == "mysql" else " ON chronos_storage_event"))
        assert triggers.missing(user.alias) == [name]


@SERVERS
def test_who_may_only_read_is_told_so(empty: Storage) -> None:
    migrate(empty)
    empty.create_session(Session(id="s"))
    with limited_user(empty, "SELECT") as user:
        assert [session.id for session in user.list_sessions()] == ["s"]
        for write in (
            lambda: user.create_session(Session(id="t")),
            lambda: user.append_event(Event(session_id="s")),
        ):
            with pytest.raises(StoreFailure, match=r"denied .*chronos_storage_"):
                write()


@SERVERS
def test_who_may_make_no_tables_is_told_so_by_migrate(empty: Storage) -> None:
    execute(empty, "CREATE TABLE other (a INTEGER)")
    with limited_user(empty, "SELECT") as user, pytest.raises(StoreFailure, match=r"can't be migrated: .*denied"):
        user.migrate()


def test_a_database_that_can_t_be_reached_can_t_be_migrated(django_db_blocker: DjangoDbBlocker) -> None:
    for address in ("postgres://ada:geheim@127.0.0.1:1/x", "mysql://ada:geheim@127.0.0.1:1/x", "/proc/notes.db"):
        with django_db_blocker.unblock(), pytest.raises(StoreFailure, match="can't be migrated") as failed:
            connect(address, migrate=True)
        assert "geheim" not in str(failed.value)


@pytest.mark.parametrize("empty", [alias for alias in ("postgres",) if alias in settings.DATABASES], indirect=True)
def test_who_wrote_embeddings_before_their_words_were_kept_goes_on(empty: Storage) -> None:
    call_command("migrate", "chronos_vectors", "0002", database=empty.alias, verbosity=0)
    with limited_user(empty, "SELECT, INSERT, UPDATE, DELETE") as user:
        for _ in range(2):
            call_command("migrate", "chronos_vectors", database=empty.alias, verbosity=0)
            execute(
                user,
                "INSERT INTO chronos_vectors_embedding"
                " (id, collection_id, embedding_id, vector, content, metadata, user_id)"
                " VALUES (1, 1, 'a', '[1]', '', '{}', '')",
            )
            execute(user, "DELETE FROM chronos_vectors_embedding")
