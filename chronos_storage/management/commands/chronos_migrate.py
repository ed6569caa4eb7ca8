"""``chronos_migrate``: makes, or brings up to date, what every store of the settings keeps its records in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from ... import storages
from ...exceptions import ChronosError
from ...reach import in_databases
from ..terminal import one_line


class Command(BaseCommand):
    help = (
        "Makes the tables of every store that the settings name, storages, queue and vector stores, or brings them"
        " up to date; again, no change. The exit status is 1 if one could not be."
    )

    def handle(self, **options: Any) -> None:
        failed = 0
        for where, migrate in _stores():
            try:
                migrate()
            except (ChronosError, CommandError, DatabaseError) as error:
                failed += 1
                self.stdout.write(one_line(f"{where}: {error}", limit=2000))
            else:
                self.stdout.write(one_line(f"{where}: ready"))
        if failed:
            raise CommandError("Not every store could be migrated.")


def _stores() -> Iterator[tuple[str, Callable[[], object]]]:
    """The stores of the settings: where each is configured, and what migrates it."""
    for alias in storages:
        yield storages.where(alias), lambda alias=alias: storages[alias].migrate()  # type: ignore[misc]
    for handler, alias, database, app_label in in_databases():
        if handler is not storages:
            migrate = partial(call_command, "migrate", app_label, database=database, interactive=False, verbosity=0)
            yield handler.where(alias), migrate
