"""Removing what a test has written: a few tables are emptied, and what migrations made stays."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chronos_storage.distributed.places import AUDIT_IDS
from chronos_storage.ledger.triggers import deletion_permitted
from chronos_storage.vectors.tsvectors import KEPT_WORDS

#: What follows from the models, whatever a test wrote.
_KEPT = {model._meta.db_table for model in (ContentType, Permission)}
#: More bytes than it takes long to go through the rows of.
_MANY = 1 << 20


def empty(using: str) -> None:
    """Remove all rows but those from the database of this alias."""
    connection = connections[using]
    if written := _written(connection):
        if connection.vendor == "postgresql":
            _empty_on_postgresql(connection, written)
        else:
            with deletion_permitted(using):
                connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), written, allow_cascade=True))


def _empty_on_postgresql(connection: BaseDatabaseWrapper, written: list[str]) -> None:
    """Remove few rows one by one: truncating a table takes a millisecond, as each of its indexes gets a new file."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE pg_relation_size(quote_ident(name)::regclass) > %s",
            [written, _MANY],
        )
        many = [name for (name,) in cursor.fetchall()]
        few = [name for name in written if name not in many]
        cursor.execute("SET LOCAL session_replication_role = replica")  # which no trigger minds
        statements = [f"DELETE FROM {connection.ops.quote_name(name)}" for name in few]
        if many:
            statements += connection.ops.sql_flush(no_style(), many, allow_cascade=True)
        cursor.execute("; ".join(statement.rstrip(";") for statement in statements))


def _written(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables that have rows."""
    tables = set(connection.introspection.django_table_names()) - _KEPT
    if connection.vendor == "postgresql":  # where nothing removes what follows from rows that go
        tables |= {KEPT_WORDS, AUDIT_IDS}.intersection(connection.introspection.table_names())
    each = (
        f"SELECT * FROM (SELECT '{table}' FROM {connection.ops.quote_name(table)} LIMIT 1) AS of_{table}"
        for table in sorted(tables)
    )
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(each))
        return [table for (table,) in cursor.fetchall()]
