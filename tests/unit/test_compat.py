"""What `compat` uses of Django and the drivers without being documented: that it is there, and does what it did."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, connections, models, transaction
from django.db.models import F, Q
from django.db.models.expressions import OrderBy, RawSQL
from django.db.models.functions import Collate, Lower
from django.db.models.signals import post_delete
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from chronos_storage import compat
from chronos_storage.exceptions import AppendOnlyError
from chronos_storage.fields import bytewise_collation
from chronos_storage.models import Container, Event, MemoryRecord, Session
from tests.conftest import ONLY_SQLITE, STRICTEST

ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE)
THEN = datetime(2025, 3, 4, 5, 6, 7, 89, UTC)


def session(alias: str, id: str = "s", **fields: Any) -> Session:
    return Session.objects.using(alias).create(id=id, **fields)


# Aliases


def test_a_database_is_added_beside_those_of_the_settings(other_databases, tmp_path):
    before = set(connections)
    compat.add_database("added", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "added")})
    try:
        assert set(connections) == {*before, "added"}
        assert "added" not in settings.DATABASES  # which are the host's own
        with connections["added"].cursor() as cursor:
            cursor.execute("SELECT 1")
        assert (tmp_path / "added").is_file()
    finally:
        connections["added"].close()
        del connections["added"], connections.settings["added"]


def test_a_proxy_asks_for_what_it_stands_for_with_each_use():
    handler = {"name": [1]}
    proxy = compat.alias_proxy(handler, "name")
    handler["name"] = [1, 2]
    assert proxy.index(2) == 1
    proxy.append(3)
    assert handler["name"] == [1, 2, 3]


def test_a_threads_connections_are_those_it_has_made_and_are_closed_together():
    found: list[Any] = []

    def work() -> None:
        found.append(list(compat.open_connections()))
        connection = connections["default"]
        found.append(list(compat.open_connections()) == [connection])
        compat.close_connections()
        found.append(compat.driver_connection(connection))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[], True, None]


@ONCE
def test_migrations_that_are_not_applied_are_counted(alias):
    assert compat.unapplied(alias, "chronos_storage") == 0
    with connections[alias].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'chronos_storage'")
    assert compat.unapplied(alias, "chronos_storage") >= 3


# Connections


def test_a_connection_says_what_it_is_made_of_and_what_it_is_in(alias):
    connection = connections[alias]
    assert compat.settings_of(connection) | {"NAME": ""} == connections.settings[alias] | {"NAME": ""}
    assert isinstance(compat.settings_of(connection)["OPTIONS"], dict)
    assert compat.in_transaction(connection)  # this test's
    name, _, version = compat.server(connection).partition(" ")
    assert name in ("SQLite", "PostgreSQL", "MariaDB")
    assert version[0].isdigit()
    assert compat.pool_of(connection) is None
    assert connection.vendor != "mysql" or compat.is_mariadb(connection)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_outside_of_one():
    assert not compat.in_transaction(connections["default"])


def test_a_connection_is_made_as_it_is_asked_for(other_databases):
    made: list[Any] = []

    def work() -> None:
        connection = connections["default"]
        before = compat.driver_connection(connection)
        compat.connect(connection)
        made.extend((before, compat.driver_connection(connection).execute("SELECT 1").fetchone()))
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made == [None, (1,)]


def test_a_database_in_memory_is_no_file(other_databases, tmp_path):
    for name, is_in_memory in ((":memory:", True), (str(tmp_path / "file"), False)):
        compat.add_database("where", {"ENGINE": "django.db.backends.sqlite3", "NAME": name})
        assert compat.is_in_memory(connections["where"]) == is_in_memory
        del connections["where"], connections.settings["where"]


def test_another_threads_connection_is_closed(tmp_path, other_databases):
    compat.add_database("closed", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "closed")})
    try:
        made: list[Any] = []

        def work() -> None:
            made.append(connections["closed"])
            compat.connect(made[0])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with pytest.raises(DatabaseError, match="thread"):
            made[0].close()
        compat.close_anywhere(made[0])
        assert compat.driver_connection(made[0]) is None
    finally:
        del connections.settings["closed"]


def test_errors_of_the_driver_become_djangos(alias):
    connection = connections[alias]
    compat.connect(connection)
    with pytest.raises(DatabaseError), transaction.atomic(using=alias), compat.database_errors(connection):
        compat.driver_connection(connection).cursor().execute("SELECT nothing FROM nowhere")


def test_the_drivers_cursor_is_wrapped_as_djangos_own(alias):
    connection = connections[alias]
    compat.connect(connection)
    with CaptureQueriesContext(connection) as queries:
        cursor = compat.wrapped_cursor(connection, compat.driver_connection(connection).cursor())
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert [query["sql"] for query in queries] == ["SELECT 1"]


def test_rows_are_streamed(alias):
    session(alias)
    with compat.streaming_cursor(connections[alias]) as cursor:
        cursor.execute("SELECT id FROM chronos_storage_session")
        assert list(cursor.fetchmany(10)) == [("s",)]


def test_postgresqls_driver_connects_past_djangos_wrapper(django_db_blocker):
    if "postgres" not in connections.settings:
        pytest.skip("without PostgreSQL")
    connection = compat.unwrapped_connection("postgres", application_name="compat")
    try:
        assert connection.autocommit
        assert connection.execute("SHOW application_name").fetchone() == ("compat",)
    finally:
        connection.close()


# The schema


def test_what_is_in_the_schema_is_told(alias):
    connection, table = connections[alias], "chronos_storage_head"
    assert {table, "chronos_storage_event"} <= set(compat.table_names(connection))
    assert compat.column_names(connection, table)[:4] == ["id", "kind", "owner", "namespace"]
    assert "chronos_head_series" in compat.constraint_names(connection, table)
    assert compat.quoted(connection, "x") == ("`x`" if connection.vendor == "mysql" else '"x"')


# Queries


def test_a_statement_is_the_querysets(alias):
    rows = Session.objects.using(alias).filter(id="s").values_list("id")
    session(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(*compat.statement(rows))
        assert list(cursor.fetchall()) == [("s",)]
    with pytest.raises(EmptyResultSet):
        compat.statement(rows.filter(id__in=[]))


def test_an_expressions_text_names_no_table(alias):
    lower = compat.expression_sql(alias, Session, Lower("title"))
    assert lower == f"LOWER({compat.quoted(connections[alias], 'title')})"


@pytest.mark.parametrize("alias", STRICTEST)
def test_an_index_is_built_beside_the_work_of_others(alias):
    index = GinIndex(OpClass(F("metadata"), "jsonb_path_ops"), name="made", condition=Q(id="s"))
    statement = compat.index_statement(alias, Session, index, (OrderBy, OpClass, Collate))
    assert statement == (
        'CREATE INDEX CONCURRENTLY "made" ON "chronos_storage_session" USING gin ("metadata" jsonb_path_ops)'
        """ WHERE "id" = 's'"""
    )


def test_values_are_those_of_values_list(alias):
    columns = ("id", "title", "metadata", "created_at", "deleted_at")
    session(alias, title="T", metadata={"a": [1, 1.5, None]}, created_at=THEN)
    session(alias, "later")
    rows = Session.objects.using(alias).order_by("created_at")
    found = list(compat.fetch_values(rows, columns))
    assert found == list(rows.values_list(*columns))
    assert found[0] == ("s", "T", {"a": [1, 1.5, None]}, THEN, None)
    assert found[0][3].tzinfo is UTC
    assert list(compat.fetch_values(rows, columns, lambda cursor: [cursor.fetchone()])) == found[:1]
    assert list(compat.fetch_values(rows.filter(id="none"), columns)) == []
    assert list(compat.fetch_values(rows.filter(id__in=[]), columns)) == []


def test_an_expression_is_part_of_another_statement(alias):
    session(alias, title="four", metadata={"a": [1]})
    rows = Session.objects.using(alias)
    more = rows.annotate(more=models.functions.Length("title") + 3)
    sql, parameters, _ = compat.selected(more.values("more"))
    assert list(rows.annotate(again=RawSQL(sql, parameters)).values_list("again", flat=True)) == [7]
    sql, parameters, expressions = compat.selected(more.values_list("metadata", "more"))
    statement = f"SELECT {sql} FROM {compat.quoted(connections[alias], Session._meta.db_table)}"
    assert list(compat.fetch_statement(rows, statement, parameters, expressions)) == [({"a": [1]}, 7)]


# Models


@ONCE
def test_rows_are_those_of_the_alias_for_writing(alias, settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.Elsewhere"]
    assert Session.objects.all().db == "elsewhere"
    assert compat.for_writing(Session.objects.all()).db == alias
    assert compat.for_writing(Session.objects.using("elsewhere")).db == "elsewhere"


class Elsewhere:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "elsewhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@ONCE
def test_rows_are_deleted_in_one_statement_and_unseen(alias):
    session(alias)
    heard: list[Any] = []
    listen = post_delete.connect(lambda **kwargs: heard.append(kwargs), sender=Session, weak=False)
    with CaptureQueriesContext(connections[alias]) as queries:
        assert compat.delete_unseen(Session.objects.using(alias).filter(id="s"), alias) == 1
    assert len(queries) == 1
    assert heard == []
    post_delete.disconnect(listen, sender=Session)


class Guarded(compat.GuardedQuerySet[Any]):
    asked: list[Any]

    def _refuse_removal(self) -> Any:
        raise AppendOnlyError

    def _changed(self, values: Any) -> int:
        type(self).asked = [(field.name, value) for field, value in values]
        return 1


@ONCE
def test_a_guarded_queryset_is_asked_before_django_writes(alias, monkeypatch):
    with pytest.raises(AppendOnlyError):
        Guarded(Container, using=alias)._raw_delete(alias)
    # As `Model.save` and what loads fixtures write a row that may be stored already.
    monkeypatch.setattr(Container._meta, "base_manager", models.Manager.from_queryset(Guarded)())
    Container._meta.base_manager.model = Container
    models.Model.save_base(Container(id="c", config={"a": 1}), using=alias, raw=True)
    assert ("config", {"a": 1}) in Guarded.asked
    assert not Container.objects.using(alias).exists()  # it was told that the row is there


def test_save_base_asks_save():
    class Asked:
        def save(self) -> None:
            raise AppendOnlyError

    class Row(compat.GuardedModel, Asked):
        pass

    with pytest.raises(AppendOnlyError):
        Row().save_base()


@ONCE
def test_what_refers_to_a_deleted_row_is_not_loaded(alias, django_assert_num_queries):
    seen: list[Any] = []

    @compat.looking_at_few
    def note(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
        seen.append(sub_objs)

    relation = Event._meta.get_field("session").remote_field
    relation.on_delete, before = note, relation.on_delete
    try:
        session(alias).delete()
    finally:
        relation.on_delete = before
    assert [rows.model for rows in seen] == [Event]
    assert seen[0]._result_cache is None


def test_a_column_has_its_collation_and_no_check_and_is_selected_as_text(alias):
    connection = connections[alias]
    for name in ("id", "agent_id"):
        field = MemoryRecord._meta.get_field(name)
        assert field.db_parameters(connection)["collation"] == bytewise_collation(connection)
    for field in (Session._meta.get_field("metadata"), MemoryRecord._meta.get_field("value")):
        assert field.db_parameters(connection)["check"] is None
    rows = MemoryRecord.objects.using(alias)
    sql, _ = compat.statement(rows.values("value"))
    assert ("::text" in sql) == (connection.vendor == "postgresql")
    inner, _ = compat.statement(rows.filter(value__in=rows.values("value")).values("id"))
    assert "::text" not in inner


def test_a_signal_is_heard_where_it_has_a_receiver():
    signal, receiver = Signal(), lambda **kwargs: None
    signal.connect(receiver, sender=Session)
    assert compat.is_heard(signal, Session)
    assert not compat.is_heard(signal, Event)
    signal.disconnect(receiver, sender=Session)
    assert not compat.is_heard(signal, Session)


def test_a_signals_lock_is_new():
    signal = Signal()
    before = signal.lock
    before.acquire()
    compat.renew_lock(signal)
    assert signal.lock is not before
    signal.connect(lambda **kwargs: None, weak=False)
    assert signal.send(None)
