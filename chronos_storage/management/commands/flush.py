"""Django's ``flush``, which a host's own test suite runs between tests, with the ledger's tables opened for it."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections

from ...ledger.triggers import deletion_permitted


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        using = options["database"]
        if connections[using].vendor == "postgresql":  # it truncates, which no trigger minds
            super().handle(**options)
            return
        with deletion_permitted(using):
            super().handle(**options)
