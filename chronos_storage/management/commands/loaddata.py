"""Django's ``loaddata``, which refuses fixtures that don't fit the ledger's chains."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import loaddata

from ...ledger.fixtures import checked


class Command(loaddata.Command):
    def loaddata(self, fixture_labels: Any) -> None:
        # Django calls this in a transaction.
        with checked(self.using):
            super().loaddata(fixture_labels)
