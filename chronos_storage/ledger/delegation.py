"""The functions that append, where the tables are spread over workers: each call runs where its rows are."""

from __future__ import annotations

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.schema import table_names
from ..distributed.places import FIRST
from ..distributed.state import has_citus, is_distributed
from ..distributed.statements import BEGIN, lacking
from . import triggers_postgresql
from .series import CHAINS

#: Of functions by name: those that are not known to run elsewhere yet.
_HERE = """
    SELECT oid::regprocedure::text FROM pg_proc
    WHERE proname = %s AND pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))
        AND NOT EXISTS (SELECT 1 FROM pg_dist_object
            WHERE objid = pg_proc.oid AND classid = 'pg_proc'::regclass AND distribution_argument_index IS NOT NULL)"""


def delegations(connection: BaseDatabaseWrapper) -> list[str]:
    """The statements that let functions of this version run on the workers, as far as they don't."""
    found = []
    for function in triggers_postgresql.appending([model._meta.db_table for model in CHAINS]):
        if not function.routed_by:
            continue
        with connection.cursor() as cursor:
            cursor.execute(_HERE, [function.name, FIRST])
            # Forced, it would take no call whose argument is no constant, or in a transaction of several statements.
            found += [
                f"SELECT create_distributed_function('{name}', '{function.routed_by}', colocate_with := '{FIRST}',"
                " force_delegation := false)"
                for (name,) in cursor.fetchall()
            ]
    return found


def undistributed(using: str) -> list[str]:
    """The tables, and else the functions, that are not spread over the workers of a database that has Citus."""
    connection = connections[using]
    if not has_citus(connection) or FIRST not in table_names(connection):
        return []
    return [place.table for place in lacking(connection)] or delegations(connection)


def delegate(using: str) -> None:
    """After functions were made: have them run on the workers, where the tables are spread over these."""
    connection = connections[using]
    if is_distributed(connection) and (wanted := delegations(connection)):
        with transaction.atomic(using=using), connection.cursor() as cursor:
            for statement in (*BEGIN, *wanted):
                cursor.execute(statement)
