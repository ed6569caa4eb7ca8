"""Undocumented parts of Django that `compat.schema` uses: that they are there, and do what they did."""

from __future__ import annotations

import pytest
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connections
from django.db.models import F, Q
from django.db.models.expressions import OrderBy
from django.db.models.functions import Collate

from chronos_storage.compat.schema import (
    column_names,
    index_names,
    index_statement,
    quoted,
    table_names,
    unapplied,
)
from chronos_storage.models import Head, Session
from tests.conftest import ONLY_SQLITE, STRICTEST

ONCE = pytest.mark.parametrize("alias", ONLY_SQLITE)


@ONCE
def test_migrations_that_are_not_applied_are_counted(alias):
    assert unapplied(alias, "chronos_storage") == 0
    with connections[alias].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'chronos_storage'")
    assert unapplied(alias, "chronos_storage") > 0


def test_what_is_in_the_schema_is_told(alias):
    connection, table = connections[alias], "chronos_storage_head"
    assert {table, "chronos_storage_event"} <= set(table_names(connection))
    assert set(column_names(connection, table)) == {field.column for field in Head._meta.concrete_fields}
    of_indexes = {index.name for index in Session._meta.indexes}
    assert of_indexes <= index_names(connection, Session._meta.db_table)
    assert not of_indexes & index_names(connection, table)
    assert quoted(connection, "x") == ("`x`" if connection.vendor == "mysql" else '"x"')


@pytest.mark.parametrize("alias", STRICTEST)
def test_an_index_is_built_beside_the_work_of_others(alias):
    index = GinIndex(OpClass(F("metadata"), "jsonb_path_ops"), name="made", condition=Q(id="s"))
    statement = index_statement(alias, Session, index, (OrderBy, OpClass, Collate))
    assert statement == (
        'CREATE INDEX CONCURRENTLY "made" ON "chronos_storage_session" USING gin ("metadata" jsonb_path_ops)'
        """ WHERE "id" = 's'"""
    )
