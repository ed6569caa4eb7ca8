"""Which tables stand in which database."""

from __future__ import annotations

from typing import Any


class VectorsElsewhere:
    """No vectors in the database that has no pgvector."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if (db, app_label) == ("postgres15", "chronos_vectors") else None
