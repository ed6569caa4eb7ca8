"""The tables: what the migrations make is what the models say, the same on every database, and nothing besides."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connections, models
from pytest_django import Settings

from chronos_storage.facade import Storage
from chronos_storage.fields import IdField, TextField
from chronos_storage.indexes import FailedIndex

ALIASES = list(django_settings.DATABASES)
POSTGRESQL = [alias for alias in ALIASES if alias.startswith("postgres")]
MODELS = list(apps.get_app_config("chronos_storage").get_models())
#: On SQLite it is the default, and not always listed.
BYTEWISE = {"sqlite": {"BINARY", None}, "postgresql": {"C"}, "mysql": {"utf8mb4_nopad_bin"}}
#: The tables of records whose session must be there.
REFERENCES = {f"chronos_storage_{name}" for name in ("message", "event", "checkpoint", "checkpoint_items")}


def migrate(storage: Storage, *target: str, **options: Any) -> None:
    call_command("migrate", "chronos_storage", *target, database=storage.alias, verbosity=0, **options)


def tables(storage: Storage) -> list[str]:
    return [name for name in connections[storage.alias].introspection.table_names() if name != "django_migrations"]


def columns(storage: Storage, table: str) -> dict[str, Any]:
    connection = connections[storage.alias]
    with connection.cursor() as cursor:
        return {column.name: column for column in connection.introspection.get_table_description(cursor, table)}


def constraints(storage: Storage, table: str) -> dict[str, dict[str, Any]]:
    connection = connections[storage.alias]
    with connection.cursor() as cursor:
        found: Any = connection.introspection.get_constraints(cursor, table)
    return dict(found)


def column_names(model: type[models.Model], fields: Any) -> list[str]:
    found: list[Any] = [model._meta.get_field(name.removeprefix("-")) for name in fields]
    return [field.column for field in found]


@pytest.mark.django_db(databases=ALIASES)  # with routers, Django reads the history of each database
def test_there_is_no_migration_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without those that other tests have opened.
    monkeypatch.setattr(connections, "settings", {alias: connections.settings[alias] for alias in ALIASES})
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_migrations_make_what_the_models_say(empty_pair: list[Storage], settings: Settings) -> None:
    migrated, made = empty_pair
    migrate(migrated)
    settings.MIGRATION_MODULES = {"chronos_storage": None}
    migrate(made, run_syncdb=True)
    assert sorted(tables(migrated)) == sorted(tables(made)) == sorted(model._meta.db_table for model in MODELS)
    for table in tables(migrated):
        assert columns(migrated, table) == columns(made, table)
        assert constraints(migrated, table) == constraints(made, table)


def test_strings_are_compared_bytewise(migrated: Storage) -> None:
    collations = BYTEWISE[connections[migrated.alias].vendor]
    for model in MODELS:
        found = columns(migrated, model._meta.db_table)
        for field in model._meta.concrete_fields:
            target = field.target_field if isinstance(field, models.ForeignKey) else field
            if isinstance(target, IdField | TextField):
                assert found[str(field.column)].collation in collations, field


def test_each_table_has_its_declared_indexes_and_no_other(migrated: Storage) -> None:
    """No second index for LIKE, none for a foreign key that a unique constraint begins with."""
    partial = connections[migrated.alias].features.supports_partial_indexes
    for model in MODELS:
        declared = {
            index.name: column_names(model, index.fields)
            for index in model._meta.indexes
            if partial or not isinstance(index, FailedIndex)
        }
        unique = {
            constraint.name: column_names(model, constraint.fields)
            for constraint in model._meta.constraints
            if isinstance(constraint, models.UniqueConstraint)
        }
        found = constraints(migrated, model._meta.db_table)
        keys = [each for each in found.values() if each["primary_key"]]
        assert [each["columns"] for each in keys] == [[model._meta.pk.column]]
        others = {name: each for name, each in found.items() if not each["primary_key"]}
        assert {name: each["columns"] for name, each in others.items() if each["unique"]} == unique
        indexes = {name: each["columns"] for name, each in others.items() if each["index"] and not each["unique"]}
        assert indexes == declared
        references = [each["columns"] for each in others.values() if each["foreign_key"]]
        assert references == ([["session_id"]] if model._meta.db_table in REFERENCES else [])
        assert [name for name, each in others.items() if each["check"]] == []


@pytest.mark.parametrize("migrated", POSTGRESQL, indirect=True)
def test_postgresql_has_no_index_that_django_does_not_list(migrated: Storage) -> None:
    with connections[migrated.alias].cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'chronos%'")
        names = {name for (name,) in cursor.fetchall()}
    declared = {each.name for model in MODELS for each in (*model._meta.indexes, *model._meta.constraints)}
    assert names == declared | {f"{model._meta.db_table}_pkey" for model in MODELS}


@pytest.mark.parametrize("migrated", ["postgres"], indirect=True)
@pytest.mark.skipif(not POSTGRESQL, reason="there is no PostgreSQL")
def test_a_migration_that_was_broken_off_makes_its_indexes_again(migrated: Storage) -> None:
    table, name = "chronos_storage_session", "chronos_session_by_created"
    whole = constraints(migrated, table)
    migrate(migrated, "0003")
    before = set(constraints(migrated, table))
    assert name not in before
    with connections[migrated.alias].cursor() as cursor:
        cursor.execute(f"CREATE INDEX {name} ON {table} (title)")  # as it is left, of no use
    migrate(migrated)
    assert constraints(migrated, table) == whole
    assert set(whole) != before
