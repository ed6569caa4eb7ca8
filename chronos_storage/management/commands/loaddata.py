"""Django's ``loaddata``, which refuses fixtures that don't fit the ledger's chains."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import loaddata
from django.db import transaction

from ...ledger.fixtures import checked


class Command(loaddata.Command):
    def handle(self, *fixture_labels: Any, **options: Any) -> None:
        using = options["database"]
        with transaction.atomic(using=using), checked(using):
            super().handle(*fixture_labels, **options)
