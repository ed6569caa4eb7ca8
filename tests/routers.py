"""Which tables stand in which database."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Model


class VectorsElsewhere:
    """No vectors in the database that has no pgvector."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if (db, app_label) == ("postgres15", "chronos_vectors") else None


class Routed:
    """The tables of the stores in the database that is being tested; to read elsewhere is a mistake of theirs."""

    tested: ClassVar[str | None] = None

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return self.tested if model._meta.app_label.startswith("chronos_") else None

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return "default" if model._meta.app_label.startswith("chronos_") else None


class OneDatabase:
    """A database router that sends everything to one alias."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: object, **hints: object) -> str:
        return self.alias

    db_for_write = db_for_read


def given(alias: str) -> str | None:
    """What a store is given to use this alias: its name or, where a router says it, nothing."""
    Routed.tested = alias
    return None if settings.ROUTED else alias
