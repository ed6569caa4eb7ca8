"""Where Django looks for the engine."""

from __future__ import annotations

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL, each tenant in a schema of its own."""

    def set_tenant(self, tenant: str) -> None:
        """Go to a tenant's schema from now on."""
        with self.cursor() as cursor:
            cursor.execute(f"SET search_path = {self.ops.quote_name(tenant)}")
