"""Whether a database's tables are up to date."""

from __future__ import annotations

from django.db import connections
from django.db.migrations.executor import MigrationExecutor


def unapplied(using: str, app_label: str) -> int:
    """How many of an app's migrations this database still lacks; raises the database's errors."""
    executor = MigrationExecutor(connections[using])
    return len(executor.migration_plan([node for node in executor.loader.graph.leaf_nodes() if node[0] == app_label]))
